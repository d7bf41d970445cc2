//! The index beside the export of an epoch that has ended: where each entry begins, and the hashes of the tree.
//!
//! ```text
//! epochs/<n>.index
//!   64 bytes     `attorn-index-v1\n`, how many entries there are, where the last ends in the export, the tree's root
//!   each entry   where it begins in the export, and the nodes that it makes perfect, its leaf first
//! ```
//!
//! Of an entry that the export lacks there are zeros where its hashes would be, up to the root over its bundle.
//!
//! Numbers have 8 bytes, big-endian, and hashes 32, so the place of each follows from its number. It is made when the
//! epoch ends, and when somebody asks and it is not there. Nothing is believed because it stands here: it says where to
//! look, and what is found has to be proved ([`super::kept`]). It is no part of the log, and lost without harm.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, ErrorKind, Write as _};
use std::ops::Range;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use attorn_log::{CheckpointVerifier, Entry, Epoch, ExportReader, Gap, Hash, NodeId, SignedCheckpoint, Verifier};
use attorn_store::{far, open_regular};

use super::kept::KeptError;
use super::{UNFINISHED, export_path};
use crate::http::failure::causes;

const MAGIC: [u8; 16] = *b"attorn-index-v1\n";
const HEADER_BYTES: u64 = 64;
const NUMBER_BYTES: u64 = 8;
const HASH_BYTES: u64 = 32;
/// After how many entries it says how far it is.
const SAID_EVERY: u64 = 256;
/// How many bytes an index has for each entry at the most: where it begins, and two hashes, of which a tree has fewer than
/// twice as many as leaves.
pub(crate) const ENTRY_BYTES_MAX: u64 = NUMBER_BYTES + 2 * HASH_BYTES;

/// Held by whoever makes one, so that many who ask at once have it made once.
static MAKING: Mutex<()> = Mutex::new(());

/// An index that is open.
pub(crate) struct Head {
    file: File,
    size: u64,
    /// Where the last entry ends in the export.
    end: u64,
}

/// Open the index of an epoch; none if there is none of an epoch that ended with this checkpoint.
pub(crate) fn open(data_dir: &Path, ended: &SignedCheckpoint) -> Option<Head> {
    let path = path(data_dir, ended.checkpoint().origin.epoch);
    // What cannot be opened or read is none: it is made anew.
    let file = open_regular(&path).ok()?;
    let mut header = [0; 64];
    file.read_exact_at(&mut header, 0).ok()?;
    let end = number(&header[24..32]);
    let checkpoint = ended.checkpoint();
    let is_of_it = header == self::header(checkpoint.size, end, checkpoint.root);
    is_of_it.then_some(Head { file, size: checkpoint.size, end })
}

/// Make the index, unless somebody has while this waited: another one than `instead`, which led nowhere.
pub(crate) fn make_once(
    data_dir: &Path,
    key: &CheckpointVerifier,
    (ended, bad): (&SignedCheckpoint, &[Range<u64>]),
    instead: Option<&Head>,
) -> Result<Head, KeptError> {
    let _making = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(made) = open(data_dir, ended).filter(|made| instead.is_none_or(|old| !made.is(old))) {
        return Ok(made);
    }
    make(data_dir, key, ended, bad)?;
    let path = path(data_dir, key.origin().epoch);
    let gone = || KeptError::Io { path, source: ErrorKind::NotFound.into() };
    open(data_dir, ended).ok_or_else(gone)
}

/// Verify an export from its first entry to its last, and write its index while that is done. It may lack the entries
/// that were bad when the epoch ended, and no others.
pub(crate) fn make(
    data_dir: &Path,
    key: &CheckpointVerifier,
    ended: &SignedCheckpoint,
    bad: &[Range<u64>],
) -> Result<(), KeptError> {
    let path = path(data_dir, key.origin().epoch);
    let beside = path.with_extension(format!("index.{UNFINISHED}"));
    let written = write(&beside, data_dir, key, (ended, bad));
    if written.is_err() {
        // What matters is why.
        let _ = fs::remove_file(&beside);
    }
    written?;
    let placed = clear(&path)
        .and_then(|()| fs::rename(&beside, &path))
        .and_then(|()| File::open(data_dir.join(super::EPOCHS))?.sync_all());
    placed.map_err(|source| KeptError::Io { path, source })
}

