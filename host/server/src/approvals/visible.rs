//! Texts that agents and policies wrote, so that whoever reads them sees what is there, and nothing else: no markup, no
//! mark that turns the direction of writing, no character that drives a terminal or looks like a blank.
//!
//! Letters that are written from right to left are escaped, too: without any mark they turn around what stands beside
//! them, such as two numbers. Letters that look like others are not.
//!
//! What is escaped is written as JSON does, so a JSON text stays one that says the same.

use std::fmt::Write as _;

use unicode_bidi::BidiClass;

/// Letters and symbols that look like nothing.
const BLANKS: [char; 5] = ['\u{115f}', '\u{1160}', '\u{2800}', '\u{3164}', '\u{ffa0}'];

/// The text with all escaped that is not plainly visible, or is what markup is made of.
pub(crate) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_plain(c) {
            shown.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            // Writing to a string does not fail.
            let _ = write!(shown, "\\u{unit:04x}");
        }
    }
    shown
}

fn is_plain(c: char) -> bool {
    match c {
        '<' | '>' | '&' => false,
        ' '..='~' => true,
        // What the standard library does not print as it is: control and format characters, separators, blanks, marks
        // that change the character before, and what is assigned to nobody.
        _ => c.escape_debug().len() == 1 && !BLANKS.contains(&c) && !turns(c),
    }
}

/// Whether the order in which a text is read may change with it (Unicode Standard Annex 9, section 3.2).
fn turns(c: char) -> bool {
    matches!(unicode_bidi::bidi_class(c), BidiClass::R | BidiClass::AL | BidiClass::AN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_or_would_be_taken_for_something_else_is_escaped() {
        for (text, expect) in [
            ("plain \"text\" with \\ and 'both'", "plain \"text\" with \\ and 'both'"),
            ("Gr\u{fc}\u{df}e, \u{4f60}\u{597d} \u{2713}", "Gr\u{fc}\u{df}e, \u{4f60}\u{597d} \u{2713}"),
            ("<script>&amp;</script>", "\\u003cscript\\u003e\\u0026amp;\\u003c/script\\u003e"),
            ("a\u{202e}b\u{2066}c\u{200f}", "a\\u202eb\\u2066c\\u200f"),
            ("['\u{5d0}',100,9000,'\u{5d1}']", "['\\u05d0',100,9000,'\\u05d1']"),
            ("\u{627}5\u{661}\u{6f1}\u{10800}", "\\u06275\\u0661\u{6f1}\\ud802\\udc00"),
            ("\u{1b}[31m\r\n\t\0\u{7f}\u{9b}", "\\u001b[31m\\u000d\\u000a\\u0009\\u0000\\u007f\\u009b"),
            ("1\u{200b}0\u{2060}0\u{feff}\u{ad}", "1\\u200b0\\u20600\\ufeff\\u00ad"),
            ("\u{a0}\u{2003}\u{2028}\u{3164}\u{2800}", "\\u00a0\\u2003\\u2028\\u3164\\u2800"),
            ("e\u{301}\u{489}", "e\\u0301\\u0489"),
            ("\u{e0041}\u{10ffff}", "\\udb40\\udc41\\udbff\\udfff"),
        ] {
            assert_eq!(visible(text), expect, "{text:?}");
        }
    }

    #[test]
    fn json_says_the_same_afterwards() {
        let value = serde_json::json!({ "to\u{202e}": "<b>\u{1f600}\u{e0041}\"\\\u{8}" });
        let text = serde_json_canonicalizer::to_string(&value).unwrap();
        let shown: serde_json::Value = serde_json::from_str(&visible(&text)).unwrap();
        assert_eq!(shown, value);
        assert!(visible(&text).chars().all(|c| c != '<' && c != '\u{202e}' && c != '\u{e0041}'));
    }
}
