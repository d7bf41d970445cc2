//! Keys of the state. Each is made by a constructor from parsed ids, so a key of one kind can never be
//! read as one of another, and two different things never share a key.
//!
//! A key is the name of its kind and then its segments, with a zero byte before each. No id may hold a
//! control character, so a zero byte never stands inside a segment; numbers are written as hexadecimal
//! digits of fixed width, so that keys sort as the numbers do.
//!
//! What a key's value means is not known here: see [`crate::records`].

mod approvals;
mod decisions;
mod delegations;
mod kind;
mod leases;
mod own;
mod parties;
mod policies;
mod prefix;

use std::borrow::Borrow;
use std::fmt;

use attorn_core::TimeMs;

pub use self::kind::{KeyKind, KeyPurpose};
pub use self::prefix::KeyPrefix;

/// The most bytes that a key has; the longest ids do not reach it.
pub const KEY_BYTES_MAX: usize = 1_024;

const SEPARATOR: u8 = 0;

/// The key of one value.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(Box<[u8]>);

/// They are equal, and have the same hash, as their bytes are and have.
impl Borrow<[u8]> for Key {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl Key {
    fn of(kind: KeyKind, segments: &[&str]) -> Self {
        let mut bytes = kind.as_str().as_bytes().to_vec();
        for segment in segments {
            bytes.push(SEPARATOR);
            bytes.extend_from_slice(segment.as_bytes());
        }
        Self(bytes.into())
    }

    /// What kind of thing it names; none if the bytes came from a store that knows more kinds.
    #[must_use]
    pub fn kind(&self) -> Option<KeyKind> {
        let name = self.0.split(|&byte| byte == SEPARATOR).next()?;
        KeyKind::ALL.iter().copied().find(|kind| kind.as_str().as_bytes() == name)
    }

    pub(crate) fn last_segment(&self) -> Option<&str> {
        self.0.rsplit(|&byte| byte == SEPARATOR).next().and_then(|segment| std::str::from_utf8(segment).ok())
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn from_stored(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }
}

fn hex_time(time: TimeMs) -> String {
    format!("{:016x}", time.0)
}

impl fmt::Display for Key {
    /// The kind and the segments, joined by `/`. A wrapped key's name shows; its value is elsewhere.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|&byte| match byte {
            SEPARATOR => f.write_str("/"),
            _ => write!(f, "{}", byte.escape_ascii()),
        })
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({self})")
    }
}

#[cfg(test)]
#[path = "key_tests.rs"]
mod tests;
