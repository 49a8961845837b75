//! Whether the network plugin of this cluster keeps network policies: the leader knocks at ports of the webhook's replicas
//! that policies of the chart close, and at one that they leave open.
//!
//! Beside the reviews' port, which answers, each replica listens on two more. The policy of the webhook lets nobody of this
//! namespace into its port of figures, though the policy of the controller lets it go there; and the policy of the
//! controller does not let it go to the port of this probe, though the policy of the webhook would let it in. Whoever gets
//! through to either has met a plugin that does not close that direction. Nothing is sent.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::ListParams;
use kube::{Api, Client};
use tokio::net::TcpStream;

use super::collect::Replicas;
use super::dirty::Dirty;
use crate::gather::world::{Touched, World};
use crate::policy::facts::{Closing, Network};

/// Between two rounds.
const EVERY: Duration = Duration::from_mins(1);
/// For one connection: what is closed is mostly silent.
const PATIENCE: Duration = Duration::from_secs(2);
/// Replicas that one round knocks at.
const REPLICAS: usize = 8;
/// Rounds in a row in which something got through before that is said: rules take a moment to reach a node.
const SURE: u32 = 2;

/// The ports of a replica.
#[derive(Clone, Copy, Debug)]
pub struct Ports {
    /// Closed by the policy of the webhook alone.
    pub inward: u16,
    /// Closed by the policy of the controller alone.
    pub outward: u16,
}

/// Knocks, again and again.
pub struct NetworkProbe {
    /// The API server.
    client: Client,
    /// Where the replicas are found.
    replicas: Replicas,
    /// Their ports; nothing where no policy of ours closes any, so that knocking would tell nothing.
    ports: Option<Ports>,
    world: Arc<RwLock<World>>,
    dirty: Arc<Dirty>,
}

/// What one knock met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Met {
    /// A connection.
    Through,
    /// Silence or a refusal.
    Nothing,
}

/// What one replica answered: at the open port, and at the two closed ones.
type Knocked = (Met, Met, Met);

impl NetworkProbe {
    /// A probe that knocks at nothing yet.
    #[must_use]
    pub const fn new(
        client: Client,
        replicas: Replicas,
        ports: Option<Ports>,
        world: Arc<RwLock<World>>,
        dirty: Arc<Dirty>,
    ) -> Self {
        Self { client, replicas, ports, world, dirty }
    }

    /// Knocks until it is dropped.
    pub async fn run(self) {
        let Some(ports) = self.ports else {
            let why = "the chart's own network policies are off (networkPolicy.enabled), so there is nothing to try";
            return self.say(Network { ingress: Closing::Unknown(why), egress: Closing::Unknown(why) });
        };
        let first = "it was not tried yet";
        self.say(Network { ingress: Closing::Unknown(first), egress: Closing::Unknown(first) });
        let mut through = (0, 0);
        let mut every = tokio::time::interval(EVERY);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            every.tick().await;
            let mut knocked = Vec::new();
            for (address, open) in self.addresses().await.into_iter().take(REPLICAS) {
                let knock = |port| knock(SocketAddr::new(address, port));
                knocked.push(tokio::join!(knock(open), knock(ports.inward), knock(ports.outward)));
            }
            let told = concluded(&knocked, &mut through);
            if let Some(told) = told {
                self.say(told);
            }
        }
    }

    /// The replicas that are ready, with the port of reviews.
    async fn addresses(&self) -> Vec<(IpAddr, u16)> {
        let slices: Api<EndpointSlice> = Api::namespaced(self.client.clone(), &self.replicas.namespace);
        let service = format!("kubernetes.io/service-name={}", self.replicas.service);
        match slices.list(&ListParams::default().labels(&service).limit(50)).await {
            Ok(found) => found.items.iter().flat_map(ready).collect(),
            Err(error) => {
                tracing::warn!(%error, "the replicas of the webhook could not be found");
                Vec::new()
            }
        }
    }

    fn say(&self, network: Network) {
        let known = &mut self.world.write().unwrap_or_else(PoisonError::into_inner).cluster.network;
        if known.as_ref() != Some(&network) {
            tracing::info!(ingress = ?network.ingress, egress = ?network.egress, "network policies were tried");
            *known = Some(network);
            self.dirty.add(Touched::everything());
        }
    }
}

