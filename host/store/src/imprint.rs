//! The imprint of the state: by it a state that somebody else wrote is told from ours.
//!
//! The tree over the log tells whether an entry was changed. Nothing of that kind tells it of the state, and who may act
//! stands there: whoever writes the files could give an agent a wider ceiling, make an operator, or put a user's record
//! back as it was before a revocation, and frames and checksums, which anybody can compute, would fit. So each group
//! carries the exclusive or of a keyed hash over each key and what is stored under it. A value that changes takes its old
//! hash out and brings its new one in, so that keeping it costs two hashes a value; and what was added, changed, taken
//! away or put back is seen by whoever computes it anew over all, which every opening does.
//!
//! ```text
//! head  "imprint"  → form (1) ‖ which key (8) ‖ the sum (32), encrypted ‖ tag (16)
//! ```
//!
//! The sum is encrypted, so that nobody learns from many of them what single values add to it, and looks for others that
//! come to the same. With it goes, as associated data, where the store stands: id of the log, epoch, version, number of
//! entries, last link, and the root of the tree over them. An older imprint therefore fits no newer log, and a log that
//! was written anew fits none. What is read of the log is compared with that root ([`crate::proved`]).
//!
//! Decision records have no part in it: their entries name their digests, and they move from engine to files. A whole
//! store that is put back as it was at an earlier moment, log and all, has its imprint of then: that is seen by those who
//! have seen more of the log (see [`crate::Seen`]). Groups without entries that came after the last entry can be undone like
//! that, and nobody has seen more.

mod parts;

use std::sync::Arc;

use attorn_log::{Hash, TreeError, tree};
use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

use crate::error::StorageError;
use crate::head::{self, Head, LogName};
use crate::key::{KeyKind, KeyPrefix};
use crate::redo::Write;
use crate::trees::{Raw, TreeName, Trees, imprint_write};

pub(crate) use self::parts::check_parts;

const FORM: u8 = 2;
/// It did not cover the tree.
const FORM_WITHOUT_TREE: u8 = 1;
const NAME_BYTES: usize = 8;
const SUM_BYTES: usize = 32;
const HASH_CONTEXT: &str = "attorn imprint value v1";
const CIPHER_CONTEXT: &str = "attorn imprint cipher v1";
const NAME_CONTEXT: &str = "attorn imprint key name v1";

/// The key that imprints are made with. Whoever has it can make a state that passes for ours.
#[derive(Clone)]
pub struct ImprintKey(Arc<Keys>);

struct Keys {
    hash: Zeroizing<[u8; 32]>,
    cipher: Zeroizing<[u8; 32]>,
    /// Tells keys apart; says nothing about any.
    name: [u8; NAME_BYTES],
}

impl ImprintKey {
    /// The key of a secret, which is for nothing else.
    #[must_use]
    pub fn of(secret: &[u8; 32]) -> Self {
        let derive = |context| Zeroizing::new(blake3::derive_key(context, secret));
        let mut name = [0; NAME_BYTES];
        name.copy_from_slice(&derive(NAME_CONTEXT)[..NAME_BYTES]);
        Self(Arc::new(Keys { hash: derive(HASH_CONTEXT), cipher: derive(CIPHER_CONTEXT), name }))
    }

    fn cipher(&self) -> Result<LessSafeKey, StorageError> {
        let key = UnboundKey::new(&AES_256_GCM_SIV, self.0.cipher.as_slice());
        key.map(LessSafeKey::new).map_err(|_| StorageError::new(&"the cryptographic library takes no key"))
    }
}

impl std::fmt::Debug for ImprintKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ImprintKey([redacted])")
    }
}

/// Why a state is not taken for ours.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ImprintError {
    /// There is none: it was removed, or an earlier program made the store.
    #[error("the store has no imprint of its state: an earlier version made it, or somebody removed it")]
    Missing,
    /// It is of another key.
    #[error("the imprint of the store's state was made with another root key")]
    OtherKey,
    /// It was changed, or is of another moment, or the log was.
    #[error("the imprint of the store's state does not fit its log: one of both was changed, or put back")]
    NotOfHere,
    /// Something in the state was changed.
    #[error("the store's state is not what this server wrote: something in it was changed, added, removed or put back")]
    Differs,
    /// It could not be computed.
    #[error("the imprint of the store's state could not be computed")]
    Storage(#[from] StorageError),
}

/// Whether a state is taken that somebody else may have written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForeignState {
    /// It is not.
    Refused,
    /// It is, and gets an imprint: somebody has looked at it and answers for it.
    Accepted,
}

/// The sum over a state.
#[derive(Clone, Copy)]
pub(crate) struct Imprint([u8; SUM_BYTES]);

impl Imprint {
    pub(crate) const EMPTY: Self = Self([0; SUM_BYTES]);

    /// Compute it over all that the engine holds.
    pub(crate) fn over(key: &ImprintKey, trees: &Trees) -> Result<Self, StorageError> {
        let mut sum = Self::EMPTY;
        trees.each_of_state_but(&apart(), |at, value| sum.toggle(key, at, value))?;
        Ok(sum)
    }

