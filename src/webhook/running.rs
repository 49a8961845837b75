//! What runs in a namespace at this moment: the one live question about pods, for rare requests only.

use futures::future::BoxFuture;
use http_body_util::{BodyExt as _, Limited};
use kube::Client;
use kube::api::ListParams;
use kube::client::Body;
use kube::core::Request;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use crate::gather::objects::{Meta, PodObject, pod_from_json};
use crate::policy::facts::Labels;

/// Pods that are looked at before the rest is left out.
pub const MOST: usize = 500;
/// Pods in one answer of the API server.
const PAGE: u32 = 50;
/// Longest answer that is read, in bytes: pods of a tenant may be large, and the memory is for reviews.
const LONGEST: usize = 8 * 1024 * 1024;

/// Hears of each pod: who it is and all that is judged.
pub type Visitor<'a> = &'a mut (dyn FnMut(&Meta, PodObject) + Send);

/// Tells which pods run.
pub trait RunningPods: Send + Sync {
    /// Shows `visit` the pods of `namespace` that have not ended, those with `labels` only where given.
    ///
    /// Returns whether there are more than were shown. Guarantees: returns by `deadline`; shows at most [`MOST`].
    /// Errors: why not even the first could be shown, as a clause.
    fn visit<'a>(
        &'a self,
        namespace: &'a str,
        labels: Option<&'a Labels>,
        deadline: Instant,
        visit: Visitor<'a>,
    ) -> BoxFuture<'a, Result<bool, String>>;

    /// One pod by its name; `None` where it does not exist.
    ///
    /// Guarantees: returns by `deadline`. Errors: it could not be asked, as a clause.
    fn one<'a>(
        &'a self,
        namespace: &'a str,
        name: &'a str,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<Option<PodObject>, String>>;
}

/// The pods of the cluster, page by page from the API server.
pub struct ClusterPods {
    client: Client,
    /// One at a time: such requests are rare, and nobody shall make them cost memory.
    place: Semaphore,
}

impl std::fmt::Debug for ClusterPods {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClusterPods").finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(default)]
    metadata: PageMeta,
    #[serde(borrow, default)]
    items: Vec<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct PageMeta {
    #[serde(rename = "continue", default)]
    rest: Option<String>,
}

/// Why a pod that the API server lists is not counted among the running ones.
#[derive(Default, Deserialize)]
struct Life {
    #[serde(default)]
    metadata: LifeMeta,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LifeMeta {
    #[serde(default)]
    deletion_timestamp: Option<String>,
}

impl ClusterPods {
    /// Asks through `client`, whose user needs `list` on `pods`.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client, place: Semaphore::new(1) }
    }

    async fn pages(
        &self,
        namespace: &str,
        labels: Option<&Labels>,
        shown: &mut usize,
        visit: Visitor<'_>,
    ) -> Result<bool, String> {
        let mut list =
            ListParams::default().limit(PAGE).fields("status.phase!=Succeeded,status.phase!=Failed");
        if let Some(labels) = labels {
            let terms: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
            list = list.labels(&terms.join(","));
        }
        let _place = self.place.acquire().await.map_err(|error| error.to_string())?;
        let requests = Request::new(format!("/api/v1/namespaces/{namespace}/pods"));
        loop {
            let body = self.page(&requests, &list).await?;
            let page: Page<'_> = serde_json::from_slice(&body).map_err(|error| error.to_string())?;
            for item in page.items {
                let ending = serde_json::from_str::<Life>(item.get()).unwrap_or_default();
                if ending.metadata.deletion_timestamp.is_some() {
                    continue;
                }
                if *shown == MOST {
                    return Ok(true);
                }
                let (meta, pod) = pod_from_json(item.get()).map_err(|error| error.to_string())?;
                visit(&meta, pod);
                *shown += 1;
            }
            match page.metadata.rest.filter(|rest| !rest.is_empty()) {
                Some(rest) => list.continue_token = Some(rest),
                None => return Ok(false),
            }
        }
    }

    async fn page(&self, requests: &Request, list: &ListParams) -> Result<Vec<u8>, String> {
        let request = requests.list(list).map_err(|error| error.to_string())?;
        let response = self.client.send(request.map(Body::from)).await.map_err(|error| error.to_string())?;
        let status = response.status();
        let body = Limited::new(response.into_body(), LONGEST)
            .collect()
            .await
            .map_err(|error| format!("the list of pods could not be read: {error}"))?
            .to_bytes();
        if status.is_success() {
            return Ok(body.to_vec());
        }
        let said = serde_json::from_slice::<kube::core::Status>(&body).map(|said| said.message);
        Err(said.unwrap_or_else(|_| status.to_string()))
    }
}

impl RunningPods for ClusterPods {
    fn one<'a>(
        &'a self,
        namespace: &'a str,
        name: &'a str,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<Option<PodObject>, String>> {
        Box::pin(async move {
            let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            let named = |byte: u8| plain(byte) || byte == b'.';
            if namespace.is_empty() || !namespace.bytes().all(plain) || !name.bytes().all(named) {
                return Err(format!("{namespace}/{name} is no name of a pod"));
            }
            let list = ListParams::default().limit(1).fields(&format!("metadata.name={name}"));
            let requests = Request::new(format!("/api/v1/namespaces/{namespace}/pods"));
            let body = match timeout_at(deadline, self.page(&requests, &list)).await {
                Ok(body) => body?,
                Err(_) => return Err("the API server did not show the pod in time".to_owned()),
            };
            let page: Page<'_> = serde_json::from_slice(&body).map_err(|error| error.to_string())?;
            let pod = page.items.first().map(|item| pod_from_json(item.get()));
            pod.transpose().map(|pod| pod.map(|(_, pod)| pod)).map_err(|error| error.to_string())
        })
    }

    fn visit<'a>(
        &'a self,
        namespace: &'a str,
        labels: Option<&'a Labels>,
        deadline: Instant,
        visit: Visitor<'a>,
    ) -> BoxFuture<'a, Result<bool, String>> {
        Box::pin(async move {
            // Reviews come from the API server, which knows what a name is; whoever else asks gets no other path.
            let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            if namespace.is_empty() || !namespace.bytes().all(plain) {
                return Err(format!("{namespace:?} is no name of a namespace"));
            }
            let mut shown = 0;
            let pages = self.pages(namespace, labels, &mut shown, visit);
            match timeout_at(deadline, pages).await {
                Ok(Ok(more)) => Ok(more),
                Ok(Err(error)) if shown == 0 => Err(error),
                Err(_) if shown == 0 => Err("the API server did not list the pods in time".to_owned()),
                // What was seen before it broke off is still worth saying.
                Ok(Err(_)) | Err(_) => Ok(true),
            }
        })
    }
}
