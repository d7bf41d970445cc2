//! Beginning journal and base copy anew with what the engine holds: where they are damaged and the engine has all that they
//! had, or where a state is accepted that somebody else may have written.

use std::fs;
use std::path::PathBuf;

use super::aside::{free_name, move_aside};
use super::{LostEnd, Repair, RepairError, Repaired, Seen, Stage, causes, examine};
use crate::base;
use crate::caught::caught;
use crate::error::OpenError;
use crate::files::{make_dir, sync_dir};
use crate::follower::Pace;
use crate::frame::StoreId;
use crate::head::{Head, LogName};
use crate::imprint::{self, ForeignState, Imprint, ImprintError};
use crate::integrity::{Ended, Integrity, IntegrityError, verify_in};
use crate::journal::{self, Journal, JournalError};
use crate::key::{KeyPrefix, KeyPurpose};
use crate::open::head_of;
use crate::places::{FORMAT, Places, at, exists, sync_files};
use crate::read::{PAGE_BYTES_MAX, PAGE_ITEMS_MAX};
use crate::records::{KeyMaterialRecord, Record as _};
use crate::redo::Redo;
use crate::remade::{self, Part, Remade};
use crate::trees::Trees;

/// What a new journal is begun with.
#[derive(Debug, Clone, Copy)]
pub(super) enum Begun<'a> {
    /// What the engine holds, which has to be ours.
    With(Engine),
    /// What the engine was found to hold, whoever wrote it: somebody answers for it.
    Accepted(&'a Integrity),
}

/// How far an engine is relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Engine {
    /// It takes what the old journal has after it.
    AndJournal,
    /// It has more than the old journal.
    AsItIs,
}

