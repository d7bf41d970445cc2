//! Base copies: all that the engine holds, in one plain file, made while the store goes on.
//!
//! ```text
//! <dir>/base/<version>.base   header and frames as in [`crate::frame`]; the last frame is empty
//! ```
//!
//! A copy begins at a version and takes its time, so it may hold later values, too. Since the journal is read
//! again from that version on, and a group says what its keys come to, nothing else has to be known. A copy
//! counts when it has its name, and it gets that once it is on disk.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, ErrorKind, Read, Write as _};
use std::path::{Path, PathBuf};

use crate::error::StorageError;
use crate::far;
use crate::files::sync_dir;
use crate::files::{create_beside, open_regular};
use crate::frame::{FileHeader, FileKind, FrameKey, HEADER_BYTES, StoreId};
use crate::journal;
use crate::redo::{self, Write};
use crate::trees::{Pairs, TreeName, Trees};

const SUFFIX: &str = ".base";
/// How many digits the version has in its name.
const DIGITS: usize = 20;
const NEW: &str = "next.new";
/// About how many bytes a frame holds.
const PAGE_BYTES: usize = 256 << 10;
/// How many copies are kept.
pub(crate) const KEPT: usize = 2;
/// What the last frame says in place of the version that it leads to.
const END: u64 = u64::MAX;

/// Why a base copy cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BaseError {
    /// The file cannot be read.
    #[error("`{}` could not be used", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is not what was written.
    #[error("`{}` is no base copy, or is damaged at byte {at}", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// Where.
        at: u64,
    },
}

/// A base copy, by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Base {
    /// From which version on the journal is needed with it.
    pub(crate) version: u64,
    pub(crate) path: PathBuf,
}

/// All base copies, the oldest first. Where the directory is gone there are none.
pub(crate) fn all(dir: &Path) -> io::Result<Vec<Base>> {
    let mut bases = Vec::new();
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(bases),
        entries => entries?,
    };
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        // No other spelling of a number is a name of one: each version has one copy.
        let digits = name.strip_suffix(SUFFIX).filter(|digits| digits.len() == DIGITS);
        let digits = digits.filter(|digits| digits.bytes().all(|digit| digit.is_ascii_digit()));
        if let Some(version) = digits.and_then(|digits| digits.parse().ok()) {
            bases.push(Base { version, path });
        }
    }
    bases.sort_by_key(|base| base.version);
    Ok(bases)
}

/// A page of a copy: what stood in a tree at one moment, in the order of its keys.
pub(crate) struct PageOfTree {
    tree: TreeName,
    pairs: Pairs,
}

/// A copy that is being made, page by page.
pub(crate) struct BaseWriter {
    dir: PathBuf,
    file: BufWriter<File>,
    key: FrameKey,
    version: u64,
    at: u64,
    /// Where the next page goes on; none when all is written.
    next: Option<(TreeName, Option<Vec<u8>>)>,
}

impl BaseWriter {
    /// Begin a copy at the version that all readers have reached.
    pub(crate) fn begin(dir: &Path, store: StoreId, version: u64) -> io::Result<Self> {
        let file = create_beside(&dir.join(NEW))?;
        let header = FileHeader { kind: FileKind::Base, store, version };
        let mut file = BufWriter::new(file);
        file.write_all(&header.to_bytes())?;
        let (key, at) = (header.frame_key(), HEADER_BYTES as u64);
        Ok(Self { dir: dir.to_owned(), file, key, version, at, next: Some((TreeName::ALL[0], None)) })
    }

    /// From which version on the journal is needed with it.
    pub(crate) const fn version(&self) -> u64 {
        self.version
    }

    /// The next page; none when all is written. It is the same again until it is written.
    pub(crate) fn read(&mut self, trees: &Trees) -> Result<Option<PageOfTree>, StorageError> {
        while let Some((tree, after)) = &self.next {
            let pairs = trees.page(*tree, after.as_deref(), PAGE_BYTES)?;
            if !pairs.is_empty() {
                return Ok(Some(PageOfTree { tree: *tree, pairs }));
            }
            self.next = tree.next().map(|tree| (tree, None));
        }
        Ok(None)
    }

    /// Write a page that was read.
    pub(crate) fn write(&mut self, PageOfTree { tree, pairs }: PageOfTree) -> io::Result<()> {
        let last = pairs.last().map(|(key, _)| key.clone());
        let writes: Vec<_> = pairs.into_iter().map(|(key, value)| Write { tree, key, value: Some(value) }).collect();
        self.frame(self.version, &redo::encode(&writes))?;
        self.next = Some((tree, last));
        Ok(())
    }

