//! Pod Security level `restricted`, as Kubernetes defines it (Pod Security Standards, v1.35), rule by rule.
//!
//! Every rule looks at every kind of container. Messages carry the change that mends them.

use k8s_openapi::api::core::v1::{
    AppArmorProfile, Lifecycle, LifecycleHandler, PodSecurityContext, Probe, SELinuxOptions, SeccompProfile,
    Volume,
};

use serde_json::json;

use super::containers::ContainerView;
use super::control::Report;
use super::facts::PodFacts;
use super::fix::Fix;

/// Kernel parameters that touch only the pod's own namespaces.
const SAFE_SYSCTLS: [&str; 12] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_wmem",
];
const SELINUX_TYPES: [&str; 5] =
    ["", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"];
const APPARMOR_ANNOTATION: &str = "container.apparmor.security.beta.kubernetes.io/";

/// Writes a finding for each field that level `restricted` does not allow.
pub fn restricted(pod: &PodFacts<'_>, report: &mut Report<'_>) {
    host(pod, report);
    volumes(pod, report);
    sysctls(pod, report);
    app_armor_annotations(pod, report);
    let context = pod.spec.security_context.as_ref();
    if let Some(context) = context {
        pod_context(pod, context, report);
    }
    let windows = pod.spec.os.as_ref().is_some_and(|os| os.name == "windows");
    for container in &pod.containers {
        basics(pod, container, report);
        identity(pod, container, context, report);
        if !windows {
            privileges(pod, container, report);
            seccomp(pod, container, context, report);
        }
        handlers(pod, container, report);
    }
}

fn set(pod: &PodFacts<'_>, path: &str, value: impl Into<serde_json::Value>) -> Fix {
    Fix::set(format!("{}{path}", pod.prefix), value)
}

fn drop_field(pod: &PodFacts<'_>, path: &str) -> Fix {
    Fix::remove(format!("{}{path}", pod.prefix))
}

fn host(pod: &PodFacts<'_>, report: &mut Report<'_>) {
    for (path, on) in [
        ("spec.hostNetwork", pod.spec.host_network),
        ("spec.hostPID", pod.spec.host_pid),
        ("spec.hostIPC", pod.spec.host_ipc),
    ] {
        if on == Some(true) {
            report
                .violated(pod.at(path).value("true"), "shares a namespace of the node")
                .fix(set(pod, path, false));
        }
    }
}

fn volumes(pod: &PodFacts<'_>, report: &mut Report<'_>) {
    for (index, volume) in pod.spec.volumes.iter().flatten().enumerate() {
        if let Some(kind) = forbidden_volume(volume) {
            report
                .violated(
                    pod.at(format!("spec.volumes[{index}]")).value(&volume.name),
                    format!("is a {kind} volume, which gives the pod parts of the node or storage outside the cluster's control"),
                )
                .fix(
                    Fix::set_at(
                        &pod.at(format!("spec.volumes[{index}]")),
                        "",
                        json!({"name": volume.name, "emptyDir": {}}),
                    )
                    .after(
                        "use a persistentVolumeClaim, configMap, secret, projected, downwardAPI, emptyDir, ephemeral, csi \
                         or image volume, such as this empty one",
                    ),
                );
        }
    }
}

/// The kind of a volume that is on no list of what is allowed; a volume of no known kind counts as forbidden.
fn forbidden_volume(volume: &Volume) -> Option<&'static str> {
    let allowed = volume.config_map.is_some()
        || volume.csi.is_some()
        || volume.downward_api.is_some()
        || volume.empty_dir.is_some()
        || volume.ephemeral.is_some()
        || volume.image.is_some()
        || volume.persistent_volume_claim.is_some()
        || volume.projected.is_some()
        || volume.secret.is_some();
    if allowed {
        return None;
    }
    let kinds = [
        (volume.host_path.is_some(), "hostPath"),
        (volume.nfs.is_some(), "nfs"),
        (volume.iscsi.is_some(), "iscsi"),
        (volume.cephfs.is_some(), "cephfs"),
        (volume.rbd.is_some(), "rbd"),
        (volume.fc.is_some(), "fc"),
        (volume.flex_volume.is_some(), "flexVolume"),
        (volume.glusterfs.is_some(), "glusterfs"),
        (volume.aws_elastic_block_store.is_some(), "awsElasticBlockStore"),
        (volume.azure_disk.is_some(), "azureDisk"),
        (volume.azure_file.is_some(), "azureFile"),
        (volume.cinder.is_some(), "cinder"),
        (volume.gce_persistent_disk.is_some(), "gcePersistentDisk"),
        (volume.git_repo.is_some(), "gitRepo"),
        (volume.vsphere_volume.is_some(), "vsphereVolume"),
        (volume.portworx_volume.is_some(), "portworxVolume"),
        (volume.quobyte.is_some(), "quobyte"),
        (volume.scale_io.is_some(), "scaleIO"),
        (volume.storageos.is_some(), "storageos"),
        (volume.photon_persistent_disk.is_some(), "photonPersistentDisk"),
        (volume.flocker.is_some(), "flocker"),
    ];
    kinds.into_iter().find_map(|(found, kind)| found.then_some(kind)).or(Some("nameless"))
}

