//! The way out of a finding, as text for a person and, where a manifest is at fault, as a change a program can apply.

use std::fmt::Write as _;

use serde_json::Value;

use super::facts::Place;

/// How to get past a finding.
#[derive(Clone, Debug, PartialEq)]
pub enum Fix {
    /// Words: a decision or a person is needed.
    Text(String),
    /// A command line to run.
    Command(String),
    /// Changes of fields, of the object that was judged or of one it rests on.
    Change(Vec<Edit>),
    /// What a person does or decides first, and the changes that follow from it.
    Advice(String, Vec<Edit>),
    /// Words, and objects as YAML to fill in and apply.
    Record(String, String),
}

/// One change of one field.
#[derive(Clone, Debug, PartialEq)]
pub struct Edit {
    /// The object, where it is another one than the one judged, as a place names it: `AIWorkload chat-prod/chat`.
    pub object: Option<String>,
    /// Dotted path from the object's root, e.g. `spec.template.spec.containers[0].image`; `spec.models[+]` is one more
    /// element of a list, however many others are added to it.
    pub path: String,
    /// The new value; `None` removes the field.
    pub value: Option<Value>,
}

impl Fix {
    /// Sets one field.
    #[must_use]
    pub fn set(path: impl Into<String>, value: impl Into<Value>) -> Self {
        Self::Change(vec![Edit::set(path, value)])
    }

    /// Sets the field that `place` names, or the one `below` it.
    #[must_use]
    pub fn set_at(place: &Place, below: &str, value: impl Into<Value>) -> Self {
        Self::Change(vec![Edit::at(place, below, Some(value.into()))])
    }

    /// Removes the field that `place` names.
    #[must_use]
    pub fn remove_at(place: &Place) -> Self {
        Self::Change(vec![Edit::at(place, "", None)])
    }

    /// Removes one field.
    #[must_use]
    pub fn remove(path: impl Into<String>) -> Self {
        Self::Change(vec![Edit::remove(path)])
    }

    /// The same changes, behind what a person does or decides first: lower case, no full stop.
    #[must_use]
    pub fn after(self, words: impl Into<String>) -> Self {
        match self {
            Self::Change(edits) => Self::Advice(words.into(), edits),
            other => other,
        }
    }

    /// The same, to be changed.
    pub fn edits_mut(&mut self) -> &mut [Edit] {
        match self {
            Self::Change(edits) | Self::Advice(_, edits) => edits,
            Self::Text(_) | Self::Command(_) | Self::Record(..) => &mut [],
        }
    }

    /// The changes of fields that belong to this fix.
    #[must_use]
    pub fn edits(&self) -> &[Edit] {
        match self {
            Self::Change(edits) | Self::Advice(_, edits) => edits,
            Self::Text(_) | Self::Command(_) | Self::Record(..) => &[],
        }
    }

    /// The fix in one line: of objects to fill in only the words.
    #[must_use]
    pub fn brief(&self) -> String {
        match self {
            Self::Record(words, _) => words.clone(),
            other => other.to_string(),
        }
    }

    /// Applies the changes of this fix to `object`, the one that was judged, creating parents that are missing.
    ///
    /// Returns false, leaving a prefix of the edits applied, when the fix is not a change, concerns another object, or a
    /// path does not fit.
    pub fn apply(&self, object: &mut Value) -> bool {
        let Self::Change(edits) = self else { return false };
        edits.iter().all(|edit| edit.object.is_none() && edit.apply(object))
    }
}

impl Edit {
    /// Sets one field of the object that was judged.
    #[must_use]
    pub fn set(path: impl Into<String>, value: impl Into<Value>) -> Self {
        Self { object: None, path: path.into(), value: Some(value.into()) }
    }

    /// Removes one field of the object that was judged.
    #[must_use]
    pub fn remove(path: impl Into<String>) -> Self {
        Self { object: None, path: path.into(), value: None }
    }

    fn at(place: &Place, below: &str, value: Option<Value>) -> Self {
        let path = place.path.as_deref().unwrap_or_default();
        let dot = if path.is_empty() || below.is_empty() || below.starts_with('[') { "" } else { "." };
        Self { object: place.object.clone(), path: format!("{path}{dot}{below}"), value }
    }

