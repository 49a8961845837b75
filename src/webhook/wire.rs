//! `AdmissionReview` as it comes and goes (admission.k8s.io/v1): what is not needed is never parsed.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// A review as the API server sends it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Review<'a> {
    /// The request.
    #[serde(borrow)]
    pub request: Request<'a>,
}

/// The request of a review.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request<'a> {
    /// Names the request; the answer repeats it.
    #[serde(borrow)]
    pub uid: Cow<'a, str>,
    /// Kind of the object.
    #[serde(borrow)]
    pub kind: Kind<'a>,
    /// Resource it was sent to.
    #[serde(borrow)]
    pub resource: Resource<'a>,
    /// Subresource; empty for the object itself.
    #[serde(borrow, default)]
    pub sub_resource: Cow<'a, str>,
    /// Name of the object; empty where the server makes one up later.
    #[serde(borrow, default)]
    pub name: Cow<'a, str>,
    /// Namespace; empty for cluster-wide objects.
    #[serde(borrow, default)]
    pub namespace: Cow<'a, str>,
    /// CREATE, UPDATE, DELETE or CONNECT.
    #[serde(borrow)]
    pub operation: Cow<'a, str>,
    /// Who asks.
    #[serde(default)]
    pub user_info: UserInfo,
    /// The object as it would become.
    #[serde(borrow, default)]
    pub object: Option<&'a RawValue>,
    /// The object as it is.
    #[serde(borrow, default)]
    pub old_object: Option<&'a RawValue>,
    /// True where nothing will be stored.
    #[serde(default)]
    pub dry_run: Option<bool>,
    /// Whether the caller showed the API server's client certificate. Not read from the body, where anybody could say so.
    #[serde(skip)]
    pub from_api_server: bool,
}

/// Group, version and kind.
#[derive(Debug, Deserialize)]
pub struct Kind<'a> {
    /// API group; empty for the core group.
    #[serde(borrow, default)]
    pub group: Cow<'a, str>,
    /// Version.
    #[serde(borrow, default)]
    pub version: Cow<'a, str>,
    /// Kind.
    #[serde(borrow)]
    pub kind: Cow<'a, str>,
}

/// Group, version and resource.
#[derive(Debug, Deserialize)]
pub struct Resource<'a> {
    /// API group; empty for the core group.
    #[serde(borrow, default)]
    pub group: Cow<'a, str>,
    /// Resource, plural and lower case.
    #[serde(borrow)]
    pub resource: Cow<'a, str>,
}

/// The user behind a request.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct UserInfo {
    /// Name.
    #[serde(default)]
    pub username: String,
    /// Id.
    #[serde(default)]
    pub uid: String,
    /// Groups.
    #[serde(default)]
    pub groups: Vec<String>,
    /// What the authenticator added.
    #[serde(default)]
    pub extra: BTreeMap<String, Vec<String>>,
}

impl Request<'_> {
    /// Whether anything would be stored.
    #[must_use]
    pub fn real(&self) -> bool {
        self.dry_run != Some(true)
    }
}

/// What is answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Why it is refused; `None` allows.
    pub denial: Option<String>,
    /// What the user is told although it is allowed, or beside the denial.
    pub warnings: Vec<String>,
    /// Ids of the controls that refused, for metrics and the audit log.
    pub controls: Vec<&'static str>,
}

impl Answer {
    /// Allowed, nothing to say.
    #[must_use]
    pub fn allow() -> Self {
        Self::default()
    }

    /// Refused with a reason.
    #[must_use]
    pub fn deny(reason: impl Into<String>) -> Self {
        Self { denial: Some(reason.into()), ..Self::default() }
    }

    /// Whether it is allowed.
    #[must_use]
    pub fn allowed(&self) -> bool {
        self.denial.is_none()
    }

    /// The answer as JSON, for the request `uid`.
    #[must_use]
    pub fn to_json(&self, uid: &str) -> Vec<u8> {
        let review = OutReview {
            api_version: "admission.k8s.io/v1",
            kind: "AdmissionReview",
            response: OutResponse {
                uid,
                allowed: self.allowed(),
                status: self.denial.as_deref().map(|message| OutStatus {
                    code: 403,
                    reason: "Forbidden",
                    message,
                }),
                warnings: &self.warnings,
                audit_annotations: (!self.controls.is_empty())
                    .then(|| BTreeMap::from([("controls", self.controls.join(","))])),
            },
        };
        // Strings and numbers alone: this cannot fail.
        serde_json::to_vec(&review).unwrap_or_default()
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OutReview<'a> {
    api_version: &'static str,
    kind: &'static str,
    response: OutResponse<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OutResponse<'a> {
    uid: &'a str,
    allowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<OutStatus<'a>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    warnings: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    audit_annotations: Option<BTreeMap<&'static str, String>>,
}

#[derive(Serialize)]
struct OutStatus<'a> {
    code: u16,
    reason: &'static str,
    message: &'a str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denial_carries_code_reason_and_the_same_uid() {
        let json: serde_json::Value = serde_json::from_slice(&Answer::deny("no").to_json("u-1")).unwrap();
        assert_eq!(json["response"]["uid"], "u-1");
        assert_eq!(json["response"]["allowed"], false);
        assert_eq!(json["response"]["status"]["code"], 403);
        assert_eq!(json["response"]["status"]["reason"], "Forbidden");
        assert_eq!(json["response"]["status"]["message"], "no");
    }
}
