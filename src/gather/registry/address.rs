//! Which network addresses a look-up may reach, asked for every name at the moment of connecting, so that no second
//! answer of the name service can slip in between check and use.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// What a client may dial.
#[derive(Debug, Clone)]
pub(super) struct AddressPolicy {
    /// Whether loopback and private ranges are fine, because the registry's entry says so.
    pub(super) allow_private: bool,
    /// Further ranges that are refused without that permission: the cluster's own, where they are public.
    pub(super) cluster: Arc<[IpNet]>,
}

/// A name or literal led to an address that may not be dialled. The address itself stays out of the text: the reader
/// may be a tenant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("host {host:?} resolves to {class}")]
pub(super) struct AddressRefused {
    pub(super) host: String,
    pub(super) class: Class,
}

/// The kinds of addresses that are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Class {
    /// Where clouds serve credentials; never a registry.
    #[error("a link-local or metadata address")]
    LinkLocal,
    #[error("an address that is no single host")]
    NotAHost,
    #[error("a loopback address, which its entry does not allow")]
    Loopback,
    #[error("a private address, which its entry does not allow")]
    Private,
}

impl AddressPolicy {
    /// Judges one address.
    pub(super) fn check(&self, host: &str, address: IpAddr) -> Result<(), AddressRefused> {
        let refuse = |class| Err(AddressRefused { host: host.to_owned(), class });
        match classify(address, &self.cluster) {
            Some(class @ (Class::LinkLocal | Class::NotAHost)) => refuse(class),
            Some(class) if !self.allow_private => refuse(class),
            _ => Ok(()),
        }
    }
}

fn classify(address: IpAddr, cluster: &[IpNet]) -> Option<Class> {
    let address = unwrap_v4(address);
    let class = match address {
        IpAddr::V4(v4) => classify_v4(v4),
        IpAddr::V6(v6) => classify_v6(v6),
    };
    class.or_else(|| cluster.iter().any(|net| net.contains(&address)).then_some(Class::Private))
}

/// IPv4 addresses in IPv6 clothes are judged as what they are.
fn unwrap_v4(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let low = |high: u16, low: u16| IpAddr::V4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)));
    match v6.segments() {
        // ::ffff:a.b.c.d (mapped), 64:ff9b::a.b.c.d (translated), 2002:a.b.c.d:: (6to4)
        [0, 0, 0, 0, 0, 0xffff, high, rest]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, rest]
        | [0x2002, high, rest, ..] => low(high, rest),
        // ::a.b.c.d (compatible, obsolete), but not :: and ::1
        [0, 0, 0, 0, 0, 0, high, rest] if (high, rest) > (0, 1) => low(high, rest),
        _ => address,
    }
}

fn classify_v4(address: Ipv4Addr) -> Option<Class> {
    let [a, b, c, d] = address.octets();
    match (a, b, c, d) {
        // Two clouds keep their metadata service in the shared range.
        (169, 254, ..) | (100, 100, 100, 200) | (192, 0, 0, 192) => Some(Class::LinkLocal),
        (0 | 224..=255, ..) => Some(Class::NotAHost),
        (127, ..) => Some(Class::Loopback),
        (10, ..)
        | (100, 64..=127, ..)
        | (172, 16..=31, ..)
        | (192, 168, ..)
        | (192, 0, 0 | 2, _)
        | (192, 88, 99, _)
        | (198, 18 | 19, ..)
        | (198, 51, 100, _)
        | (203, 0, 113, _) => Some(Class::Private),
        _ => None,
    }
}

fn classify_v6(address: Ipv6Addr) -> Option<Class> {
    if address.is_loopback() {
        return Some(Class::Loopback);
    }
    if address.is_unspecified() || address.is_multicast() {
        return Some(Class::NotAHost);
    }
    let s = address.segments();
    match s {
        [0xfe80..=0xfebf, ..] | [0xfd00, 0x0ec2, ..] => Some(Class::LinkLocal),
        // Unique local, site-local, documentation, discard, local translation, protocol assignments and Teredo.
        [0xfc00..=0xfdff | 0xfec0..=0xfeff, ..]
        | [0x2001, 0x0db8 | 0..=0x01ff, ..]
        | [0x0100, 0, 0, 0, ..]
        | [0x64, 0xff9b, 1, ..] => Some(Class::Private),
        _ => None,
    }
}

