//! The cluster as the benchmarks want it: namespaces, policies, a declaration, certificates, and the two webhooks.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kube::Client;
use portcullis::controllers::certificates::issue;
use rustls::ClientConfig;
use serde_json::{Value, json};

use super::client;
use super::load::{self, Prepared};
use super::process::{Running, free_port, program};
use super::registry::Registry;
use super::subjects::{Rule, Subject, subjects};

/// The name that the webhook wants in its certificate.
const SERVER_NAME: &str = "portcullis-webhook.portcullis-system.svc";
/// Where each peer judges: everything is in place all the time, and the namespace alone decides who is asked.
pub(crate) const NAMESPACES: [&str; 5] =
    ["bench-none", "bench-echo", "bench-portcullis", "bench-vap-one", "bench-vap-seven"];
/// The registration of both webhooks.
const CONFIGURATION: &str = "bench";
/// The signed images of the registry.
pub(crate) const SIGNED: [&str; 8] = [
    "v2-ecdsa-p256",
    "v2-ecdsa-p384",
    "v2-ed25519",
    "v2-rsa-3072",
    "v3-ecdsa-p256",
    "v3-ecdsa-p384",
    "v3-ed25519",
    "v3-rsa-3072",
];

/// The cluster, and what runs beside it.
pub(crate) struct Stage {
    pub(crate) client: Client,
    pub(crate) api_server: u32,
    pub(crate) registry: Registry,
    /// The signed images by digest, in the order of [`SIGNED`].
    pub(crate) images: Vec<String>,
    pub(crate) unsigned: String,
    pub(crate) subjects: Vec<Subject>,
    pub(crate) trust: Arc<ClientConfig>,
    pub(crate) echo: Running,
    pub(crate) echo_port: u16,
    webhook: Option<Running>,
    pub(crate) port: u16,
    pub(crate) http_port: u16,
    folder: PathBuf,
    _folder: tempfile::TempDir,
}

