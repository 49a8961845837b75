//! The names by which objects are known: the group, labels, annotations, the manager, and conditions that several rooms read.

/// The API group of every kind.
pub const GROUP: &str = "portcullis.dev";
/// The served version of every kind.
pub const VERSION: &str = "v1alpha1";
/// The label of a namespace that says which [`Environment`] it is; its presence makes the namespace governed.
pub const LABEL_ENVIRONMENT: &str = "portcullis.dev/environment";
/// The label of a namespace that says how sensitive its data may be, see [`Sensitivity`].
pub const LABEL_SENSITIVITY: &str = "portcullis.dev/sensitivity";
/// The label of generated objects that names their workload.
pub const LABEL_WORKLOAD: &str = "portcullis.dev/workload";
/// The label of a `ConfigMap` that holds prompts; only those that carry it are read.
pub const LABEL_PROMPT: &str = "portcullis.dev/prompt";
/// Label of a `ConfigMap` with settings of programs: its values become part of the digest that an assessment covers.
pub const LABEL_SETTINGS: &str = "portcullis.dev/settings";
/// The annotation of a pod that says why somebody breaks the glass to enter it.
pub const ANNOTATION_BREAK_GLASS: &str = "portcullis.dev/break-glass";
/// The annotation of an object that was generated and released: the UID of the `AIWorkload` that it was generated for.
pub const ANNOTATION_RELEASED: &str = "portcullis.dev/released";
/// The usual label that names the manager of an object.
pub const LABEL_MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// The usual label that names the application an object belongs to.
pub const LABEL_NAME: &str = "app.kubernetes.io/name";
/// Value of [`LABEL_MANAGED_BY`] and [`LABEL_NAME`], and the field manager of every write.
pub const MANAGER: &str = "portcullis";
/// Name of the `NetworkPolicy` that closes a governed namespace.
pub const DEFAULT_DENY: &str = "portcullis-default-deny";

/// Condition of a declaration: its figures are served by running pods, and move.
pub const MONITORING_OBSERVED: &str = "MonitoringObserved";
/// Condition of a declaration: the place that inputs and outputs are logged to takes them, as far as that can be seen.
pub const LOG_SINK_OBSERVED: &str = "LogSinkObserved";
/// The condition that says whether what one would go back to can still be fetched.
pub const KNOWN_GOOD_HELD: &str = "KnownGoodHeld";
/// The condition that says whether the audit runs, and its rows could be written.
pub const FRESH: &str = "Fresh";
/// The condition that says whether the entries of histories reach their export.
pub const TRAIL_EXPORTED: &str = "TrailExported";
/// The condition that says whether records of inputs and outputs are written while requests come.
pub const RECORDS_OBSERVED: &str = "RecordsObserved";
