//! Folders of a node from which a pod would rule it: those of the system, of the kubelet and of container runtimes. Folders in
//! which provisioners keep volumes are none.

/// What lies in these belongs to the node.
const NODE: &[&str] = &[
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/lib",
    "/lib32",
    "/lib64",
    "/opt/cni",
    "/opt/containerd",
    "/proc",
    "/root/.kube",
    "/root/.ssh",
    "/run",
    "/sbin",
    "/sys",
    "/usr",
    "/var/lib/calico",
    "/var/lib/cni",
    "/var/lib/containerd",
    "/var/lib/containers",
    "/var/lib/cri-dockerd",
    "/var/lib/crio",
    "/var/lib/docker",
    "/var/lib/etcd",
    "/var/lib/k0s",
    "/var/lib/kubelet",
    "/var/lib/rancher",
    "/var/log",
    "/var/run",
    "/var/snap/microk8s",
    "/var/spool/cron",
];
/// But what lies in these is kept there for pods.
const VOLUMES: &[&str] = &[
    "/run/desktop/mnt/host",
    "/var/lib/docker/volumes",
    "/var/lib/rancher/k3s/storage",
    "/var/snap/microk8s/common/default-storage",
];

/// Why a pod should not have this folder of a node; `None` where it may. `local` volumes may be disks, which are files of
/// `/dev`.
#[must_use]
pub fn rules_node(path: &str, local: bool) -> Option<&'static str> {
    let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if parts.contains(&"..") {
        return Some("steps out of its folder");
    }
    let parts_of = |known: &'static str| known.split('/').filter(|part| !part.is_empty());
    let lies_in =
        |known: &'static str| parts_of(known).eq(parts.iter().copied().take(parts_of(known).count()));
    let holds = |known: &'static str| parts.iter().copied().eq(parts_of(known).take(parts.len()));
    if parts.is_empty() {
        return Some("is the whole node");
    }
    // Of the folder itself in which volumes are kept, all of them would be had at once.
    if VOLUMES.iter().any(|known| lies_in(known) && parts.len() > parts_of(known).count()) {
        return None;
    }
    let disk = local && parts.len() > 1 && parts[0] == "dev";
    if disk {
        return None;
    }
    if NODE.iter().any(|known| lies_in(known)) {
        return Some("is a folder by which a pod rules its node");
    }
    NODE.iter().any(|known| holds(known)).then_some("holds folders by which a pod rules its node")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_the_node_are_told_from_those_of_provisioners() {
        for path in [
            "/",
            "",
            "//",
            "/.",
            "/etc",
            "/etc/",
            "//etc//kubernetes",
            "/var",
            "/var/lib",
            "/var/lib/kubelet/pods",
            "/var/run",
            "/var/run/docker.sock",
            "/run/containerd/containerd.sock",
            "/run/k3s",
            "/proc/1/root",
            "/sys/fs/cgroup",
            "/dev/kmsg",
            "/var/log/pods",
            "/opt",
            "/opt/cni/bin",
            "/root",
            "/root/.kube",
            "/usr/bin",
            "/boot",
            "/var/lib/etcd",
            "/var/lib/rancher",
            "/var/lib/rancher/k3s/server",
            "/var/lib/rancher/k3s/storage",
            "/data/../etc",
            "/var/snap/microk8s/current",
            "/var/lib/docker/overlay2",
            "/run/desktop",
        ] {
            assert!(rules_node(path, false).is_some(), "{path}");
        }
        for path in [
            "/opt/local-path-provisioner/pvc-1_ns_data",
            "/opt/local-path-provisioner",
            "/var/local-path-provisioner/pvc-1",
            "/var/lib/rancher/k3s/storage/pvc-1",
            "/var/snap/microk8s/common/default-storage/ns-data-pvc-1",
            "/var/openebs/local/pvc-1",
            "/tmp/hostpath-provisioner/ns/data",
            "/var/hostpath-provisioner/ns/data",
            "/var/tmp/portcullis-cluster/volumes/batch-scoring-scores",
            "/var/lib/docker/volumes/data/_data",
            "/run/desktop/mnt/host/c/data",
            "/var/lib/k8s-pvs/data/pvc-1",
            "/mnt/disks/vol1",
            "/data/models",
            "/srv",
            "/home/data",
            "/etcetera",
            "/root/.cache/portcullis/volumes",
            "/var/lib/kubelets",
        ] {
            assert_eq!(rules_node(path, false), None, "{path}");
        }
        // A disk may be handed out whole, but not the folder of all.
        assert_eq!(rules_node("/dev/nvme1n1", true), None);
        assert!(rules_node("/dev", true).is_some() && rules_node("/dev/nvme1n1", false).is_some());
        assert!(rules_node("/etc", true).is_some() && rules_node("/mnt/disks/vol1", true).is_none());
    }
}
