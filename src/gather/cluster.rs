//! Watches that keep the world current: one per kind, as narrow as it can be, none inside a request.

use std::collections::HashSet;
use std::fmt::Debug;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use futures::Stream;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{
    ConfigMap, LimitRange, Namespace, PersistentVolume, PersistentVolumeClaim, ResourceQuota, Service,
    ServiceAccount,
};
use k8s_openapi::api::networking::v1::{Ingress, NetworkPolicy};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind, PartialObjectMeta};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch};
use kube::{Api, Client, ResourceExt};

use super::follow::{Keeps, Key, follow, key, paged};
use super::world::{Kind, Object, Touched, World};
use crate::api;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::probes::Condition;

/// Hears whose verdict a change may alter.
pub type Listener = Arc<dyn Fn(Touched) + Send + Sync>;

/// What the watches share.
#[derive(Clone)]
pub struct Feed {
    world: Arc<RwLock<World>>,
    listener: Listener,
    metrics: Arc<Metrics>,
    synced: Arc<Synced>,
}

struct Synced {
    waiting: AtomicUsize,
    condition: Condition,
}

impl Feed {
    /// Feeds `world`, tells `listener` of what changes, and meets `condition` when every watch has listed once.
    #[must_use]
    pub fn new(
        world: Arc<RwLock<World>>,
        listener: Listener,
        metrics: Arc<Metrics>,
        condition: Condition,
    ) -> Self {
        Self {
            world,
            listener,
            metrics,
            synced: Arc::new(Synced { waiting: AtomicUsize::new(0), condition }),
        }
    }

