//! Whole numbers of 64 bits as JSON has them: as a number where every reader reads the same, and else as
//! a string of digits.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};

/// The largest whole number up to which every reader of JSON knows all others.
const SAFE_MAX: u64 = (1 << 53) - 1;

/// A whole number of 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Number(pub(super) u64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberVisitor)
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 <= SAFE_MAX { serializer.serialize_u64(self.0) } else { serializer.collect_str(&self.0) }
    }
}

struct NumberVisitor;

impl Visitor<'_> for NumberVisitor {
    type Value = Number;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a whole number up to {SAFE_MAX}, or one of 64 bits as a string of digits")
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Number, E> {
        if number > SAFE_MAX {
            return Err(E::invalid_value(de::Unexpected::Unsigned(number), &self));
        }
        Ok(Number(number))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Number, E> {
        let number = text.parse().ok().filter(|number: &u64| number.to_string() == text);
        number.map(Number).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_readers_read_differently_is_refused() {
        let texts = ["-1", "1.5", "9007199254740992", "null", "true", r#""""#, r#""01""#, r#""+1""#, r#"" 1""#];
        for text in texts.into_iter().chain([r#""-1""#, r#""1e3""#, r#""18446744073709551616""#]) {
            assert!(serde_json::from_str::<Number>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_read_is_written_the_same() {
        for (text, number) in [
            ("0", 0),
            ("9007199254740991", SAFE_MAX),
            (r#""9007199254740992""#, SAFE_MAX + 1),
            (r#""18446744073709551615""#, u64::MAX),
        ] {
            let read: Number = serde_json::from_str(text).unwrap();
            assert_eq!(read, Number(number));
            assert_eq!(serde_json::to_string(&read).unwrap(), text);
        }
        // A small one may be a string, too.
        assert_eq!(serde_json::from_str::<Number>(r#""7""#).unwrap(), Number(7));
    }
}
