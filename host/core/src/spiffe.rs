//! SPIFFE IDs and trust domains, as the SPIFFE ID specification (sections 2.1 to 2.4) writes them.
//!
//! Only parsing makes one. Two texts are the same id when their bytes are the same: nothing is
//! normalised, and what would need it is refused. An id without a path names a trust domain and no
//! workload, so it is a [`TrustDomain`] and no [`SpiffeId`].
//!
//! Certificates and tokens that carry such ids are not known here.

use std::fmt;
use std::str::FromStr;

use crate::id::ParseError;

const SCHEME: &str = "spiffe://";

/// A SPIFFE trust domain: whoever signs identities below this name.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TrustDomain(Box<str>);

impl TrustDomain {
    /// The most bytes of a name.
    pub const BYTES_MAX: usize = 255;

    /// The name, without scheme.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TrustDomain {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        const HELP: &str =
            "lower-case letters, digits, `.`, `-` and `_`, at most 255, without `spiffe://`: `example.org`";
        match check_domain(text) {
            Ok(()) => Ok(Self(text.into())),
            Err(problem) => Err(ParseError::new("trust domain", text, problem, HELP)),
        }
    }
}

impl fmt::Display for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TrustDomain({})", self.0)
    }
}

/// The id of one workload in its trust domain: `spiffe://example.org/ns/support/bot`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpiffeId {
    text: Box<str>,
    trust_domain: TrustDomain,
}

impl SpiffeId {
    /// The most bytes of an id.
    pub const BYTES_MAX: usize = 2048;

    /// The whole id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Who signs it.
    #[must_use]
    pub const fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }
}

impl FromStr for SpiffeId {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        const HELP: &str = "`spiffe://`, a trust domain and a path of letters, digits, `.`, `-` and `_`, at most 2048 \
                            bytes: `spiffe://example.org/support-bot`";
        let fail = |problem: String| ParseError::new("SPIFFE ID", text, problem, HELP);
        if text.len() > Self::BYTES_MAX {
            return Err(fail(format!("it has {} bytes, and {} is the most", text.len(), Self::BYTES_MAX)));
        }
        let Some(rest) = text.strip_prefix(SCHEME) else {
            return Err(fail(format!("it does not begin with `{SCHEME}`")));
        };
        let Some((domain, path)) = rest.split_once('/') else {
            check_domain(rest).map_err(fail)?;
            return Err(fail("it names a trust domain and no workload in it".into()));
        };
        check_domain(domain).map_err(fail)?;
        check_path(path).map_err(fail)?;
        Ok(Self { text: text.into(), trust_domain: TrustDomain(domain.into()) })
    }
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SpiffeId({})", self.text)
    }
}

fn check_domain(domain: &str) -> Result<(), String> {
    let allowed = |c: &char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-' | '_');
    if domain.is_empty() {
        return Err("its trust domain is empty".into());
    }
    if domain.len() > TrustDomain::BYTES_MAX {
        let (bytes, most) = (domain.len(), TrustDomain::BYTES_MAX);
        return Err(format!("its trust domain has {bytes} bytes, and {most} is the most"));
    }
    match domain.chars().find(|c| !allowed(c)) {
        Some(bad) => Err(format!("`{}` is not allowed in a trust domain", bad.escape_default())),
        None => Ok(()),
    }
}

/// `path` is what stands behind the first slash.
fn check_path(path: &str) -> Result<(), String> {
    let allowed = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if path.is_empty() || path.ends_with('/') {
        return Err("it ends with a slash".into());
    }
    for segment in path.split('/') {
        match segment {
            "" => return Err("a segment of its path is empty".into()),
            "." | ".." => return Err(format!("its path has the segment `{segment}`")),
            _ => {}
        }
        if let Some(bad) = segment.chars().find(|c| !allowed(c)) {
            return Err(format!("`{}` is not allowed in a path", bad.escape_default()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(text: &str, problem: &str) {
        let error = text.parse::<SpiffeId>().unwrap_err();
        assert!(error.to_string().ends_with(&format!("is no SPIFFE ID: {problem}")), "{error}");
        assert!(error.help().starts_with("`spiffe://`"));
    }

    #[test]
    fn each_rule_of_the_specification_refuses() {
        refused("", "it does not begin with `spiffe://`");
        refused("https://example.org/a", "it does not begin with `spiffe://`");
        refused("SPIFFE://example.org/a", "it does not begin with `spiffe://`");
        refused("spiffe:/example.org/a", "it does not begin with `spiffe://`");
        refused("spiffe://", "its trust domain is empty");
        refused("spiffe:///a", "its trust domain is empty");
        refused("spiffe://Example.org/a", "`E` is not allowed in a trust domain");
        refused("spiffe://example.org:443/a", "`:` is not allowed in a trust domain");
        refused("spiffe://user@example.org/a", "`@` is not allowed in a trust domain");
        refused("spiffe://ex\u{e4}mple.org/a", "`\\u{e4}` is not allowed in a trust domain");
        refused("spiffe://example.org", "it names a trust domain and no workload in it");
        refused("spiffe://example.org?a", "`?` is not allowed in a trust domain");
        refused("spiffe://example.org/", "it ends with a slash");
        refused("spiffe://example.org/a/", "it ends with a slash");
        refused("spiffe://example.org//a", "a segment of its path is empty");
        refused("spiffe://example.org/a//b", "a segment of its path is empty");
        refused("spiffe://example.org/./a", "its path has the segment `.`");
        refused("spiffe://example.org/a/../b", "its path has the segment `..`");
        refused("spiffe://example.org/a/..", "its path has the segment `..`");
        refused("spiffe://example.org/a%2fb", "`%` is not allowed in a path");
        refused("spiffe://example.org/a?b", "`?` is not allowed in a path");
        refused("spiffe://example.org/a#b", "`#` is not allowed in a path");
        refused("spiffe://example.org/a b", "` ` is not allowed in a path");
        refused("spiffe://example.org/a\0", "`\\u{0}` is not allowed in a path");
        refused("spiffe://example.org/\u{e4}", "`\\u{e4}` is not allowed in a path");
        let long = format!("spiffe://{}/a", "d".repeat(256));
        refused(&long, "its trust domain has 256 bytes, and 255 is the most");
        let long = format!("spiffe://example.org/{}", "a".repeat(SpiffeId::BYTES_MAX - 20));
        refused(&long, "it has 2049 bytes, and 2048 is the most");
    }

    #[test]
    fn what_the_specification_allows_parses_and_prints_the_same() {
        let longest = format!("spiffe://{}/{}", "d".repeat(255), "p".repeat(2048 - 9 - 255 - 1));
        for text in ["spiffe://example.org/a", "spiffe://a_b-c.1/A.b-C_9/...", "spiffe://10.0.0.1/x", &longest] {
            let id: SpiffeId = text.parse().unwrap();
            assert_eq!(id.to_string(), text);
            assert!(text["spiffe://".len()..].starts_with(id.trust_domain().as_str()));
        }
    }

    #[test]
    fn a_trust_domain_is_a_name_alone() {
        for text in ["", "Example.org", "spiffe://example.org", "example.org/a", "a b", "*", &"d".repeat(256)] {
            assert!(text.parse::<TrustDomain>().is_err(), "{text}");
        }
        assert_eq!("example.org".parse::<TrustDomain>().unwrap().to_string(), "example.org");
    }
}
