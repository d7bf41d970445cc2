//! Names and texts as they stand in a statement. Statements that make roles take no parameters, so all that goes into
//! one goes through here.

use attorn_core::SqlName;

/// A name, quoted: whatever is in it, it is one name.
pub(super) fn name(name: &SqlName) -> String {
    format!("\"{}\"", name.as_str().replace('"', "\"\""))
}

/// A text, quoted: whatever is in it, it is one text, also where `standard_conforming_strings` is off. A zero byte can
/// stand in no text of the database's and is left out.
pub(super) fn text(text: &str) -> String {
    let quoted = text.replace('\0', "").replace('\'', "''");
    if quoted.contains('\\') { format!(" E'{}'", quoted.replace('\\', "\\\\")) } else { format!("'{quoted}'") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_one_name() {
        for (plain, quoted) in [
            ("reader", "\"reader\""),
            ("Reader", "\"Reader\""),
            ("a\"b", "\"a\"\"b\""),
            ("\"", "\"\"\"\""),
            ("x\"; DROP ROLE y; --", "\"x\"\"; DROP ROLE y; --\""),
            ("a'b\\c", "\"a'b\\c\""),
        ] {
            assert_eq!(name(&plain.parse().unwrap()), quoted);
        }
    }

    #[test]
    fn texts_stay_one_text() {
        for (plain, quoted) in [
            ("", "''"),
            ("usr_1", "'usr_1'"),
            ("it's", "'it''s'"),
            ("'; DROP ROLE y; --", "'''; DROP ROLE y; --'"),
            ("\\'; DROP", " E'\\\\''; DROP'"),
            ("a\\", " E'a\\\\'"),
            ("a\0'b", "'a''b'"),
        ] {
            assert_eq!(text(plain), quoted);
        }
    }
}