/// Remove what no file can take the place of.
fn clear(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        _ => Ok(()),
    }
}

fn write(
    beside: &Path,
    data_dir: &Path,
    key: &CheckpointVerifier,
    (ended, bad): (&SignedCheckpoint, &[Range<u64>]),
) -> Result<(), KeptError> {
    let epoch = key.origin().epoch;
    let damaged = |why: String| KeptError::Damaged { epoch, why };
    let fail = |source| KeptError::Io { path: beside.to_owned(), source };
    let mut export = export(data_dir, epoch)?;
    let note = key.verify(export.note().as_bytes()).map_err(|error| damaged(causes(&error)))?;
    if note.checkpoint() != ended.checkpoint() {
        return Err(damaged("its checkpoint is another than the one with which the epoch ended".to_owned()));
    }
    let gaps = export.gaps().to_vec();
    if let Some(gap) = gaps.iter().map(Gap::entries).find(|gap| !is_within(gap, bad)) {
        let last = gap.end.saturating_sub(1);
        return Err(damaged(format!(
            "it lacks the entries {} to {last}, which were whole when the epoch ended",
            gap.start
        )));
    }
    // Nobody else makes one now, and what stands there may be a link, or a pipe that nobody reads.
    match fs::remove_file(beside) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        removed => removed.map_err(fail)?,
    }
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(beside).map_err(fail)?;
    let mut out = BufWriter::new(file);
    out.write_all(&[0; 64]).map_err(fail)?;
    let (mut verifier, mut place, mut bytes) = (Verifier::new(ended), export.header_bytes(), Vec::new());
    let mut due = gaps.iter().peekable();
    loop {
        while let Some(gap) = due.next_if(|gap| gap.entries().start == verifier.index()) {
            verifier = verifier.pass_over(gap).map_err(|error| damaged(causes(&error)))?;
            out.write_all(&of_gap(gap, place, verifier.new_nodes())).map_err(fail)?;
        }
        let index = verifier.index();
        if index.is_multiple_of(SAID_EVERY) {
            far::say("entries of the export verified", index, ended.checkpoint().size);
        }
        match export.next_entry(&mut bytes) {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::InvalidData) => {
                return Err(damaged(format!("entry {index} cannot be read: {error}")));
            }
            Err(source) => return Err(KeptError::Io { path: export_path(data_dir, epoch), source }),
        }
        verifier = verifier.push(&bytes).map_err(|error| damaged(causes(&error)))?;
        out.write_all(&place.to_be_bytes()).map_err(fail)?;
        for (_, hash) in verifier.new_nodes() {
            out.write_all(&hash.0).map_err(fail)?;
        }
        place += bytes.len() as u64;
    }
    verifier.finish().map_err(|error| damaged(causes(&error)))?;
    let file = out.into_inner().map_err(|error| fail(error.into_error()))?;
    let checkpoint = ended.checkpoint();
    let header = header(checkpoint.size, place, checkpoint.root);
    file.write_all_at(&header, 0).and_then(|()| file.sync_all()).map_err(fail)
}

fn is_within(gap: &Range<u64>, bad: &[Range<u64>]) -> bool {
    bad.iter().any(|bad| bad.start <= gap.start && gap.end <= bad.end)
}

