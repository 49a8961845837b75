//! Policies as resources, compiled: what they say is kept, what cannot be used is named.

use serde_json::json;

use super::super::{AuthoritySpec, ProofSpec, RootSpec};
use super::*;
use crate::api;

const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn pem() -> String {
    rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap().public_key_pem()
}

fn compile(specs: &[serde_json::Value]) -> CompiledTrust {
    let policies: Vec<PolicySpec> = specs
        .iter()
        .map(|spec| {
            let policy = json!({ "apiVersion": "portcullis.dev/v1alpha1", "kind": "AITrustPolicy",
                "metadata": { "name": "default" }, "spec": spec });
            crate::gather::trust::spec(
                &serde_json::from_value::<api::AITrustPolicy>(policy).unwrap(),
                &crate::gather::trust::TrustRoots::new(),
            )
        })
        .collect();
    CompiledTrust::compile(&policies)
}

fn ask(trust: &CompiledTrust, reference: &str, namespace: Option<&str>) -> Result<Vec<usize>, String> {
    let image = ImageRef::parse(&format!("{reference}@{DIGEST}")).unwrap();
    let question = Question { image: &image, artifact: Artifact::Image, namespace };
    let demand = trust.demand(&question).map_err(|refusal| refusal.to_string())?;
    Ok(demand.rules.iter().map(|rule| rule.index).collect())
}

fn problems(trust: &CompiledTrust) -> Vec<String> {
    trust.problems().iter().map(|problem| format!("{}: {}", problem.path, problem.message)).collect()
}

#[test]
fn rules_apply_to_their_repositories_and_namespaces() {
    let trust = compile(&[json!({
        "registries": [{ "host": "Registry.Example" }, { "host": "mirror.example", "mirrorOf": "registry.example" }],
        "authorities": [{ "name": "ci", "key": { "pem": pem(), "algorithm": "ecdsa-p256" } }],
        "rules": [
            { "match": { "artifact": "image" }, "authorities": ["ci"] },
            { "match": { "artifact": "image", "repositories": ["registry.example/team/*"] }, "authorities": ["ci"] },
            { "match": { "artifact": "image", "namespaces": ["prod-*", "chat"] }, "authorities": ["ci"] },
            { "match": { "artifact": "model" }, "authorities": ["ci"] },
        ],
    })]);
    assert_eq!(problems(&trust), Vec::<String>::new());
    assert_eq!(ask(&trust, "registry.example/other", Some("dev")), Ok(vec![0]));
    assert_eq!(ask(&trust, "registry.example/team/app", Some("dev")), Ok(vec![0, 1]));
    assert_eq!(ask(&trust, "registry.example/team/app", Some("prod-eu")), Ok(vec![0, 1, 2]));
    assert_eq!(ask(&trust, "registry.example/other", Some("chat")), Ok(vec![0, 2]));
    assert_eq!(ask(&trust, "registry.example/other", Some("chat2")), Ok(vec![0]));
    assert_eq!(ask(&trust, "registry.example/other", None), Ok(vec![0, 2]), "unknown: all");
    assert_eq!(ask(&trust, "mirror.example/team/app", Some("dev")), Ok(vec![0, 1]), "by the mirrored name");
}

#[test]
fn one_bad_authority_disables_itself_and_nothing_else() {
    let good = json!({ "name": "good", "key": { "pem": pem() } });
    let bad = json!({ "name": "bad", "key": { "pem": "-----BEGIN PUBLIC KEY-----\nx" } });
    let registries = json!([{ "host": "r.example" }]);
    let both = |authorities: serde_json::Value| {
        compile(&[json!({ "registries": registries, "authorities": [good, bad],
            "rules": [{ "match": { "artifact": "image" }, "authorities": authorities }] })])
    };
    let trust = both(json!(["good", "bad"]));
    assert_eq!(problems(&trust), ["authorities[1]: the key is no PEM block \"PUBLIC KEY\""]);
    assert_eq!(ask(&trust, "r.example/app", None), Ok(vec![0]));
    let wanted = "no authority of rule default[0] can be used: authority \"bad\": the key is no PEM block \"PUBLIC KEY\"";
    assert_eq!(ask(&both(json!(["bad"])), "r.example/app", None), Err(wanted.to_owned()));
    let wanted = "no authority of rule default[0] can be used: authority \"ghost\": the policy has no authority of this name";
    assert_eq!(ask(&both(json!(["ghost"])), "r.example/app", None), Err(wanted.to_owned()));
    // The same name twice: nobody can say which is meant.
    let twice = compile(&[json!({ "registries": registries, "authorities": [good, good], "rules": [] })]);
    assert_eq!(problems(&twice), ["authorities[1]: the policy has two authorities of this name"]);
}