    /// Applies the change to `object`, creating parents that are missing.
    ///
    /// Returns false when the path does not fit the object.
    pub fn apply(&self, object: &mut Value) -> bool {
        let steps = steps(&self.path);
        let Some((last, parents)) = steps.split_last() else { return false };
        let mut at = object;
        for step in parents {
            let Some(next) = descend(at, step, self.value.is_some()) else { return self.value.is_none() };
            at = next;
        }
        if at.is_null() && self.value.is_some() {
            *at = match last {
                Step::Key(_) => Value::Object(serde_json::Map::new()),
                Step::Index(_) | Step::More => Value::Array(Vec::new()),
            };
        }
        match (last, &self.value) {
            (Step::Key(key), Some(value)) => {
                at.as_object_mut().map(|map| map.insert((*key).to_owned(), value.clone())).is_some()
            }
            (Step::Key(key), None) => at.as_object_mut().map(|map| map.remove(*key)).is_some(),
            // What is in the list already is not added again.
            (Step::More, Some(value)) => at.as_array_mut().is_some_and(|list| {
                if !list.contains(value) {
                    list.push(value.clone());
                }
                true
            }),
            (Step::More, None) => false,
            (Step::Index(index), value) => at.as_array_mut().is_some_and(|list| match value {
                Some(value) if *index < list.len() => {
                    list[*index] = value.clone();
                    true
                }
                Some(value) if *index == list.len() => {
                    list.push(value.clone());
                    true
                }
                Some(_) => false,
                None => {
                    if *index < list.len() {
                        list.remove(*index);
                    }
                    true
                }
            }),
        }
    }
}

enum Step<'a> {
    Key(&'a str),
    Index(usize),
    /// One more element.
    More,
}

/// Splits `a.b[0]["c.d"]` into its steps; keys with dots are written `["key"]`.
fn steps(path: &str) -> Vec<Step<'_>> {
    let mut out = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(quoted) = rest.strip_prefix("[\"") {
            let end = quoted.find("\"]").unwrap_or(quoted.len());
            out.push(Step::Key(&quoted[..end]));
            rest = quoted.get(end + 2..).unwrap_or("");
        } else if let Some(bracket) = rest.strip_prefix('[') {
            let end = bracket.find(']').unwrap_or(bracket.len());
            out.push(match &bracket[..end] {
                "+" => Step::More,
                number => Step::Index(number.parse().unwrap_or(usize::MAX)),
            });
            rest = bracket.get(end + 1..).unwrap_or("");
        } else {
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            if end > 0 {
                out.push(Step::Key(&rest[..end]));
            }
            rest = &rest[end..];
        }
        rest = rest.strip_prefix('.').unwrap_or(rest);
    }
    out
}

fn descend<'v>(at: &'v mut Value, step: &Step<'_>, create: bool) -> Option<&'v mut Value> {
    match step {
        Step::Key(key) => {
            if at.is_null() && create {
                *at = Value::Object(serde_json::Map::new());
            }
            let map = at.as_object_mut()?;
            if create && !map.contains_key(*key) {
                map.insert((*key).to_owned(), Value::Null);
            }
            map.get_mut(*key)
        }
        Step::Index(index) => {
            if at.is_null() && create {
                *at = Value::Array(Vec::new());
            }
            let list = at.as_array_mut()?;
            if create && *index == list.len() {
                list.push(Value::Null);
            }
            list.get_mut(*index)
        }
        // Only what is added as a whole can be: nothing lies below an element that is not there.
        Step::More => None,
    }
}

/// Writes only what a terminal shows: what would move its cursor, colour it or turn the direction of writing is escaped.
struct Shown<'a, 'b>(&'a mut std::fmt::Formatter<'b>);

impl std::fmt::Write for Shown<'_, '_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let plain = |byte: u8| matches!(byte, b'\n' | b' '..=b'~');
        if text.bytes().all(plain) {
            return self.0.write_str(text);
        }
        for c in text.chars() {
            let shown = c == '\n' || !(steers(c) || hides(c));
            if shown { self.0.write_char(c)? } else { write!(self.0, "{}", c.escape_unicode())? }
        }
        Ok(())
    }
}

/// Whether a character is none itself but moves the cursor of a terminal, colours it or turns the order of the others (UAX #9).
/// Ends of lines and tabs, which shape a text, are for the caller to let through.
#[must_use]
pub fn steers(c: char) -> bool {
    let turns = matches!(
        c,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}'
    );
    turns || c.is_control()
}

