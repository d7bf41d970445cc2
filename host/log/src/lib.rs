//! The audit log: what its entries look like, how they hang together, and how anybody proves that
//! nobody changed them.
//!
//! An [`Entry`] carries the [`Link`] of the one before it; an RFC 6962 [`tree`] stands over the bytes
//! of all of them; a [`checkpoint`] signs the tree's root. From these come the [`receipt`], which
//! proves one entry offline, and the [`export`], which [`verify_export`] re-hashes from first to last. In the
//! open a log is a directory of [`tiles`] (C2SP), which [`verify_published`] re-hashes, and [`witness`]es cosign
//! its checkpoints. When an epoch ends, its key names the next one: [`succession`]. The tree is what is authoritative:
//! links are there so that a change can be placed.
//!
//! Nothing here opens a file, reads a clock, draws randomness or is `async`. Whoever stores entries
//! brings their bytes, whoever signs brings the seed, and whoever verifies brings a reader.

pub mod body;
mod canonical;
pub mod checkpoint;
pub mod entry;
pub mod export;
pub mod key;
mod note;
pub mod policy;
pub mod receipt;
pub mod reference;
pub mod segments;
pub mod succession;
pub mod tiles;
pub mod tree;
pub mod verify;
pub mod witness;

pub use body::{BodyError, EntryBody};
pub use checkpoint::{Checkpoint, CheckpointError, CheckpointSigner, SignedCheckpoint, UnverifiedCheckpoint};
pub use entry::{Entry, EntryError, Link};
pub use export::{EXPORT_MAGIC, ExportReader, Gap, export_header, export_header_without};
pub use key::{CheckpointVerifier, KeyError};
pub use policy::{PolicyError, QuorumError, WitnessPolicy, Witnessed};
pub use receipt::{LoggedEntry, RECEIPT_MAGIC, Receipt, ReceiptError};
pub use reference::{EntryRef, Epoch, LogId, Origin};
pub use succession::{Succession, SuccessionError};
pub use tiles::{Tile, TileKind};
pub use tree::{Hash, NodeId, TreeBuilder, TreeError};
pub use verify::{
    Checks, Progress, PublishedFiles, Trust, Verified, Verifier, VerifyError, verify_bundle, verify_export,
    verify_export_and_show, verify_export_with, verify_published,
};
pub use witness::{Cosignature, CosignatureError, WitnessKey};

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod golden_tests;
#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod vector_tests;
