//! What looks like a credential: names that announce one, and values of a known shape. Values are never repeated.

/// Words that end a name which holds the credential itself.
const SECRETS: [&str; 9] =
    ["PASSWORD", "PASSWD", "PASSPHRASE", "PWD", "SECRET", "SECRETS", "CREDENTIAL", "CREDENTIALS", "APIKEY"];
/// Words behind which a name speaks about a credential and does not hold it.
const ABOUT: [&str; 54] = [
    "FILE",
    "PATH",
    "DIR",
    "NAME",
    "NAMES",
    "ID",
    "REF",
    "ARN",
    "URL",
    "URI",
    "HOST",
    "ENDPOINT",
    "HEADER",
    "TTL",
    "LENGTH",
    "SIZE",
    "LIMIT",
    "COUNT",
    "TYPE",
    "KIND",
    "FORMAT",
    "ALGORITHM",
    "PREFIX",
    "SUFFIX",
    "POLICY",
    "ISSUER",
    "AUDIENCE",
    "SCOPE",
    "EXPIRY",
    "EXPIRATION",
    "TIMEOUT",
    "ENABLED",
    "REQUIRED",
    "MOUNT",
    "VERSION",
    "MANAGER",
    "BACKEND",
    "STORE",
    "PROVIDER",
    "PROJECT",
    "REGION",
    "ROTATION",
    "INTERVAL",
    "FIELD",
    "SERVICE",
    "SOURCE",
    "ENGINE",
    "NAMESPACE",
    "MODE",
    "CLASS",
    "STRATEGY",
    "STDIN",
    "ENV",
    "VAR",
];
/// Words before TOKEN and KEY that make them no credential: the markers of language models, and the keys of tables.
const HARMLESS: [&str; 40] = [
    "EOS",
    "BOS",
    "PAD",
    "UNK",
    "MASK",
    "SEP",
    "CLS",
    "STOP",
    "START",
    "END",
    "MAX",
    "MIN",
    "IMAGE",
    "TEXT",
    "SPECIAL",
    "EXTRA",
    "NEXT",
    "PER",
    "FIRST",
    "LAST",
    "SORT",
    "CACHE",
    "PRIMARY",
    "FOREIGN",
    "PARTITION",
    "PUBLIC",
    "ROUTING",
    "LABEL",
    "GROUP",
    "INDEX",
    "ORDER",
    "SHARD",
    "MESSAGE",
    "CONFIG",
    "LOOKUP",
    "OBJECT",
    "JSON",
    "PROMPT",
    "INPUT",
    "OUTPUT",
];
/// What a shell takes off a word.
const QUOTES: [char; 2] = ['"', '\''];
/// Values that stand for nothing.
const NOTHING: [&str; 5] = ["", "empty", "none", "null", "n/a"];

/// Beginnings of issued credentials: the prefix, how many more characters there are at least, and whose it is.
const SHAPES: [(&str, usize, &str); 23] = [
    ("AKIA", 16, "an AWS access key"),
    ("ASIA", 16, "an AWS access key"),
    ("AIza", 30, "a Google API key"),
    ("ya29.", 20, "a Google access token"),
    ("ghp_", 20, "a GitHub token"),
    ("gho_", 20, "a GitHub token"),
    ("ghu_", 20, "a GitHub token"),
    ("ghs_", 20, "a GitHub token"),
    ("ghr_", 20, "a GitHub token"),
    ("github_pat_", 20, "a GitHub token"),
    ("glpat-", 16, "a GitLab token"),
    ("hf_", 20, "a Hugging Face token"),
    ("sk-", 16, "an API key of a model provider"),
    ("sk_live_", 16, "a payment key"),
    ("nvapi-", 20, "an NVIDIA API key"),
    ("xoxb-", 10, "a Slack token"),
    ("xoxp-", 10, "a Slack token"),
    ("xoxa-", 10, "a Slack token"),
    ("xoxs-", 10, "a Slack token"),
    ("npm_", 30, "an npm token"),
    ("SG.", 30, "a SendGrid key"),
    ("dckr_pat_", 20, "a Docker token"),
    ("hvs.", 20, "a Vault token"),
];

/// Whether a variable, flag or annotation of this name holds a credential: `HF_TOKEN`, `--api-key`, `dbPassword`.
#[must_use]
pub fn named(name: &str) -> bool {
    let words = words_of(name);
    let Some((last, before)) = words.split_last() else { return false };
    let says = words.iter().any(|word| SECRETS.contains(&word.as_str()) && word != "PWD")
        || words.iter().any(|word| word.ends_with("PASSWORD") || word.ends_with("APIKEY"))
        || match last.as_str() {
            // PWD and OLDPWD of a shell name a folder.
            "PWD" => !before.is_empty(),
            "TOKEN" => before.last().is_none_or(|word| !HARMLESS.contains(&word.as_str())),
            // A bare key may be that of any table.
            "KEY" => before.last().is_some_and(|word| !HARMLESS.contains(&word.as_str())),
            "AUTHORIZATION" => true,
            _ => false,
        };
    says && !ABOUT.contains(&last.as_str())
}

