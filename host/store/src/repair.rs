//! Making the engine's files anew from the newest base copy and the journal.
//!
//! Nothing is invented and nothing is deleted: what is built is the state after the journal's last group, it is
//! walked from end to end before it takes its place, and the files that were there are moved aside. Where the
//! journal is damaged in a place that the engine has passed, and all after that is whole, the engine is what a new
//! journal is begun with. Where more of it is damaged there is no repair, for what it lost nobody has: then a
//! backup is what is left. The same goes for an engine that was in use when the machine stopped, or when the server
//! was killed and its journal lost its end: it may lack something that nobody misses, and is what a new journal is begun with
//! only where somebody answers for that ([`LostEnd`]).
//!
//! Each change is made whole beside what it replaces, and takes its place by one rename: wherever a repair is cut
//! off, the next one or the next opening goes on from there.
//!
//! Opening a store makes the engine anew by itself in one case: the machine stopped while it was open, or the store
//! failed. That is no sign of anything worse, and what the engine lost by it shows nowhere else (see [`crate::boot`]).
//! Any other damage comes from a failing disk, from somebody's hand or from an error of ours, which whoever operates the
//! server has to know of before it goes on: then it is refused, and [`Store::repair`] is what they ask for. The same goes
//! for a journal or base copies that are not whole, and for a log that is shorter than somebody has seen it.

mod accepted;
mod ahead;
mod aside;
mod bad_files;
mod differing;
mod error;
mod new_journal;
mod rebuild;

use std::fs;
use std::path::{Path, PathBuf};

use attorn_log::Epoch;

pub use self::accepted::{Accepted, LostEnd};
pub use self::aside::{free_name, is_there};
pub use self::bad_files::FilesOf;
pub(crate) use self::bad_files::nowhere;
pub use self::error::RepairError;
pub(crate) use self::rebuild::could_be_made;

use self::aside::move_aside;
use self::new_journal::{Begun, Engine};
use self::rebuild::Rebuilt;
use crate::boot::{Boot, CutOffBy};
use crate::caught::caught;
use crate::commit::Store;
use crate::error::{OpenError, PartsError, StorageError};
use crate::files::sync_dir;
use crate::follower::Pace;
use crate::head::{Head, LogName};
use crate::imprint::ForeignState;
use crate::integrity::{Ended, Integrity, Walked, verify_in};
use crate::journal::JournalError;
use crate::open::{open_whole, said};
use crate::ours::Ours;
use crate::places::{FORMAT, FORMAT_WITH_IMPRINT, Places, at, sync_files};
use crate::records::KeyMaterialRecord;
use crate::remade::{self, Part, Remade};

/// What a repair found and did.
#[derive(Debug)]
pub enum Repaired {
    /// Everything fits together; nothing was changed.
    Whole(Integrity),
    /// All that anything depends on fits together, and nothing was changed; some entries of the log, or some
    /// decision records, cannot be read.
    BadFiles {
        /// What the engine holds.
        integrity: Integrity,
        /// Which files are not right, and why.
        bad_files: Vec<String>,
    },
    /// Files with entries of the log or with decision records were written anew, and nothing else was changed.
    Files {
        /// Which kinds of them.
        of: FilesOf,
        /// What was wrong with them.
        problem: String,
        /// What the engine holds.
        integrity: Integrity,
        /// Which files are still not right, and why.
        bad_files: Vec<String>,
    },
    /// The engine's files were made anew.
    Rebuilt {
        /// What was wrong with them.
        problem: String,
        /// From a base copy of this version on.
        base: u64,
        /// What they hold now.
        integrity: Integrity,
        /// Where those are that were there, if any were.
        aside: Option<PathBuf>,
        /// Which files with entries are not what the log's tree says, and why.
        bad_files: Vec<String>,
    },
    /// The journal was begun anew, with a base copy: one of both was damaged, and the engine has all that they had, or a
    /// state was accepted. So have the files beside it, unless they are named.
    NewJournal {
        /// Whether a state was accepted that somebody else may have written.
        foreign: ForeignState,
        /// Whether what was acknowledged last may be lost.
        lost_end: LostEnd,
        /// What was wrong with it.
        problem: String,
        /// What the engine holds.
        integrity: Integrity,
        /// Where the old one is.
        aside: PathBuf,
        /// Where the base copies are that lead to it, if there were any.
        bases_aside: Option<PathBuf>,
        /// Which files with entries are not what the log's tree says, and why.
        bad_files: Vec<String>,
    },
}

