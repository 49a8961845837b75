//! What leads to a Service from outside: Ingresses and routes, of other namespaces and by other names too.

use crate::policy::facts::{Facts, Ingress, Namespace, Route, Service};

/// As many Services of type `ExternalName` are followed, whichever way.
pub(super) const MOST: usize = 16;

/// What leads to a Service from outside.
#[derive(Clone)]
pub(super) struct Led {
    /// The object, as a message names it.
    pub(super) object: String,
    /// By which field callers may come in the clear, how, and what helps.
    pub(super) clear: Option<(&'static str, String, &'static str)>,
    /// How whoever owns the Service closes the way, where another object than this one has to go.
    pub(super) close: Option<String>,
    /// Whether the object lies in another namespace than the Service in question, whose owner cannot change it.
    pub(super) abroad: bool,
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

    /// The same for a Service of another namespace.
    fn by_foreign(self, there: &Namespace, name: &str) -> Self {
        let close = format!("ask those who run namespace {} to delete Service {name}", there.name);
        Self { close: Some(close), abroad: true, ..self.by(there, name) }
    }
}

/// What is known of the ways to a Service.
pub(super) struct Ways {
    /// Those that were found.
    pub(super) led: Vec<Led>,
    /// Whether more Services stand for it than are followed.
    pub(super) more: bool,
}

impl Ways {
    /// Whether callers may come from outside.
    pub(super) fn any(&self) -> bool {
        self.more || !self.led.is_empty()
    }
}

/// All that leads to the Service `name` of `home`: by its own name and by those of Services beside it that stand for it. What
/// others write in their namespaces is no part of it, so that they can neither block a workload nor slow it down.
pub(super) fn all(facts: &Facts<'_>, home: &Namespace, name: &str) -> Ways {
    let straight =
        |name: &str| -> Vec<Led> { ingresses(home, name).chain(routes(facts, home, name)).collect() };
    let (aliases, more) = aliases(facts, home, name, true);
    let mut led = straight(name);
    for (_, alias) in aliases {
        led.extend(straight(alias).into_iter().map(|led| led.by(home, alias)));
    }
    Ways { led, more }
}

/// What leads to the Service `name` of `home` by Services of other namespaces that stand for it: one Ingress and one route, in
/// the clear where any is.
pub(super) fn abroad(facts: &Facts<'_>, home: &Namespace, name: &str) -> Ways {
    let (aliases, more) = aliases(facts, home, name, false);
    let others: Vec<(&Namespace, &str)> = aliases
        .into_iter()
        .filter(|(namespace, _)| *namespace != home.name)
        .filter_map(|(namespace, alias)| Some((facts.namespace_named(Some(namespace))?, alias.as_str())))
        .collect();
    let by_ingress = others
        .iter()
        .flat_map(|&(there, alias)| ingresses(there, alias).map(move |led| led.by_foreign(there, alias)));
    let by_route = others
        .iter()
        .flat_map(|&(there, alias)| routes(facts, there, alias).map(move |led| led.by_foreign(there, alias)));
    let in_the_clear = |led: &Led| led.clear.is_none();
    let led = [by_ingress.min_by_key(in_the_clear), by_route.min_by_key(in_the_clear)];
    Ways { led: led.into_iter().flatten().collect(), more }
}

/// The Services that stand for the Service `name` of `home`, also one after the other, and whether there are more than are
/// followed; where `own` is set, those of the same namespace only.
fn aliases<'a>(
    facts: &Facts<'a>,
    home: &Namespace,
    name: &str,
    own: bool,
) -> (Vec<&'a (String, String)>, bool) {
    let start = (home.name.clone(), name.to_owned());
    let first = if own { (home.name.clone(), String::new()) } else { <(String, String)>::default() };
    let mut found: Vec<&(String, String)> = Vec::new();
    let mut at = &start;
    let mut next = 0;
    loop {
        let known = facts.cluster.aliases.get(at).into_iter().flat_map(|known| known.range(first.clone()..));
        for alias in known.take_while(|(namespace, _)| !own || *namespace == home.name) {
            if *alias == start || found.contains(&alias) {
                continue;
            }
            if found.len() == MOST {
                return (found, true);
            }
            found.push(alias);
        }
        let Some(alias) = found.get(next) else { return (found, false) };
        at = alias;
        next += 1;
    }
}

/// The Services behind one that stands for another: namespace, name and what is known of each.
pub(super) struct Ends<'a> {
    /// Those that were found.
    pub(super) found: Vec<(&'a Namespace, &'a str, &'a Service)>,
    /// Whether it goes on further than it is followed.
    pub(super) lost: bool,
}

/// The Services behind one that stands for another. One that stands for itself in the end leads nowhere.
pub(super) fn ends<'a>(facts: &Facts<'a>, from: &Service) -> Ends<'a> {
    let mut named = from.stands_for();
    let mut ends = Ends { found: Vec::new(), lost: false };
    let mut next = 0;
    while let Some((namespace, name)) = named.get(next) {
        if next == MOST {
            ends.lost = true;
            break;
        }
        next += 1;
        let home = facts.namespace_named(Some(namespace));
        let Some((home, (name, service))) =
            home.and_then(|home| Some((home, home.services.get_key_value(name)?)))
        else {
            continue;
        };
        let further = service.stands_for();
        if further.is_empty() {
            ends.found.push((home, name, service));
        }
        for one in further {
            if !named.contains(&one) {
                named.push(one);
            }
        }
    }
    ends
}

/// The Ingresses of `home` that lead to its Service `name`.
fn ingresses(home: &Namespace, name: &str) -> impl Iterator<Item = Led> {
    let leads = move |known: &Ingress| known.backends.iter().any(|backend| backend == name);
    home.ingresses.iter().filter(move |(_, known)| leads(known)).map(|(key, known)| ingress(home, key, known))
}

/// The routes that lead to the Service `name` of `home`, from other namespaces too.
fn routes(facts: &Facts<'_>, home: &Namespace, name: &str) -> impl Iterator<Item = Led> {
    let own = home.routes.iter().filter(move |(_, route)| route.leads_to(&home.name, name, true));
    // Anybody may write a route that names this Service; it leads here only if the owner lets it.
    let across = Some(&facts.cluster.routes_across).filter(|_| !home.route_grants.is_empty());
    let across =
        across.into_iter().flatten().filter(move |(_, route)| route.leads_to(&home.name, name, false));
    own.map(move |(key, known)| route(facts, home, (&home.name, key, known), None)).chain(across.filter_map(
        move |(key, known)| {
            let grant = granted(home, key, name)?;
            let (namespace, key) = key.split_once('/')?;
            (namespace != home.name).then(|| route(facts, home, (namespace, key, known), Some(grant)))
        },
    ))
}

/// An Ingress of `home`.
pub(super) fn ingress(home: &Namespace, name: &str, ingress: &Ingress) -> Led {
    let clear = (!ingress.tls).then(|| {
        let what = "does not cover every host, so callers can come in the clear".to_owned();
        ("spec.tls", what, "name every host and the Secret of its certificate")
    });
    Led { object: format!("Ingress {}/{name}", home.name), clear, close: None, abroad: false, by: None }
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
    Led { object: format!("{kind} {namespace}/{name}"), clear, close, abroad: false, by: None }
}
