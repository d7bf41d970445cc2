//! Attorn's durable state and the bytes of its audit log, in one place so that both change together.
//!
//! A [`Batch`] happens whole or not at all, and [`Store::commit`] says so only when it is on disk:
//! state, audit entries and the tree over them. [`Recorded`] is a value whose record is durable; only
//! this crate makes one. Reads answer from durable state alone: what was written and is not yet on
//! disk is waited for, never shown.
//!
//! One thread writes. It takes the batches that wait, checks each against the state and those before
//! it, appends what they come to to a journal, syncs that once, applies it in one transaction, and answers.
//! Another comes behind, syncs the engine, and makes base copies from which, with the journal, all can be made
//! anew ([`Store::repair`]). When a step fails on which anything depends the store has failed for ever:
//! nothing is acknowledged or read any more until the process has started anew and looked at what is really on
//! disk.
//!
//! Entries that a checkpoint on disk covers leave the engine, a bundle at a time, for plain files, and are read there
//! as before. So do the records of the decisions that these entries are about.
//!
//! The engine below is sled, and nothing of it shows. It is not trusted to sync its file or to read it again. There is no
//! cache here, no clock, no expiry that acts by itself and no query beyond keys in order.

mod backup;
mod base;
mod batch;
mod boot;
mod bundled;
mod bundler;
mod caught;
mod commit;
mod copier;
mod damage;
mod decided;
mod doubled;
mod end_of_log;
mod ending;
mod entry_reader;
mod error;
pub mod far;
mod filed;
mod files;
mod filing;
mod follower;
mod frame;
mod group;
mod head;
mod held;
mod held_records;
mod holes;
mod horizon;
mod imprint;
mod index;
mod integrity;
mod journal;
mod key;
mod last_words;
mod links;
mod look;
mod lost;
mod named;
mod named_records;
mod open;
mod ours;
mod parts;
mod places;
mod progress;
mod proved;
#[cfg(feature = "fuzz")]
#[doc(hidden)]
pub mod raw;
mod read;
mod record_walk;
mod recorded;
pub mod records;
mod redo;
mod refiled;
mod remade;
mod repair;
mod restore;
mod salvage;
mod seek;
mod setup;
mod start;
mod steps;
mod trees;
mod watchdog;
mod writer;
mod writer_cpu;

pub use backup::{BackedUp, BackupEnd, BackupError, KnownLog, Reached, Strange, Whose, is_moved_aside};
pub use base::BaseError;
pub use batch::{Add, BATCH_BYTES_MAX, BATCH_ITEMS_MAX, Batch, BatchError, Require, VALUE_BYTES_MAX};
pub use boot::CutOffBy;
pub use caught::is_caught;
pub use commit::{Closed, Committed, QUEUE_BATCHES_MAX, QUEUE_BYTES_MAX, Store};
pub use decided::digest_of;
pub use entry_reader::EntryReader;
pub use error::{CommitError, Failure, OpenError, PartsError, ReadError, StorageError};
pub use files::{FileError, Files, create_beside, is_within, open_regular, open_regular_to_write};
pub use head::EarlierEpoch;
pub use imprint::{ForeignState, ImprintError, ImprintKey};
pub use index::{Anew, EntryIndex, Indexed, Next, Order, Search, Term, Walk};
pub use integrity::{BadBundle, Integrity, IntegrityError, Uncompared, Walked};
pub use journal::JournalError;
pub use key::{KEY_BYTES_MAX, Key, KeyKind, KeyPrefix, KeyPurpose};
pub use look::{LookError, Looked, copy_apart};
pub use lost::LostFile;
pub use named::{BadBlob, BadExport, BadNamed, NeededBy, PolicyPart};
pub use open::FIRST_EPOCH;
pub use ours::Ours;
pub use parts::LogProblem;
pub use read::{LogHead, PAGE_BYTES_MAX, PAGE_ITEMS_MAX, Page, StoredEntry, Versioned};
pub use record_walk::BadRecords;
pub use recorded::{GrantStanding, Recorded, StoredGrant};
pub use remade::{Part, Remade, SaidBy};
pub use repair::{Accepted, FilesOf, LostEnd, RepairError, Repaired, Seen, free_name, is_there};
pub use steps::Step;
pub use writer_cpu::WriterCpu;

#[cfg(test)]
mod contention_tests;
#[cfg(test)]
mod disk;
#[cfg(test)]
mod disk_tests;
#[cfg(test)]
mod ended_tests;
#[cfg(test)]
mod fault_tests;
#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod panic_tests;
#[cfg(test)]
mod power_cut_tests;
#[cfg(test)]
mod stall_tests;
#[cfg(test)]
mod store_tests;
