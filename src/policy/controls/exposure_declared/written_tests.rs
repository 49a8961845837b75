//! Ways by other names: refused where they are written, told where they lead.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::super::CONTROL;
use crate::policy::control::Mode;
use crate::policy::facts::{Ingress, Service, ServicePort, Stage, Subject, Way};
use crate::policy::testing::{Bench, assert_lines, lines, namespace, read};

fn served(exposure: &Value) -> Bench {
    let mut bench = Bench::new("production", "internal").workload(&json!({"exposure": [exposure]}));
    let service = Service {
        ports: vec![ServicePort { name: String::new(), port: 80, target: Some("8080".to_owned()) }],
        selector: read(json!({"app": "chat"})),
        ..Service::default()
    };
    bench.namespace.services.insert("chat".to_owned(), service);
    bench
}

fn api() -> Value {
    json!({"name": "api", "port": 8080, "audience": "internal"})
}

fn alias(host: &str) -> Service {
    Service { external_name: Some(host.to_owned()), ..Service::default() }
}

fn named(namespace: &str, name: &str) -> (String, String) {
    (namespace.to_owned(), name.to_owned())
}

fn into(service: &str) -> Ingress {
    Ingress { backends: vec![service.to_owned()], tls: true, ..Ingress::default() }
}

/// `chat` of `chat-prod` is what `near` of `shop` stands for, which is what `ext` of `trans` stands for, and an Ingress leads there.
fn by_other_names() -> Bench {
    let mut bench = served(&api());
    let mut trans = namespace("trans", "production", "internal");
    trans.services.insert("ext".to_owned(), alias("near.shop.svc.cluster.local."));
    trans.ingresses.insert("in".to_owned(), into("ext"));
    let mut shop = namespace("shop", "production", "internal");
    shop.services.insert("near".to_owned(), alias("chat.chat-prod.svc"));
    bench.cluster.aliases.insert(named("chat-prod", "chat"), [named("shop", "near")].into());
    bench.cluster.aliases.insert(named("shop", "near"), [named("trans", "ext")].into());
    bench.beside(shop).beside(trans)
}

/// The same, seen from another namespace.
fn seen_from(bench: Bench, name: &str) -> Bench {
    let home = bench.namespace.clone();
    let mut bench = bench.beside(home);
    bench.namespace = bench.cluster.namespaces.remove(name).unwrap();
    bench
}

#[test]
fn what_others_lead_to_a_workload_refuses_nobody_there() {
    let mut bench = by_other_names();
    let pod = json!({"containers": [{"name": "a"}]});
    let service = bench.namespace.services["chat"].clone();
    assert_lines(&bench.of_workload(&CONTROL), &[]);
    assert_lines(&bench.of_pod(&CONTROL, &pod), &[]);
    assert_lines(&bench.judge(&CONTROL, Subject::Way(Way::Service("chat", &service))), &[]);
    // The audit says what became of pods that run.
    bench.stage = Stage::Running;
    let said = "AIWorkload chat-prod/chat spec.exposure[0].authn: asks nobody who he is, though Ingress trans/in leads to it by \
         Service trans/ext [may arrive]";
    let found = bench.of_pod(&CONTROL, &pod);
    assert_lines(&found, &[said]);
    assert_eq!(found[0].at_most, Mode::Warn);
    let fix = found[0].fix.as_ref().unwrap().to_string();
    assert!(fix.contains("ask those who run namespace trans to delete Service ext"), "{fix}");
    // Of many ways one is said, in the clear where any is.
    let trans = bench.cluster.namespaces.get_mut("trans").unwrap();
    trans.ingresses.insert("second".to_owned(), Ingress { tls: false, ..into("ext") });
    let found = bench.of_pod(&CONTROL, &pod);
    assert_eq!(found.len(), 2);
    assert!(found.iter().all(|finding| finding.at_most == Mode::Warn), "{found:?}");
    let clear = "Ingress trans/second spec.tls: does not cover every host, so callers can come in the clear [may arrive]";
    assert_eq!(lines(&found)[1], clear);
}

#[test]
fn few_of_many_other_names_are_followed() {
    let mut bench = served(&api());
    let mut names = BTreeSet::new();
    for home in ["chat-prod", "trans"] {
        names.extend((0..40).map(|number| named(home, &format!("x{number}"))));
    }
    bench.cluster.aliases.insert(named("chat-prod", "chat"), names);
    let own = "Service chat-prod/chat: is what more than 16 others of its namespace stand for: no more are looked at [may arrive]";
    assert_lines(&bench.of_workload(&CONTROL), &[own]);
    bench.stage = Stage::Running;
    let found = bench.of_pod(&CONTROL, &json!({"containers": [{"name": "a"}]}));
    let other =
        "Service chat-prod/chat: is what more than 16 others of the cluster stand for: no more are looked at";
    assert_lines(&found, &[own, other]);
    assert_eq!((found[0].at_most, found[1].at_most), (Mode::Enforce, Mode::Warn));
}

