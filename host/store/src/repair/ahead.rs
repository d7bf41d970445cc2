//! Whether an engine that is about to be replaced has more than what replaces it.
//!
//! What it lacks shows nowhere, so it is asked for nothing but how far it comes, and is believed where its imprint says that
//! the state is ours. Its id is in no imprint, and says nothing here: the engine of before a restore, or of before a new key of
//! the log, is of an earlier epoch. One that is damaged has nothing to say, unless that is for what lies beside its own files:
//! then a copy without that is asked. One that cannot be asked just now, because somebody holds it or the disk is full, may
//! have more, and is replaced by nothing.

use std::fs;
use std::io;
use std::path::Path;

use attorn_log::Epoch;

use super::RepairError;
use crate::base;
use crate::caught::caught;
use crate::error::{OpenError, StorageError};
use crate::files::{create_beside, is_irregular, make_dir, open_regular};
use crate::frame::{FileHeader, FileKind, StoreId};
use crate::imprint::{self, ImprintError};
use crate::journal;
use crate::open::head_of;
use crate::ours::Ours;
use crate::places::{Places, at};
use crate::trees::Trees;

/// What an engine says.
enum Asked {
    /// It could not be opened.
    Unopened,
    /// It is not ours, or has nothing beyond.
    NotBeyond,
    /// Its last batch.
    Beyond(u64),
}

/// The last batch that the engine has, if it is ours, and is of a later epoch than this, or of the same and after this batch.
pub(super) fn engine_beyond(places: &Places, ours: &Ours, than: (Epoch, u64)) -> Result<Option<u64>, RepairError> {
    if !super::is_there(&places.engine).map_err(at(&places.engine))? {
        return Ok(None);
    }
    // The engine panics where it finds its files corrupt.
    let ask = |dir: &Path| caught(|| ask(dir, ours, than)).unwrap_or(Ok(Asked::Unopened));
    let asked = match ask(&places.engine).map_err(RepairError::EngineUnread)? {
        Asked::Unopened => {
            let copy = places.dir.join("store.asked");
            let asked = copied(&places.engine, &copy).map_err(StorageError::from).and_then(|()| ask(&copy));
            remove(&copy).map_err(at(&copy))?;
            asked.map_err(RepairError::EngineUnread)?
        }
        asked => asked,
    };
    Ok(match asked {
        Asked::Beyond(version) => Some(version),
        Asked::NotBeyond | Asked::Unopened => None,
    })
}

fn ask(dir: &Path, ours: &Ours, than: (Epoch, u64)) -> Result<Asked, StorageError> {
    let of_the_disk = |error: StorageError| if error.is_of_the_disk { Err(error) } else { Ok(Asked::Unopened) };
    let trees = match Trees::open(dir) {
        Err(error) => return of_the_disk(error),
        Ok(trees) => trees,
    };
    let (name, head) = match head_of(&trees) {
        Err(OpenError::Storage(error)) => return of_the_disk(error),
        Err(_) => return Ok(Asked::Unopened),
        Ok(found) => found,
    };
    if name.id != ours.log || (name.epoch, head.version) <= than {
        return Ok(Asked::NotBeyond);
    }
    // Only then is all of it read.
    match imprint::check(&ours.key, &trees, &name, &head) {
        Ok(_) => Ok(Asked::Beyond(head.version)),
        Err(ImprintError::Storage(error)) => of_the_disk(error),
        Err(_) => Ok(Asked::NotBeyond),
    }
}

/// The engine's own files that it cannot be without; a snapshot is none of them. Nothing that somebody put beside them keeps
/// these from being asked.
const OWN: [&str; 2] = ["db", "conf"];
const BLOBS: &str = "blobs";

fn copied(engine: &Path, to: &Path) -> io::Result<()> {
    remove(to)?;
    make_dir(to)?;
    for name in OWN {
        copy_file(&engine.join(name), &to.join(name))?;
    }
    let (from, to) = (engine.join(BLOBS), to.join(BLOBS));
    if !fs::symlink_metadata(&from).is_ok_and(|found| found.is_dir()) {
        return Ok(());
    }
    make_dir(&to)?;
    for entry in fs::read_dir(&from)? {
        let name = entry?.file_name();
        copy_file(&from.join(&name), &to.join(&name))?;
    }
    Ok(())
}

/// Copy a file, unless something else stands in its place, or nothing.
fn copy_file(from: &Path, to: &Path) -> io::Result<()> {
    let mut file = match open_regular(from) {
        Err(error) if is_irregular(&error) || error.kind() == io::ErrorKind::NotFound => return Ok(()),
        file => file?,
    };
    io::copy(&mut file, &mut create_beside(to)?).map(drop)
}

fn remove(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Whether one of the base copies, or the newest segment of the journal, is of this store. Whoever may write there makes one of
/// any: it is asked beside whose state it is, and never instead. Where there is none, nothing is known of another one.
pub(super) fn is_of_them(places: &Places, store: StoreId) -> Result<bool, RepairError> {
    let bases = base::all(&places.base).map_err(at(&places.base))?;
    let segments = journal::segments(&places.journal).unwrap_or_default();
    let of_journal = segments.last().and_then(|segment| FileHeader::of_file(FileKind::Journal, &segment.path));
    let of_bases = bases.iter().filter_map(|base| FileHeader::of_file(FileKind::Base, &base.path));
    let found: Vec<StoreId> = of_bases.chain(of_journal).map(|header| header.store).collect();
    Ok(found.is_empty() || found.contains(&store))
}

/// Whether one of the base copies of a store has more than its engine, by their names: then that is an older one, and what it
/// lacks is known to have been there. One that cannot be used says so, too.
pub(super) fn is_behind_a_base(places: &Places, (store, version): (StoreId, u64)) -> Result<bool, RepairError> {
    let mut later = base::all(&places.base).map_err(at(&places.base))?;
    later.retain(|base| base.version > version);
    let store_of = |base: &base::Base| FileHeader::of_file(FileKind::Base, &base.path).map(|header| header.store);
    Ok(later.iter().any(|base| store_of(base) == Some(store)))
}

/// Which store an engine is of, and its last batch; nothing if it does not say.
pub(super) fn engine_of(places: &Places) -> Result<Option<(StoreId, u64)>, RepairError> {
    let ask = || {
        let trees = Trees::open(&places.engine)?;
        let head = trees.head()?.map(|(_, head)| head.version);
        Ok::<_, StorageError>(trees.store_id()?.zip(head))
    };
    match caught(ask) {
        Ok(Err(unread)) if unread.is_of_the_disk => Err(RepairError::EngineUnread(unread)),
        Ok(Ok(engine)) => Ok(engine),
        _ => Ok(None),
    }
}
