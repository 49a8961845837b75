//! Operators of a shell that say where the input and the output of a command go, here-documents among them.

use std::borrow::Cow;
use std::iter::Peekable;
use std::str::Chars;

use super::shell::{Shell, WORDS, Word, WordRole};

/// A here-document that begins with the next line.
pub(super) struct Awaited {
    /// The line by which it ends.
    end: String,
    /// Whether it is taken as it is written.
    quoted: bool,
    /// Where among the words its command reads it.
    place: usize,
}

impl Shell<'_, '_, '_> {
    /// What follows an operator whose first character was read already.
    pub(super) fn operator(&mut self, first: char, chars: &mut Peekable<Chars<'_>>) {
        let was = std::mem::take(&mut self.role);
        match first {
            '|' if chars.next_if_eq(&'|').is_none() => {
                chars.next_if_eq(&'&');
                self.role = WordRole::Piped;
            }
            '(' if was == WordRole::Fed => self.role = WordRole::Fed,
            '<' if chars.next_if_eq(&'<').is_some() => {
                if chars.next_if_eq(&'<').is_some() {
                    self.role = WordRole::Document;
                } else {
                    self.begins(chars);
                }
            }
            '<' if chars.peek() == Some(&'(') => self.role = WordRole::Fed,
            '>' => {
                chars.next_if_eq(&'>');
                // `2>&1` writes to no file.
                if chars.next_if_eq(&'&').is_none() {
                    self.role = WordRole::Target;
                }
            }
            '\n' => self.documents(chars),
            _ => {}
        }
    }

    /// The word by which a here-document ends.
    fn begins(&mut self, chars: &mut Peekable<Chars<'_>>) {
        let (mut end, mut quoted) = (String::new(), false);
        chars.next_if_eq(&'-');
        while chars.next_if(|c| matches!(c, ' ' | '\t')).is_some() {}
        while let Some(c) = chars.next_if(|c| !c.is_whitespace() && !";|&<>()".contains(*c)) {
            if matches!(c, '\'' | '"' | '\\') {
                quoted = true;
            } else {
                end.push(c);
            }
        }
        self.documents.push(Awaited { end, quoted, place: self.out.len() });
    }

    /// The documents that were begun on the line before, each up to its end or that of the script.
    fn documents(&mut self, chars: &mut Peekable<Chars<'_>>) {
        let awaited = std::mem::take(&mut self.documents);
        let mut read = Vec::with_capacity(awaited.len());
        for Awaited { end, quoted, place } in awaited {
            let mut text = String::new();
            loop {
                let line: String = chars.by_ref().take_while(|c| *c != '\n').collect();
                self.left = self.left.saturating_sub(line.len() + 1);
                if line.trim_start_matches('\t') == end || (line.is_empty() && chars.peek().is_none()) {
                    break;
                }
                if self.left == 0 || read.len() >= WORDS {
                    self.left = 0;
                    return;
                }
                text.push_str(&line);
                text.push('\n');
            }
            let filled = !quoted && text.contains(['$', '`']);
            let word = Word {
                text: Cow::Owned(text),
                open: filled.then(|| "a shell fills in parts of this document".to_owned()),
                inner: true,
                role: WordRole::Document,
                at: self.at,
                ..Word::default()
            };
            read.push((place, word));
        }
        // It belongs to the command that asked for it, and others may follow on that line.
        for (place, word) in read.into_iter().rev() {
            self.out.insert(place.min(self.out.len()), word);
        }
    }
}
