//! The controls, in the order of the catalogue.

mod action_scope_declared;
mod asset_documentation_complete;
mod audit_trail_kept;
mod awareness_and_training_current;
mod behaviour_monitored;
mod capability_minimised;
mod config_change_assessed;
mod data_controller_approval;
mod dataset_boundary;
mod dataset_integrity;
mod declared_workloads_only;
mod dedicated_service_account;
mod disclosure_policy_published;
mod disposal_evidenced;
mod downstream_notified;
mod egress_declared;
mod enforcement_integrity;
mod environment_boundary;
mod exposure_declared;
mod failover_ready;
mod functional_validation_current;
mod human_oversight_designed;
mod image_digest_pinned;
mod image_signature_trusted;
mod incident_plan_ready;
mod interactive_access_blocked;
mod io_guardrails;
mod io_logging_sink;
mod known_good_recovery;
mod least_privilege_rbac;
mod log_protection;
mod maintenance_plan_current;
mod metrics_exposed;
mod model_digest_pinned;
mod model_signature_trusted;
mod namespace_classified;
mod network_default_deny;
mod owners_accountable;
mod patch_currency;
mod pod_hardened;
mod prompt_integrity;
mod provenance_and_sbom;
mod public_data_validated;
mod purpose_and_design_recorded;
mod rate_limit_set;
mod resource_bounds;
mod retention_enforced;
mod risk_acceptance_current;
mod robustness_evidence_current;
mod safe_model_loading;
mod secrets_not_inline;
mod security_assessment_current;
mod storage_encrypted;
mod supplier_assured;
mod threat_model_current;
mod trust_roots_managed;
mod untrusted_artifact_sandboxed;
mod update_revalidated;
mod user_guidance_published;
mod user_terms_disclosed;

use super::control::Control;

/// Every control.
pub const ALL: &[&Control] = &[
    &namespace_classified::CONTROL,
    &declared_workloads_only::CONTROL,
    &environment_boundary::CONTROL,
    &dataset_boundary::CONTROL,
    &network_default_deny::CONTROL,
    &egress_declared::CONTROL,
    &exposure_declared::CONTROL,
    &storage_encrypted::CONTROL,
    &dedicated_service_account::CONTROL,
    &least_privilege_rbac::CONTROL,
    &secrets_not_inline::CONTROL,
    &interactive_access_blocked::CONTROL,
    &action_scope_declared::CONTROL,
    &image_digest_pinned::CONTROL,
    &image_signature_trusted::CONTROL,
    &model_digest_pinned::CONTROL,
    &model_signature_trusted::CONTROL,
    &safe_model_loading::CONTROL,
    &dataset_integrity::CONTROL,
    &prompt_integrity::CONTROL,
    &provenance_and_sbom::CONTROL,
    &supplier_assured::CONTROL,
    &public_data_validated::CONTROL,
    &trust_roots_managed::CONTROL,
    &pod_hardened::CONTROL,
    &untrusted_artifact_sandboxed::CONTROL,
    &resource_bounds::CONTROL,
    &rate_limit_set::CONTROL,
    &io_guardrails::CONTROL,
    &capability_minimised::CONTROL,
    &config_change_assessed::CONTROL,
    &metrics_exposed::CONTROL,
    &io_logging_sink::CONTROL,
    &log_protection::CONTROL,
    &behaviour_monitored::CONTROL,
    &purpose_and_design_recorded::CONTROL,
    &asset_documentation_complete::CONTROL,
    &audit_trail_kept::CONTROL,
    &user_guidance_published::CONTROL,
    &user_terms_disclosed::CONTROL,
    &security_assessment_current::CONTROL,
    &functional_validation_current::CONTROL,
    &robustness_evidence_current::CONTROL,
    &update_revalidated::CONTROL,
    &owners_accountable::CONTROL,
    &awareness_and_training_current::CONTROL,
    &threat_model_current::CONTROL,
    &risk_acceptance_current::CONTROL,
    &data_controller_approval::CONTROL,
    &disclosure_policy_published::CONTROL,
    &incident_plan_ready::CONTROL,
    &human_oversight_designed::CONTROL,
    &enforcement_integrity::CONTROL,
    &known_good_recovery::CONTROL,
    &failover_ready::CONTROL,
    &maintenance_plan_current::CONTROL,
    &patch_currency::CONTROL,
    &downstream_notified::CONTROL,
    &retention_enforced::CONTROL,
    &disposal_evidenced::CONTROL,
];

#[cfg(test)]
#[path = "controls_tests.rs"]
mod tests;
