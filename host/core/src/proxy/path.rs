//! A path with one meaning: segments of harmless characters, none of which is empty or leads elsewhere.
//!
//! Two programs that read one path differently are how a request is decided as one thing and done as another. So
//! nothing is repaired here: what could be read in two ways is refused. Percent-encoded letters, digits and `-._~` are
//! the same as those characters (RFC 3986, section 6.2.2.2), and nothing else is decoded.

use std::fmt;
use std::str::FromStr;

use crate::id::ParseError;

/// A path, as it is decided and as it is sent.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ProxyPath(Vec<Box<str>>);

const WHAT: &str = "path";
const HELP: &str = "segments of letters, digits and `-._~:@+=$!,'()*&`, joined by single `/`, none of them `.` or `..`; \
                    only letters, digits and `-._~` may be percent-encoded";

impl ProxyPath {
    /// The most bytes of a path.
    pub const BYTES_MAX: usize = 1_024;
    /// The most segments.
    pub const SEGMENTS_MAX: usize = 24;

    /// Its segments.
    pub fn segments(&self) -> impl ExactSizeIterator<Item = &str> {
        self.0.iter().map(AsRef::as_ref)
    }
}

impl FromStr for ProxyPath {
    type Err = ParseError;

    /// A path that begins with `/`, as it stands in a request.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let fail = |problem: String| ParseError::new(WHAT, text, problem, HELP);
        if text.len() > Self::BYTES_MAX {
            return Err(fail(format!("it has {} bytes, and {} is the most", text.len(), Self::BYTES_MAX)));
        }
        let rest = text.strip_prefix('/').ok_or_else(|| fail("it does not begin with `/`".into()))?;
        let segments = rest.split('/').map(segment).collect::<Result<Vec<_>, _>>().map_err(fail)?;
        if segments.len() > Self::SEGMENTS_MAX {
            let problem = format!("it has {} segments, and {} is the most", segments.len(), Self::SEGMENTS_MAX);
            return Err(fail(problem));
        }
        Ok(Self(segments))
    }
}

/// Whether a segment may hold this as it is.
pub(super) const fn is_allowed(b: u8) -> bool {
    is_unreserved(b) || matches!(b, b':' | b'@' | b'+' | b'=' | b'$' | b'!' | b',' | b'\'' | b'(' | b')' | b'*' | b'&')
}

/// What means the same, percent-encoded or not (RFC 3986, section 2.3).
pub(super) const fn is_unreserved(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~')
}

fn segment(raw: &str) -> Result<Box<str>, String> {
    let mut decoded = String::with_capacity(raw.len());
    let mut rest = raw.char_indices();
    while let Some((at, c)) = rest.next() {
        let b = if c == '%' {
            rest.next();
            rest.next();
            let encoded = raw.get(at + 1..at + 3).and_then(octet).filter(|b| is_unreserved(*b));
            let shown = || raw.get(at..at + 3).unwrap_or("%").escape_default().to_string();
            encoded.ok_or_else(|| format!("`{}` is not allowed", shown()))?
        } else {
            let plain = u8::try_from(c).ok().filter(|b| is_allowed(*b));
            plain.ok_or_else(|| format!("`{}` is not allowed", c.escape_default()))?
        };
        decoded.push(char::from(b));
    }
    match decoded.as_str() {
        "" => Err("a segment is empty".into()),
        "." | ".." => Err(format!("a segment may not be `{decoded}`")),
        _ => Ok(decoded.into()),
    }
}

/// Two hexadecimal digits.
pub(super) fn octet(digits: &str) -> Option<u8> {
    let hexadecimal = digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_hexdigit());
    hexadecimal.then(|| u8::from_str_radix(digits, 16).ok()).flatten()
}

