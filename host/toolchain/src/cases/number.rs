//! Counts as JSON has them: whole numbers up to the most that a counter comes to, which every reader of
//! JSON reads the same.

use attorn_core::counter::COUNT_MAX;
use serde::de::{self, Deserialize, Deserializer};
use serde::{Serialize, Serializer};

/// A count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Number(pub(super) u64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = u64::deserialize(deserializer)?;
        if number > COUNT_MAX {
            return Err(de::Error::custom(format_args!("{number} is no count; {COUNT_MAX} is the most")));
        }
        Ok(Self(number))
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_counter_comes_to_is_refused() {
        for text in ["-1", "1.5", "9007199254740992", "18446744073709551616", "null", "true", r#""7""#] {
            assert!(serde_json::from_str::<Number>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_read_is_written_the_same() {
        for (text, number) in [("0", 0), ("9007199254740991", COUNT_MAX)] {
            let read: Number = serde_json::from_str(text).unwrap();
            assert_eq!(read, Number(number));
            assert_eq!(serde_json::to_string(&read).unwrap(), text);
        }
    }
}