#[test]
fn what_leads_elsewhere_by_another_name_is_refused_where_it_is_written() {
    let mut writer = seen_from(by_other_names(), "trans");
    let said = "Service trans/ext spec.externalName \"near.shop.svc.cluster.local.\": leads callers from outside to a Service of a \
         governed namespace that does not let them in [may arrive]";
    let ingress = writer.namespace.ingresses["in"].clone();
    let service = writer.namespace.services["ext"].clone();
    // Nothing is said of what others have.
    for way in [Way::Ingress("in", &ingress), Way::Service("ext", &service)] {
        let found = writer.judge(&CONTROL, Subject::Way(way));
        assert_lines(&found, &[said]);
        assert_eq!(
            found[0].fix.as_ref().unwrap().to_string(),
            "leave Service \"ext\" out of Ingress trans/in, name another host, or close the way with `kubectl delete service ext \
             -n trans`"
        );
    }
    writer.namespace.ingresses.clear();
    assert_lines(&writer.judge(&CONTROL, Subject::Way(Way::Service("ext", &service))), &[]);
    writer.namespace.services.insert("ext".to_owned(), alias("www.example.com"));
    assert_lines(&writer.judge(&CONTROL, Subject::Way(Way::Ingress("in", &ingress))), &[]);
    // Whoever makes the last step of such a way opens it.
    let writer = seen_from(by_other_names(), "shop");
    let near = writer.namespace.services["near"].clone();
    let found = writer.judge(&CONTROL, Subject::Way(Way::Service("near", &near)));
    assert_eq!(found.len(), 1);
    assert!(!found[0].fix.as_ref().unwrap().to_string().contains("trans"), "{found:?}");
    // Callers who are let in come, but not in the clear.
    let mut bench = by_other_names();
    let mut signed = api();
    signed["authn"] = json!("oidc");
    bench.namespace.workloads = served(&signed).namespace.workloads;
    let writer = seen_from(bench, "trans");
    assert_lines(&writer.judge(&CONTROL, Subject::Way(Way::Ingress("in", &ingress))), &[]);
    let open = Ingress { tls: false, ..ingress };
    let clear =
        "Ingress trans/in spec.tls: does not cover every host, so callers can come in the clear [may arrive]";
    assert_lines(&writer.judge(&CONTROL, Subject::Way(Way::Ingress("in", &open))), &[clear]);
}

#[test]
fn a_way_by_another_name_is_followed_to_its_end_or_refused() {
    let mut bench = served(&api());
    let key = |number: usize| if number == 0 { "chat".to_owned() } else { format!("x{number}") };
    for number in 1..20 {
        bench.namespace.services.insert(key(number), alias(&format!("{}.chat-prod.svc", key(number - 1))));
        bench
            .cluster
            .aliases
            .insert(named("chat-prod", &key(number - 1)), [named("chat-prod", &key(number))].into());
    }
    let judged = |bench: &Bench, to: &str| bench.judge(&CONTROL, Subject::Way(Way::Ingress("in", &into(to))));
    let said = |by: &str| {
        format!(
            "AIWorkload chat-prod/chat spec.exposure[0].authn: asks nobody who he is, though Ingress chat-prod/in leads to it by \
             Service chat-prod/{by}"
        )
    };
    assert_lines(&judged(&bench, "x16"), &[&said("x16")]);
    let lost = "Service chat-prod/x17 spec.externalName \"x16.chat-prod.svc\": leads callers from outside through more than 16 \
         Services: nobody can tell where [may arrive]";
    assert_lines(&judged(&bench, "x17"), &[lost]);
    // What goes round in a circle leads nowhere.
    bench.namespace.services.insert("x1".to_owned(), alias("x2.chat-prod.svc"));
    assert_lines(&judged(&bench, "x3"), &[]);
    // A Service may be called svc.
    bench.namespace.services.insert("svc".to_owned(), bench.namespace.services["chat"].clone());
    bench.namespace.services.insert("x1".to_owned(), alias("http.tcp.svc.chat-prod.svc.cluster.local"));
    assert_lines(&judged(&bench, "x1"), &[&said("x1")]);
    // Own ways by other names are refused with the pods, too.
    let mut bench = served(&api());
    bench.namespace.services.insert("ext".to_owned(), alias("chat.chat-prod.svc"));
    bench.namespace.ingresses.insert("in".to_owned(), into("ext"));
    bench.cluster.aliases.insert(named("chat-prod", "chat"), [named("chat-prod", "ext")].into());
    assert_lines(&bench.of_workload(&CONTROL), &[&said("ext")]);
    let fix = bench.of_workload(&CONTROL)[0].fix.as_ref().unwrap().to_string();
    assert!(fix.contains("kubectl delete service ext -n chat-prod"), "{fix}");
}
