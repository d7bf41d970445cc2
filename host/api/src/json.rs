//! Strict JSON: what is decided is what is executed.
//!
//! Two readers of one JSON text may see two different things where it has duplicate keys, or numbers
//! that their types cannot hold. Such texts are refused here, and what is accepted is rewritten in the
//! canonical form of RFC 8785, so that policy, digest, token and resource server all get the same
//! bytes.

use std::fmt;

use attorn_core::{Digest, JsonText};
use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

/// How deep objects and arrays may nest.
pub const DEPTH_MAX: usize = 32;

/// Why a JSON text is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// It is no JSON, or has a duplicate key, or nests too deep.
    #[error("{0}")]
    Malformed(String),
    /// A number changes when it is read as an IEEE 754 double and written again.
    #[error("the number `{0}` does not survive being read as a 64-bit float; send it as a string")]
    NumberNotExact(String),
    /// It is JSON, but no object.
    #[error("it is no JSON object")]
    NotAnObject,
}

/// Read one JSON object strictly, and give its canonical form.
///
/// # Errors
///
/// When it is malformed, has a duplicate key, nests deeper than [`DEPTH_MAX`], has a number that does
/// not round-trip, or is no object.
pub fn canonical_object(text: &str) -> Result<JsonText, JsonError> {
    if !text.trim_start().starts_with('{') {
        return Err(JsonError::NotAnObject);
    }
    canonical(text)
}

/// Read one JSON text strictly, and give its canonical form.
///
/// # Errors
///
/// When it is malformed, has a duplicate key, nests deeper than [`DEPTH_MAX`], or has a number that
/// does not round-trip.
pub fn canonical(text: &str) -> Result<JsonText, JsonError> {
    let malformed = |error: &dyn fmt::Display| JsonError::Malformed(error.to_string());
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = StrictSeed { depth_left: DEPTH_MAX }.deserialize(&mut reader).map_err(|e| malformed(&e))?;
    reader.end().map_err(|e| malformed(&e))?;
    if let Some(number) = numbers(text).find(|number| !survives_a_double(number)) {
        return Err(JsonError::NumberNotExact(number.chars().take(64).collect()));
    }
    serde_json_canonicalizer::to_string(&value).map(JsonText::from_canonical).map_err(|e| malformed(&e))
}

/// The canonical form of a part of a larger body.
///
/// # Errors
///
/// As [`canonical_object`].
pub fn canonical_raw(raw: &RawValue) -> Result<JsonText, JsonError> {
    canonical_object(raw.get())
}

/// SHA-256 of a canonical text: how grants and resource servers name arguments.
#[must_use]
pub fn digest(text: &JsonText) -> Digest {
    Digest::from_bytes(Sha256::digest(text.as_str()).into())
}

/// The number tokens of a text that is known to be JSON.
fn numbers(text: &str) -> impl Iterator<Item = &str> {
    let bytes = text.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < bytes.len() {
            match bytes[at] {
                b'"' => {
                    at += 1;
                    while at < bytes.len() && bytes[at] != b'"' {
                        at += if bytes[at] == b'\\' { 2 } else { 1 };
                    }
                    at += 1;
                }
                b'-' | b'0'..=b'9' => {
                    let from = at;
                    while at < bytes.len() && matches!(bytes[at], b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9') {
                        at += 1;
                    }
                    return text.get(from..at);
                }
                _ => at += 1,
            }
        }
        None
    })
}

/// Whether the text that RFC 8785 has for the nearest double is the same decimal number. Halfway between two shortest
/// texts it takes the even one, where Rust's own formatting takes the other.
fn survives_a_double(number: &str) -> bool {
    let Ok(double) = number.parse::<f64>() else { return false };
    let written = serde_json_canonicalizer::to_string(&double).ok();
    double.is_finite() && written.is_some_and(|written| decimal(number) == decimal(&written)) && number != "-0"
}

/// A decimal number as its digits, without zeros at either end, and its exponent.
fn decimal(number: &str) -> Option<(bool, String, i64)> {
    let (negative, number) = number.strip_prefix('-').map_or((false, number), |rest| (true, rest));
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let trimmed = digits.trim_end_matches('0');
    let exponent = exponent.parse::<i64>().ok()?.checked_sub(i64::try_from(fraction.len()).ok()?)?;
    let dropped = i64::try_from(digits.len() - trimmed.len()).ok()?;
    let digits = trimmed.trim_start_matches('0');
    if digits.is_empty() {
        return Some((false, String::new(), 0));
    }
    Some((negative, digits.to_owned(), exponent.checked_add(dropped)?))
}

/// Builds a `serde_json::Value`, and refuses duplicate keys and depth on the way.
#[derive(Clone, Copy)]
struct StrictSeed {
    depth_left: usize,
}

impl StrictSeed {
    fn deeper<E: de::Error>(self) -> Result<Self, E> {
        let depth_left = self.depth_left.checked_sub(1).ok_or_else(|| E::custom("it nests too deep"))?;
        Ok(Self { depth_left })
    }
}

impl<'de> DeserializeSeed<'de> for StrictSeed {
    type Value = serde_json::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for StrictSeed {
    type Value = serde_json::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(serde_json::Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
        let inner = self.deeper()?;
        let mut items = Vec::new();
        while let Some(item) = sequence.next_element_seed(inner)? {
            items.push(item);
        }
        Ok(items.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let inner = self.deeper()?;
        let mut members = serde_json::Map::new();
        while let Some(key) = map.next_key::<String>()? {
            let value = map.next_value_seed(inner)?;
            if members.contains_key(&key) {
                return Err(de::Error::custom(format_args!("the key {key:?} stands twice")));
            }
            members.insert(key, value);
        }
        Ok(members.into())
    }
}

/// Read a body, which is one object, into its type, with an error that says where and why.
///
/// # Errors
///
/// When it is no JSON of that type; unknown and duplicate members count.
pub fn parse_body<'de, T: Deserialize<'de>>(body: &'de [u8]) -> Result<T, JsonError> {
    // serde would take an array for an object, in the order of its members.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(JsonError::NotAnObject);
    }
    serde_json::from_slice(body).map_err(|error| JsonError::Malformed(error.to_string()))
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
