//! The large cluster: namespaces, declarations, pods without a node, and bindings, written many at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use http_body_util::BodyExt as _;
use hyper::Request;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::client::Body;
use kube::core::DynamicObject;
use kube::runtime::wait::{await_condition, conditions};
use kube::{Api, Client, ResourceExt as _};
use portcullis::api::{AIProfile, AIWorkload};
use portcullis::controllers::generate;
use serde_json::{Value, json};

const WRITERS: usize = 32;
/// Images that pods share.
const IMAGES: usize = 50;
const KINDS: &str = "/apis/portcullis.dev/v1alpha1";
const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";

/// How large a cluster is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Size {
    /// Governed namespaces.
    pub(crate) namespaces: usize,
    /// Workloads in each.
    pub(crate) workloads: usize,
    /// Pods of each workload.
    pub(crate) pods: usize,
    /// `RoleBindings` in all.
    pub(crate) bindings: usize,
}

impl Size {
    pub(crate) fn workloads(&self) -> usize {
        self.namespaces * self.workloads
    }

    pub(crate) fn all_pods(&self) -> usize {
        self.workloads() * self.pods
    }
}

/// Installs our definitions.
pub(crate) async fn definitions(client: &Client) -> Result<()> {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    for definition in portcullis::api::crds::all_crds()? {
        let name = definition.name_any();
        let parameters = PatchParams::apply("bench").force();
        api.patch(&name, &parameters, &Patch::Apply(&definition)).await?;
        await_condition(api.clone(), &name, conditions::is_crd_established()).await?;
    }
    let system = json!({"metadata": {"name": "portcullis-system"}});
    create_all(client, vec![("/api/v1/namespaces".to_owned(), system)], None).await.map(drop)
}

pub(crate) fn space(index: usize) -> String {
    format!("scale-{index}")
}

/// Writes everything; pods only until `until`. Returns what there is then.
pub(crate) async fn fill(client: &Client, size: Size, until: Instant) -> Result<Size> {
    let labels =
        json!({"portcullis.dev/environment": "production", "portcullis.dev/sensitivity": "internal"});
    let namespaces = (0..size.namespaces).map(|index| {
        ("/api/v1/namespaces".to_owned(), json!({"metadata": {"name": space(index), "labels": labels}}))
    });
    create_all(client, namespaces.collect(), None).await.context("namespaces")?;
    let each = || (0..size.namespaces).flat_map(|ns| (0..size.workloads).map(move |index| (ns, index)));
    let declarations = each()
        .map(|(ns, index)| (format!("{KINDS}/namespaces/{}/aiworkloads", space(ns)), declaration(index)));
    create_all(client, declarations.collect(), None).await.context("workloads")?;
    // What a controller would bring about in its first minutes: one by one it would take it longer than all the rest here.
    let generated = each().flat_map(|(ns, index)| {
        let mut object = declaration(index);
        object["metadata"]["namespace"] = json!(space(ns));
        object["metadata"]["uid"] = json!("00000000-0000-4000-8000-000000000000");
        let workload = serde_json::from_value::<AIWorkload>(object);
        workload
            .iter()
            .flat_map(|workload| {
                generate::build(
                    workload,
                    &portcullis::policy::facts::Namespace::default(),
                    generate::Kinds::default(),
                )
            })
            .collect::<Vec<_>>()
    });
    let generated = generated.filter_map(|desired| {
        let (api, plural) = match desired.resource {
            generate::Resource::ServiceAccount => ("/api/v1", "serviceaccounts"),
            generate::Resource::NetworkPolicy => ("/apis/networking.k8s.io/v1", "networkpolicies"),
            _ => return None,
        };
        Some((format!("{api}/namespaces/{}/{plural}", desired.namespace), desired.object))
    });
    create_all(client, generated.collect(), None).await.context("generated objects")?;
    widen(client, false).await?;
    // Every one names a Role of its namespace and an identity there; the Role exists in the first, and is widened there.
    let bindings = (0..size.bindings).map(|index| {
        let (ns, number) = (index % size.namespaces, index / size.namespaces);
        let account = format!("app-{}", number % size.workloads);
        let binding = json!({
            "metadata": {"name": format!("team-{number}")},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "team"},
            "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": space(ns)}],
        });
        (format!("{RBAC}/namespaces/{}/rolebindings", space(ns)), binding)
    });
    create_all(client, bindings.collect(), None).await.context("bindings")?;
    // One pod of every workload comes before the second of any.
    let pods = (0..size.pods).flat_map(|number| {
        each().map(move |(ns, index)| (format!("/api/v1/namespaces/{}/pods", space(ns)), pod(index, number)))
    });
    let begun = Instant::now();
    let written = create_all(client, pods.collect(), Some(until)).await.context("pods")?;
    eprintln!("{written} pods in {} s", begun.elapsed().as_secs());
    Ok(Size { pods: written / size.workloads().max(1), ..size })
}

/// Takes pods, declarations and namespaces away, so that the next size begins anew.
pub(crate) async fn forget(client: &Client, size: &Size) -> Result<()> {
    for ns in 0..size.namespaces {
        for path in ["/api/v1", KINDS] {
            let kind = if path == KINDS { "aiworkloads" } else { "pods" };
            let uri = format!("{path}/namespaces/{}/{kind}?gracePeriodSeconds=0", space(ns));
            let response = client.send(Request::delete(uri).body(Body::empty())?).await?;
            ensure!(response.status().is_success(), "{kind} of {}: {}", space(ns), response.status());
        }
        let namespaces: Api<Namespace> = Api::all(client.clone());
        let patch = json!({"metadata": {"labels": {"portcullis.dev/environment": null}}});
        namespaces.patch(&space(ns), &PatchParams::default(), &Patch::Merge(patch)).await?;
    }
    let rows: Api<portcullis::api::AICompliance> = Api::all(client.clone());
    rows.delete_collection(&DeleteParams::default(), &ListParams::default()).await?;
    Ok(())
}

