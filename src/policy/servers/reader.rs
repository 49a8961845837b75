//! From the words of a container to what they load and switch on.

use std::borrow::Cow;

use super::forms::{form, is_file, name_of, remote_code, split_revision, tail};
use super::languages::Language;
use super::operand::{Operand, address_of_model};
use super::serve::is_switch;
use super::shell::{self, Env, OPEN, WORDS, Word, WordRole};
use super::table::{self, Flag, Variable};
use super::{Ability, At, ENV, Form, Load, Open, Reading, Seen, Server, Switch, What};

/// Whether the word after this one is a script: `-c`, `-lc`.
fn is_script_flag(word: &str) -> bool {
    word.starts_with('-') && !word.starts_with("--") && word.ends_with('c')
}

fn is_python(program: &str) -> bool {
    name_of(program).starts_with("python")
}

/// Whether a program only starts the one that its other words name.
fn is_wrapper(program: &str) -> bool {
    const WRAPPERS: [&str; 8] =
        ["tini", "dumb-init", "catatonit", "timeout", "nice", "stdbuf", "numactl", "setsid"];
    let name = name_of(program);
    shell::PREPARES.contains(&name) || WRAPPERS.contains(&name)
}

/// Whether a word before the program that a wrapper starts is the wrapper's own: a variable, a switch or a number.
fn is_aside(word: &str) -> bool {
    let variable = word.split_once('=').is_some_and(|(name, _)| !name.contains('/'));
    variable || word.starts_with('-') || word.starts_with(|first: char| first.is_ascii_digit())
}

/// The language of the code that comes after the words so far.
fn code_next(words: &[Word<'_>]) -> Option<Language> {
    let language = Language::of(&words.iter().rfind(|word| word.starts)?.text)?;
    let flag = words.last().filter(|word| !word.inner && !word.starts)?;
    language.is_code_flag(&flag.text).then_some(language)
}

/// The name of a flag in lower case with dashes.
fn dashed(name: &str) -> Cow<'_, str> {
    if name.bytes().any(|b| b == b'_' || b.is_ascii_uppercase()) {
        Cow::Owned(name.replace('_', "-").to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    }
}

/// Reads the words of one container.
pub(super) struct Reader<'a> {
    pub(super) reading: Reading<'a>,
    pub(super) env: Env<'a>,
    pub(super) revision: Option<Cow<'a, str>>,
    /// How many programs enclose what is being read.
    pub(super) depth: usize,
}

