//! Reading the journal: which segments there are, what is in them, and where the last one was torn.
//!
//! A group is synced before the next is appended, so only the last frame of the last segment can be torn. It
//! was never acknowledged, and is cut off. Whatever is wrong anywhere else is damage, and is named with its
//! place: what comes after it hangs in the air, and nobody may leave it out.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::{SUFFIX, segment_name};
use crate::far;
use crate::files::read_regular;
use crate::frame::{ALIGN, CONTENT_BYTES_MAX, FileHeader, FileKind, FrameKey, HEADER_BYTES, StoreId, frame_bytes};
use crate::redo::{self, Redo};

/// Why the journal cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// A file or the directory cannot be used.
    #[error("`{}` could not be used", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It does not begin as a segment, or its name says otherwise.
    #[error("`{}` is no segment of the journal", path.display())]
    NotASegment {
        /// Which file.
        path: PathBuf,
    },
    /// It belongs to another store.
    #[error("`{}` belongs to another store", path.display())]
    OtherStore {
        /// Which file.
        path: PathBuf,
    },
    /// Something in the middle is not what was written.
    #[error("`{}` is damaged at byte {at}, and goes on after it", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// Where.
        at: u64,
    },
    /// Something in the middle is not there.
    #[error("`{}` goes on with version {found} at byte {at}, where {due} is due", path.display())]
    Hole {
        /// Which file.
        path: PathBuf,
        /// Where.
        at: u64,
        /// From which version on it should go on.
        due: u64,
        /// From which it does.
        found: u64,
    },
    /// There is nothing of it.
    #[error("there is no journal in `{}`", dir.display())]
    Gone {
        /// The journal's directory.
        dir: PathBuf,
    },
    /// No segment goes back far enough.
    #[error("the journal in `{}` does not go back to version {due}", dir.display())]
    Missing {
        /// The journal's directory.
        dir: PathBuf,
        /// From which version on it is needed.
        due: u64,
    },
    /// It ends before what the engine has: its end was lost.
    #[error("the journal in `{}` ends with version {end}, and the store has {version}", dir.display())]
    Behind {
        /// The journal's directory.
        dir: PathBuf,
        /// Its last version.
        end: u64,
        /// The store's.
        version: u64,
    },
}

pub(super) fn io_at(path: &Path) -> impl FnOnce(io::Error) -> JournalError {
    let path = path.to_owned();
    |source| JournalError::Io { path, source }
}

/// A segment, by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Segment {
    /// The version that its first frame begins with.
    pub(crate) first: u64,
    pub(crate) path: PathBuf,
}

/// All segments, in their order.
pub(crate) fn segments(dir: &Path) -> Result<Vec<Segment>, JournalError> {
    let mut segments = Vec::new();
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(JournalError::Gone { dir: dir.to_owned() }),
        entries => entries.map_err(io_at(dir))?,
    };
    for entry in entries {
        let path = entry.map_err(io_at(dir))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if let Some(number) = name.strip_suffix(SUFFIX) {
            // No other spelling of a number is a name of one: no two begin with the same version.
            let first = number.parse().ok().filter(|first| name == segment_name(*first));
            let first = first.ok_or_else(|| JournalError::NotASegment { path: path.clone() })?;
            segments.push(Segment { first, path });
        }
    }
    segments.sort_by_key(|segment| segment.first);
    Ok(segments)
}

/// Where the journal ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct End {
    /// The last version.
    pub(crate) version: u64,
    /// The last segment.
    pub(crate) segment: Segment,
    pub(crate) header: FileHeader,
    /// Where the next frame goes.
    pub(crate) at: u64,
    /// How long the file is.
    pub(crate) length: u64,
    /// Where the last frame begins, if the last segment has one.
    pub(crate) last_frame: Option<u64>,
    /// Whether something torn stands after it.
    pub(crate) torn: bool,
}

/// How much of the first segment that is needed has to be right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Demand {
    /// All of it.
    Whole,
    /// What comes after the version that is there already.
    Rest,
}

/// Read all groups after a version. `store` is whose journal it must be; none if that is not known.
pub(crate) fn replay<E: From<JournalError>>(
    dir: &Path,
    store: Option<StoreId>,
    after: u64,
    each: impl FnMut(Redo) -> Result<(), E>,
) -> Result<End, E> {
    read_from(dir, store, after, Demand::Whole, each)
}

/// The same, whatever is wrong with the groups before.
pub(crate) fn replay_rest<E: From<JournalError>>(
    dir: &Path,
    store: StoreId,
    after: u64,
    each: impl FnMut(Redo) -> Result<(), E>,
) -> Result<End, E> {
    read_from(dir, Some(store), after, Demand::Rest, each)
}

