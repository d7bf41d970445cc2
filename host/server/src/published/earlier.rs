//! What was published of epochs of the log that have ended, and stands beside what is kept of them: files with entries, and
//! checkpoints with their history. Nobody serves them any more, and whoever mirrored them has their paths.
//!
//! Each is compared with the export of its epoch, which is what the log itself signed where the next epoch begins. A file
//! with entries is made anew of it, and so is a newest checkpoint: that with which the epoch ended. What an earlier
//! checkpoint contradicts is evidence, and stays as it is. Of an epoch whose export is not right nothing is compared:
//! that is said by whoever looks at exports. Where nothing stands any more nothing is said, as the export has all of it.
//!
//! An epoch that ended with a restore may have files of what came after the backup; nothing here tells whether they are
//! right.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder};
use std::io::{self, BufReader, ErrorKind, Read as _, Write as _};
use std::ops::Range;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use attorn_log::segments::Span;
use attorn_log::tiles::{TILE_WIDTH, add_to_bundle};
use attorn_log::{Checks, Tile, TileKind, VerifyError, verify_export_and_show};
use attorn_store::records::{EpochEnd, LogEpochRecord, Record as _};
use attorn_store::{Integrity, Key, KeyKind, KeyPrefix, PAGE_ITEMS_MAX, Store, create_beside, far, open_regular};

use super::aside;
use super::damage::{self, BadFile, Which};
use super::files::{self, NEWEST};
use super::mend::{Mended, failed, set_aside};
use super::published_in;
use super::segments::Segments;
use crate::epochs::export_path;
use crate::http::failure::{Failure, causes};

/// Where files with entries are, within an epoch's directory.
const ENTRIES: &str = "tile/entries";
/// How many of them the server noted that it wrote.
const BUNDLED: &str = "bundled";
/// How many directories may stand in one another there.
const DEPTH_MAX: u32 = 8;
const BUNDLE_ENTRIES: u64 = TILE_WIDTH as u64;

/// What was published of an epoch that has ended.
struct OfEpoch<'a> {
    dir: PathBuf,
    export: PathBuf,
    record: &'a LogEpochRecord,
    /// How many entries it had.
    size: u64,
}

/// What is wrong with it.
#[derive(Default)]
struct Found {
    checkpoints: Vec<BadFile>,
    /// By the number of the bundle.
    bundles: BTreeMap<u64, String>,
    /// What contradicts the epoch as it ended.
    contradicting: Option<String>,
}

/// What is bad of what was published of all epochs that have ended.
pub(crate) async fn look(data_dir: &Path, store: &Store) -> Result<Vec<String>, Failure> {
    let mut bad = Vec::new();
    for record in recorded(store).await? {
        let Some(of) = OfEpoch::of(data_dir, &record)? else { continue };
        let found = of.look();
        let anew = found.anew(&of).into_iter();
        bad.extend(anew.map(|one| format!("{one}; `attorn repair` makes it anew of `{}`", of.export.display())));
        bad.extend(found.contradicting);
    }
    Ok(bad)
}

/// The same, and make anew what can be.
pub(crate) async fn mend(data_dir: &Path, (store, integrity): (&Store, &Integrity)) -> Result<Mended, String> {
    let why = |failure: Failure| failure.internal.unwrap_or(failure.problem.detail);
    let mut mended = Mended::default();
    for record in recorded(store).await.map_err(why)? {
        let Some(of) = OfEpoch::of(data_dir, &record).map_err(why)? else { continue };
        let found = of.look();
        let anew = found.anew(&of);
        if !anew.is_empty() {
            let more = if anew.len() > 1 { format!("; and {} more", anew.len() - 1) } else { String::new() };
            // Before anything takes the place of anything else.
            store.note_published(&format!("{}{more}", anew[0]), integrity).map_err(|error| causes(&error))?;
            of.make_anew(&found)?;
        }
        mended.anew.extend(anew.into_iter().map(|one| format!("{one}; it was made anew of `{}`", of.export.display())));
        mended.still_bad.extend(found.contradicting);
    }
    Ok(mended)
}

/// What is recorded of the epochs that have ended.
async fn recorded(store: &Store) -> Result<Vec<LogEpochRecord>, Failure> {
    let (prefix, mut after, mut all) = (KeyPrefix::kind(KeyKind::LogEpoch), None::<Key>, Vec::new());
    loop {
        let page = store.scan(&prefix, after.as_ref(), PAGE_ITEMS_MAX).await?;
        for (key, stored) in &page.items {
            all.push(LogEpochRecord::decode(key, &stored.value).map_err(Failure::internal)?);
        }
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(all),
        }
    }
}