impl<'a> Reader<'a> {
    /// The words of several lists that make one command.
    pub(super) fn words(&self, lists: &[(usize, &'a [String])]) -> Vec<Word<'a>> {
        let mut out: Vec<Word<'a>> = Vec::with_capacity(lists.iter().map(|(_, l)| l.len()).sum());
        let mut prepared = true;
        for (list, elements) in lists {
            for (index, element) in elements.iter().enumerate() {
                let (text, open) = shell::expand(element, &self.env);
                let aside = !out.is_empty() && is_aside(&text);
                let starts = prepared && !aside;
                prepared = prepared && (aside || is_wrapper(&text));
                // `-sc` of vLLM takes an object.
                let object =
                    text.starts_with('{') && serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
                let script_next =
                    !object && out.last().is_some_and(|word| !word.inner && is_script_flag(&word.text));
                let joined =
                    !text.starts_with(['-', '{', '[']) && text.contains([' ', '\n', '\t', ';', '&', '|']);
                let at = (*list, index);
                let code = code_next(&out).is_some_and(|language| !language.does(&text).is_empty());
                if out.len() >= WORDS {
                    out.push(Word {
                        text: "\0".into(),
                        open: Some("it has too many words".into()),
                        at,
                        ..Word::default()
                    });
                    return out;
                }
                if code {
                    out.push(Word { text, open, inner: true, at, ..Word::default() });
                } else if script_next || joined {
                    shell::split(&text, open.as_deref(), &self.env, at, &mut out);
                } else {
                    out.push(Word { text, open, starts, at, ..Word::default() });
                }
            }
        }
        out
    }

    pub(super) fn variables(&mut self) {
        for (index, variable) in self.env.variables.iter().enumerate() {
            let at = At { list: ENV, index, inner: false };
            let known = table::variable(&variable.name);
            let Some(value) = variable.value.as_deref() else {
                if known.is_some() && variable.value_from.is_some() {
                    let why = format!("variable {:?} comes from {}", variable.name, shell::source(variable));
                    self.reading.open.push(Open { why, at });
                }
                continue;
            };
            let (value, open) = shell::expand(value, &self.env);
            match known {
                Some(known) => self.variable(&variable.name, known, value, open, at),
                None => self.text(&value, at),
            }
        }
        for (index, source) in self.env.sources.iter().enumerate() {
            let whence = if source.secret_ref.is_some() { "a Secret" } else { "a ConfigMap" };
            let why = format!("every variable in {whence} reaches the program");
            self.reading.open.push(Open { why, at: At { list: usize::MAX, index, inner: false } });
        }
    }

    fn variable(&mut self, name: &str, known: Variable, value: Cow<'a, str>, open: Option<String>, at: At) {
        if let Some(why) = open {
            self.reading.open.push(Open { why, at });
            return;
        }
        let seen =
            |switch| Seen { switch, word: Cow::Owned(format!("{name}={value}")), at, rest: Vec::new() };
        match known {
            Variable::Load(what) => self.load(what, value, false, at),
            Variable::Hub(what) => self.load(what, value, true, at),
            Variable::Loads(what) => {
                for part in value.split(',').map(str::trim) {
                    let path = part.split_once('=').map_or(part, |(_, path)| path);
                    self.load(what, Cow::Owned(path.to_owned()), false, at);
                }
            }
            Variable::Revision => self.revision = Some(value),
            Variable::Cache => self.reading.cache = Some(value),
            Variable::Offline if table::off(&value) => self.reading.switches.push(seen(Switch::Fetch)),
            Variable::Offline => self.reading.offline = true,
            Variable::On(switch) if !table::off(&value) => {
                if name == "VLLM_ALLOW_RUNTIME_LORA_UPDATING" {
                    self.can(Ability::Adapters, seen(switch));
                }
                self.reading.switches.push(seen(switch));
            }
            Variable::Set(switch) if !value.is_empty() => self.reading.switches.push(seen(switch)),
            Variable::On(_) | Variable::Set(_) => {}
            Variable::Words => {
                let mut words = Vec::new();
                shell::split(&value, None, &self.env, (at.list, at.index), &mut words);
                self.line(&words, None);
            }
            Variable::Flag(head) => {
                let text = Cow::Owned(format!("--{}={value}", &name[head.len()..]));
                let seen = self.reading.switches.len();
                self.flag(&[Word { text, at: (at.list, at.index), ..Word::default() }], 0, at);
                for switch in &mut self.reading.switches[seen..] {
                    switch.word = Cow::Owned(format!("{name}={value}"));
                }
            }
        }
    }

    /// A text that a script of the image may pass on.
    pub(super) fn text(&mut self, text: &str, at: At) {
        if let Some(word) = remote_code(text) {
            let at = At { inner: true, ..at };
            self.reading.switches.push(Seen {
                switch: Switch::RemoteCode,
                word: Cow::Owned(word.to_owned()),
                at,
                rest: Vec::new(),
            });
        }
    }

    pub(super) fn load(&mut self, what: What, value: Cow<'a, str>, hub: bool, at: At) {
        self.push(what, value, hub, at, false);
    }

    /// What a program serves or fetches by its operand.
    pub(super) fn operand(&mut self, value: Cow<'a, str>, fetches: bool, at: At) {
        let hub = fetches && form(&value) != Form::Address;
        self.push(What::Model, value, hub, at, fetches);
    }

    fn push(&mut self, what: What, value: Cow<'a, str>, hub: bool, at: At, download: bool) {
        let trimmed = value.trim();
        // Some flags take the name of a mode as well, and a program without a model names none.
        if trimmed.is_empty()
            || (what == What::Part && matches!(trimmed, "auto" | "slow" | "mistral" | "none" | "vllm"))
        {
            return;
        }
        let (value, revision) = split_revision(value);
        let form = if hub && !value.contains("://") { Form::Hub } else { form(&value) };
        self.reading.loads.push(Load { what, value, form, revision, at, download });
    }

    /// One command line.
    pub(super) fn line(&mut self, words: &[Word<'a>], entry: Option<Server>) {
        let mut operand = Operand::entry(entry);
        let mut python = false;
        let mut language = None;
        let mut ollama = entry == Some(Server::Ollama);
        let mut skip = 0;
        for (index, word) in words.iter().enumerate() {
            if word.role == WordRole::Document {
                self.text(&word.text, At { list: word.at.0, index: word.at.1, inner: true });
                continue;
            }
            let at = At { list: word.at.0, index: word.at.1, inner: word.inner };
            if word.starts {
                python = is_python(&word.text);
                language = Language::of(&word.text);
                ollama = name_of(&word.text) == "ollama" || (index == 0 && ollama);
                if index > 0 {
                    std::mem::take(&mut operand).finish(self);
                }
            }
            if let Some(server) = table::program(&word.text).filter(|_| word.starts || python) {
                self.reading.server.get_or_insert(server);
            }
            if skip > 0 {
                skip -= 1;
                continue;
            }
            let after = |language: Language| index > 0 && language.is_code_flag(&words[index - 1].text);
            let joined = word.text.strip_prefix("-c").filter(|code| python && !code.is_empty());
            let script = joined.or_else(|| language.filter(|l| after(*l)).map(|_| &*word.text));
            if let (Some(language), Some(script)) = (language, script)
                && self.code(language, script, at)
            {
                continue;
            }
            if ollama && word.text == "create" {
                let why = "what the model is made of stands in the Modelfile of ollama create".to_owned();
                self.reading.open.push(Open { why, at });
            }
            let bare_flag = words[..index].last().is_some_and(|before| {
                let name = before.text.trim_start_matches('-');
                let long = before.text.starts_with("--");
                let meaning = table::meaning(name, long, self.reading.server);
                let switch = matches!(meaning, Some(Flag::On(_) | Flag::Offline | Flag::Can(_)));
                before.text.starts_with('-') && !before.text.contains('=') && before.text.len() > 1 && !switch
            });
            if let Some(why) = word.open.as_ref().filter(|_| word.text.starts_with(OPEN)) {
                // What starts with the unknown may be any switch.
                self.reading.open.push(Open { why: why.clone(), at });
            } else if word.text.starts_with('-') && word.text.len() > 1 {
                skip = self.flag(words, index, at);
            } else {
                let of_flag = bare_flag && !is_switch(&words[index - 1].text);
                if operand.served(word, of_flag) && form(&word.text) != Form::Address {
                    self.reading.served.get_or_insert_with(|| (word.text.clone(), at));
                }
                self.plain(word, at, &mut operand, bare_flag);
            }
        }
        operand.finish(self);
        if !words.is_empty() {
            self.runs(words);
        }
    }

    /// A word that is no flag: an assignment, an operand of a program, or an address.
    fn plain(&mut self, word: &Word<'a>, at: At, operand: &mut Operand<'a>, after_flag: bool) {
        if word.inner
            && let Some((name, value)) = word.text.split_once('=')
            && let Some(known) = table::variable(name)
        {
            self.variable(name, known, Cow::Owned(value.to_owned()), word.open.clone(), at);
            return;
        }
        self.text(&word.text, at);
        let here = Load {
            what: What::Model,
            form: form(&word.text),
            value: word.text.clone(),
            revision: None,
            at,
            download: false,
        };
        if operand.take(word, after_flag, &here) {
            self.operand(here.value, operand.fetches, at);
        } else if let Some(address) = address_of_model(&word.text, operand, after_flag) {
            let (value, revision) = split_revision(Cow::Owned(address.to_owned()));
            self.reading.loads.push(Load {
                value,
                revision,
                form: Form::Address,
                download: operand.copies(),
                ..here
            });
        }
    }

    /// A flag. Returns how many words after it belong to it.
    fn flag(&mut self, words: &[Word<'a>], index: usize, at: At) -> usize {
        let word = &words[index];
        let (name, joined) = match word.text.find('=') {
            Some(end) => (&word.text[..end], Some(end + 1)),
            None => (&word.text[..], None),
        };
        let short = !name.starts_with("--");
        let name = name.trim_start_matches('-');
        let name = dashed(name);
        let next = words.get(index + 1).filter(|next| !next.starts && !next.text.starts_with('-'));
        let value: Option<Cow<'a, str>> = match joined {
            Some(start) => Some(tail(&word.text, start)),
            None => next.map(|next| next.text.clone()),
        };
        let (value_at, value_open) = match (joined, next) {
            (None, Some(next)) => {
                (At { list: next.at.0, index: next.at.1, inner: next.inner }, next.open.as_ref())
            }
            _ => (at, word.open.as_ref()),
        };
        let taken = usize::from(joined.is_none() && next.is_some());
        let meaning = if short && name == "m" {
            let loads = |v: &Cow<'_, str>| v.contains('/') || is_file(v);
            value.as_ref().is_some_and(loads).then_some(Flag::Load(What::Model))
        } else {
            table::written(&name, short, self.reading.server)
        };
        let Some(meaning) = meaning else {
            self.text(&word.text, at);
            return 0;
        };
        let on = |switch, rest| Seen { switch, word: word.text.clone(), at, rest };
        let separate = || if joined.is_none() { vec![value_at] } else { Vec::new() };
        let takes_value = !matches!(
            meaning,
            Flag::On(_)
                | Flag::Can(_)
                | Flag::Takes(_)
                | Flag::Parts
                | Flag::Offline
                | Flag::File
                | Flag::Further
                | Flag::Partner
        );
        if takes_value && value.as_ref().is_some_and(|value| value.contains(OPEN)) {
            let why = value_open.cloned().unwrap_or_else(|| "it is unknown".to_owned());
            self.reading.open.push(Open { why, at: value_at });
            return taken;
        }
        match (meaning, value) {
            (Flag::On(switch), value) => {
                let off = joined.is_some() && value.is_some_and(|value| table::off(&value));
                if !off {
                    self.reading.switches.push(on(switch, Vec::new()));
                }
                return 0;
            }
            (Flag::Can(ability), value) => {
                if joined.is_none() || !value.is_some_and(|value| table::off(&value)) {
                    self.can(ability, on(Switch::OnRequest, Vec::new()));
                }
                return 0;
            }
            (Flag::Takes(ability), Some(value)) if !table::off(&value) => {
                self.can(ability, on(Switch::OnRequest, separate()));
            }
            (Flag::Parts, Some(value)) => self.parts(&value, &on(Switch::OnRequest, separate())),
            (Flag::Offline, _) => {
                self.reading.offline = true;
                return 0;
            }
            (Flag::With(switch, bad), Some(value))
                if bad.iter().any(|bad| value.eq_ignore_ascii_case(bad)) =>
            {
                self.reading.switches.push(on(switch, separate()));
            }
            (Flag::Any(switch), Some(value)) if !table::off(&value) && !matches!(&*value, "auto" | "[]") => {
                return self.plugin(on(switch, separate()), &words[index + 1 + taken..], taken);
            }
            (Flag::Partner, _) => {
                self.reading.partners.push(at);
                self.reading.partners.extend(separate().into_iter().filter(|_| taken > 0));
            }
            (Flag::File | Flag::Further, Some(value))
                if meaning == Flag::Further || self.reading.server.is_some() =>
            {
                let why = format!("further arguments stand in the file {value:?}");
                self.reading.open.push(Open { why, at: value_at });
            }
            (Flag::Load(what), Some(value)) => self.load(what, value, false, value_at),
            (Flag::Hub(what), Some(value)) => self.load(what, value, true, value_at),
            (Flag::Scaled(what), Some(value)) => self.scaled(what, &value, value_at),
            (Flag::Json(known, what), Some(value)) => self.object(known, what, &value, value_at),
            (Flag::Loads(what), Some(value)) => {
                return self.several(what, &value, words, index, value_at, taken);
            }
            (Flag::Revision, Some(value)) => self.revision = Some(value),
            (Flag::Cache, Some(value)) => self.reading.cache = Some(value),
            _ => {}
        }
        taken
    }
}
