//! What a proof is aimed at: comparing its `htu` with the URL of the request (RFC 9449, section 4.3).
//!
//! The case of scheme and host and a scheme's own port make no difference; query and fragment are
//! ignored. Everything else is compared byte by byte: no percent-decoding and no dot segments, because
//! two parsers that differ in those would see two requests in one.

/// The longest URL that is looked at, in bytes.
const URL_BYTES_MAX: usize = 2048;

/// An absolute HTTP URL without its query and fragment.
#[derive(Debug, Clone, Copy)]
struct Target<'a> {
    https: bool,
    host: &'a str,
    port: u16,
    path: &'a str,
}

/// Whether both URLs are well formed and name the same target.
pub(crate) fn same_target(claimed: &str, expected: &str) -> bool {
    match (Target::parse(claimed), Target::parse(expected)) {
        (Some(claimed), Some(expected)) => {
            claimed.https == expected.https
                && claimed.host.eq_ignore_ascii_case(expected.host)
                && claimed.port == expected.port
                && claimed.path == expected.path
        }
        _ => false,
    }
}

/// What stands behind the `?` of a URL; empty if nothing does.
pub(crate) fn query_of(url: &str) -> &str {
    let url = url.split('#').next().unwrap_or_default();
    url.split_once('?').map_or("", |(_, query)| query)
}

impl<'a> Target<'a> {
    fn parse(url: &'a str) -> Option<Self> {
        if url.len() > URL_BYTES_MAX || !url.bytes().all(|b| b.is_ascii_graphic() && b != b'\\') {
            return None;
        }
        let (scheme, rest) = url.split_once("://")?;
        let https = scheme.eq_ignore_ascii_case("https");
        if !https && !scheme.eq_ignore_ascii_case("http") {
            return None;
        }
        let rest = &rest[..rest.find(['?', '#']).unwrap_or(rest.len())];
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (host, port) = host_and_port(authority)?;
        let port = match port {
            Some(port) => port,
            None if https => 443,
            None => 80,
        };
        Some(Self { https, host, port, path: if path.is_empty() { "/" } else { path } })
    }
}

/// The two parts of an authority. One with user information is none that a server would be called by.
fn host_and_port(authority: &str) -> Option<(&str, Option<u16>)> {
    let host_end = match authority.find(']') {
        Some(bracket) => bracket + 1,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, rest) = authority.split_at(host_end);
    let allowed = match host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')) {
        Some(inner) => !inner.is_empty() && inner.bytes().all(|b| b.is_ascii_hexdigit() || matches!(b, b':' | b'.')),
        None => !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_')),
    };
    if !allowed {
        return None;
    }
    let port = match rest.strip_prefix(':') {
        None if rest.is_empty() => None,
        Some(digits) if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => Some(digits.parse().ok()?),
        _ => return None,
    };
    Some((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPECTED: &str = "https://attorn.example/v1/decisions";

    #[test]
    fn other_targets_differ() {
        for claimed in [
            "",
            "https://",
            "https:///v1/decisions",
            "/v1/decisions",
            "attorn.example/v1/decisions",
            "http://attorn.example/v1/decisions",
            "http://attorn.example:443/v1/decisions",
            "ftp://attorn.example/v1/decisions",
            "https://attorn.example/v1/Decisions",
            "https://attorn.example/v1/decisions/",
            "https://attorn.example/v1//decisions",
            "https://attorn.example/v1/./decisions",
            "https://attorn.example/v1/x/../decisions",
            "https://attorn.example/v1/%64ecisions",
            "https://attorn.example/v1/decisions%00",
            "https://attorn.example/v1/decisions ",
            " https://attorn.example/v1/decisions",
            "https://attorn.example/v1/decisions\n",
            "https:\\\\attorn.example\\v1\\decisions",
            "https://attorn.example\\@evil.example/v1/decisions",
            "https://attorn.example./v1/decisions",
            "https://attorn.example:8443/v1/decisions",
            "https://attorn.example:/v1/decisions",
            "https://attorn.example:+443/v1/decisions",
            "https://attorn.example:65979/v1/decisions",
            "https://attorn.example:443:443/v1/decisions",
            "https://me@attorn.example/v1/decisions",
            "https://me:443@attorn.example/v1/decisions",
            "https://attorn.example.evil.example/v1/decisions",
            "https://evil.example/?https://attorn.example/v1/decisions",
            "https://[attorn.example]/v1/decisions",
            "https://[]/v1/decisions",
            "https://[::1]x/v1/decisions",
            "https://\u{430}ttorn.example/v1/decisions",
        ] {
            assert!(!same_target(claimed, EXPECTED), "{claimed}");
            assert!(!same_target(EXPECTED, claimed), "{claimed}");
        }
        let long = format!("{EXPECTED}?{}", "q".repeat(URL_BYTES_MAX));
        assert!(!same_target(&long, EXPECTED));
    }

    #[test]
    fn spellings_of_one_target_are_the_same() {
        for (claimed, expected) in [
            (EXPECTED, EXPECTED),
            ("HTTPS://Attorn.Example:443/v1/decisions", EXPECTED),
            ("https://attorn.example:0443/v1/decisions", EXPECTED),
            ("https://attorn.example/v1/decisions?a=b#c", EXPECTED),
            ("https://attorn.example/v1/decisions#c?d", EXPECTED),
            (EXPECTED, "https://attorn.example/v1/decisions?a=b"),
            ("http://127.0.0.1:80", "http://127.0.0.1/"),
            ("http://localhost:8080?x", "http://localhost:8080/"),
            ("http://[::1]:8080/x", "http://[::1]:8080/x"),
        ] {
            assert!(same_target(claimed, expected), "{claimed} {expected}");
        }
    }
}
