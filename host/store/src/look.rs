//! Looking at a store that nobody uses, and changing nothing in its directory.
//!
//! The engine writes when it is opened: it cuts what is torn, and files are written anew. So does the journal, and a store
//! that goes on makes base copies. Whoever looks for evidence must not, so engine and journal are copied to another
//! directory, and opened there. All else is read where it stands. No copier and no bundler runs.
//!
//! What opening would mend without a word is said: a journal that ends in what is no whole group, and base copy and journal
//! that are not whole.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::statvfs;

use crate::base;
use crate::boot::{Boot, LastUse};
use crate::commit::Store;
use crate::error::OpenError;
use crate::far;
use crate::files::{irregular, is_irregular, make_dir, open_regular};
use crate::imprint::ForeignState;
use crate::integrity::{IntegrityError, Walked};
use crate::open::open_whole;
use crate::ours::Ours;
use crate::parts::{self, Readable};
use crate::places::{FORMAT_WITHOUT_JOURNAL, Places, exists};
use crate::repair::{RepairError, Seen, causes, could_be_made, not_remade};
use crate::setup::{Setup, Threads};
use crate::start::start;

/// How many bytes a file system keeps free beside what is copied to it.
const ROOM_BESIDE: u64 = 16 << 20;
/// After how many bytes it is said how far a copy is.
const COPIED_AT_ONCE: u64 = 8 << 20;
/// How many directories may stand in one another in what is copied.
const DEPTH_MAX: u32 = 4;

/// A store that is looked at.
pub struct Looked {
    /// All that is written to it is written to the copy.
    pub store: Store,
    /// What is wrong with what opening mends or passes over.
    pub bad: Vec<String>,
    /// What is as a server leaves it that was killed.
    pub notes: Vec<String>,
    /// Which decision records base copy and journal have that are not what their entries name. Those that the store itself has
    /// as well are said by a walk over it.
    pub bad_decisions: Vec<String>,
}

/// Why a store cannot be looked at.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    /// It could not be opened either.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Its parts cannot be relied on.
    #[error("{0}")]
    Damaged(String),
    /// Nor can its journal, without which nothing says what the database may lack.
    #[error("{0}")]
    JournalDamaged(String),
    /// It cannot be copied.
    #[error("`{}` cannot be copied to be looked at", path.display())]
    Copy {
        /// What.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl Store {
    /// Open the store of this log as it is, with copies of what opening changes, which go to `scratch`: a directory that is
    /// the caller's alone, and is removed by them when the store has been dropped.
    ///
    /// # Errors
    ///
    /// As [`Store::open`]; when there is no room for the copies.
    pub fn look(dir: &Path, ours: &Ours, seen: Option<Seen>, scratch: &Path) -> Result<Looked, LookError> {
        let (places, boot) = (Places::of(dir), Boot::of_machine());
        let format = places.format()?;
        places.check_links()?;
        let lock = places.lock_to_look()?;
        if let Some(by) = places.cut_off(&boot, format)? {
            // Nobody looks at the engine, so what it would be made anew of is all that tells whether something is wrong.
            return Err(match could_be_made(&places, ours, &scratch.join("made-anew"), seen) {
                Ok(_) => OpenError::CutOff { dir: places.dir, by },
                Err(RepairError::Integrity(IntegrityError::Imprint(error))) => error.into(),
                Err(error) => not_remade(&places, by, error),
            }
            .into());
        }
        let (mut bad, mut notes, mut bad_decisions) = (Vec::new(), Vec::new(), Vec::new());
        if format > FORMAT_WITHOUT_JOURNAL {
            look_at_parts(&places, boot.last_use(&places)?, (&mut bad, &mut notes));
            // Their checks fit whatever somebody wrote: only what they come to tells whether it is ours.
            if bad.is_empty() {
                match could_be_made(&places, ours, &scratch.join("made-anew"), None) {
                    Ok(walked) => bad_decisions = walked.bad_decisions,
                    Err(error) => bad.push(not_whole(&causes(&error))),
                }
            }
        }
        let copied = copied_places(&places, scratch);
        let journal = if exists(&places.journal)? { &places.journal } else { &places.new_journal };
        for (from, to) in [(&places.engine, &copied.engine), (journal, &copied.journal)] {
            if exists(from)? {
                copy_apart(from, to).map_err(|source| not_copied(from, source))?;
            }
        }
        for empty in [&copied.base, &copied.blobs] {
            make_dir(empty).map_err(|source| LookError::Copy { path: empty.clone(), source })?;
        }
        let setup = Setup { boot, threads: Threads::Vital, ..Setup::usual() };
        let opened = open_whole(&copied, (ours, ForeignState::Refused), format, setup.pace)
            .and_then(|opened| start(&copied, lock, opened, (&ours.key, setup)));
        let store = opened.map_err(|error| named(error, (scratch, dir)))?;
        Ok(Looked { store, bad, notes, bad_decisions })
    }
}

impl Looked {
    /// What is said of decision records that base copy and journal have otherwise than the store.
    #[must_use]
    pub fn bad_in_parts(bad_decisions: &[String], walked: &Walked) -> Option<String> {
        bad_decisions.iter().find(|bad| !walked.bad_decisions.contains(bad)).map(|bad| not_whole(bad))
    }
}

