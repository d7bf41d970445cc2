//! Words that may be taken for others: with letters of several scripts, or with foreign ones that all look like Latin.
//! Approvers are told of them beside the text, which stays as it is: most people write in one script, and it need not be
//! Latin.
//!
//! What letters look like is known by `unicode-security` (Unicode Technical Standard 39). What cannot be seen at all is made
//! visible elsewhere (`visible`).

use std::collections::BTreeSet;
use std::fmt::Write as _;

use attorn_api::approvals::{Asked, LookAlike};
use serde_json::Value;
use unicode_security::{RestrictionLevel, RestrictionLevelDetection as _, skeleton};

use super::visible::visible;

/// How many are told of.
const WORDS_MAX: usize = 16;
/// The most characters of one.
const CHARS_MAX: usize = 64;

/// Those in all that an agent or a provider wrote of what is asked, and how many more there are.
pub(super) fn of(asked: &Asked) -> (Vec<LookAlike>, u32) {
    let mut found = BTreeSet::new();
    let user = asked.user.as_ref().map(|user| user.subject.as_str());
    let texts = [Some(asked.resource.as_str()), asked.session.as_deref(), user];
    texts.into_iter().flatten().for_each(|text| words(text, &mut found));
    for reason in &asked.reasons {
        words(&reason.text, &mut found);
    }
    for json in [&asked.arguments, &asked.claims] {
        match serde_json::from_str(json) {
            Ok(value) => texts_of(&value, &mut found),
            // It is no JSON, so its escapes are none.
            Err(_) => words(json, &mut found),
        }
    }
    let more = u32::try_from(found.len().saturating_sub(WORDS_MAX)).unwrap_or(u32::MAX);
    let shown = found
        .into_iter()
        .take(WORDS_MAX)
        .map(|word| LookAlike { word: visible(word.as_str()), letters: letters(&word) });
    (shown.collect(), more)
}

fn texts_of(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => words(text, found),
        Value::Array(values) => values.iter().for_each(|value| texts_of(value, found)),
        Value::Object(members) => members.iter().for_each(|(name, value)| {
            words(name, found);
            texts_of(value, found);
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn words(text: &str, found: &mut BTreeSet<String>) {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| misleads(word));
    found.extend(words.map(|word| word.chars().take(CHARS_MAX).collect::<String>()));
}

fn misleads(word: &str) -> bool {
    if word.is_ascii() {
        return false;
    }
    // Chinese, Japanese and Korean are written with several scripts, and with Latin among them.
    word.detect_restriction_level() > RestrictionLevel::HighlyRestrictive || skeleton(word).all(|c| c.is_ascii())
}

/// The word with each letter that is not ASCII as its number.
fn letters(word: &str) -> String {
    let mut shown = String::new();
    for c in word.chars() {
        if c.is_ascii() {
            shown.push(c);
        } else {
            // Writing to a string does not fail.
            let _ = write!(shown, "{{U+{:04X}}}", u32::from(c));
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_several_scripts_and_latin_looks_are_found_and_others_are_not() {
        for (text, expect) in [
            ("paypal, 100 EUR", &[][..]),
            ("Gr\u{fc}\u{df}e, stra\u{df}e, caf\u{e9}", &[]),
            ("\u{43f}\u{440}\u{438}\u{432}\u{435}\u{442} paypal", &[]),
            ("\u{4f60}\u{597d} \u{6771}\u{4eac}\u{30bf}\u{30ef}\u{30fc} T\u{30b7}\u{30e3}\u{30c4}", &[]),
            ("to p\u{430}ypal!", &["p\u{430}ypal"]),
            ("\u{440}\u{430}\u{443}\u{440}\u{430}", &["\u{440}\u{430}\u{443}\u{440}\u{430}"]),
            ("\u{3bf}k ok", &["\u{3bf}k"]),
            ("1\u{43e}0", &["1\u{43e}0"]),
        ] {
            let mut found = BTreeSet::new();
            words(text, &mut found);
            assert_eq!(found.iter().map(String::as_str).collect::<Vec<_>>(), expect, "{text:?}");
        }
    }

    #[test]
    fn the_letters_are_named_and_escapes_of_json_are_no_letters() {
        assert_eq!(letters("p\u{430}y\u{1d41a}"), "p{U+0430}y{U+1D41A}");
        let mut found = BTreeSet::new();
        let json = r#"{"note":"a\n\u0434\u0430","p\u0430y":[{"x":"\u0430b"}]}"#;
        texts_of(&serde_json::from_str(json).unwrap(), &mut found);
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["p\u{430}y", "\u{430}b"]);
    }
}
