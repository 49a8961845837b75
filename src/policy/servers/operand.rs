//! The operand by which a program names what it serves or fetches, and addresses among other words.

use super::forms::name_of;
use super::reader::Reader;
use super::serve::Unknown;
use super::shell::Word;
use super::{Form, Load, Server, table};

/// The operand of a program that names what it serves or fetches.
#[derive(Debug, Default)]
pub(super) struct Operand<'a> {
    /// The words one of which has to come before it; nothing where no operand is awaited.
    after: Option<&'static [&'static str]>,
    ready: bool,
    pub(super) fetches: bool,
    /// Whether the program copies files from addresses, and an operand was seen already.
    copies: Option<bool>,
    /// What is known where no operand is awaited.
    unknown: Unknown,
    /// An operand behind a flag, which may be the flag's value.
    maybe: Option<Load<'a>>,
}

impl<'a> Operand<'a> {
    /// Where the image's own entry point is that of a known server.
    pub(super) fn entry(server: Option<Server>) -> Self {
        let (after, fetches, ready): (&'static [&'static str], _, _) = match server {
            Some(Server::Vllm) => (&["serve"], false, true),
            Some(Server::Ollama) => (table::FETCHERS[0].1, true, false),
            _ => return Self::default(),
        };
        Self { after: Some(after), ready, fetches, ..Self::default() }
    }

    /// Whether the program copies from addresses.
    pub(super) fn copies(&self) -> bool {
        self.copies.is_some()
    }

    /// Whether `word` is the first one after the `serve` of a program that is not known; `of_flag` says that it may be the value
    /// of a flag.
    pub(super) fn served(&mut self, word: &Word<'a>, of_flag: bool) -> bool {
        let known = self.after.is_some() || self.copies();
        self.unknown.served(word, known, of_flag)
    }

    /// Whether `word` is the operand.
    pub(super) fn take(&mut self, word: &Word<'a>, after_flag: bool, here: &Load<'a>) -> bool {
        let name = name_of(&word.text);
        if word.starts && self.after.is_none() {
            let serves = table::SERVE.iter().find(|(program, _)| *program == name);
            let fetches = table::FETCHERS.iter().find(|(program, _)| *program == name);
            if let Some((_, after)) = serves.or(fetches) {
                *self = Self {
                    after: Some(after),
                    ready: after.is_empty() || name == "trtllm-serve",
                    fetches: fetches.is_some(),
                    ..Self::default()
                };
                return false;
            }
            if COPIERS.contains(&name) {
                self.copies = Some(false);
                return false;
            }
        }
        let Some(after) = self.after else { return false };
        if after.contains(&&*word.text) {
            self.ready = true;
            return false;
        }
        if !self.ready {
            return false;
        }
        if after_flag {
            if matches!(here.form, Form::Hub | Form::Path) {
                self.maybe = Some(here.clone());
            }
            return false;
        }
        self.after = None;
        self.maybe = None;
        true
    }

    /// At the end of a command: what stood behind a flag was the operand after all, if nothing else was.
    pub(super) fn finish(self, reader: &mut Reader<'a>) {
        if let Some(load) = self.maybe {
            reader.operand(load.value, self.fetches, load.at);
        }
    }
}

/// Programs that copy from an address to a path or the other way.
pub(super) const COPIERS: &[&str] = &[
    "aws", "s5cmd", "gsutil", "gcloud", "rclone", "curl", "wget", "git", "mc", "oras", "azcopy", "aria2c",
    "s3cmd",
];

/// The address in a word from which a model is fetched.
pub(super) fn address_of_model<'w>(
    word: &'w str,
    operand: &mut Operand<'_>,
    after_flag: bool,
) -> Option<&'w str> {
    let mark = word.find("://");
    let earlier = operand.copies;
    if let Some(seen) = &mut operand.copies {
        *seen |= mark.is_some() || word.starts_with(['/', '.']);
    }
    let start = word[..mark?].rfind(|c: char| !c.is_ascii_alphanumeric()).map_or(0, |at| at + 1);
    let end = word[start..].find(['"', '\'', '`', ',', ')']).map_or(word.len(), |at| at + start);
    let address = &word[start..end];
    let web = table::fetched(address)?.starts_with("http");
    // To a store of objects one also writes: a program that copies reads its first operand.
    let read = earlier.map_or(start == 0 && !after_flag, |seen| !seen);
    (web || read).then_some(address)
}