#[test]
fn abuse_069_a_rule_that_cannot_be_read_refuses_what_it_might_be_about() {
    let trust = compile(&[json!({
        "registries": [{ "host": "r.example" }],
        "authorities": [{ "name": "ci", "key": { "pem": pem() } }],
        "rules": [
            { "match": { "artifact": "image" }, "authorities": ["ci"] },
            { "match": { "artifact": "image", "repositories": ["r.example/team-*"] }, "authorities": ["ci"] },
        ],
    })]);
    let wanted = "rule default[1] cannot be read: \"r.example/team-*\" is not a repository pattern: \
                  \"*\" may only stand for a whole component after the registry";
    assert_eq!(ask(&trust, "r.example/app", None), Err(wanted.to_owned()));
}

#[test]
fn what_is_revoked_no_longer_counts() {
    let key = pem();
    let fingerprint = {
        let spec = AuthoritySpec {
            name: String::new(),
            proof: ProofSpec::Key { pem: key.clone(), algorithm: None },
            not_before: None,
            not_after: None,
            require_log: false,
            trusted_root: RootSpec::Public,
            formats: Vec::new(),
        };
        Authority::compile(&spec, Arc::default()).fingerprint().unwrap().to_uppercase()
    };
    let base = |revoked: serde_json::Value| {
        json!({ "registries": [{ "host": "r.example" }], "revoked": revoked,
            "authorities": [{ "name": "ci", "key": { "pem": key } }],
            "rules": [{ "match": { "artifact": "image" }, "authorities": ["ci"] }] })
    };
    for value in ["ci".to_owned(), fingerprint.clone(), format!("sha256:{fingerprint}")] {
        let revoked = json!([{ "kind": "key", "value": value, "reason": "leaked" }]);
        let wanted = "no authority of rule default[0] can be used: authority \"ci\": revoked: leaked";
        assert_eq!(ask(&compile(&[base(revoked)]), "r.example/app", None), Err(wanted.to_owned()), "{value}");
    }
    let revoked = json!([{ "kind": "digest", "value": DIGEST }]);
    let wanted = format!("digest {DIGEST} is revoked: no reason is given");
    assert_eq!(ask(&compile(&[base(revoked.clone())]), "r.example/app", None), Err(wanted.clone()));
    // Another policy's revocation counts as well.
    let trust = compile(&[base(json!([])), json!({ "revoked": revoked })]);
    assert_eq!(ask(&trust, "r.example/app", None), Err(wanted));
}

#[test]
fn what_withdraws_nothing_and_what_holds_several_keys_is_said() {
    let fingerprint = format!("SHA256:{}", "Ab".repeat(32));
    let trust = compile(&[json!({
        "authorities": [{ "name": "ci", "key": { "pem": pem() } }, { "name": "two", "key": { "pem": format!("{}{}", pem(), pem()) } }],
        "revoked": [{ "kind": "key", "value": "gone" }, { "kind": "key", "value": fingerprint },
                    { "kind": "key", "value": "ci" }, { "kind": "key", "value": "abcd" }, { "kind": "identity", "value": "x" }],
        "rules": [{ "match": { "artifact": "image" }, "authorities": ["two"] }],
        "registries": [{ "host": "r.example" }],
    })]);
    let nothing = |index: usize, value: &str| {
        format!(
            "revoked[{index}].value: {value:?} withdraws nothing: it is neither the name of an authority of this policy nor \
             the SHA-256 fingerprint of a key in 64 hexadecimal digits"
        )
    };
    let several = "\"two\" has 2 keys in one pem: give each an authority of its own";
    assert_eq!(
        problems(&trust),
        [nothing(0, "gone"), nothing(3, "abcd"), format!("authorities[1]: {several}")]
    );
    assert_eq!(
        ask(&trust, "r.example/app", None),
        Err(format!("no authority of rule default[0] can be used: authority \"two\": {several}"))
    );
}