fn sysctls(pod: &PodFacts<'_>, report: &mut Report<'_>) {
    let all = pod.spec.security_context.iter().flat_map(|context| context.sysctls.iter().flatten());
    for (index, sysctl) in all.enumerate() {
        if !SAFE_SYSCTLS.contains(&sysctl.name.as_str()) {
            let path = format!("spec.securityContext.sysctls[{index}]");
            report
                .violated(
                    pod.at(format!("{path}.name")).value(&sysctl.name),
                    "sets a kernel parameter that reaches beyond the pod",
                )
                .fix(drop_field(pod, &path));
        }
    }
}

fn app_armor_annotations(pod: &PodFacts<'_>, report: &mut Report<'_>) {
    for (key, value) in pod.annotations.iter().filter(|(key, _)| key.starts_with(APPARMOR_ANNOTATION)) {
        if !(value.is_empty() || value == "runtime/default" || value.starts_with("localhost/")) {
            let path = format!("metadata.annotations[{key:?}]");
            report.violated(pod.at(&path).value(value), "switches AppArmor off").fix(drop_field(pod, &path));
        }
    }
}

fn pod_context(pod: &PodFacts<'_>, context: &PodSecurityContext, report: &mut Report<'_>) {
    const AT: &str = "spec.securityContext";
    app_armor(pod, AT, context.app_armor_profile.as_ref(), report);
    selinux(pod, AT, context.se_linux_options.as_ref(), report);
    if context.windows_options.as_ref().and_then(|w| w.host_process) == Some(true) {
        host_process(pod, AT, report);
    }
    if context.run_as_user == Some(0) {
        let path = format!("{AT}.runAsUser");
        report.violated(pod.at(&path).value("0"), "runs as root").fix(set(pod, &path, 65532));
    }
    if let Some(profile) = context.seccomp_profile.as_ref().filter(|profile| !confined(profile)) {
        let path = format!("{AT}.seccompProfile.type");
        report.violated(pod.at(&path).value(&profile.type_), "switches the system call filter off").fix(set(
            pod,
            &path,
            "RuntimeDefault",
        ));
    }
}

fn basics(pod: &PodFacts<'_>, container: &ContainerView<'_>, report: &mut Report<'_>) {
    for (index, port) in container.ports.iter().enumerate() {
        if let Some(host_port) = port.host_port.filter(|port| *port != 0) {
            let path = container.path(&format!("ports[{index}].hostPort"));
            report
                .violated(pod.at(&path).value(host_port.to_string()), "opens a port of the node")
                .fix(drop_field(pod, &path));
        }
    }
    let Some(context) = container.security else { return };
    if context.privileged == Some(true) {
        let path = container.path("securityContext.privileged");
        report
            .violated(pod.at(&path).value("true"), "has every right on the node")
            .fix(set(pod, &path, false));
    }
    if let Some(mount) = context.proc_mount.as_deref().filter(|mount| *mount != "Default") {
        let path = container.path("securityContext.procMount");
        report.violated(pod.at(&path).value(mount), "unmasks parts of /proc").fix(set(pod, &path, "Default"));
    }
    let at = container.path("securityContext");
    app_armor(pod, &at, context.app_armor_profile.as_ref(), report);
    selinux(pod, &at, context.se_linux_options.as_ref(), report);
    if context.windows_options.as_ref().and_then(|w| w.host_process) == Some(true) {
        host_process(pod, &at, report);
    }
}

fn host_process(pod: &PodFacts<'_>, at: &str, report: &mut Report<'_>) {
    let path = format!("{at}.windowsOptions.hostProcess");
    report.violated(pod.at(&path).value("true"), "runs as a process of the node").fix(set(pod, &path, false));
}

fn app_armor(pod: &PodFacts<'_>, at: &str, profile: Option<&AppArmorProfile>, report: &mut Report<'_>) {
    if let Some(profile) = profile.filter(|p| !matches!(p.type_.as_str(), "RuntimeDefault" | "Localhost")) {
        let path = format!("{at}.appArmorProfile.type");
        report.violated(pod.at(&path).value(&profile.type_), "switches AppArmor off").fix(set(
            pod,
            &path,
            "RuntimeDefault",
        ));
    }
}

fn selinux(pod: &PodFacts<'_>, at: &str, options: Option<&SELinuxOptions>, report: &mut Report<'_>) {
    let Some(options) = options else { return };
    let kind = options.type_.as_deref().unwrap_or_default();
    if !SELINUX_TYPES.contains(&kind) {
        let path = format!("{at}.seLinuxOptions.type");
        report
            .violated(pod.at(&path).value(kind), "leaves the SELinux domain of containers")
            .fix(drop_field(pod, &path));
    }
    for (field, value) in [("user", options.user.as_deref()), ("role", options.role.as_deref())] {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            let path = format!("{at}.seLinuxOptions.{field}");
            report
                .violated(pod.at(&path).value(value), "sets an SELinux identity of its own")
                .fix(drop_field(pod, &path));
        }
    }
}

