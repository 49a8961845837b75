//! The rare requests whose answer depends on what runs: a fake API server lists the pods, everything else is real.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot read its input has failed")]

#[path = "requests/deletions.rs"]
mod deletions;
#[expect(dead_code, unreachable_pub, reason = "several tests share it, and each uses a part")]
mod fixtures;
#[path = "requests/lives.rs"]
mod lives;
#[path = "requests/serving.rs"]
mod serving;
#[path = "requests/updates.rs"]
mod updates;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use fixtures::{Documented, base, carried, now, patched};
use futures::future::BoxFuture;
use hyper::{Request, Response, StatusCode};
use kube::Client;
use kube::client::Body;
use portcullis::cli::check::signatures::Signatures;
use portcullis::gather::signatures::{ImageQuestion, SignatureSource};
use portcullis::gather::world::{Object, World};
use portcullis::policy::facts::Signature;
use portcullis::webhook::access::{Access, Authorizer};
use portcullis::webhook::arrivals::Arrivals;
use portcullis::webhook::attempts::{Change, Refusal, RefusalSink};
use portcullis::webhook::judge::Judge;
use portcullis::webhook::running::ClusterPods;
use portcullis::webhook::wire::{Answer, Review, UserInfo};
use serde_json::{Value, json};
use tokio::time::Instant;

struct Known(Signatures);

impl SignatureSource for Known {
    fn signatures<'a>(
        &'a self,
        namespace: &'a str,
        images: Vec<ImageQuestion>,
        _: Instant,
    ) -> BoxFuture<'a, BTreeMap<String, Signature>> {
        Box::pin(async move { self.remembered(namespace, &images) })
    }

    fn remembered(&self, namespace: &str, images: &[ImageQuestion]) -> BTreeMap<String, Signature> {
        let known = images.iter().map(|q| (q.reference.clone(), self.0.of(namespace, &q.reference)));
        known.filter(|(_, known)| *known != Signature::Unasked).collect()
    }
}

struct Everything;

impl Authorizer for Everything {
    fn may<'a>(&'a self, _: &'a UserInfo, _: Access<'a>) -> BoxFuture<'a, Result<bool, String>> {
        Box::pin(async { Ok(true) })
    }
}

struct Nobody;

impl RefusalSink for Nobody {
    fn refused(&self, refusal: Refusal) {
        panic!("nothing is refused here: {refusal:?}");
    }

    fn recorded(&self, _: Refusal) {}

    fn changed(&self, _: Change) {}
}

/// An API server that lists pods.
#[derive(Default)]
struct Cluster {
    pods: Vec<Value>,
    /// Answered instead of a list.
    fault: Option<(StatusCode, Value)>,
    /// Never answers.
    silent: bool,
    asked: Mutex<Vec<String>>,
}

impl Cluster {
    fn answer(&self, uri: &str) -> (StatusCode, Value) {
        self.asked.lock().unwrap().push(uri.to_owned());
        if let Some(fault) = &self.fault {
            return fault.clone();
        }
        let of = |key: &str| {
            let query = uri.split_once('?').unwrap().1;
            query.split('&').find_map(|pair| pair.strip_prefix(&format!("{key}="))).map(str::to_owned)
        };
        let limit: usize = of("limit").unwrap().parse().unwrap();
        let from: usize = of("continue").map_or(0, |rest| rest.parse().unwrap());
        let to = (from + limit).min(self.pods.len());
        let rest = if to < self.pods.len() { to.to_string() } else { String::new() };
        (StatusCode::OK, json!({"metadata": {"continue": rest}, "items": self.pods[from..to]}))
    }

    fn client(self: &Arc<Self>) -> Client {
        let (service, mut requests) = tower_test::mock::pair::<Request<Body>, Response<Body>>();
        let cluster = Arc::clone(self);
        tokio::spawn(async move {
            let mut kept = Vec::new();
            while let Some((request, send)) = requests.next_request().await {
                if cluster.silent {
                    kept.push(send);
                    continue;
                }
                let (status, body) = cluster.answer(&request.uri().to_string());
                send.send_response(
                    Response::builder()
                        .status(status)
                        .body(Body::from(body.to_string().into_bytes()))
                        .unwrap(),
                );
            }
        });
        Client::new(service, "default")
    }
}

