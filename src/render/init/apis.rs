//! What the pods call outside the cluster, as far as their variables and command lines tell.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::q;
use crate::policy::addresses::{self, Given, Whereabouts};
use crate::policy::containers::ContainerView;

/// Writes `externalApis` with one entry for each host and port outside; nothing where there is none.
pub(super) fn write(out: &mut String, views: &[ContainerView<'_>]) {
    let mut found: BTreeMap<(String, u16), Vec<String>> = BTreeMap::new();
    for view in views {
        for given in addresses::given(view) {
            if addresses::whereabouts(given.host) == Whereabouts::Outside {
                let key = (given.host.to_ascii_lowercase(), port(&given));
                found.entry(key).or_default().push(view.path(&given.field));
            }
        }
    }
    if found.is_empty() {
        return;
    }
    out.push_str("  externalApis:   # what the pods are seen to call; an image may call more\n");
    let mut names: Vec<String> = Vec::new();
    for ((host, port), paths) in found {
        let mut name = label(&host);
        if names.contains(&name) {
            name = format!("{name}-{port}");
        }
        let _ = writeln!(
            out,
            "  # named by {}\n  - {{name: {}, host: {}, port: {port}}}   # fill in: supplierRef (an AISupplier), dataClasses \
             (public, internal, confidential, restricted), cidrs that it answers from, and consent where data of users goes there",
            paths.join(", "),
            q(&name),
            q(&host)
        );
        names.push(name);
    }
}

/// A host as the name of an entry.
fn label(host: &str) -> String {
    let name: String =
        host.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(55).collect();
    name.trim_matches('-').to_owned()
}

/// The port of an address: the one that it names, else that of its scheme.
fn port(given: &Given<'_>) -> u16 {
    // The host is a part of the text.
    let from = given.host.as_ptr().addr() - given.text.as_ptr().addr();
    let rest = given.text[from + given.host.len()..].trim_start_matches([']', '.']);
    let named = rest
        .strip_prefix(':')
        .map(|rest| rest.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default());
    let plain = ["http://", "ws://"].iter().any(|scheme| given.text[..from].ends_with(scheme));
    named.and_then(|port| port.parse().ok()).unwrap_or(if plain { 80 } else { 443 })
}