impl Stage {
    pub(crate) async fn set() -> Result<Self> {
        let kubeconfig = PathBuf::from(std::env::var("KUBECONFIG").context("KUBECONFIG: run `make bench`")?);
        let pids = kubeconfig.parent().context("KUBECONFIG")?.join("pids/kube-apiserver");
        let pid = std::fs::read_to_string(&pids).context("the API server of e2e/cluster")?;
        let api_server = pid.split_whitespace().next().context("pid")?.parse()?;
        let client = Client::try_default().await?;
        let temporary = tempfile::tempdir()?;
        let folder = temporary.path().to_owned();

        let registry = Registry::start(true).await;
        let reference = |name: &str| format!("{}/team/{name}@{}", registry.host(), registry.load(name));
        let images: Vec<String> = SIGNED.iter().map(|name| reference(name)).collect();
        let unsigned = reference("unsigned");

        let authority = issue::authority(jiff::Timestamp::now().as_second())?;
        let names = [SERVER_NAME.to_owned(), "127.0.0.1".to_owned()];
        let serving = issue::serving(&authority, &names, jiff::Timestamp::now().as_second(), i64::MAX)?;
        let file = |name: &str, text: &str| -> Result<PathBuf> {
            let path = folder.join(name);
            std::fs::write(&path, text)?;
            Ok(path)
        };
        let (certificate, key, ca) = (
            file("tls.crt", &serving.certificate)?,
            file("tls.key", &serving.key)?,
            file("ca.crt", &authority.certificate)?,
        );
        let (port, http_port, echo_port) = (free_port()?, free_port()?, free_port()?);
        let mut echo = Command::new(std::env::current_exe()?);
        echo.arg("echo").arg(format!("127.0.0.1:{echo_port}")).arg(SERVER_NAME);
        let echo = Running::start(echo.args([certificate, key, ca]), &folder.join("echo.log"))?;

        let mut stage = Self {
            client,
            api_server,
            subjects: subjects(&images[0]),
            registry,
            images,
            unsigned,
            trust: client::trust(&authority.certificate)?,
            echo,
            echo_port,
            webhook: None,
            port,
            http_port,
            folder,
            _folder: temporary,
        };
        stage.prepare().await?;
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": "portcullis-webhook-tls", "namespace": "portcullis-system"},
            "data": {
                "tls.crt": STANDARD.encode(&serving.certificate),
                "tls.key": STANDARD.encode(&serving.key),
                "ca.crt": STANDARD.encode(&authority.certificate),
            },
        });
        let bundle = STANDARD.encode(&authority.certificate);
        apply(&[secret, webhooks(&bundle, echo_port, port)])?;
        stage.start_webhook().await?;
        apply(&policies(&stage.registry.host()))?;
        stage.in_force().await?;
        Ok(stage)
    }

    /// Definitions, namespaces, trust and the declaration; the real controller then brings the generated objects about.
    async fn prepare(&mut self) -> Result<()> {
        run_kubectl(&["apply", "--server-side", "-f", concat!(env!("CARGO_MANIFEST_DIR"), "/crds")], b"")?;
        let wait = ["wait", "--for", "condition=Established", "--timeout", "30s", "crd", "--all"];
        run_kubectl(&wait, b"")?;
        let mut objects = vec![json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "portcullis-system"},
        })];
        for namespace in NAMESPACES {
            let labels = if namespace == "bench-portcullis" {
                json!({"portcullis.dev/environment": "production", "portcullis.dev/sensitivity": "internal"})
            } else {
                json!({})
            };
            objects.push(json!({
                "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": labels},
            }));
            for account in ["default", "chat"] {
                // The operator makes the identity of the declaration itself.
                if (namespace, account) != ("bench-portcullis", "chat") {
                    objects.push(json!({
                        "apiVersion": "v1", "kind": "ServiceAccount",
                        "metadata": {"name": account, "namespace": namespace},
                        "automountServiceAccountToken": false,
                    }));
                }
            }
        }
        objects.push(trust_policy(&self.registry.host())?);
        objects.push(workload("chat", "bench-portcullis"));
        apply(&objects)?;
        let controller = self.start_controller()?;
        let generated = ["-n", "bench-portcullis", "get", "serviceaccount/chat", "networkpolicy/chat"];
        until(Duration::from_mins(1), "generated objects", || run_kubectl(&generated, b"").is_ok()).await?;
        controller.stop()
    }

    /// The command of our own program with what both servers share.
    fn program(role: &str, http_port: u16) -> Command {
        let mut command = Command::new(program());
        command.args([role, "--http-listen", &format!("127.0.0.1:{http_port}"), "--log-format", "text"]);
        command.env("POD_NAMESPACE", "portcullis-system").env("POD_NAME", format!("bench-{role}"));
        command
    }

    pub(crate) fn start_controller(&self) -> Result<Running> {
        let list = self.folder.join("webhooks.yaml");
        std::fs::write(&list, "[]\n")?;
        let mut command = Self::program("controller", free_port()?);
        command.arg("--webhooks-file").arg(list);
        Running::start(&mut command, &self.folder.join("controller.log"))
    }

    /// Starts the webhook anew, without waiting for it.
    pub(crate) fn launch_webhook(&mut self) -> Result<()> {
        if let Some(former) = self.webhook.take() {
            former.stop()?;
        }
        let mut command = Self::program("webhook", self.http_port);
        command.args(["--listen", &format!("127.0.0.1:{}", self.port), "--drain-seconds", "0"]);
        // It is ready once the API server knows its authority, by whatever name the configuration goes.
        command.args(["--webhook-configuration", CONFIGURATION]);
        self.webhook = Some(Running::start(&mut command, &self.folder.join("webhook.log"))?);
        Ok(())
    }

    /// Starts the webhook anew and waits until it is ready.
    pub(crate) async fn start_webhook(&mut self) -> Result<Duration> {
        self.launch_webhook()?;
        self.ready().await
    }

    /// Waits until the webhook says that it is ready; how long after its start that was.
    pub(crate) async fn ready(&mut self) -> Result<Duration> {
        let port = self.http_port;
        let webhook = self.webhook.as_mut().context("the webhook")?;
        loop {
            if probe(port).await.unwrap_or(false) {
                return Ok(webhook.begun.elapsed());
            }
            if webhook.begun.elapsed() > Duration::from_mins(1) || webhook.alive().is_err() {
                let log = std::fs::read_to_string(self.folder.join("webhook.log")).unwrap_or_default();
                bail!("the webhook is not ready:\n{log}");
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) fn webhook(&self) -> Result<&Running> {
        self.webhook.as_ref().context("the webhook does not run")
    }

    /// The creates of each namespace with their verdicts, in the order of [`NAMESPACES`].
    pub(crate) fn creates(&self) -> [Arc<[Prepared]>; 5] {
        let own: fn(Rule) -> String = |rule| format!("[{} |", rule.control());
        let peers: fn(Rule) -> String = |rule| format!("[{}]", rule.word());
        let denials = [None, None, Some(own), Some(peers), Some(peers)];
        std::array::from_fn(|index| load::creates(&self.subjects, NAMESPACES[index], denials[index]))
    }

    /// Waits until every namespace gives every verdict right.
    async fn in_force(&self) -> Result<()> {
        let begun = Instant::now();
        for prepared in self.creates().iter().flat_map(|list| list.iter()) {
            loop {
                let (status, body, _) = load::create(&self.client, prepared).await?;
                let Err(error) = load::check(prepared, status, &body) else { break };
                if begun.elapsed() > Duration::from_mins(1) {
                    return Err(error.context(prepared.path.clone()));
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        Ok(())
    }

    /// The pods of the subjects as the API server would send them, defaults filled in.
    pub(crate) async fn reviews(&self) -> Result<Arc<[Prepared]>> {
        let mut reviews = Vec::new();
        let [plain, _, own, ..] = self.creates();
        for (plain, own) in plain.iter().zip(own.iter()) {
            let (status, body, _) = load::create(&self.client, plain).await?;
            load::check(plain, status, &body)?;
            let text = String::from_utf8(body.to_vec())?.replace("bench-none", "bench-portcullis");
            let body = review(&serde_json::from_str(&text)?, &Value::Null, "CREATE").to_string();
            reviews.push(Prepared { body: body.into(), ..own.clone() });
        }
        Ok(reviews.into())
    }
}

/// A review of a pod.
pub(crate) fn review(object: &Value, old: &Value, operation: &str) -> Value {
    let kind = json!({"group": "", "version": "v1", "kind": "Pod"});
    let resource = json!({"group": "", "version": "v1", "resource": "pods"});
    json!({
        "kind": "AdmissionReview",
        "apiVersion": "admission.k8s.io/v1",
        "request": {
            "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
            "kind": kind,
            "resource": resource,
            "requestKind": kind,
            "requestResource": resource,
            "name": object["metadata"]["name"],
            "namespace": "bench-portcullis",
            "operation": operation,
            "userInfo": {"username": "bench", "groups": ["system:masters", "system:authenticated"]},
            "object": object,
            "oldObject": old,
            "dryRun": true,
            "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1", "dryRun": ["All"]},
        },
    })
}

/// A declaration that every good pod meets.
pub(crate) fn workload(name: &str, namespace: &str) -> Value {
    json!({
        "apiVersion": "portcullis.dev/v1alpha1", "kind": "AIWorkload",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "type": "inference",
            "roles": ["SystemOperator"],
            "selector": {"matchLabels": {"app": name}},
            "owners": {
                "accountable": {"user": "j.doe"},
                "developer": {"group": "chat-dev"},
                "systemOperator": {"group": "chat-ops"},
            },
            "exposure": [{"name": "api", "port": 8080, "audience": "internal"}],
            "monitoring": {
                "metrics": {"port": "metrics"},
                "ioLog": {"mode": "full", "container": name, "sink": {"kind": "stdout"}},
                "internalStates": {
                    "decision": "notLogged",
                    "reason": "they show no attack that the log does not",
                    "decidedBy": "j.doe",
                    "decidedAt": "2026-10-01",
                },
            },
        },
    })
}

/// Trust in the keys of the committed artifacts.
pub(crate) fn trust_policy(host: &str) -> Result<Value> {
    let keys = ["ecdsa-p256", "ecdsa-p384", "ed25519", "rsa-3072"];
    let mut authorities = Vec::new();
    for key in keys {
        let path = format!("{}/tests/signed/{key}.pub", env!("CARGO_MANIFEST_DIR"));
        let pem = std::fs::read_to_string(path)?;
        authorities.push(json!({
            "name": key,
            "owner": {"group": "bench"},
            "key": {"algorithm": key.trim_end_matches("-3072"), "pem": pem},
        }));
    }
    Ok(json!({
        "apiVersion": "portcullis.dev/v1alpha1", "kind": "AITrustPolicy", "metadata": {"name": "bench"},
        "spec": {
            "registries": [{"host": host, "plainHTTP": true, "allowPrivateAddresses": true}],
            "authorities": authorities,
            "rules": [{"match": {"artifact": "image", "repositories": [format!("{host}/*")]}, "authorities": keys}],
        },
    }))
}

/// The registrations of the echo server and of ours: the entry for pods as the chart has it.
fn webhooks(bundle: &str, echo_port: u16, port: u16) -> Value {
    let entry = |name: &str, namespace: &str, port: u16| {
        json!({
            "name": format!("{name}.portcullis.dev"),
            "clientConfig": {"url": format!("https://127.0.0.1:{port}/validate"), "caBundle": bundle},
            "admissionReviewVersions": ["v1"],
            "failurePolicy": "Fail",
            "matchPolicy": "Equivalent",
            "sideEffects": "NoneOnDryRun",
            "timeoutSeconds": 3,
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
            "matchConditions": [{
                "name": "changed",
                "expression": "request.operation != \"UPDATE\" || object.spec != oldObject.spec",
            }],
            "rules": [{
                "apiGroups": [""], "apiVersions": ["*"], "operations": ["CREATE", "UPDATE"],
                "resources": ["pods"], "scope": "Namespaced",
            }],
        })
    };
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": CONFIGURATION},
        "webhooks": [entry("echo", "bench-echo", echo_port), entry("own", "bench-portcullis", port)],
    })
}

