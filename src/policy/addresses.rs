//! The hosts that a text would call: addresses in variables and arguments, without a pattern engine.

mod bare;

use super::containers::ContainerView;

/// Schemes of addresses that open a connection to the host that they name.
const CALLING: [&str; 34] = [
    "http",
    "https",
    "ws",
    "wss",
    "grpc",
    "grpcs",
    "ftp",
    "ftps",
    "sftp",
    "ssh",
    "git",
    "tcp",
    "tls",
    "ssl",
    "udp",
    "socks5",
    "socks5h",
    "postgres",
    "postgresql",
    "mysql",
    "mariadb",
    "mongodb",
    "mongodb+srv",
    "redis",
    "rediss",
    "amqp",
    "amqps",
    "kafka",
    "nats",
    "mqtt",
    "mqtts",
    "ldap",
    "ldaps",
    "smtp",
];

/// Where a host is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whereabouts {
    /// In the pod itself.
    Pod,
    /// In the cluster, or in a network of the organisation.
    Inside,
    /// Anywhere else.
    Outside,
}

/// An address that a container is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given<'a> {
    /// Where it stands in the container, such as `args[0]`.
    pub field: String,
    /// The text that it stands in.
    pub text: &'a str,
    /// Its host.
    pub host: &'a str,
}

/// Every address in the variables and the command line of a container, with a scheme or without.
#[must_use]
pub fn given<'a>(container: &ContainerView<'a>) -> Vec<Given<'a>> {
    let mut out = Vec::new();
    for (index, variable) in container.env.iter().enumerate() {
        let Some(text) = variable.value.as_deref() else { continue };
        // Who may call the pod from a browser is no place that the pod calls.
        if variable.name.contains("ORIGIN") {
            continue;
        }
        let hosts = hosts(text).chain(bare::hosts(&variable.name, text));
        out.extend(hosts.map(|host| Given { field: format!("env[{index}].value"), text, host }));
    }
    let mut before = "";
    for (field, words) in [("command", container.command), ("args", container.args)] {
        for (index, text) in words.iter().enumerate() {
            let hosts = hosts(text).chain(of_words(text, &mut before));
            out.extend(hosts.map(|host| Given { field: format!("{field}[{index}]"), text, host }));
        }
    }
    out
}

/// The hosts without a scheme in an element of a command line, which may be a script; `before` is the flag that its first word
/// may belong to.
fn of_words<'a>(text: &'a str, before: &mut &'a str) -> Vec<&'a str> {
    let script = !text.starts_with('-') && text.contains(char::is_whitespace);
    let apart = move |c: char| script && (c.is_whitespace() || "\"'".contains(c));
    let mut out = Vec::new();
    for word in text.split(apart).filter(|word| !word.is_empty()) {
        let flag = word.starts_with('-');
        let is_name = |name: &str| flag || name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        let (name, value) = match word.split_once('=').filter(|(name, _)| is_name(name)) {
            Some(parts) => parts,
            None if flag => (word, ""),
            None => (*before, word),
        };
        *before = if flag && value.is_empty() { word } else { "" };
        out.extend(bare::hosts(name, value));
    }
    out
}

/// The hosts of every address in `text`, as written there, in order.
pub fn hosts(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            let at = rest.find("://")?;
            let before = rest[..at].char_indices().rev();
            let outside = |c: char| !(c.is_ascii_alphanumeric() || "+.-".contains(c));
            let from = before.into_iter().find(|(_, c)| outside(*c)).map_or(0, |(at, c)| at + c.len_utf8());
            let scheme = &rest[from..at];
            let tail = &rest[at + 3..];
            let end = tail
                .find(|c: char| c.is_whitespace() || "/?#,;'\"`)}<>|\\&".contains(c))
                .unwrap_or(tail.len());
            let authority = &tail[..end];
            rest = &tail[end..];
            if CALLING.iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
                let host = host(authority.rsplit_once('@').map_or(authority, |(_, host)| host));
                if !host.is_empty() {
                    return Some(host);
                }
            }
        }
    })
}

/// The host of `host:port`, without brackets and the last dot.
#[must_use]
pub fn host(authority: &str) -> &str {
    if let Some(inner) = authority.strip_prefix('[') {
        return inner.split(']').next().unwrap_or_default();
    }
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    host.strip_suffix('.').unwrap_or(host)
}

/// Where a host is, by its name alone. A name of one word, or within the cluster's own domain, is inside; so are the
/// addresses that no router of the Internet carries. What a variable fills in later cannot be told and counts as inside,
/// because the network policy decides in any case.
#[must_use]
pub fn whereabouts(host: &str) -> Whereabouts {
    let lower = host.to_ascii_lowercase();
    if let Ok(address) = lower.parse::<std::net::IpAddr>() {
        let (own, inside) = match address {
            std::net::IpAddr::V4(v4) => (
                v4.is_loopback() || v4.is_unspecified(),
                v4.is_private()
                    || v4.is_link_local()
                    || (v4.octets()[0] == 100 && v4.octets()[1] & 0xc0 == 64),
            ),
            std::net::IpAddr::V6(v6) => {
                (v6.is_loopback() || v6.is_unspecified(), v6.is_unique_local() || v6.is_unicast_link_local())
            }
        };
        return match (own, inside) {
            (true, _) => Whereabouts::Pod,
            (_, true) => Whereabouts::Inside,
            _ => Whereabouts::Outside,
        };
    }
    if lower == "localhost" || lower.ends_with(".localhost") {
        return Whereabouts::Pod;
    }
    let cluster = [".svc", ".cluster.local", ".internal", ".local"].iter().any(|end| lower.ends_with(end));
    let filled_in = lower.contains(['$', '{', '%', '(']);
    if cluster || filled_in || lower.contains(".svc.") || !lower.contains('.') {
        return Whereabouts::Inside;
    }
    Whereabouts::Outside
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_found_wherever_they_stand() {
        let found = |text| hosts(text).collect::<Vec<_>>();
        assert_eq!(found("https://api.example.com/v1"), ["api.example.com"]);
        assert_eq!(
            found("curl -s 'https://a.example:8443/x' && wget http://b.example;"),
            ["a.example", "b.example"]
        );
        assert_eq!(found("--url=wss://user:pw@c.example:443?x=1"), ["c.example"]);
        assert_eq!(found("HTTPS://UPPER.example."), ["UPPER.example"]);
        assert_eq!(found("http://[2001:db8::1]:80/"), ["2001:db8::1"]);
        assert_eq!(found("file:///etc/x oci://a.example/b s3://bucket/c"), [""; 0]);
        assert_eq!(found("://x ://"), [""; 0]);
        assert_eq!(found("é://ü http://ö.example"), ["ö.example"]);
    }

    #[test]
    fn a_name_says_where_it_is() {
        for (host, wanted) in [
            ("localhost", Whereabouts::Pod),
            ("127.0.0.1", Whereabouts::Pod),
            ("0.0.0.0", Whereabouts::Pod),
            ("db", Whereabouts::Inside),
            ("db.data.svc", Whereabouts::Inside),
            ("db.data.svc.cluster.local", Whereabouts::Inside),
            ("10.1.2.3", Whereabouts::Inside),
            ("$(HOST)", Whereabouts::Inside),
            ("api.example.com", Whereabouts::Outside),
            ("8.8.8.8", Whereabouts::Outside),
            ("2001:4860:4860::8888", Whereabouts::Outside),
        ] {
            assert_eq!(whereabouts(host), wanted, "{host}");
        }
    }
}
