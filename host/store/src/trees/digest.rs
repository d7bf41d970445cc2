//! Over all that the store holds: a digest, wherever it stands, and a look at each value of the state.

use attorn_core::Digest;
use attorn_log::Hash;

use super::{FILED_KEY, HEADER_BYTES, IMPRINT_KEY, STORE_KEY, TreeName, Trees};
use crate::error::StorageError;
use crate::filed::digest_in;
use crate::key::{Key, KeyPrefix};

const DIGEST_CONTEXT: &str = "attorn store digest v3";

impl Trees {
    /// Look at all that stands in the state, as it is stored, but for the keys with a prefix.
    pub(crate) fn each_of_state_but(
        &self,
        prefix: &KeyPrefix,
        mut look: impl FnMut(&[u8], &[u8]),
    ) -> Result<(), StorageError> {
        let state = self.tree(TreeName::State);
        let (before, after) =
            (state.range::<&[u8], _>(..prefix.as_bytes()), state.range::<&[u8], _>(prefix.end().as_slice()..));
        for pair in before.chain(after) {
            let (key, value) = pair?;
            look(&key, &value);
        }
        Ok(())
    }

    /// Over all keys and values, in their order, and the root of the log: entries and records count wherever they are.
    pub(crate) fn digest(&self, root: Hash) -> Result<Digest, StorageError> {
        let mut hasher = blake3::Hasher::new_derive_key(DIGEST_CONTEXT);
        hasher.update(&root.0);
        for tree in [TreeName::State, TreeName::Head] {
            for pair in self.tree(tree) {
                let (key, value) = pair?;
                // Which store it is, what was filed and the imprint stand in there, too, and say nothing about what it
                // holds.
                if tree == TreeName::Head && [STORE_KEY, FILED_KEY, IMPRINT_KEY].contains(&&*key) {
                    continue;
                }
                let value = if tree == TreeName::State { stand_in(&key, &value) } else { value.to_vec() };
                hasher.update(&[tree.number()]);
                for part in [&key[..], &value[..]] {
                    hasher.update(&(part.len() as u64).to_be_bytes()).update(part);
                }
            }
        }
        Ok(Digest::from_bytes(hasher.finalize().into()))
    }
}

/// What stands for a value of the state in the digest over it: of a decision record, wherever it is, its header and its
/// digest.
fn stand_in(key: &[u8], stored: &[u8]) -> Vec<u8> {
    let digest = || digest_in(&Key::from_stored(key), stored.get(HEADER_BYTES..)?);
    digest().map_or_else(|| stored.to_vec(), |digest| [&stored[..HEADER_BYTES], &digest].concat())
}