fn judge(documented: &Documented, world: World, cluster: &Arc<Cluster>) -> Judge {
    Judge {
        world: Arc::new(RwLock::new(world)),
        signatures: Arc::new(Known(documented.known())),
        authorizer: Arc::new(Everything),
        sink: Arc::new(Nobody),
        running: Arc::new(ClusterPods::new(cluster.client())),
        arrivals: Arc::new(Arrivals::default()),
        operator: "operator".to_owned(),
        clock: now,
    }
}

/// Longer than the webhook has, because this is no optimised build and the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(10);

async fn ask(judge: &Judge, request: Value) -> Answer {
    let review = json!({"request": request}).to_string();
    let mut review: Review<'_> = serde_json::from_str(&review).unwrap();
    review.request.from_api_server = true;
    judge.answer(&review.request, Instant::now() + PATIENCE).await
}

/// The same from whoever reaches the port and shows no certificate.
async fn forged(judge: &Judge, request: Value) -> Answer {
    let review = json!({"request": request}).to_string();
    judge.review(review.as_bytes(), Instant::now() + PATIENCE).await.0
}

/// The pod of the base as it runs: scheduled, named, and with `patch` laid over it.
fn running(documented: &Documented, name: &str, patch: &Value) -> Value {
    let mut pod = carried(documented).objects.into_iter().find(|object| object["kind"] == "Pod").unwrap();
    pod["metadata"]["name"] = name.into();
    pod["spec"]["nodeName"] = "node-1".into();
    json_patch::merge(&mut pod, patch);
    pod
}

const GOVERNED: [(&str, &str); 3] = [
    ("portcullis.dev/environment", "production"),
    ("portcullis.dev/sensitivity", "internal"),
    ("pod-security.kubernetes.io/enforce", "restricted"),
];

fn namespace(labels: &[(&str, &str)]) -> Value {
    let labels: BTreeMap<_, _> = labels.iter().copied().collect();
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "chat-prod", "labels": labels}})
}

fn labelling(before: &[(&str, &str)], after: &[(&str, &str)], dry_run: bool) -> Value {
    json!({
        "uid": "u", "operation": "UPDATE", "name": "chat-prod", "namespace": "chat-prod", "dryRun": dry_run,
        "kind": {"group": "", "kind": "Namespace"}, "resource": {"group": "", "resource": "namespaces"},
        "userInfo": {"username": "classifier"}, "object": namespace(after), "oldObject": namespace(before),
    })
}

/// The world of the base before its namespace was governed.
fn ungoverned(documented: &Documented) -> World {
    let mut world = documented.manifests().world;
    world.apply(Object::Namespace(Box::new(serde_json::from_value(namespace(&[])).unwrap())));
    world
}

#[tokio::test]
async fn classifying_a_namespace_tells_which_pods_would_not_come_back() {
    let documented = base();
    let debugged =
        json!({"spec": {"ephemeralContainers": [{"name": "d", "image": "registry.example/debug"}]}});
    let mut bad = running(&documented, "chat-1", &json!({}));
    bad["spec"]["containers"][0]["image"] = "registry.example/chat:v1".into();
    let mut unlooked = running(&documented, "chat-2", &json!({}));
    let digest = "a".repeat(64);
    unlooked["spec"]["containers"][0]["image"] = format!("registry.example/chat@sha256:{digest}").into();
    let cluster = Arc::new(Cluster {
        pods: vec![
            running(&documented, "chat-0", &debugged),
            bad,
            unlooked,
            running(&documented, "other-0", &json!({"metadata": {"labels": {"app": "other"}}})),
            running(
                &documented,
                "gone-0",
                &json!({"metadata": {"deletionTimestamp": "2026-06-01T00:00:00Z"}}),
            ),
        ],
        ..Cluster::default()
    });
    let judge = judge(&documented, ungoverned(&documented), &cluster);
    for dry_run in [false, true] {
        let answer = ask(&judge, labelling(&[], &GOVERNED, dry_run)).await;
        assert_eq!(answer.denial, None);
        assert_eq!(
            answer.warnings,
            [
                "Namespace chat-prod: 2 of 4 running pods would not be admitted again: chat-1 (image-digest-pinned), other-0 \
                 (declared-workloads-only)",
                "Namespace chat-prod: of 1 of 4 running pods signatures are not known yet: chat-2",
            ]
        );
    }
    // Who shows no certificate may have made the review up, rights and all, to read names.
    let mut claimed = labelling(&[], &GOVERNED, false);
    claimed["fromApiServer"] = true.into();
    assert_eq!(
        forged(&judge, claimed).await.warnings,
        [
            "Namespace chat-prod: 2 of 4 running pods would not be admitted again (portcullis plan -n chat-prod names them): \
             declared-workloads-only, image-digest-pinned",
            "Namespace chat-prod: of 1 of 4 running pods signatures are not known yet",
        ]
    );
    assert_eq!(
        cluster.asked.lock().unwrap()[0],
        "/api/v1/namespaces/chat-prod/pods?&fieldSelector=status.phase%21%3DSucceeded%2Cstatus.phase%21%3DFailed&limit=50"
    );
}