    /// End the copy. It is whole, and nobody's yet.
    pub(crate) fn finish(mut self) -> io::Result<Finished> {
        self.frame(END, &[])?;
        let Self { dir, file, version, at: bytes, .. } = self;
        file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        let base = Base { version, path: dir.join(NEW) };
        Ok(Finished { dir, base, bytes })
    }

    fn frame(&mut self, to: u64, content: &[u8]) -> io::Result<()> {
        let frame = self.key.frame(self.at, self.version, to, content);
        let frame = frame.ok_or_else(|| io::Error::other("the page is too long for a frame"))?;
        self.at += frame.len() as u64;
        self.file.write_all(&frame)
    }
}

/// A copy that is whole and on disk, and counts for nothing without its name.
pub(crate) struct Finished {
    dir: PathBuf,
    pub(crate) base: Base,
    pub(crate) bytes: u64,
}

impl Finished {
    /// Give the copy its name.
    pub(crate) fn put_in_place(self) -> io::Result<()> {
        let Self { dir, base: Base { version, path }, .. } = self;
        fs::rename(path, dir.join(format!("{version:020}{SUFFIX}")))?;
        sync_dir(&dir)
    }
}

/// Make a whole copy at once, while nobody writes. Its size is what comes back.
pub(crate) fn write(dir: &Path, store: StoreId, version: u64, trees: &Trees) -> Result<u64, StorageError> {
    let mut writer = BaseWriter::begin(dir, store, version)?;
    while let Some(page) = writer.read(trees)? {
        writer.write(page)?;
    }
    let finished = writer.finish()?;
    let bytes = finished.bytes;
    finished.put_in_place()?;
    Ok(bytes)
}

/// How many bytes the journal has since the newest copy, and how many that copy has; about, for it counts
/// whole segments.
pub(crate) fn how_far(dir: &Path, journal: &Path) -> io::Result<(u64, u64)> {
    let Some(newest) = all(dir)?.pop() else { return Ok((u64::MAX, 0)) };
    let segments = journal::segments(journal).map_err(io::Error::other)?;
    let mut bytes = 0;
    for segment in segments.iter().filter(|segment| segment.first > newest.version) {
        bytes += fs::metadata(&segment.path)?.len();
    }
    Ok((bytes, fs::metadata(&newest.path)?.len()))
}

/// Remove all copies but the newest few, of which the one of this version was just made, and give the version of the oldest
/// that is left. What claims to be of a later version, or is no copy of this store, is none of ours, and takes the place of
/// none.
pub(crate) fn trim(dir: &Path, made: u64) -> io::Result<Option<u64>> {
    let mut bases = all(dir)?;
    let store = |base: &Base| Some(FileHeader::of_file(FileKind::Base, &base.path)?.store);
    let ours = bases.iter().find(|base| base.version == made).and_then(store);
    bases.retain(|base| base.version <= made && (ours.is_none() || store(base) == ours));
    let old = bases.len().saturating_sub(KEPT);
    for base in bases.drain(..old) {
        fs::remove_file(&base.path)?;
    }
    if old > 0 {
        sync_dir(dir)?;
    }
    Ok(bases.first().map(|base| base.version))
}

