//! The change of a container that makes it load what it declares, and nothing else.

use serde_json::{Value, json};

use super::{At, Reading, Seen, Switch};
use crate::policy::containers::ContainerView;
use crate::policy::fix::{Edit, Fix};

/// What becomes of one element of a command line, or of a variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Op {
    /// It goes.
    Drop,
    /// It becomes this text.
    Text(String),
    /// This element comes after it.
    After(String),
}

/// Changes of one container. Every finding about it carries all of them, so that they can be made in any order.
#[derive(Debug, Default)]
pub struct Mend {
    ops: Vec<(At, Op)>,
    variables: Vec<(usize, String, String)>,
}

impl Mend {
    pub(super) fn push(&mut self, at: At, op: Op) {
        if !self.ops.contains(&(at, op.clone())) {
            self.ops.push((at, op));
        }
    }

    pub(super) fn push_variable(&mut self, index: usize, name: &str, value: &str) {
        self.variables.push((index, name.to_owned(), value.to_owned()));
    }

    /// Puts `new` in the place of `old`, where it is written as such.
    pub(super) fn value(&mut self, container: &ContainerView<'_>, at: At, old: &str, new: &str) -> bool {
        let Some(text) = self.text(container, at) else { return false };
        let once = text.matches(old).count() == 1;
        if once {
            let text = text.replacen(old, new, 1);
            self.push(at, Op::Text(text));
        }
        once
    }

    /// Takes `word` out of the text of an element; what assigns truth to something assigns the opposite.
    pub(super) fn without(&mut self, container: &ContainerView<'_>, at: At, word: &str) -> bool {
        let Some(text) = self.text(container, at) else { return false };
        if text.matches(word).count() != 1 {
            return false;
        }
        let instead = if word.starts_with('-') {
            String::new()
        } else if let Some(head) = word.strip_suffix("True") {
            format!("{head}False")
        } else if let Some(head) = word.strip_suffix("true") {
            format!("{head}false")
        } else {
            return false;
        };
        let text = text.replacen(word, &instead, 1);
        self.ops.retain(|(other, op)| *other != at || !matches!(op, Op::Text(_)));
        self.push(at, Op::Text(text.trim_end().to_owned()));
        true
    }

    /// Drops a value and the flag before it. False where the element holds other words too.
    pub(super) fn drop_with_flag(&mut self, container: &ContainerView<'_>, at: At) -> bool {
        let words = match at.element() {
            Some(("command", _)) if !at.inner => container.command,
            Some(("args", _)) if !at.inner => container.args,
            _ => return false,
        };
        let is_flag = |index: usize| words.get(index).is_some_and(|word| word.starts_with('-'));
        if !is_flag(at.index) {
            if at.index == 0 || !is_flag(at.index - 1) {
                return false;
            }
            self.push(At { index: at.index - 1, ..at }, Op::Drop);
        }
        self.push(at, Op::Drop);
        true
    }

    /// Turns a switch off, where a change can.
    pub(super) fn switch(
        &mut self,
        container: &ContainerView<'_>,
        reading: &Reading<'_>,
        seen: &Seen<'_>,
    ) -> bool {
        let Some((list, _)) = seen.at.element() else { return false };
        if list == "env" && !seen.at.inner {
            let off = match &*seen.word {
                word if word.starts_with("HF_HUB_OFFLINE=") || word.starts_with("TRANSFORMERS_OFFLINE=") => {
                    "1"
                }
                word if word.contains("ENDPOINT") || word.contains("MIRROR") || word.contains("DOMAIN") => {
                    return false;
                }
                _ => "0",
            };
            self.push(seen.at, Op::Text(off.to_owned()));
            return true;
        }
        if seen.at.inner {
            return self.without(container, seen.at, &seen.word);
        }
        // Without the mode, the words that belong to it are errors.
        let partners = reading.partners.iter().filter(|_| seen.switch == Switch::OnRequest);
        if partners.clone().any(|at| at.inner) {
            return false;
        }
        for at in std::iter::once(&seen.at).chain(&seen.rest).chain(partners) {
            self.push(*at, Op::Drop);
        }
        true
    }

    /// Takes the words of a switch away, where each is an element of its own or a variable.
    pub fn drop_words(&mut self, container: &ContainerView<'_>, seen: &Seen<'_>) -> bool {
        self.switch(container, &Reading::default(), seen)
    }

    /// The text of an element after the changes so far.
    fn text(&self, container: &ContainerView<'_>, at: At) -> Option<String> {
        let changed = self.ops.iter().rev().find_map(|(other, op)| match op {
            Op::Text(text) if other.element() == at.element() => Some(text.clone()),
            _ => None,
        });
        let (list, index) = at.element()?;
        changed.or_else(|| match list {
            "command" => container.command.get(index).cloned(),
            "args" => container.args.get(index).cloned(),
            _ => container.env.get(index)?.value.clone(),
        })
    }

    /// The change, with paths below `prefix`; nothing where no change mends.
    #[must_use]
    pub fn fix(&self, container: &ContainerView<'_>, prefix: &str) -> Option<Fix> {
        let mut edits = Vec::new();
        for (list, words) in [("command", container.command), ("args", container.args)] {
            let own: Vec<_> =
                self.ops.iter().filter(|(at, _)| at.element().is_some_and(|(l, _)| l == list)).collect();
            if own.is_empty() {
                continue;
            }
            let mut out: Vec<String> = Vec::with_capacity(words.len());
            for (index, word) in words.iter().enumerate() {
                let of_this = || own.iter().filter(|(at, _)| at.index == index).map(|(_, op)| op);
                if of_this().any(|op| *op == Op::Drop) {
                    continue;
                }
                let text = of_this()
                    .filter_map(|op| if let Op::Text(text) = op { Some(text) } else { None })
                    .next_back();
                out.push(text.unwrap_or(word).clone());
                out.extend(
                    of_this()
                        .filter_map(|op| if let Op::After(more) = op { Some(more.clone()) } else { None }),
                );
            }
            // What is right already needs no change: the fault lies elsewhere.
            if out != words {
                edits.push(edit(prefix, container, list, json!(out)));
            }
        }
        for (at, op) in &self.ops {
            if let (Some(("env", index)), Op::Text(text)) = (at.element(), op) {
                edits.push(edit(prefix, container, &format!("env[{index}].value"), json!(text)));
            }
        }
        for (index, name, value) in &self.variables {
            let variable = json!({"name": name, "value": value});
            // An element can only be added to a list that is there.
            if *index == 0 {
                edits.push(edit(prefix, container, "env", json!([variable])));
            } else {
                edits.push(edit(prefix, container, &format!("env[{index}]"), variable));
            }
        }
        (!edits.is_empty()).then_some(Fix::Change(edits))
    }
}

fn edit(prefix: &str, container: &ContainerView<'_>, field: &str, value: Value) -> Edit {
    Edit::set(format!("{prefix}{}", container.path(field)), value)
}