fn ready(slice: &EndpointSlice) -> Vec<(IpAddr, u16)> {
    let port =
        slice.ports.iter().flatten().find_map(|port| port.port).and_then(|port| u16::try_from(port).ok());
    let endpoints = slice.endpoints.iter().flatten();
    let ready = endpoints.filter(|endpoint| {
        endpoint.conditions.as_ref().is_none_or(|conditions| conditions.ready != Some(false))
    });
    let addresses = ready.flat_map(|endpoint| &endpoint.addresses);
    addresses.filter_map(|address| Some((address.parse().ok()?, port?))).collect()
}

async fn knock(at: SocketAddr) -> Met {
    match tokio::time::timeout(PATIENCE, TcpStream::connect(at)).await {
        Ok(Ok(_)) => Met::Through,
        Ok(Err(_)) | Err(_) => Met::Nothing,
    }
}

/// What a round tells; nothing while it is not sure. `through` counts the rounds in a row in which something got through,
/// inward and outward.
fn concluded(knocked: &[Knocked], through: &mut (u32, u32)) -> Option<Network> {
    let reached: Vec<&Knocked> = knocked.iter().filter(|(open, ..)| *open == Met::Through).collect();
    let inward = knocked.iter().any(|(_, inward, _)| *inward == Met::Through);
    let outward = knocked.iter().any(|(.., outward)| *outward == Met::Through);
    let mut sure = true;
    let mut side = |open: bool, count: &mut u32| {
        if open {
            *count += 1;
            sure &= *count >= SURE;
            Closing::Open
        } else {
            *count = 0;
            if reached.is_empty() {
                Closing::Unknown("no replica of the webhook could be reached at its open port")
            } else {
                Closing::Closed
            }
        }
    };
    let network = Network { ingress: side(inward, &mut through.0), egress: side(outward, &mut through.1) };
    sure.then_some(network)
}

#[cfg(test)]
mod tests {
    use super::Met::{Nothing, Through};
    use super::*;

    #[test]
    fn what_is_closed_is_believed_only_beside_what_is_open() {
        let mut through = (0, 0);
        let told = concluded(&[(Through, Nothing, Nothing)], &mut through);
        assert_eq!(told, Some(Network { ingress: Closing::Closed, egress: Closing::Closed }));
        for nobody in [&[][..], &[(Nothing, Nothing, Nothing)]] {
            let told = concluded(nobody, &mut through).unwrap();
            assert!(
                matches!(told.ingress, Closing::Unknown(_)) && matches!(told.egress, Closing::Unknown(_))
            );
        }
    }

    #[test]
    fn a_plugin_that_lets_through_is_told_once_it_did_so_again() {
        let mut through = (0, 0);
        let knocked = [(Through, Nothing, Nothing), (Through, Through, Nothing)];
        assert_eq!(concluded(&knocked, &mut through), None);
        let told = concluded(&knocked, &mut through).unwrap();
        assert_eq!(told, Network { ingress: Closing::Open, egress: Closing::Closed });
        let closed = concluded(&[(Through, Nothing, Nothing)], &mut through).unwrap();
        assert_eq!(closed.ingress, Closing::Closed);
        assert_eq!(concluded(&knocked, &mut through), None, "it counts from the beginning");
    }

    #[tokio::test]
    async fn a_knock_meets_a_listener_or_nothing() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        assert_eq!(knock(at).await, Through);
        drop(listener);
        assert_eq!(knock(at).await, Nothing);
    }
}