    /// Starts every watch. They live until the runtime ends, and start again by themselves, with growing pauses, after an
    /// error; what was known stays known meanwhile.
    pub fn start(&self, client: &Client) {
        // One more than the watches, until all are started: an early one cannot declare the whole synced.
        let mut all_started = true;
        self.synced.waiting.store(1, Ordering::SeqCst);
        // Nobody asks before the whole is synced; from then on a right that is not here does not exist.
        self.world.write().unwrap_or_else(PoisonError::into_inner).rbac.complete();
        self.metadata::<Namespace>(client, Kind::Namespace, |meta| {
            Object::Namespace(Box::new(Namespace { metadata: meta.metadata, ..Namespace::default() }))
        });
        self.metadata::<ResourceQuota>(client, Kind::ResourceQuota, |meta| {
            Object::ResourceQuota(Box::new(ResourceQuota {
                metadata: meta.metadata,
                ..ResourceQuota::default()
            }))
        });
        self.metadata::<LimitRange>(client, Kind::LimitRange, |meta| {
            Object::LimitRange(Box::new(LimitRange { metadata: meta.metadata, ..LimitRange::default() }))
        });
        self.whole::<api::AIWorkload>(client, Kind::Workload, |o| Object::Workload(Box::new(o)));
        self.whole::<api::AIModel>(client, Kind::Model, |o| Object::Model(Box::new(o)));
        self.whole::<api::AIDataset>(client, Kind::Dataset, |o| Object::Dataset(Box::new(o)));
        self.whole::<api::AIPrompt>(client, Kind::Prompt, |o| Object::Prompt(Box::new(o)));
        self.whole::<api::AIEvidence>(client, Kind::Evidence, |o| Object::Evidence(Box::new(o)));
        self.whole::<api::AISupplier>(client, Kind::Supplier, |o| Object::Supplier(Box::new(o)));
        self.whole::<api::AIGovernance>(client, Kind::Governance, |o| Object::Governance(Box::new(o)));
        self.whole::<PersistentVolumeClaim>(client, Kind::Claim, |o| Object::Claim(Box::new(o)));
        self.whole::<PersistentVolume>(client, Kind::Volume, |o| Object::Volume(Box::new(o)));
        self.config_maps(client);
        self.whole::<api::AIExemption>(client, Kind::Exemption, |o| Object::Exemption(Box::new(o)));
        self.whole::<api::AITrustPolicy>(client, Kind::TrustPolicy, |o| Object::TrustPolicy(Box::new(o)));
        self.whole::<api::AIProfile>(client, Kind::Profile, |o| Object::Profile(Box::new(o)));
        self.whole::<ServiceAccount>(client, Kind::ServiceAccount, |o| Object::ServiceAccount(Box::new(o)));
        self.whole::<NetworkPolicy>(client, Kind::NetworkPolicy, |o| Object::NetworkPolicy(Box::new(o)));
        self.whole::<HorizontalPodAutoscaler>(client, Kind::Autoscaler, |o| Object::Autoscaler(Box::new(o)));
        self.whole::<Service>(client, Kind::Service, |o| Object::Service(Box::new(o)));
        self.whole::<Ingress>(client, Kind::Ingress, |o| Object::Ingress(Box::new(o)));
        self.whole::<Role>(client, Kind::Role, |o| Object::Role(Box::new(o)));
        self.whole::<ClusterRole>(client, Kind::ClusterRole, |o| Object::ClusterRole(Box::new(o)));
        self.whole::<RoleBinding>(client, Kind::RoleBinding, |o| Object::RoleBinding(Box::new(o)));
        self.whole::<ClusterRoleBinding>(client, Kind::ClusterRoleBinding, |o| {
            Object::ClusterRoleBinding(Box::new(o))
        });
        let monitoring = |kind| ("monitoring.coreos.com", "v1", kind);
        self.optional(client, Kind::PodMonitor, monitoring("PodMonitor"), |o| {
            Object::PodMonitor(Box::new(o))
        });
        self.optional(client, Kind::ServiceMonitor, monitoring("ServiceMonitor"), |o| {
            Object::ServiceMonitor(Box::new(o))
        });
        self.optional(client, Kind::AlertRule, monitoring("PrometheusRule"), |o| {
            Object::AlertRule(Box::new(o))
        });
        let route = |kind| ("gateway.networking.k8s.io", "v1", kind);
        self.optional(client, Kind::HttpRoute, route("HTTPRoute"), |o| Object::HttpRoute(Box::new(o)));
        self.optional(client, Kind::GrpcRoute, route("GRPCRoute"), |o| Object::GrpcRoute(Box::new(o)));
        self.optional(client, Kind::Gateway, route("Gateway"), |o| Object::Gateway(Box::new(o)));
        // Clusters serve these in one version or the other, or in both; the same object twice is one.
        let early = |kind| ("gateway.networking.k8s.io", "v1alpha2", kind);
        for tls in [route("TLSRoute"), early("TLSRoute")] {
            self.optional(client, Kind::TlsRoute, tls, |o| Object::TlsRoute(Box::new(o)));
        }
        for grant in [route("ReferenceGrant"), ("gateway.networking.k8s.io", "v1beta1", "ReferenceGrant")] {
            self.optional(client, Kind::RouteGrant, grant, |o| Object::RouteGrant(Box::new(o)));
        }
        self.optional(client, Kind::TcpRoute, early("TCPRoute"), |o| Object::TcpRoute(Box::new(o)));
        self.optional(client, Kind::UdpRoute, early("UDPRoute"), |o| Object::UdpRoute(Box::new(o)));
        let policy = ("gateway.envoyproxy.io", "v1alpha1", "BackendTrafficPolicy");
        self.optional(client, Kind::TrafficPolicy, policy, |o| Object::TrafficPolicy(Box::new(o)));
        self.devices(client);
        self.listed(&mut all_started);
    }

    fn devices(&self, client: &Client) {
        let claim = |kind| ("resource.k8s.io", "v1", kind);
        self.optional(client, Kind::DeviceClaim, claim("ResourceClaim"), |o| {
            Object::DeviceClaim(Box::new(o))
        });
        self.optional(client, Kind::DeviceTemplate, claim("ResourceClaimTemplate"), |o| {
            Object::DeviceTemplate(Box::new(o))
        });
    }

