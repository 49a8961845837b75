//! What a container's command line says once the kubelet and a shell have filled in their variables.

use std::borrow::Cow;

use k8s_openapi::api::core::v1::{EnvFromSource, EnvVar};

use super::heredoc::Awaited;

/// Stands in a word for text that cannot be known.
pub(super) const OPEN: char = '\0';
/// How deep scripts inside scripts are read.
const DEPTH: usize = 4;
/// How many words of one container are read.
pub(super) const WORDS: usize = 4096;
/// How many characters one element may grow to before the rest counts as unknown.
const GROWTH: usize = 256 * 1024;

/// The variables of a container as far as its pod says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Env<'a> {
    pub(super) variables: &'a [EnvVar],
    pub(super) sources: &'a [EnvFromSource],
}

/// What is known of a variable.
enum Value<'a> {
    /// Its text.
    Text(&'a str),
    /// It stands elsewhere.
    Elsewhere(&'static str),
    /// The pod does not set it.
    Unset,
}

impl<'a> Env<'a> {
    fn get(&self, name: &str) -> Value<'a> {
        // The last of several of one name counts, as the kubelet does it.
        if let Some(variable) = self.variables.iter().rev().find(|v| v.name == name) {
            return match (&variable.value, &variable.value_from) {
                (_, Some(_)) => Value::Elsewhere(source(variable)),
                (Some(text), None) => Value::Text(text),
                (None, None) => Value::Text(""),
            };
        }
        let may = |s: &&EnvFromSource| s.prefix.as_deref().is_none_or(|prefix| name.starts_with(prefix));
        match self.sources.iter().find(may) {
            Some(source) if source.secret_ref.is_some() => Value::Elsewhere("a Secret"),
            Some(_) => Value::Elsewhere("a ConfigMap"),
            None => Value::Unset,
        }
    }
}

/// Where the value of a variable with `valueFrom` stands.
pub(super) fn source(variable: &EnvVar) -> &'static str {
    let from = variable.value_from.as_ref();
    if from.is_some_and(|from| from.secret_key_ref.is_some()) {
        "a Secret"
    } else if from.is_some_and(|from| from.config_map_key_ref.is_some()) {
        "a ConfigMap"
    } else {
        "the pod's own fields"
    }
}

/// What a shell does with a word besides handing it to the command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum WordRole {
    /// Nothing.
    #[default]
    Plain,
    /// A command begins with it that reads what the one before it writes.
    Piped,
    /// A command begins with it whose output the one before it reads as a file: `<(curl ...)`.
    Fed,
    /// The command reads it as its input: a here-document or a here-string.
    Document,
    /// The command writes to the file of this name.
    Target,
}

/// One word of a command line.
#[derive(Clone, Debug, Default)]
pub(super) struct Word<'a> {
    /// Its text, with [`OPEN`] for what cannot be known.
    pub(super) text: Cow<'a, str>,
    /// Why part of it cannot be known.
    pub(super) open: Option<String>,
    /// Whether a command starts with it.
    pub(super) starts: bool,
    /// Whether it stands inside a script, so that its element holds other words too.
    pub(super) inner: bool,
    /// What a shell does with it besides.
    pub(super) role: WordRole,
    /// The element that it stands in: which list, and where in it.
    pub(super) at: (usize, usize),
}

/// Fills in `$(NAME)` as the kubelet does: `$$` is one dollar, and what is not set stays as it is written.
pub(super) fn expand<'a>(text: &'a str, env: &Env<'_>) -> (Cow<'a, str>, Option<String>) {
    if !text.contains('$') {
        return (Cow::Borrowed(text), None);
    }
    let mut filled = Filled { text: String::with_capacity(text.len()), open: None, left: GROWTH };
    filled.push(text, env, 0);
    (Cow::Owned(filled.text), filled.open)
}

/// A text whose variables are being filled in.
struct Filled {
    text: String,
    open: Option<String>,
    /// Steps that are left: variables inside variables multiply.
    left: usize,
}