impl Found {
    /// What is wrong with each file that can be made anew.
    fn anew(&self, of: &OfEpoch<'_>) -> Vec<String> {
        let bundle = |(number, problem): (&u64, &String)| format!("`{}` {problem}", of.bundle(*number).display());
        self.checkpoints.iter().map(ToString::to_string).chain(self.bundles.iter().map(bundle)).collect()
    }
}

impl<'a> OfEpoch<'a> {
    /// None if nothing was published of it, or it is gone.
    fn of(data_dir: &Path, record: &'a LogEpochRecord) -> Result<Option<Self>, Failure> {
        let epoch = record.epoch();
        let (dir, export) = (published_in(data_dir, epoch), export_path(data_dir, epoch));
        let ended = record.key.verify(record.checkpoint.as_bytes()).map_err(Failure::internal)?;
        let is_there = fs::symlink_metadata(&dir).is_ok_and(|found| found.is_dir());
        Ok(is_there.then(|| Self { dir, export, record, size: ended.checkpoint().size }))
    }

    /// Whether files may be of more than is known of the epoch.
    fn may_have_more(&self) -> bool {
        self.record.ended == EpochEnd::Restored
    }

    fn bundle(&self, number: u64) -> PathBuf {
        self.dir.join(Tile::full_bundle(number).to_string())
    }

    /// Compare all that there is.
    fn look(&self) -> Found {
        let size = (!self.may_have_more()).then_some(self.size);
        let damaged = damage::look(&self.dir, &self.record.key, size);
        let mut found = Found::default();
        let kept = damaged.whole().filter(|one| one.checkpoint().size <= self.size);
        let since: Vec<String> = kept.map(|one| one.note().to_owned()).collect();
        if let Some(longer) = damaged.whole().find(|one| one.checkpoint().size > self.size)
            && !self.may_have_more()
        {
            found.contradicting = Some(format!(
                "`{}` has a checkpoint of {} entries, and the epoch ended with {}",
                self.dir.display(),
                longer.checkpoint().size,
                self.size
            ));
        }
        let (there, noted) = (self.bundles_there(), self.noted());
        let is_begun = damaged.head().is_some() || !damaged.bad.is_empty() || !there.is_empty();
        let has_newest = damaged.newest.is_some();
        found.checkpoints = damaged.bad;
        if is_begun && !has_newest && !found.checkpoints.iter().any(|bad| matches!(bad.which, Which::Newest { .. })) {
            let (path, problem) = (self.dir.join(NEWEST), "is missing".to_owned());
            found.checkpoints.push(BadFile { path, problem, which: Which::Newest { said: None } });
        }
        let end = there.last().map_or(0, |last| last.saturating_add(1)).max(noted).min(self.size / BUNDLE_ENTRIES);
        let mut bundles = BTreeMap::new();
        let compared = self.read(&since, |number, bytes| {
            if number < end
                && let Some(problem) = problem_of(&self.bundle(number), bytes)
            {
                bundles.insert(number, problem);
            }
        });
        match compared {
            Ok(()) => found.bundles = bundles,
            // Without these it is as it was signed, or that is said by whoever looks at exports.
            Err(error) if self.read(&[], |_, _| {}).is_ok() => {
                found.contradicting = Some(format!(
                    "of the checkpoints in `{}` one is not of the epoch as it ended: {}",
                    self.dir.display(),
                    causes(&error)
                ));
            }
            Err(_) => return Found::default(),
        }
        found
    }

    /// Read the export, and show each bundle of it that is full. What was shown counts only if all of it verifies.
    fn read(&self, since: &[String], mut show: impl FnMut(u64, &[u8])) -> Result<(), VerifyError> {
        let file = open_regular(&self.export).map_err(VerifyError::Read)?;
        let checks = Checks { trusted: Some(&self.record.key), since, bad: &self.record.bad, ..Checks::default() };
        let (mut bytes, mut entries): (Vec<u8>, Range<u64>) = (Vec::new(), 0..0);
        verify_export_and_show(BufReader::new(file), &checks, |index, entry| {
            if index.is_multiple_of(BUNDLE_ENTRIES) {
                far::say("entries of an earlier epoch compared", index, self.size);
                bytes.clear();
                entries = index..index;
            }
            if index == entries.end {
                add_to_bundle(&mut bytes, entry);
                entries.end += 1;
            }
            if entries.end - entries.start == BUNDLE_ENTRIES {
                show(entries.start / BUNDLE_ENTRIES, &bytes);
            }
        })
        .map(drop)
    }

