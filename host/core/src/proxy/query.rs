//! A query with one meaning: names that the route takes, each once, with its text. It is written anew from that.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::path::{is_unreserved, octet};
use crate::id::ParseError;

/// A query, in the order of its names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProxyQuery(BTreeMap<String, String>);

const WHAT: &str = "query";
const HELP: &str = "`name=value` joined by `&`, each name once and one that the route takes; a blank is `%20` and a plus \
                    is `%2B`";

impl ProxyQuery {
    /// The most bytes of a query as it comes.
    pub const BYTES_MAX: usize = 1_024;

    /// Read what stands behind the `?`, of which these names are taken.
    ///
    /// # Errors
    ///
    /// When it could be read in two ways, or has a name that is not taken.
    pub fn parse(text: &str, names: &BTreeSet<String>) -> Result<Self, ParseError> {
        let fail = |problem: String| ParseError::new(WHAT, text, problem, HELP);
        if text.len() > Self::BYTES_MAX {
            return Err(fail(format!("it has {} bytes, and {} is the most", text.len(), Self::BYTES_MAX)));
        }
        let mut members = BTreeMap::new();
        if text.is_empty() {
            return Ok(Self(members));
        }
        for pair in text.split('&') {
            let (name, value) = pair.split_once('=').ok_or_else(|| fail("a part of it has no `=`".into()))?;
            let (name, value) = (decoded(name).map_err(fail)?, decoded(value).map_err(fail)?);
            let shown = name.escape_default().to_string();
            if !names.contains(&name) {
                return Err(fail(format!("the route takes no `{shown}`")));
            }
            if members.insert(name, value).is_some() {
                return Err(fail(format!("`{shown}` stands twice")));
            }
        }
        Ok(Self(members))
    }

    /// Its members.
    #[must_use]
    pub const fn members(&self) -> &BTreeMap<String, String> {
        &self.0
    }

    /// Whether a name can be one of a query's.
    #[must_use]
    pub fn is_name(text: &str) -> bool {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'[' | b']');
        (1..=64).contains(&text.len()) && text.bytes().all(allowed)
    }
}

fn decoded(raw: &str) -> Result<String, String> {
    let (bytes, mut decoded, mut at) = (raw.as_bytes(), Vec::with_capacity(raw.len()), 0);
    while let Some(&b) = bytes.get(at) {
        if b == b'%' {
            let encoded = raw.get(at + 1..at + 3).and_then(octet);
            decoded.push(encoded.ok_or("a `%` is not followed by two hexadecimal digits")?);
            at += 3;
        } else if is_unreserved(b) || matches!(b, b':' | b'@' | b'/' | b',' | b'!' | b'$' | b'\'' | b'(' | b')' | b'*')
        {
            decoded.push(b);
            at += 1;
        } else {
            return Err(format!("`{}` is not allowed unencoded", b.escape_ascii()));
        }
    }
    let text = String::from_utf8(decoded).map_err(|_| "it is no UTF-8")?;
    match text.chars().find(|c| c.is_control()) {
        Some(c) => Err(format!("`{}` is not allowed", c.escape_default())),
        None => Ok(text),
    }
}

impl fmt::Display for ProxyQuery {
    /// As it is sent: with the `?`, or nothing if it is empty.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (name, value)) in self.0.iter().enumerate() {
            f.write_str(if at == 0 { "?" } else { "&" })?;
            encode(name, f)?;
            f.write_str("=")?;
            encode(value, f)?;
        }
        Ok(())
    }
}

fn encode(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    use fmt::Write as _;
    for b in text.bytes() {
        if is_unreserved(b) { f.write_char(char::from(b))? } else { write!(f, "%{b:02X}")? }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names() -> BTreeSet<String> {
        ["a", "b", "page[size]"].map(String::from).into()
    }

    #[track_caller]
    fn check(text: &str, expect: Result<&str, &str>) {
        match (ProxyQuery::parse(text, &names()), expect) {
            (Ok(query), Ok(expect)) => assert_eq!(query.to_string(), expect, "{text}"),
            (Err(error), Err(problem)) => assert!(error.to_string().ends_with(problem), "{text}: {error}"),
            (got, _) => panic!("{text}: {got:?}"),
        }
    }

    #[test]
    fn it_is_written_anew_in_one_form() {
        check("", Ok(""));
        check("b=2&a=1", Ok("?a=1&b=2"));
        check("a=", Ok("?a="));
        check("a=x%20y&b=a%2fb/c", Ok("?a=x%20y&b=a%2Fb%2Fc"));
        check("page%5bsize%5d=3", Ok("?page%5Bsize%5D=3"));
        check("%61=%C3%BC", Ok("?a=%C3%BC"));
        check("a=1%26b%3D2", Ok("?a=1%26b%3D2"));
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        check("a", Err("a part of it has no `=`"));
        check("a=1&", Err("a part of it has no `=`"));
        check("&a=1", Err("a part of it has no `=`"));
        check("a=1&a=2", Err("`a` stands twice"));
        check("a=1&%61=2", Err("`a` stands twice"));
        check("A=1", Err("the route takes no `A`"));
        check("c=1", Err("the route takes no `c`"));
        check("=1", Err("the route takes no ``"));
        check("a=x+y", Err("`+` is not allowed unencoded"));
        check("a=1;b=2", Err("`;` is not allowed unencoded"));
        check("a=b=c", Err("`=` is not allowed unencoded"));
        check("a=[1]", Err("`[` is not allowed unencoded"));
        check("a=%0d%0aX", Err("`\\r` is not allowed"));
        check("a=%00", Err("`\\u{0}` is not allowed"));
        check("a=%C0%AF", Err("it is no UTF-8"));
        check("a=%", Err("a `%` is not followed by two hexadecimal digits"));
        check("a=%u0041", Err("a `%` is not followed by two hexadecimal digits"));
        check(&format!("a={}", "x".repeat(1_024)), Err("it has 1026 bytes, and 1024 is the most"));
    }

    proptest! {
        #[test]
        fn whatever_passes_is_its_own_form(text in "[ab]=([a-z%&=;+]|%[0-9a-f]{2}){0,12}") {
            if let Ok(query) = ProxyQuery::parse(&text, &names()) {
                let sent = query.to_string();
                prop_assert_eq!(ProxyQuery::parse(sent.strip_prefix('?').unwrap(), &names()).unwrap(), query);
            }
        }
    }
}
