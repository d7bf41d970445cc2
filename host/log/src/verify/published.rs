//! Re-hashing a log that is published as files: the checkpoint, those before it, tiles of hashes, bundles of
//! entries, and lines of JSON.
//!
//! ```text
//! key               the log's verifier key
//! checkpoint        the newest
//! checkpoints/<n>   earlier ones, see `segments`
//! tile/…            see `tiles`
//! entries.jsonl     each entry as a line of JSON
//! ```
//!
//! Every byte of every file is compared with something, except for signatures by witnesses: under the checkpoint of
//! those whom no policy names, under earlier ones of all. What is wrong with an entry is said before what is wrong
//! with what was made from it.
//!
//! No file is read that has no bound. Earlier checkpoints are read a segment at a time, when the first entry comes
//! that the segment stands for.
//!
//! Bundles are taken apart on as many threads as there are, a few at a time, while those before them are compared in
//! their order on one, which also reads the files.

use std::collections::BTreeSet;
use std::io::{self, BufRead};
use std::mem;
use std::num::NonZeroU64;
use std::thread::{self, Scope, ScopedJoinHandle};

use super::{Checks, Hashed, Progress, Verified, Verifier, VerifyError};
use crate::checkpoint::SignedCheckpoint;
use crate::entry::Link;
use crate::key::CheckpointVerifier;
use crate::segments::{SEGMENT_BYTES_MAX, Span, json_line, read_segment, segment_name};
use crate::tiles::{Bundle, BundleError, TILE_WIDTH, Tile, TileKind, hash_tile};
use crate::tree::Hash;

/// The names of the files that are no tiles.
const KEY: &str = "key";
const CHECKPOINT: &str = "checkpoint";
const LINES: &str = "entries.jsonl";

/// How many threads take bundles apart at most, and how many bundles each at a time.
const THREADS_MAX: usize = 16;
const BUNDLES_PER_THREAD: usize = 4;
/// From how many bytes on no further bundle is read at a time. There are two such batches at once.
const BATCH_BYTES_FULL: usize = 32 << 20;

/// Where the files of a log are.
pub trait PublishedFiles {
    /// A file's bytes; none if it is not there. One that is longer than this is an error.
    fn read(&self, name: &str, bytes_max: usize) -> io::Result<Option<Vec<u8>>>;

    /// The lines of JSON; none if they are not there.
    fn lines(&self) -> io::Result<Option<Box<dyn BufRead>>>;

    /// The names of all files that there are; none where there are no files, and no lines of JSON.
    fn names(&self) -> io::Result<Option<Vec<String>>>;
}

/// Verify a log that is published as files, and tell `progress` after every so many entries.
pub fn verify_published(
    files: &dyn PublishedFiles,
    checks: &Checks<'_>,
    every: NonZeroU64,
    progress: impl FnMut(Progress),
) -> Result<Verified, VerifyError> {
    verify_spanned(files, Span::USUAL, checks, (every, progress))
}

/// The same, where a segment of the history stands for so many entries.
fn verify_spanned(
    files: &dyn PublishedFiles,
    span: Span,
    checks: &Checks<'_>,
    (every, mut progress): (NonZeroU64, impl FnMut(Progress)),
) -> Result<Verified, VerifyError> {
    let key = needed(files, KEY, CheckpointVerifier::TEXT_BYTES_MAX + 1)?;
    let key = std::str::from_utf8(&key).ok().and_then(|text| text.strip_suffix('\n'));
    let note = needed(files, CHECKPOINT, SignedCheckpoint::NOTE_BYTES_MAX)?;
    let begun = checks.begin(key.ok_or(VerifyError::KeyFile { name: KEY })?, &note)?;
    let size = begun.checkpoint.checkpoint().size;
    let earlier = Earlier { files, span, key: &begun.key, next: 0, last: span.segment_of(size), count: 0 };
    earlier.is_within(size)?;
    let verifier = Verifier::continuing(&begun.checkpoint, &begun.since)?;
    let names = files.names().map_err(VerifyError::Read)?;
    let mut walk = Walk { files, verifier, earlier, levels: Vec::new(), lines: None, other: None };
    walk.earlier.read_up_to(0, &mut walk.verifier)?;
    if names.is_some() {
        walk.lines = files.lines().map_err(VerifyError::Read)?;
        if walk.lines.is_none() {
            walk.later(VerifyError::FileMissing { name: LINES.to_owned() });
        }
    }
    walk = walk.entries(size, |entries| {
        if entries.is_multiple_of(every.get()) {
            progress(Progress { entries, of: size });
        }
    })?;
    walk.earlier.read_up_to(size, &mut walk.verifier)?;
    let count = walk.earlier.count;
    let head = walk.finish(names, size, span)?;
    begun.verified((head, Vec::new()), count, checks)
}

fn needed(files: &dyn PublishedFiles, name: &str, bytes_max: usize) -> Result<Vec<u8>, VerifyError> {
    let bytes = files.read(name, bytes_max).map_err(VerifyError::Read)?;
    bytes.ok_or_else(|| VerifyError::FileMissing { name: name.to_owned() })
}