/// The name service gave no address.
#[derive(Debug, thiserror::Error)]
#[error("the name could not be resolved")]
pub(super) struct Unresolved(#[source] io::Error);

type Lookup = dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> + Send + Sync;

/// Who says which addresses a name has: the system, unless another name service is given. Whatever it says is judged.
#[derive(Clone)]
pub struct Names(Arc<Lookup>);

impl Names {
    /// Asks `lookup` for the addresses of each name, at each connection.
    pub fn by(
        lookup: impl Fn(String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(lookup))
    }
}

impl Default for Names {
    fn default() -> Self {
        Self::by(|host| {
            async move {
                let found = tokio::net::lookup_host((host.as_str(), 0)).await?;
                Ok(found.map(|address| address.ip()).collect())
            }
            .boxed()
        })
    }
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Names").finish_non_exhaustive()
    }
}

/// Resolves names and lets nothing through that the policy refuses.
#[derive(Debug, Clone)]
pub(super) struct GuardedResolver {
    pub(super) policy: AddressPolicy,
    pub(super) names: Names,
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let Self { policy, names } = self.clone();
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let found = (names.0)(host.clone()).await.map_err(Unresolved)?;
            if found.is_empty() {
                return Err(Unresolved(io::ErrorKind::NotFound.into()).into());
            }
            // One forbidden address spoils the name: picking the harmless ones would let a name service probe us.
            for address in &found {
                policy.check(&host, *address)?;
            }
            Ok(Box::new(found.into_iter().map(|address| SocketAddr::new(address, 0))) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(address: &str, allow_private: bool) -> Option<Class> {
        let policy = AddressPolicy { allow_private, cluster: Arc::new(["34.118.224.0/20".parse().unwrap()]) };
        policy.check("h", address.parse().unwrap()).err().map(|refused| refused.class)
    }

    #[test]
    fn abuse_082_addresses_inside_are_refused_without_permission() {
        for (address, wanted) in [
            ("127.0.0.1", Class::Loopback),
            ("::1", Class::Loopback),
            ("::ffff:127.0.0.1", Class::Loopback),
            ("64:ff9b::7f00:1", Class::Loopback),
            ("2002:7f00:1::", Class::Loopback),
            ("::7f00:1", Class::Loopback),
            ("10.96.0.1", Class::Private),
            ("172.31.255.255", Class::Private),
            ("192.168.1.1", Class::Private),
            ("100.64.0.1", Class::Private),
            ("198.18.0.1", Class::Private),
            ("34.118.225.7", Class::Private),
            ("fd12::1", Class::Private),
            ("2001:db8::1", Class::Private),
            ("::ffff:10.0.0.1", Class::Private),
        ] {
            assert_eq!(class(address, false), Some(wanted), "{address}");
            assert_eq!(class(address, true), None, "{address} with permission");
        }
    }

    #[test]
    fn abuse_082_metadata_and_non_hosts_are_refused_even_with_permission() {
        for (address, wanted) in [
            ("169.254.169.254", Class::LinkLocal),
            ("::ffff:169.254.169.254", Class::LinkLocal),
            ("64:ff9b::a9fe:a9fe", Class::LinkLocal),
            ("fd00:ec2::254", Class::LinkLocal),
            ("fe80::1", Class::LinkLocal),
            ("100.100.100.200", Class::LinkLocal),
            ("0.0.0.0", Class::NotAHost),
            ("::", Class::NotAHost),
            ("255.255.255.255", Class::NotAHost),
            ("224.0.0.1", Class::NotAHost),
            ("ff02::1", Class::NotAHost),
        ] {
            assert_eq!(class(address, true), Some(wanted), "{address}");
        }
    }

    #[test]
    fn public_addresses_pass() {
        for address in ["1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2001:4860:4860::8888"] {
            assert_eq!(class(address, false), None, "{address}");
        }
    }
}
