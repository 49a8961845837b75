//! What leads to a Service from outside: Ingresses and routes, of other namespaces and by other names too.

use std::collections::BTreeSet;

use crate::policy::facts::{Facts, Ingress, Namespace, Route, Service};

/// As many Services of type `ExternalName` are followed one after the other.
const HOPS: usize = 8;

/// What leads to a Service from outside.
pub(super) struct Led {
    /// The object, as a message names it.
    pub(super) object: String,
    /// By which field callers may come in the clear, how, and what helps.
    pub(super) clear: Option<(&'static str, String, &'static str)>,
    /// How whoever owns the Service closes the way, where it is an object of another namespace.
    pub(super) close: Option<String>,
    /// The Service that stands for the one in question, where the way leads to that.
    by: Option<String>,
}

impl Led {
    /// Says that it leads somewhere, as a clause.
    pub(super) fn why(&self) -> String {
        match &self.by {
            Some(by) => format!("{} leads to it by Service {by}", self.object),
            None => format!("{} leads to it", self.object),
        }
    }

    /// The same for the Service that `name` of `home` stands for.
    pub(super) fn by(self, home: &Namespace, name: &str) -> Self {
        let by = self.by.or_else(|| Some(format!("{}/{name}", home.name)));
        let close = format!("close the way with `kubectl delete service {name} -n {}`", home.name);
        Self { by, close: Some(close), ..self }
    }
}

/// All that leads to the Service `name` of `home`: by its own name and by those of Services that stand for it.
pub(super) fn all(facts: &Facts<'_>, home: &Namespace, name: &str) -> Vec<Led> {
    let mut out = straight(facts, home, name);
    let mut seen = BTreeSet::new();
    let mut next = vec![(home.name.clone(), name.to_owned())];
    while let Some(at) = next.pop() {
        for alias in facts.cluster.aliases.get(&at).into_iter().flatten() {
            if !seen.insert(alias) {
                continue;
            }
            next.push(alias.clone());
            if let Some(there) = facts.namespace_named(Some(&alias.0)) {
                out.extend(straight(facts, there, &alias.1).into_iter().map(|led| led.by(there, &alias.1)));
            }
        }
    }
    out
}

/// The Service behind one that stands for another.
pub(super) fn end<'a>(facts: &Facts<'a>, from: &Service) -> Option<(&'a Namespace, &'a str, &'a Service)> {
    let mut at = from.stands_for()?;
    for _ in 0..HOPS {
        let home = facts.namespace_named(Some(&at.0))?;
        let (name, service) = home.services.get_key_value(&at.1)?;
        let Some(next) = service.stands_for() else { return Some((home, name, service)) };
        at = next;
    }
    None
}

fn straight(facts: &Facts<'_>, home: &Namespace, name: &str) -> Vec<Led> {
    let ingresses = home.ingresses.iter().filter(|(_, known)| known.backends.iter().any(|b| b == name));
    let own = home.routes.iter().filter(|(_, route)| route.leads_to(&home.name, name, true));
    let across =
        facts.cluster.routes_across.iter().filter(|(_, route)| route.leads_to(&home.name, name, false));
    ingresses
        .map(|(key, known)| ingress(home, key, known))
        .chain(own.map(|(key, known)| route(facts, home, (&home.name, key, known), None)))
        .chain(across.filter_map(|(key, known)| {
            // Anybody may write a route that names this Service; it leads here only if the owner lets it.
            let grant = granted(home, key, name)?;
            let (namespace, key) = key.split_once('/')?;
            (namespace != home.name).then(|| route(facts, home, (namespace, key, known), Some(grant)))
        }))
        .collect()
}

/// An Ingress of `home`.
pub(super) fn ingress(home: &Namespace, name: &str, ingress: &Ingress) -> Led {
    let clear = (!ingress.tls).then(|| {
        let what = "does not cover every host, so callers can come in the clear".to_owned();
        ("spec.tls", what, "name every host and the Secret of its certificate")
    });
    Led { object: format!("Ingress {}/{name}", home.name), clear, close: None, by: None }
}

/// The grant by which a route of another namespace, known by `namespace/Kind/name`, leads to a Service of this one.
fn granted<'a>(home: &'a Namespace, key: &str, service: &str) -> Option<&'a str> {
    let mut parts = key.split('/');
    let (from, kind) = (parts.next()?, parts.next()?);
    let mut grants = home.route_grants.iter();
    grants.find(|(_, grant)| grant.allows(kind, from, service)).map(|(name, _)| name.as_str())
}

/// A route, by its namespace and `Kind/name`, and the grant of `home` by which it comes from another namespace. Whether callers
/// may come in the clear is said by the listeners that it hangs on; without its Gateway it leads nowhere yet.
pub(super) fn route(
    facts: &Facts<'_>,
    home: &Namespace,
    (namespace, key, route): (&str, &str, &Route),
    grant: Option<&str>,
) -> Led {
    let (kind, name) = key.split_once('/').unwrap_or(("route", key));
    let clear = route.parents.iter().find_map(|parent| {
        let home = parent.namespace.as_deref().unwrap_or(namespace);
        let gateway = facts.namespace_named(Some(home))?.gateways.get(&parent.gateway)?;
        let mut met = gateway.listeners.iter().filter(|listener| {
            parent.listener.as_ref().is_none_or(|wanted| *wanted == listener.name)
                && parent.port.is_none_or(|wanted| wanted == listener.port)
        });
        let open = met.find(|listener| listener.clear)?;
        Some((
            "spec.parentRefs",
            format!(
                "hangs on listener {:?} of Gateway {home}/{}, so callers can come in the clear",
                open.name, parent.gateway
            ),
            "name a listener that takes TLS in sectionName of spec.parentRefs",
        ))
    });
    let close = grant
        .map(|grant| format!("close the way with `kubectl delete referencegrant {grant} -n {}`", home.name));
    Led { object: format!("{kind} {namespace}/{name}"), clear, close, by: None }
}
