//! The way to a signature that counts: the command for the authorities that the trust policies name for an image.

use std::fmt::Write as _;

use super::facts::{Cluster, Facts};
use super::fix::Fix;
use super::image::{ImageRef, RepositoryPattern, normalise_registry};
use crate::api::AITrustPolicy;
use crate::api::trust::{Artifact, Authority, Registry, SignatureFormat, TrustRule};

/// How to sign the image of `reference`; a `volume` holds a model or data, for which other rules may speak.
#[must_use]
pub fn sign(facts: &Facts<'_>, reference: &str, volume: bool) -> Fix {
    let covering = ImageRef::parse(reference).ok().map(|image| {
        let models = if volume { rules(facts, &image, Artifact::Model) } else { Vec::new() };
        let rules = if models.is_empty() { rules(facts, &image, Artifact::Image) } else { models };
        (rules, plain_http(facts.cluster, &image))
    });
    let (rules, http) = covering.unwrap_or_default();
    let http = if http { " --allow-http-registry" } else { "" };
    // Each rule that covers an image has to be satisfied; one signature may satisfy several.
    let mut ways: Vec<String> = Vec::new();
    for (policy, rule) in rules {
        let usable: Vec<&Authority> = policy
            .spec
            .authorities
            .iter()
            .filter(|authority| rule.authorities.contains(&authority.name) && authority.certificate.is_none())
            .collect();
        let wanted = usize::from(rule.min_signatures.unwrap_or(1)).clamp(1, 4);
        let (first, others) = usable.split_at(wanted.min(usable.len()));
        let mut way: Vec<String> = first.iter().map(|authority| by(authority, http, reference)).collect();
        if let (Some(last), [_, ..]) = (way.last_mut(), others) {
            let names: Vec<String> = others.iter().take(4).map(|a| format!("{:?}", a.name)).collect();
            let _ = write!(last, "; {} counts as well", names.join(" or "));
        }
        ways.extend(way.into_iter().filter(|one| !ways.contains(one)).collect::<Vec<_>>());
    }
    Fix::Text(match ways.as_slice() {
        [] => {
            format!("cosign sign --key KEY{http} {reference}, with a key that an AITrustPolicy names for it")
        }
        several => several.join(", and "),
    })
}

/// Whether the trust policies say that the registry of `image` is spoken to without TLS.
#[must_use]
pub fn plain_http(cluster: &Cluster, image: &ImageRef) -> bool {
    registry(cluster, image).is_some_and(|registry| registry.plain_http)
}

fn registry<'a>(cluster: &'a Cluster, image: &ImageRef) -> Option<&'a Registry> {
    let mut registries = cluster.trust_policies.values().flat_map(|policy| &policy.spec.registries);
    registries.find(|registry| normalise_registry(&registry.host).is_ok_and(|host| host == image.registry()))
}

/// The rules that speak for `image` in the namespace of `facts`, each with its policy.
fn rules<'a>(
    facts: &Facts<'a>,
    image: &ImageRef,
    artifact: Artifact,
) -> Vec<(&'a AITrustPolicy, &'a TrustRule)> {
    // What a mirror holds is named as its original.
    let original = registry(facts.cluster, image).and_then(|registry| registry.mirror_of.as_ref());
    let original = original.and_then(|host| ImageRef::parse(&format!("{host}/{}", image.repository())).ok());
    let named = original.as_ref().unwrap_or(image);
    let of_repository = |pattern: &String| RepositoryPattern::parse(pattern).is_ok_and(|p| p.matches(named));
    let namespace = facts.namespace.name.as_str();
    let of_namespace = |pattern: &String| match pattern.strip_suffix('*') {
        Some(start) => namespace.starts_with(start),
        None => namespace == pattern,
    };
    let policies = facts.cluster.trust_policies.values();
    policies
        .flat_map(|policy| policy.spec.rules.iter().map(move |rule| (policy.as_ref(), rule)))
        .filter(|(_, rule)| rule.match_.artifact == artifact)
        .filter(|(_, rule)| {
            let of = &rule.match_;
            (of.repositories.is_empty() || of.repositories.iter().any(of_repository))
                && (of.namespaces.is_empty() || of.namespaces.iter().any(of_namespace))
        })
        .collect()
}

