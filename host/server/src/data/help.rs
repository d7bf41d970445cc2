//! What to do where there is no backup, or no repair.

use std::io::ErrorKind;

use attorn_store::{BackupError, ImprintError, IntegrityError, JournalError, OpenError, PartsError, RepairError};

use super::{NoBackup, NoRepair};
use crate::run::error::ROOT_KEY_HELP;

/// What to do where nothing is left that a store could be made of.
const NOTHING_LEFT: &str = "nothing was changed, and there is nothing here that a whole store could be made of: copy this \
    directory, which may hold more than a backup, move it away, and `attorn restore` a backup";

/// What to do where nothing here has what the log had.
const BEHIND_HELP: &str = "nothing was changed: what is here is older than what the high-water file, a checkpoint in `log/` or an \
                            export in `epochs/` tells of, and the database is not relied on. Put the right data directory back; if there is none, `attorn backup` this one, \
                            move it away, and `attorn restore` the backup";

/// What to do where the database has more, and a repair could not go on with it.
const AHEAD_HELP: &str = "nothing was changed: base copy and journal are older than the database, and nothing is begun anew with \
                          it, for the reason that was warned of above. Where that is a file in `store/` which is none of the database's, remove it, and \
                          run this again. Else put `base/` and `journal/` back if they are somewhere; if not, `attorn backup` what is \
                          here, move it away, and `attorn restore` the backup";

/// What to do where the database may lack what the journal had.
const END_LOST_HELP: &str = "nothing was changed. A server writes to the journal first, so the database may lack what was acknowledged in the \
                             last second or so. Put `journal/` and `base/` back as they were, if they are somewhere. If not, `attorn \
                             repair --with-lost-end` goes on with what the database has, and the audit log says so; `attorn restore` \
                             of a backup goes back further";

/// What to do where something in `journal/` is called like a segment, and is none.
const NOT_A_SEGMENT_HELP: &str = "nothing was changed. A server calls a segment by 20 digits: if this one has another name, somebody put it \
                                  there; move it away, and run this again. Else it is damaged: copy this directory, move it away, and \
                                  `attorn restore` a backup";

/// What to do where the database may have more, and nobody can see that now.
pub(crate) const UNREAD_HELP: &str = "nothing was changed. See who else has the files in `store/` open, who may read them, and that \
                            the disk works and has room, and try again; where they are lost for good, move `store/` away, and \
                            `attorn repair` makes it anew of base copy and journal";

/// What to do when there is no backup.
#[must_use]
pub fn backup_help(error: &NoBackup) -> Option<&'static str> {
    let error = match error {
        NoBackup::RootKey(error) => return error.help(),
        NoBackup::Copy(error) => error,
    };
    let of_io = |error: &std::io::Error| match error.kind() {
        ErrorKind::NotFound => {
            Some("the directory that the backup goes into has to be there; the backup's own is made")
        }
        ErrorKind::NotADirectory => Some("name a directory that is not there yet, or that is empty"),
        ErrorKind::PermissionDenied => Some(
            "run it as somebody who may read the data directory and write the backup: the user whom the server runs \
             as, or root",
        ),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            Some("what was written is removed again: make room, and try again")
        }
        _ => None,
    };
    match error {
        BackupError::NotEmpty { .. } => Some("what is there is never overwritten: name another directory"),
        BackupError::Within { .. } => Some("name a directory elsewhere, best on another disk"),
        BackupError::Open(OpenError::NotThere { .. }) => {
            Some("`data_dir` in attorn.toml names it; `attorn init` makes one, and `attorn restore` out of a backup")
        }
        BackupError::Io { source, .. } | BackupError::Open(OpenError::Io { source, .. }) => of_io(source),
        BackupError::Parts(PartsError::Imprint(ImprintError::OtherKey)) => Some(ROOT_KEY_HELP),
        BackupError::Parts(PartsError::Imprint(ImprintError::Missing)) => Some(
            "nothing is left of the copy. `attorn repair` begins base copy and journal anew, while no server runs; of a store that an earlier version made with `--with-foreign-state`, by whoever has looked at it and answers \
             for it. Then make the backup again",
        ),
        BackupError::Parts(PartsError::Imprint(_) | PartsError::Log(_) | PartsError::Records(_)) => Some(
            "nothing is left of the copy. Find out who could write to the data directory. `attorn repair` begins base copy and journal anew, while no server runs, if the database itself is what the server wrote; else \
             `attorn restore` an earlier backup",
        ),
        BackupError::Parts(PartsError::Journal(JournalError::Gone { .. })) => Some(
            "nothing is left of the copy. What stood in the journal alone nobody has, and a server does not start without it: put \
             `journal/` back if it is somewhere; else copy the data directory, move it away, and `attorn restore` an earlier \
             backup",
        ),
        BackupError::Parts(PartsError::NoBase { .. }) => Some(
            "nothing is left of the copy. A server makes a base copy when it starts, and `attorn repair` does, while no server runs, \
             if the database is whole. Then make the backup again",
        ),
        BackupError::Parts(_) => Some(
            "with a new base copy that file is needed no more: a server makes one when it starts, and `attorn repair` does, \
             while no server runs. Then make the backup again",
        ),
        _ => None,
    }
}