impl fmt::Display for ProxyPath {
    /// As it is sent.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|segment| write!(f, "/{segment}"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, expect: Result<&str, &str>) {
        match (text.parse::<ProxyPath>(), expect) {
            (Ok(path), Ok(expect)) => assert_eq!(path.to_string(), expect, "{text}"),
            (Err(error), Err(problem)) => {
                assert!(error.to_string().ends_with(problem), "{text}: {error}");
                assert_eq!(error.help(), HELP);
            }
            (got, _) => panic!("{text}: {got:?}"),
        }
    }

    #[test]
    fn what_is_harmless_goes_on_as_it_is_or_decoded() {
        check("/v2/invoices/42", Ok("/v2/invoices/42"));
        check("/%76%32/%69nvoices/%7E4%2D2", Ok("/v2/invoices/~4-2"));
        check("/users/alice@example.org", Ok("/users/alice@example.org"));
        check("/a:b+c=d/$!,'()*&", Ok("/a:b+c=d/$!,'()*&"));
        check("/.../..a/a..", Ok("/.../..a/a.."));
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for text in ["/a/../b", "/a/%2e%2e/b", "/a/%2E./b", "/..", "/a/.%2e"] {
            check(text, Err("a segment may not be `..`"));
        }
        for text in ["/a/./b", "/%2e/b", "/a/."] {
            check(text, Err("a segment may not be `.`"));
        }
        for text in ["/", "//a", "/a//b", "/a/"] {
            check(text, Err("a segment is empty"));
        }
        for encoded in [
            "%2F", "%2f", "%5C", "%5c", "%00", "%0a", "%0D", "%7F", "%25", "%3B", "%3F", "%23", "%20", "%40", "%2B",
            "%C0", "%FF", "%zz", "%+1",
        ] {
            check(&format!("/a{encoded}b"), Err(&format!("`{encoded}` is not allowed")));
        }
        for raw in ["\\", ";", "?", "#", " ", "|", "\"", "<", "[", "^", "`", "{"] {
            check(&format!("/a{raw}b"), Err(&format!("`{}` is not allowed", raw.escape_default())));
        }
        check("/a;v=1", Err("`;` is not allowed"));
        check("/a%252Fb", Err("`%25` is not allowed"));
        check("/a\0", Err("`\\u{0}` is not allowed"));
        check("/a\u{2215}b", Err("`\\u{2215}` is not allowed"));
        check("/a%", Err("`%` is not allowed"));
        check("/a%2", Err("`%` is not allowed"));
        check("/a%\u{e9}1", Err("is not allowed"));
        check("a", Err("it does not begin with `/`"));
        check("", Err("it does not begin with `/`"));
        check("http://a/b", Err("it does not begin with `/`"));
        check(&format!("/{}", "x".repeat(1_024)), Err("it has 1025 bytes, and 1024 is the most"));
        check(&"/a".repeat(25), Err("it has 25 segments, and 24 is the most"));
    }

    /// As a program would decode it that decodes everything, once.
    fn decoded_by_others(text: &str) -> Vec<u8> {
        let (bytes, mut decoded, mut at) = (text.as_bytes(), Vec::new(), 0);
        while at < bytes.len() {
            let encoded = (bytes[at] == b'%').then(|| text.get(at + 1..at + 3).and_then(octet)).flatten();
            decoded.push(encoded.unwrap_or(bytes[at]));
            at += if encoded.is_some() { 3 } else { 1 };
        }
        decoded
    }

    proptest! {
        #[test]
        fn whatever_passes_is_its_own_form_and_means_the_same(text in "/([a-z./%;:@]|%2[eEfF]|%[4-7][0-9a-f]|\\PC){0,24}") {
            if let Ok(path) = text.parse::<ProxyPath>() {
                let sent = path.to_string();
                prop_assert_eq!(&sent.parse::<ProxyPath>().unwrap(), &path);
                // Nobody who decodes it once, or not at all, or again, sees another path.
                prop_assert_eq!(decoded_by_others(&text), sent.as_bytes());
                prop_assert_eq!(decoded_by_others(&sent), sent.as_bytes());
                prop_assert!(!sent.contains("//") && !sent.contains('%') && !sent.contains(';'));
                prop_assert!(path.segments().all(|segment| !matches!(segment, "" | "." | "..")));
            }
        }
    }
}
