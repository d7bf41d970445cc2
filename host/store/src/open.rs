//! Creating and opening a store, which are two things: a store that is lost must not be mistaken for
//! one that is new. Where its parts stand is in [`crate::places`].
//!
//! When a store is opened, the engine gets what the journal has more than it. An engine whose files cannot be
//! read is refused here, and made anew by [`Store::repair`]; one that was in use when the machine stopped or the store
//! failed is not even looked at, and made anew by [`Store::open_or_remake`], too. Opening reads the whole state, but for
//! decision records, to see that it is ours ([`crate::imprint`]); what is checked of the log takes the same time for one of any
//! length, and all of it is checked by [`Store::verify_integrity`].

use std::any::Any;
use std::fs;
use std::path::Path;

use attorn_log::{Epoch, Link};

use crate::base;
use crate::boot::LastUse;
use crate::bundled::Bundled;
use crate::caught::caught;
use crate::commit::Store;
use crate::end_of_log;
use crate::error::{DAMAGED, OpenError, StorageError};
use crate::files::make_dir;
use crate::follower::Pace;
use crate::frame::StoreId;
use crate::head::{Head, LogName};
use crate::imprint::{self, ForeignState, Imprint, ImprintError, ImprintKey};
use crate::journal::Journal;
use crate::ours::Ours;
use crate::places::{FORMAT, FORMAT_WITH_IMPRINT, FORMAT_WITHOUT_JOURNAL, Lock, Places, at, exists, sync_files};
use crate::repair::{Repair, Seen, not_remade};
use crate::setup::{Setup, Threads};
use crate::start::start;
use crate::trees::{Trees, head_write, store_id_write};

/// The epoch with which every log begins.
pub const FIRST_EPOCH: Epoch = Epoch(1);

/// A store of which everything fits together and nothing runs yet.
pub(crate) struct Opened {
    pub(crate) trees: Trees,
    pub(crate) log: LogName,
    pub(crate) head: Head,
    pub(crate) journal: Journal,
    pub(crate) store: StoreId,
    pub(crate) bundled: Bundled,
    pub(crate) imprint: Imprint,
}

impl Store {
    /// Make an empty store for this log in a directory, which is made too if it is not there.
    ///
    /// # Errors
    ///
    /// [`OpenError`] when there is a store already, the directory is in use, or a file cannot be made.
    pub fn create(dir: &Path, ours: Ours) -> Result<Self, OpenError> {
        Self::create_with(dir, ours, Setup::usual())
    }

    pub(crate) fn create_with(dir: &Path, Ours { log, key }: Ours, setup: Setup) -> Result<Self, OpenError> {
        let head = Head { version: 0, size: 0, last_link: Link::NONE };
        let name = LogName { id: log, epoch: FIRST_EPOCH, earlier: Vec::new() };
        Self::create_at(dir, &key, setup, |_, _| Ok((name, head)))
    }

    /// Make a store with what `fill` puts into it. What comes back from that is where it stands.
    pub(crate) fn create_at<E: From<OpenError>>(
        dir: &Path,
        key: &ImprintKey,
        setup: Setup,
        fill: impl FnOnce(&Places, &Trees) -> Result<(LogName, Head), E>,
    ) -> Result<Self, E> {
        let places = Places::of(dir);
        make_dir(dir).map_err(at(dir))?;
        let lock = places.lock()?;
        if exists(&places.marker)? {
            return Err(OpenError::AlreadyThere { dir: places.dir }.into());
        }
        // Parts of one that was lost or never finished are not written over.
        if let Err(error) = places.format()
            && !matches!(error, OpenError::NotThere { .. })
        {
            return Err(error.into());
        }
        setup.boot.say_open(&places)?;
        make_dir(&places.blobs).map_err(at(&places.blobs))?;
        make_dir(&places.engine).map_err(at(&places.engine))?;
        let trees = Trees::open(&places.engine).map_err(OpenError::Storage)?;
        let (log, head) = fill(&places, &trees)?;
        let imprint = Imprint::over(key, &trees).map_err(OpenError::Storage)?;
        let root = imprint::root_in(&trees, &head).map_err(|error| OpenError::Inconsistent(error.to_string()))?;
        let row = imprint.write(key, (&log, &head), root).map_err(OpenError::Storage)?;
        trees.apply(&[head_write(&log, &head), row]).map_err(OpenError::Storage)?;
        let (journal, store) = begin_journal(&places, &trees, &head, setup.pace)?;
        // From here on there is a store.
        places.write_marker(FORMAT)?;
        let bundled = Bundled::of(&places.log, log.epoch);
        Ok(start(&places, lock, Opened { trees, log, head, journal, store, bundled, imprint }, (key, setup))?)
    }