impl Filled {
    fn push(&mut self, text: &str, env: &Env<'_>, depth: usize) {
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            self.text.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            self.left = self.left.saturating_sub(at + 1);
            if self.left == 0 {
                return self.unknown(|| "its variables grow without end".to_owned());
            }
            if let Some(after) = rest.strip_prefix('$') {
                // A shell may still read what the kubelet left of it.
                self.text.push('$');
                rest = after;
                continue;
            }
            let name = rest.strip_prefix('(').and_then(|inner| inner.split_once(')'));
            let Some((name, after)) = name.filter(|(name, _)| is_name(name)) else {
                self.text.push('$');
                continue;
            };
            match env.get(name) {
                Value::Text(value) if depth < DEPTH => self.push(value, env, depth + 1),
                Value::Text(_) => self.unknown(|| format!("variable {name:?} refers to itself")),
                Value::Elsewhere(whence) => {
                    self.unknown(|| format!("variable {name:?} comes from {whence}"));
                }
                Value::Unset => {
                    self.text.push_str("$(");
                    self.text.push_str(name);
                    self.text.push(')');
                }
            }
            rest = after;
        }
        self.left = self.left.saturating_sub(rest.len());
        if self.left == 0 {
            return self.unknown(|| "its variables grow without end".to_owned());
        }
        self.text.push_str(rest);
    }

    fn unknown(&mut self, why: impl FnOnce() -> String) {
        self.text.push(OPEN);
        self.open.get_or_insert_with(why);
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
}

/// Splits a shell script into its words, quotes and variables resolved; scripts inside it are split too.
///
/// `outer` says why the script itself holds text that cannot be known.
pub(super) fn split(
    script: &str,
    outer: Option<&str>,
    env: &Env<'_>,
    at: (usize, usize),
    out: &mut Vec<Word<'_>>,
) {
    let mut shell = Shell {
        env,
        role: WordRole::Plain,
        prepared: false,
        prints: false,
        documents: Vec::new(),
        outer,
        own: Vec::new(),
        at,
        out,
        left: GROWTH,
    };
    shell.read(script, 0);
    if shell.left == 0 {
        let why = Some("it is longer than is read".to_owned());
        shell.out.push(Word { text: OPEN.to_string().into(), open: why, inner: true, at, ..Word::default() });
    }
}

/// Words that only prepare the command that follows.
pub(super) const PREPARES: &[&str] = &[
    "export", "exec", "env", "nohup", "then", "do", "else", "if", "elif", "while", "until", "!", "{", "time",
    "sudo", "command",
];

pub(super) struct Shell<'e, 'o, 'a> {
    env: &'e Env<'e>,
    /// The role of the word that comes next.
    pub(super) role: WordRole,
    /// Whether the word before only prepares a command.
    prepared: bool,
    /// Whether the words belong to a command that only prints them.
    prints: bool,
    /// The here-documents that begin with the next line.
    pub(super) documents: Vec<Awaited>,
    outer: Option<&'e str>,
    /// What the script itself set.
    own: Vec<(String, String)>,
    pub(super) at: (usize, usize),
    pub(super) out: &'o mut Vec<Word<'a>>,
    /// How many characters may still be read: variables inside variables multiply.
    pub(super) left: usize,
}

/// The word that is being read.
#[derive(Default)]
struct Current {
    text: String,
    open: Option<String>,
    begun: bool,
}

