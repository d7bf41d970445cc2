//! `attorn backup`, `restore` and `repair`: what is done with the data directory itself.
//!
//! They read and write files and ask no server, so they work where none runs any more. Whoever may read the files may
//! use them.

#[cfg(target_os = "linux")]
mod repaired;

#[cfg(target_os = "linux")]
use std::path::Path;
use std::path::PathBuf;

use clap::Args;

#[cfg(target_os = "linux")]
use super::damage;
#[cfg(target_os = "linux")]
use crate::bar::Bar;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;

/// Copy what is needed to make the data directory anew, and read all of the copy. The server may run meanwhile, and
/// does not notice. The root key and the keys of users are not in it: keep those apart.
#[derive(Debug, Args)]
#[command(
    after_help = "Ends with 5 if something of what was copied is damaged or missing: all else is in the backup, and what it is is said. Where base copy or journal are, or the state is not the one that this server wrote, there is no backup, it ends with 5, too, and nothing is left of it.\n\nExamples:\n  attorn backup /var/backups/attorn/monday\n  attorn backup /var/backups/attorn/monday --keys /mnt/keys/monday\n  attorn backup monday --config ./attorn/attorn.toml"
)]
pub(crate) struct Backup {
    /// The directory; it is made, and has to be empty if it is there
    dir: PathBuf,
    /// Copy the keys of users, too, into this directory, which is made. Whoever has both, and the root key, reads what is
    /// kept of users: keep it apart, and no longer than you must
    #[arg(long, value_name = "DIR")]
    keys: Option<PathBuf>,
    /// The server's configuration; `attorn.toml`, else `attorn/attorn.toml`, if it is not said
    #[arg(long, value_name = "PATH")]
    config: Option<PathBuf>,
}

/// Make a data directory out of a backup, all of whose files are read. The audit log goes on under a new epoch and key;
/// all grants, sessions and tokens of operators end; and everything is denied until somebody thaws the server: since
/// the backup things happened that it does not know. The token that makes an admin is shown this once.
#[derive(Debug, Args)]
#[command(
    after_help = "Where components, settings or entries in the backup are damaged or missing it refuses, and names them, unless it is said that it shall go on without. Ends with 5 if it restored all but what is damaged or missing in the backup, which it names, if the backup comes to less than it had when it was made, or has what is of no epoch of its log, and if it restored nothing because the backup is damaged where all depends on it, or its state or its log is not the one that this server wrote.\n\nExamples:\n  attorn restore /var/backups/attorn/monday\n  attorn restore /var/backups/attorn/monday --keys /mnt/keys/monday\n  attorn restore monday --config ./attorn/attorn.toml --data-dir ./attorn/data-2"
)]
pub(crate) struct Restore {
    /// What `attorn backup` made
    backup: PathBuf,
    /// Put the keys of users back from this copy, as `attorn backup --keys` made it: of those who are in the backup, have
    /// none, and were not erased as far as anybody here knows
    #[arg(long, value_name = "DIR")]
    keys: Option<PathBuf>,
    /// The server's configuration; `attorn.toml`, else `attorn/attorn.toml`, if it is not said
    #[arg(long, value_name = "PATH")]
    config: Option<PathBuf>,
    /// Where the data goes, if not where the configuration says
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Restore also where components or settings in the backup are damaged or missing: a policy in force that needs one
    /// denies whatever it is asked about, until they are pushed again
    #[arg(long)]
    with_bad_blobs: bool,
    /// Restore also where files with entries of the audit log are damaged or missing: these entries are lost for good, and
    /// the log says which they are
    #[arg(long)]
    with_bad_entries: bool,
}

/// Walk a data directory that no server uses, its components, settings and exports of earlier epochs too, and mend what
/// cannot be relied on. The database and the files with entries of the audit log and with decision records are made anew
/// from base copy and journal, base copy and journal from the database, and files with checkpoints from the log; the
/// query index is removed, and the next start of the server makes it anew. Nothing that was acknowledged is lost by that.
/// The files that were there are moved aside.
#[derive(Debug, Args)]
#[command(
    after_help = "Ends with 5 if there is something that it cannot make anew, which it names, if nothing can be made anew because what it would be made of is damaged, too, or if the server would refuse the directory: the high-water file or a checkpoint has seen a longer log, or another.\n\nExamples:\n  attorn repair\n  attorn repair --config ./attorn/attorn.toml"
)]
pub(crate) struct Repair {
    /// The server's configuration; `attorn.toml`, else `attorn/attorn.toml`, if it is not said
    #[arg(long, value_name = "PATH")]
    config: Option<PathBuf>,
    /// Keep a state that somebody else may have written, where base copy and journal say the same: you have looked at it and
    /// answer for it. The audit log says that it was kept
    #[arg(long)]
    with_foreign_state: bool,
    /// Go on with a database that was in use when it ended, where its journal is not what it was any more: what was
    /// acknowledged last may be lost. The audit log says so
    #[arg(long)]
    with_lost_end: bool,
    /// Go on without records of decisions that neither this directory nor a file that you could put back has: they are no
    /// damage any more, and the audit log says which they are
    #[arg(long)]
    with_lost_records: bool,
}