    /// Open the store of this log in a directory.
    ///
    /// # Errors
    ///
    /// [`OpenError`] when there is no store, it is in use, half made, of a newer format or another log, its parts do
    /// not fit together, the machine stopped while it was open, or it failed.
    pub fn open(dir: &Path, ours: &Ours) -> Result<Self, OpenError> {
        Self::open_with(dir, ours, Setup::usual())
    }

    /// The same for whoever looks and mends: no base copies are made meanwhile, and nothing is moved to files.
    ///
    /// # Errors
    ///
    /// As [`Store::open`].
    pub fn open_alone(dir: &Path, ours: &Ours) -> Result<Self, OpenError> {
        Self::open_with(dir, ours, Setup { threads: Threads::Vital, ..Setup::usual() })
    }

    pub(crate) fn open_with(dir: &Path, ours: &Ours, setup: Setup) -> Result<Self, OpenError> {
        let (places, format, lock) = locked(dir)?;
        if let Some(by) = places.cut_off(&setup.boot, format)? {
            return Err(OpenError::CutOff { dir: places.dir, by });
        }
        open_locked(&places, lock, ours, format, setup)
    }

    /// The same; where the machine stopped while the store was open, or it failed, its engine is made anew of base copy
    /// and journal before. Nothing is, where these come to less than somebody has seen. [`Store::remade`] says what was done.
    ///
    /// # Errors
    ///
    /// As [`Store::open`]; [`OpenError::NotRemade`].
    pub fn open_or_remake(dir: &Path, ours: &Ours, seen: Option<Seen>) -> Result<Self, OpenError> {
        Self::open_or_remake_with(dir, ours, seen, Setup::usual())
    }

    pub(crate) fn open_or_remake_with(
        dir: &Path,
        ours: &Ours,
        seen: Option<Seen>,
        setup: Setup,
    ) -> Result<Self, OpenError> {
        let (places, format, lock) = locked(dir)?;
        if let Some(by) = places.cut_off(&setup.boot, format)? {
            let repair = Repair { seen, ..Repair::of(&places, ours, &setup.boot) };
            repair.after_cut(by).map_err(|error| not_remade(&places, by, error))?;
        }
        open_locked(&places, lock, ours, format, setup)
    }
}

fn locked(dir: &Path) -> Result<(Places, u32, Lock), OpenError> {
    let places = Places::of(dir);
    let format = places.format()?;
    places.check_links()?;
    let lock = places.lock()?;
    Ok((places, format, lock))
}

fn open_locked(places: &Places, lock: Lock, ours: &Ours, format: u32, setup: Setup) -> Result<Store, OpenError> {
    places.finish_replacing_journal()?;
    let last_use = setup.boot.last_use(places)?;
    // Before the engine is opened, which may write.
    setup.boot.say_open(places)?;
    let opened = open_whole(places, (ours, ForeignState::Refused), format, setup.pace).inspect_err(|_| {
        // What was wrong before is what is wrong: it is no stop of the machine that comes after this.
        if last_use == LastUse::Closed
            && let Err(error) = setup.boot.say_closed(places)
        {
            tracing::warn!(error = &error as &dyn std::error::Error, "cannot say that the store is closed");
        }
    })?;
    start(places, lock, opened, (&ours.key, setup))
}

