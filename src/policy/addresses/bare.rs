//! Hosts that a value names without a scheme: by number, with a port, or alone where the name of the value says that it is one.

use std::net::IpAddr;

/// Names, in whole, of values that say where a program itself listens or is found.
const OWN: [&str; 4] = ["host", "hostname", "b", "kubernetes-service-host"];
/// Words of names of values whose hosts are not called, wherever they stand.
const NOT_CALLED: [&str; 13] = [
    "listen",
    "bind",
    "advertise",
    "advertised",
    "announce",
    "allow",
    "allowed",
    "trusted",
    "virtual",
    "origin",
    "origins",
    "version",
    "versions",
];
/// Last words of names of values that hold something that looks like a host.
const OTHER: [&str; 10] =
    ["ver", "release", "revision", "rev", "tag", "build", "image", "oid", "name", "model"];
/// Last words of names of values that hold hosts.
const CALLED: [&str; 7] = ["host", "hosts", "upstream", "upstreams", "addr", "endpoint", "endpoints"];
/// Last words of what has dots and is no host: files and settings.
const NO_HOSTS: [&str; 20] = [
    "yaml", "yml", "json", "toml", "conf", "txt", "sock", "bin", "onnx", "gguf", "port", "ports", "timeout",
    "size", "level", "limit", "layers", "kernel", "weight", "bias",
];
/// Lower ports stand in names of tensors and in settings.
const LEAST: u16 = 22;

/// What the name of a value says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Named {
    /// Nothing.
    Plain,
    /// There is no name.
    Nothing,
    /// It is a host.
    Host,
    /// No host that is called.
    Other,
}

impl Named {
    fn of(name: &str) -> Self {
        let name = name.trim_start_matches('-').to_ascii_lowercase().replace(['_', '.'], "-");
        let last = name.rsplit('-').next().unwrap_or_default();
        if name.is_empty() {
            Self::Nothing
        } else if OWN.contains(&&*name)
            || name.ends_with("no-proxy")
            || name.split('-').any(|word| NOT_CALLED.contains(&word))
            || OTHER.contains(&last)
        {
            Self::Other
        } else if CALLED.contains(&last) {
            Self::Host
        } else {
            Self::Plain
        }
    }
}

/// The hosts that `text` names without a scheme, as written there, in order; `name` is that of the flag or the variable whose
/// value it is, and empty where it has none.
pub(super) fn hosts<'t>(name: &str, text: &'t str) -> impl Iterator<Item = &'t str> {
    // Most values hold nothing of the kind.
    let likely = text.bytes().any(|b| b == b'.' || b == b':');
    let named = if likely { Named::of(name) } else { Named::Other };
    let apart = |c: char| c.is_whitespace() || ",;\"'`{}()<>|&".contains(c);
    let pieces = text.split(apart).filter(move |piece| named != Named::Other && !piece.contains("://"));
    pieces.filter_map(move |piece| host(piece.rsplit('=').next().unwrap_or(piece), named))
}

/// The host in one piece of a value.
fn host(piece: &str, named: Named) -> Option<&str> {
    let (user, place) = piece.rsplit_once('@').unwrap_or(("", piece));
    let (authority, path) = place.split_once('/').map_or((place, None), |(start, path)| (start, Some(path)));
    let (host, port) = parted(authority);
    if let Ok(address) = host.parse::<IpAddr>() {
        let range = port.is_none() && path.is_some_and(|path| path.bytes().all(|b| b.is_ascii_digit()));
        let said = port.is_some() || (named == Named::Plain && path.is_none()) || named == Named::Host;
        return (routed(address) && said && !range).then_some(host);
    }
    let said = match port {
        Some(port) => port >= LEAST && (path.is_none() || named == Named::Host),
        // What stands before a host alone makes it an address of mail.
        None => named == Named::Host && user.is_empty(),
    };
    (said && is_name(host)).then_some(host)
}

/// A host and its port.
fn parted(authority: &str) -> (&str, Option<u16>) {
    if let Some((inner, rest)) = authority.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
        return (inner, rest.strip_prefix(':').and_then(|port| port.parse().ok()));
    }
    if authority.parse::<IpAddr>().is_ok() {
        return (authority, None);
    }
    let parts = authority.rsplit_once(':').and_then(|(host, port)| Some((host, Some(port.parse().ok()?))));
    parts.unwrap_or((authority, None))
}

