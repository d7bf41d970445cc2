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

use attorn_log::segments::{SEGMENT_BYTES_MAX, Span, read_segment, segment_name};
use attorn_log::{Checkpoint, CheckpointVerifier};
use attorn_store::{ReadError, Store};

use super::segments::last_segment;
use super::{directory, files};
use crate::http::failure::causes;

/// How many contradictions are named. One is enough.
const NAMED_MAX: usize = 4;

/// What of all that was signed of this epoch contradicts the log, in words; nothing if it continues each.
pub(crate) fn contradicting(
    data_dir: &Path,
    verifier: &CheckpointVerifier,
    store: &Store,
) -> Result<Vec<String>, ReadError> {
    let dir = directory(data_dir, verifier);
    let mut found = Vec::new();
    let unusable = |name: &str, why: String| {
        tracing::warn!(dir = %dir.display(), name, why, "a checkpoint cannot be used");
    };
    for name in [files::NEWEST, files::WITNESSED] {
        match files::read(&dir, name, verifier) {
            Ok(signed) => found.extend(signed.map(|signed| (name.to_owned(), signed.checkpoint().clone()))),
            Err(why) => unusable(name, why),
        }
    }
    let mut contradictions = Vec::new();
    for (name, signed) in found {
        contradictions.extend(contradiction(&shown(verifier, &name), &signed, store)?);
    }
    // Where some are missing, those that are there are compared.
    let last = last_segment(&dir).inspect_err(|why| unusable("checkpoints", why.clone())).unwrap_or(0);
    for segment in 0..=last {
        let name = segment_name(segment);
        let bytes = match files::bytes(&dir, &name, SEGMENT_BYTES_MAX) {
            Ok(bytes) => bytes.unwrap_or_default(),
            Err(error) => {
                unusable(&name, error.to_string());
                continue;
            }
        };
        for signed in read_segment(&bytes, segment, Span::USUAL, verifier) {
            if contradictions.len() >= NAMED_MAX {
                return Ok(contradictions);
            }
            match signed {
                Ok((signed, _)) => {
                    contradictions.extend(contradiction(&shown(verifier, &name), signed.checkpoint(), store)?);
                }
                Err(error) => unusable(&name, causes(&error)),
            }
        }
    }
    Ok(contradictions)
}

fn shown(verifier: &CheckpointVerifier, name: &str) -> String {
    format!("`log/{}/{name}`", verifier.origin().epoch)
}

/// What is said where a signed checkpoint of the store's epoch is not of its log.
pub(crate) fn contradiction(by: &str, signed: &Checkpoint, store: &Store) -> Result<Option<String>, ReadError> {
    if signed.size > store.log_head()?.size {
        return Ok(None);
    }
    match store.root(signed.size) {
        Err(error) if error.damage().is_some() => Ok(None),
        Ok(root) if root == signed.root => Ok(None),
        Ok(_) => Ok(Some(format!("{by} signs other {} first entries", signed.size))),
        Err(error) => Err(error),
    }
}