    /// Which files with entries there are.
    fn bundles_there(&self) -> BTreeSet<u64> {
        let mut there = BTreeSet::new();
        self.list(&self.dir.join(ENTRIES), DEPTH_MAX, &mut there);
        there
    }

    fn list(&self, dir: &Path, depth: u32, there: &mut BTreeSet<u64>) {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            let path = entry.path();
            if depth > 0 && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                self.list(&path, depth - 1, there);
            }
            // Whatever else stands there is nobody's.
            let name = path.strip_prefix(&self.dir).ok().and_then(Path::to_str);
            let tile = name.and_then(|name| name.parse::<Tile>().ok());
            let full = tile.filter(|tile| tile.kind() == TileKind::Entries).map(|tile| tile.begin() / BUNDLE_ENTRIES);
            there.extend(full.filter(|number| Tile::full_bundle(*number).to_string() == name.unwrap_or_default()));
        }
    }

    fn noted(&self) -> u64 {
        let text = files::bytes(&self.dir, BUNDLED, 32).ok().flatten().unwrap_or_default();
        String::from_utf8_lossy(&text).trim_ascii().parse().unwrap_or(0)
    }

    fn make_anew(&self, found: &Found) -> Result<(), String> {
        for bad in &found.checkpoints {
            set_aside(&self.dir, bad).map_err(|error| failed(&bad.path, &error))?;
        }
        if !found.checkpoints.is_empty() {
            self.go_on_to_the_end(found)?;
        }
        let mut problem = None;
        let read = self.read(&[], |number, bytes| {
            if found.bundles.contains_key(&number) {
                let path = self.bundle(number);
                problem = put_bundle(&path, bytes).err().map(|error| failed(&path, &error)).or(problem.take());
            }
        });
        read.map_err(|error| causes(&error))?;
        problem.map_or(Ok(()), Err)
    }

    /// Put the last checkpoint in the place of a newest that was bad, and into the history what that lacks.
    fn go_on_to_the_end(&self, found: &Found) -> Result<(), String> {
        let in_dir = |error: &io::Error| failed(&self.dir, error);
        let mut history = Segments::open(&self.dir, &self.record.key, Span::USUAL)?;
        let last = history.last().map_or(0, |last| last.checkpoint().size);
        if found.checkpoints.iter().any(|bad| matches!(bad.which, Which::Newest { .. })) {
            let ended = self.record.key.verify(self.record.checkpoint.as_bytes()).map_err(|error| causes(&error))?;
            let put = files::put_newest(&self.dir, &mut history, &ended, last.min(self.size));
            return put.map_err(|error| in_dir(&error));
        }
        match files::newest(&self.dir, &self.record.key)? {
            Some(newest) if Segments::takes(newest.checkpoint().size, last) => {
                history.add(&newest).map(drop).map_err(|error| in_dir(&error))
            }
            _ => Ok(()),
        }
    }
}

/// What is wrong with a file that should have these bytes.
fn problem_of(path: &Path, bytes: &[u8]) -> Option<String> {
    let mut found = Vec::new();
    let read = open_regular(path).and_then(|file| file.take(bytes.len() as u64 + 1).read_to_end(&mut found));
    match read {
        Ok(_) if found == bytes => None,
        Ok(_) => Some("does not have the entries that were signed".to_owned()),
        Err(error) if error.kind() == ErrorKind::NotFound => Some("is missing".to_owned()),
        Err(error) => Some(format!("cannot be read: {error}")),
    }
}

/// Put a file with entries in its place. What was there is moved aside.
fn put_bundle(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let dir = path.parent().unwrap_or(path);
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    aside::keep(path)?;
    let beside = path.with_extension("tmp");
    let mut file = create_beside(&beside)?;
    file.write_all(bytes).and_then(|()| file.sync_all())?;
    fs::rename(&beside, path)?;
    files::sync_dir(dir)
}

#[cfg(test)]
#[path = "earlier_tests.rs"]
mod tests;
