//! Judging our own kinds.

use serde_json::Value;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::access::Access;
use super::judge::{Judge, concluded, read, unreadable};
use super::namespaces::SPARE;
use super::ratchet;
use super::wire::{Answer, Request};
use crate::api;
use crate::gather::objects::{Meta, PodObject};
use crate::policy::facts::{Asset, EvidenceFacts, ExemptionFacts, Requester, Subject, Writer};
use crate::policy::selector::{Overlap, overlap};
use crate::policy::{Decision, Enforcement, Finding, decide, evaluate};
use crate::render::words;

impl Judge {
    /// Our own kinds: what they say is judged on CREATE and UPDATE; who deletes a declaration hears what it leaves behind.
    pub(super) async fn own_kind(&self, request: &Request<'_>, deadline: Instant) -> Answer {
        let answer = self.own_kind_judged(request, deadline).await;
        if answer.allowed() && request.real() {
            self.note(request);
        }
        answer
    }

    async fn own_kind_judged(&self, request: &Request<'_>, deadline: Instant) -> Answer {
        if request.operation == "DELETE" {
            let warnings = self.left_behind(request, deadline).await;
            let gone = self.deleted(request);
            return Answer { warnings: [warnings, gone.warnings].concat(), ..gone };
        }
        let Some(raw) = request.object else { return Answer::allow() };
        match request.kind.kind.as_ref() {
            "AIWorkload" => self.workload(request, raw, deadline).await,
            "AIModel" => match read::<api::AIModel>(raw) {
                Ok(model) => self.declared(request, Subject::Model(&model), None),
                Err(error) => unreadable(request, &error),
            },
            "AIDataset" => match read::<api::AIDataset>(raw) {
                Ok(dataset) => self.declared(request, Subject::Dataset(&dataset), None),
                Err(error) => unreadable(request, &error),
            },
            "AIPrompt" => match read::<api::AIPrompt>(raw) {
                Ok(prompt) => self.declared(request, Subject::Prompt(&prompt), None),
                Err(error) => unreadable(request, &error),
            },
            "AIEvidence" => match read::<api::AIEvidence>(raw) {
                Ok(evidence) => {
                    let user = Some(request.user_info.username.as_ref());
                    // Rare, and no packet leaves for it: the roots and keys are here.
                    let statement = evidence.spec.attestation.as_ref().and_then(|_| {
                        let trust = crate::gather::proofs::compiled(&self.world());
                        crate::gather::proofs::statement(&trust, &evidence.spec, (self.clock)())
                    });
                    let groups = &request.user_info.groups;
                    let facts =
                        EvidenceFacts { evidence: &evidence, user, groups, statement: statement.as_ref() };
                    let mut answer = self.declared(request, Subject::Evidence(facts), None);
                    if answer.allowed() {
                        answer.warnings.extend(self.idle(request, &evidence));
                    }
                    answer
                }
                Err(error) => unreadable(request, &error),
            },
            "AISupplier" => match read::<api::AISupplier>(raw) {
                Ok(supplier) => self.declared(request, Subject::Supplier(&supplier), None),
                Err(error) => unreadable(request, &error),
            },
            "AIGovernance" => match read::<api::AIGovernance>(raw) {
                Ok(organisation) => self.declared(request, Subject::Governance(&organisation), None),
                Err(error) => unreadable(request, &error),
            },
            "AITrustPolicy" => match read::<api::AITrustPolicy>(raw) {
                Ok(policy) => {
                    let problems = crate::gather::trust::problems(&policy);
                    let info = &request.user_info;
                    let writer = Writer { user: &info.username, groups: &info.groups };
                    self.declared(request, Subject::TrustPolicy(&policy, &problems, Some(writer)), None)
                }
                Err(error) => unreadable(request, &error),
            },
            "AIProfile" => match read::<api::AIProfile>(raw) {
                Ok(profile) => self.profile(request, &profile),
                Err(error) => unreadable(request, &error),
            },
            "AIExemption" => self.exemption(request, raw).await,
            _ => Answer::allow(),
        }
    }

    /// Warns of a proof that counts for nothing as things stand: what it is about may come later.
    fn idle(&self, request: &Request<'_>, evidence: &api::AIEvidence) -> Option<String> {
        let world = self.world();
        let namespace = world.namespace(&request.namespace);
        let settings = world.settings(namespace);
        let facts = world.facts((self.clock)(), Subject::Namespace, namespace, &settings);
        let idle = crate::policy::evidence::idle(&facts, evidence)?;
        let told = format!("AIEvidence {}/{}: {}", request.namespace, request.name, idle.message);
        Some(words::cut(told, words::LONGEST_WARNING))
    }