#[tokio::test]
async fn only_a_new_class_of_a_governed_namespace_is_counted() {
    let documented = base();
    let cluster =
        Arc::new(Cluster { pods: vec![running(&documented, "chat-0", &json!({}))], ..Cluster::default() });
    let judge = judge(&documented, ungoverned(&documented), &cluster);
    let with = |extra: (&'static str, &'static str)| [&GOVERNED[..2], &[extra]].concat();
    let restricted = with(("pod-security.kubernetes.io/enforce", "restricted"));
    for (before, after) in [
        (with(("pod-security.kubernetes.io/enforce", "baseline")), restricted.clone()),
        (Vec::new(), vec![("pod-security.kubernetes.io/enforce", "restricted")]),
        (restricted, with(("team", "chat"))),
    ] {
        // The last of these lowers a label, which is refused while AI lives there.
        let _ = ask(&judge, labelling(&before, &after, false)).await;
    }
    assert!(cluster.asked.lock().unwrap().is_empty());
    let answer = ask(&judge, labelling(&[], &GOVERNED, false)).await;
    assert_eq!((answer.denial, answer.warnings), (None, Vec::new()), "every pod would come back");
    assert_eq!(cluster.asked.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn many_pods_are_counted_up_to_a_bound() {
    let documented = base();
    let pod = |index| {
        running(&documented, &format!("other-{index:04}"), &json!({"metadata": {"labels": {"app": "other"}}}))
    };
    let cluster = Arc::new(Cluster { pods: (0..1200).map(pod).collect(), ..Cluster::default() });
    let judge = judge(&documented, ungoverned(&documented), &cluster);
    let answer = ask(&judge, labelling(&[], &GOVERNED, false)).await;
    let warning = &answer.warnings[0];
    assert!(
        warning.starts_with(
            "Namespace chat-prod: 500 of the first 500 running pods would not be admitted again: other-0000 ("
        ),
        "{warning}"
    );
    assert!(warning.ends_with(" more") && warning.len() <= 250, "{warning}");
    assert_eq!(cluster.asked.lock().unwrap().len(), 11);
}

#[tokio::test]
async fn what_cannot_be_counted_is_said_and_never_refused() {
    let documented = base();
    let forbidden = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": 403,
        "reason": "Forbidden", "message": "pods is forbidden: User \"w\" cannot list resource \"pods\""});
    let huge =
        running(&documented, "chat-0", &json!({"metadata": {"annotations": {"pad": "x".repeat(9 << 20)}}}));
    let could_not =
        "Namespace chat-prod: running pods that would not be admitted again could not be counted: ";
    for (cluster, why) in [
        (
            Cluster { fault: Some((StatusCode::FORBIDDEN, forbidden)), ..Cluster::default() },
            "pods is forbidden: User \"w\" cannot list resource \"pods\"",
        ),
        (Cluster { silent: true, ..Cluster::default() }, "the API server did not list the pods in time"),
        (
            Cluster { pods: vec![huge], ..Cluster::default() },
            "the list of pods could not be read: length limit exceeded",
        ),
    ] {
        let judge = judge(&documented, ungoverned(&documented), &Arc::new(cluster));
        let review = json!({"request": labelling(&[], &GOVERNED, false)}).to_string();
        let (answer, _) = judge.review(review.as_bytes(), Instant::now() + Duration::from_millis(900)).await;
        assert_eq!((answer.denial, answer.warnings), (None, vec![format!("{could_not}{why}")]));
    }
}

fn workload(name: &str, labels: &Value) -> Value {
    json!({"apiVersion": "portcullis.dev/v1alpha1", "kind": "AIWorkload",
        "metadata": {"name": name, "namespace": "chat-prod"},
        "spec": {"type": "supporting", "selector": {"matchLabels": labels}, "roles": ["SystemOperator"],
            "owners": {"accountable": {"user": "j.doe"}, "systemOperator": {"group": "chat-ops"}}}})
}