/// The command by which `authority` signs.
fn by(authority: &Authority, http: &str, reference: &str) -> String {
    let old = authority.formats.as_slice() == [SignatureFormat::TagAttached];
    let format = if old { " --new-bundle-format=false --use-signing-config=false" } else { "" };
    let name = &authority.name;
    let Some(keyless) = &authority.keyless else {
        return format!(
            "cosign sign --key {name}.key{format}{http} {reference}, with the private key of authority {name:?}"
        );
    };
    let who = match (&keyless.subject, &keyless.subject_reg_exp) {
        (Some(subject), _) => format!("as {subject:?}"),
        (None, Some(pattern)) => format!("with an identity that matches {pattern:?}"),
        (None, None) => "in".to_owned(),
    };
    format!(
        "cosign sign{format}{http} {reference}, signed in {who} at {} (authority {name:?})",
        keyless.issuer
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::facts::Subject;
    use crate::policy::testing::{Bench, DIGEST, read};
    use serde_json::{Value, json};
    use std::sync::Arc;

    fn said(spec: &Value, reference: &str, volume: bool) -> String {
        let mut bench = Bench::new("production", "internal");
        let policy: AITrustPolicy = read(json!({"metadata": {"name": "trust"}, "spec": spec}));
        bench.cluster.trust_policies.insert("trust".to_owned(), Arc::new(policy));
        let facts = Facts {
            now: "2026-01-01T00:00:00Z".parse().unwrap(),
            subject: Subject::Namespace,
            namespace: &bench.namespace,
            cluster: &bench.cluster,
            settings: &bench.settings,
            composition: std::cell::OnceCell::new(),
            loaded: std::cell::OnceCell::new(),
            holders: Vec::new(),
            requester: None,
            lasting_pods: None,
            rights: None,
        };
        sign(&facts, reference, volume).to_string()
    }

    #[test]
    fn the_command_is_that_of_the_authority_concerned() {
        let key = |name: &str| json!({"name": name, "key": {"pem": "x"}});
        let keyless =
            json!({"name": "ci", "keyless": {"issuer": "https://id.example", "subject": "ci@acme.example"}});
        let old = json!({"name": "old", "key": {"pem": "x"}, "formats": ["TagAttached"]});
        let spec = json!({
            "registries": [{"host": "r.example"}, {"host": "127.0.0.1:5000", "plainHTTP": true},
                           {"host": "mirror.example", "mirrorOf": "r.example"}],
            "authorities": [key("acme"), key("second"), keyless, old],
            "rules": [
                {"match": {"artifact": "image", "repositories": ["r.example/chat/*"]}, "authorities": ["acme", "second"]},
                {"match": {"artifact": "image", "repositories": ["r.example/both"]}, "authorities": ["acme", "second"],
                 "minSignatures": 2},
                {"match": {"artifact": "image", "repositories": ["r.example/ci"]}, "authorities": ["ci"]},
                {"match": {"artifact": "image", "repositories": ["127.0.0.1:5000/*"]}, "authorities": ["old"]},
                {"match": {"artifact": "model"}, "authorities": ["second"]},
                {"match": {"artifact": "image", "repositories": ["r.example/there"], "namespaces": ["other-*"]},
                 "authorities": ["acme"]},
            ],
        });
        let of = |name: &str, volume| said(&spec, &format!("{name}@{DIGEST}"), volume);
        let by = |name: &str, image: &str| {
            format!(
                "cosign sign --key {name}.key {image}@{DIGEST}, with the private key of authority {name:?}"
            )
        };
        let web = "r.example/chat/web";
        assert_eq!(of(web, false), format!("{}; \"second\" counts as well", by("acme", web)));
        let web = "mirror.example/chat/web";
        assert_eq!(of(web, false), format!("{}; \"second\" counts as well", by("acme", web)));
        let both = "r.example/both";
        assert_eq!(of(both, false), format!("{}, and {}", by("acme", both), by("second", both)));
        assert_eq!(
            of("r.example/ci", false),
            format!(
                "cosign sign r.example/ci@{DIGEST}, signed in as \"ci@acme.example\" at https://id.example (authority \"ci\")"
            )
        );
        assert_eq!(
            of("127.0.0.1:5000/x", false),
            format!(
                "cosign sign --key old.key --new-bundle-format=false --use-signing-config=false --allow-http-registry \
                     127.0.0.1:5000/x@{DIGEST}, with the private key of authority \"old\""
            )
        );
        assert_eq!(of("r.example/m", true), by("second", "r.example/m"));
        assert_eq!(
            of("r.example/there", false),
            format!(
                "cosign sign --key KEY r.example/there@{DIGEST}, with a key that an AITrustPolicy names for it"
            )
        );
    }
}
