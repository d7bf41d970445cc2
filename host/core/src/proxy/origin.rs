//! Where a service answers that is called for agents.

use std::fmt;
use std::str::FromStr;

use crate::id::{HostName, ParseError};

/// Scheme, host and port. Nothing else is in it: no user, no path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ProxyOrigin {
    /// Whether it speaks TLS. Without it, only loopback addresses are good.
    pub is_https: bool,
    /// Its name or address.
    pub host: HostName,
    /// Its port.
    pub port: u16,
}

const WHAT: &str = "origin";
const HELP: &str = "`https://api.example`, with a port if it is not 443; `http://` only for loopback addresses";

impl ProxyOrigin {
    const fn usual_port(is_https: bool) -> u16 {
        if is_https { 443 } else { 80 }
    }

    /// Host and port as requests name them: without the scheme's own port.
    #[must_use]
    pub fn authority(&self) -> String {
        let host = self.host.as_str();
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        if self.port == Self::usual_port(self.is_https) { host } else { format!("{host}:{}", self.port) }
    }
}

impl FromStr for ProxyOrigin {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let fail = |problem: &str| ParseError::new(WHAT, text, problem, HELP);
        let (is_https, rest) = match text.split_once("://") {
            Some(("https", rest)) => (true, rest),
            Some(("http", rest)) => (false, rest),
            _ => return Err(fail("it does not begin with `https://` or `http://`")),
        };
        let (host, port) = match rest.strip_prefix('[') {
            Some(rest) => {
                let (host, rest) = rest.split_once(']').ok_or_else(|| fail("a `[` is not closed"))?;
                if !host.contains(':') {
                    return Err(fail("what stands in `[` and `]` is no IPv6 address"));
                }
                (host, rest)
            }
            None => rest.split_at(rest.find(':').unwrap_or(rest.len())),
        };
        let port = match port.strip_prefix(':') {
            None if port.is_empty() => Self::usual_port(is_https),
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                let port = digits.parse().ok().filter(|port| *port != 0);
                port.ok_or_else(|| fail("its port is none of 1 to 65535"))?
            }
            _ => return Err(fail("something stands behind the host that is no port")),
        };
        let host = host.parse().map_err(|_| fail("its host is no name and no IP address"))?;
        Ok(Self { is_https, host, port })
    }
}

impl fmt::Display for ProxyOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.is_https { "https" } else { "http" }, self.authority())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_scheme_host_and_port_and_nothing_else() {
        for (text, shown) in [
            ("https://api.example", "https://api.example"),
            ("https://api.example:443", "https://api.example"),
            ("https://api.example:8443", "https://api.example:8443"),
            ("http://127.0.0.1:80", "http://127.0.0.1"),
            ("http://[::1]:8080", "http://[::1]:8080"),
        ] {
            assert_eq!(text.parse::<ProxyOrigin>().unwrap().to_string(), shown);
        }
        for (text, problem) in [
            ("api.example", "it does not begin with `https://` or `http://`"),
            ("ftp://api.example", "it does not begin with `https://` or `http://`"),
            ("HTTPS://api.example", "it does not begin with `https://` or `http://`"),
            ("https://", "its host is no name and no IP address"),
            ("https://api.example/", "its host is no name and no IP address"),
            ("https://a@api.example", "its host is no name and no IP address"),
            ("https://api.example:0", "its port is none of 1 to 65535"),
            ("https://api.example:", "its port is none of 1 to 65535"),
            ("https://api.example:65536", "its port is none of 1 to 65535"),
            ("https://a:b@api.example", "something stands behind the host that is no port"),
            ("https://api.example:1/x", "something stands behind the host that is no port"),
            ("https://[::1", "a `[` is not closed"),
            ("https://[api.example]", "what stands in `[` and `]` is no IPv6 address"),
            ("https://::1", "something stands behind the host that is no port"),
        ] {
            let error = text.parse::<ProxyOrigin>().unwrap_err();
            assert!(error.to_string().ends_with(problem), "{error}");
            assert_eq!(error.help(), HELP);
        }
    }
}
