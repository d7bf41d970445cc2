//! An entry of the audit log and the link that ties the next one to it.
//!
//! An entry is two lines of text, so that an export can be read and searched without any tool:
//!
//! ```text
//! attorn-entry/v1 <log id> <epoch> <index> <previous link, 64 hex digits>
//! <body: one canonical JSON object>
//! ```
//!
//! There is exactly one way to write an entry: what [`Entry::parse`] takes, [`Entry::to_bytes`] gives
//! back byte by byte. A link is a check of content and place; that an entry is in the log is proved by
//! the tree alone.

use std::fmt;
use std::str::FromStr;

use attorn_core::{Digest, ParseError};

use crate::body::{BodyError, EntryBody};
use crate::reference::EntryRef;
use crate::tree::{Hash, leaf_hash};

const MAGIC: &str = "attorn-entry/v1";
const LINK_CONTEXT: &str = "attorn audit link v1";

/// What ties an entry to all before it: BLAKE3 in key derivation mode over
/// `origin ‖ epoch ‖ index ‖ previous link ‖ body`, where numbers are 8 bytes, big-endian, and origin
/// and body have their length in bytes before them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Link(Digest);

impl Link {
    /// What stands in an epoch's first entry in place of a previous link.
    pub const NONE: Self = Self::from_bytes([0; 32]);

    /// A link that was stored.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Digest::from_bytes(bytes))
    }

    /// Its 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }
}

impl FromStr for Link {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        text.parse().map(Self)
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Link({self})")
    }
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where it stands.
    pub at: EntryRef,
    /// The link of the entry before it, or [`Link::NONE`] in the first.
    pub previous: Link,
    /// What it says.
    pub body: EntryBody,
}

/// Why bytes are no entry.
#[derive(Debug, thiserror::Error)]
pub enum EntryError {
    /// There are too many.
    #[error("the entry has {bytes} bytes, and {} is the most", Entry::BYTES_MAX)]
    TooLong {
        /// How many there are.
        bytes: usize,
    },
    /// They are not UTF-8.
    #[error("the entry is not utf-8")]
    NotText,
    /// They are not two lines, each with its end.
    #[error("the entry is not exactly two lines")]
    NotTwoLines,
    /// The first line has other fields, or more blanks between them.
    #[error("the entry's first line is not `{MAGIC} <log id> <epoch> <index> <previous link>`")]
    Envelope,
    /// The first line names something in a way that cannot be read.
    #[error("the entry's first line has a field that cannot be read")]
    Field(#[from] ParseError),
    /// The second line is no body.
    #[error("the entry's body cannot be taken")]
    Body(#[from] BodyError),
}

impl Entry {
    /// The longest entry, in bytes: what an entry bundle of C2SP tlog-tiles can hold.
    pub const BYTES_MAX: usize = 65_535;

    /// The bytes that are stored, exported and hashed.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let Self { at, previous, body } = self;
        let body = body.as_str();
        format!("{MAGIC} {} {} {} {previous}\n{body}\n", at.log_id, at.epoch, at.index).into_bytes()
    }

    /// Read an entry from its bytes. No other bytes make the same entry.
    pub fn parse(bytes: &[u8]) -> Result<Self, EntryError> {
        if bytes.len() > Self::BYTES_MAX {
            return Err(EntryError::TooLong { bytes: bytes.len() });
        }
        let text = std::str::from_utf8(bytes).map_err(|_| EntryError::NotText)?;
        let lines = text.strip_suffix('\n').and_then(|text| text.split_once('\n'));
        let (envelope, body) = lines.filter(|(_, body)| !body.contains('\n')).ok_or(EntryError::NotTwoLines)?;
        let fields: Vec<&str> = envelope.split(' ').collect();
        let [MAGIC, log_id, epoch, index, previous] = fields[..] else {
            return Err(EntryError::Envelope);
        };
        let at = format!("{log_id}/{epoch}/{index}").parse()?;
        Ok(Self { at, previous: previous.parse()?, body: EntryBody::parse(body)? })
    }

    /// The link that the next entry has to carry.
    #[must_use]
    pub fn link(&self) -> Link {
        let mut hasher = blake3::Hasher::new_derive_key(LINK_CONTEXT);
        let (origin, body) = (self.at.origin().to_string(), self.body.as_str());
        hasher.update(&(origin.len() as u64).to_be_bytes()).update(origin.as_bytes());
        hasher.update(&self.at.epoch.0.to_be_bytes()).update(&self.at.index.to_be_bytes());
        hasher.update(self.previous.as_bytes());
        hasher.update(&(body.len() as u64).to_be_bytes()).update(body.as_bytes());
        Link::from_bytes(hasher.finalize().into())
    }

    /// The hash of its leaf in the tree.
    #[must_use]
    pub fn leaf_hash(&self) -> Hash {
        leaf_hash(&self.to_bytes())
    }
}

#[cfg(test)]
#[path = "entry_tests.rs"]
mod tests;
