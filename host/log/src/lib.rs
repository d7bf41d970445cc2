//! The audit log: what its entries look like, how they hang together, and how anybody proves that
//! nobody changed them.
//!
//! An [`Entry`] carries the [`Link`] of the one before it; an RFC 6962 [`tree`] stands over the bytes
//! of all of them; a [`checkpoint`] signs the tree's root. From these come the [`receipt`], which
//! proves one entry offline, and the [`export`], which [`verify_export`] re-hashes from first to last.
//! The tree is what is authoritative: links are there so that a change can be placed.
//!
//! Nothing here opens a file, reads a clock, draws randomness or is `async`. Whoever stores entries
//! brings their bytes, whoever signs brings the seed, and whoever verifies brings a reader.

pub mod body;
pub mod checkpoint;
pub mod entry;
pub mod export;
pub mod key;
mod note;
pub mod receipt;
pub mod reference;
pub mod tree;
pub mod verify;

pub use body::{BodyError, EntryBody};
pub use checkpoint::{Checkpoint, CheckpointError, CheckpointSigner, SignedCheckpoint};
pub use entry::{Entry, EntryError, Link};
pub use export::export_header;
pub use key::{CheckpointVerifier, KeyError};
pub use receipt::{LoggedEntry, RECEIPT_MAGIC, Receipt, ReceiptError};
pub use reference::{EntryRef, Epoch, LogId, Origin};
pub use tree::{Hash, NodeId, TreeBuilder, TreeError};
pub use verify::{Progress, Trust, Verified, Verifier, VerifyError, verify_export, verify_export_with};

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod golden_tests;
#[cfg(test)]
mod hostile_tests;
