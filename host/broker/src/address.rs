//! Where a target may be. A name is resolved once, its addresses are looked at, and the connection goes to those very
//! addresses: whoever changes the name between changes nothing.
//!
//! Refused are this server itself, and what answers to whoever stands near it: link-local addresses, among which the
//! metadata services of clouds are, those of them that stand elsewhere, and what is no address of one machine. Private
//! addresses are good: that is where databases are.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use attorn_core::HostName;

use crate::kind::KindError;

/// How long a name may take.
const RESOLVE: Duration = Duration::from_secs(2);
/// How many addresses of a name are looked at.
const ADDRESSES_MAX: usize = 8;

/// The metadata services of clouds that are not link-local: AWS and Google over IPv6, Azure, Alibaba,
/// Oracle.
const METADATA: [IpAddr; 5] = [
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x0254)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
];

/// The addresses of a target. One that is refused refuses all.
///
/// # Errors
///
/// Temporary if the name cannot be resolved now, permanent if it leads where no target may be.
pub async fn resolve(host: &HostName, port: u16, own: SocketAddr) -> Result<Vec<SocketAddr>, KindError> {
    let lookup = tokio::net::lookup_host((host.as_str(), port));
    let found = tokio::time::timeout(RESOLVE, lookup).await;
    let found = found.map_err(|_| KindError::unreachable(format!("the name `{host}` was not resolved in time")))?;
    let found = found.map_err(|error| KindError::unreachable(format!("the name `{host}` is not resolved: {error}")))?;
    let mut addresses = Vec::new();
    for address in found.take(ADDRESSES_MAX) {
        check(address, own)
            .map_err(|why| KindError::misconfigured(format!("`{host}` is `{}`, {why}", address.ip())))?;
        addresses.push(address);
    }
    if addresses.is_empty() {
        return Err(KindError::unreachable(format!("the name `{host}` has no address")));
    }
    Ok(addresses)
}

/// Whether a target may be there.
///
/// # Errors
///
/// Why not.
pub fn check(address: SocketAddr, own: SocketAddr) -> Result<(), &'static str> {
    let ip = address.ip().to_canonical();
    for ip in std::iter::once(ip).chain(embedded(ip)) {
        refused(ip).map_or(Ok(()), Err)?;
    }
    if address.port() == own.port() && is_local(ip) {
        return Err("which is this server itself");
    }
    Ok(())
}

fn refused(ip: IpAddr) -> Option<&'static str> {
    let (link_local, broadcast) = match ip {
        IpAddr::V4(ip) => (ip.is_link_local(), ip.is_broadcast() || ip.octets()[0] == 0),
        IpAddr::V6(ip) => (ip.is_unicast_link_local(), false),
    };
    if METADATA.contains(&ip) {
        return Some("which is a metadata service");
    }
    if link_local {
        return Some("which is link-local, as metadata services are");
    }
    // Where the IPv4 address stands in it, only the network knows (RFC 8215).
    if matches!(ip, IpAddr::V6(ip) if ip.segments()[..3] == [0x64, 0xff9b, 1]) {
        return Some("which a gateway takes elsewhere");
    }
    (ip.is_unspecified() || ip.is_multicast() || broadcast).then_some("which is no address of one machine")
}

/// The IPv4 address to which a gateway takes this one: NAT64 (RFC 6052), 6to4 (RFC 3056), or IPv4-compatible.
fn embedded(ip: IpAddr) -> Option<IpAddr> {
    let IpAddr::V6(ip) = ip else { return None };
    let part = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    };
    match ip.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => Some(part(high, low)),
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => Some(part(high, low)),
        _ => None,
    }
}

/// Whether it is an address of this machine: one that can be bound.
fn is_local(ip: IpAddr) -> bool {
    ip.is_loopback() || UdpSocket::bind((ip, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn checked(address: &str) -> Result<(), &'static str> {
        check(address.parse().unwrap(), "127.0.0.1:7700".parse().unwrap())
    }

    #[test]
    fn metadata_and_what_is_near_is_refused_however_it_is_written() {
        for address in [
            "169.254.169.254:80",
            "169.254.170.2:5432",
            "[::ffff:169.254.169.254]:5432",
            "[64:ff9b::169.254.169.254]:5432",
            "[2002:a9fe:a9fe::1]:5432",
            "[::169.254.169.254]:5432",
            "[fd00:ec2::254]:5432",
            "[fd20:ce::254]:5432",
            "[64:ff9b:1::1]:5432",
            "[64:ff9b:1:ffff:a9fe:a9:fe00:0]:5432",
            "[fe80::1]:5432",
            "168.63.129.16:5432",
            "100.100.100.200:5432",
            "192.0.0.192:5432",
            "0.0.0.0:5432",
            "0.1.2.3:5432",
            "[::]:5432",
            "255.255.255.255:5432",
            "224.0.0.1:5432",
            "[ff02::1]:5432",
        ] {
            assert!(checked(address).is_err(), "{address}");
        }
    }

    #[test]
    fn this_server_is_refused_and_its_neighbours_are_not() {
        for address in ["127.0.0.1:7700", "127.0.0.2:7700", "[::1]:7700", "[::ffff:127.0.0.1]:7700"] {
            assert_eq!(checked(address), Err("which is this server itself"), "{address}");
        }
        for address in ["127.0.0.1:5432", "[::1]:5432", "10.0.0.1:5432", "192.0.2.1:7700", "[fd00::1]:5432"] {
            assert_eq!(checked(address), Ok(()), "{address}");
        }
    }

    #[tokio::test]
    async fn a_name_that_leads_to_a_refused_address_is_refused() {
        let own = "127.0.0.1:7700".parse().unwrap();
        let of = |host: &str| host.parse::<HostName>().unwrap();
        let error = resolve(&of("169.254.169.254"), 5432, own).await.unwrap_err();
        assert!(!error.is_temporary() && error.is_of_target());
        assert_eq!(
            error.to_string(),
            "`169.254.169.254` is `169.254.169.254`, which is link-local, as metadata services are"
        );
        let error = resolve(&of("localhost"), 7700, own).await.unwrap_err();
        assert!(error.to_string().ends_with("which is this server itself"), "{error}");
        assert!(!resolve(&of("127.0.0.1"), 5432, own).await.unwrap().is_empty());
    }
}
