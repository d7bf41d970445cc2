//! Where an artifact is: `REGISTRY/REPOSITORY:TAG`, `REGISTRY/REPOSITORY@DIGEST`, or with both.
//!
//! Everything is said, and nothing is filled in: no registry of somebody's choice, no tag `latest`, and no tag where a digest
//! will do. Names, addresses and ports are taken in one spelling each. Two texts may lead to the same place all the same: a
//! registry has several names, and the port that goes without saying may be said.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use thiserror::Error;

use super::Digest;

/// The longest registry, in bytes: a name of DNS and a port.
const REGISTRY_BYTES_MAX: usize = 253 + 6;
/// The longest repository, in bytes.
const REPOSITORY_BYTES_MAX: usize = 255;
/// The longest tag, in bytes.
const TAG_BYTES_MAX: usize = 128;

/// An artifact, or a place for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    host: String,
    port: Option<u16>,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// Why a text is no reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("it is no reference: {problem}")]
pub struct ReferenceError {
    problem: &'static str,
}

impl ReferenceError {
    /// What would be right.
    #[must_use]
    pub const fn help(&self) -> &'static str {
        "`ghcr.io/acme/spend-limit:1.2.0`, or with `@sha256:…` at its end"
    }
}

impl Reference {
    /// The registry's host: a name, an IPv4 address, or an IPv6 address in brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The registry's port, if it is said.
    #[must_use]
    pub const fn port(&self) -> Option<u16> {
        self.port
    }

    /// The registry, as it is written.
    #[must_use]
    pub fn registry(&self) -> String {
        self.port.map_or_else(|| self.host.clone(), |port| format!("{}:{port}", self.host))
    }

    /// The address of the registry, where it is no name.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        let bare = self.host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        bare.unwrap_or(&self.host).parse().ok()
    }

    /// Whether the registry is on this machine.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.address().is_some_and(|address| address.to_canonical().is_loopback())
    }

    /// The repository in it.
    #[must_use]
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The last part of the repository's name, which may be a file's.
    #[must_use]
    pub fn name(&self) -> &str {
        self.repository.rsplit('/').next().unwrap_or(&self.repository)
    }

    /// The tag, which leads elsewhere when somebody says so.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest of the manifest, which leads to the same bytes for ever. Where it is said, the tag only helps people.
    #[must_use]
    pub const fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// The same place by the digest alone.
    #[must_use]
    pub fn at(&self, digest: Digest) -> Self {
        Self { tag: None, digest: Some(digest), ..self.clone() }
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let refused = |problem| Err(ReferenceError { problem });
        if text.contains("://") {
            return refused("it is a URL");
        }
        let (text, digest) = match text.split_once('@') {
            None => (text, None),
            Some((text, digest)) => match digest.parse() {
                Ok(digest) => (text, Some(digest)),
                Err(_) => return refused("what follows `@` is no `sha256:` and 64 lower-case hexadecimal digits"),
            },
        };
        let Some((registry, path)) = text.split_once('/') else {
            return refused("it names no registry");
        };
        // As everybody else tells them from the first part of a path.
        if !(registry == "localhost" || registry.contains(['.', ':'])) {
            return refused("it names no registry");
        }
        let (host, port) = registry_parts(registry).map_err(|problem| ReferenceError { problem })?;
        let (repository, tag) = match path.split_once(':') {
            None => (path, None),
            Some((repository, tag)) => (repository, Some(tag)),
        };
        if !is_repository(repository) {
            return refused(
                "its repository is no lower-case letters and digits with single `.`, `_`, `-` and `/` between them",
            );
        }
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return refused("its tag is not 1 to 128 letters, digits, `.`, `_` and `-`, a letter, digit or `_` first");
        }
        if tag.is_none() && digest.is_none() {
            return refused("it has neither a tag nor a digest");
        }
        Ok(Self { host: host.to_owned(), port, repository: repository.to_owned(), tag: tag.map(str::to_owned), digest })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry(), self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        self.digest.map_or(Ok(()), |digest| write!(f, "@{digest}"))
    }
}

fn registry_parts(registry: &str) -> Result<(&str, Option<u16>), &'static str> {
    if registry.len() > REGISTRY_BYTES_MAX {
        return Err("its registry is too long");
    }
    let colon = registry.rfind(':').filter(|at| !registry[*at..].contains(']'));
    let (host, port) = colon.map_or((registry, None), |at| (&registry[..at], Some(&registry[at + 1..])));
    if !is_host(host) {
        return Err("its registry is no lower-case name or address");
    }
    let port = port.map(|port| match port.parse() {
        // Neither `+80` nor `080`.
        Ok(number) if number != 0 && u16::to_string(&number) == port => Ok(number),
        _ => Err("its port is none"),
    });
    Ok((host, port.transpose()?))
}

fn is_host(host: &str) -> bool {
    if let Some(bare) = host.strip_prefix('[') {
        // As RFC 5952 writes it, and in no other way.
        let is_canonical = |bare: &str| bare.parse::<Ipv6Addr>().is_ok_and(|address| address.to_string() == bare);
        return bare.strip_suffix(']').is_some_and(is_canonical);
    }
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| inner(b) || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // `127.1` and `0x7f000001` are addresses to some, and names to others.
    let last = host.rsplit('.').next().unwrap_or_default();
    let is_numeric = last.bytes().next().is_some_and(|b| b.is_ascii_digit());
    host.split('.').all(label) && (!is_numeric || host.parse::<Ipv4Addr>().is_ok())
}

