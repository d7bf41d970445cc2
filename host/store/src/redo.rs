//! What a group comes to: absolute writes, which may be made again and again and come to the same.
//!
//! The journal holds them, base copies are made of them, and the engine is given nothing else. What the
//! keys and values mean is not known here.

use crate::trees::TreeName;

/// One write: a value under a key of a tree, or none any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Write {
    pub(crate) tree: TreeName,
    pub(crate) key: Vec<u8>,
    pub(crate) value: Option<Vec<u8>>,
}

/// All writes of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Redo {
    /// The version of the last batch before it.
    pub(crate) from: u64,
    /// The version of its own last batch.
    pub(crate) to: u64,
    pub(crate) writes: Vec<Write>,
}

const REMOVED: u8 = 0;
const PUT: u8 = 1;

/// `tree (1) ‖ 1 or 0 for none (1) ‖ length of key (2) ‖ length of value (4) ‖ key ‖ value`, one after the other.
pub(crate) fn encode(writes: &[Write]) -> Vec<u8> {
    let value_bytes = |write: &Write| write.value.as_ref().map_or(0, Vec::len);
    let mut bytes = Vec::with_capacity(writes.iter().map(|write| 8 + write.key.len() + value_bytes(write)).sum());
    for write in writes {
        bytes.push(write.tree.number());
        bytes.push(if write.value.is_some() { PUT } else { REMOVED });
        // A batch with longer ones is refused long before.
        bytes.extend_from_slice(&u16::try_from(write.key.len()).unwrap_or(u16::MAX).to_be_bytes());
        bytes.extend_from_slice(&u32::try_from(value_bytes(write)).unwrap_or(u32::MAX).to_be_bytes());
        bytes.extend_from_slice(&write.key);
        bytes.extend_from_slice(write.value.as_deref().unwrap_or_default());
    }
    bytes
}

/// Read what [`encode`] wrote. None if it is anything else.
pub(crate) fn decode(mut bytes: &[u8]) -> Option<Vec<Write>> {
    let mut writes = Vec::new();
    while !bytes.is_empty() {
        let (&[tree, kind], rest) = bytes.split_first_chunk()?;
        let (key_length, rest) = rest.split_first_chunk()?;
        let (value_length, rest) = rest.split_first_chunk()?;
        let (key, rest) = rest.split_at_checked(u16::from_be_bytes(*key_length).into())?;
        let (value, rest) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*value_length)).ok()?)?;
        let value = match kind {
            PUT => Some(value.to_vec()),
            REMOVED if value.is_empty() => None,
            _ => return None,
        };
        writes.push(Write { tree: TreeName::of_number(tree)?, key: key.to_vec(), value });
        bytes = rest;
    }
    Some(writes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_nothing_else() {
        let write =
            |tree, key: &[u8], value: Option<&[u8]>| Write { tree, key: key.into(), value: value.map(Into::into) };
        let writes = [
            write(TreeName::State, b"key", Some(b"value")),
            write(TreeName::State, b"gone", None),
            write(TreeName::Entries, &[0; 8], Some(b"")),
            write(TreeName::Head, b"head", Some(&[7; 300])),
        ];
        let bytes = encode(&writes);
        assert_eq!(decode(&bytes).unwrap(), writes);
        assert_eq!(decode(b"").unwrap(), []);
        let ends: Vec<_> = (0..=writes.len()).map(|n| encode(&writes[..n]).len()).collect();
        for end in 0..bytes.len() {
            assert_eq!(decode(&bytes[..end]).is_some(), ends.contains(&end), "{end}");
        }
        for (at, bad) in [(0, 9), (1, 2), (1, REMOVED)] {
            let mut bytes = bytes.clone();
            bytes[at] = bad;
            assert_eq!(decode(&bytes), None, "{at} {bad}");
        }
    }
}