/// Whether `value`, found under a name for which [`named`] holds, is the credential itself and no reference, path,
/// address, switch or number. Passwords may be numbers.
#[must_use]
pub fn literal(name: &str, value: &str) -> bool {
    let value = value.trim();
    if NOTHING.contains(&value.to_ascii_lowercase().as_str()) || refers(value) {
        return false;
    }
    if value.contains("://") {
        return in_url(value);
    }
    if is_path(value) || value.eq_ignore_ascii_case("true") || value.eq_ignore_ascii_case("false") {
        return false;
    }
    let number = value.parse::<f64>().is_ok();
    let countable = matches!(words_of(name).last().map(String::as_str), Some("TOKEN" | "KEY"));
    !(number && countable && value.len() < 8)
}

/// What kind of credential stands in `text`, by its shape, whatever its name.
#[must_use]
pub fn shaped(text: &str) -> Option<&'static str> {
    if text.contains("-----BEGIN ") && text.contains("PRIVATE KEY") {
        return Some("a private key");
    }
    if text.contains("://") && in_url(text) {
        return Some("a password in an address");
    }
    text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))).find_map(|word| {
        if is_jwt(word) {
            return Some("a signed token");
        }
        SHAPES.iter().find_map(|(prefix, least, what)| {
            let rest = word.strip_prefix(prefix)?;
            let issued = rest.len() >= *least && rest.bytes().any(|b| b.is_ascii_digit());
            issued.then_some(*what)
        })
    })
}

/// Whether `words`, the words of a command line in order, hand over a credential by a flag, an assignment or a header.
///
/// Returns the name under which it is handed over.
#[must_use]
pub fn handed_over<'a>(words: &[&'a str]) -> Option<&'a str> {
    // What a shell fills in is not written down.
    let written = |name: &str, value: &str| {
        let value = value.trim_matches(QUOTES);
        !value.starts_with(['$', '`']) && literal(name, value)
    };
    for (index, word) in words.iter().enumerate() {
        let next = words.get(index + 1).copied().unwrap_or_default();
        if let Some((name, value)) = word.split_once('=') {
            if named(name) && written(name, value) {
                return Some(name);
            }
        } else if let Some(flag) = word.strip_prefix('-') {
            if named(flag) && !next.starts_with('-') && written(flag, next) {
                return Some(word);
            }
        } else if let Some(name) = word.strip_suffix(':').filter(|name| named(name)) {
            let scheme = ["bearer", "basic", "token"].iter().any(|s| next.eq_ignore_ascii_case(s));
            let value = if scheme { words.get(index + 2).copied().unwrap_or_default() } else { next };
            // Sentences speak of a token too; headers have a dash in their name, and credentials more than letters.
            let meant = scheme || name.contains('-') || value.bytes().any(|b| b.is_ascii_digit());
            if meant && written(name, value) {
                return Some(name.trim_matches(|c: char| !c.is_ascii_alphanumeric()));
            }
        }
    }
    None
}

/// The words of a shell line or an argument.
pub fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c.is_whitespace() || matches!(c, ';' | '|' | '&' | '?' | ','))
        .filter(|word| !word.is_empty())
        .map(|word| word.trim_matches(QUOTES))
}

