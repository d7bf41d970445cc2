//! Whether a log is the one over which checkpoints were signed that are known: for whoever signs where it ends, and so
//! vouches for all of it once more.
//!
//! Links and tree of a log can be computed anew by anybody who rewrote an entry, and fit together then. What does not fit
//! is what the log's key signed before. So for each checkpoint that is kept of the epoch the root over as many entries is
//! computed and compared. One that the key did not sign says nothing, and nor does one that counts more entries than
//! there are; one of entries that cannot be read is compared with nothing.
//!
//! That checkpoints were removed is not seen here.

use std::path::Path;

use attorn_log::segments::{SEGMENT_BYTES_MAX, SEGMENTS, Span, read_segment, segment_name};
use attorn_log::{Checkpoint, CheckpointVerifier};
use attorn_store::{ReadError, Store};

use super::segments::last_segment;
use super::{directory, files};
use crate::http::failure::causes;

/// How many contradictions are named. One is enough.
const NAMED_MAX: usize = 4;

/// What came of comparing a log with what was signed of it.
#[derive(Debug, Default)]
pub(crate) struct Compared {
    /// What contradicts it, in words.
    pub(crate) contradicting: Vec<String>,
    /// How many first entries are those that were signed, as far as anything is known to be; none if nothing is.
    pub(crate) confirmed: Option<u64>,
}

impl Compared {
    /// Compare it with a signed checkpoint of its epoch.
    pub(crate) fn with(&mut self, by: &str, signed: &Checkpoint, store: &Store) -> Result<(), ReadError> {
        if signed.size > store.log_head()?.size {
            return Ok(());
        }
        match store.root(signed.size) {
            Err(error) if error.damage().is_some() => {}
            Ok(root) if root == signed.root => self.confirmed = self.confirmed.max(Some(signed.size)),
            Ok(_) => self.contradicting.push(format!("{by} signs other {} first entries", signed.size)),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Compare it with all that was signed of this epoch and is kept in a data directory.
    pub(crate) fn with_all(
        &mut self,
        data_dir: &Path,
        verifier: &CheckpointVerifier,
        store: &Store,
    ) -> Result<(), ReadError> {
        let dir = directory(data_dir, verifier);
        let shown = |name: &str| format!("`log/{}/{name}`", verifier.origin().epoch);
        let unusable = |name: &str, why: String| {
            tracing::warn!(dir = %dir.display(), name, why, "a checkpoint cannot be used");
        };
        for name in [files::NEWEST, files::WITNESSED] {
            match files::read(&dir, name, verifier) {
                Ok(Some(signed)) => self.with(&shown(name), signed.checkpoint(), store)?,
                Ok(None) => {}
                Err(why) => unusable(name, why),
            }
        }
        // Where some are missing, those that are there are compared.
        let last = last_segment(&dir).inspect_err(|why| unusable(SEGMENTS, why.clone())).unwrap_or(0);
        for segment in 0..=last {
            let name = segment_name(segment);
            let bytes = files::bytes(&dir, &name, SEGMENT_BYTES_MAX);
            let bytes =
                bytes.inspect_err(|error| unusable(&name, error.to_string())).ok().flatten().unwrap_or_default();
            for signed in read_segment(&bytes, segment, Span::USUAL, verifier) {
                if self.contradicting.len() >= NAMED_MAX {
                    return Ok(());
                }
                match signed {
                    Ok((signed, _)) => self.with(&shown(&name), signed.checkpoint(), store)?,
                    Err(error) => unusable(&name, causes(&error)),
                }
            }
        }
        Ok(())
    }
}