    /// Warns of the pods that a declaration leaves behind, and of what they lose.
    async fn left_behind(&self, request: &Request<'_>, deadline: Instant) -> Vec<String> {
        let (true, Some(raw)) = (request.kind.kind == "AIWorkload", request.old_object) else {
            return Vec::new();
        };
        let Ok(workload) = read::<api::AIWorkload>(raw) else { return Vec::new() };
        {
            let world = self.world();
            let namespace = world.namespace(&request.namespace);
            if namespace.terminating || !namespace.governed() {
                return Vec::new();
            }
        }
        let mut pods = Vec::new();
        let mut visit = |meta: &Meta, _: PodObject| pods.push(meta.name.clone());
        let until = deadline.checked_sub(SPARE).unwrap_or(deadline);
        let labels = &workload.spec.selector.match_labels;
        let counted = self.running.visit(&request.namespace, Some(labels), until, &mut visit).await;
        let subject = owner(request);
        match counted {
            Ok(_) if pods.is_empty() => Vec::new(),
            Ok(more) => {
                vec![words::left_behind(&subject, &workload, &pods, more, request.from_api_server)]
            }
            Err(error) => vec![words::cut(
                format!("{subject}: the pods that it leaves behind could not be counted: {error}"),
                words::LONGEST_WARNING,
            )],
        }
    }

    /// An asset goes only when what became of it is known; the end of its namespace never waits for that.
    fn deleted(&self, request: &Request<'_>) -> Answer {
        let Some(raw) = request.old_object else { return Answer::allow() };
        match request.kind.kind.as_ref() {
            "AIWorkload" => read::<api::AIWorkload>(raw).map_or_else(
                |_| Answer::allow(),
                |workload| self.declared(request, Subject::DeclarationDeletion(&workload), None),
            ),
            "AIModel" => read::<api::AIModel>(raw).map_or_else(
                |_| Answer::allow(),
                |model| self.declared(request, Subject::Deletion(Asset::Model(&model)), None),
            ),
            "AIDataset" => read::<api::AIDataset>(raw).map_or_else(
                |_| Answer::allow(),
                |dataset| self.declared(request, Subject::Deletion(Asset::Dataset(&dataset)), None),
            ),
            "AIPrompt" => read::<api::AIPrompt>(raw).map_or_else(
                |_| Answer::allow(),
                |prompt| self.declared(request, Subject::Deletion(Asset::Prompt(&prompt)), None),
            ),
            // What clears up after a failed recovery is the operator itself, which asks nobody.
            "AIEvidence" if request.user_info.username != self.operator => read::<api::AIEvidence>(raw)
                .map_or_else(
                    |_| Answer::allow(),
                    |record| self.declared(request, Subject::RecordDeletion(&record), None),
                ),
            _ => Answer::allow(),
        }
    }

    async fn workload(&self, request: &Request<'_>, raw: &RawValue, deadline: Instant) -> Answer {
        let workload: api::AIWorkload = match read(raw) {
            Ok(workload) => workload,
            Err(error) => return unreadable(request, &error),
        };
        let former: Option<api::AIWorkload> = request.old_object.and_then(|raw| read(raw).ok());
        if let Some(denial) = self.permissions_held(request, &workload, former.as_ref()).await {
            return denial;
        }
        let name = workload.metadata.name.as_deref();
        let others = |wanted: fn(Overlap) -> bool| -> Vec<String> {
            let world = self.world();
            let others = world.namespace(&request.namespace).workloads.iter();
            let labels = &workload.spec.selector.match_labels;
            others
                .filter(|(other, _)| name != Some(other.as_str()))
                .filter(|(_, other)| wanted(overlap(labels, &other.spec.selector.match_labels)))
                .map(|(other, _)| other.clone())
                .collect()
        };
        let creating = request.operation == "CREATE";
        if creating {
            // What it takes the place of may just have been deleted.
            let taken = |overlap| !matches!(overlap, Overlap::None | Overlap::Some);
            self.arrivals.until(deadline, || others(taken).is_empty()).await;
        }
        let mut decision = self.decided(request, Subject::Workload(&workload), name);
        if !creating {
            // A selector never changes, so no update brought its fault about, and none is refused for it.
            let fixed = |f: &Finding| f.place.path.as_deref().is_some_and(|p| p.starts_with("spec.selector"));
            decision.warned.extend(decision.refused.extract_if(.., |finding| fixed(finding)));
            self.forgive_former(request, raw, &mut decision);
        }
        let owner = owner(request);
        let mut answer = concluded(&owner, "AIWorkload", &decision);
        if let Some(denial) = answer.denial.as_mut().filter(|_| releases(request, raw)) {
            denial.push_str(words::STAYS_QUARANTINED);
        }
        let shared = others(|overlap| overlap == Overlap::Some);
        if creating && answer.allowed() && !shared.is_empty() {
            answer.warnings.push(words::shared(&owner, &shared));
        }
        answer
    }