/// How long somebody has seen the log. A later epoch comes after all of an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seen {
    /// In which epoch.
    pub epoch: Epoch,
    /// How many entries.
    pub size: u64,
}

impl Seen {
    /// See that there is at least as much as somebody has seen.
    fn check(seen: Option<Self>, log: &LogName, head: &Head) -> Result<(), RepairError> {
        let made = Self { epoch: log.epoch, size: head.size };
        match seen.filter(|seen| *seen > made) {
            Some(seen) => Err(RepairError::Behind { made, seen }),
            None => Ok(()),
        }
    }
}

/// What a repair does, in its order. Tests cut it off after each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    EngineBuilt,
    EngineNoted,
    EngineAside,
    EngineInPlace,
    BaseMade,
    JournalMade,
    JournalNoted,
    JournalAside,
    JournalInPlace,
    BasesAside,
}

/// The engine's files as they were built anew, in a directory of their own.
struct Built {
    dir: PathBuf,
    made: Rebuilt,
}

/// A repair, by whoever holds the directory's lock.
pub(crate) struct Repair<'a> {
    pub(crate) places: &'a Places,
    pub(crate) ours: &'a Ours,
    /// How long somebody has seen the log: nothing shorter takes the place of anything.
    pub(crate) seen: Option<Seen>,
    /// What somebody answers for.
    pub(crate) accepted: Accepted,
    /// Whether the root key opens the key that signs the log: by another nothing is accepted.
    pub(crate) opens: &'a dyn Fn(&KeyMaterialRecord) -> bool,
    /// What is wrong with the file that names the format, if nobody knows the format for that.
    pub(crate) unnamed: Option<&'static str>,
    pub(crate) boot: &'a Boot,
    /// Called after each stage.
    pub(crate) after: &'a dyn Fn(Stage) -> Result<(), RepairError>,
}

impl Store {
    /// Walk a store that nobody has open, and make the engine's files anew if they cannot be relied on.
    pub fn repair(dir: &Path, ours: &Ours) -> Result<Repaired, RepairError> {
        Self::repair_with(dir, ours, None, (Accepted::NOTHING, &|_| true))
    }

    /// The same, where somebody has seen the log so long, and answers for what may be accepted, where nothing else is wrong;
    /// `opens` says whether the root key opens the key that signs the log, without which no state is accepted.
    pub fn repair_with(
        dir: &Path,
        ours: &Ours,
        seen: Option<Seen>,
        (accepted, opens): (Accepted, &dyn Fn(&KeyMaterialRecord) -> bool),
    ) -> Result<Repaired, RepairError> {
        let (places, boot) = (Places::of(dir), Boot::of_machine());
        let (format, unnamed) = match places.format() {
            // Base copy and journal tell what it is; the file is written anew when that is known to be ours.
            Err(OpenError::FormatLost { .. }) => (FORMAT_WITH_IMPRINT - 1, Some("is missing")),
            Err(OpenError::NoFormat { .. }) if places.has_base() => {
                (FORMAT_WITH_IMPRINT - 1, Some("names no format of the store"))
            }
            format => (format?, None),
        };
        places.check_links()?;
        let _lock = places.lock()?;
        Repair { seen, accepted, opens, unnamed, ..Repair::of(&places, ours, &boot) }.by_hand(format)
    }
}

