//! Rego's builtins about networks, less those that would ask the network.

use std::net::IpAddr;

use ipnet::IpNet;
use regorus::Value;

use crate::time::{Builtin, text};

/// All, each with the number of its arguments.
pub(crate) const BUILTINS: [(&str, u8, Builtin); 3] =
    [("net.cidr_contains", 2, contains), ("net.cidr_intersects", 2, intersects), ("net.cidr_is_valid", 1, is_valid)];

/// Whether the first network holds all of the second, which may be a single address.
fn contains(arguments: &[Value]) -> Result<Value, String> {
    let (network, other) = (network(&arguments[0])?, address_or_network(&arguments[1])?);
    Ok(network.contains(&other).into())
}

fn intersects(arguments: &[Value]) -> Result<Value, String> {
    let (one, other) = (network(&arguments[0])?, network(&arguments[1])?);
    Ok((one.contains(&other) || other.contains(&one)).into())
}

#[expect(clippy::unnecessary_wraps, reason = "all builtins are of one type")]
fn is_valid(arguments: &[Value]) -> Result<Value, String> {
    Ok(network(&arguments[0]).is_ok().into())
}

fn network(value: &Value) -> Result<IpNet, String> {
    let text = text(value)?;
    // An address with a leading zero, which some would read as octal, is none.
    let read = |(address, length): (&str, &str)| IpNet::new(address.parse().ok()?, length.parse().ok()?).ok();
    text.split_once('/').and_then(read).ok_or_else(|| format!("`{text}` is no network, such as `10.0.0.0/8`"))
}

fn address_or_network(value: &Value) -> Result<IpNet, String> {
    let text = text(value)?;
    match text.parse::<IpAddr>() {
        Ok(address) => Ok(address.into()),
        Err(_) => network(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn called(builtin: Builtin, one: &str, other: &str) -> Result<Value, String> {
        builtin(&[Value::from(one), Value::from(other)])
    }

    #[test]
    fn networks_hold_what_is_in_them() {
        for (one, other, holds, meets) in [
            ("10.0.0.0/8", "10.1.2.0/24", true, true),
            ("10.1.2.0/24", "10.0.0.0/8", false, true),
            ("10.0.0.0/8", "11.0.0.0/8", false, false),
            ("::/0", "10.0.0.0/8", false, false),
            ("2001:db8::/32", "2001:db8:1::/48", true, true),
        ] {
            assert_eq!(called(contains, one, other).unwrap(), holds.into(), "{one} {other}");
            assert_eq!(called(intersects, one, other).unwrap(), meets.into(), "{one} {other}");
        }
        assert_eq!(called(contains, "10.0.0.0/8", "10.9.9.9").unwrap(), true.into());
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for odd in ["", "10.0.0.0", "10.0.0.0/33", "010.0.0.0/8", "10.0.0.0/-1", "example.org"] {
            assert!(called(contains, odd, "10.0.0.1").unwrap_err().contains("is no network"), "{odd}");
            assert_eq!(is_valid(&[Value::from(odd)]).unwrap(), false.into());
        }
        assert!(contains(&[Value::from("10.0.0.0/8"), Value::from(7_u64)]).is_err());
    }
}
