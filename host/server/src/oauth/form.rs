//! Bodies that are forms (`application/x-www-form-urlencoded`), read strictly: each parameter once, and
//! nothing that two readers would read differently.
//!
//! What the parameters mean is not known here. Parameters that nobody knows are ignored, as RFC 6749,
//! section 3.2, demands, and so are those without a value.

use std::collections::BTreeMap;

use attorn_api::oauth::OAuthCode;

use crate::http::failure::Failure;

/// The most bytes of a form.
pub(crate) const FORM_BYTES_MAX: usize = 16 << 10;

/// The most parameters of a form.
const PARAMETERS_MAX: usize = 32;

/// A form. It has no `Debug`: it holds tokens.
pub(crate) struct Form(BTreeMap<String, String>);

impl Form {
    /// Read a body.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, Failure> {
        if !is_encoded(body) {
            return Err(invalid("the form has bytes that are not URL-encoded"));
        }
        let mut parameters = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(body) {
            // The library puts this character where the bytes are no UTF-8.
            if name.contains(char::REPLACEMENT_CHARACTER) || value.contains(char::REPLACEMENT_CHARACTER) {
                return Err(invalid("the form is no UTF-8"));
            }
            if parameters.len() == PARAMETERS_MAX {
                return Err(invalid("the form has more than 32 parameters"));
            }
            let name = name.into_owned();
            if parameters.contains_key(&name) {
                return Err(invalid(&format!("`{}` stands twice in the form", shown(&name))));
            }
            parameters.insert(name, value.into_owned());
        }
        Ok(Self(parameters))
    }

    /// A parameter, if it is there with a value.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A parameter that has to be there.
    pub(crate) fn needed(&self, name: &str) -> Result<&str, Failure> {
        self.get(name).ok_or_else(|| invalid(&format!("`{name}` is missing")))
    }
}

/// Whether every byte is one that URL encoding leaves as it is, or part of a whole escape.
fn is_encoded(body: &[u8]) -> bool {
    let mut rest = body;
    while let Some((&first, after)) = rest.split_first() {
        rest = match (first, after) {
            (b'%', [a, b, after @ ..]) if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => after,
            (b'%', _) => return false,
            (byte, after) if byte.is_ascii_graphic() => after,
            _ => return false,
        };
    }
    true
}

/// A name that somebody chose, as it is repeated to them.
fn shown(name: &str) -> String {
    name.chars().take(64).flat_map(char::escape_default).collect()
}

fn invalid(detail: &str) -> Failure {
    Failure::oauth(OAuthCode::InvalidRequest, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_that_can_be_read_in_two_ways_are_refused() {
        let many = (0..33).map(|n| format!("p{n}=1")).collect::<Vec<_>>().join("&");
        for (body, why) in [
            ("a=1&a=2", "`a` stands twice"),
            ("a=1&%61=2", "`a` stands twice"),
            ("a=&a=1", "`a` stands twice"),
            ("a&a", "`a` stands twice"),
            ("a=%", "not URL-encoded"),
            ("a=%4", "not URL-encoded"),
            ("a=%zz", "not URL-encoded"),
            ("a=1 2", "not URL-encoded"),
            ("a=1\n", "not URL-encoded"),
            ("a=\u{e9}", "not URL-encoded"),
            ("a=%ff", "no UTF-8"),
            ("%c3%28=1", "no UTF-8"),
            (&many, "more than 32"),
        ] {
            let failure = Form::parse(body.as_bytes()).err().unwrap();
            assert_eq!(failure.oauth, Some(OAuthCode::InvalidRequest), "{body}");
            assert!(failure.problem.detail.contains(why), "{body}: {}", failure.problem.detail);
        }
    }

    #[test]
    fn parameters_are_decoded_and_empty_ones_are_not_there() {
        let form = Form::parse(b"a=x+y%2B%C3%A9&b=&c&d=%7B%22e%22%3A1%7D").unwrap();
        assert_eq!((form.get("a"), form.get("b"), form.get("c")), (Some("x y+\u{e9}"), None, None));
        assert_eq!(form.needed("d").ok(), Some(r#"{"e":1}"#));
        assert!(form.needed("b").is_err() && form.needed("nowhere").is_err());
    }
}
