//! The types of evidence, and for how long a proof of each type counts.

use crate::policy::facts::Settings;

/// A type of evidence.
#[derive(Debug)]
pub struct Kind {
    /// Its name, as `AIEvidence.spec.type` has it.
    pub name: &'static str,
    /// For how many days after its issue it counts, if that is limited beyond its own end.
    pub days: Option<i64>,
    /// Name of the parameter of `AIProfile` that sets another limit.
    pub parameter: &'static str,
}

impl Kind {
    /// The limit in days under these settings.
    #[must_use]
    pub fn limit(&self, settings: &Settings) -> Option<i64> {
        self.days.map(|days| settings.days(self.parameter, days))
    }
}

/// The type of this name.
#[must_use]
pub fn kind(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name)
}

macro_rules! kinds {
    ($($name:literal $parameter:literal $days:expr,)+) => {
        /// Every type of evidence that a control asks for.
        pub const KINDS: &[Kind] = &[$(Kind { name: $name, days: $days, parameter: $parameter }),+];
    };
}

kinds! {
    "ArtifactScan" "artifactScan.maxAge" None,
    "AwarenessProgramme" "awarenessProgramme.maxAge" Some(365),
    "BackupRestoreTest" "backupRestoreTest.maxAge" Some(183),
    "BehaviourBaseline" "behaviourBaseline.maxAge" None,
    "Benchmark" "benchmark.maxAge" None,
    "BusinessCase" "businessCase.maxAge" None,
    "CompanionCodes" "companionCodes.maxAge" Some(365),
    "ComponentJustification" "componentJustification.maxAge" Some(365),
    "ConfigChangeAssessment" "configChangeAssessment.maxAge" Some(365),
    "DPIA" "dpia.maxAge" Some(365),
    "DataCard" "dataCard.maxAge" None,
    "DataControlVerification" "dataControlVerification.maxAge" Some(365),
    "DataControllerReview" "dataControllerReview.maxAge" Some(365),
    "DataSanitisation" "dataSanitisation.maxAge" None,
    "DesignRationale" "designRationale.maxAge" None,
    "DisclosurePolicy" "disclosurePolicy.maxAge" Some(365),
    "DisposalRecord" "disposalRecord.maxAge" None,
    "ExternalApiAssessment" "externalApiAssessment.maxAge" Some(365),
    "FailoverTest" "failoverTest.maxAge" Some(183),
    "FindingsShared" "findingsShared.maxAge" None,
    "FunctionalValidation" "functionalValidation.maxAge" Some(365),
    "IncidentExercise" "incidentExercise.maxAge" Some(365),
    "IncidentPlan" "incidentPlan.maxAge" Some(365),
    "IncidentSupportTerms" "incidentSupportTerms.maxAge" Some(365),
    "KeyManagement" "keyManagement.maxAge" Some(365),
    "LeadershipBriefing" "leadershipBriefing.maxAge" Some(365),
    "LegalObligations" "legalObligations.maxAge" Some(365),
    "LibraryDueDiligence" "libraryDueDiligence.maxAge" Some(365),
    "LogReview" "logReview.maxAge" Some(30),
    "MLCharacteristicsTraining" "training.maxAge" Some(365),
    "MaintenancePlan" "maintenancePlan.maxAge" Some(365),
    "ModelCard" "modelCard.maxAge" None,
    "OversightTraining" "training.maxAge" Some(365),
    "PermissionRiskAssessment" "permissionRiskAssessment.maxAge" Some(365),
    "PostDeploymentTest" "postDeploymentTest.maxAge" Some(365),
    "PromptCard" "promptCard.maxAge" None,
    "Provenance" "provenance.maxAge" None,
    "PublicDataValidation" "publicDataValidation.maxAge" None,
    "RedTeam" "redTeam.maxAge" Some(365),
    "ResidualThreatNotice" "residualThreatNotice.maxAge" Some(365),
    "ResponderTraining" "training.maxAge" Some(365),
    "RiskAcceptance" "riskAcceptance.maxAge" Some(365),
    "RiskRegister" "riskRegister.maxAge" Some(365),
    "SBOM" "sbom.maxAge" None,
    "SecureCodingTraining" "training.maxAge" Some(365),
    "SecurityAssessment" "securityAssessment.maxAge" Some(365),
    "SecurityAudit" "securityAudit.maxAge" Some(365),
    "SourceWatch" "sourceWatch.maxAge" Some(7),
    "SupplierDueDiligence" "supplierDueDiligence.maxAge" Some(365),
    "TechnicalDebtRegister" "technicalDebtRegister.maxAge" Some(183),
    "ThirdPartyAssurance" "thirdPartyAssurance.maxAge" Some(365),
    "ThreatBulletin" "threatBulletin.maxAge" Some(92),
    "ThreatModel" "threatModel.maxAge" Some(365),
    "TransferRecord" "transferRecord.maxAge" None,
    "UpdateNotice" "updateNotice.maxAge" None,
    "UserGuidance" "userGuidance.maxAge" Some(365),
    "UserTerms" "userTerms.maxAge" Some(365),
    "VulnerabilityReport" "vulnerabilityReport.maxAge" Some(7),
}