impl<'a> Repair<'a> {
    pub(crate) fn of(places: &'a Places, ours: &'a Ours, boot: &'a Boot) -> Self {
        let (accepted, unnamed) = (Accepted::NOTHING, None);
        Self { places, ours, seen: None, accepted, opens: &|_| true, unnamed, boot, after: &|_| Ok(()) }
    }
}

impl Repair<'_> {
    pub(crate) fn by_hand(&self, format: u32) -> Result<Repaired, RepairError> {
        self.places.finish_replacing_journal()?;
        let repaired = self.of_doubled_files(if let Some(by) = self.places.cut_off(self.boot, format)? {
            // Whatever is wrong with base copy and journal: what the engine lacks shows nowhere, and it never takes
            // their place.
            let remade = self.remake(&by.to_string(), true).or_else(|error| self.of_engine_ahead(error));
            remade.map_err(|error| not_remade(self.places, by, error))?
        } else {
            self.of_what_is_found(format)?
        });
        if format < FORMAT {
            // What was found to be ours, or accepted, has an imprint, whatever the marker said.
            self.places.write_marker(FORMAT)?;
        }
        // Whoever opened the engine to look at it may have changed it.
        sync_files(&self.places.engine)?;
        self.boot.say_closed(self.places)?;
        Ok(repaired)
    }

    fn of_what_is_found(&self, format: u32) -> Result<Repaired, RepairError> {
        match examine(self.places, (self.ours, ForeignState::Refused), format) {
            Ok(walked) => self.of_walked(&walked),
            Err(RepairError::Open(error @ OpenError::OtherLog { .. })) => Err(error.into()),
            // What the engine has and the journal lost would be lost for good, if the engine were replaced.
            Err(RepairError::Open(OpenError::Journal(
                error @ (JournalError::Damaged { .. } | JournalError::Hole { .. }),
            ))) => {
                let replace = || self.replace_journal(&causes(&error), Begun::With(Engine::AndJournal));
                match caught(replace) {
                    // Its end is lost, too.
                    Ok(Err(
                        why @ RepairError::Parts(PartsError::Journal(
                            JournalError::Behind { .. } | JournalError::Missing { .. },
                        )),
                    )) => self.of_engine_ahead(why),
                    Ok(replaced) => replaced,
                    Err(_) => Err(error.into()),
                }
            }
            // Nothing is known of what is on disk, or it is none of the engine's: making that anew mends nothing.
            Err(error) if error.is_of_the_disk() || self.is_of_blobs(&error) => Err(error),
            Err(RepairError::Open(OpenError::Journal(error))) => self.of_engine_ahead(error.into()),
            Err(error) => self.remake(&self.why(&error), true).or_else(|remade| self.accept(format, &error, remade)),
        }
    }

    fn is_of_blobs(&self, error: &RepairError) -> bool {
        matches!(error, RepairError::Open(OpenError::Io { path, .. }) if *path == self.places.blobs)
    }

    /// Make the engine's files anew because the machine stopped or the store failed while they were in use. There must be
    /// at least as much as somebody has seen, else nothing is replaced.
    pub(crate) fn after_cut(&self, by: CutOffBy) -> Result<(), RepairError> {
        self.places.finish_replacing_journal()?;
        tracing::warn!(
            dir = %self.places.dir.display(),
            why = %by,
            "the store's files are not relied on: making them anew from base copy and journal"
        );
        let Repaired::Rebuilt { base, integrity, aside, bad_files, .. } = self.remake(&by.to_string(), false)? else {
            return Ok(());
        };
        let aside = aside.map(|aside| aside.display().to_string());
        let Integrity { version, entries, digest, .. } = integrity;
        tracing::warn!(base, version, entries, %digest, aside, "the store's files were made anew, and nothing is lost");
        for bad in bad_files {
            tracing::error!(
                bad,
                "a file with entries of the log or with decision records cannot be read; the server goes on without it"
            );
        }
        Ok(())
    }

    /// Make the engine's files anew, and move those aside that are there. What was set aside without anybody's asking
    /// for it is kept once: else a machine that stops often would fill its disk.
    ///
    /// A group is in the journal before it is in the engine, so no stop leaves one in the engine alone: an engine that has
    /// more, and is ours, says that base copy and journal are older ones, and nothing shorter takes its place.
    fn remake(&self, problem: &str, by_hand: bool) -> Result<Repaired, RepairError> {
        let built = self.build(by_hand)?;
        let version = built.made.walked.integrity.version;
        let beyond = ahead::engine_beyond(self.places, self.ours, (built.made.epoch, version));
        if !matches!(beyond, Ok(None)) {
            // It is made again by whoever asks again.
            fs::remove_dir_all(&built.dir).map_err(at(&built.dir))?;
        }
        match beyond? {
            None => self.put_in_place(problem, by_hand, built),
            Some(engine) => Err(RepairError::EngineAhead { version, engine }),
        }
    }

    fn build(&self, by_hand: bool) -> Result<Built, RepairError> {
        let dir = self.places.dir.join("store.new");
        // Whoever waits for a start waits for no records of epochs that have ended: nothing that is decided rests on them.
        let ended = if by_hand { Ended::Read } else { Ended::Passed };
        let built = rebuild::rebuild(self.places, self.ours, &dir, (self.seen, ended)).inspect_err(|_| {
            // The error is what matters; what is left over is removed when it is tried again.
            let _ = fs::remove_dir_all(&dir);
        });
        Ok(Built { dir, made: built? })
    }

    fn put_in_place(&self, problem: &str, by_hand: bool, built: Built) -> Result<Repaired, RepairError> {
        let Self { places, after, .. } = self;
        let Built { dir: new, made: Rebuilt { base, walked, .. } } = built;
        let integrity = walked.integrity;
        after(Stage::EngineBuilt)?;
        remade::note(places, Remade::new(Part::Store, by_hand, problem, &integrity))?;
        after(Stage::EngineNoted)?;
        let aside = if by_hand { move_aside(&places.engine) } else { places.set_engine_aside() };
        let aside = aside.map_err(at(&places.engine))?;
        after(Stage::EngineAside)?;
        fs::rename(&new, &places.engine).and_then(|()| sync_dir(&places.dir)).map_err(at(&places.engine))?;
        after(Stage::EngineInPlace)?;
        self.boot.say_closed(places)?;
        let (mut problem, mut bad_files) = (problem.to_owned(), walked.bad_files());
        if by_hand && !bad_files.is_empty() {
            let mended = self.of_bad_files(&walked, None);
            (problem, bad_files) = (mended.and(&problem), mended.still_bad);
        }
        Ok(Repaired::Rebuilt { problem, base, integrity, aside, bad_files })
    }
}

