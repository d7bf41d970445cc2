//! Addresses that nothing of ours connects to because somebody else said so, and how far others reach.
//!
//! Refused is what answers to whoever stands near it: link-local addresses, among which the metadata services of clouds are,
//! those of them that stand elsewhere, and what is no address of one machine. Nothing is resolved here: whoever connects looks
//! up a name once, and goes to the very addresses that were looked at.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The metadata services of clouds that are not link-local: Google and AWS over IPv6, what gives the pods of AWS their
/// credentials, Scaleway, Azure, Alibaba, Oracle.
const METADATA: [IpAddr; 7] = [
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x0254)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0023)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x0042, 0, 0, 0, 0, 0, 0x0042)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
];

/// From how far away an address can be reached, the nearest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// From this machine.
    Machine,
    /// From a network of somebody's own; or nobody can say from where, as with addresses that are reserved.
    Private,
    /// From everywhere.
    Public,
}

impl Reach {
    /// How far an address reaches; of one that a gateway takes to another, the nearer of both.
    #[must_use]
    pub fn of(ip: IpAddr) -> Self {
        both(ip).map(Self::of_one).min().unwrap_or(Self::Machine)
    }

    fn of_one(ip: IpAddr) -> Self {
        let (loopback, private) = match ip {
            IpAddr::V4(ip) => (ip.is_loopback(), ip.is_private() || is_inner_v4(ip)),
            IpAddr::V6(ip) => (ip.is_loopback(), ip.is_unique_local() || is_inner_v6(ip)),
        };
        match (loopback, private) {
            (true, _) => Self::Machine,
            (_, true) => Self::Private,
            _ => Self::Public,
        }
    }
}

/// Between customers and their carrier (RFC 6598), in a laboratory (RFC 2544), or reserved (RFC 1112), which some use as their
/// own.
fn is_inner_v4(ip: Ipv4Addr) -> bool {
    matches!(ip.octets(), [100, 64..128, ..] | [198, 18..20, ..] | [240..=255, ..])
}

/// Site-local (RFC 3879), or what a gateway near here makes something of: translated (RFC 2765), or a tunnel (Teredo, RFC 4380).
fn is_inner_v6(ip: Ipv6Addr) -> bool {
    matches!(ip.segments(), [0xfec0..=0xfeff, ..] | [0, 0, 0, 0, 0xffff, 0, ..] | [0x2001, 0, ..])
}

/// Why nothing of ours connects to this address, however it is written; none if it may be.
#[must_use]
pub fn never_reached(ip: IpAddr) -> Option<&'static str> {
    both(ip).find_map(refused)
}

/// The address itself, and the one that a gateway makes of it.
fn both(ip: IpAddr) -> impl Iterator<Item = IpAddr> {
    let ip = ip.to_canonical();
    std::iter::once(ip).chain(embedded(ip))
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

/// The IPv4 address to which a gateway takes this one: NAT64 (RFC 6052), translated (RFC 2765), 6to4 (RFC 3056), Teredo (RFC
/// 4380, which writes it inverted), or IPv4-compatible.
fn embedded(ip: IpAddr) -> Option<IpAddr> {
    let IpAddr::V6(ip) = ip else { return None };
    let part = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    };
    match ip.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0, 0, 0, 0, 0xffff, 0, high, low] | [0x2002, high, low, ..] => {
            Some(part(high, low))
        }
        [0x2001, 0, .., high, low] => Some(part(!high, !low)),
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => Some(part(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn metadata_and_what_is_near_is_refused_however_it_is_written() {
        for address in [
            "169.254.169.254",
            "169.254.170.2",
            "::ffff:169.254.169.254",
            "64:ff9b::169.254.169.254",
            "2002:a9fe:a9fe::1",
            "::169.254.169.254",
            "fd00:ec2::254",
            "fd20:ce::254",
            "fd00:ec2::23",
            "fd00:42::42",
            "::ffff:0:169.254.169.254",
            "2001:0:1:2:3:4:5601:5601",
            "64:ff9b:1::1",
            "64:ff9b:1:ffff:a9fe:a9:fe00:0",
            "fe80::1",
            "168.63.129.16",
            "100.100.100.200",
            "192.0.0.192",
            "0.0.0.0",
            "0.1.2.3",
            "::",
            "255.255.255.255",
            "224.0.0.1",
            "ff02::1",
        ] {
            assert!(never_reached(ip(address)).is_some(), "{address}");
        }
        for address in ["127.0.0.1", "::1", "10.0.0.1", "192.0.2.1", "fd00::1", "2001:db8::1"] {
            assert_eq!(never_reached(ip(address)), None, "{address}");
        }
    }

    #[test]
    fn an_address_reaches_as_far_as_what_it_leads_to() {
        for (address, reach) in [
            ("127.0.0.1", Reach::Machine),
            ("127.9.9.9", Reach::Machine),
            ("::1", Reach::Machine),
            ("::ffff:127.0.0.1", Reach::Machine),
            ("64:ff9b::127.0.0.1", Reach::Machine),
            ("10.0.0.1", Reach::Private),
            ("172.31.0.1", Reach::Private),
            ("192.168.0.1", Reach::Private),
            ("100.64.0.1", Reach::Private),
            ("100.127.255.255", Reach::Private),
            ("fd00::1", Reach::Private),
            ("2002:0a00:0001::1", Reach::Private),
            ("fec0::1", Reach::Private),
            ("feff::1", Reach::Private),
            ("198.18.0.1", Reach::Private),
            ("198.19.255.255", Reach::Private),
            ("240.0.0.1", Reach::Private),
            ("255.255.255.254", Reach::Private),
            ("::ffff:0:192.0.2.1", Reach::Private),
            ("::ffff:0:127.0.0.1", Reach::Machine),
            ("2001::1", Reach::Private),
            ("198.17.255.255", Reach::Public),
            ("198.20.0.1", Reach::Public),
            ("239.255.255.255", Reach::Public),
            ("2001:1::1", Reach::Public),
            ("100.128.0.1", Reach::Public),
            ("172.32.0.1", Reach::Public),
            ("192.0.2.1", Reach::Public),
            ("2001:db8::1", Reach::Public),
        ] {
            assert_eq!(Reach::of(ip(address)), reach, "{address}");
        }
        assert!(Reach::Machine < Reach::Private && Reach::Private < Reach::Public);
    }
}
