//! A quick look at whether a text is an object in the canonical form of RFC 8785: a verifier asks that of every
//! entry, and to parse each and write it anew would be most of its work.
//!
//! It says yes to what entries look like: names in ASCII without escapes, whole numbers of few digits, not deep.
//! Anything else it leaves to [`crate::EntryBody::parse`], which is the one that refuses.
//!
//! INVARIANT: it says yes to nothing that would be refused there.

/// How deep values may stand in one another. What is parsed may be deeper.
const DEPTH_MAX: usize = 32;
/// More digits could be a number beyond 2^53 - 1.
const DIGITS_MAX: usize = 15;

/// Whether it certainly is.
pub(crate) fn is_plainly_canonical(text: &str) -> bool {
    let mut look = Look(text.as_bytes());
    text.starts_with('{') && look.value(DEPTH_MAX).is_some() && look.0.is_empty()
}

/// What has not been looked at yet. A step that gives none has found something that is not plain.
struct Look<'a>(&'a [u8]);

impl<'a> Look<'a> {
    fn value(&mut self, deeper: usize) -> Option<()> {
        match self.0.first()? {
            b'{' => self.object(deeper.checked_sub(1)?),
            b'[' => self.array(deeper.checked_sub(1)?),
            b'"' => self.text(),
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'n' => self.word(b"null"),
            _ => self.number(),
        }
    }

    fn object(&mut self, deeper: usize) -> Option<()> {
        self.word(b"{")?;
        if self.word(b"}").is_some() {
            return Some(());
        }
        let mut last: Option<&[u8]> = None;
        loop {
            let name = self.name()?;
            // Of ASCII, the order of UTF-16 is that of bytes. Each name stands once.
            if last.is_some_and(|last| last >= name) {
                return None;
            }
            last = Some(name);
            self.word(b":")?;
            self.value(deeper)?;
            if self.word(b",").is_none() {
                return self.word(b"}");
            }
        }
    }

    fn array(&mut self, deeper: usize) -> Option<()> {
        self.word(b"[")?;
        if self.word(b"]").is_some() {
            return Some(());
        }
        loop {
            self.value(deeper)?;
            if self.word(b",").is_none() {
                return self.word(b"]");
            }
        }
    }

    fn name(&mut self) -> Option<&'a [u8]> {
        self.word(b"\"")?;
        let end = self.0.iter().position(|byte| !matches!(byte, b' '..=b'~') || matches!(byte, b'"' | b'\\'))?;
        let name = self.take(end)?;
        self.word(b"\"")?;
        Some(name)
    }

    fn text(&mut self) -> Option<()> {
        self.word(b"\"")?;
        loop {
            let end = self.0.iter().position(|byte| matches!(byte, 0..b' ' | b'"' | b'\\'))?;
            self.take(end)?;
            match self.0 {
                [b'"', ..] => return self.take(1).map(drop),
                // The two escapes that are always needed. Those of control characters are left to the parser.
                [b'\\', b'"' | b'\\', ..] => self.take(2)?,
                _ => return None,
            };
        }
    }

    /// A whole number without an exponent; what follows it is looked at by whoever asked.
    fn number(&mut self) -> Option<()> {
        if self.word(b"0").is_some() {
            return Some(());
        }
        let _ = self.word(b"-");
        let digits = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let first = self.take(digits)?.first()?;
        (*first != b'0' && digits <= DIGITS_MAX).then_some(())
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        self.0 = self.0.strip_prefix(word)?;
        Some(())
    }

    fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_entries_look_like_is_plain() {
        for text in [
            "{}",
            r#"{"":""}"#,
            r#"{"a":{"a":[],"b":[{},[1,"x"]]},"b":[true,false,null]}"#,
            r#"{"n":[0,-1,10,1767323045678,999999999999999,-999999999999999]}"#,
            "{\"t\":\"\u{e9}\u{1f600}\u{7f} /\\\"\\\\\"}",
            r#"{"type":"decision","type_":1}"#,
        ] {
            assert!(is_plainly_canonical(text), "{text}");
        }
    }

    #[test]
    fn what_is_not_plain_is_left_to_the_parser() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(DEPTH_MAX), "]".repeat(DEPTH_MAX));
        for text in [
            "",
            "[]",
            "1",
            "\"\"",
            "{",
            "{}{}",
            " {}",
            "{}\n",
            "{ }",
            r#"{"a"}"#,
            r#"{"a":}"#,
            r#"{"a":1,}"#,
            r#"{,"a":1}"#,
            r#"{"a":[1,]}"#,
            r#"{"a":[,1]}"#,
            r#"{"a":[1 ,2]}"#,
            r#"{"b":1,"a":2}"#,
            r#"{"a":1,"a":1}"#,
            r#"{"a":00}"#,
            r#"{"a":01}"#,
            r#"{"a":-0}"#,
            r#"{"a":-}"#,
            r#"{"a":+1}"#,
            r#"{"a":1.5}"#,
            r#"{"a":1e2}"#,
            r#"{"a":0x1}"#,
            r#"{"a":1000000000000000}"#,
            r#"{"a":tru}"#,
            r#"{"a":truer}"#,
            r#"{"a":NaN}"#,
            r#"{"a":"\n"}"#,
            r#"{"a":"\u0061"}"#,
            r#"{"a":"\/"}"#,
            r#"{"a":"\"}"#,
            "{\"a\":\"\t\"}",
            r#"{"\"":1}"#,
            "{\"\u{e9}\":1}",
            "{\"\u{7f}\":1}",
            &deep,
        ] {
            assert!(!is_plainly_canonical(text), "{text}");
        }
    }
}
