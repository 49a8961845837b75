//! Principle 8 of the draft Code (documentation) and the notes under it.

use super::{Class, Effect, Effects, Provision, Role, Source, Stage, Strength};

/// The provisions of this part, each behind the one it elaborates.
pub(super) const PROVISIONS: &[Provision] = &[
    Provision {
        id: "CoP-8.1",
        title: "model design and upkeep are documented with a trail",
        summary: "Design and maintenance plans of models are written down, and the trail of changes is kept \
            up.",
        strength: Strength::Shall,
        source: Source::DraftCode,
        reference: "8.1",
        roles: &[Role::Developer],
        stages: &[Stage::Development, Stage::Maintenance],
        draft_principle: Some(8),
        final_principles: &[8, 11],
        ncsc: &["V3.1"],
        class: Class::Evidence,
        controls: &["audit-trail-kept", "asset-documentation-complete", "maintenance-plan-current"],
        effect: Effects { baseline: Effect::Deny, strict: Effect::Deny },
        out_of_reach: None,
    },
    Provision {
        id: "CoP-8.1.1",
        title: "documents carry the facts that security needs",
        summary: "Cards name data sources, scope, limits, guardrails, hashes, retention, review dates and \
            likely failures.",
        strength: Strength::Should,
        source: Source::DraftCode,
        reference: "8.1.1",
        roles: &[Role::Developer],
        stages: &[Stage::Development, Stage::EndOfLife],
        draft_principle: Some(8),
        final_principles: &[8, 13],
        ncsc: &["V3.2"],
        class: Class::Evidence,
        controls: &["asset-documentation-complete", "retention-enforced", "prompt-integrity"],
        effect: Effects { baseline: Effect::Warn, strict: Effect::Deny },
        out_of_reach: None,
    },
    Provision {
        id: "CoP-8.1.2",
        title: "complex spots and dependencies are documented with care",
        summary: "Places where complexity could surprise, with dependencies and settings, are described in \
            particular detail.",
        strength: Strength::Should,
        source: Source::DraftCode,
        reference: "8.1.2",
        roles: &[Role::Developer],
        stages: &[Stage::Development],
        draft_principle: Some(8),
        final_principles: &[8],
        ncsc: &["V3.3", "V4.1"],
        class: Class::Evidence,
        controls: &["provenance-and-sbom", "config-change-assessed", "asset-documentation-complete"],
        effect: Effects { baseline: Effect::Warn, strict: Effect::Deny },
        out_of_reach: None,
    },
    Provision {
        id: "CoP-8.2",
        title: "outputs hold no more than those downstream need",
        summary: "Responses carry what the consumer needs and leave out metadata that would sharpen an \
            attack.",
        strength: Strength::Should,
        source: Source::DraftCode,
        reference: "8.2",
        roles: &[Role::Developer],
        stages: &[Stage::Development, Stage::Deployment],
        draft_principle: Some(8),
        final_principles: &[9, 12],
        ncsc: &["D3.11"],
        class: Class::Evidence,
        controls: &["io-guardrails", "robustness-evidence-current"],
        effect: Effects { baseline: Effect::Warn, strict: Effect::Deny },
        out_of_reach: Some("the content of each response, unless a guardrail enforces a schema"),
    },
];