/// The seven rules as `ValidatingAdmissionPolicy` objects: all in one object, and each in its own.
fn policies(host: &str) -> Vec<Value> {
    let mut objects = Vec::new();
    let every: Vec<Value> = Rule::ALL.iter().flat_map(|rule| validations(*rule, host)).collect();
    objects.extend(policy("bench-one", "bench-vap-one", &every));
    for rule in Rule::ALL {
        let name = format!("bench-seven-{}", rule.word());
        objects.extend(policy(&name, "bench-vap-seven", &validations(rule, host)));
    }
    objects
}

fn policy(name: &str, namespace: &str, validations: &[Value]) -> [Value; 2] {
    let api_version = "admissionregistration.k8s.io/v1";
    [
        json!({
            "apiVersion": api_version, "kind": "ValidatingAdmissionPolicy", "metadata": {"name": name},
            "spec": {
                "failurePolicy": "Fail",
                "matchConstraints": {"resourceRules": [{
                    "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["pods"],
                }]},
                "variables": [{
                    "name": "containers",
                    "expression": "object.spec.containers + object.spec.?initContainers.orValue([])",
                }],
                "validations": validations,
            },
        }),
        json!({
            "apiVersion": api_version, "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": name},
            "spec": {
                "policyName": name,
                "validationActions": ["Deny"],
                "matchResources": {
                    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
                },
            },
        }),
    ]
}