/// Creates objects many at a time, until `until`; what exists already is brought to the same labels. How many there are.
async fn create_all(client: &Client, objects: Vec<(String, Value)>, until: Option<Instant>) -> Result<usize> {
    let objects: Arc<[(String, Value)]> = objects.into();
    let next = Arc::new(AtomicUsize::new(0));
    let writers: Vec<_> = (0..WRITERS)
        .map(|_| {
            let (client, objects, next) = (client.clone(), Arc::clone(&objects), Arc::clone(&next));
            tokio::spawn(async move {
                let mut written = 0;
                while until.is_none_or(|until| Instant::now() < until)
                    && let Some((path, object)) = objects.get(next.fetch_add(1, Ordering::Relaxed))
                {
                    let request = Request::post(path)
                        .header("content-type", "application/json")
                        .body(Body::from(object.to_string().into_bytes()))?;
                    let response = client.send(request).await?;
                    let status = response.status();
                    let body = response.into_body().collect().await?.to_bytes();
                    if status == 409 {
                        let name = object["metadata"]["name"].as_str().unwrap_or_default();
                        let patch = json!({"metadata": object["metadata"]}).to_string().into_bytes();
                        let request = Request::patch(format!("{path}/{name}"))
                            .header("content-type", "application/merge-patch+json")
                            .body(Body::from(patch))?;
                        ensure!(client.send(request).await?.status().is_success(), "{path}/{name}");
                    } else {
                        ensure!(status.is_success(), "{path}: {}", String::from_utf8_lossy(&body));
                    }
                    written += 1;
                }
                anyhow::Ok(written)
            })
        })
        .collect();
    let mut written = 0;
    for writer in writers {
        written += writer.await??;
    }
    Ok(written)
}

/// Changes a profile that says nothing: every verdict is asked for anew, and none differs.
pub(crate) async fn touch_everything(client: &Client) -> Result<()> {
    let profiles: Api<AIProfile> = Api::all(client.clone());
    let now = jiff::Timestamp::now().to_string();
    let object = json!({
        "apiVersion": "portcullis.dev/v1alpha1", "kind": "AIProfile", "metadata": {"name": "touch"},
        "spec": {"base": "core", "parameters": {"touched": now}},
    });
    profiles.patch("touch", &PatchParams::apply("bench").force(), &Patch::Apply(&object)).await?;
    Ok(())
}

/// The Role that the bindings of the first namespace name; the wide one lets an identity read Secrets.
pub(crate) async fn widen(client: &Client, wide: bool) -> Result<()> {
    let resources = if wide { json!(["configmaps", "secrets"]) } else { json!(["configmaps"]) };
    let kind = kube::core::ApiResource::erase::<k8s_openapi::api::rbac::v1::Role>(&());
    let roles: Api<DynamicObject> = Api::namespaced_with(client.clone(), &space(0), &kind);
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "team"},
        "rules": [{"apiGroups": [""], "resources": resources, "verbs": ["get"]}],
    });
    roles.patch("team", &PatchParams::apply("bench").force(), &Patch::Apply(&role)).await?;
    Ok(())
}

fn declaration(index: usize) -> Value {
    let name = format!("app-{index}");
    json!({
        "apiVersion": "portcullis.dev/v1alpha1", "kind": "AIWorkload", "metadata": {"name": name},
        "spec": {
            "type": "inference",
            "roles": ["SystemOperator"],
            "selector": {"matchLabels": {"app": name}},
            "owners": {"accountable": {"user": "j.doe"}, "systemOperator": {"group": "chat-ops"}},
            "exposure": [{"name": "api", "port": 8080, "audience": "internal"}],
            "monitoring": {
                "metrics": {"port": "metrics"},
                "ioLog": {"mode": "full", "container": "app", "sink": {"kind": "stdout"}},
                "internalStates": {
                    "decision": "notLogged", "reason": "they show no attack that the log does not",
                    "decidedBy": "j.doe", "decidedAt": "2026-10-01",
                },
            },
        },
    })
}

fn pod(index: usize, number: usize) -> Value {
    let name = format!("app-{index}");
    let image = format!("registry.example/team/app@sha256:{:064x}", index % IMAGES);
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": format!("{name}-{number}"),
            "labels": {"app": name, "pod-template-hash": "5c6848b455"},
            "annotations": {"prometheus.io/scrape": "true", "prometheus.io/port": "9090"},
        },
        "spec": {
            "serviceAccountName": name,
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
            "securityContext": {
                "runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [{
                "name": "app", "image": image, "args": ["--listen", ":8080"],
                "env": [{"name": "LOG_LEVEL", "value": "info"}, {"name": "MODEL", "value": "chat-7b"}],
                "ports": [{"name": "api", "containerPort": 8080}, {"name": "metrics", "containerPort": 9090}],
                "readinessProbe": {"httpGet": {"path": "/readyz", "port": "api"}},
                "resources": {
                    "requests": {"cpu": "100m", "memory": "128Mi"},
                    "limits": {"cpu": "1", "memory": "512Mi", "ephemeral-storage": "64Mi"},
                },
                "securityContext": {
                    "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
                    "capabilities": {"drop": ["ALL"]},
                },
                "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
            }],
            "volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "16Mi"}}],
        },
    })
}
