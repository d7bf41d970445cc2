//! Where a target may be. A name is resolved once, its addresses are looked at, and the connection goes to those very
//! addresses: whoever changes the name between changes nothing.
//!
//! Refused are this server itself, and what [`attorn_core::address`] refuses everybody. Private addresses are good: that is
//! where databases are.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use attorn_core::HostName;
use attorn_core::address::never_reached;

use crate::kind::KindError;

/// How long a name may take.
const RESOLVE: Duration = Duration::from_secs(2);
/// How many addresses of a name are looked at.
const ADDRESSES_MAX: usize = 8;

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
    never_reached(ip).map_or(Ok(()), Err)?;
    if address.port() == own.port() && is_local(ip) {
        return Err("which is this server itself");
    }
    Ok(())
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
