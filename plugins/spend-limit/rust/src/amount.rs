//! Amounts of money: whole minor units, and nothing that two readers could read as two amounts.

use serde_json::Value;

/// The largest whole number up to which every reader of JSON knows all others.
pub(crate) const SAFE_MAX: u64 = (1 << 53) - 1;

/// The largest that a string may name: what readers with a sign bit hold, too.
const STRING_MAX: u64 = i64::MAX.unsigned_abs();

/// An amount, 1 or more: a JSON integer within the safe range, or a string of decimal digits without
/// sign, blank or leading zero.
pub(crate) fn parse(value: &Value) -> Option<u64> {
    let (amount, max) = match value {
        // A number with a fraction or an exponent is none here, whatever its value.
        Value::Number(number) => (number.as_u64()?, SAFE_MAX),
        Value::String(text) => (digits(text)?, STRING_MAX),
        _ => return None,
    };
    (1..=max).contains(&amount).then_some(amount)
}

fn digits(text: &str) -> Option<u64> {
    // `u64` itself would take a `+` and zeros in front.
    let is_plain = !text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit());
    if is_plain { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<u64> {
        parse(&serde_json::from_str(text).unwrap())
    }

    #[test]
    fn what_is_no_amount_is_none() {
        let numbers = ["0", "-0", "-1", "1.5", "1.0", "1e3", "1E3", "9007199254740992"];
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
    fn what_is_one_is_read_exactly() {
        for (text, amount) in [
            ("1", 1),
            ("9007199254740991", SAFE_MAX),
            (r#""1""#, 1),
            (r#""9007199254740993""#, SAFE_MAX + 2),
            (r#""9223372036854775807""#, STRING_MAX),
        ] {
            assert_eq!(parsed(text), Some(amount), "{text}");
        }
    }
}