    /// What it comes to when these writes are made, of which none is made yet; `before` tells what stands under a key.
    pub(crate) fn after(
        mut self,
        key: &ImprintKey,
        before: impl Fn(&[u8]) -> Result<Option<Raw>, StorageError>,
        writes: &[Write],
    ) -> Result<Self, StorageError> {
        for Write { key: at, value, .. } in writes.iter().filter(|write| is_of_state(write)) {
            if let Some(before) = before(at)? {
                self.toggle(key, at, &before);
            }
            if let Some(value) = value {
                self.toggle(key, at, value);
            }
        }
        Ok(self)
    }

    /// Bring a value in, or take it out again.
    fn toggle(&mut self, key: &ImprintKey, at: &[u8], value: &[u8]) {
        let mut hasher = blake3::Hasher::new_keyed(&key.0.hash);
        hasher.update(&(at.len() as u64).to_be_bytes()).update(at).update(value);
        self.add(Self(*hasher.finalize().as_bytes()));
    }

    /// Bring in what several values come to, or take it out again.
    fn add(&mut self, other: Self) {
        for (sum, byte) in self.0.iter_mut().zip(other.0) {
            *sum ^= byte;
        }
    }

    /// The write that keeps it.
    pub(crate) fn write(
        self,
        key: &ImprintKey,
        (log, head): (&LogName, &Head),
        root: Hash,
    ) -> Result<Write, StorageError> {
        let mut sealed = self.0.to_vec();
        let sealing = key.cipher()?.seal_in_place_append_tag(nonce(head), place(log, head, root), &mut sealed);
        sealing.map_err(|_| StorageError::new(&"the imprint of the state could not be encrypted"))?;
        Ok(imprint_write([&[FORM][..], &key.0.name, &sealed].concat()))
    }

    /// The imprint that is kept.
    fn kept(
        key: &ImprintKey,
        row: Option<Vec<u8>>,
        (log, head): (&LogName, &Head),
        root: Hash,
    ) -> Result<Self, ImprintError> {
        let row = row.filter(|row| row.first() != Some(&FORM_WITHOUT_TREE)).ok_or(ImprintError::Missing)?;
        let (name, sealed) = row
            .strip_prefix(&[FORM])
            .and_then(<[u8]>::split_first_chunk::<NAME_BYTES>)
            .ok_or(ImprintError::NotOfHere)?;
        if *name != key.0.name {
            return Err(ImprintError::OtherKey);
        }
        let mut sealed = sealed.to_vec();
        let opened = key.cipher()?.open_in_place(nonce(head), place(log, head, root), &mut sealed);
        let sum = opened.ok().and_then(|sum| <[u8; SUM_BYTES]>::try_from(&*sum).ok());
        sum.map(Self).ok_or(ImprintError::NotOfHere)
    }

    /// See whether what was computed is what is kept. It takes the same time wherever they differ.
    fn check_is(self, found: Self) -> Result<(), ImprintError> {
        let is_same = blake3::Hash::from_bytes(self.0) == blake3::Hash::from_bytes(found.0);
        if is_same { Ok(()) } else { Err(ImprintError::Differs) }
    }
}

/// Compute the imprint over a state, and see whether it is the one that is kept.
pub(crate) fn check(key: &ImprintKey, trees: &Trees, log: &LogName, head: &Head) -> Result<Imprint, ImprintError> {
    let root = match root_in(trees, head) {
        Err(TreeError::Source(error)) => return Err(error.into()),
        root => root.map_err(|_| ImprintError::NotOfHere)?,
    };
    let kept = Imprint::kept(key, trees.imprint()?, (log, head), root)?;
    let found = Imprint::over(key, trees)?;
    kept.check_is(found)?;
    Ok(found)
}

/// Whether a write has part in it.
fn is_of_state(write: &Write) -> bool {
    write.tree == TreeName::State && !write.key.starts_with(apart().as_bytes())
}

/// The keys that have no part in it.
fn apart() -> KeyPrefix {
    KeyPrefix::kind(KeyKind::Decision)
}

/// The root of the log's tree, as the engine has it. All of its nodes are there, whatever is in files.
pub(crate) fn root_in(trees: &Trees, head: &Head) -> Result<Hash, TreeError<StorageError>> {
    tree::root(head.size, |id| trees.node(id))
}

/// Where the store stands.
fn place(log: &LogName, head: &Head, root: Hash) -> Aad<Vec<u8>> {
    Aad::from([head::encode(log, head).as_slice(), &root.0].concat())
}

/// Each version has one group that ends with it. Where a group was lost with the disk, another one has its version, and
/// this cipher bears a nonce twice: it would tell only that both sums are the same.
fn nonce(head: &Head) -> Nonce {
    let mut nonce = [0; NONCE_LEN];
    nonce[..8].copy_from_slice(&head.version.to_be_bytes());
    Nonce::assume_unique_for_key(nonce)
}

#[cfg(test)]
#[path = "imprint_tests.rs"]
mod tests;
