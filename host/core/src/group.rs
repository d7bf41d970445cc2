//! Names of groups, as providers and policies write them.
//!
//! Whose group it is, and who is in it, is not known here: the same name at another issuer is another group.

use std::fmt;
use std::str::FromStr;

use crate::id::ParseError;
use crate::time::TimeMs;

/// How long it counts that somebody is in a group after their provider asserted it, in milliseconds.
pub const ASSERTED_MS_MAX: u64 = 15 * 60 * 1000;

/// Whether what was asserted then counts now.
#[must_use]
pub fn counts(asserted_at: TimeMs, now: TimeMs) -> bool {
    asserted_at <= now && now.ms_since(asserted_at) < ASSERTED_MS_MAX
}

/// What a provider calls a group: any text of 1 to 256 bytes without control characters, compared byte by byte.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupName(Box<str>);

impl GroupName {
    /// The longest, in bytes.
    pub const BYTES_MAX: usize = 256;

    /// It as text. Somebody else wrote it: whoever shows it makes visible what is not.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for GroupName {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        const HELP: &str = "the group's name at its provider: 1 to 256 bytes without control characters";
        let fail = |problem: String| Err(ParseError::new("name of a group", text, problem, HELP));
        if text.is_empty() {
            return fail("it is empty".into());
        }
        if text.len() > Self::BYTES_MAX {
            return fail(format!("it has {} bytes, and {} is the most", text.len(), Self::BYTES_MAX));
        }
        match text.char_indices().find(|(_, c)| c.is_control()) {
            Some((at, c)) => fail(format!("`{}` at byte {at} is not allowed", c.escape_default())),
            None => Ok(Self(text.into())),
        }
    }
}

impl fmt::Display for GroupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for GroupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GroupName({:?})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_called_whatever_can_be_seen_and_kept() {
        let long = "x".repeat(GroupName::BYTES_MAX);
        for name in ["finance", "/Finance/Payments", "CN=A,DC=b", "*", "<b>\"'&", "Führung \u{202e}x", " ", &long] {
            assert_eq!(name.parse::<GroupName>().unwrap().as_str(), name);
        }
        let too_long = format!("{long}x");
        for (name, expect) in [
            ("", "`` is no name of a group: it is empty"),
            ("a\nb", "`a\\nb` is no name of a group: `\\n` at byte 1 is not allowed"),
            ("a\u{0}", "`a\\u{0}` is no name of a group: `\\u{0}` at byte 1 is not allowed"),
            ("\u{85}", "`\\u{85}` is no name of a group: `\\u{85}` at byte 0 is not allowed"),
        ] {
            let error = name.parse::<GroupName>().unwrap_err();
            assert_eq!(error.to_string(), expect);
            assert!(error.help().contains("1 to 256 bytes"), "{}", error.help());
        }
        assert!(
            too_long.parse::<GroupName>().unwrap_err().to_string().ends_with("it has 257 bytes, and 256 is the most")
        );
    }
}
