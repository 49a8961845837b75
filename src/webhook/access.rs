//! Asks the cluster whether a user may do something: one `SubjectAccessReview`, for rare requests only.

use futures::future::BoxFuture;
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use kube::api::PostParams;
use kube::{Api, Client};

use super::wire::UserInfo;

/// Asks the cluster whether a user may do something; for rare requests only.
pub trait Authorizer: Send + Sync {
    /// Whether `user` may do `verb` on `resource`. Errors: the question could not be asked.
    fn may<'a>(&'a self, user: &'a UserInfo, access: Access<'a>) -> BoxFuture<'a, Result<bool, String>>;
}

/// A right that is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Access<'a> {
    /// Verb.
    pub verb: &'a str,
    /// API group.
    pub group: &'a str,
    /// Resource; with a slash and the subresource where there is one.
    pub resource: &'a str,
    /// Namespace; empty for all.
    pub namespace: &'a str,
    /// Name; empty for all.
    pub name: &'a str,
}

/// The cluster's own authorizers.
pub struct ClusterAuthorizer {
    reviews: Api<SubjectAccessReview>,
}

impl std::fmt::Debug for ClusterAuthorizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClusterAuthorizer").finish_non_exhaustive()
    }
}

impl ClusterAuthorizer {
    /// Asks through `client`, whose user needs `create` on `subjectaccessreviews`.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { reviews: Api::all(client) }
    }
}

impl Authorizer for ClusterAuthorizer {
    fn may<'a>(&'a self, user: &'a UserInfo, access: Access<'a>) -> BoxFuture<'a, Result<bool, String>> {
        Box::pin(async move {
            let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            let (resource, subresource) = access
                .resource
                .split_once('/')
                .map_or((access.resource, ""), |(resource, sub)| (resource, sub));
            let review = SubjectAccessReview {
                spec: SubjectAccessReviewSpec {
                    user: some(&user.username),
                    uid: some(&user.uid),
                    groups: Some(user.groups.clone()),
                    extra: Some(user.extra.clone()),
                    resource_attributes: Some(ResourceAttributes {
                        verb: some(access.verb),
                        group: some(access.group),
                        resource: some(resource),
                        subresource: some(subresource),
                        namespace: some(access.namespace),
                        name: some(access.name),
                        ..ResourceAttributes::default()
                    }),
                    ..SubjectAccessReviewSpec::default()
                },
                ..SubjectAccessReview::default()
            };
            let answer = self
                .reviews
                .create(&PostParams::default(), &review)
                .await
                .map_err(|error| error.to_string())?;
            Ok(answer.status.is_some_and(|status| status.allowed && status.denied != Some(true)))
        })
    }
}
