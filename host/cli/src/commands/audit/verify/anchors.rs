//! What is known of a log from before: the checkpoint that somebody brings, and the one that is remembered here.
//!
//! Both count: the log has to continue each, whichever is the larger. A checkpoint that somebody brings says nothing of
//! the key that is remembered, and replaces neither that nor the checkpoint. What is of an earlier epoch is followed
//! elsewhere, see `lineage`.

use attorn_log::CheckpointVerifier;

use super::is_earlier;
use super::lineage;
use super::remembered::Anchor;
use crate::failure::Failure;

/// What a log is compared with.
pub(super) struct Anchors {
    /// Of the epoch that the log is in: its verifier compares it. Also one of another log, which that refuses.
    pub(super) since: Vec<String>,
    /// Of earlier epochs. What is brought is the last.
    pub(super) earlier: Vec<Anchor>,
}

impl Anchors {
    /// See of which epochs they are, for a log whose key is trusted.
    ///
    /// # Errors
    ///
    /// When one is of a later epoch than the log, or what is remembered of this epoch is of another key beside what is
    /// brought.
    pub(super) fn of(
        brought: Option<String>,
        remembered: Option<Anchor>,
        trusted: &CheckpointVerifier,
    ) -> Result<Self, Failure> {
        let mut anchors = Self { since: Vec::new(), earlier: Vec::new() };
        let is_beside = brought.is_some();
        if let Some(seen) = remembered {
            let is_of_key = trusted.verify(seen.note.as_bytes()).is_ok();
            if is_beside && seen.origin == *trusted.origin() && !is_of_key {
                return Err(another_key(&seen));
            }
            anchors.add(seen, trusted)?;
        }
        if let Some(note) = brought {
            anchors.add(Anchor { origin: lineage::origin_of(&note)?, key: None, note, path: None }, trusted)?;
        }
        Ok(anchors)
    }

    fn add(&mut self, seen: Anchor, trusted: &CheckpointVerifier) -> Result<(), Failure> {
        if is_earlier(trusted.origin(), &seen.origin) {
            return Err(lineage::rolled_back(&seen, trusted.origin()));
        }
        if is_earlier(&seen.origin, trusted.origin()) {
            self.earlier.push(seen);
        } else {
            self.since.push(seen.note);
        }
        Ok(())
    }
}

fn another_key(seen: &Anchor) -> Failure {
    let failure =
        Failure::unverified(format!("the log `{}` is of another key than the one that is remembered", seen.origin));
    match &seen.path {
        Some(path) => failure.with_help(format!("if you know why: remove `{}`, and verify anew", path.display())),
        None => failure,
    }
}