    fn metadata<K>(&self, client: &Client, kind: Kind, wrap: fn(PartialObjectMeta<K>) -> Object)
    where
        K: kube::Resource<DynamicType = ()> + Clone + Debug + Send + Sync + 'static,
    {
        let api: Api<PartialObjectMeta<K>> = Api::all(client.clone());
        let events = watch(api, paged());
        self.spawn(kind, events.default_backoff(), wrap);
    }

    fn whole<K>(&self, client: &Client, kind: Kind, wrap: fn(K) -> Object)
    where
        K: kube::Resource<DynamicType = ()>
            + Clone
            + Debug
            + Send
            + Sync
            + serde::de::DeserializeOwned
            + 'static,
    {
        let events = watch(Api::<K>::all(client.clone()), paged());
        self.spawn(kind, events.default_backoff(), wrap);
    }

    /// Only `ConfigMaps` with prompts or settings, and of these only the digests are kept.
    fn config_maps(&self, client: &Client) {
        let labelled = |label| {
            let config = paged().labels(label);
            watch(Api::<ConfigMap>::all(client.clone()), config).default_backoff()
        };
        let prompts = labelled(api::common::LABEL_PROMPT);
        self.spawn(Kind::ConfigMap, prompts, |o| Object::ConfigMap(Box::new(o)));
        let settings = labelled(api::common::LABEL_SETTINGS);
        self.spawn(Kind::SettingsMap, settings, |o| Object::SettingsMap(Box::new(o)));
    }

    /// A kind that exists only where its maker is installed; its absence is an answer too.
    fn optional(
        &self,
        client: &Client,
        kind: Kind,
        (group, version, name): (&str, &str, &str),
        wrap: fn(DynamicObject) -> Object,
    ) {
        let resource =
            ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, name), kind.resource());
        let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
        self.spawn(kind, watch(api, paged()).default_backoff(), wrap);
    }

    fn spawn<K>(
        &self,
        kind: Kind,
        events: impl Stream<Item = Result<Event<K>, watcher::Error>> + Send + 'static,
        wrap: fn(K) -> Object,
    ) where
        K: ResourceExt + Send + 'static,
    {
        self.synced.waiting.fetch_add(1, Ordering::SeqCst);
        let feed = self.clone();
        let mut fed = Fed { feed, kind, wrap, known: HashSet::new(), first: true };
        tokio::spawn(async move { follow(events, &mut fed).await });
    }

    fn apply(&self, object: Object) {
        let touched = self.world.write().unwrap_or_else(PoisonError::into_inner).apply(object);
        if !touched.is_empty() {
            (self.listener)(touched);
        }
    }

    fn remove(&self, kind: Kind, namespace: Option<&str>, name: &str) {
        let touched =
            self.world.write().unwrap_or_else(PoisonError::into_inner).remove(kind, namespace, name);
        if !touched.is_empty() {
            (self.listener)(touched);
        }
    }

    fn exists(&self, kind: Kind, exists: bool) {
        let mut world = self.world.write().unwrap_or_else(PoisonError::into_inner);
        let known = match kind {
            Kind::PodMonitor => &mut world.cluster.has_pod_monitors,
            Kind::TrafficPolicy => &mut world.cluster.has_traffic_policies,
            Kind::AlertRule => &mut world.cluster.has_alert_rules,
            _ => return,
        };
        let changed = std::mem::replace(known, exists) != exists;
        drop(world);
        if changed {
            (self.listener)(Touched::everything());
        }
    }

    fn listed(&self, first: &mut bool) {
        if std::mem::take(first) && self.synced.waiting.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.synced.condition.set(true);
            (self.listener)(Touched::everything());
        }
    }
}

/// One kind on its way into the world.
struct Fed<K> {
    feed: Feed,
    kind: Kind,
    wrap: fn(K) -> Object,
    known: HashSet<Key>,
    first: bool,
}