/// The checkpoints that were signed before, segment by segment.
struct Earlier<'a> {
    files: &'a dyn PublishedFiles,
    span: Span,
    key: &'a CheckpointVerifier,
    /// The segment that is read next.
    next: u64,
    /// The last that there is.
    last: u64,
    /// How many checkpoints were read.
    count: u64,
}

impl Earlier<'_> {
    /// Whether the last of them counts no more entries than there are.
    fn is_within(&self, size: u64) -> Result<(), VerifyError> {
        match self.segment(self.last)?.last() {
            Some(&(seen, _)) if seen > size => Err(VerifyError::RolledBack { seen, size }),
            _ => Ok(()),
        }
    }

    /// Have the verifier expect what the segments have that begin with this entry or before.
    fn read_up_to(&mut self, index: u64, verifier: &mut Verifier) -> Result<(), VerifyError> {
        while self.next <= self.last && self.span.begin(self.next) <= index {
            let checkpoints = self.segment(self.next)?;
            self.count += checkpoints.len() as u64;
            self.next += 1;
            verifier.expect(checkpoints);
        }
        Ok(())
    }

    /// The sizes and roots of a segment. Each counts more entries than the one before it.
    fn segment(&self, segment: u64) -> Result<Vec<(u64, Hash)>, VerifyError> {
        let bytes = needed(self.files, &segment_name(segment), SEGMENT_BYTES_MAX)?;
        let of = |(signed, _): (SignedCheckpoint, usize)| (signed.checkpoint().size, signed.checkpoint().root);
        let read = read_segment(&bytes, segment, self.span, self.key);
        read.map(|one| Ok(of(one?))).collect()
    }
}

/// A bundle, taken apart.
struct Taken {
    tile: Tile,
    entries: Vec<Hashed>,
    /// The lines of JSON that the entries should have; none if nobody compares them.
    lines: Vec<String>,
    /// Whether it ended where it should.
    ended: Result<(), BundleError>,
}

impl Taken {
    fn of(tile: Tile, bytes: &[u8], with_lines: bool) -> Self {
        let mut bundle = Bundle::new(bytes);
        let mut taken = Self { tile, entries: Vec::new(), lines: Vec::new(), ended: Ok(()) };
        for _ in 0..tile.width() {
            match bundle.next_entry() {
                Ok(entry) => {
                    taken.entries.push(Hashed::of(entry));
                    if with_lines {
                        taken.lines.push(json_line(entry).unwrap_or_default() + "\n");
                    }
                }
                Err(source) => return Self { ended: Err(source), ..taken },
            }
        }
        Self { ended: bundle.end(), ..taken }
    }
}

/// The next few bundles; and why there are no more of them, if there should be.
#[derive(Default)]
struct Batch {
    bundles: Vec<(Tile, Vec<u8>)>,
    failed: Option<VerifyError>,
}

impl Batch {
    fn read(files: &dyn PublishedFiles, tiles: &mut impl Iterator<Item = Tile>) -> Self {
        let threads = thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX);
        let (mut batch, mut bytes_sum) = (Self::default(), 0);
        while batch.bundles.len() < threads * BUNDLES_PER_THREAD && bytes_sum < BATCH_BYTES_FULL {
            let Some(tile) = tiles.next() else { break };
            match needed(files, &tile.to_string(), Tile::BYTES_MAX) {
                Ok(bytes) => {
                    bytes_sum += bytes.len();
                    batch.bundles.push((tile, bytes));
                }
                Err(error) => {
                    batch.failed = Some(error);
                    break;
                }
            }
        }
        batch
    }

    fn take_apart<'scope>(self, scope: &'scope Scope<'scope, '_>, with_lines: bool) -> Parting<'scope> {
        let take = |(tile, bytes): (Tile, Vec<u8>)| scope.spawn(move || Taken::of(tile, &bytes, with_lines));
        Parting { bundles: self.bundles.into_iter().map(take).collect(), failed: self.failed }
    }
}

/// A batch that is being taken apart.
struct Parting<'scope> {
    bundles: Vec<ScopedJoinHandle<'scope, Taken>>,
    failed: Option<VerifyError>,
}

/// A log that is read from its first entry to its last.
struct Walk<'a> {
    files: &'a dyn PublishedFiles,
    verifier: Verifier,
    earlier: Earlier<'a>,
    /// For each level of tiles, how many are done and the hashes of the next.
    levels: Vec<(u64, Vec<Hash>)>,
    lines: Option<Box<dyn BufRead>>,
    /// The first that is wrong with what was made from the entries. Entries come first.
    other: Option<VerifyError>,
}