/// Thirteen expressions in all.
fn validations(rule: Rule, host: &str) -> Vec<Value> {
    let context = "c.?securityContext";
    let expressions: Vec<String> = match rule {
        Rule::Restricted => vec![
            "!object.spec.?hostNetwork.orValue(false) && !object.spec.?hostPID.orValue(false) && !object.spec.?hostIPC.orValue(false)".to_owned(),
            "object.spec.?volumes.orValue([]).all(v, has(v.configMap) || has(v.csi) || has(v.downwardAPI) || has(v.emptyDir) || has(v.ephemeral) || has(v.persistentVolumeClaim) || has(v.projected) || has(v.secret) || has(v.image))".to_owned(),
            "variables.containers.all(c, c.?ports.orValue([]).all(p, p.?hostPort.orValue(0) == 0))".to_owned(),
            format!("variables.containers.all(c, !{context}.?allowPrivilegeEscalation.orValue(true) && !{context}.?privileged.orValue(false))"),
            format!("variables.containers.all(c, {context}.?capabilities.?drop.orValue([]).exists(d, d == 'ALL') && {context}.?capabilities.?add.orValue([]).all(a, a == 'NET_BIND_SERVICE'))"),
            format!("variables.containers.all(c, {context}.?runAsNonRoot.orValue(object.spec.?securityContext.?runAsNonRoot.orValue(false)))"),
            format!("variables.containers.all(c, {context}.?seccompProfile.?type.orValue(object.spec.?securityContext.?seccompProfile.?type.orValue('')) in ['RuntimeDefault', 'Localhost'])"),
        ],
        Rule::Digest => vec!["variables.containers.all(c, c.image.matches('@sha256:[0-9a-f]{64}$'))".to_owned()],
        Rule::Registry => vec![format!("variables.containers.all(c, c.image.startsWith('{host}/'))")],
        Rule::Limits => vec!["variables.containers.all(c, 'cpu' in c.?resources.?limits.orValue({}) && 'memory' in c.?resources.?limits.orValue({}))".to_owned()],
        Rule::Identity => vec!["object.spec.?serviceAccountName.orValue('default') != 'default' && !object.spec.?automountServiceAccountToken.orValue(true)".to_owned()],
        Rule::Labels => vec!["'app' in object.metadata.?labels.orValue({})".to_owned()],
        Rule::ReadOnlyRoot => vec![format!("variables.containers.all(c, {context}.?readOnlyRootFilesystem.orValue(false))")],
    };
    expressions
        .into_iter()
        .map(|expression| json!({"expression": expression, "message": format!("[{}] is not kept", rule.word())}))
        .collect()
}

/// Whether /readyz of our program answers 200.
async fn probe(port: u16) -> Result<bool> {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut tcp = tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
    tcp.write_all(b"GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await?;
    let mut answer = Vec::new();
    tcp.read_to_end(&mut answer).await?;
    Ok(answer.starts_with(b"HTTP/1.1 200"))
}

/// Applies objects by server-side apply.
pub(crate) fn apply(objects: &[Value]) -> Result<()> {
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
    let arguments = ["apply", "--server-side", "--force-conflicts", "--field-manager", "bench", "-f", "-"];
    run_kubectl(&arguments, list.to_string().as_bytes())
}

fn run_kubectl(arguments: &[&str], input: &[u8]) -> Result<()> {
    let mut command = Command::new("kubectl");
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().context("kubectl")?;
    child.stdin.take().context("kubectl")?.write_all(input)?;
    let output = child.wait_with_output()?;
    ensure!(
        output.status.success(),
        "kubectl {}: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// Waits until `met`, asking often.
pub(crate) async fn until(limit: Duration, what: &str, mut met: impl FnMut() -> bool) -> Result<()> {
    let begun = Instant::now();
    while !met() {
        ensure!(begun.elapsed() < limit, "waited for {what} in vain");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}
