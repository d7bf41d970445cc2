//! `attorn backup`, `restore` and `repair`: what is done with the data directory itself.
//!
//! They read and write files and ask no server, so they work where none runs any more. Whoever may read the files may
//! use them.

use std::path::PathBuf;

use clap::Args;

use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;

/// Copy what is needed to make the data directory anew. The server may run meanwhile, and does not notice. The root
/// key and the keys of users are not in it: keep those apart.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  attorn backup /var/backups/attorn/monday\n  attorn backup /var/backups/attorn/monday --keys /mnt/keys/monday\n  attorn backup monday --config ./attorn/attorn.toml"
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

/// Make a data directory out of a backup. The audit log goes on under a new epoch and key; all grants, sessions and
/// tokens of operators end; and everything is denied until somebody thaws the server: since the backup things happened
/// that it does not know. The token that makes an admin is shown this once.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  attorn restore /var/backups/attorn/monday\n  attorn restore /var/backups/attorn/monday --keys /mnt/keys/monday\n  attorn restore monday --config ./attorn/attorn.toml --data-dir ./attorn/data-2"
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
}

/// Walk a data directory that no server uses, and if the store's files cannot be relied on, make them anew from the
/// base copy and the journal beside them. Nothing that was acknowledged is lost by that. The files that were there
/// are moved aside.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  attorn repair\n  attorn repair --config ./attorn/attorn.toml")]
pub(crate) struct Repair {
    /// The server's configuration; `attorn.toml`, else `attorn/attorn.toml`, if it is not said
    #[arg(long, value_name = "PATH")]
    config: Option<PathBuf>,
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
        let Self { backup: _, keys: _, config: _, data_dir: _ } = self;
        Err(super::only_on_linux("restore"))
    }
}

#[cfg(not(target_os = "linux"))]
impl Repair {
    pub(crate) fn run(self, _: &Context) -> Result<Exit, Failure> {
        let Self { config: _ } = self;
        Err(super::only_on_linux("repair"))
    }
}

#[cfg(target_os = "linux")]
impl Backup {
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let config = super::serve::configuration(self.config)?;
        if let Some(keys) = &self.keys {
            apart(keys, &self.dir)?;
        }
        let made = attorn_server::data::back_up(&config, &self.dir).map_err(|error| Failure::of(&error))?;
        // After the data, so that nobody is in them whose key is not in the copy.
        let copied = self.keys.as_ref().map(|keys| {
            let copied = attorn_server::copy_user_keys(&config.user_keys, keys);
            copied.map_err(|error| Failure::file("write", keys, &error))
        });
        let copied = copied.transpose()?;
        let (dir, output) = (self.dir.display().to_string(), &context.output);
        if output.json {
            output.json(&serde_json::json!({
                "directory": dir, "version": made.version, "files": made.files, "bytes": made.bytes,
                "user_keys": copied, "bad_files": made.bad_files,
            }))?;
            return Ok(of_files(&made.bad_files));
        }
        output.line(format!("backup   {dir}"));
        output.line(format!("version  {}", made.version));
        output.line(format!("files    {}, {} bytes", made.files, made.bytes));
        if let (Some(copied), Some(keys)) = (copied, &self.keys) {
            output.line(format!("keys     {copied} of users, in {}", keys.display()));
        }
        output.note("");
        output.note("The root key and the keys of users are not in it; `attorn restore` needs the root key.");
        if copied.is_some() {
            output.note("Whoever is erased from now on is still in the copy of the keys: delete their file from it, or the copy.");
        }
        say_bad(context, &made.bad_files);
        Ok(of_files(&made.bad_files))
    }
}

/// Files whose entries cannot be read are the log's alone: all else was done.
#[cfg(target_os = "linux")]
const fn of_files(bad: &[String]) -> Exit {
    if bad.is_empty() { Exit::Done } else { Exit::VerificationFailed }
}

/// Name the files whose entries cannot be read.
#[cfg(target_os = "linux")]
fn say_bad(context: &Context, bad: &[String]) {
    for file in bad {
        context.output.line(format!("bad      {file}"));
    }
    if !bad.is_empty() {
        context.output.note("");
        context.output.note(
            "Entries of the audit log in these files cannot be read. Nothing else depends on them: put the files back from \
             an earlier backup.",
        );
    }
}

/// The copy of the keys is no part of the copy of the data, nor the other way round.
#[cfg(target_os = "linux")]
fn apart(keys: &std::path::Path, data: &std::path::Path) -> Result<(), Failure> {
    let whole = |path| std::path::absolute(path).map_err(|error| Failure::file("use", path, &error));
    let (keys, data) = (whole(keys)?, whole(data)?);
    if keys.starts_with(&data) || data.starts_with(&keys) {
        return Err(Failure::usage("the keys of users would go into the backup of the data")
            .with_help("keep both apart: whoever has both, and the root key, reads what is kept of users"));
    }
    Ok(())
}

#[cfg(target_os = "linux")]
impl Restore {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let mut config = super::serve::configuration(self.config)?;
        if let Some(dir) = self.data_dir {
            config.data_dir = dir;
        }
        let restored = attorn_server::restore::restore(&config, &self.backup, self.keys.as_deref()).await;
        let restored = restored.map_err(|error| {
            let failure = Failure::of(&error);
            Failure { help: error.help().map(str::to_owned), ..failure }
        })?;
        super::restored::print(&context.output, &config, &restored)
    }
}

#[cfg(target_os = "linux")]
impl Repair {
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let config = super::serve::configuration(self.config)?;
        let repaired = attorn_server::data::repair(&config).map_err(|error| {
            let failure = Failure::of(&error);
            Failure { help: attorn_server::data::repair_help(&error).map(str::to_owned), ..failure }
        })?;
        let output = &context.output;
        if output.json {
            output.json(&serde_json::json!({
                "rebuilt": repaired.rebuilt,
                "problem": repaired.problem,
                "moved_to": repaired.aside.map(|path| path.display().to_string()),
                "version": repaired.version,
                "entries": repaired.entries,
                "digest": repaired.digest,
                "bad_files": repaired.bad_files,
            }))?;
            return Ok(of_files(&repaired.bad_files));
        }
        match repaired.rebuilt {
            None if !repaired.bad_files.is_empty() => output.line("the store fits together; nothing was changed"),
            None => output.line("everything fits together; nothing was changed"),
            Some("journal") => {
                output.line("a new journal was begun with the store, which has all that the old one had");
            }
            Some(_) => output.line("the store was made anew from its base copy and its journal"),
        }
        if let Some(problem) = repaired.problem {
            output.line(format!("problem  {problem}"));
        }
        if let Some(aside) = repaired.aside {
            output.line(format!("before   {}", aside.display()));
        }
        output.line(format!("version  {}", repaired.version));
        output.line(format!("entries  {}", repaired.entries));
        output.line(format!("digest   {}", repaired.digest));
        say_bad(context, &repaired.bad_files);
        Ok(of_files(&repaired.bad_files))
    }
}