fn identity(
    pod: &PodFacts<'_>,
    container: &ContainerView<'_>,
    pod_context: Option<&PodSecurityContext>,
    report: &mut Report<'_>,
) {
    let own = container.security.and_then(|context| context.run_as_non_root);
    let inherited = pod_context.and_then(|context| context.run_as_non_root);
    let path = container.path("securityContext.runAsNonRoot");
    match own.or(inherited) {
        Some(true) => {}
        Some(false) => {
            report.violated(pod.at(&path).value("false"), "may run as root").fix(set(pod, &path, true));
        }
        None => {
            report
                .violated(pod.at(&path), "is not set, so the container may run as root")
                .fix(set(pod, &path, true));
        }
    }
    if container.security.and_then(|context| context.run_as_user) == Some(0) {
        let path = container.path("securityContext.runAsUser");
        report.violated(pod.at(&path).value("0"), "runs as root").fix(set(pod, &path, 65532));
    }
}

fn privileges(pod: &PodFacts<'_>, container: &ContainerView<'_>, report: &mut Report<'_>) {
    let context = container.security;
    if context.and_then(|c| c.allow_privilege_escalation) != Some(false) {
        let path = container.path("securityContext.allowPrivilegeEscalation");
        report
            .violated(
                pod.at(&path),
                "is not false, so a process may gain more rights than it was started with",
            )
            .fix(set(pod, &path, false));
    }
    let capabilities = context.and_then(|c| c.capabilities.as_ref());
    let dropped = capabilities.and_then(|c| c.drop.as_deref()).unwrap_or_default();
    if !dropped.iter().any(|name| name == "ALL") {
        let path = container.path("securityContext.capabilities.drop");
        report.violated(pod.at(&path), "does not drop ALL capabilities").fix(set(
            pod,
            &path,
            serde_json::json!(["ALL"]),
        ));
    }
    let added = capabilities.and_then(|c| c.add.as_deref()).unwrap_or_default();
    if added.iter().any(|name| name != "NET_BIND_SERVICE") {
        let path = container.path("securityContext.capabilities.add");
        report
            .violated(pod.at(&path).value(added.join(", ")), "adds capabilities other than NET_BIND_SERVICE")
            .fix(drop_field(pod, &path));
    }
}

fn confined(profile: &SeccompProfile) -> bool {
    matches!(profile.type_.as_str(), "RuntimeDefault" | "Localhost")
}

fn seccomp(
    pod: &PodFacts<'_>,
    container: &ContainerView<'_>,
    pod_context: Option<&PodSecurityContext>,
    report: &mut Report<'_>,
) {
    let path = container.path("securityContext.seccompProfile.type");
    let fix = || set(pod, &path, "RuntimeDefault");
    match container.security.and_then(|context| context.seccomp_profile.as_ref()) {
        Some(own) if confined(own) => {}
        Some(own) => {
            report
                .violated(pod.at(&path).value(&own.type_), "switches the system call filter off")
                .fix(fix());
        }
        // An unconfined pod is found at the pod, once.
        None if pod_context.is_some_and(|context| context.seccomp_profile.is_some()) => {}
        None => {
            report.violated(pod.at(&path), "is not set, so system calls are not filtered").fix(fix());
        }
    }
}

/// Probes and hooks may not point the node at another host.
fn handlers(pod: &PodFacts<'_>, container: &ContainerView<'_>, report: &mut Report<'_>) {
    for (name, probe) in container.probes.iter().flatten() {
        for (field, host) in probe_hosts(probe) {
            handler(pod, &container.path(&format!("{name}.{field}.host")), host, report);
        }
    }
    let Some(lifecycle) = container.lifecycle else { return };
    for (name, hook) in hooks(lifecycle) {
        for (field, host) in [
            ("httpGet", hook.http_get.as_ref().and_then(|get| get.host.as_deref())),
            ("tcpSocket", hook.tcp_socket.as_ref().and_then(|tcp| tcp.host.as_deref())),
        ] {
            handler(pod, &container.path(&format!("lifecycle.{name}.{field}.host")), host, report);
        }
    }
}

fn probe_hosts(probe: &Probe) -> [(&'static str, Option<&str>); 2] {
    [
        ("httpGet", probe.http_get.as_ref().and_then(|get| get.host.as_deref())),
        ("tcpSocket", probe.tcp_socket.as_ref().and_then(|tcp| tcp.host.as_deref())),
    ]
}

fn hooks(lifecycle: &Lifecycle) -> impl Iterator<Item = (&'static str, &LifecycleHandler)> {
    [("postStart", lifecycle.post_start.as_ref()), ("preStop", lifecycle.pre_stop.as_ref())]
        .into_iter()
        .filter_map(|(name, hook)| hook.map(|hook| (name, hook)))
}

fn handler(pod: &PodFacts<'_>, path: &str, host: Option<&str>, report: &mut Report<'_>) {
    if let Some(host) = host.filter(|host| !host.is_empty()) {
        report
            .violated(pod.at(path).value(host), "makes the node call another host than the pod")
            .fix(drop_field(pod, path));
    }
}