/// Open all parts of a store, bring the engine up to what the journal has, and see whether they fit together.
pub(crate) fn open_whole(
    places: &Places,
    whose: (&Ours, ForeignState),
    format: u32,
    pace: Pace,
) -> Result<Opened, OpenError> {
    if !exists(&places.engine)? {
        return Err(OpenError::NoEngine { dir: places.engine.clone() });
    }
    // The engine panics where it finds its files corrupt.
    let opened = caught(|| open_parts(places, whose, format, pace));
    opened.unwrap_or_else(|panic| Err(OpenError::Storage(StorageError::new(&said(&*panic)))))
}

/// What a panic said.
pub(crate) fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    if text.is_some_and(|text| text.contains("Corruption {")) {
        return DAMAGED.to_owned();
    }
    format!("the engine panicked: {}", text.unwrap_or("it did not say why"))
}

fn open_parts(
    places: &Places,
    (ours, foreign): (&Ours, ForeignState),
    format: u32,
    pace: Pace,
) -> Result<Opened, OpenError> {
    let trees = Trees::open(&places.engine)?;
    if format < FORMAT_WITH_IMPRINT {
        // Before anything is done that is done for a store of that format: its journal would be begun anew, say.
        if trees.imprint()?.is_some() {
            return Err(OpenError::OtherFormat { path: places.marker.clone(), said: format });
        }
        if foreign == ForeignState::Refused {
            return Err(ImprintError::Missing.into());
        }
    }
    // Opening may have cut a torn end and written files anew.
    sync_files(&places.engine)?;
    places.clean_blobs()?;
    let (name, mut head) = head_of(&trees)?;
    if name.id != ours.log {
        return Err(OpenError::OtherLog { expected: ours.log.clone(), found: name.id });
    }
    let (journal, store) = if format == FORMAT_WITHOUT_JOURNAL {
        let begun = begin_journal(places, &trees, &head, pace)?;
        places.write_marker(FORMAT)?;
        begun
    } else {
        let store = trees.store_id()?.ok_or_else(|| OpenError::Inconsistent("it has no id".to_owned()))?;
        base::remove_unfinished(&places.base).map_err(at(&places.base))?;
        if format < FORMAT {
            // A program that does not know of bundled entries, or of filed records, must not open it.
            places.write_marker(FORMAT)?;
        }
        let journal = Journal::open(&places.journal, store, head.version, pace.segments, |redo| {
            trees.take_over(&redo.writes).map_err(OpenError::Storage)
        })?;
        (journal, store)
    };
    if journal.version() > head.version {
        trees.flush()?;
        sync_files(&places.engine)?;
        head = head_of(&trees)?.1;
    }
    if head.version != journal.version() {
        let problem = format!("its head has version {}, and its journal {}", head.version, journal.version());
        return Err(OpenError::Inconsistent(problem));
    }
    end_of_log::check(&trees, &name, &head)?;
    let imprint = match foreign {
        ForeignState::Refused => imprint::check(&ours.key, &trees, &name, &head)?,
        ForeignState::Accepted => Imprint::over(&ours.key, &trees)?,
    };
    let bundled = Bundled::of(&places.log, name.epoch);
    Ok(Opened { trees, log: name, head, journal, store, bundled, imprint })
}

pub(crate) fn head_of(trees: &Trees) -> Result<(LogName, Head), OpenError> {
    trees.head()?.ok_or_else(|| OpenError::Inconsistent("it has no head".to_owned()))
}

/// Begin the journal of a store that has none, with a base copy of what there is.
pub(crate) fn begin_journal(
    places: &Places,
    trees: &Trees,
    head: &Head,
    pace: Pace,
) -> Result<(Journal, StoreId), OpenError> {
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(|error| StorageError::new(&error))?;
    let store = StoreId(id);
    trees.apply(&[store_id_write(store)])?;
    trees.flush()?;
    sync_files(&places.engine)?;
    for dir in [&places.journal, &places.base] {
        make_dir(dir).map_err(at(dir))?;
        // Left by somebody who did not come to the end of this.
        for left in fs::read_dir(dir).map_err(at(dir))? {
            let path = left.map_err(at(dir))?.path();
            fs::remove_file(&path).map_err(at(&path))?;
        }
    }
    base::write(&places.base, store, head.version, trees)?;
    let journal = Journal::create(&places.journal, store, head.version, pace.segments);
    Ok((journal.map_err(at(&places.journal))?, store))
}
