//! What is known of the ways to pods: Services, and the Ingresses that lead to them.

use super::Labels;

/// What is known of a Service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Service {
    /// Its labels.
    pub labels: Labels,
    /// Its ports.
    pub ports: Vec<ServicePort>,
    /// Labels of the pods behind it; empty where it selects none.
    pub selector: Labels,
    /// How it is reached from outside the cluster: its type, or `externalIPs`.
    pub outside: Option<&'static str>,
    /// The host that it stands for, where it is of type `ExternalName`.
    pub external_name: Option<String>,
}

impl Service {
    /// The Services that it may stand for, each as namespace and name, where it is of type `ExternalName` and its host is the name
    /// of one in a cluster: `NAME.NAMESPACE` or `NAME.NAMESPACE.svc`, with or without the cluster's own domain, or the name of a pod in front. There is
    /// more than one where another word of the host is `svc`, which may be the name of a Service or part of the domain.
    #[must_use]
    pub fn stands_for(&self) -> Vec<(String, String)> {
        let Some(host) = self.external_name.as_deref() else { return Vec::new() };
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let words: Vec<&str> = host.split('.').collect();
        // A program that searches the cluster's own domains needs no more than these two.
        if let [name, namespace] = words[..] {
            return vec![(namespace.to_owned(), name.to_owned())];
        }
        let named = words.windows(3).filter_map(|three| match three {
            [name, namespace, "svc"] => Some(((*namespace).to_owned(), (*name).to_owned())),
            _ => None,
        });
        named.collect()
    }
}

/// A port of a Service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServicePort {
    /// Name; empty when it has none.
    pub name: String,
    /// Number.
    pub port: i32,
    /// The port of the pods: a number or a name, the Service's own number unless stated.
    pub target: Option<String>,
}

/// What is known of an Ingress.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ingress {
    /// The Services that it leads to.
    pub backends: Vec<String>,
    /// Whether it takes TLS for every host that it serves.
    pub tls: bool,
    /// What its controller is told of limits, by annotation.
    pub limits: Labels,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_the_cluster_is_known_in_any_spelling() {
        let end = |host: &str| {
            let service = Service { external_name: Some(host.to_owned()), ..Service::default() };
            let all = service.stands_for().into_iter().map(|(namespace, name)| format!("{namespace}/{name}"));
            all.collect::<Vec<_>>()
        };
        for host in [
            "help.desk.svc",
            "help.desk.svc.",
            "Help.desk.SVC.cluster.local.",
            "help.desk.svc.acme.example",
            "pod-0.help.desk.svc",
        ] {
            assert_eq!(end(host), ["desk/help"], "{host}");
        }
        assert_eq!(end("svc.svc.svc"), ["svc/svc"]);
        assert_eq!(end("http.tcp.svc.desk.svc.cluster.local"), ["tcp/http", "desk/svc"]);
        assert_eq!(end("help.desk"), ["desk/help"], "as search lists complete it");
        for host in ["", "help", "svc.example.com", "www.example.com"] {
            assert_eq!(end(host), [""; 0], "{host}");
        }
        assert_eq!(Service::default().stands_for(), []);
    }
}
