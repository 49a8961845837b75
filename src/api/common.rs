//! What several kinds share: the vocabulary of environments, sensitivities and states, and people.

mod asset;
mod labels;

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::schema;

pub(super) use asset::NEW_DIGEST_NEW_VERSION;
pub use asset::{
    AssetFile, AssetOwners, AssetRisk, AssetStatus, AssetValue, HistoryEntry, Retention, SeenFormat,
    Verification,
};
pub use labels::*;

/// The value is not one of the known ones.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("\"{found}\" is not one of {known}")]
pub struct UnknownValue {
    /// What was found.
    pub found: String,
    /// The known values, joined by commas.
    pub known: String,
}

/// Writes enums of words: text forms, order, and a schema that keeps a sentence for each value.
///
/// The sentences travel in `externalDocs` because a field's own comment replaces the description; `crds` joins both.
macro_rules! choices {
    ($($(#[doc = $doc:literal])+ pub enum $name:ident $(default $default:ident)? {
        $($(#[doc = $says:literal])+ $variant:ident = $text:literal,)+
    })+) => {$(
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, ::serde::Deserialize, ::serde::Serialize)]
        pub enum $name {
            $($(#[doc = $says])+ #[serde(rename = $text)] $variant,)+
        }

        impl $name {
            /// Every value, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The value as it stands in a resource.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = $crate::api::common::UnknownValue;

            fn from_str(text: &str) -> ::std::result::Result<Self, Self::Err> {
                $crate::api::common::known(text, Self::ALL, |value| value.as_str())
            }
        }

        impl ::schemars::JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> ::std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut ::schemars::SchemaGenerator) -> ::schemars::Schema {
                ::schemars::json_schema!({
                    "type": "string",
                    "description": concat!($($doc),+).trim(),
                    "enum": [$($text),+],
                    "externalDocs": {"description": concat!($("\n", $text, ":", $($says),+),+).trim()},
                })
            }
        }

        $(impl Default for $name {
            fn default() -> Self {
                Self::$default
            }
        })?
    )+};
}
pub(crate) use choices;

/// Finds the value that reads `text`.
pub(crate) fn known<T: Copy>(
    text: &str,
    all: &[T],
    as_str: impl Fn(T) -> &'static str,
) -> Result<T, UnknownValue> {
    all.iter().copied().find(|value| as_str(*value) == text).ok_or_else(|| UnknownValue {
        found: text.to_owned(),
        known: all.iter().map(|value| as_str(*value)).collect::<Vec<_>>().join(", "),
    })
}

choices! {
    /// How an object store encrypts what it holds.
    pub enum StoreEncryption {
        /// Not at all.
        Nobody = "none",
        /// By keys of the store.
        Provider = "provider",
        /// By keys of the organisation.
        Own = "own",
    }

    /// What a governed namespace is for.
    pub enum Environment {
        /// Experiments with unreleased models and data that may not leave.
        Research = "research",
        /// Training and fine-tuning of models.
        Training = "training",
        /// Rehearsal of what production will run.
        Staging = "staging",
        /// Service to users.
        Production = "production",
        /// Storage and preparation of datasets.
        Data = "data",
        /// Untrusted artifacts that are examined before use.
        Quarantine = "quarantine",
    }

    /// How much harm disclosure would do, in rising order.
    pub enum Sensitivity {
        /// Anyone may see it.
        Public = "public",
        /// Only the organisation may see it.
        Internal = "internal",
        /// Only those who need it may see it.
        Confidential = "confidential",
        /// Only named people may see it, on isolated nodes.
        Restricted = "restricted",
    }

    /// What happens to a pod that violates a control.
    pub enum Mode {
        /// The pod is refused.
        Enforce = "enforce",
        /// The pod is admitted with a warning.
        Warn = "warn",
        /// The pod is admitted; the audit shows the finding.
        Audit = "audit",
    }

    /// How bad a failure of the workload would be.
    pub enum Criticality default Standard {
        /// An outage or misuse is a nuisance.
        Standard = "standard",
        /// An outage or misuse does serious harm; stricter limits apply.
        Critical = "critical",
    }

    /// The state of a control or a provision.
    pub enum State {
        /// It is kept.
        Pass = "pass",
        /// It is broken, and enforced.
        Fail = "fail",
        /// It is broken, and only warned of.
        Warn = "warn",
        /// It is broken, and an approved exemption covers it.
        Exempt = "exempt",
        /// It could not be judged.
        Unknown = "unknown",
        /// It does not concern this object.
        NotApplicable = "notApplicable",
    }

    /// The verdict on a workload, a namespace or the cluster: its worst state.
    pub enum OverallVerdict {
        /// Every control that applies is kept or exempt.
        Pass = "pass",
        /// Something is only warned of.
        Warn = "warn",
        /// Something could not be judged, and nothing fails.
        Unknown = "unknown",
        /// At least one enforced control is broken.
        Fail = "fail",
    }

    /// How a verification ended.
    pub enum VerificationState {
        /// It was checked and holds.
        Verified = "Verified",
        /// It was checked and does not hold.
        Failed = "Failed",
        /// The check is under way or waits for something.
        Pending = "Pending",
        /// It could not be checked.
        Unknown = "Unknown",
        /// Nothing demands the check.
        NotRequired = "NotRequired",
    }

    /// A coarse level.
    pub enum Level {
        /// Little.
        Low = "low",
        /// Some.
        Medium = "medium",
        /// Much.
        High = "high",
    }

    /// Who is served, or may reach something, in rising order.
    pub enum Audience {
        /// Nobody outside the workload itself.
        Nobody = "none",
        /// People and programs of the organisation.
        Internal = "internal",
        /// Named other organisations.
        Partner = "partner",
        /// Anyone.
        Public = "public",
    }
}

/// A person or a group, as the cluster's sign-in names them, and how to reach them.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("has(self.user) || has(self.group) || has(self.contact)", "name a user, a group or a contact"))]
pub struct Party {
    /// User name as the cluster's sign-in reports it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::person")]
    pub user: Option<String>,
    /// Group name as the cluster's sign-in reports it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::person")]
    pub group: Option<String>,
    /// Where to reach them, as a URI such as `mailto:` or `https:`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::uri")]
    pub contact: Option<String>,
}
