//! Where the server is.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::error::Error;

/// The server's public URL: a scheme, a host and perhaps a port. Made only by parsing.
///
/// Plain HTTP is taken only on loopback, where nobody can listen in who could not do worse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerUrl {
    origin: String,
    loopback: bool,
}

impl ServerUrl {
    /// The URL of a path, which begins with `/`.
    #[must_use]
    pub fn join(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    /// Whether the server is reached over TLS.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.origin.starts_with("https://")
    }

    /// Whether the server is on this machine.
    #[must_use]
    pub const fn is_loopback(&self) -> bool {
        self.loopback
    }
}

impl FromStr for ServerUrl {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let refused =
            |problem: &str| Error::Url { url: text.escape_debug().take(256).collect(), problem: problem.into() };
        let url = reqwest::Url::parse(text).map_err(|error| refused(&error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(refused("its scheme is neither https nor http"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refused("it carries a user or a password"));
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(refused("it is more than a scheme, a host and a port"));
        }
        let host = url.host_str().unwrap_or_default();
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        let loopback = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
        if url.scheme() == "http" && !loopback {
            return Err(refused("plain http is used only on loopback; use https"));
        }
        Ok(Self { origin: url.origin().ascii_serialization(), loopback })
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.origin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_that_are_unsafe_or_unclear_are_refused() {
        for (text, problem) in [
            ("", "relative URL without a base"),
            ("attorn.example", "relative URL without a base"),
            ("ftp://attorn.example", "its scheme is neither https nor http"),
            ("https://me:secret@attorn.example", "it carries a user or a password"),
            ("https://attorn.example/v1", "it is more than a scheme, a host and a port"),
            ("https://attorn.example/?x", "it is more than a scheme, a host and a port"),
            ("https://attorn.example#x", "it is more than a scheme, a host and a port"),
            ("http://attorn.example", "plain http is used only on loopback; use https"),
            ("http://10.0.0.1:7400", "plain http is used only on loopback; use https"),
            ("http://localhost.example", "plain http is used only on loopback; use https"),
            ("http://127.0.0.1.example", "plain http is used only on loopback; use https"),
        ] {
            let error = text.parse::<ServerUrl>().unwrap_err().to_string();
            assert_eq!(error, format!("`{text}` cannot be the server's URL: {problem}"));
        }
    }

    #[test]
    fn urls_are_brought_into_one_form() {
        for (text, expect, loopback) in [
            ("https://Attorn.Example:443/", "https://attorn.example", false),
            ("https://attorn.example:8443", "https://attorn.example:8443", false),
            ("http://127.0.0.1:7400/", "http://127.0.0.1:7400", true),
            ("http://localhost:7400", "http://localhost:7400", true),
            ("http://[::1]:7400", "http://[::1]:7400", true),
        ] {
            let url: ServerUrl = text.parse().unwrap();
            assert_eq!((url.to_string().as_str(), url.is_loopback()), (expect, loopback));
            assert_eq!(url.join("/v1/decisions"), format!("{expect}/v1/decisions"));
        }
    }
}