impl Walk<'_> {
    fn later(&mut self, error: VerifyError) {
        self.other.get_or_insert(error);
    }

    /// Take all entries of a log of this size.
    fn entries(mut self, size: u64, mut passed: impl FnMut(u64)) -> Result<Self, VerifyError> {
        let (files, mut tiles) = (self.files, Tile::of_kind(TileKind::Entries, size));
        thread::scope(|scope| {
            let mut next = Batch::read(files, &mut tiles).take_apart(scope, self.lines.is_some());
            loop {
                // Nothing behind a file that cannot be read counts any more.
                let ahead = if next.failed.is_some() { Batch::default() } else { Batch::read(files, &mut tiles) };
                let ahead = ahead.take_apart(scope, self.lines.is_some());
                let Parting { bundles, failed } = mem::replace(&mut next, ahead);
                let is_last = bundles.is_empty();
                for bundle in bundles {
                    let panicked = |_| VerifyError::Read(io::Error::other("a thread of the verifier panicked"));
                    self = self.bundle(bundle.join().map_err(panicked)?, &mut passed)?;
                }
                if let Some(error) = failed {
                    return Err(self.verifier.cut(error));
                }
                if is_last {
                    return Ok(self);
                }
            }
        })
    }

    /// Take all entries of a bundle.
    fn bundle(mut self, taken: Taken, mut passed: impl FnMut(u64)) -> Result<Self, VerifyError> {
        let Taken { tile, entries, lines, ended } = taken;
        let (mut index, mut lines) = (tile.begin(), lines.into_iter());
        self.earlier.read_up_to(index, &mut self.verifier)?;
        for entry in entries {
            self.verifier = self.verifier.push_hashed(entry)?;
            self.hashes()?;
            self.line(index, &lines.next().unwrap_or_default())?;
            index += 1;
            passed(index);
        }
        match ended {
            Ok(()) => {}
            Err(source @ BundleError::Cut) => {
                return Err(self.verifier.cut(VerifyError::Bundle { tile, index, source }));
            }
            Err(source @ BundleError::Surplus) => self.later(VerifyError::Bundle { tile, index, source }),
        }
        Ok(self)
    }

    /// Compare the tiles that the last entry filled.
    fn hashes(&mut self) -> Result<(), VerifyError> {
        let new: Vec<_> = self.verifier.new_nodes().iter().filter(|(id, _)| id.level % 8 == 0).copied().collect();
        for (id, hash) in new {
            let level = usize::from(id.level / 8);
            if self.levels.len() <= level {
                self.levels.resize(level + 1, (0, Vec::new()));
            }
            let (_, hashes) = &mut self.levels[level];
            hashes.push(hash);
            if hashes.len() == usize::from(TILE_WIDTH) {
                self.tile(level)?;
            }
        }
        Ok(())
    }

    /// Compare one tile of hashes.
    fn tile(&mut self, level: usize) -> Result<(), VerifyError> {
        let (index, hashes) = &mut self.levels[level];
        let width = u16::try_from(hashes.len()).unwrap_or(TILE_WIDTH);
        let tile = Tile::at(TileKind::Hashes(u8::try_from(level).unwrap_or(u8::MAX)), *index, width);
        let expected = hash_tile(hashes);
        *index += 1;
        hashes.clear();
        let Some(found) = self.files.read(&tile.to_string(), expected.len().max(1 << 16)).map_err(VerifyError::Read)?
        else {
            self.later(VerifyError::FileMissing { name: tile.to_string() });
            return Ok(());
        };
        if found.len() != expected.len() {
            self.later(VerifyError::TileLength { tile, bytes: found.len(), expected: expected.len() });
        } else if let Some(at) = found.chunks(32).zip(expected.chunks(32)).position(|(found, due)| found != due) {
            self.later(VerifyError::TileHash { tile, at });
        }
        Ok(())
    }

    /// Compare the next line of JSON.
    fn line(&mut self, index: u64, expected: &str) -> Result<(), VerifyError> {
        let Some(lines) = &mut self.lines else { return Ok(()) };
        let mut found = vec![0; expected.len()];
        let is_it = match io::Read::read_exact(lines, &mut found) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => false,
            read => {
                read.map_err(VerifyError::Read)?;
                found == expected.as_bytes()
            }
        };
        if !is_it {
            self.lines = None;
            self.later(VerifyError::Line { name: LINES, index });
        }
        Ok(())
    }

    fn finish(mut self, names: Option<Vec<String>>, size: u64, span: Span) -> Result<Option<Link>, VerifyError> {
        for level in 0..self.levels.len() {
            if !self.levels[level].1.is_empty() {
                self.tile(level)?;
            }
        }
        if let Some(mut lines) = self.lines.take()
            && !lines.fill_buf().map_err(VerifyError::Read)?.is_empty()
        {
            self.later(VerifyError::LineSurplus { name: LINES });
        }
        let head = self.verifier.finish()?;
        if let Some(error) = self.other {
            return Err(error);
        }
        let due = Tile::all(size).map(|tile| tile.to_string());
        let segments = (0..=span.segment_of(size)).map(segment_name);
        let due: BTreeSet<String> = due.chain(segments).chain([KEY, CHECKPOINT, LINES].map(str::to_owned)).collect();
        if let Some(name) = names.into_iter().flatten().find(|name| !due.contains(name)) {
            return Err(VerifyError::FileSurplus { name });
        }
        Ok(head)
    }
}

#[cfg(test)]
#[path = "published_tests.rs"]
mod tests;
