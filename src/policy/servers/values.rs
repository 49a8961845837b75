//! Values of flags that name several things, or one inside an object.

use std::borrow::Cow;

use super::flags::part;
use super::forms::is_file;
use super::reader::Reader;
use super::shell::Word;
use super::{Ability, At, Seen, What};

impl<'a> Reader<'a> {
    /// Code that is imported by its names: the first was read already, the others follow.
    pub(super) fn plugin(&mut self, mut seen: Seen<'a>, after: &[Word<'a>], taken: usize) -> usize {
        let more = after.iter().take_while(|word| !word.starts && !word.text.starts_with('-'));
        let more = more.filter(|_| taken > 0);
        seen.rest.extend(more.map(|word| At { list: word.at.0, index: word.at.1, inner: word.inner }));
        let count = seen.rest.len();
        self.reading.switches.push(seen);
        count
    }

    /// What the server can do besides, by a flag.
    pub(super) fn can(&mut self, ability: Ability, seen: Seen<'a>) {
        self.reading.abilities.push((ability, seen));
    }

    /// The kinds of parts that a request may have, each with its number.
    pub(super) fn parts(&mut self, value: &str, seen: &Seen<'a>) {
        let object = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(value);
        let pairs: Vec<(String, bool)> = match object {
            Ok(object) => {
                object.into_iter().map(|(kind, number)| (kind, number != serde_json::json!(0))).collect()
            }
            Err(_) => value
                .split(',')
                .filter_map(|pair| pair.split_once('='))
                .map(|(kind, number)| (kind.trim().to_owned(), number.trim() != "0"))
                .collect(),
        };
        for ability in pairs.iter().filter(|(_, some)| *some).filter_map(|(kind, _)| part(kind)) {
            self.can(ability, seen.clone());
        }
    }

    /// Files parted by commas, each perhaps with a scale.
    pub(super) fn scaled(&mut self, what: What, value: &str, at: At) {
        for part in value.split(',') {
            let scaled = part.rsplit_once(':').filter(|(_, scale)| scale.parse::<f64>().is_ok());
            let path = scaled.map_or(part, |(path, _)| path);
            self.load(what, Cow::Owned(path.to_owned()), false, at);
        }
    }

    /// What stands under a key of an object.
    pub(super) fn object(&mut self, known: &str, what: What, value: &str, at: At) {
        let object = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(value);
        for (key, model) in object.iter().flatten() {
            if let Some(model) = model.as_str().filter(|_| key.replace('_', "-") == known) {
                self.load(what, Cow::Owned(model.to_owned()), false, At { inner: true, ..at });
            }
        }
        self.text(value, at);
    }

    /// A flag with as many values as follow.
    pub(super) fn several(
        &mut self,
        what: What,
        first: &str,
        words: &[Word<'a>],
        index: usize,
        at: At,
        taken: usize,
    ) -> usize {
        let mut one = |value: &str, at: At| {
            let json = value
                .starts_with('{')
                .then(|| serde_json::from_str::<serde_json::Value>(value).ok())
                .flatten();
            let path = json.as_ref().and_then(|json| json["path"].as_str());
            let path = path.unwrap_or_else(|| value.split_once('=').map_or(value, |(_, path)| path));
            if what == What::Model && (path == "all" || (is_file(path) && !path.contains('/'))) {
                return;
            }
            self.load(what, Cow::Owned(path.to_owned()), false, At { inner: true, ..at });
        };
        one(first, at);
        if taken == 0 {
            return 0;
        }
        let more = words[index + 2..].iter().take_while(|word| !word.starts && !word.text.starts_with('-'));
        let mut count = 1;
        for word in more {
            one(&word.text, At { list: word.at.0, index: word.at.1, inner: word.inner });
            count += 1;
        }
        count
    }
}