/// Whether an address is one of a single host, as far as its number tells; masks, groups and short words in hexadecimal digits
/// are not.
fn routed(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => (1..224).contains(&v4.octets()[0]),
        IpAddr::V6(v6) => v6.segments()[0] & 0xe000 == 0x2000,
    }
}

/// Whether it is the whole name of a host, whose last label is made of letters.
fn is_name(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    let Some((rest, last)) = host.rsplit_once('.') else { return false };
    let label = |label: &str| {
        !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    };
    let letters = last.len() > 1 && last.bytes().all(|b| b.is_ascii_alphabetic());
    (letters || last.starts_with("xn--"))
        && rest.split('.').chain([last]).all(label)
        && !NO_HOSTS.iter().any(|other| last.eq_ignore_ascii_case(other))
}

#[cfg(test)]
mod tests {
    use super::hosts;

    #[test]
    fn hosts_without_a_scheme_are_found() {
        for (name, text, expected) in [
            ("--upstream", "evil.example:8000", &["evil.example"][..]),
            ("--upstream", "evil.example", &["evil.example"]),
            ("--upstream", "203.0.113.5", &["203.0.113.5"]),
            ("--upstream", "203.0.113.5:8000", &["203.0.113.5"]),
            ("--upstream", "203.0.113.5:8000/v1", &["203.0.113.5"]),
            ("--upstream", "evil.example/v1", &["evil.example"]),
            ("--upstream", "127.0.0.1:8000,203.0.113.5:8000", &["127.0.0.1", "203.0.113.5"]),
            ("--calls", "tickets=evil.example:8000", &["evil.example"]),
            ("--calls", "user@evil.example:22", &["evil.example"]),
            ("--calls", r#"{"host":"evil.example:8000"}"#, &["evil.example"]),
            ("--calls", "[2001:4860::8]:80", &["2001:4860::8"]),
            ("UPSTREAM_HOST", "203.0.113.5", &["203.0.113.5"]),
            ("UPSTREAM_HOST", "evil.example", &["evil.example"]),
            ("COLLECT_ADDR", "2001:4860::8", &["2001:4860::8"]),
            ("MODEL_ENDPOINTS", "a.example;b.example:80", &["a.example", "b.example"]),
            ("", "evil.example:8000", &["evil.example"]),
            ("", "203.0.113.5:8000", &["203.0.113.5"]),
        ] {
            assert_eq!(hosts(name, text).collect::<Vec<_>>(), expected, "{name} {text}");
        }
    }

    #[test]
    fn what_only_looks_like_a_host_is_none() {
        for (name, text) in [
            ("--app-version", "1.2.3.4"),
            ("NV_LIBCUBLAS_VERSION", "12.4.5.8"),
            ("IMAGE_TAG", "1.2.3.4"),
            ("--snmp-oid", "1.3.6.1"),
            ("", "1.2.3.4"),
            ("--input", "dense.kernel:0"),
            ("--output", "block.dense.kernel:64"),
            ("--set", "server.port:8080"),
            ("--image", "registry.example:5000/app:1.0"),
            ("--job", "registry.example:5000/app:1.0"),
            ("--job", "registry.example/app@sha256:1111"),
            ("--job", "nginx:1.27"),
            ("MODEL", "llama3.1:8"),
            ("--at", "2026-01-01T12:30:00Z"),
            ("--at", "12:30"),
            ("--host", "203.0.113.5"),
            ("--listen-address", "203.0.113.5:80"),
            ("--bind", "chat.example.com:80"),
            ("ALLOWED_HOSTS", "chat.example.com"),
            ("VIRTUAL_HOST", "chat.example.com"),
            ("NO_PROXY", "203.0.113.5,example.com:80"),
            ("SERVER_NAME", "chat.example.com:443"),
            ("--mask", "255.255.255.0"),
            ("--range", "203.0.113.0/24"),
            ("--type", "ab::cd"),
            ("--config", "config.yaml:644"),
            ("RULES_ENDPOINT", "/v1.0/chat"),
            ("OPS_ADDR", "ops@example.com"),
            ("MODEL_PATH", "/models/m.gguf"),
            ("UPSTREAM_HOST", "$(NAME).example.com"),
            ("WEIGHTS", "0.5:0.5"),
        ] {
            assert_eq!(hosts(name, text).collect::<Vec<_>>(), [""; 0], "{name} {text}");
        }
    }
}