#[cfg(not(target_os = "linux"))]
impl Backup {
    pub(crate) fn run(self, _: &Context) -> Result<Exit, Failure> {
        let Self { dir: _, keys: _, config: _ } = self;
        Err(super::only_on_linux("backup"))
    }
}

#[cfg(not(target_os = "linux"))]
impl Restore {
    pub(crate) async fn run(self, _: &Context) -> Result<Exit, Failure> {
        let Self { backup: _, keys: _, config: _, data_dir: _, with_bad_blobs: _, with_bad_entries: _ } = self;
        Err(super::only_on_linux("restore"))
    }
}

#[cfg(not(target_os = "linux"))]
impl Repair {
    pub(crate) async fn run(self, _: &Context) -> Result<Exit, Failure> {
        let Self { config: _, with_foreign_state: _, with_lost_end: _, with_lost_records: _ } = self;
        Err(super::only_on_linux("repair"))
    }
}

#[cfg(target_os = "linux")]
impl Backup {
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let config = super::serve::configuration(self.config)?;
        if let Some(keys) = &self.keys {
            apart("the keys of users would go into the backup of the data", (keys, &self.dir))?;
            apart("the data would go into the copy of the keys of users", (&self.dir, keys))?;
            apart("the keys of users would go into the data directory", (keys, &config.data_dir))?;
            apart("the keys of users would be copied into themselves", (keys, &config.user_keys))?;
        }
        apart("the data would go into the keys of users", (&self.dir, &config.user_keys))?;
        // The data are copied first, which takes its time, and in vain if this is in the way.
        if let Some(keys) = self.keys.as_deref().filter(|keys| keys.exists()) {
            return Err(Failure::new_file(keys, &std::io::ErrorKind::AlreadyExists.into()));
        }
        let watched = Bar::watch(&context.output);
        let made = attorn_server::data::back_up(&config, &self.dir);
        drop(watched);
        let (made, unseen) = made.map_err(|error| not_backed_up(&error))?;
        // After the data, so that nobody is in them whose key is not in the copy.
        let copied = self.keys.as_ref().map(|keys| {
            let copied = attorn_server::data::copy_keys(&config, keys);
            copied.map_err(|error| Failure::new_file(keys, &error))
        });
        let (copied, unopened) = copied.transpose()?.unzip();
        let (unopened, none) = (unopened.flatten(), Vec::new());
        let bad_user_keys = copied.as_ref().map_or(&none, |copied| &copied.bad);
        let (dir, output) = (self.dir.display().to_string(), &context.output);
        let exit = damage::exit(&[&made.bad_files, bad_user_keys], &made.bad_named);
        if output.json {
            output.json(&serde_json::json!({
                "directory": dir, "version": made.version, "files": made.files, "bytes": made.bytes,
                "user_keys": copied.as_ref().map(|copied| copied.keys), "bad_user_keys": bad_user_keys,
                "user_keys_unopened": unopened, "bad_files": made.bad_files, "checkpoints_unseen": unseen,
                "lost_records": made.lost_records,
                "bad_blobs": damage::blobs(&made.bad_named), "bad_exports": damage::exports(&made.bad_named),
            }))?;
            return Ok(exit);
        }
        output.line(format!("backup   {dir}"));
        output.line(format!("version  {}", made.version));
        output.line(format!("files    {}, {} bytes", made.files, made.bytes));
        if made.lost_records > 0 {
            output.line(format!("lost     {} records of decisions, which was accepted", made.lost_records));
        }
        if let (Some(copied), Some(keys)) = (&copied, &self.keys) {
            output.line(format!("keys     {} of users, in {}", copied.keys, keys.display()));
        }
        damage::say_user_keys(output, bad_user_keys);
        if let Some(why) = unopened {
            output.note(format!("The keys of users were copied, and not opened to see whether they are whole: {why}"));
        }
        if let Some(why) = unseen {
            output.note(format!("The checkpoints of the log were copied, and not looked at: {why}"));
        }
        output.note("");
        output.note("The root key and the keys of users are not in it; `attorn restore` needs the root key.");
        if copied.is_some() {
            output.note("Whoever is erased from now on is still in the copy of the keys: delete their file from it, or the copy.");
        }
        let way_out = damage::WayOut {
            files: "While no server runs, `attorn repair` makes a file in `log/` or `records/` anew if base copy or journal \
                    still have what was in it; put the others back from an earlier backup.",
            blobs: "They were copied as they are. `attorn policy push` puts them again: make another backup then.",
        };
        damage::say(output, &made.bad_files, &made.bad_named, &way_out);
        Ok(exit)
    }
}

