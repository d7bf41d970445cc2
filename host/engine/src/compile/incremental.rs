//! What compiling one component leaves for compiling it again with other settings: the machine code of
//! each of its functions. It is kept for one component only, so that no component can leave anything
//! for another.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use wasmtime::CacheStore;

/// The most bytes that are kept. What comes after that is compiled anew each time.
const BYTES_MAX: usize = 128 << 20;
/// What an entry takes beside its key and value.
const LENGTHS_BYTES: usize = 8;

/// Keys and values of the compiler's.
#[derive(Default)]
pub(crate) struct Functions(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    entries: BTreeMap<Vec<u8>, Vec<u8>>,
    bytes: usize,
}

impl Functions {
    /// What [`Functions::to_bytes`] put out; nothing, if it is anything else.
    pub(crate) fn from_bytes(mut bytes: &[u8]) -> Self {
        let mut kept = Kept::default();
        while !bytes.is_empty() {
            let Some(key) = take(&mut bytes) else { return Self::default() };
            let Some(value) = take(&mut bytes) else { return Self::default() };
            kept.insert(key, value.to_vec());
        }
        Self(Mutex::new(kept))
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut bytes = Vec::with_capacity(kept.bytes);
        for part in kept.entries.iter().flat_map(|(key, value)| [key, value]) {
            bytes.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes());
            bytes.extend_from_slice(part);
        }
        bytes
    }
}

impl Kept {
    fn insert(&mut self, key: &[u8], value: Vec<u8>) -> bool {
        let more = key.len() + value.len() + LENGTHS_BYTES;
        if self.bytes + more > BYTES_MAX || self.entries.contains_key(key) {
            return false;
        }
        self.bytes += more;
        self.entries.insert(key.to_vec(), value);
        true
    }
}

fn take<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (part, rest) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
    *bytes = rest;
    Some(part)
}

impl CacheStore for Functions {
    fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.entries.get(key).map(|value| Cow::Owned(value.clone()))
    }

    fn insert(&self, key: &[u8], value: Vec<u8>) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key, value)
    }
}

impl fmt::Debug for Functions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Functions")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_is_found_again_and_a_cut_is_nothing() {
        let functions = Functions::default();
        assert!(functions.insert(b"key", b"value".to_vec()));
        assert!(functions.insert(b"", Vec::new()));
        assert!(!functions.insert(b"key", b"other".to_vec()), "the first one stays");
        let bytes = functions.to_bytes();
        let again = Functions::from_bytes(&bytes);
        assert_eq!(again.get(b"key").as_deref(), Some(&b"value"[..]));
        assert_eq!(again.to_bytes(), bytes);
        for end in (1..bytes.len()).filter(|end| *end != 8) {
            assert!(Functions::from_bytes(&bytes[..end]).to_bytes().is_empty(), "cut at {end}");
        }
    }

    #[test]
    fn there_is_an_end_to_it() {
        let functions = Functions::default();
        assert!(functions.insert(b"a", vec![0; BYTES_MAX / 2]));
        assert!(!functions.insert(b"b", vec![0; BYTES_MAX / 2]));
    }
}
