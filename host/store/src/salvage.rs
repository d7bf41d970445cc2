//! What can still be read of base copies and journals that are damaged, or that a repair has moved aside.
//!
//! [`crate::seek`] ends where something is not what was written, for what an engine is made of has to be whole. Here
//! nothing is made of what is found: whoever looks compares it with a root or a digest that the engine has. So a frame
//! that is broken is passed over, and the next one looked for behind it; and what a repair moved aside is read as well,
//! for it may have what is nowhere else.
//!
//! Nothing is changed here. A file that cannot be read has nothing.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use crate::base;
use crate::far;
use crate::files::open_regular;
use crate::frame::{ALIGN, FileHeader, FileKind, FrameHeader, FrameKey, HEADER_BYTES, StoreId, frame_bytes};
use crate::journal;
use crate::places::{Places, at};
use crate::redo;
use crate::repair::RepairError;
use crate::seek::Seeker;

/// How much is looked through at a time for the next frame.
const WINDOW_BYTES: usize = 64 << 10;
/// How much is passed over where a disk gives nothing.
const SECTOR_BYTES: u64 = 4 << 10;

/// A file with frames.
struct Source {
    /// Base copies come before the journal that goes on from them, and after the one that led to them.
    version: u64,
    kind: FileKind,
    path: PathBuf,
}

/// Show all frames that are whole, of all base copies and journals, the oldest first.
pub(crate) fn salvage(places: &Places, seeker: &mut impl Seeker) -> Result<(), RepairError> {
    let sources = sources(places).map_err(at(&places.dir))?;
    let store = sources.iter().find_map(|source| header_in(source, &open_regular(&source.path).ok()?));
    let store = store.map(|header| header.store);
    seeker.begin();
    for (read, source) in sources.iter().enumerate() {
        if seeker.is_done() {
            break;
        }
        match open_regular(&source.path) {
            Ok(file) => of_file(source, &file, store, seeker)?,
            Err(error) => tracing::warn!(path = %source.path.display(), %error, "nothing is looked for in this file"),
        }
        far::say("base copies and segments of the journal looked through", read as u64 + 1, sources.len() as u64);
    }
    Ok(())
}

/// What there is, and what was moved aside.
fn sources(places: &Places) -> io::Result<Vec<Source>> {
    let mut sources = Vec::new();
    for entry in fs::read_dir(&places.dir)? {
        let path = entry?.path();
        let is_one_of = |dir: &Path| is_or_was(&path, dir);
        if is_one_of(&places.base) {
            let bases = base::all(&path).unwrap_or_default().into_iter();
            sources.extend(bases.map(|base| Source { version: base.version, kind: FileKind::Base, path: base.path }));
        } else if is_one_of(&places.journal) {
            let segments = journal::segments(&path).unwrap_or_default().into_iter();
            sources.extend(segments.map(|segment| {
                let (version, path) = (segment.first, segment.path);
                Source { version, kind: FileKind::Journal, path }
            }));
        }
    }
    sources.sort_by_key(|source| (source.version, source.kind == FileKind::Journal));
    Ok(sources)
}

/// Whether it is this directory, or one that was moved aside from there (see [`crate::repair::free_name`]).
fn is_or_was(path: &Path, dir: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    path == dir || (extension.starts_with("broken-") && path.with_extension("") == dir)
}

fn header_in(source: &Source, file: &File) -> Option<FileHeader> {
    let mut head = [0; HEADER_BYTES];
    file.read_exact_at(&mut head, 0).ok()?;
    FileHeader::parse(source.kind, &head).filter(|header| header.version == source.version)
}

/// All frames of a file that are whole. What its own header would say is known of its name and of the other files.
fn of_file(source: &Source, file: &File, store: Option<StoreId>, seeker: &mut impl Seeker) -> Result<(), RepairError> {
    let named = |store| FileHeader { kind: source.kind, store, version: source.version };
    let Some(header) = header_in(source, file).or(store.map(named)) else { return Ok(()) };
    let (key, mut from) = (header.frame_key(), HEADER_BYTES as u64);
    let end = file.metadata().map_err(at(&source.path))?.len();
    while let Some((at, frame)) = next_frame(file, &key, from, end) {
        if seeker.is_done() {
            break;
        }
        let Some(writes) = writes_in(file, &key, at, &frame, end) else {
            from = at + ALIGN as u64;
            continue;
        };
        writes.iter().try_for_each(|write| seeker.take(write))?;
        from = at + frame_bytes(frame.content_bytes()) as u64;
    }
    Ok(())
}

/// The next place from here on where a frame begins.
fn next_frame(file: &File, key: &FrameKey, from: u64, end: u64) -> Option<(u64, FrameHeader)> {
    let (mut at, mut window) = (from, vec![0; HEADER_BYTES]);
    while at < end {
        match file.read_at(&mut window, at) {
            Ok(read) if read >= HEADER_BYTES => {
                let places = (0..=read - HEADER_BYTES).step_by(ALIGN);
                let found = places.map(|place| (at + place as u64, &window[place..read]));
                let mut found = found.filter_map(|(at, bytes)| Some((at, key.header(at, bytes)?)));
                if let Some(found) = found.next() {
                    return Some(found);
                }
                at += (read / ALIGN * ALIGN) as u64;
            }
            Ok(_) => return None,
            Err(_) => at = (at / SECTOR_BYTES + 1) * SECTOR_BYTES,
        }
        // Mostly one stands where the one before ended.
        window.resize(WINDOW_BYTES, 0);
    }
    None
}

fn writes_in(file: &File, key: &FrameKey, at: u64, frame: &FrameHeader, end: u64) -> Option<Vec<redo::Write>> {
    let begin = at + HEADER_BYTES as u64;
    if begin.checked_add(frame.body_bytes() as u64)? > end {
        return None;
    }
    let mut body = vec![0; frame.body_bytes()];
    file.read_exact_at(&mut body, begin).ok()?;
    redo::decode(key.content(at, frame, &body)?)
}
