//! The offline proof that one entry is in the log, as a C2SP transparency log proof
//! (`c2sp.org/tlog-proof`).
//!
//! ```text
//! c2sp.org/tlog-proof@v1
//! extra <the entry's bytes, base64>
//! index <the entry's index>
//! <hash, base64>            from the leaf's sibling up, one line each
//!
//! <checkpoint>
//! ```
//!
//! Whoever has the log's verifier key needs nothing else. A receipt says nothing about what came
//! after its checkpoint.

use std::fmt;

use data_encoding::BASE64;

use crate::checkpoint::{Checkpoint, CheckpointError, SignedCheckpoint, UnverifiedCheckpoint};
use crate::entry::{Entry, EntryError};
use crate::key::CheckpointVerifier;
use crate::reference::{Origin, decimal};
use crate::tree::{Hash, ProofError, verify_inclusion};

/// How every receipt begins.
pub const RECEIPT_MAGIC: &str = "c2sp.org/tlog-proof@v1";

/// A receipt as it was issued or read. Nothing in it is to be relied on before [`Receipt::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    entry: Vec<u8>,
    index: u64,
    proof: Vec<Hash>,
    note: String,
}

/// An entry that a receipt proved to be in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedEntry {
    /// The entry.
    pub entry: Entry,
    /// The signed head of the log that it is in.
    pub checkpoint: Checkpoint,
    /// The same as it was signed, with whatever witnesses cosigned it.
    pub signed: SignedCheckpoint,
}