impl Shell<'_, '_, '_> {
    fn read(&mut self, script: &str, depth: usize) {
        let mut chars = script.chars().peekable();
        let mut word = Current::default();
        let mut starts = true;
        let mut double = false;
        while let Some(c) = chars.next() {
            self.left = self.left.saturating_sub(1);
            if self.left == 0 {
                return;
            }
            match c {
                '\\' => {
                    if let Some(next) = chars.next().filter(|next| *next != '\n') {
                        word.put(next);
                    }
                }
                '\'' if !double => {
                    word.begun = true;
                    for quoted in chars.by_ref().take_while(|c| *c != '\'') {
                        word.put(quoted);
                    }
                }
                '"' => {
                    word.begun = true;
                    double = !double;
                }
                '$' => {
                    if self.variable(&mut chars, &mut word, depth) && !double {
                        // An unquoted separator from a variable parts words.
                        self.end(&mut word, &mut starts, depth);
                    }
                }
                '`' => word.unknown("it is the output of a command"),
                '#' if !word.begun && !double => {
                    for _ in chars.by_ref().take_while(|c| *c != '\n') {}
                    starts = true;
                }
                OPEN => word.unknown(self.outer.unwrap_or("it is unknown")),
                c if double => word.put(c),
                c if c.is_whitespace() && c != '\n' => self.end(&mut word, &mut starts, depth),
                '\n' | ';' | '|' | '&' | '(' | ')' | '<' | '>' => {
                    self.end(&mut word, &mut starts, depth);
                    starts = !matches!(c, '<' | '>');
                    self.operator(c, &mut chars);
                }
                c => word.put(c),
            }
        }
        self.end(&mut word, &mut starts, depth);
    }

    /// Reads what follows a dollar. True where words part there.
    fn variable(
        &mut self,
        chars: &mut std::iter::Peekable<std::str::Chars<'_>>,
        word: &mut Current,
        depth: usize,
    ) -> bool {
        let mut name = String::new();
        let mut otherwise = None;
        match chars.peek() {
            Some('(') => {
                // The words of the command inside follow as words of their own.
                word.unknown("it is the output of a command");
                return true;
            }
            Some('{') => {
                chars.next();
                let inner: String = chars.by_ref().take_while(|c| *c != '}').collect();
                let end = inner.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(inner.len());
                name.push_str(&inner[..end]);
                let rest = inner[end..].trim_start_matches(':');
                otherwise = rest.strip_prefix('-').or_else(|| rest.strip_prefix('=')).map(str::to_owned);
            }
            _ => {
                while let Some(c) = chars.next_if(|c| c.is_ascii_alphanumeric() || *c == '_') {
                    name.push(c);
                }
                if name.is_empty() {
                    // `$@`, `$*` and the like: the arguments are read as words of their own.
                    chars.next_if(|c| matches!(c, '@' | '*' | '#' | '?' | '$' | '!' | '-'));
                    return false;
                }
            }
        }
        if name == "IFS" {
            return true;
        }
        if name.is_empty() || name.bytes().all(|b| b.is_ascii_digit()) {
            return false;
        }
        word.begun = true;
        if let Some((_, value)) = self.own.iter().rev().find(|(own, _)| *own == name) {
            self.left = self.left.saturating_sub(value.len());
            if self.left > 0 {
                word.text.push_str(value);
            }
            return false;
        }
        match self.env.get(&name) {
            Value::Text(value) => {
                let (value, open) = expand(value, self.env);
                self.left = self.left.saturating_sub(value.len());
                word.open = word.open.take().or(open);
                if value.contains(char::is_whitespace) && depth < DEPTH {
                    self.read(&value, depth + 1);
                } else {
                    word.text.push_str(&value);
                }
            }
            Value::Elsewhere(whence) => word.unknown(&format!("variable {name:?} comes from {whence}")),
            Value::Unset => match otherwise {
                Some(text) => word.text.push_str(&text),
                None => word.unknown(&format!("variable {name:?} is not set in the pod")),
            },
        }
        false
    }

    fn end(&mut self, word: &mut Current, starts: &mut bool, depth: usize) {
        let word = std::mem::take(word);
        if (!word.begun && word.text.is_empty()) || self.out.len() >= WORDS {
            return;
        }
        let role = std::mem::take(&mut self.role);
        if *starts {
            self.prints = matches!(word.text.as_str(), "echo" | "printf");
        }
        if *starts && let Some((name, value)) = word.text.split_once('=').filter(|(name, _)| is_name(name)) {
            self.own.push((name.to_owned(), value.to_owned()));
        }
        let nested = word.text.contains(char::is_whitespace) && depth < DEPTH;
        // After an assignment or a word that only prepares one, the command is still to come.
        let readies = PREPARES.contains(&word.text.as_str());
        // Such as `sudo -E`.
        let prepares = readies || word.text.contains('=') || (self.prepared && word.text.starts_with('-'));
        self.prepared = *starts && (readies || (self.prepared && prepares));
        let inner = nested.then(|| word.text.clone());
        self.out.push(Word {
            text: Cow::Owned(word.text),
            open: word.open,
            starts: *starts,
            inner: true,
            role,
            at: self.at,
        });
        *starts = *starts && prepares;
        if *starts && role == WordRole::Piped {
            self.role = role;
        }
        // What reads a document as its code reads it whole.
        if let Some(script) = inner.filter(|_| role != WordRole::Document) {
            let prints = self.prints;
            let first = self.out.len();
            self.read(&script, depth + 1);
            if prints {
                for word in &mut self.out[first..] {
                    word.starts = false;
                }
            }
            self.prints = prints;
        }
    }
}

impl Current {
    fn put(&mut self, c: char) {
        self.begun = true;
        self.text.push(c);
    }

    fn unknown(&mut self, why: &str) {
        self.begun = true;
        self.text.push(OPEN);
        self.open.get_or_insert_with(|| why.to_owned());
    }
}
