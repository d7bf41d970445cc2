//! How much of what an agent wrote is shown to those who approve it. Every name and every number is, and of every text at
//! least the beginning: padding keeps nothing from being seen. What has no room even so nobody can read, and nobody is
//! asked to.
//!
//! What counts is the room that it takes on the reader's screen, with everything made visible (`visible`). Nothing is
//! made visible here.

use attorn_core::JsonText;
use serde_json::Value;

use super::visible::visible;

/// The most bytes that are shown.
const BYTES_MAX: usize = 4 << 10;
/// The most bytes of each text: the first of these with which all fits.
const TEXT_BYTES_MAX: [usize; 3] = [2 << 10, 512, 128];

/// It has more names, numbers and texts than anybody is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unreadable;

/// The text with the ends of long texts cut, all after the same number of bytes, and how many characters that took.
pub(super) fn readable(json: &JsonText) -> Result<(String, u64), Unreadable> {
    if visible(json.as_str()).len() <= BYTES_MAX {
        return Ok((json.as_str().to_owned(), 0));
    }
    let whole: Value = serde_json::from_str(json.as_str()).map_err(|_| Unreadable)?;
    for text_bytes_max in TEXT_BYTES_MAX {
        let (mut value, mut cut_chars) = (whole.clone(), 0);
        cut(&mut value, text_bytes_max, &mut cut_chars);
        let text = serde_json_canonicalizer::to_string(&value).map_err(|_| Unreadable)?;
        if visible(&text).len() <= BYTES_MAX {
            return Ok((text, cut_chars));
        }
    }
    Err(Unreadable)
}

fn cut(value: &mut Value, bytes_max: usize, cut_chars: &mut u64) {
    match value {
        Value::String(text) => {
            if let Some(at) = end_within(text, bytes_max) {
                let chars = text.split_off(at).chars().count();
                *text = format!("{text}\u{2026} ({chars} characters cut)");
                *cut_chars += chars as u64;
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| cut(value, bytes_max, cut_chars)),
        Value::Object(members) => members.values_mut().for_each(|value| cut(value, bytes_max, cut_chars)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Where a text has to end so that it takes no more bytes when it is shown; none if it may stay whole.
fn end_within(text: &str, bytes_max: usize) -> Option<usize> {
    let mut bytes = 0;
    text.char_indices()
        .find(|(_, c)| {
            bytes += shown_bytes(*c);
            bytes > bytes_max
        })
        .map(|(at, _)| at)
}

/// How many bytes a character takes at most, in JSON and made visible.
fn shown_bytes(c: char) -> usize {
    match c {
        '"' | '\\' => 2,
        _ => visible(c.encode_utf8(&mut [0; 4])).len(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: &Value) -> Result<(String, u64), Unreadable> {
        readable(&JsonText::from_canonical(serde_json_canonicalizer::to_string(value).unwrap()))
    }

    #[test]
    fn what_has_room_stays_as_it_is() {
        let short = json!({ "amount": 5, "to": "bob" });
        assert_eq!(read(&short), Ok((r#"{"amount":5,"to":"bob"}"#.to_owned(), 0)));
        let long = json!({ "note": "x".repeat(3_000), "to": "bob" });
        assert_eq!(read(&long).unwrap().1, 0);
    }

    #[test]
    fn texts_are_cut_all_alike_and_nothing_else_is() {
        // What a character takes is counted as it is shown: one of these takes twelve bytes.
        for (text, cut_after) in [("x", 2_048_usize), ("\u{e4}", 1_024), ("\"", 1_024), ("\u{e0041}", 170), ("\0", 341)]
        {
            let padded = json!({ "a": text.repeat(10_000), "amount": 5, "to": "mallory" });
            let (shown, cut_chars) = read(&padded).unwrap();
            assert_eq!(cut_chars, 10_000 - cut_after as u64, "{text:?}");
            let shown: Value = serde_json::from_str(&shown).unwrap();
            assert_eq!((&shown["amount"], &shown["to"]), (&json!(5), &json!("mallory")));
            assert_eq!(shown["a"], format!("{}\u{2026} ({cut_chars} characters cut)", text.repeat(cut_after)));
        }
        let three = json!([["x".repeat(5_000)], { "b": "y".repeat(5_000) }, "z".repeat(5_000)]);
        assert_eq!(read(&three).unwrap().1, 3 * (5_000 - 512));
        let many = json!(vec!["x".repeat(200); 25]);
        assert_eq!(read(&many).unwrap().1, 25 * (200 - 128));
    }

    #[test]
    fn what_has_no_room_even_so_is_unreadable() {
        let many: serde_json::Map<String, Value> = (0..500).map(|n| (format!("key{n}"), n.into())).collect();
        for value in [
            json!({ "k".repeat(4_100): 1, "to": "mallory" }),
            json!({ "\u{e0041}".repeat(400): 1 }),
            many.clone().into(),
            json!({ "body": many, "path": "/pay" }),
            json!(vec!["x".repeat(128); 40]),
            json!((0..2_000).collect::<Vec<_>>()),
        ] {
            assert_eq!(read(&value), Err(Unreadable));
        }
    }
}
