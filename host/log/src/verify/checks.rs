//! What a log is compared with beside itself, and what is known of it when all of that held.
//!
//! Entries are hashed elsewhere: here is what is known before the first and after the last.

use std::ops::Range;

use super::VerifyError;
use crate::checkpoint::SignedCheckpoint;
use crate::entry::Link;
use crate::key::CheckpointVerifier;
use crate::policy::{WitnessPolicy, Witnessed};

/// What a log is compared with beside itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct Checks<'a> {
    /// The key that is trusted. Without one, the key in the file is taken, and [`Verified::trust`] says so.
    pub trusted: Option<&'a CheckpointVerifier>,
    /// Checkpoints that were seen earlier, each a signed note. The log has to continue every one of them.
    pub since: &'a [String],
    /// Whose cosignatures the newest checkpoint has to have.
    pub witnesses: Option<&'a WitnessPolicy>,
    /// Which entries an export may lack: those that were bad when its epoch ended, as something else says that can be
    /// relied on.
    pub bad: &'a [Range<u64>],
}

/// What came of the checks before the first entry is read.
pub(super) struct Begun {
    pub(super) key: CheckpointVerifier,
    trust: Trust,
    pub(super) checkpoint: SignedCheckpoint,
    pub(super) since: Vec<SignedCheckpoint>,
}

impl Checks<'_> {
    pub(super) fn begin(&self, key: &str, note: &[u8]) -> Result<Begun, VerifyError> {
        let key: CheckpointVerifier = key.parse().map_err(VerifyError::Key)?;
        if self.trusted.is_some_and(|trusted| *trusted != key) {
            return Err(VerifyError::UnknownKey { found: Box::new(key) });
        }
        let trust = if self.trusted.is_some() { Trust::Given } else { Trust::FromFile };
        let checkpoint = key.verify(note).map_err(VerifyError::Checkpoint)?;
        let since = self.since.iter().map(|note| key.verify(note.as_bytes())).collect::<Result<_, _>>();
        let since = since.map_err(VerifyError::Since)?;
        Ok(Begun { key, trust, checkpoint, since })
    }
}

impl Begun {
    pub(super) fn verified(
        self,
        (head, lacking): (Option<Link>, Vec<Range<u64>>),
        earlier: u64,
        checks: &Checks<'_>,
    ) -> Result<Verified, VerifyError> {
        let Self { key, trust, checkpoint, since } = self;
        let witnessed = checks.witnesses.map(|policy| policy.check(&checkpoint)).transpose();
        Ok(Verified {
            entries: checkpoint.checkpoint().size,
            witnessed: witnessed.map_err(VerifyError::Witnesses)?,
            since: since.iter().map(|since| since.checkpoint().size).max(),
            checkpoint,
            key,
            trust,
            head,
            lacking,
            earlier,
        })
    }
}

/// Why the key of a verified export is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// The caller brought it.
    Given,
    /// It stands in the file. Whoever wrote the file chose it, so this shows that the file is whole,
    /// and not whose log it is.
    FromFile,
}

/// An export in which everything is as it was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// How many entries there are.
    pub entries: u64,
    /// The checkpoint that they make.
    pub checkpoint: SignedCheckpoint,
    /// The key that signed it.
    pub key: CheckpointVerifier,
    /// Why that key is believed.
    pub trust: Trust,
    /// The link of the last entry; none if it is lacking.
    pub head: Option<Link>,
    /// Which entries are lacking, as they were bad when the epoch ended. All others are as they were signed.
    pub lacking: Vec<Range<u64>>,
    /// How many earlier checkpoints came with it, all of which it continues.
    pub earlier: u64,
    /// How many entries the checkpoint counted that it was compared with, the largest of several. Without one, and without witnesses,
    /// nothing shows that the end was not cut.
    pub since: Option<u64>,
    /// Who cosigned the newest checkpoint, if that was asked.
    pub witnessed: Option<Witnessed>,
}
