//! What becomes of the directory of before, whose place the new one takes.
//!
//! Nothing of it is deleted but what is known: what the store and the server have anew in each epoch, and what has a second
//! name in the new directory. So before that takes the old one's place, all that nobody knows gets such a name: what a
//! repair moved aside, which may be all that still has something, and whatever somebody put there. What can be given none,
//! such as a file on another file system, stays in the old directory, which stays with it and is named.
//!
//! Nothing of this makes a rotation fail: the log has gone on.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::Path;

use crate::epochs::{PLAIN, UNFINISHED};
use crate::run::CACHE_DIRECTORY;

/// What is made anew in each epoch, with all that is in it.
const ANEW: [&str; 13] = [
    "store",
    "store.asked",
    "store.boot",
    "store.cut-off",
    "store.format",
    "store.format.tmp",
    "store.keep",
    "store.lock",
    "store.new",
    "store.remade",
    "store.tmp",
    "index",
    CACHE_DIRECTORY,
];
/// Directories whose files are made anew in each epoch: a number of 20 digits names each, and an ending.
const FRAMED: [(&str, &str); 3] = [("base", "base"), ("journal", "journal"), ("journal.new", "journal")];
const FRAMED_DIGITS: usize = 20;
/// How one of them is called until it is written.
const FRAMED_NEW: &str = "next.new";

/// What something in the old directory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The directory itself.
    Whole,
    /// It is made anew in each epoch.
    Anew,
    /// It has files that are made anew in each epoch, whose names end so.
    Framed(&'static str),
    /// It went over before the old epoch ended.
    Plain,
    /// Nobody knows it.
    Unknown,
}

impl Kind {
    /// What something of this name is, in a directory of this kind.
    fn of(self, name: &OsStr, is_dir: bool) -> Self {
        match self {
            Self::Whole if ANEW.iter().any(|anew| name == *anew) => Self::Anew,
            Self::Whole if PLAIN.iter().any(|plain| name == *plain) => Self::Plain,
            Self::Whole => {
                let framed = FRAMED.iter().find(|(framed, _)| name == *framed);
                framed.map_or(Self::Unknown, |(_, ending)| Self::Framed(ending))
            }
            Self::Framed(ending) if !is_dir && is_framed(name, ending) => Self::Anew,
            Self::Framed(_) | Self::Unknown => Self::Unknown,
            Self::Anew => Self::Anew,
            Self::Plain => Self::Plain,
        }
    }
}

fn is_framed(name: &OsStr, ending: &str) -> bool {
    let number = Path::new(name).file_stem().and_then(OsStr::to_str).unwrap_or_default();
    let is_number = number.len() == FRAMED_DIGITS && number.bytes().all(|digit| digit.is_ascii_digit());
    name == FRAMED_NEW || (is_number && ends_in(name, ending))
}

fn ends_in(name: &OsStr, ending: &str) -> bool {
    Path::new(name).extension().is_some_and(|found| found == ending)
}

/// Give all that nobody knows of the old directory a second name in the new one, which nobody has open.
pub(super) fn carry_over(old: &Path, new: &Path) {
    carry(old, new, Kind::Whole);
}

fn carry(old: &Path, new: &Path, kind: Kind) {
    let carried = fs::read_dir(old).and_then(|mut entries| {
        entries.try_for_each(|entry| {
            let entry = entry?;
            let (path, name) = (entry.path(), entry.file_name());
            match kind.of(&name, entry.file_type()?.is_dir()) {
                Kind::Unknown => give_second_name(&path, &new.join(name)),
                kind @ Kind::Framed(_) => carry(&path, &new.join(name), kind),
                Kind::Whole | Kind::Anew | Kind::Plain => {}
            }
            Ok(())
        })
    });
    if let Err(error) = carried {
        tracing::warn!(path = %old.display(), %error, "what is in it cannot be seen, and does not go over");
    }
}

/// Links are not followed: they go over as links.
fn give_second_name(from: &Path, to: &Path) {
    let given = fs::symlink_metadata(from).and_then(|found| {
        if !found.is_dir() {
            return fs::hard_link(from, to);
        }
        DirBuilder::new().mode(found.mode()).create(to)?;
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            give_second_name(&entry.path(), &to.join(entry.file_name()));
        }
        fs::File::open(to)?.sync_all()
    });
    if let Err(error) = given {
        tracing::warn!(path = %from.display(), %error, "it does not go over, and stays in the directory of before");
    }
}

/// Remove the old directory, with the old key's private half. What of it stays, if anything does, and why, comes back. What
/// was compiled goes over: it is made anew if it does not.
pub(super) fn clear(old: &Path, new: &Path) -> Option<String> {
    let _ = fs::rename(old.join(CACHE_DIRECTORY), new.join(CACHE_DIRECTORY));
    let mut stays = None;
    remove(old, new, Kind::Whole, &mut stays);
    stays
}

/// Remove what is known, or has a second name in the new directory.
fn remove(path: &Path, twin: &Path, kind: Kind, stays: &mut Option<String>) {
    let removed = fs::symlink_metadata(path).and_then(|found| {
        let there = fs::symlink_metadata(twin);
        if found.is_dir() {
            for entry in fs::read_dir(path)? {
                let entry = entry?;
                let (name, is_dir) = (entry.file_name(), entry.file_type()?.is_dir());
                remove(&entry.path(), &twin.join(&name), kind.of(&name, is_dir), stays);
            }
            let is_known = matches!(kind, Kind::Whole | Kind::Anew | Kind::Framed(_));
            return if is_known || there?.is_dir() { fs::remove_dir(path) } else { Err(nowhere_else()) };
        }
        let is_twin = || there.is_ok_and(|there| (there.dev(), there.ino()) == (found.dev(), found.ino()));
        let is_unfinished = kind == Kind::Plain && found.is_file() && ends_in(path.as_os_str(), UNFINISHED);
        if kind == Kind::Anew || is_unfinished || is_twin() { fs::remove_file(path) } else { Err(nowhere_else()) }
    });
    if let Err(error) = removed {
        // That a directory is not empty is no news where something in it stays.
        stays.get_or_insert_with(|| format!("`{}`: {error}", path.display()));
    }
}

fn nowhere_else() -> io::Error {
    io::Error::other("it could not go over to the new directory")
}

#[cfg(test)]
#[path = "before_tests.rs"]
mod tests;