/// Remove what was never finished.
pub(crate) fn remove_unfinished(dir: &Path) -> io::Result<()> {
    match fs::remove_file(dir.join(NEW)) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Read a copy from its first page to its last, and check every byte. Whose it is comes back.
pub(crate) fn read<E: From<BaseError>>(
    base: &Base,
    mut each: impl FnMut(Vec<Write>) -> Result<(), E>,
) -> Result<StoreId, E> {
    let damaged = |at: u64| BaseError::Damaged { path: base.path.clone(), at };
    let broken = |at: u64| {
        let path = base.path.clone();
        move |source: io::Error| match source.kind() {
            ErrorKind::UnexpectedEof => BaseError::Damaged { path, at },
            _ => BaseError::Io { path, source },
        }
    };
    let file = open_regular(&base.path).map_err(broken(0))?;
    let (bytes, mut file) = (file.metadata().map_err(broken(0))?.len(), BufReader::new(file));
    let mut head = [0; HEADER_BYTES];
    file.read_exact(&mut head).map_err(broken(0))?;
    let header = FileHeader::parse(FileKind::Base, &head).filter(|header| header.version == base.version);
    let header = header.ok_or_else(|| damaged(0))?;
    let (key, mut at) = (header.frame_key(), HEADER_BYTES as u64);
    let mut last = None;
    loop {
        file.read_exact(&mut head).map_err(broken(at))?;
        let frame = key.header(at, &head).filter(|frame| frame.from == base.version).ok_or_else(|| damaged(at))?;
        let mut body = vec![0; frame.body_bytes()];
        file.read_exact(&mut body).map_err(broken(at))?;
        let content = key.content(at, &frame, &body).ok_or_else(|| damaged(at))?;
        if frame.to == END {
            break;
        }
        let writes = redo::decode(content).filter(|writes| ascend(&mut last, writes)).ok_or_else(|| damaged(at))?;
        each(writes)?;
        at += (HEADER_BYTES + body.len()) as u64;
        far::say("bytes of the base copy read", at, bytes);
    }
    // A last frame that is not the last is none.
    if file.read(&mut head).map_err(broken(at))? > 0 {
        return Err(damaged(at).into());
    }
    Ok(header.store)
}

/// Whether these come after what came before, each after the other, and none twice: so it was written, and what stands twice
/// would add to an imprint and take itself out again.
fn ascend(last: &mut Option<(u8, Vec<u8>)>, writes: &[Write]) -> bool {
    let place = |write: &Write| (write.tree.number(), write.key.clone());
    let is_after =
        |write: &Write| last.as_ref().is_none_or(|(tree, key)| (*tree, key) < (write.tree.number(), &write.key));
    let do_ascend = writes.first().is_none_or(is_after)
        && writes.is_sorted_by(|one, next| (one.tree.number(), &one.key) < (next.tree.number(), &next.key))
        && writes.iter().all(|write| write.value.is_some());
    *last = writes.last().map(place).or(last.take());
    do_ascend
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In an imprint, what stands there twice would take itself out again.
    #[test]
    fn a_copy_in_which_something_stands_twice_or_out_of_its_order_is_refused() {
        let write = |tree, key: &[u8]| Write { tree, key: key.to_vec(), value: Some(b"value".to_vec()) };
        let (a, b) = (write(TreeName::State, b"a"), write(TreeName::State, b"b"));
        let (entry, gone) = (write(TreeName::Entries, b"a"), Write { value: None, ..write(TreeName::State, b"c") });
        for (frames, is_read) in [
            (vec![vec![a.clone(), b.clone()], vec![entry.clone()]], true),
            (vec![vec![a.clone()], vec![], vec![b.clone(), entry.clone()]], true),
            (vec![vec![a.clone(), b.clone(), b.clone()]], false),
            (vec![vec![a.clone(), b.clone()], vec![b.clone(), b.clone()]], false),
            (vec![vec![a.clone(), b.clone()], vec![b.clone()]], false),
            (vec![vec![b.clone(), a.clone()]], false),
            (vec![vec![entry], vec![a.clone()]], false),
            (vec![vec![a, gone]], false),
        ] {
            let dir = tempfile::TempDir::new().unwrap();
            let mut writer = BaseWriter::begin(dir.path(), StoreId([7; 16]), 3).unwrap();
            for writes in &frames {
                writer.frame(3, &redo::encode(writes)).unwrap();
            }
            writer.finish().unwrap().put_in_place().unwrap();
            let base = all(dir.path()).unwrap().pop().unwrap();
            let read = read::<BaseError>(&base, |_| Ok(()));
            assert_eq!(read.is_ok(), is_read, "{frames:?}");
            assert!(is_read || matches!(read, Err(BaseError::Damaged { .. })));
        }
    }

    #[test]
    fn what_claims_to_be_later_than_the_newest_takes_the_place_of_none() {
        let dir = tempfile::TempDir::new().unwrap();
        let names = |dir: &Path| all(dir).unwrap().into_iter().map(|base| base.version).collect::<Vec<_>>();
        assert_eq!(trim(dir.path(), 9).unwrap(), None);
        for version in [1, 5, 9, u64::MAX - 1, u64::MAX] {
            fs::write(dir.path().join(format!("{version:020}{SUFFIX}")), "").unwrap();
        }
        assert_eq!(trim(dir.path(), 9).unwrap(), Some(5));
        assert_eq!(names(dir.path()), [5, 9, u64::MAX - 1, u64::MAX]);
        assert_eq!(trim(dir.path(), 9).unwrap(), Some(5));
    }
    #[test]
    fn what_is_no_copy_of_this_store_takes_the_place_of_none() {
        let dir = tempfile::TempDir::new().unwrap();
        let make = |store: u8, version| {
            let writer = BaseWriter::begin(dir.path(), StoreId([store; 16]), version).unwrap();
            writer.finish().unwrap().put_in_place().unwrap();
        };
        for version in [1, 5, 9] {
            make(7, version);
        }
        make(8, 6);
        fs::write(dir.path().join(format!("{:020}{SUFFIX}", 7)), "").unwrap();
        assert_eq!(trim(dir.path(), 9).unwrap(), Some(5));
        let left: Vec<u64> = all(dir.path()).unwrap().into_iter().map(|base| base.version).collect();
        assert_eq!(left, [5, 6, 7, 9]);
    }
}
