//! What an entry says: one JSON object in the canonical form of RFC 8785.
//!
//! Which fields it has is no matter of this crate.

use serde::Serialize;
use serde_json::Value;

use crate::canonical::is_plainly_canonical;

/// One canonical JSON object of at most [`EntryBody::BYTES_MAX`] bytes.
///
/// Numbers are at most 2^53 - 1 either way, so that every reader of JSON reads the same one; whatever
/// is larger has to be a string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryBody(Box<str>);

/// Why something cannot be the body of an entry.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// It cannot be written as canonical JSON: a key stands twice or is no string, or the value embeds
    /// raw JSON, whose form nobody checked.
    #[error("the body cannot be written as canonical json")]
    Unwritable(#[source] serde_json::Error),
    /// It is not JSON, or nested deeper than 127 levels.
    #[error("the body is not json")]
    NotJson(#[source] serde_json::Error),
    /// It is JSON, but no object.
    #[error("the body is not a json object")]
    NotObject,
    /// It is an object that RFC 8785 would write in other bytes.
    #[error("the body is not in the canonical form of rfc 8785")]
    NotCanonical,
    /// It holds a number that not every reader of JSON reads alike.
    #[error("the body holds a number beyond 2^53 - 1, which has to be a string")]
    NumberTooLarge,
    /// It is too long.
    #[error("the body has {bytes} bytes, and {} is the most", EntryBody::BYTES_MAX)]
    TooLong {
        /// How many bytes it has.
        bytes: usize,
    },
}

impl EntryBody {
    /// The longest body, in bytes.
    pub const BYTES_MAX: usize = 61_440;

    /// The canonical form of a value that serialises as an object. A number that is not finite becomes
    /// `null`, as everywhere in `serde_json`.
    pub fn of(value: &impl Serialize) -> Result<Self, BodyError> {
        // The canonical writer turns every number into a double. What that would change is found here,
        // while the number is still whole.
        check_numbers(&serde_json::to_value(value).map_err(BodyError::Unwritable)?)?;
        // It is given the value itself: a tree of `Value`s would have dropped the second of two keys.
        Self::parse(&serde_json_canonicalizer::to_string(value).map_err(BodyError::Unwritable)?)
    }

    /// The canonical form of a tree of values, which cannot have two equal keys, so that one pass is
    /// enough.
    pub fn of_value(value: &Value) -> Result<Self, BodyError> {
        if !value.is_object() {
            return Err(BodyError::NotObject);
        }
        check_numbers(value)?;
        let text = serde_json_canonicalizer::to_string(value).map_err(BodyError::Unwritable)?;
        if text.len() > Self::BYTES_MAX {
            return Err(BodyError::TooLong { bytes: text.len() });
        }
        Ok(Self(text.into()))
    }

    /// Take a text that is in canonical form already.
    pub fn parse(text: &str) -> Result<Self, BodyError> {
        if text.len() > Self::BYTES_MAX {
            return Err(BodyError::TooLong { bytes: text.len() });
        }
        if !is_plainly_canonical(text) {
            check_form(text)?;
        }
        Ok(Self(text.into()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Parse a text and write it anew: it is canonical if the same comes out.
fn check_form(text: &str) -> Result<(), BodyError> {
    let value: Value = serde_json::from_str(text).map_err(BodyError::NotJson)?;
    if !value.is_object() {
        return Err(BodyError::NotObject);
    }
    check_numbers(&value)?;
    if serde_json_canonicalizer::to_string(&value).map_err(BodyError::Unwritable)? != text {
        return Err(BodyError::NotCanonical);
    }
    Ok(())
}

fn check_numbers(value: &Value) -> Result<(), BodyError> {
    const SAFE_MAX: f64 = 9_007_199_254_740_991.0;
    match value {
        Value::Number(number) if number.as_f64().is_some_and(|number| number.abs() <= SAFE_MAX) => Ok(()),
        Value::Number(_) => Err(BodyError::NumberTooLarge),
        Value::Array(values) => values.iter().try_for_each(check_numbers),
        Value::Object(fields) => fields.values().try_for_each(check_numbers),
        Value::Null | Value::Bool(_) | Value::String(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// The message, and its source's after a colon.
    fn said(error: &BodyError) -> String {
        error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
    }

    #[track_caller]
    fn refused(text: &str, message: &str) {
        assert_eq!(said(&EntryBody::parse(text).unwrap_err()), message);
    }

    #[test]
    fn what_is_not_canonical_is_refused() {
        let form = "the body is not in the canonical form of rfc 8785";
        for text in [
            "{ }",
            " {}",
            "{}\n",
            r#"{"b":1,"a":2}"#,
            r#"{"a":1,"a":1}"#,
            r#"{"a":1.0}"#,
            r#"{"a":1e2}"#,
            r#"{"a":-0}"#,
            r#"{"a":"\u0061"}"#,
            r#"{"a":"\/"}"#,
            r#"{"a":"\u001F"}"#,
            // UTF-16 order: U+10000 is written with surrogates, which come before U+FB33.
            "{\"\u{fb33}\":1,\"\u{10000}\":2}",
        ] {
            refused(text, form);
        }
        let large = "the body holds a number beyond 2^53 - 1, which has to be a string";
        for text in [r#"{"a":9007199254740992}"#, r#"{"a":-9007199254740993}"#, r#"{"a":[1e300]}"#] {
            refused(text, large);
        }
        refused("[]", "the body is not a json object");
        refused("1", "the body is not a json object");
        refused("", "the body is not json: EOF while parsing a value at line 1 column 0");
        refused("{}{}", "the body is not json: trailing characters at line 1 column 3");
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(20_000), "]".repeat(20_000));
        refused(&deep, "the body is not json: recursion limit exceeded at line 1 column 132");
    }

    #[test]
    fn the_limit_is_exact() {
        let body = |bytes: usize| format!("{{\"a\":\"{}\"}}", "x".repeat(bytes - 8));
        assert_eq!(EntryBody::parse(&body(61_440)).unwrap().as_str().len(), 61_440);
        refused(&body(61_441), "the body has 61441 bytes, and 61440 is the most");
        assert!(matches!(EntryBody::of(&json!({ "a": "x".repeat(70_000) })), Err(BodyError::TooLong { .. })));
    }

    #[test]
    fn a_value_is_put_into_canonical_form() {
        let body =
            EntryBody::of(&json!({ "b": 1.0, "a": [true, null, "\u{e9}\n"], "\u{20ac}": { "z": 0, "y": -1.5 } }));
        assert_eq!(
            body.unwrap().as_str(),
            "{\"a\":[true,null,\"\u{e9}\\n\"],\"b\":1,\"\u{20ac}\":{\"y\":-1.5,\"z\":0}}"
        );
    }

    #[test]
    fn what_would_not_be_read_back_as_it_was_is_refused() {
        #[derive(Serialize)]
        struct Twice {
            a: u8,
            #[serde(flatten)]
            rest: std::collections::BTreeMap<&'static str, u8>,
        }
        let twice = Twice { a: 1, rest: [("a", 2)].into() };
        assert!(matches!(EntryBody::of(&twice), Err(BodyError::Unwritable(_))));
        assert!(matches!(EntryBody::of(&json!({ "a": u64::MAX })), Err(BodyError::NumberTooLarge)));
        assert!(matches!(EntryBody::of(&json!({ "a": (1_u64 << 53) + 1 })), Err(BodyError::NumberTooLarge)));
        assert!(matches!(EntryBody::of(&json!({ "a": 1e19 })), Err(BodyError::NumberTooLarge)));
        assert!(matches!(EntryBody::of(&"text"), Err(BodyError::NotObject)));
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            any::<f32>().prop_map(|number| json!(number)),
            ".*".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(".*", inner, 0..4).prop_map(|map| json!(map)),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_object_has_one_form_and_it_parses(value in any_value()) {
            match EntryBody::of(&json!({ "value": value })) {
                Ok(body) => {
                    prop_assert_eq!(&EntryBody::parse(body.as_str()).unwrap(), &body);
                    prop_assert!(!body.as_str().contains('\n'));
                }
                Err(error) => prop_assert!(matches!(error, BodyError::NumberTooLarge), "{}", error),
            }
        }

        #[test]
        fn the_quick_look_takes_nothing_that_is_refused(value in any_value(), names in "[a-c]{0,3}",
            at in any::<prop::sample::Index>(), removed in 0..3_usize,
            put in prop::sample::select(&PIECES[..])) {
            let text = serde_json_canonicalizer::to_string(&json!({ "b": value, names: [1, "x"] })).unwrap();
            let mut letters: Vec<String> = text.chars().map(String::from).collect();
            prop_assert!(!is_plainly_canonical(&text) || check_form(&text).is_ok(), "{}", text);
            let from = at.index(letters.len());
            letters.splice(from..(from + removed).min(letters.len()), [put.to_owned()]);
            let text = letters.concat();
            prop_assert!(!is_plainly_canonical(&text) || check_form(&text).is_ok(), "{}", text);
        }
    }

    /// What a text may be changed by.
    const PIECES: [&str; 24] = [
        "",
        "{",
        "}",
        "[",
        "]",
        "\"",
        ",",
        ":",
        "\\",
        "0",
        "1",
        "-",
        ".",
        "e",
        "9007199254740993",
        " ",
        "\n",
        "\u{1}",
        "\u{7f}",
        "\u{e9}",
        "null",
        "\"a\":1,",
        ",\"a\":1",
        "\\u0061",
    ];
}