fn declaring(operation: &str, object: &Value, former: &Value) -> Value {
    json!({
        "uid": "u", "operation": operation, "name": "twin", "namespace": "chat-prod",
        "kind": {"group": "portcullis.dev", "kind": "AIWorkload"},
        "resource": {"group": "portcullis.dev", "resource": "aiworkloads"},
        "userInfo": {"username": "j.doe"}, "object": object, "oldObject": former,
    })
}

#[tokio::test]
async fn a_second_declaration_may_not_take_in_the_pods_of_the_first() {
    let documented = base();
    let judge = judge(&documented, documented.manifests().world, &Arc::new(Cluster::default()));
    let create = async |labels: Value| {
        ask(&judge, declaring("CREATE", &workload("twin", &labels), &Value::Null)).await
    };
    for (labels, what) in [
        (json!({"app": "chat"}), "select the same pods as AIWorkload \"chat\""),
        (json!({"app": "chat", "tier": "web"}), "select only pods that AIWorkload \"chat\" selects too"),
    ] {
        let denial = create(labels).await.denial.unwrap();
        let place = "AIWorkload chat-prod/twin spec.selector.matchLabels: ";
        assert!(denial.contains(&format!("{place}{what}, and a pod that two select is refused")), "{denial}");
        assert!(denial.contains("kubectl delete aiworkload chat -n chat-prod"), "{denial}");
    }
    let answer = create(json!({"tier": "web"})).await;
    assert_eq!(answer.denial, None);
    let warning = "AIWorkload chat-prod/twin: a pod with its labels and those of another one would be refused, because two \
                   select it: AIWorkload chat";
    assert_eq!(answer.warnings, [warning]);
    let answer = create(json!({"app": "search"})).await;
    assert_eq!((answer.denial, answer.warnings), (None, Vec::new()));

    // Two that are there already, for whatever reason, can be changed.
    let twin = workload("twin", &json!({"app": "chat"}));
    let read = serde_json::from_value(twin.clone()).unwrap();
    judge.world.write().unwrap().apply(Object::Workload(Box::new(read)));
    let mut better = twin.clone();
    better["spec"]["criticality"] = "critical".into();
    let answer = ask(&judge, declaring("UPDATE", &better, &twin)).await;
    assert_eq!(answer.denial, None);
    assert!(
        answer.warnings[0].contains("select the same pods as AIWorkload \"chat\""),
        "{:?}",
        answer.warnings
    );
}

#[tokio::test]
async fn what_takes_the_place_of_a_deleted_one_waits_for_the_news() {
    let documented = base();
    let judge = judge(&documented, documented.manifests().world, &Arc::new(Cluster::default()));
    let watch = judge.clone();
    tokio::spawn(async move {
        let kind = portcullis::gather::world::Kind::Workload;
        watch.world.write().unwrap().remove(kind, Some("chat-prod"), "chat");
        watch.arrivals.told();
    });
    let twin = workload("twin", &json!({"app": "chat"}));
    let answer = ask(&judge, declaring("CREATE", &twin, &Value::Null)).await;
    assert_eq!(answer.denial, None);
}

