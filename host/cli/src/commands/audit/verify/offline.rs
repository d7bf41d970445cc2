//! An export, by whoever has nothing else: one file, or a directory.
//!
//! Where the key or the checkpoint that is known is of an earlier epoch than the export, it is followed over the epochs
//! that are kept with it, as it is with the log of a server. Nothing is remembered here, and nobody is asked.

use std::path::{Path, PathBuf};

use attorn_log::{
    CheckpointVerifier, Checks, ExportReader, Origin, PublishedFiles as _, SignedCheckpoint, Verified, VerifyError,
};

use super::lineage::{self, Exports, Lineage};
use super::remembered::Anchor;
use super::report::{self, Believed};
use super::{Directory, Given, before, came_from, earlier, export, is_earlier, published};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;

/// An export.
pub(super) enum Exported {
    File(PathBuf),
    Directory { files: Directory, path: PathBuf },
}

impl Exported {
    /// Where the earlier epochs are that are kept with it.
    fn exports(&self) -> Exports<'static> {
        match self {
            Self::File(path) => Exports::Beside(path.parent().unwrap_or(Path::new("")).to_owned()),
            Self::Directory { path, .. } => Exports::Directory(path.clone()),
        }
    }

    /// Which log, and which epoch, it says it is; none if it says nothing of that. Nothing is believed of it yet.
    fn says(&self) -> Option<Origin> {
        let note = match self {
            Self::File(path) => {
                let file = std::io::BufReader::new(super::open_regular(path).ok()?);
                ExportReader::open(file).ok()?.note().to_owned()
            }
            Self::Directory { files, .. } => {
                let note = files.read("checkpoint", SignedCheckpoint::NOTE_BYTES_MAX).ok()??;
                String::from_utf8(note).ok()?
            }
        };
        note.lines().next()?.parse().ok()
    }

    /// Its first entry, which the verifier hashes, or has.
    fn first(&self) -> Result<Option<Vec<u8>>, Failure> {
        match self {
            Self::File(path) => {
                let file = super::open_regular(path).map_err(|error| Failure::file("read", path, &error))?;
                Ok(lineage::first_in(std::io::BufReader::new(file), path)?.bytes())
            }
            // Of the tile with it only the width follows from the size.
            Self::Directory { files, .. } => lineage::first_published(files, super::size(files)?),
        }
    }

    fn verify(&self, output: &Output, checks: &Checks<'_>) -> Result<Result<Verified, VerifyError>, Failure> {
        match self {
            Self::File(path) => export(output, path, checks),
            Self::Directory { files, .. } => Ok(published(output, files, checks)),
        }
    }
}

/// Verify an export, and what is kept with it of earlier epochs.
pub(super) async fn verify(
    output: &Output,
    exported: &Exported,
    (mut given, brought): (Given, Option<CheckpointVerifier>),
) -> Result<Exit, Failure> {
    let (exports, now) = (exported.exports(), exported.says());
    let is_before = |origin: &Origin| now.as_ref().is_some_and(|now| is_earlier(origin, now));
    let failed = |failure| report::failed(output, None, failure);
    let (trusted, believed) = match &brought {
        Some(key) if is_before(key.origin()) => {
            let first = exported.first()?;
            let lineage = Lineage::after(first.as_deref(), &exports, key.origin().epoch).await.map_err(failed)?;
            (Some(lineage.follow(key).map_err(failed)?), Believed::Followed)
        }
        Some(key) => (Some(key.clone()), Believed::Given),
        None => (None, Believed::FromFile),
    };
    // There is one at most: nothing is remembered here.
    let seen = match given.since.first() {
        Some(note) if is_before(&lineage::origin_of(note)?) => given.since.pop(),
        _ => None,
    };
    let done = exported.verify(output, &given.checks(trusted.as_ref()))?;
    if let Some(other) = done.as_ref().err().and_then(|error| report::of_another_epoch(error, brought.as_ref())) {
        return Err(failed(other));
    }
    let (mut continues, mut earlier) = (None, Vec::new());
    if let Ok(verified) = &done {
        let first = exported.first()?;
        if let Some(note) = seen {
            let seen = Anchor { origin: lineage::origin_of(&note)?, key: None, note, path: None };
            let lineage = Lineage::after(first.as_deref(), &exports, seen.origin.epoch).await.map_err(failed)?;
            let found = came_from(&lineage, &exports, verified, (&seen, brought.as_ref())).await;
            continues = Some(found.map_err(failed)?);
        }
        earlier = before(output, first.as_deref(), (&exports, None)).await?;
        if let Exported::Directory { path, .. } = exported {
            earlier::nothing_else(path, &earlier).map_err(failed)?;
        }
    }
    report::report(output, (done, None), (believed, continues.as_ref(), &earlier))
}