    async fn exemption(&self, request: &Request<'_>, raw: &RawValue) -> Answer {
        let exemption: api::AIExemption = match read(raw) {
            Ok(exemption) => exemption,
            Err(error) => return unreadable(request, &error),
        };
        let former: Option<api::AIExemption> = match request.old_object.map(read).transpose() {
            Ok(former) => former,
            Err(error) => return unreadable(request, &error),
        };
        let approving = exemption.spec.approved_by.is_some()
            && former.as_ref().is_none_or(|f| f.spec.approved_by != exemption.spec.approved_by);
        let may_approve = if approving {
            let access = Access {
                verb: "approve",
                group: api::common::GROUP,
                resource: "aiexemptions",
                namespace: &request.namespace,
                name: &request.name,
            };
            match self.authorizer.may(&request.user_info, access).await {
                Ok(may) => Some(may),
                Err(error) => {
                    return Answer::deny(format!(
                        "AIExemption {}/{}: it could not be asked whether user {:?} may approve: {error}; try again",
                        request.namespace, request.name, request.user_info.username
                    ));
                }
            }
        } else {
            None
        };
        let subject = Subject::Exemption(ExemptionFacts {
            exemption: &exemption,
            former: former.as_ref(),
            user: Some(&request.user_info.username),
            may_approve,
        });
        self.declared(request, subject, None)
    }

    /// The built-in profiles are shown by the operator; others name controls that exist.
    fn profile(&self, request: &Request<'_>, profile: &api::AIProfile) -> Answer {
        if request.user_info.username != self.operator
            && let Some(denial) = built_in(&request.name)
        {
            return Answer::deny(denial);
        }
        self.declared(request, Subject::Profile(profile), None)
    }

    fn declared(&self, request: &Request<'_>, subject: Subject<'_>, workload: Option<&str>) -> Answer {
        concluded(&owner(request), &request.kind.kind, &self.decided(request, subject, workload))
    }

    fn decided(&self, request: &Request<'_>, subject: Subject<'_>, workload: Option<&str>) -> Decision {
        let former: Option<api::AIWorkload> = match (&subject, request.old_object) {
            (Subject::Workload(_), Some(raw)) => read(raw).ok(),
            _ => None,
        };
        self.decided_after(request, subject, workload, (true, former.as_ref()))
    }

    /// Turns what was wrong with a declaration before its update into warnings.
    fn forgive_former(&self, request: &Request<'_>, raw: &RawValue, decision: &mut Decision) {
        let Some(old) = request.old_object.filter(|_| !decision.allowed()) else { return };
        let (Ok(old), Ok(new)) = (read::<Value>(old), read::<Value>(raw)) else { return };
        let Some(known) = ratchet::baseline(&old, &new) else { return };
        let Ok(before) = serde_json::from_value::<api::AIWorkload>(known.object.clone()) else { return };
        let name = before.metadata.name.as_deref();
        let asks = (known.asked, Some(&before));
        let former = self.decided_after(request, Subject::Workload(&before), name, asks);
        ratchet::forgive(decision, &former, &owner(request), (&known.object, &new));
    }

    /// The decision on `subject`, held against who asks only where `asks`, by what a declaration was before.
    fn decided_after(
        &self,
        request: &Request<'_>,
        subject: Subject<'_>,
        workload: Option<&str>,
        (asks, former): (bool, Option<&api::AIWorkload>),
    ) -> Decision {
        let world = self.world();
        let now = (self.clock)();
        let namespace = world.namespace(&request.namespace);
        let settings = world.settings(namespace);
        let mut facts = world.facts(now, subject, namespace, &settings);
        if asks && request.user_info.username != self.operator {
            let user = &request.user_info;
            facts.requester = Some(Requester { user: &user.username, groups: &user.groups, former });
        }
        let enforcement = Enforcement::of(namespace, &world.cluster, facts.declaration(), now);
        // What a declaration refers to may be applied a moment later: it is warned of, and the pods decide.
        decide(evaluate(&facts), &enforcement, workload, true)
    }
}

/// Whether an update gives a workload in quarantine its network back.
fn releases(request: &Request<'_>, raw: &RawValue) -> bool {
    let Some(old) = request.old_object else { return false };
    let (Ok(old), Ok(new)) = (read::<Value>(old), read::<Value>(raw)) else { return false };
    ratchet::released(&old, &new)
}

/// The object of a request, as messages name it.
fn owner(request: &Request<'_>) -> String {
    let kind = &request.kind.kind;
    if request.namespace.is_empty() {
        format!("{kind} {}", request.name)
    } else {
        format!("{kind} {}/{}", request.namespace, request.name)
    }
}

/// Why a profile of this name is refused: the name of a built-in one is taken.
pub(crate) fn built_in(name: &str) -> Option<String> {
    crate::policy::decide::BUILT_IN.contains(&name).then(|| {
        format!(
            "AIProfile {name}: this name shows a built-in profile, which cannot be changed\n  fix: create a profile of \
             another name with spec.base: {name} and what should differ"
        )
    })
}