#[tokio::test]
async fn deleting_a_declaration_tells_what_its_pods_lose() {
    let documented = base();
    let pods = (0..2).map(|index| running(&documented, &format!("chat-{index}"), &json!({}))).collect();
    let cluster = Arc::new(Cluster { pods, ..Cluster::default() });
    let judge = judge(&documented, documented.manifests().world, &cluster);
    let mut chat = workload("chat", &json!({"app": "chat"}));
    let delete = |object: &Value| {
        let mut request = declaring("DELETE", &Value::Null, object);
        request["name"] = "chat".into();
        request
    };
    let answer = ask(&judge, delete(&chat)).await;
    assert_eq!(answer.denial, None);
    assert_eq!(
        answer.warnings,
        [
            "AIWorkload chat-prod/chat: 2 running pods lose ServiceAccount \"chat\" and the network allowances made for them, \
          and new ones are refused: chat-0, chat-1"
        ]
    );
    let answer = forged(&judge, delete(&chat)).await;
    assert_eq!(
        answer.warnings,
        [
            "AIWorkload chat-prod/chat: 2 running pods lose ServiceAccount \"chat\" and the network allowances made for them, and new \
          ones are refused"
        ]
    );
    assert!(cluster.asked.lock().unwrap()[0].contains("labelSelector=app%3Dchat"));
    chat["spec"]["manage"] = "Observe".into();
    let answer = ask(&judge, delete(&chat)).await;
    assert_eq!(
        answer.warnings,
        [
            "AIWorkload chat-prod/chat: 2 running pods stay undeclared, and new ones are refused: chat-0, chat-1"
        ]
    );

    // The end of a namespace takes everything along, so there is nothing to warn of.
    let mut ending = namespace(&GOVERNED);
    ending["metadata"]["deletionTimestamp"] = "2026-06-01T00:00:00Z".into();
    let ending = serde_json::from_value(ending).unwrap();
    judge.world.write().unwrap().apply(Object::Namespace(Box::new(ending)));
    let answer = ask(&judge, delete(&chat)).await;
    assert_eq!((answer.denial, answer.warnings), (None, Vec::new()));
    assert_eq!(cluster.asked.lock().unwrap().len(), 3);
}

fn changing(subresource: &str, old: &Value, new: &Value) -> Value {
    json!({
        "uid": "u", "operation": "UPDATE", "name": "chat-0", "namespace": "chat-prod", "dryRun": true,
        "kind": {"group": "", "kind": "Pod"}, "resource": {"group": "", "resource": "pods"}, "subResource": subresource,
        "userInfo": {"username": "tenant"}, "object": new, "oldObject": old,
    })
}

#[tokio::test]
async fn who_resizes_a_pod_does_not_answer_for_what_was_wrong_before() {
    let documented = base();
    let judge = judge(&documented, documented.manifests().world, &Arc::default());
    let mut old = running(&documented, "chat-0", &json!({}));
    old["spec"]["containers"][0]["image"] = "registry.example/chat:v1".into();
    let mut new = old.clone();
    new["spec"]["containers"][0]["resources"]["limits"]["cpu"] = "3".into();
    let resized = ask(&judge, changing("resize", &old, &new)).await;
    assert_eq!(resized.denial, None);
    assert!(resized.warnings.iter().any(|told| told.starts_with("[image-digest-pinned |")), "{resized:?}");
    // What the change brings is refused, and so is the old fault where the pod itself is written.
    new["spec"]["containers"][0]["resources"]["limits"].as_object_mut().unwrap().remove("cpu");
    assert_eq!(ask(&judge, changing("resize", &old, &new)).await.controls, ["resource-bounds"]);
    new = old.clone();
    new["spec"]["activeDeadlineSeconds"] = 60.into();
    assert_eq!(ask(&judge, changing("", &old, &new)).await.controls, ["image-digest-pinned"]);
}

