//! How a log, one of its epochs and one of its entries are named.
//!
//! A name says nothing about whether the thing exists, and none of these can be made from text
//! without being checked.

use std::fmt;
use std::str::FromStr;

use attorn_core::ParseError;

/// The name of a log: 1 to 64 of lower-case letters, digits and `-`. Made only by parsing.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LogId(Box<str>);

impl LogId {
    /// The longest, in bytes.
    pub const BYTES_MAX: usize = 64;

    /// It as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for LogId {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        const HELP: &str = "lower-case letters, digits and `-`, at most 64";
        let fail = |problem: String| Err(ParseError::new("log id", text, problem, HELP));
        if text.is_empty() {
            return fail("it is empty".into());
        }
        if text.len() > Self::BYTES_MAX {
            return fail(format!("it has {} bytes, and {} is the most", text.len(), Self::BYTES_MAX));
        }
        match text.chars().find(|&c| !matches!(c, 'a'..='z' | '0'..='9' | '-')) {
            Some(bad) => fail(format!("`{}` is not allowed", bad.escape_default())),
            None => Ok(Self(text.into())),
        }
    }
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogId({})", self.0)
    }
}

/// One life of a log. A log that had to begin anew, because its past was lost or its key was stolen,
/// does so under the next number, and nothing of one epoch passes for part of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Epoch(pub u64);

impl FromStr for Epoch {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        decimal(text).map(Self).ok_or_else(|| no_number("epoch", text))
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a log's epoch is called in the open: `attorn/<log id>/<epoch>`. It is the first line of every
/// checkpoint and the name of the key that signs it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin {
    /// Which log.
    pub log_id: LogId,
    /// Which of its epochs.
    pub epoch: Epoch,
}

impl Origin {
    /// The origin of this epoch of this log.
    #[must_use]
    pub fn of(log_id: &LogId, epoch: Epoch) -> Self {
        Self { log_id: log_id.clone(), epoch }
    }
}

impl FromStr for Origin {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let parts: Vec<&str> = text.split('/').collect();
        match parts[..] {
            ["attorn", log_id, epoch] => Ok(Self { log_id: log_id.parse()?, epoch: epoch.parse()? }),
            _ => Err(ParseError::new("origin", text, "it has other parts", "`attorn/<log id>/<epoch>`")),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "attorn/{}/{}", self.log_id, self.epoch)
    }
}

/// One entry: `<log id>/<epoch>/<index>`. The index is the entry's sequence and its leaf's index in
/// the tree, from 0.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntryRef {
    /// Which log.
    pub log_id: LogId,
    /// Which of its epochs.
    pub epoch: Epoch,
    /// Which entry of it.
    pub index: u64,
}

impl EntryRef {
    /// The origin that it belongs to.
    #[must_use]
    pub fn origin(&self) -> Origin {
        Origin::of(&self.log_id, self.epoch)
    }
}

impl FromStr for EntryRef {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let parts: Vec<&str> = text.split('/').collect();
        match parts[..] {
            [log_id, epoch, index] => Ok(Self {
                log_id: log_id.parse()?,
                epoch: epoch.parse()?,
                index: decimal(index).ok_or_else(|| no_number("entry index", index))?,
            }),
            _ => Err(ParseError::new("entry reference", text, "it has other parts", "`<log id>/<epoch>/<index>`")),
        }
    }
}

impl fmt::Display for EntryRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.log_id, self.epoch, self.index)
    }
}

/// The only spelling of a whole number that is taken anywhere in the log: digits without a sign and
/// without a zero in front. `str::parse` alone would take `+1` and `01`.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    let canonical = text == "0" || !text.starts_with(['0', '+']);
    canonical.then(|| text.parse().ok()).flatten()
}

fn no_number(what: &'static str, text: &str) -> ParseError {
    ParseError::new(what, text, "it is no whole number", "digits without a sign or leading zeros, below 2^64")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused<T: FromStr<Err = ParseError> + fmt::Debug>(input: &str, message: &str) {
        assert_eq!(input.parse::<T>().unwrap_err().to_string(), message);
    }

    #[test]
    fn hostile_names_are_refused() {
        refused::<LogId>("", "`` is no log id: it is empty");
        refused::<LogId>("Main", "`Main` is no log id: `M` is not allowed");
        refused::<LogId>("a_b", "`a_b` is no log id: `_` is not allowed");
        refused::<LogId>("a/b", "`a/b` is no log id: `/` is not allowed");
        refused::<LogId>("a\n", "`a\\n` is no log id: `\\n` is not allowed");
        assert!("a".repeat(64).parse::<LogId>().is_ok());
        assert!("a".repeat(65).parse::<LogId>().is_err());
        for epoch in ["", "+1", "-1", "01", "00", " 1", "1 ", "1e3", "18446744073709551616", "\u{661}"] {
            assert!(epoch.parse::<Epoch>().is_err(), "{epoch:?}");
            assert!(format!("main/1/{epoch}").parse::<EntryRef>().is_err(), "{epoch:?}");
            assert!(format!("attorn/main/{epoch}").parse::<Origin>().is_err(), "{epoch:?}");
        }
        refused::<Origin>("main/1", "`main/1` is no origin: it has other parts");
        refused::<Origin>("attorn/main/1/2", "`attorn/main/1/2` is no origin: it has other parts");
        refused::<Origin>("Attorn/main/1", "`Attorn/main/1` is no origin: it has other parts");
        refused::<EntryRef>("main/1", "`main/1` is no entry reference: it has other parts");
        refused::<EntryRef>("main/1/2/", "`main/1/2/` is no entry reference: it has other parts");
    }

    #[test]
    fn what_was_parsed_prints_the_same() {
        for text in ["main/0/0", "a-1/7/18446744073709551615"] {
            assert_eq!(text.parse::<EntryRef>().unwrap().to_string(), text);
        }
        let origin: Origin = "attorn/main/3".parse().unwrap();
        assert_eq!(origin, Origin::of(&"main".parse().unwrap(), Epoch(3)));
        assert_eq!(origin.to_string(), "attorn/main/3");
        assert_eq!("main/3/9".parse::<EntryRef>().unwrap().origin(), origin);
    }
}
