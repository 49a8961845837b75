//! What a command line runs that does not stand in the image: what it pipes, writes, fetches or installs first.

use std::borrow::Cow;

use super::forms::name_of;
use super::languages::{Language, addresses, is_own};
use super::operand::COPIERS;
use super::reader::Reader;
use super::shell::{self, OPEN, PREPARES, Word, WordRole};
use super::{At, Open, Seen, Switch, scripts};

/// How deep programs inside programs are read.
const DEPTH: usize = 4;
/// How many files that a script writes or fetches are remembered.
const FILES: usize = 64;
/// The programs that install others, with the words that make them do so; without any, they always do.
const INSTALLERS: &[(&str, &[&str])] = &[
    ("pip", &["install", "download", "wheel"]),
    ("uv", &["install", "add", "sync", "--with"]),
    ("uvx", &[]),
    ("pipx", &["install", "run"]),
    ("poetry", &["install", "add"]),
    ("conda", &["install", "create", "update"]),
    ("mamba", &["install", "create", "update"]),
    ("micromamba", &["install", "create", "update"]),
    ("apt", &["install", "upgrade"]),
    ("apt-get", &["install", "upgrade", "dist-upgrade"]),
    ("apk", &["add"]),
    ("dnf", &["install"]),
    ("microdnf", &["install"]),
    ("tdnf", &["install"]),
    ("yum", &["install"]),
    ("zypper", &["install", "in"]),
    ("npm", &["install", "i", "ci", "add", "exec"]),
    ("npx", &[]),
    ("yarn", &["install", "add", "dlx"]),
    ("pnpm", &["install", "i", "add", "dlx"]),
    ("gem", &["install"]),
    ("cargo", &["install"]),
    ("go", &["install", "get"]),
    ("cpanm", &[]),
];
/// Words by which an installer fetches nothing.
const OFFLINE: &[&str] = &["--no-index", "--offline", "--no-network", "--dry-run", "--version", "--help"];