#[tokio::test]
async fn a_group_that_holds_ai_identities_is_bound_with_a_warning() {
    let documented = base();
    let mut world = documented.manifests().world;
    let role = json!({"metadata": {"name": "reader"}, "rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["list"]}]});
    world.apply(Object::ClusterRole(Box::new(serde_json::from_value(role).unwrap())));
    let judge = judge(&documented, world, &Arc::default());
    let binding = |subject: Value| {
        json!({
            "uid": "u", "operation": "CREATE", "name": "b", "namespace": "chat-prod", "dryRun": true,
            "kind": {"group": "rbac.authorization.k8s.io", "kind": "RoleBinding"},
            "resource": {"group": "rbac.authorization.k8s.io", "resource": "rolebindings"},
            "userInfo": {"username": "admin"},
            "object": {"metadata": {"name": "b", "namespace": "chat-prod"}, "subjects": [subject],
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "reader"}},
        })
    };
    let group = |name: &str| json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": name});
    for name in ["system:serviceaccounts:chat-prod", "system:serviceaccounts", "system:authenticated"] {
        let answer = ask(&judge, binding(group(name))).await;
        assert_eq!(answer.denial, None, "{name}");
        assert!(answer.warnings[0].contains("may list secrets"), "{name}: {answer:?}");
    }
    assert!(ask(&judge, binding(group("people"))).await.warnings.is_empty());
    let account = json!({"kind": "ServiceAccount", "name": "chat", "namespace": "chat-prod"});
    assert_eq!(ask(&judge, binding(account)).await.controls, ["least-privilege-rbac"]);
}

#[tokio::test]
async fn a_binding_is_judged_by_both_of_its_names() {
    let documented = base();
    let judge = judge(&documented, documented.manifests().world, &Arc::default());
    for (resource, subresource) in [("pods", "binding"), ("bindings", "")] {
        let request = |labels: Value| {
            json!({
                "uid": "u", "operation": "CREATE", "name": "chat-0", "namespace": "chat-prod", "dryRun": true,
                "kind": {"group": "", "kind": "Binding"}, "resource": {"group": "", "resource": resource},
                "subResource": subresource, "userInfo": {"username": "system:kube-scheduler"},
                "object": {"metadata": {"name": "chat-0", "labels": labels}, "target": {"kind": "Node", "name": "n"}},
            })
        };
        assert_eq!(ask(&judge, request(json!({}))).await.denial, None);
        let denial = ask(&judge, request(json!({"app": "other"}))).await.denial.unwrap();
        assert!(denial.contains("metadata.labels[\"app\"] would overwrite"), "{denial}");
    }
}

/// Hears of assets that change.
#[derive(Default)]
struct Heard(Mutex<Vec<Change>>);

impl RefusalSink for Heard {
    fn refused(&self, _: Refusal) {}

    fn recorded(&self, _: Refusal) {}

    fn changed(&self, change: Change) {
        self.0.lock().unwrap().push(change);
    }
}

#[tokio::test]
async fn an_asset_that_is_changed_outside_office_hours_is_marked_with_who_and_when() {
    let mut documented = base();
    let before = documented.get("AIDataset/manual").clone();
    // It is noon of a Monday.
    for (hours, unusual) in [("Mon-Fri 13:00-18:00", true), ("Mon-Fri 08:00-18:00", false)] {
        let mut world = documented.manifests().world;
        let profile = json!({
            "apiVersion": "portcullis.dev/v1alpha1", "kind": "AIProfile", "metadata": {"name": "default"},
            "spec": {"parameters": {"officeHours": hours}}});
        world.apply(Object::Profile(Box::new(serde_json::from_value(profile).unwrap())));
        let heard = Arc::new(Heard::default());
        let judge = Judge { sink: heard.clone(), ..judge(&documented, world, &Arc::new(Cluster::default())) };
        let change = |patch: Value, dry_run: bool| {
            let mut after = before.clone();
            json_patch::merge(&mut after, &patch);
            json!({"uid": "u", "operation": "UPDATE", "name": "manual", "namespace": "chat-prod", "dryRun": dry_run,
                   "kind": {"group": "portcullis.dev", "kind": "AIDataset"},
                   "resource": {"group": "portcullis.dev", "resource": "aidatasets"},
                   "userInfo": {"username": "ada"}, "object": after, "oldObject": before})
        };
        let other = json!({"spec": {"reviewEvery": "P77D"}});
        for request in [
            change(other.clone(), true),
            change(json!({"metadata": {"labels": {"team": "a"}}}), false),
            change(json!({"spec": {"lastReviewedAt": "2026-05-30"}}), false),
            change(other, false),
        ] {
            let answer = ask(&judge, request).await;
            assert_eq!(answer.denial, None);
        }
        let heard = heard.0.lock().unwrap();
        if !unusual {
            assert_eq!(heard.len(), 1, "{heard:?}");
            assert_eq!(heard[0].message, "ada changed what is declared of AIDataset/manual");
            let edit = heard[0].edit.clone().unwrap();
            assert_eq!((edit.user.as_deref(), heard[0].unusual.is_none()), (Some("ada"), true));
            assert_eq!(edit.digest.as_deref(), before["spec"]["digest"].as_str());
            assert_eq!(edit.former.and_then(|former| former.digest), edit.digest, "and what it was before");
            continue;
        }
        assert_eq!(heard.len(), 1, "dry runs, labels and reviews change no asset: {heard:?}");
        assert_eq!(
            (heard[0].namespace.as_str(), heard[0].object.as_str()),
            ("chat-prod", "AIDataset/manual")
        );
        assert_eq!(heard[0].message, "ada outside office hours changed what is declared of AIDataset/manual");
        let mark = heard[0].unusual.as_ref().unwrap();
        let said = (mark.by.as_str(), mark.at.as_str(), mark.hours.as_str());
        assert_eq!(said, ("ada", "2026-06-01T12:00:00Z", hours));
    }
}
