//! Where a provider's documents may be fetched from: https, or http on loopback.
//!
//! Names are not looked up here: a name that leads to this machine and does not say so is taken for another's.

use std::net::IpAddr;

use attorn_core::Issuer;
use reqwest::Url;

/// Whether an issuer is a URL that documents can be fetched below.
///
/// # Errors
///
/// What is wrong with it.
pub(super) fn check(issuer: &Issuer) -> Result<(), &'static str> {
    let url = Url::parse(issuer.as_str()).map_err(|_| "it is no URL")?;
    if !may_be_fetched(&url, true) {
        return Err("it is neither an https URL nor one of http on loopback, or names a user");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("it has a query or a fragment");
    }
    Ok(())
}

/// Where its configuration is (`OpenID` Connect Discovery 1.0, section 4).
pub(super) fn configuration_url(issuer: &Issuer) -> String {
    let issuer = issuer.as_str();
    format!("{}/.well-known/openid-configuration", issuer.strip_suffix('/').unwrap_or(issuer))
}

/// Whether an issuer is on this machine.
pub(super) fn is_local(issuer: &Issuer) -> bool {
    Url::parse(issuer.as_str()).is_ok_and(|url| is_loopback(&url))
}

/// Whether this is a URL that may be fetched; over http only on loopback, and only if the issuer is there, too: no
/// provider elsewhere makes us call what listens on this machine.
pub(super) fn may_be_fetched(url: &Url, issuer_is_local: bool) -> bool {
    let unspecified = address(url).is_some_and(|address| address.is_unspecified());
    if !url.username().is_empty() || url.password().is_some() || url.host_str().is_none() || unspecified {
        return false;
    }
    match url.scheme() {
        "https" => issuer_is_local || !is_loopback(url),
        "http" => issuer_is_local && is_loopback(url),
        _ => false,
    }
}

/// Whether this leads to this machine. The unspecified address does, too, wherever it is let through.
fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    matches!(host, "localhost" | "localhost.")
        || address(url).is_some_and(|address| address.is_loopback() || address.is_unspecified())
}

/// The address that a URL names; one of IPv4 also where it is written as one of IPv6.
fn address(url: &Url) -> Option<IpAddr> {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    address.ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn issuers_are_https_or_on_loopback() {
        for issuer in [
            "https://sso.example",
            "https://sso.example/",
            "https://sso.example:8443/realms/a",
            "http://127.0.0.1:8080/x",
            "http://localhost:8080",
            "http://127.1.2.3",
            "http://localhost.:8080",
        ] {
            assert_eq!(check(&issuer.parse().unwrap()), Ok(()), "{issuer}");
        }
        for issuer in [
            "sso.example",
            "http://sso.example",
            "ftp://127.0.0.1",
            "https://a@sso.example",
            "https://a:b@sso.example",
            "http://127.0.0.1.example",
            "http://localhost.example",
            "http://10.0.0.1",
            "http://[::ffff:10.0.0.1]",
            "http://0.0.0.0:8080",
            "http://[::]:8080",
            "https://0.0.0.0",
            "https://0",
            "https://[::]",
            "https://[::ffff:0.0.0.0]",
            "file:///etc/keys",
            "https://",
        ] {
            // Brackets are in no issuer.
            let refused = issuer.parse::<Issuer>().map_or(true, |issuer| check(&issuer).is_err());
            assert!(refused, "{issuer}");
        }
    }

    #[test]
    fn documents_are_never_fetched_from_this_machine_for_others() {
        let url = |text: &str| Url::parse(text).unwrap();
        for (text, from_elsewhere, from_here) in [
            ("https://keys.example/jwks", true, true),
            ("http://keys.example/jwks", false, false),
            ("http://127.0.0.1:1/jwks", false, true),
            ("http://[::1]:1/jwks", false, true),
            ("https://localhost/jwks", false, true),
            ("https://127.0.0.1/jwks", false, true),
            ("https://localhost./jwks", false, true),
            ("https://[::ffff:127.0.0.1]/jwks", false, true),
            ("http://[::ffff:7f00:1]/jwks", false, true),
            ("https://0x7f.1/jwks", false, true),
            ("https://0.0.0.0/jwks", false, false),
            ("http://0.0.0.0/jwks", false, false),
            ("https://[::]/jwks", false, false),
            ("http://[::ffff:0:0]/jwks", false, false),
            ("https://a:b@keys.example/jwks", false, false),
            ("file:///etc/passwd", false, false),
            ("data:application/json,{}", false, false),
        ] {
            assert_eq!(may_be_fetched(&url(text), false), from_elsewhere, "{text}");
            assert_eq!(may_be_fetched(&url(text), true), from_here, "{text}");
        }
    }

    #[test]
    fn the_configuration_stands_below_the_issuer() {
        for issuer in ["https://sso.example/a", "https://sso.example/a/"] {
            let url = configuration_url(&issuer.parse().unwrap());
            assert_eq!(url, "https://sso.example/a/.well-known/openid-configuration");
        }
    }
}
