//! Amounts of money, as arguments have them.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, Visitor};

use crate::NUMBER_MAX;

/// The largest that a string may name: what readers with a sign bit hold, too.
const STRING_MAX: u64 = i64::MAX.unsigned_abs();

/// An amount of money: whole minor units of a currency, 1 or more, and nothing that two readers could read as two
/// amounts.
///
/// It is read from an integer up to [`NUMBER_MAX`], or from a string of decimal digits without sign,
/// blank or leading zero, up to 2⁶³ − 1. A number with a fraction or an exponent is no amount, whatever its value.
///
/// ```
/// #[derive(serde::Deserialize)]
/// struct Refund {
///     amount: attorn_policy::Amount,
///     currency: String,
/// }
///
/// let refund: Refund = serde_json::from_str(r#"{"amount": 1250, "currency": "EUR"}"#)?;
/// assert_eq!(refund.amount.minor_units(), 1250);
/// assert!(serde_json::from_str::<Refund>(r#"{"amount": 12.5, "currency": "EUR"}"#).is_err());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(u64);

impl Amount {
    /// How many: cents, say.
    #[must_use]
    pub const fn minor_units(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Digits)
    }
}

struct Digits;

impl Visitor<'_> for Digits {
    type Value = Amount;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number of minor units, 1 or more, as an integer or a string of digits")
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Amount, E> {
        if (1..=NUMBER_MAX).contains(&number) {
            Ok(Amount(number))
        } else {
            Err(E::invalid_value(de::Unexpected::Unsigned(number), &self))
        }
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Amount, E> {
        // `u64` itself would take a `+` and zeros in front.
        let is_plain = !text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit());
        let number = if is_plain { text.parse().ok() } else { None };
        match number.filter(|number| (1..=STRING_MAX).contains(number)) {
            Some(number) => Ok(Amount(number)),
            None => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<u64> {
        serde_json::from_str::<Amount>(text).ok().map(Amount::minor_units)
    }

    #[test]
    fn what_is_no_amount_is_none() {
        let numbers = ["0", "-0", "-1", "1.5", "1.0", "1e3", "1E3", "9007199254740992", "18446744073709551616"];
        let strings =
            ["", "0", "00", "01", "-1", "+1", " 1", "1 ", "1\\n", "1.0", "1e3", "0x10", "1_000", "1,000", "٣"];
        let others = ["null", "true", "[]", "[1]", "{}", r#"{"amount":1}"#];
        for text in numbers.into_iter().chain(others) {
            assert_eq!(parsed(text), None, "{text}");
        }
        for text in
            strings.into_iter().chain(["9223372036854775808", "18446744073709551616", "99999999999999999999999"])
        {
            assert_eq!(parsed(&format!("\"{text}\"")), None, "{text:?}");
        }
    }

    #[test]
    fn what_is_one_is_read_exactly_from_a_text_and_from_a_value() {
        for (text, amount) in [
            ("1", 1),
            ("9007199254740991", NUMBER_MAX),
            (r#""1""#, 1),
            (r#""9007199254740993""#, NUMBER_MAX + 2),
            (r#""9223372036854775807""#, STRING_MAX),
        ] {
            assert_eq!(parsed(text), Some(amount), "{text}");
            let value: serde_json::Value = serde_json::from_str(text).unwrap();
            assert_eq!(Amount::deserialize(&value).unwrap().minor_units(), amount, "{text}");
        }
    }

    #[test]
    fn errors_say_what_an_amount_is() {
        let error = serde_json::from_str::<Amount>("1.5").unwrap_err().to_string();
        assert!(error.starts_with("invalid type: floating point `1.5`, expected a whole number of minor"), "{error}");
    }
}