/// What is no file is no reason to look for room.
fn not_copied(path: &Path, source: io::Error) -> LookError {
    if is_irregular(&source) {
        return LookError::Damaged(format!("`{}` is not what was written: {source}", path.display()));
    }
    LookError::Copy { path: path.to_owned(), source }
}

/// Where everything stands for whoever only looks.
fn copied_places(places: &Places, scratch: &Path) -> Places {
    Places { dir: places.dir.clone(), log: places.log.clone(), lock: places.lock.clone(), ..Places::of(scratch) }
}

/// What is wrong with the copy is wrong with what it is a copy of.
fn named(error: OpenError, (scratch, dir): (&Path, &Path)) -> LookError {
    match error {
        error @ (OpenError::OtherLog { .. } | OpenError::InUse { .. } | OpenError::Imprint(_)) => error.into(),
        error => {
            let said = causes(&error).replace(&*scratch.to_string_lossy(), &dir.to_string_lossy());
            let is_journal = matches!(error, OpenError::Journal(_));
            if is_journal { LookError::JournalDamaged(said) } else { LookError::Damaged(said) }
        }
    }
}

/// See whether base copy and journal are whole, and whether the journal ends as a server ends it.
fn look_at_parts(places: &Places, last_use: LastUse, (bad, notes): (&mut Vec<String>, &mut Vec<String>)) {
    let bases = base::all(&places.base).unwrap_or_default();
    let read = parts::newest_readable(&places.base, bases, &|| true);
    let end = match read {
        Ok(Readable { base, store, passed, .. }) => {
            bad.extend(passed.map(|error| {
                format!(
                    "{}: an older base copy is whole; `attorn repair` makes a new one, and moves both aside",
                    causes(&error)
                )
            }));
            parts::read_journal(&places.journal, (&base, store), &|| true)
        }
        Err(error) => {
            bad.push(not_whole(&causes(&error)));
            return;
        }
    };
    match end {
        Err(error) => bad.push(not_whole(&causes(&error))),
        Ok(end) if end.torn => {
            let path = end.segment.path.display();
            let torn = format!("`{path}` ends in what is no whole group, from byte {} on", end.at);
            match last_use {
                LastUse::Closed => bad.push(format!(
                    "{torn}, and the store was closed after it: the next start of the server cuts that off"
                )),
                LastUse::ThisBoot | LastUse::CutOff(_) => notes.push(format!(
                    "{torn}: a server that is killed leaves that, nothing of it was acknowledged, and its next start cuts it off"
                )),
            }
        }
        Ok(_) => {}
    }
}

fn not_whole(why: &str) -> String {
    format!(
        "base copy and journal are not whole, so no backup can be made and nothing is left to repair the database with: {why}; \
         `attorn repair` begins new ones, and so does a server that starts"
    )
}

/// Copy a directory of regular files to one that is made, if there is room for it. Nothing but them is opened.
///
/// # Errors
///
/// When something in it is no regular file, cannot be read, or finds no room.
pub fn copy_apart(from: &Path, to: &Path) -> io::Result<()> {
    let files = listed(from, to, DEPTH_MAX)?;
    let of: u64 = files.iter().map(|file| file.bytes).sum();
    make_dir(to)?;
    let stat = statvfs(to)?;
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    if free < of.saturating_add(ROOM_BESIDE) {
        let why = format!("`{}` has no room for {of} bytes", to.parent().unwrap_or(to).display());
        return Err(io::Error::new(ErrorKind::StorageFull, why));
    }
    let mut copied = 0;
    for file in files {
        if let Some(parent) = file.to.parent() {
            fs::create_dir_all(parent)?;
        }
        let mut source = open_regular(&file.from)?.take(file.bytes);
        let mut target = File::options().write(true).create_new(true).mode(0o600).open(&file.to)?;
        loop {
            let bytes = io::copy(&mut source.by_ref().take(COPIED_AT_ONCE), &mut target)?;
            copied += bytes;
            far::say("bytes copied to be looked at", copied, of);
            if bytes < COPIED_AT_ONCE {
                break;
            }
        }
        target.flush()?;
    }
    Ok(())
}

/// A file that is copied.
struct Listed {
    from: PathBuf,
    to: PathBuf,
    bytes: u64,
}

fn listed(from: &Path, to: &Path, depth: u32) -> io::Result<Vec<Listed>> {
    if !fs::symlink_metadata(from)?.is_dir() {
        return Err(irregular("it is no directory".to_owned()));
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        let to = to.join(entry.file_name());
        if kind.is_dir() && depth > 1 {
            files.extend(listed(&path, &to, depth - 1)?);
        } else if kind.is_file() {
            files.push(Listed { from: path, to, bytes: entry.metadata()?.len() });
        } else {
            return Err(irregular(format!("`{}` in it is no regular file", entry.file_name().display())));
        }
    }
    Ok(files)
}

#[cfg(test)]
#[path = "look_tests.rs"]
mod tests;