fn read_from<E: From<JournalError>>(
    dir: &Path,
    store: Option<StoreId>,
    after: u64,
    demand: Demand,
    mut each: impl FnMut(Redo) -> Result<(), E>,
) -> Result<End, E> {
    let segments = segments(dir)?;
    let start = segments.iter().rposition(|segment| segment.first <= after);
    let missing = || JournalError::Missing { dir: dir.to_owned(), due: after };
    let start = start.ok_or_else(missing)?;
    let (mut store, mut due, mut end) = (store, segments[start].first, None);
    for (index, segment) in segments.iter().enumerate().skip(start) {
        let bytes = read_regular(&segment.path, SEGMENT_BYTES_MAX).map_err(io_at(&segment.path))?;
        let header = header(segment, &bytes, store)?;
        store = Some(header.store);
        let last = index + 1 == segments.len();
        let mut begin = Begin { at: HEADER_BYTES, due };
        if demand == Demand::Rest && index == start && segment.first < after {
            begin = Begin { at: place_after(&header.frame_key(), &bytes, after).ok_or_else(missing)?, due: after };
        }
        let reached = read_segment(segment, header, &bytes, (last, begin), &mut |redo: Redo| {
            if redo.to > after { each(redo) } else { Ok(()) }
        })?;
        due = reached.version;
        end = Some(reached);
        far::say("segments of the journal read", (index + 1 - start) as u64, (segments.len() - start) as u64);
    }
    end.ok_or_else(|| missing().into())
}

/// The longest segment that a store makes has one group of the greatest size.
const SEGMENT_BYTES_MAX: u64 = CONTENT_BYTES_MAX as u64 + (1 << 20);

/// Where reading begins in a segment, and with which version.
#[derive(Debug, Clone, Copy)]
struct Begin {
    at: usize,
    due: u64,
}

/// Where the groups after this version begin, as far as headers tell.
fn place_after(key: &FrameKey, bytes: &[u8], after: u64) -> Option<usize> {
    (HEADER_BYTES..bytes.len()).step_by(ALIGN).find_map(|at| {
        let header = key.header(at as u64, &bytes[at..])?;
        let end = at + frame_bytes(header.content_bytes());
        if header.from == after { Some(at) } else { (header.to == after).then_some(end) }
    })
}

fn header(segment: &Segment, bytes: &[u8], store: Option<StoreId>) -> Result<FileHeader, JournalError> {
    let path = || segment.path.clone();
    let header = FileHeader::parse(FileKind::Journal, bytes).filter(|header| header.version == segment.first);
    let header = header.ok_or_else(|| JournalError::NotASegment { path: path() })?;
    if store.is_some_and(|store| store != header.store) {
        return Err(JournalError::OtherStore { path: path() });
    }
    Ok(header)
}

fn read_segment<E: From<JournalError>>(
    segment: &Segment,
    header: FileHeader,
    bytes: &[u8],
    (last, begin): (bool, Begin),
    each: &mut impl FnMut(Redo) -> Result<(), E>,
) -> Result<End, E> {
    let key = header.frame_key();
    let path = || segment.path.clone();
    let Begin { mut at, mut due } = begin;
    if at == HEADER_BYTES && segment.first != due {
        return Err(JournalError::Hole { path: path(), at: 0, due, found: segment.first }.into());
    }
    let (mut last_frame, mut torn) = (None, false);
    loop {
        let place = at as u64;
        let Some((redo, content_bytes)) = read_frame(&key, bytes, at) else {
            if is_clean(bytes, at) {
                break;
            }
            if !last || goes_on(&key, bytes, at) {
                return Err(JournalError::Damaged { path: path(), at: place }.into());
            }
            torn = true;
            break;
        };
        if redo.from != due || redo.to <= redo.from {
            return Err(JournalError::Hole { path: path(), at: place, due, found: redo.from }.into());
        }
        due = redo.to;
        each(redo)?;
        last_frame = Some(place);
        at += frame_bytes(content_bytes);
    }
    Ok(End {
        version: due,
        segment: segment.clone(),
        header,
        at: at as u64,
        length: bytes.len() as u64,
        last_frame,
        torn,
    })
}

fn read_frame(key: &FrameKey, bytes: &[u8], at: usize) -> Option<(Redo, usize)> {
    let header = key.header(at as u64, bytes.get(at..)?)?;
    let content = key.content(at as u64, &header, &bytes[at + HEADER_BYTES..])?;
    Some((Redo { from: header.from, to: header.to, writes: redo::decode(content)? }, content.len()))
}

/// Whether nothing was ever written from here on.
fn is_clean(bytes: &[u8], at: usize) -> bool {
    bytes.get(at..).is_none_or(|rest| rest.iter().all(|&byte| byte == 0))
}

/// Whether a frame stands after a broken one. A header of one is enough: its check is right by no accident.
fn goes_on(key: &FrameKey, bytes: &[u8], broken: usize) -> bool {
    (broken + ALIGN..bytes.len()).step_by(ALIGN).any(|at| key.header(at as u64, &bytes[at..]).is_some())
}