/// What stands of the entries of a bundle that is lacking: each begins where the next one that is there does, and of the
/// nodes that they make perfect those from the bundle's root on are known.
fn of_gap(gap: &Gap, place: u64, nodes: &[(NodeId, Hash)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for at in gap.entries() {
        bytes.extend(place.to_be_bytes());
        for level in 0..=at.trailing_ones() {
            let known = nodes.iter().find(|(id, _)| u32::from(id.level) == level && is_last(gap, at));
            bytes.extend(known.map_or([0; 32], |(_, hash)| hash.0));
        }
    }
    bytes
}

fn is_last(gap: &Gap, at: u64) -> bool {
    at + 1 == gap.entries().end
}

fn export(data_dir: &Path, epoch: Epoch) -> Result<ExportReader<BufReader<File>>, KeptError> {
    let path = export_path(data_dir, epoch);
    let file = open_regular(&path).map_err(|source| match source.kind() {
        ErrorKind::NotFound => KeptError::Missing(epoch),
        _ => KeptError::Io { path, source },
    })?;
    ExportReader::open(BufReader::new(file)).map_err(|error| KeptError::Damaged { epoch, why: causes(&error) })
}

impl Head {
    /// Whether both are one file.
    fn is(&self, other: &Self) -> bool {
        let id = |head: &Self| head.file.metadata().map(|found| (found.dev(), found.ino())).ok();
        id(self).is_some_and(|this| Some(this) == id(other))
    }

    /// Whether it is of an export of so many bytes.
    pub(crate) const fn ends_at(&self, bytes: u64) -> bool {
        self.end == bytes
    }

    /// How many bytes more an export has than the one that this is of.
    pub(crate) fn shifted_by(&self, bytes: u64) -> i64 {
        bytes.checked_signed_diff(self.end).unwrap_or(0)
    }

    /// Where an entry begins in the export, and how many bytes it has; none if that cannot be.
    pub(crate) fn place(&self, at: u64) -> Option<(u64, usize)> {
        let begin = self.begin(at)?;
        let end = if at + 1 == self.size { self.end } else { self.begin(at + 1)? };
        let len = usize::try_from(end.checked_sub(begin)?).ok()?;
        (1..=Entry::BYTES_MAX).contains(&len).then_some((begin, len))
    }

    /// A node of the tree, as it stands here; none if it does not.
    pub(crate) fn node(&self, id: NodeId) -> Option<Hash> {
        let end = id.index.checked_add(1)?.checked_mul(1_u64.checked_shl(id.level.into())?)?;
        let last = end.checked_sub(1)?;
        let place = record(last) + NUMBER_BYTES + HASH_BYTES * u64::from(id.level);
        self.read::<32>(place).map(Hash)
    }

    fn begin(&self, at: u64) -> Option<u64> {
        self.read::<8>(record(at)).map(u64::from_be_bytes)
    }

    /// Whatever is wrong with an index, it leads nowhere.
    fn read<const N: usize>(&self, place: u64) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        self.file.read_exact_at(&mut bytes, place).ok()?;
        Some(bytes)
    }
}

/// Where what belongs to an entry begins. The entries before it made so many nodes perfect: one each, and one more for
/// each bit that carried.
fn record(at: u64) -> u64 {
    // No file is so long, so nothing is found there.
    let at = at.min(1 << 50);
    let nodes = 2 * at - u64::from(at.count_ones());
    HEADER_BYTES + NUMBER_BYTES * at + HASH_BYTES * nodes
}

fn path(data_dir: &Path, epoch: Epoch) -> PathBuf {
    export_path(data_dir, epoch).with_extension("index")
}

fn header(size: u64, end: u64, root: Hash) -> [u8; 64] {
    let mut header = [0; 64];
    header[..16].copy_from_slice(&MAGIC);
    header[16..24].copy_from_slice(&size.to_be_bytes());
    header[24..32].copy_from_slice(&end.to_be_bytes());
    header[32..].copy_from_slice(&root.0);
    header
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_everything_follows_from_its_number() {
        let mut place = HEADER_BYTES;
        for at in 0..2_000_u64 {
            assert_eq!(record(at), place, "{at}");
            place += NUMBER_BYTES + HASH_BYTES * u64::from(at.trailing_ones() + 1);
        }
        assert!(record(u64::MAX) < i64::MAX as u64);
        let header = header(3, 0x0102, Hash([9; 32]));
        assert_eq!((number(&header[16..24]), number(&header[24..32]), header[63]), (3, 0x0102, 9));
        assert!(header.starts_with(b"attorn-index-v1\n"));
    }
}