impl<K: ResourceExt> Keeps<K> for Fed<K> {
    fn apply(&mut self, object: K, listing: bool) {
        if !listing {
            self.known.insert(key(&object));
        }
        self.feed.apply((self.wrap)(object));
    }

    fn remove(&mut self, key: &Key) {
        self.feed.remove(self.kind, key.0.as_deref(), &key.1);
        self.known.remove(key);
    }

    fn listed(&mut self, all: HashSet<Key>) {
        for (namespace, name) in self.known.difference(&all) {
            self.feed.remove(self.kind, namespace.as_deref(), name);
        }
        self.known = all;
        self.feed.exists(self.kind, true);
        self.feed.listed(&mut self.first);
    }

    fn failed(&mut self, error: &watcher::Error) {
        if absent(error) && self.kind.optional() {
            for (namespace, name) in self.known.drain() {
                self.feed.remove(self.kind, namespace.as_deref(), &name);
            }
            self.feed.exists(self.kind, false);
            self.feed.listed(&mut self.first);
            return;
        }
        self.feed.metrics.watch_failed(self.kind.resource());
        tracing::warn!(resource = self.kind.resource(), %error, "a watch failed and starts again");
    }
}

/// Whether the API server does not know the kind.
fn absent(error: &watcher::Error) -> bool {
    matches!(error, watcher::Error::InitialListFailed(kube::Error::Api(status)) if status.code == 404)
}

impl Kind {
    /// Whether a cluster may lack it.
    fn optional(self) -> bool {
        matches!(
            self,
            Self::PodMonitor
                | Self::ServiceMonitor
                | Self::AlertRule
                | Self::HttpRoute
                | Self::GrpcRoute
                | Self::TlsRoute
                | Self::TcpRoute
                | Self::UdpRoute
                | Self::Gateway
                | Self::RouteGrant
                | Self::TrafficPolicy
                | Self::DeviceClaim
                | Self::DeviceTemplate
        )
    }

    /// The plural resource name, as metrics label it.
    #[must_use]
    pub fn resource(self) -> &'static str {
        match self {
            Self::Namespace => "namespaces",
            Self::Workload => "aiworkloads",
            Self::Model => "aimodels",
            Self::Dataset => "aidatasets",
            Self::Prompt => "aiprompts",
            Self::Evidence => "aievidences",
            Self::Supplier => "aisuppliers",
            Self::Governance => "aigovernances",
            Self::Claim => "persistentvolumeclaims",
            Self::Volume => "persistentvolumes",
            Self::ConfigMap | Self::SettingsMap => "configmaps",
            Self::Exemption => "aiexemptions",
            Self::TrustPolicy => "aitrustpolicies",
            Self::Profile => "aiprofiles",
            Self::ServiceAccount => "serviceaccounts",
            Self::NetworkPolicy => "networkpolicies",
            Self::PodMonitor => "podmonitors",
            Self::ServiceMonitor => "servicemonitors",
            Self::AlertRule => "prometheusrules",
            Self::Service => "services",
            Self::Ingress => "ingresses",
            Self::HttpRoute => "httproutes",
            Self::GrpcRoute => "grpcroutes",
            Self::TlsRoute => "tlsroutes",
            Self::TcpRoute => "tcproutes",
            Self::UdpRoute => "udproutes",
            Self::Gateway => "gateways",
            Self::RouteGrant => "referencegrants",
            Self::TrafficPolicy => "backendtrafficpolicies",
            Self::DeviceClaim => "resourceclaims",
            Self::DeviceTemplate => "resourceclaimtemplates",
            Self::ResourceQuota => "resourcequotas",
            Self::LimitRange => "limitranges",
            Self::Autoscaler => "horizontalpodautoscalers",
            Self::Role => "roles",
            Self::ClusterRole => "clusterroles",
            Self::RoleBinding => "rolebindings",
            Self::ClusterRoleBinding => "clusterrolebindings",
        }
    }
}