/// Whether something says that there was more, or may have.
pub(crate) const fn is_held_back(error: &RepairError) -> bool {
    matches!(
        error,
        RepairError::Behind { .. }
            | RepairError::EngineAhead { .. }
            | RepairError::EngineUnread(_)
            | RepairError::EndLost { .. }
    )
}

const fn is_of_a_segment(error: &RepairError) -> bool {
    matches!(
        error,
        RepairError::Parts(PartsError::Journal(JournalError::NotASegment { .. }))
            | RepairError::Open(OpenError::Journal(JournalError::NotASegment { .. }))
    )
}

fn held_back_help(error: &RepairError) -> Option<&'static str> {
    match error {
        RepairError::EngineUnread(_) => Some(UNREAD_HELP),
        RepairError::EngineAhead { .. } => Some(AHEAD_HELP),
        RepairError::Behind { .. } => Some(BEHIND_HELP),
        RepairError::EndLost { .. } => Some(END_LOST_HELP),
        _ => None,
    }
}

/// What to do when there is no repair.
#[must_use]
pub fn repair_help(error: &NoRepair) -> Option<&'static str> {
    let error = match error {
        NoRepair::RootKey(error) => return error.help(),
        NoRepair::Store(error) => error,
    };
    match error {
        RepairError::Integrity(IntegrityError::Imprint(ImprintError::OtherKey)) => Some(ROOT_KEY_HELP),
        RepairError::Integrity(IntegrityError::Imprint(_)) => Some(
            "nothing was changed; base copy and journal say the same: copy the data directory, find out who could write \
             there, and `attorn restore` a backup. Who has looked at the state and answers for it keeps it by \
             `--with-foreign-state`, which the audit log says",
        ),
        RepairError::Open(OpenError::InUse { .. }) => Some("end the server that uses it first"),
        RepairError::Open(OpenError::NotThere { .. }) => {
            Some("`data_dir` in attorn.toml names it; where it was lost, `attorn restore` makes one out of a backup")
        }
        error if is_of_a_segment(error) => Some(NOT_A_SEGMENT_HELP),
        // What is said of it says what to do.
        RepairError::Open(error @ OpenError::Io { .. }) if error.is_altered() => None,
        RepairError::Open(OpenError::HalfMade { .. } | OpenError::NoFormat { .. } | OpenError::Journal(_)) => {
            Some(NOTHING_LEFT)
        }
        RepairError::Open(OpenError::Io { .. }) => {
            Some("see who may use it (the user whom the server runs as, or root), and that its disk has room")
        }
        RepairError::Open(OpenError::NotRemade { error, .. }) if is_held_back(error) => held_back_help(error),
        RepairError::Open(OpenError::NotRemade { error, .. }) if is_of_a_segment(error) => Some(NOT_A_SEGMENT_HELP),
        error if is_held_back(error) => held_back_help(error),
        RepairError::Open(OpenError::NotRemade { .. }) => Some(
            "nothing was changed. What the database lost when the machine stopped, a revocation say, shows nowhere, so it \
             is not used: copy this directory, move it away, and `attorn restore` a backup",
        ),
        RepairError::Parts(_) | RepairError::OtherStore => Some(NOTHING_LEFT),
        _ => None,
    }
}
