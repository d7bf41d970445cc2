//! Text that strangers wrote, made fit to be shown.

/// At most `bytes_max` bytes of a text; control characters other than line breaks are escaped, so that
/// a terminal shows it as it is.
pub(crate) fn bounded(text: &str, bytes_max: usize) -> String {
    const CUT: &str = "...";
    let mut shown = String::with_capacity(text.len().min(bytes_max));
    for c in text.chars() {
        let before = shown.len();
        if hostile(c) {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
        if shown.len() > bytes_max {
            shown.truncate(before);
            while shown.len() + CUT.len() > bytes_max && shown.pop().is_some() {}
            shown.push_str(CUT);
            return shown;
        }
    }
    shown
}

/// A name on one line, as it is repeated in messages.
pub(crate) fn shown(name: &str) -> String {
    bounded(&name.replace('\n', "\\n"), 128)
}

/// Control characters, and those that change the direction of text.
fn hostile(c: char) -> bool {
    (c.is_control() && c != '\n')
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, bytes_max: usize, expect: &str) {
        let bounded = bounded(text, bytes_max);
        assert_eq!(bounded, expect);
        assert!(bounded.len() <= bytes_max);
    }

    #[test]
    fn what_is_too_long_is_cut_between_characters() {
        check("abcdef", 6, "abcdef");
        check("abcdefg", 6, "abc...");
        check("äöüä", 7, "äö...");
        check("abcd\u{1b}", 6, "abc...");
    }

    #[test]
    fn control_characters_are_escaped() {
        check("a\u{1b}[31mb\nc", 64, "a\\u{1b}[31mb\nc");
        check("a\u{202e}b", 64, "a\\u{202e}b");
        assert_eq!(shown("a\nb"), "a\\nb");
    }
}
