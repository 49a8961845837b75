//! Whether the declared place of a log takes records, as far as it can be seen from the cluster. Pure.

use crate::api::AIWorkload;
use crate::api::workload::{IoLogMode, SinkKind};
use crate::controllers::conditions::{Holds, LOG_SINK_OBSERVED, Said};
use crate::controllers::pods::Pods;
use crate::gather::world::World;
use crate::policy::selector;

/// What is to be said of the log sink of a workload; nothing where it declares none.
#[must_use]
pub fn observed(namespace: &str, workload: &AIWorkload, world: &World, pods: &Pods) -> Option<Said> {
    let log = workload.spec.monitoring.as_ref()?.io_log.as_ref()?;
    if log.mode == IoLogMode::Nothing {
        return None;
    }
    let sink = log.sink.as_ref()?;
    let target = sink.ref_.as_deref().unwrap_or_default();
    let unseen = |what: String| Said::new(LOG_SINK_OBSERVED, Holds::Unknown, "OutOfSight", what);
    Some(match sink.kind {
        SinkKind::Stdout => {
            unseen("the output of the container is collected on the node, where we do not look".to_owned())
        }
        SinkKind::ExternalApi => unseen(format!("{target:?} lies outside the cluster")),
        SinkKind::Volume => match world.namespace(namespace).claims.get(target) {
            Some(claim) if claim.volume.is_some() => {
                unseen(format!("claim {target:?} is bound; what is written to it is not looked at"))
            }
            Some(_) => no("NotBound", format!("claim {target:?} is bound to no volume")),
            None => no("NoClaim", format!("claim {target:?} does not exist")),
        },
        SinkKind::Service => service(namespace, target, world, pods),
    })
}

fn no(reason: &str, message: String) -> Said {
    Said::new(LOG_SINK_OBSERVED, false, reason, message)
}

fn service(namespace: &str, target: &str, world: &World, pods: &Pods) -> Said {
    let (home, name) = target.split_once('/').unwrap_or((namespace, target));
    let Some(service) = world.namespace(home).services.get(name) else {
        return no("NoService", format!("Service {home}/{name} does not exist"));
    };
    if service.selector.is_empty() {
        let message = format!("Service {home}/{name} selects no pods, so its endpoints are somebody else's");
        return Said::new(LOG_SINK_OBSERVED, Holds::Unknown, "OutOfSight", message);
    }
    let ready = pods
        .of(home)
        .filter(|(_, pod)| pod.ready && selector::contains(&service.selector, &pod.made_of.labels))
        .count();
    if ready == 0 {
        return no("NotReady", format!("no pod behind Service {home}/{name} is ready"));
    }
    let message =
        format!("{ready} pods behind Service {home}/{name} are ready; whether records arrive is not counted");
    Said::new(LOG_SINK_OBSERVED, true, "Ready", message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gather::world::Object;
    use serde_json::{Value, json};

    fn read<T: serde::de::DeserializeOwned>(value: Value) -> T {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_sink_is_looked_at_where_it_can_be_seen() {
        let workload = |sink: &Value| -> AIWorkload {
            read(json!({"apiVersion": "portcullis.dev/v1alpha1", "kind": "AIWorkload",
                "metadata": {"name": "chat", "namespace": "a"},
                "spec": {"selector": {"matchLabels": {"app": "chat"}}, "type": "inference",
                    "owners": {"accountable": {"user": "j"}},
                    "monitoring": {"ioLog": {"mode": "full", "container": "c", "sink": sink}}}}))
        };
        let (mut world, mut pods) = (World::default(), Pods::default());
        let said = |world: &World, pods: &Pods, sink: Value| {
            let said = observed("a", &workload(&sink), world, pods).unwrap();
            (said.holds, said.reason, said.message)
        };
        let service = || json!({"kind": "service", "ref": "logs/loki", "port": 3100});
        assert_eq!(said(&world, &pods, json!({"kind": "stdout"})).0, Holds::Unknown);
        assert_eq!(said(&world, &pods, service()).1, "NoService");
        world.apply(Object::Service(read(json!({"metadata": {"name": "loki", "namespace": "logs"},
            "spec": {"selector": {"app": "loki"}, "ports": [{"port": 3100}]}}))));
        assert_eq!(said(&world, &pods, service()).1, "NotReady");
        pods.apply(read(json!({"metadata": {"name": "l", "namespace": "logs", "labels": {"app": "loki"}},
            "spec": {"containers": [{"name": "c"}]},
            "status": {"conditions": [{"type": "Ready", "status": "True"}]}})));
        let (holds, reason, message) = said(&world, &pods, service());
        assert_eq!((holds, reason.as_str()), (Holds::Yes, "Ready"));
        assert!(message.starts_with("1 pods behind Service logs/loki are ready"), "{message}");
        assert_eq!(said(&world, &pods, json!({"kind": "pvc", "ref": "log"})).1, "NoClaim");
    }
}