#[cfg(target_os = "linux")]
fn not_backed_up(error: &attorn_server::data::NoBackup) -> Failure {
    use attorn_server::data::{BackupError, NoBackup};

    let failure = Failure::of(error);
    let exit = match error {
        NoBackup::Copy(BackupError::Within { .. }) => Exit::Usage,
        NoBackup::Copy(error) if error.is_altered() => Exit::VerificationFailed,
        NoBackup::Copy(_) | NoBackup::RootKey(_) => failure.exit,
    };
    Failure { exit, help: attorn_server::data::backup_help(error).map(str::to_owned), ..failure }
}

/// A directory that may not go into another, whatever links lead there.
#[cfg(target_os = "linux")]
fn apart(what: &str, (inner, outer): (&Path, &Path)) -> Result<(), Failure> {
    if attorn_server::data::is_within(inner, outer).map_err(|error| Failure::file("use", inner, &error))? {
        let message = format!("{what}: `{}` is within `{}`", inner.display(), outer.display());
        return Err(Failure::usage(message)
            .with_help("keep them apart: whoever has data and keys, and the root key, reads what is kept of users"));
    }
    Ok(())
}

#[cfg(target_os = "linux")]
impl Restore {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        use attorn_server::epochs::BadEntries;
        use attorn_server::restore::{BadBlobs, check_is_backup, restore};

        // Whoever names the wrong directory is told that first, whatever else is not as it should be.
        check_is_backup(&self.backup).map_err(|error| not_restored(&error))?;
        let mut config = super::serve::configuration(self.config)?;
        let named = config.data_dir.clone();
        if let Some(dir) = self.data_dir {
            config.data_dir = dir;
        }
        let bad_blobs = if self.with_bad_blobs { BadBlobs::Accepted } else { BadBlobs::Refused };
        let bad_entries = if self.with_bad_entries { BadEntries::Accepted } else { BadEntries::Refused };
        let watched = Bar::watch(&context.output);
        let restored = restore(&config, &self.backup, self.keys.as_deref(), (bad_blobs, bad_entries)).await;
        drop(watched);
        let restored = restored.map_err(|error| not_restored(&error))?;
        let exit = super::restored::print(&context.output, &config, &restored)?;
        if config.data_dir != named {
            context.output.note("");
            context.output.note(format!(
                "attorn.toml names another data directory, `{}`: write this one there before the server starts.",
                named.display()
            ));
        }
        Ok(exit)
    }
}

#[cfg(target_os = "linux")]
fn not_restored(error: &attorn_server::epochs::EpochError) -> Failure {
    let failure = Failure::of(error);
    let exit = match error {
        error if error.is_usage() => Exit::Usage,
        error if error.is_altered() => Exit::VerificationFailed,
        _ => failure.exit,
    };
    Failure { exit, help: error.help().map(str::to_owned), ..failure }
}

#[cfg(target_os = "linux")]
impl Repair {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        use attorn_server::data::{Accepted, ForeignState, LostEnd, LostRecords};

        let config = super::serve::configuration(self.config)?;
        let lost = if self.with_lost_records { LostRecords::Accepted } else { LostRecords::Refused };
        let watched = Bar::watch(&context.output);
        let foreign = if self.with_foreign_state { ForeignState::Accepted } else { ForeignState::Refused };
        let lost_end = if self.with_lost_end { LostEnd::Accepted } else { LostEnd::Refused };
        let repaired = attorn_server::data::repair(&config, Accepted { foreign, lost_end }, lost).await;
        drop(watched);
        repaired::print(&context.output, repaired.map_err(|error| not_repaired(&error))?)
    }
}

#[cfg(target_os = "linux")]
fn not_repaired(error: &attorn_server::data::NoRepair) -> Failure {
    let failure = Failure::of(error);
    let exit = if error.is_altered() { Exit::VerificationFailed } else { failure.exit };
    Failure { exit, help: attorn_server::data::repair_help(error).map(str::to_owned), ..failure }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use attorn_server::data::{BackupError, ImprintError, NoBackup, PartsError};
    use attorn_server::epochs::EpochError;

    use super::*;

    #[test]
    fn what_is_not_this_servers_ends_with_5_and_a_way_out() {
        for error in [ImprintError::Differs, ImprintError::NotOfHere, ImprintError::Missing, ImprintError::OtherKey] {
            let failure = not_backed_up(&NoBackup::Copy(BackupError::Parts(PartsError::Imprint(error.clone()))));
            assert_eq!(failure.exit, Exit::VerificationFailed);
            assert!(failure.message.ends_with(&error.to_string()) && failure.help.is_some(), "{failure}");
            let failure = not_restored(&EpochError::ForeignState(error.clone()));
            assert_eq!(failure.exit, Exit::VerificationFailed);
            assert!(failure.message.ends_with(&error.to_string()) && failure.help.is_some(), "{failure}");
        }
        let failure = not_restored(&EpochError::BadBackup("it is cut".to_owned()));
        assert_eq!(failure.exit, Exit::VerificationFailed);
        let failure = not_restored(&EpochError::Backup("it is none".to_owned()));
        assert_eq!(failure.exit, Exit::Error);
    }
}
