//! Judging who enters a running pod: a command, a terminal, a port, a debug container.

use std::sync::Arc;

use tokio::time::Instant;

use super::access::Access;
use super::attempts::Refusal;
use super::judge::{Judge, concluded};
use super::namespaces::SPARE;
use super::wire::{Answer, Request};
use crate::api;
use crate::api::common::ANNOTATION_BREAK_GLASS;
use crate::gather::world::matched;
use crate::policy::facts::{EntryFacts, Matched, Subject};
use crate::policy::{Enforcement, decide, evaluate};
use crate::render::words;

impl Judge {
    /// Lets in who may break the glass and has said why; everything is recorded.
    ///
    /// The pod is asked for live, because such requests are rare and pods are not kept; without it the declaration and the
    /// reason stay unknown, which is never to the advantage of whoever asks.
    pub(super) async fn entry(
        &self,
        request: &Request<'_>,
        warnings: Vec<String>,
        deadline: Instant,
    ) -> Answer {
        let way = request.sub_resource.as_ref();
        let until = deadline.checked_sub(SPARE).unwrap_or(deadline);
        let pod = self.running.one(&request.namespace, &request.name, until).await.ok().flatten();
        let access = Access {
            verb: "breakglass",
            group: "",
            resource: "pods",
            namespace: &request.namespace,
            name: &request.name,
        };
        let may = self.authorizer.may(&request.user_info, access).await.ok();
        let reason =
            pod.as_ref().and_then(|pod| pod.annotations.get(ANNOTATION_BREAK_GLASS)).map(String::as_str);
        let (decision, workload) = {
            let world = self.world();
            let now = (self.clock)();
            let namespace = world.namespace(&request.namespace);
            let workload: Option<&Arc<api::AIWorkload>> =
                match pod.as_ref().map(|pod| matched(namespace, &pod.labels)) {
                    Some(Matched::One(workload)) => Some(workload),
                    _ => None,
                };
            let settings = world.settings(namespace);
            let entry = EntryFacts {
                way,
                pod: &request.name,
                user: &request.user_info.username,
                may,
                reason,
                workload,
            };
            let facts = world.facts(now, Subject::Entry(entry), namespace, &settings);
            let enforcement = Enforcement::of(namespace, &world.cluster, workload.map(AsRef::as_ref), now);
            let name = workload.and_then(|workload| workload.metadata.name.clone());
            (decide(evaluate(&facts), &enforcement, name.as_deref(), false), name)
        };
        let answer = concluded(&format!("Pod {}/{}", request.namespace, request.name), "Pod", &decision);
        tracing::info!(
            namespace = %request.namespace,
            pod = %request.name,
            user = %request.user_info.username,
            way,
            reason = reason.unwrap_or_default(),
            allowed = answer.allowed(),
            "access to a running pod"
        );
        let mut findings: Vec<(&'static str, String)> =
            decision.refused.iter().map(|finding| (finding.control.id, words::one_line(finding))).collect();
        let night = decision.audited.iter().any(|finding| finding.provisions.contains(&"CoP-6.1-n3"));
        let night = if night { ", outside office hours" } else { "" };
        if findings.is_empty() {
            let by = decision.exempted.first().map(|(_, exemption)| format!("AIExemption {exemption}"));
            let because = reason.map(str::to_owned).or(by).map_or_else(String::new, |why| format!(": {why}"));
            findings.push((
                "interactive-access-blocked",
                words::cut(
                    format!(
                        "user {:?} entered Pod {} by {way}{night}{because}",
                        request.user_info.username, request.name
                    ),
                    300,
                ),
            ));
        }
        if request.real() {
            let refusal = Refusal {
                at: (self.clock)(),
                namespace: request.namespace.to_string(),
                workload,
                kind: "Pod".to_owned(),
                name: request.name.to_string(),
                owner: None,
                findings,
            };
            if answer.allowed() {
                self.sink.recorded(refusal);
            } else {
                self.sink.refused(refusal);
            }
        }
        Answer { warnings: [warnings, answer.warnings].concat(), ..answer }
    }
}