impl Repair<'_> {
    /// What is wrong with the engine's files. Where nothing names their format, that is what is, and not that nobody looks
    /// for what a format has.
    pub(super) fn why(&self, error: &RepairError) -> String {
        let is_format = matches!(
            error,
            RepairError::Open(OpenError::Imprint(ImprintError::Missing) | OpenError::OtherFormat { .. })
        );
        match self.unnamed.filter(|_| is_format) {
            Some(unnamed) => {
                format!("`{}` {unnamed}, and so nothing said in which form the store is", self.places.marker.display())
            }
            None => causes(error),
        }
    }

    /// Give the state that is found an imprint, where that is all that is wrong with it, it cannot be made anew, and
    /// somebody answers for it. Base copy and journal are begun anew with it.
    pub(super) fn accept(&self, format: u32, found: &RepairError, error: RepairError) -> Result<Repaired, RepairError> {
        if let RepairError::Open(OpenError::OtherFormat { .. }) = found
            && self.places.cut_off(self.boot, FORMAT)?.is_none()
        {
            // Nothing but what names the format is wrong with the engine, and its imprint tells whose it is.
            return self.of_what_is_found(FORMAT).map_err(|_| error);
        }
        let problem = match (found, self.accepted.foreign) {
            // By another key nothing of what the server wrapped can be opened.
            (RepairError::Open(OpenError::Imprint(imprint)), ForeignState::Accepted)
                if !matches!(imprint, ImprintError::OtherKey) =>
            {
                format!("{imprint}; the state was accepted as it was found")
            }
            _ => return Err(error),
        };
        let walked = examine(self.places, (self.ours, self.accepted.foreign), format)?;
        let replace = || self.replace_journal(&problem, Begun::Accepted(&walked.integrity));
        caught(replace).unwrap_or(Err(error))
    }

    /// Begin the journal anew with what the engine holds, if nothing is wrong after that.
    pub(super) fn replace_journal(&self, problem: &str, begun: Begun<'_>) -> Result<Repaired, RepairError> {
        let Self { places, ours, .. } = self;
        let trees = Trees::open(&places.engine)?;
        let (store, version) = self.caught_up(&trees, begun)?;
        let (name, head) = head_of(&trees)?;
        if name.id != ours.log {
            return Err(OpenError::OtherLog { expected: ours.log.clone(), found: name.id }.into());
        }
        if matches!(begun, Begun::With(Engine::AsItIs)) {
            // Of one that has all that the old journal had nothing is lost, however long the log was.
            Seen::check(self.seen, &name, &head)?;
        }
        if let Begun::Accepted(accepted) = begun {
            self.say_accepted(&trees, (&name, &head), (problem, accepted))?;
        }
        let walked = verify_in(places, &trees, (&name, (&ours.key, ForeignState::Refused)), (version, Ended::Read))?;
        let integrity = walked.integrity;
        // Before anything is moved: the journal may be all that has what a bad file should have.
        let mended = self.of_bad_files(&walked, Some(&trees));
        let problem = mended.and(problem);
        let is_said = matches!(begun, Begun::Accepted(_)) && mended.is_nothing();
        let said = (!is_said).then(|| Remade::new(Part::Journal, true, &problem, &integrity));
        let (aside, bases_aside) = self.put_new_journal(&trees, (store, version), said)?;
        let foreign = match begun {
            Begun::Accepted(_) => ForeignState::Accepted,
            Begun::With(_) => ForeignState::Refused,
        };
        let (bad_files, lost_end) = (mended.still_bad, LostEnd::Refused);
        Ok(Repaired::NewJournal { foreign, lost_end, problem, integrity, aside, bases_aside, bad_files })
    }

    /// Bring the engine up to what the old journal has, as far as it is asked. Whose it is, and where it stands.
    fn caught_up(&self, trees: &Trees, begun: Begun<'_>) -> Result<(StoreId, u64), RepairError> {
        let places = self.places;
        let (_, head) = head_of(trees)?;
        let refused = || OpenError::Inconsistent("it has no id".to_owned());
        let store = trees.store_id()?.ok_or_else(refused)?;
        let version = match begun {
            Begun::With(Engine::AsItIs) => head.version,
            Begun::With(Engine::AndJournal) | Begun::Accepted(_) => {
                let end = journal::replay_rest(&places.journal, store, head.version, |redo: Redo| {
                    trees.take_over(&redo.writes).map_err(RepairError::from)
                })?;
                if end.version < head.version {
                    let (end, version) = (end.version, head.version);
                    return Err(JournalError::Behind { dir: places.journal.clone(), end, version }.into());
                }
                end.version
            }
        };
        trees.flush()?;
        sync_files(&places.engine)?;
        Ok((store, version))
    }

    /// Give the state that is there an imprint, with one row beside: nothing is taken for ours that does not say itself that
    /// it was accepted.
    fn say_accepted(
        &self,
        trees: &Trees,
        (name, head): (&LogName, &Head),
        (problem, accepted): (&str, &Integrity),
    ) -> Result<(), RepairError> {
        if !log_key_in(trees)?.is_none_or(|key| (self.opens)(&key)) {
            return Err(IntegrityError::Imprint(ImprintError::OtherKey).into());
        }
        let key = &self.ours.key;
        let root = imprint::root_in(trees, head).map_err(|error| OpenError::Inconsistent(error.to_string()))?;
        let said = remade::accepted_write(trees, head, Remade::new(Part::Journal, true, problem, accepted));
        let before = |at: &[u8]| trees.raw_at(at);
        let imprint = Imprint::over(key, trees)?.after(key, before, std::slice::from_ref(&said))?;
        trees.apply(&[said, imprint.write(key, (name, head), root)?])?;
        trees.flush()?;
        Ok(sync_files(&self.places.engine)?)
    }

    /// Put a new journal in the place of the old one, with a base copy of what the engine holds. Where the old ones are now.
    fn put_new_journal(
        &self,
        trees: &Trees,
        (store, version): (StoreId, u64),
        said: Option<Remade>,
    ) -> Result<(PathBuf, Option<PathBuf>), RepairError> {
        let Self { places, after, .. } = self;
        if !exists(&places.base)? {
            make_dir(&places.base).map_err(at(&places.base))?;
        }
        // With this the new journal is enough, and the old one still has all that it had.
        base::write(&places.base, store, version, trees)?;
        after(Stage::BaseMade)?;
        let new = &places.new_journal;
        if exists(new)? {
            fs::remove_dir_all(new).map_err(at(new))?;
        }
        make_dir(new).map_err(at(new))?;
        Journal::create(new, store, version, Pace::USUAL.segments).map_err(at(new))?;
        after(Stage::JournalMade)?;
        if let Some(said) = said {
            remade::note(places, said)?;
        }
        after(Stage::JournalNoted)?;
        let aside = move_aside(&places.journal).map_err(at(&places.journal))?;
        let aside = aside.ok_or_else(|| JournalError::Missing { dir: places.journal.clone(), due: version })?;
        sync_dir(&places.dir).map_err(at(&places.dir))?;
        after(Stage::JournalAside)?;
        places.finish_replacing_journal()?;
        after(Stage::JournalInPlace)?;
        let bases_aside = bases_aside(places, version).map_err(at(&places.base))?;
        after(Stage::BasesAside)?;
        Ok((aside, bases_aside))
    }
}

/// The newest key that signs the log, wrapped.
fn log_key_in(trees: &Trees) -> Result<Option<KeyMaterialRecord>, RepairError> {
    let prefix = KeyPrefix::key_material(KeyPurpose::Log);
    let page = trees.scan(&prefix, None, PAGE_ITEMS_MAX, PAGE_BYTES_MAX).map_err(IntegrityError::from)?;
    // Versions sort as numbers do.
    let newest = page.items.last().map(|(key, stored)| KeyMaterialRecord::decode(key, &stored.value));
    Ok(newest.transpose().map_err(IntegrityError::Value)?)
}

/// Move all base copies but the one that was just made to where the journal is that they lead to, or are said to.
fn bases_aside(places: &Places, version: u64) -> std::io::Result<Option<PathBuf>> {
    let mut others = base::all(&places.base)?;
    others.retain(|base| base.version != version);
    if others.is_empty() {
        return Ok(None);
    }
    let aside = free_name(&places.base)?;
    make_dir(&aside)?;
    for base in others {
        fs::rename(&base.path, aside.join(base.path.file_name().unwrap_or_default()))?;
    }
    sync_dir(&aside)?;
    sync_dir(&places.base)?;
    Ok(Some(aside))
}