/// Why a receipt proves nothing.
#[derive(Debug, thiserror::Error)]
pub enum ReceiptError {
    /// It is too long.
    #[error("the receipt has {bytes} bytes, and {} is the most", Receipt::BYTES_MAX)]
    TooLong {
        /// How many bytes it has.
        bytes: usize,
    },
    /// It does not begin as one.
    #[error("this is no receipt: it does not begin with `{RECEIPT_MAGIC}`")]
    NotAReceipt,
    /// Its second line does not carry the entry.
    #[error("the receipt does not carry its entry: its second line is not `extra <base64>`")]
    Extra,
    /// Its third line is no index.
    #[error("the receipt's third line is not `index <number>`")]
    Index,
    /// A line of the proof is no hash, or there are too many.
    #[error("line {number} of the receipt's proof is no hash")]
    Hash {
        /// Which line, from 1.
        number: usize,
    },
    /// No blank line ends the proof.
    #[error("the receipt has no checkpoint")]
    NoCheckpoint,
    /// Its checkpoint cannot be relied on.
    #[error("the receipt's checkpoint cannot be relied on")]
    Checkpoint(#[from] CheckpointError),
    /// What it carries is no entry.
    #[error("the receipt does not carry an entry")]
    Entry(#[from] EntryError),
    /// The entry is of another log or epoch than the checkpoint.
    #[error("the entry is of `{entry}`, and the checkpoint is of `{checkpoint}`")]
    OtherOrigin {
        /// The entry's.
        entry: Origin,
        /// The checkpoint's.
        checkpoint: Origin,
    },
    /// The entry says that it stands elsewhere.
    #[error("the entry says that it is number {entry}, and the receipt is for {receipt}")]
    OtherIndex {
        /// What the entry says.
        entry: u64,
        /// What the receipt says.
        receipt: u64,
    },
    /// The entry is not in the tree.
    #[error("the entry is not in the log that the checkpoint signs")]
    NotIncluded(#[from] ProofError),
}

impl Receipt {
    /// The longest receipt, in bytes: room for the longest entry in base64, 64 hashes and a note.
    pub const BYTES_MAX: usize = 160 << 10;

    /// The most hashes in a proof: one for each level of the highest tree.
    const HASHES_MAX: usize = 64;

    /// The receipt for an entry, with the proof of [`crate::tree::inclusion_proof`] for its index and
    /// the size of the checkpoint.
    #[must_use]
    pub fn new(entry: &Entry, proof: Vec<Hash>, checkpoint: &SignedCheckpoint) -> Self {
        Self { entry: entry.to_bytes(), index: entry.at.index, proof, note: checkpoint.note().to_owned() }
    }

    /// Read a receipt, without believing it.
    pub fn parse(text: &str) -> Result<Self, ReceiptError> {
        if text.len() > Self::BYTES_MAX {
            return Err(ReceiptError::TooLong { bytes: text.len() });
        }
        let rest = text
            .strip_prefix(RECEIPT_MAGIC)
            .and_then(|rest| rest.strip_prefix('\n'))
            .ok_or(ReceiptError::NotAReceipt)?;
        let (extra, rest) = field(rest, "extra ").ok_or(ReceiptError::Extra)?;
        let entry = BASE64.decode(extra.as_bytes()).map_err(|_| ReceiptError::Extra)?;
        let (index, mut rest) = field(rest, "index ").ok_or(ReceiptError::Index)?;
        let index = decimal(index).ok_or(ReceiptError::Index)?;
        let mut proof = Vec::new();
        loop {
            let (line, after) = rest.split_once('\n').ok_or(ReceiptError::NoCheckpoint)?;
            rest = after;
            if line.is_empty() {
                break;
            }
            let number = proof.len() + 1;
            let hash = Hash::from_base64(line).filter(|_| number <= Self::HASHES_MAX);
            proof.push(hash.ok_or(ReceiptError::Hash { number })?);
        }
        Ok(Self { entry, index, proof, note: rest.to_owned() })
    }

    /// The entry that it brings, unchecked.
    pub fn entry(&self) -> Result<Entry, ReceiptError> {
        Ok(Entry::parse(&self.entry)?)
    }

    /// The proof that it brings, from the leaf's sibling up, unchecked.
    #[must_use]
    pub fn proof(&self) -> &[Hash] {
        &self.proof
    }

    /// The signed checkpoint that it brings, as it stands, unchecked.
    #[must_use]
    pub fn note(&self) -> &str {
        &self.note
    }

    /// The checkpoint that it brings, taken apart and unchecked: it tells which log's key is wanted.
    pub fn checkpoint(&self) -> Result<UnverifiedCheckpoint, ReceiptError> {
        Ok(UnverifiedCheckpoint::parse(self.note.as_bytes())?)
    }

    /// The entry, if the log of this verifier has it where the receipt says.
    pub fn verify(&self, verifier: &CheckpointVerifier) -> Result<LoggedEntry, ReceiptError> {
        let signed = verifier.verify(self.note.as_bytes())?;
        let checkpoint = signed.checkpoint().clone();
        verify_inclusion(self.leaf_hash(), self.index, checkpoint.size, &self.proof, checkpoint.root)?;
        // From here on the entry is the log's; what follows are checks of the log itself.
        let entry = Entry::parse(&self.entry)?;
        if entry.at.origin() != checkpoint.origin {
            return Err(ReceiptError::OtherOrigin { entry: entry.at.origin(), checkpoint: checkpoint.origin });
        }
        if entry.at.index != self.index {
            return Err(ReceiptError::OtherIndex { entry: entry.at.index, receipt: self.index });
        }
        Ok(LoggedEntry { entry, checkpoint, signed })
    }

    fn leaf_hash(&self) -> Hash {
        crate::tree::leaf_hash(&self.entry)
    }
}

impl fmt::Display for Receipt {
    /// The text that [`Receipt::parse`] takes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{RECEIPT_MAGIC}\nextra {}\nindex {}", BASE64.encode_display(&self.entry), self.index)?;
        self.proof.iter().try_for_each(|hash| writeln!(f, "{hash}"))?;
        write!(f, "\n{}", self.note)
    }
}

/// What follows `name` on the first line, and the lines after it.
fn field<'a>(text: &'a str, name: &str) -> Option<(&'a str, &'a str)> {
    text.strip_prefix(name)?.split_once('\n')
}

#[cfg(test)]
#[path = "receipt_tests.rs"]
mod tests;