/// What a script has written or fetched so far.
#[derive(Default)]
struct Files<'w, 'a> {
    written: Vec<(&'w str, &'w Word<'a>)>,
    fetched: Vec<&'w str>,
}

impl<'a> Reader<'a> {
    /// Judges what the commands of a line run.
    pub(super) fn runs(&mut self, words: &[Word<'a>]) {
        let starts: Vec<usize> =
            (0..words.len()).filter(|index| *index == 0 || words[*index].starts).collect();
        let commands: Vec<&[Word<'a>]> = starts
            .iter()
            .enumerate()
            .map(|(n, start)| &words[*start..starts.get(n + 1).copied().unwrap_or(words.len())])
            .collect();
        let mut files = Files::default();
        let mut folder = None;
        for (index, command) in commands.iter().enumerate() {
            if command[0].text == "cd" && command[0].inner {
                folder = command.get(1).map(|word| word.text.to_string());
            }
            self.files_run(command, folder.as_deref());
            self.installs(command);
            self.stands(command, &mut files);
            self.program(&commands, index, &files);
            if files.fetched.len() < FILES && copier(command) {
                files.fetched.extend(command[1..].iter().filter_map(|word| saved(&word.text)));
            }
        }
    }

    /// Notes the files that a command runs: itself, what a program of scripts reads, and what is code by its name.
    fn files_run(&mut self, command: &[Word<'a>], folder: Option<&str>) {
        let first = &command[0];
        let reads = Language::of(&first.text).is_some() || matches!(&*first.text, "." | "source");
        let mut operand = reads;
        for (index, word) in command.iter().enumerate() {
            let flag = word.text.starts_with('-');
            let text =
                if flag { word.text.split_once('=').map_or("", |(_, value)| value) } else { &word.text };
            let text = text.trim_start_matches('@');
            let plain = word.role == WordRole::Plain || index == 0;
            let named = index == 0 && text.contains('/') || scripts::is_code(text);
            let read = index > 0 && plain && !flag && std::mem::take(&mut operand);
            if !(named || read)
                || text.is_empty()
                || text.contains(OPEN)
                || text.contains(char::is_whitespace)
            {
                continue;
            }
            if self.reading.programs.len() >= FILES {
                return;
            }
            let from = folder.filter(|_| !text.starts_with('/'));
            let path = from.map_or_else(|| text.to_owned(), |folder| format!("{folder}/{text}"));
            self.reading.programs.push((Cow::Owned(path), place(word)));
        }
    }

    /// A command that installs programs.
    fn installs(&mut self, command: &[Word<'a>]) {
        let words: Vec<&str> = command.iter().map(|word| &*word.text).collect();
        let module = Language::of(words[0]) == Some(Language::Python)
            && words.windows(2).any(|pair| pair == ["-m", "pip"]);
        let name = if module { "pip" } else { name_of(words[0]) };
        let plain = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
        let known = INSTALLERS.iter().find(|(program, _)| *program == name || *program == plain);
        let Some((_, acts)) = known else { return };
        let mut own = words[1..].iter().filter(|word| !matches!(**word, "-m" | "pip" | "tool"));
        let does = acts.is_empty() || own.clone().take(4).any(|word| acts.contains(word));
        if !does || own.next() == Some(&"run") && !acts.contains(&"--with") && !acts.contains(&"run") {
            return;
        }
        let none = self.env.variables.iter().any(|variable| {
            variable.name == "PIP_NO_INDEX" && plain == "pip" && variable.value.as_deref() == Some("1")
        });
        if !none && !words.iter().any(|word| OFFLINE.contains(word)) {
            let act = words[1..].iter().find(|word| acts.contains(*word)).copied().unwrap_or_default();
            self.found(Switch::Install, format!("{name} {act}").trim_end(), &command[0]);
        }
    }

    /// Files that a command writes from what stands in the script.
    fn stands<'w>(&mut self, command: &'w [Word<'a>], files: &mut Files<'w, 'a>) {
        let Some(text) = command.iter().find(|word| word.role == WordRole::Document) else { return };
        let tee = name_of(&command[0].text) == "tee";
        let target = command.iter().find(|word| {
            word.role == WordRole::Target
                || (tee && !word.starts && word.role == WordRole::Plain && !word.text.starts_with('-'))
        });
        let Some(target) = target else { return };
        if let Some(language) = Language::of_file(&target.text, &text.text) {
            self.judge(language, text);
        } else if files.written.len() < FILES {
            files.written.push((&target.text, text));
        }
    }

    /// What a command runs, where it runs a program in a language of scripts.
    fn program(&mut self, commands: &[&[Word<'a>]], index: usize, files: &Files<'_, 'a>) {
        let command = commands[index];
        let first = &command[0];
        let sources = matches!(&*first.text, "." | "source" | "eval");
        let language = Language::of(&first.text).or(sources.then_some(Language::Shell));
        let mut later = commands[index + 1..].iter();
        let next = later.find(|command| command.len() > 1 || !command[0].text.starts_with(OPEN));
        let next = next.filter(|next| copier(next));
        let Some(language) = language else {
            let fetched = files.fetched.iter().any(|file| same(&first.text, file));
            if fetched && first.text.contains('/') {
                self.found(Switch::Downloaded, &first.text, first);
            }
            return;
        };
        let flag = command[1..].iter().position(|word| language.is_code_flag(&word.text));
        let hidden = |word: &Word<'_>| word.text.contains(OPEN);
        let put_in = (flag.is_some() || sources) && command[1..].iter().any(hidden);
        if let Some(next) = next.filter(|next| put_in || next[0].role == WordRole::Fed) {
            self.found(Switch::Downloaded, name_of(&next[0].text), &next[0]);
            return;
        }
        let mut operands = command[1..]
            .iter()
            .filter(|word| word.role == WordRole::Plain && (!word.text.starts_with('-') || word.text == "-"));
        let operand = operands.next().filter(|word| !matches!(&*word.text, "-" | "/dev/stdin"));
        if let Some(file) = operand.filter(|_| flag.is_none()) {
            if files.fetched.iter().any(|fetched| same(&file.text, fetched)) {
                self.found(Switch::Downloaded, &file.text, file);
            }
            for (_, text) in files.written.iter().filter(|(name, _)| same(&file.text, name)) {
                self.judge(language, text);
            }
        }
        let from_input = language == Language::Shell && command.iter().any(|word| word.text == "-s");
        if flag.is_some() || sources || (operand.is_some() && !from_input) {
            return;
        }
        let mut documents = command.iter().filter(|word| word.role == WordRole::Document).peekable();
        if documents.peek().is_some() {
            documents.for_each(|text| self.judge(language, text));
        } else if first.role == WordRole::Piped && index > 0 {
            let mut before = commands[..index].iter().rev();
            let writer = before.find(|command| command.len() > 1 || !PREPARES.contains(&&*command[0].text));
            if let Some(writer) = writer {
                self.piped(language, first, writer);
            }
        }
    }

    /// A program that comes through a pipe.
    fn piped(&mut self, language: Language, reader: &Word<'a>, writer: &[Word<'a>]) {
        let mut documents = writer.iter().filter(|word| word.role == WordRole::Document).peekable();
        if copier(writer) {
            self.found(Switch::Downloaded, name_of(&writer[0].text), &writer[0]);
        } else if documents.peek().is_some() {
            documents.for_each(|text| self.judge(language, text));
        } else if matches!(&*writer[0].text, "echo" | "printf") {
            // The words of a text that is parted by spaces follow it.
            let whole = |word: &&Word<'_>| word.text.contains(char::is_whitespace);
            let texts = &writer[1..];
            let any = texts.iter().any(|word| whole(&word));
            texts.iter().filter(|word| !any || whole(word)).for_each(|text| self.judge(language, text));
        } else {
            let why = format!("what {:?} runs comes through a pipe", name_of(&reader.text));
            self.reading.open.push(Open { why, at: place(reader) });
        }
    }

    /// A program that stands in the pod.
    fn judge(&mut self, language: Language, text: &Word<'a>) {
        let at = place(text);
        let why = match &text.open {
            Some(why) => Some(why.clone()),
            None if self.depth >= DEPTH => Some("it holds scripts inside scripts".to_owned()),
            None => None,
        };
        if let Some(why) = why {
            self.reading.open.push(Open { why, at });
        }
        if self.depth >= DEPTH {
            return;
        }
        if language == Language::Shell {
            self.depth += 1;
            let mut words = Vec::new();
            shell::split(&text.text, text.open.as_deref(), &self.env, text.at, &mut words);
            self.line(&words, None);
            self.depth -= 1;
        } else {
            self.code(language, &text.text, at);
        }
    }

    fn found(&mut self, switch: Switch, what: &str, word: &Word<'a>) {
        self.reading.switches.push(Seen {
            switch,
            word: Cow::Owned(what.to_owned()),
            at: At { inner: true, ..place(word) },
            rest: Vec::new(),
        });
    }
}

fn place(word: &Word<'_>) -> At {
    At { list: word.at.0, index: word.at.1, inner: word.inner }
}

/// Whether a command fetches files from elsewhere than the pod itself.
fn copier(command: &[Word<'_>]) -> bool {
    if !COPIERS.contains(&name_of(&command[0].text)) {
        return false;
    }
    let mut all = command[1..].iter().flat_map(|word| addresses(&word.text)).peekable();
    let bare = |word: &Word<'_>| is_own(&word.text);
    let own = all.peek().is_some() || command[1..].iter().any(bare);
    !own || all.any(|address| !is_own(address))
}

/// The name under which a program that fetches may save something, by one of its words.
fn saved(word: &str) -> Option<&str> {
    let name = match word.split_once("://") {
        Some((_, rest)) => {
            let path = rest.split(['?', '#']).next().unwrap_or_default();
            path.trim_end_matches('/').rsplit_once('/')?.1.trim_end_matches(".git")
        }
        None => word,
    };
    let word = matches!(name, "" | "." | ".." | "/" | "clone" | "cp" | "copy" | "get");
    (!word && !name.starts_with('-')).then_some(name)
}

/// Whether a program is the file of this name, or lies in that folder.
fn same(program: &str, name: &str) -> bool {
    let (program, name) = (program.trim_start_matches("./"), name.trim_start_matches("./"));
    let below = program.strip_prefix(name.trim_end_matches('/'));
    below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) || name_of(program) == name
}
