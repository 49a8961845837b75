//! Who writes permissions into a declaration holds them.

use super::access::Access;
use super::judge::Judge;
use super::wire::{Answer, Request};
use crate::api;

/// The control that holds whoever hands out rights.
const ESCALATES: &str = "least-privilege-rbac";

impl Judge {
    /// Whoever writes a permission into a declaration must hold it himself, as Kubernetes asks of authors of roles.
    pub(super) async fn permissions_held(
        &self,
        request: &Request<'_>,
        workload: &api::AIWorkload,
        former: Option<&api::AIWorkload>,
    ) -> Option<Answer> {
        let of =
            |w: &api::AIWorkload| w.spec.identity.as_ref().map(|i| i.permissions.clone()).unwrap_or_default();
        let before = former.map(of).unwrap_or_default();
        let asked: Vec<api::workload::Permission> =
            of(workload).into_iter().filter(|p| !before.contains(p)).collect();
        if request.user_info.username == self.operator {
            return None;
        }
        for permission in &asked {
            let names = if permission.resource_names.is_empty() {
                vec![String::new()]
            } else {
                permission.resource_names.clone()
            };
            for verb in &permission.verbs {
                for group in &permission.api_groups {
                    for resource in &permission.resources {
                        for name in &names {
                            let access =
                                Access { verb, group, resource, namespace: &request.namespace, name };
                            let refusal = match self.authorizer.may(&request.user_info, access).await {
                                Ok(true) => continue,
                                Ok(false) => format!(
                                    "user {:?} may not {verb} {resource} there",
                                    request.user_info.username
                                ),
                                Err(error) => format!(
                                    "it could not be asked whether the user may {verb} {resource}: {error}"
                                ),
                            };
                            let reason = format!(
                                "AIWorkload {}/{}: 1 of {} controls refuses this AIWorkload: {ESCALATES}\n[{ESCALATES} | \
                                 CoP-2.5] spec.identity.permissions: {refusal}\n  fix: remove the permission, or let somebody \
                                 who holds it apply the AIWorkload\n  why: a declaration may not hand out rights that its \
                                 author does not hold",
                                request.namespace,
                                request.name,
                                crate::policy::evaluate::judged()
                            );
                            return Some(Answer { controls: vec![ESCALATES], ..Answer::deny(reason) });
                        }
                    }
                }
            }
        }
        None
    }
}