/// `openai.apiKey` and `OPENAI_API_KEY` alike become OPENAI, API, KEY; a word made of several, such as APIKEY, stays.
fn words_of(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut lower = false;
    for c in name.chars() {
        if !c.is_ascii_alphanumeric() {
            words.push(String::new());
            lower = false;
            continue;
        }
        if c.is_ascii_uppercase() && lower {
            words.push(String::new());
        }
        lower = c.is_ascii_lowercase() || c.is_ascii_digit();
        if let Some(word) = words.last_mut() {
            word.push(c.to_ascii_uppercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// `$(NAME)`, `$NAME`, `${NAME}` and `{{ template }}`: filled in from elsewhere.
fn refers(value: &str) -> bool {
    let whole = |open: &str, close: &str| {
        value.strip_prefix(open).and_then(|v| v.strip_suffix(close)).is_some_and(|v| !v.contains(close))
    };
    let variable =
        |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    whole("$(", ")") || whole("${", "}") || whole("{{", "}}") || value.strip_prefix('$').is_some_and(variable)
}

fn is_path(value: &str) -> bool {
    let rooted = ["/", "./", "../", "~/"].iter().any(|root| value.starts_with(root));
    rooted && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._-~@".contains(&b))
}

fn is_jwt(word: &str) -> bool {
    let mut parts = word.split('.');
    let head = parts.next().unwrap_or_default();
    let body = parts.next().unwrap_or_default();
    head.starts_with("eyJ") && head.len() >= 16 && body.starts_with("eyJ") && parts.next().is_some()
}

/// Whether an address carries a password before its host, or a credential in its query.
fn in_url(text: &str) -> bool {
    text.match_indices("://").any(|(at, mark)| {
        let rest = &text[at + mark.len()..];
        let address =
            rest.split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'')).next().unwrap_or_default();
        let authority = address.split(['/', '?', '#']).next().unwrap_or_default();
        let user_info = authority.rsplit_once('@').map(|(user, _)| user).unwrap_or_default();
        let password = user_info.split_once(':').map(|(_, password)| password).unwrap_or_default();
        let query = address.split_once('?').map(|(_, query)| query).unwrap_or_default();
        let in_query = query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .any(|(name, value)| named(name) && !value.contains("://") && literal(name, value));
        (!password.is_empty() && !refers(password)) || in_query
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_credentials_are_told_from_names_about_them() {
        for name in [
            "HF_TOKEN",
            "OPENAI_API_KEY",
            "openaiApiKey",
            "APIKEY",
            "DB_PASSWORD",
            "dbPassword",
            "PGPASSWORD",
            "MYSQL_PWD",
            "CLIENT_SECRET",
            "--token",
            "api-key",
            "AWS_SECRET_ACCESS_KEY",
            "TOKEN",
            "WANDB_KEY",
            "Authorization",
            "SECRET_KEY_BASE",
            "authToken",
        ] {
            assert!(named(name), "{name}");
        }
        for name in [
            "HF_TOKEN_PATH",
            "PWD",
            "EOS_TOKEN",
            "--pad-token",
            "MAX_TOKENS",
            "TOKENIZER",
            "TOKENIZERS_PARALLELISM",
            "SORT_KEY",
            "CACHE_KEY",
            "PASSWORD_FILE",
            "SECRET_NAME",
            "KEYCLOAK_URL",
            "MONKEY",
            "MODEL",
            "PUBLIC_KEY",
            "",
            "PASSWORD_MIN_LENGTH",
            "SECRET_MANAGER",
            "--password-stdin",
            "key",
        ] {
            assert!(!named(name), "{name}");
        }
    }

    #[test]
    fn literals_are_told_from_references_paths_numbers_and_addresses() {
        for (name, value) in [
            ("HF_TOKEN", "abcdef"),
            ("PASSWORD", "123456"),
            ("PASSWORD", "pa$$word"),
            ("API_KEY", "12345678901234567890"),
            ("TOKEN", "prefix-$(REST)"),
            ("DB_PASSWORD", "https://u:secret@host/db"),
        ] {
            assert!(literal(name, value), "{name}={value}");
        }
        for (name, value) in [
            ("HF_TOKEN", ""),
            ("OPENAI_API_KEY", "EMPTY"),
            ("HF_TOKEN", "$(OTHER)"),
            ("HF_TOKEN", "${OTHER}"),
            ("HF_TOKEN", "$OTHER"),
            ("TLS_KEY", "/etc/tls/tls.key"),
            ("MAX_TOKEN", "512"),
            ("USE_TOKEN", "true"),
            ("SECRET", "https://vault.example/v1/secret"),
        ] {
            assert!(!literal(name, value), "{name}={value}");
        }
    }

    #[test]
    fn shapes_are_known_whatever_the_name() {
        for (text, what) in [
            ("AKIAIOSFODNN7EXAMPLE", "an AWS access key"),
            ("x=ghp_0123456789abcdefghij0123456789abcdef", "a GitHub token"),
            ("hf_abcdefghij0123456789abc", "a Hugging Face token"),
            ("Bearer sk-demo-3f9a81c27be64d05", "an API key of a model provider"),
            ("postgres://app:hunter2@db/chat", "a password in an address"),
            ("https://api.example/v1?api_key=abcdef", "a password in an address"),
            ("-----BEGIN EC PRIVATE KEY-----\nMHc", "a private key"),
            ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "a signed token"),
        ] {
            assert_eq!(shaped(text), Some(what), "{text}");
        }
        for text in [
            "sk-learn-contrib-with-long-names",
            "https://example.com/a:b@c",
            "postgres://app@db/chat",
            "postgres://app:$(PASSWORD)@db/chat",
            "-----BEGIN CERTIFICATE-----",
            "hf_transfer",
            "eyJ",
            "/models/chat-7b",
            "registry.example/app@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "",
        ] {
            assert_eq!(shaped(text), None, "{text}");
        }
    }

    #[test]
    fn command_lines_are_read_by_words() {
        let of = |line: &str| handed_over(&words(line).collect::<Vec<_>>()).map(str::to_owned);
        for (line, name) in [
            ("serve --api-key=abcdef", "--api-key"),
            ("serve --token abcdef", "--token"),
            ("export HF_TOKEN='abcdef'; serve", "HF_TOKEN"),
            ("curl -H 'Authorization: Bearer abcdef' host", "Authorization"),
            ("curl -H 'X-Api-Key: abcdef' host", "X-Api-Key"),
            ("serve --config '{\"password\": \"hunter2\"}'", "password"),
        ] {
            assert_eq!(of(line).as_deref(), Some(name), "{line}");
        }
        for line in [
            "serve --api-key=$(API_KEY)",
            "serve --token $TOKEN --port 1",
            "serve --tls-key /etc/tls.key",
            "serve --token",
            "serve --eos-token </s>",
            "serve --max-tokens 512",
            "curl -H \"Authorization: Bearer $TOKEN\"",
        ] {
            assert_eq!(of(line), None, "{line}");
        }
    }
}