/// Whether a character takes no room, so that two words that look alike are not.
fn hides(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{206f}')
}

impl std::fmt::Display for Fix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let f = &mut Shown(f);
        match self {
            Self::Text(text) | Self::Command(text) => f.write_str(text),
            Self::Record(words, manifest) => write!(f, "{words}\n{}", manifest.trim_end()),
            Self::Change(edits) | Self::Advice(_, edits) => {
                if let Self::Advice(words, _) = self {
                    write!(f, "{words}: ")?;
                }
                for (index, edit) in edits.iter().enumerate() {
                    if index > 0 {
                        f.write_str("; ")?;
                    }
                    match (edit.path.strip_suffix("[+]"), &edit.value) {
                        (Some(list), Some(_)) => write!(f, "add to {list}")?,
                        (_, Some(_)) => write!(f, "set {}", edit.path)?,
                        (_, None) => write!(f, "remove {}", edit.path)?,
                    }
                    if let Some(object) = &edit.object {
                        write!(f, " of {object}")?;
                    }
                    if let Some(value) = &edit.value {
                        write!(f, ": {value}")?;
                    }
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn sets_creates_and_removes() {
        let mut object = json!({"spec": {"containers": [{"name": "a", "x": 1}]}});
        assert!(Fix::set("spec.containers[0].securityContext.runAsNonRoot", true).apply(&mut object));
        assert!(Fix::remove("spec.containers[0].x").apply(&mut object));
        assert!(Fix::set("metadata.labels[\"portcullis.dev/environment\"]", "research").apply(&mut object));
        assert!(Fix::remove("spec.absent.field").apply(&mut object));
        assert_eq!(
            object,
            json!({"spec": {"containers": [{"name": "a", "securityContext": {"runAsNonRoot": true}}]},
                   "metadata": {"labels": {"portcullis.dev/environment": "research"}}})
        );
        assert!(Fix::set("spec.volumes[0]", json!({"name": "v"})).apply(&mut object));
        assert_eq!(object["spec"]["volumes"], json!([{"name": "v"}]));
        assert!(!Fix::set("spec.containers[7].x", 1).apply(&mut object));
        assert!(!Fix::set_at(&Place::field("AIWorkload a/b", "spec.x"), "", 1).apply(&mut object));
    }

    #[test]
    fn what_is_shown_leaves_a_terminal_as_it_is() {
        let text = Fix::Text("let a\u{1b}[31m\u{202e}b\u{7f}ü\u{200b} lift it\nthen rest".to_owned());
        assert_eq!(text.to_string(), "let a\\u{1b}[31m\\u{202e}b\\u{7f}ü\\u{200b} lift it\nthen rest");
        let change = Fix::set("spec.a", json!("x\u{202e}y"));
        assert_eq!(change.to_string(), "set spec.a: \"x\\u{202e}y\"");
    }

    #[test]
    fn what_is_added_to_one_list_by_several_stands_there_side_by_side() {
        let add = |name: &str| Fix::set("spec.models[+]", json!({"name": name}));
        let mut object = json!({"spec": {}});
        for name in ["a", "b", "a"] {
            assert!(add(name).apply(&mut object));
        }
        assert_eq!(object["spec"]["models"], json!([{"name": "a"}, {"name": "b"}]));
        assert_eq!(add("a").to_string(), r#"add to spec.models: {"name":"a"}"#);
        assert!(!Fix::remove("spec.models[+]").apply(&mut object), "there is no such element to remove");
        assert!(!Fix::set("spec[+]", 1).apply(&mut object), "no list");
    }

    #[test]
    fn reads_as_an_instruction() {
        let fix = Fix::set("spec.hostNetwork", false);
        assert_eq!(fix.to_string(), "set spec.hostNetwork: false");
        let place = Place::field("AIWorkload a/b", "spec.exposure[0].tls").value("none");
        assert_eq!(
            Fix::set_at(&place, "", "server").to_string(),
            "set spec.exposure[0].tls of AIWorkload a/b: \"server\""
        );
        let decided = Fix::set_at(&place, "", "server").after("serve TLS");
        assert_eq!(decided.to_string(), "serve TLS: set spec.exposure[0].tls of AIWorkload a/b: \"server\"");
        assert_eq!(Fix::remove_at(&place).to_string(), "remove spec.exposure[0].tls of AIWorkload a/b");
    }
}