/// Why an engine that is not to be relied on stays what it is: nothing that anybody uses.
pub(crate) fn not_remade(places: &Places, by: CutOffBy, error: RepairError) -> OpenError {
    match error {
        RepairError::Open(error @ OpenError::OtherLog { .. }) => error,
        error => OpenError::NotRemade { dir: places.dir.clone(), by, error: Box::new(error) },
    }
}

/// What is wrong, and all that led to it.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    let (mut text, mut source) = (error.to_string(), error.source());
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// Open it and walk it.
fn examine(places: &Places, whose: (&Ours, ForeignState), format: u32) -> Result<Walked, RepairError> {
    let opened = open_whole(places, whose, format, Pace::USUAL)?;
    let whose = (&opened.log, (&whose.0.key, whose.1));
    let walk = || Ok(verify_in(places, &opened.trees, whose, (opened.head.version, Ended::Read))?);
    caught(walk).unwrap_or_else(|panic| Err(StorageError::new(&said(&*panic)).into()))
}

#[cfg(test)]
#[path = "repair_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "repair_ahead_tests.rs"]
mod ahead_tests;

#[cfg(test)]
#[path = "repair_cut_off_tests.rs"]
mod cut_off_tests;

#[cfg(test)]
#[path = "repair_lost_end_tests.rs"]
mod lost_end_tests;