#[test]
fn two_policies_that_list_one_registry_take_the_stricter_word() {
    let open =
        json!({ "registries": [{ "host": "r.example", "plainHTTP": true, "allowPrivateAddresses": true }] });
    let strict = json!({ "registries": [{ "host": "r.example" }] });
    let trust = compile(&[open.clone(), strict]);
    let registry = &trust.registries["r.example"];
    assert!(!registry.plain_http && !registry.allow_private);
    assert!(compile(&[open]).registries["r.example"].plain_http);
}

#[test]
fn what_is_not_enforced_is_said() {
    let trust = compile(&[json!({
        "registries": [{ "host": "not a host" }, { "host": "r.example" }],
        "authorities": [
            { "name": "ca", "certificate": { "caPem": "x" } },
            { "name": "cm", "keyless": { "issuer": "https://i.example", "subject": "a@b.example",
                "trustRoot": { "configMapRef": { "name": "roots" } } } },
            { "name": "day", "key": { "pem": pem() }, "notAfter": "soon" },
        ],
        "rules": [{ "match": { "artifact": "image" }, "authorities": ["ca"], "minSignatures": 2,
            "signWithin": "soon", "attestations": [{ "predicateType": "https://slsa.dev/provenance/v1" }] }],
    })]);
    assert_eq!(
        problems(&trust),
        [
            "registries[0].host: \"not a host\": the registry is not a host name or address with an optional port",
            "authorities[0]: caPem holds no certificate",
            "authorities[1]: ConfigMap \"roots\" has not been read yet",
            "authorities[2]: notBefore or notAfter is no date",
            "rules[0].signWithin: \"soon\" is no duration such as P7D or PT24H",
            "rules[0].minSignatures: it asks for more signatures than the rule names authorities",
        ]
    );
    let wanted = "rule default[0] cannot be read: signWithin: \"soon\" is no duration such as P7D or PT24H";
    assert_eq!(ask(&trust, "r.example/app", None), Err(wanted.to_owned()));
}

#[test]
fn the_last_day_of_an_authority_counts() {
    let trust = compile(&[json!({
        "registries": [{ "host": "r.example" }],
        "authorities": [{ "name": "ci", "key": { "pem": pem() }, "notBefore": "2025-01-01", "notAfter": "2025-12-31" }],
        "rules": [{ "match": { "artifact": "image" }, "authorities": ["ci"] }],
    })]);
    let authority = &trust.rules[0].authorities[0];
    let at = |moment: &str| authority.proof_at(moment.parse().unwrap()).map(|_| ());
    assert_eq!(at("2025-12-31T23:59:59Z"), Ok(()));
    assert_eq!(at("2026-01-01T00:00:00Z"), Err("the authority expired on 2026-01-01T00:00:00Z".to_owned()));
    assert_eq!(
        at("2024-12-31T23:59:59Z"),
        Err("it is before the authority's notBefore 2025-01-01T00:00:00Z".to_owned())
    );
}

#[test]
fn abuse_055_the_generation_follows_the_meaning() {
    let spec = |host: &str| json!({ "registries": [{ "host": host }] });
    assert_eq!(compile(&[spec("a.example")]).generation(), compile(&[spec("a.example")]).generation());
    assert_ne!(compile(&[spec("a.example")]).generation(), compile(&[spec("b.example")]).generation());
}
