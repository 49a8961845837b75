//! The controls, in the order of the catalogue.

mod declared_workloads_only;
mod dedicated_service_account;
mod image_digest_pinned;
mod image_signature_trusted;
mod least_privilege_rbac;
mod namespace_classified;
mod pod_hardened;

use super::control::Control;

/// Every control.
pub const ALL: &[&Control] = &[
    &namespace_classified::CONTROL,
    &declared_workloads_only::CONTROL,
    &dedicated_service_account::CONTROL,
    &least_privilege_rbac::CONTROL,
    &image_digest_pinned::CONTROL,
    &image_signature_trusted::CONTROL,
    &pod_hardened::CONTROL,
];