/// As the [distribution specification](https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pulling-manifests)
/// has it: `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*` between slashes.
fn is_repository(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let parts = |between: &str| matches!(between, "" | "." | "_" | "__") || between.bytes().all(|b| b == b'-');
    let is_part = |part: &str| part.starts_with(inner) && part.ends_with(inner) && part.split(inner).all(parts);
    text.len() <= REPOSITORY_BYTES_MAX && text.split('/').all(is_part)
}

fn is_tag(text: &str) -> bool {
    let first = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    (1..=TAG_BYTES_MAX).contains(&text.len())
        && text.bytes().next().is_some_and(first)
        && text.bytes().all(|b| first(b) || matches!(b, b'.' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[track_caller]
    fn refused(text: &str, problem: &str) {
        let error = text.parse::<Reference>().unwrap_err();
        assert!(error.to_string().contains(problem), "{text}: {error}");
    }

    #[test]
    fn what_is_said_by_halves_is_refused() {
        for text in ["", "spend-limit", "spend-limit:1", "acme/spend-limit:1", "library/x:1", "/x:1"] {
            refused(text, "it names no registry");
        }
        refused("ghcr.io/acme/spend-limit", "neither a tag nor a digest");
        refused("https://ghcr.io/acme/spend-limit:1", "it is a URL");
        refused("oci://ghcr.io/acme/spend-limit:1", "it is a URL");
    }

    #[test]
    fn registries_that_are_none_or_read_in_two_ways_are_refused() {
        for host in [
            "GHCR.io",
            "ghcr..io",
            ".io",
            "ghcr.io.",
            "-a.io",
            "a-.io",
            "a_b.io",
            "127.1",
            "0x7f.0.0.1",
            "1.2.3.256",
            "127.0.0.01",
            "a.0x7f",
            "a.1",
            "[::1",
            "[::g]",
            "[127.0.0.1]",
            "[fe80::1%eth0]",
            "[0:0:0:0:0:0:0:1]",
            "[::0001]",
            "[2001:DB8::1]",
            "[2001:db8:0:0::1]",
            "[::ffff:7f00:1]",
            "::1",
            "\u{e9}.io",
            "a b.io",
            "a.io\u{202e}",
            "user:pass.io",
        ] {
            let text = format!("{host}/acme/x:1");
            assert!(text.parse::<Reference>().is_err(), "{text}");
        }
        for port in ["", "0", "080", "+80", "65536", "8o", "80:80"] {
            let text = format!("a.io:{port}/acme/x:1");
            assert!(text.parse::<Reference>().is_err(), "{text}");
        }
        refused(&format!("{}.io/x:1", "a.".repeat(200)), "too long");
        refused("user:secret@ghcr.io/acme/x:1", "what follows `@`");
    }

    #[test]
    fn repositories_and_tags_that_lead_elsewhere_are_refused() {
        for path in [
            "", "/", "a/", "/a", "a//b", "..", "a/../b", "./a", "a/.", "A", "a b", "a%2fb", "a?b", "a#b", "a..b",
            "a___b", "a._b", "a-_b", "-a", "a-", "_a", "a_", "a\\b", "\u{e9}", "a\n",
        ] {
            refused(&format!("ghcr.io/{path}:1"), "repository");
        }
        refused(&format!("ghcr.io/{}:1", "a".repeat(256)), "repository");
        for tag in ["", ".", "..", "-a", ".a", "a/b", "a b", "a?b", "a#b", "1:2", "\u{e9}", &"a".repeat(129)] {
            refused(&format!("ghcr.io/a:{tag}"), "tag");
        }
        for digest in
            ["", "sha256:00", &DIGEST.replace("256", "512"), &DIGEST.to_uppercase(), &format!("{DIGEST}@{DIGEST}")]
        {
            refused(&format!("ghcr.io/a@{digest}"), "what follows `@`");
        }
    }

    #[test]
    fn a_reference_is_written_as_it_is_read() {
        for (text, host, port, repository, tag, loopback) in [
            ("ghcr.io/acme/spend-limit:1.2.0", "ghcr.io", None, "acme/spend-limit", Some("1.2.0"), false),
            ("localhost/a:b", "localhost", None, "a", Some("b"), true),
            ("localhost:5000/a.b/c__d/e--f:_x", "localhost", Some(5000), "a.b/c__d/e--f", Some("_x"), true),
            ("127.0.0.1:5000/a:1", "127.0.0.1", Some(5000), "a", Some("1"), true),
            ("[::1]:5000/a:1", "[::1]", Some(5000), "a", Some("1"), true),
            ("[::ffff:127.0.0.1]:1/a:1", "[::ffff:127.0.0.1]", Some(1), "a", Some("1"), true),
            ("10.0.0.7:5000/a:1", "10.0.0.7", Some(5000), "a", Some("1"), false),
            ("host:5000/a:1", "host", Some(5000), "a", Some("1"), false),
        ] {
            let reference: Reference = text.parse().unwrap();
            assert_eq!(
                (reference.host(), reference.port(), reference.repository()),
                (host, port, repository),
                "{text}"
            );
            assert_eq!((reference.tag(), reference.digest(), reference.is_loopback()), (tag, None, loopback), "{text}");
            assert_eq!(reference.to_string(), text);
        }
        for (text, tag) in [(format!("a.io/b/c@{DIGEST}"), None), (format!("a.io/b/c:1@{DIGEST}"), Some("1"))] {
            let reference: Reference = text.parse().unwrap();
            assert_eq!((reference.tag(), reference.name()), (tag, "c"));
            assert_eq!(reference.digest().unwrap().to_string(), DIGEST);
            assert_eq!(reference.to_string(), text);
            assert_eq!(reference.at(Digest::of(b"abc")).to_string(), format!("a.io/b/c@{DIGEST}"));
        }
    }
}
