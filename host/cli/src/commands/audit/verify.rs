//! `attorn audit verify`.
//!
//! Whose log it is follows from the key alone, so it says where the key came from. That nothing was cut from the end
//! follows from a checkpoint that was kept, or from witnesses, so it says whether there was any.
//!
//! A log that goes on in a later epoch comes from earlier ones: what is kept of them is verified, too, and what is not
//! kept is said.
//!
//! Where something is known of the log from before, its key is never replaced by the server's word: a later key is
//! believed if the one that is known leads to it, or if somebody gives it.

mod anchors;
#[cfg(target_os = "linux")]
mod bad_store;
mod earlier;
mod lineage;
mod offline;
mod remembered;
mod report;
#[cfg(target_os = "linux")]
mod stopped;

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

use attorn_api::audit::EntryRange;
use attorn_log::{
    CheckpointVerifier, Checks, Epoch, Origin, Progress, PublishedFiles, RECEIPT_MAGIC, SignedCheckpoint, Verified,
    VerifyError, WitnessPolicy, verify_export_with, verify_published,
};
use clap::Args;

use super::directory::{self, Directory, Form, Head, open_export, open_regular};
use crate::bar::Bar;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::key_source::read_text;
use crate::output::Output;
use anchors::Anchors;
use earlier::Earlier;
use lineage::{Continues, Exports, Lineage};
use offline::Exported;
use remembered::{Anchor, Compared, Memory};
use report::Believed;
#[cfg(target_os = "linux")]
use stopped::stopped;

const KEY_FILE_BYTES_MAX: u64 = 1024;

/// After how many entries it says how far it is.
const SAID_EVERY: NonZeroU64 = NonZeroU64::MIN.saturating_add(1_023);

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  attorn audit verify                                  the server's log, and remembers its checkpoint
  attorn audit verify --dir audit --key log.key --since last-year.checkpoint
  attorn audit verify --file log.txt --key \"$(cat log.key)\"
  attorn audit verify --key old.key                    also where the log's key was rotated since
  attorn audit verify --config ./attorn/attorn.toml    the data directory of a server that does not run
  attorn audit verify --receipt receipt.txt --key log.key --policy witnesses.txt")]
pub(crate) struct Verify {
    /// Verify this export, one file, without asking any server
    #[arg(long, value_name = "EXPORT", group = "source")]
    file: Option<PathBuf>,
    /// Verify this export, a directory, without asking any server
    #[arg(long, value_name = "DIR", group = "source")]
    dir: Option<PathBuf>,
    /// Verify the data directory of this configuration, whose server does not run
    #[arg(long, value_name = "PATH", group = "source")]
    config: Option<PathBuf>,
    /// Verify this receipt, without asking any server
    #[arg(long, value_name = "FILE", requires = "key", group = "source")]
    receipt: Option<PathBuf>,
    /// The key that is trusted, as `attorn audit key` printed it once, or a file that holds it
    #[arg(long, value_name = "VKEY|FILE")]
    key: Option<String>,
    /// A checkpoint that was kept: the log has to continue it
    #[arg(long, value_name = "CHECKPOINT", conflicts_with = "receipt")]
    since: Option<PathBuf>,
    /// Compare with no checkpoint that was remembered of a server's log, and remember none
    #[arg(long, conflicts_with_all = ["receipt", "file", "dir"])]
    alone: bool,
    /// Whose cosignatures the newest checkpoint has to have: a witness policy (c2sp.org/tlog-policy)
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
}

/// What the log is compared with, as it was read.
struct Given {
    /// Checkpoints, each of which it has to continue.
    since: Vec<String>,
    policy: Option<WitnessPolicy>,
}

impl Verify {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let output = &context.output;
        let trusted = self.key.as_deref().map(key).transpose()?;
        let since = self.since.as_deref().map(note).transpose()?.into_iter().collect();
        let given = Given { since, policy: self.policy()? };
        if let (Some(path), Some(trusted)) = (&self.receipt, &trusted) {
            return report::receipt(output, path, trusted, given.policy.as_ref());
        }
        if let Some(path) = self.file {
            return offline::verify(output, &Exported::File(path), (given, trusted)).await;
        }
        if let Some(path) = self.dir {
            let exported = Exported::Directory { files: Directory::exported(path.clone())?, path };
            return offline::verify(output, &exported, (given, trusted)).await;
        }
        let memory = if self.alone { None } else { Memory::of_user() };
        if let Some(path) = self.config {
            return stopped(output, &path, (given, trusted, memory)).await;
        }
        let now = directory::key_of_server(&context.anybody()?.text("/v1/audit/key").await?)?;
        let home = tempfile::tempdir().map_err(|error| Failure::of(&error))?;
        let head = if given.policy.is_some() { Head::WitnessedIfItIs } else { Head::Newest };
        let bar = Bar::new(output);
        let progress = |entries, of| bar.step(entries, of, "entries downloaded");
        let client = context.operator()?;
        let downloaded = directory::download(&client, home.path(), (head, Form::Published), progress).await;
        drop(bar);
        let downloaded = downloaded.map_err(|failure| report::of_server(output, failure))?;
        if let Some(why) = downloaded.unwitnessed {
            output.note(format!("the server says of its newest checkpoint: {why}"));
        }
        let files = Directory::new(home.path().to_owned(), Form::Published);
        let earlier = tempfile::tempdir().map_err(|error| Failure::of(&error))?;
        let exports = Exports::Server(&client, earlier.path());
        let done = live(output, (&files, &exports), (given, trusted, memory), (&now, Believed::FromServer)).await;
        done.map_err(Unverified::into_failure)
    }

    fn policy(&self) -> Result<Option<WitnessPolicy>, Failure> {
        let Some(path) = &self.policy else { return Ok(None) };
        let help = "it names witnesses and how many are enough, as c2sp.org/tlog-policy has it";
        let text = read_text(path, WitnessPolicy::BYTES_MAX as u64).map_err(|failure| failure.with_help(help))?;
        let policy = text.parse().map_err(|error: attorn_log::PolicyError| {
            Failure::usage(format!("`{}`: {error}", path.display())).with_help(help)
        });
        policy.map(Some)
    }
}

impl Given {
    fn checks<'a>(&'a self, trusted: Option<&'a CheckpointVerifier>) -> Checks<'a> {
        Checks { trusted, since: &self.since, witnesses: self.policy.as_ref(), bad: &[] }
    }
}

/// Why a log does not verify.
#[derive(Debug)]
enum Unverified {
    /// A file of it cannot be read, or is damaged.
    Unread(Failure),
    /// Anything else.
    Other(Failure),
}

impl Unverified {
    fn into_failure(self) -> Failure {
        match self {
            Self::Unread(failure) | Self::Other(failure) => failure,
        }
    }
}

impl From<Failure> for Unverified {
    fn from(failure: Failure) -> Self {
        Self::Other(failure)
    }
}

/// Verify a log that goes on, compare it with what is remembered of it, and remember it. Where it began a new epoch
/// since, it is followed from the key and the checkpoint that are known of an earlier one.
async fn live(
    output: &Output,
    (files, exports): (&dyn PublishedFiles, &Exports<'_>),
    (mut given, brought, memory): (Given, Option<CheckpointVerifier>, Option<Memory>),
    (now, believed): (&CheckpointVerifier, Believed),
) -> Result<Exit, Unverified> {
    let (trusted, believed) = match &brought {
        None => (now.clone(), believed),
        Some(key) if is_earlier(key.origin(), now.origin()) => {
            let lineage = Lineage::back(files, size(files)?, exports, key.origin().epoch).await;
            let followed = lineage.and_then(|lineage| lineage.follow(key));
            let followed = followed.map_err(|failure| report::failed(output, None, failure))?;
            (followed, Believed::Followed)
        }
        Some(key) => (key.clone(), Believed::Given),
    };
    let remembered = memory.as_ref().map(|memory| memory.latest(&trusted.origin().log_id)).transpose()?.flatten();
    let of_epoch = remembered.as_ref().filter(|seen| seen.origin == *trusted.origin());
    let known = of_epoch.and_then(|seen| Compared::of(seen, given.since.is_empty()));
    let compared = of_epoch.map(|seen| seen.note.clone());
    let anchors = Anchors::of(given.since.pop(), remembered, &trusted);
    let anchors = anchors.map_err(|failure| report::failed(output, None, failure))?;
    given.since = anchors.since;
    let done = published(output, files, &given.checks(Some(&trusted)));
    if let Some(other) = done.as_ref().err().and_then(|error| report::of_another_epoch(error, brought.as_ref())) {
        return Err(report::failed(output, None, other).into());
    }
    let (mut continues, mut earlier) = (None, Vec::new());
    if let Ok(verified) = &done {
        for seen in &anchors.earlier {
            let found = continued((files, exports), verified, seen, brought.as_ref()).await;
            continues = Some(found.map_err(|failure| report::failed(output, None, failure))?);
        }
        let first = lineage::first_published(files, verified.entries)?;
        earlier = before(output, first.as_deref(), (exports, memory.as_ref())).await?;
    }
    if let (Ok(verified), Some(memory)) = (&done, &memory)
        && earlier::unproven(&earlier).is_none()
        && let Err(failure) = memory.remember(&verified.checkpoint, &verified.key, compared.as_deref())
    {
        output.note(format!("its checkpoint is not remembered: {}", failure.message));
    }
    let is_unread = matches!(done, Err(VerifyError::Read(_)));
    let said = report::report(output, (done, known.as_ref()), (believed, continues.as_ref(), &earlier));
    said.map_err(|failure| if is_unread { Unverified::Unread(failure) } else { Unverified::Other(failure) })
}

/// Verify an export of an earlier epoch as it was written here. It may lack the entries of which the server says that
/// they were bad when the epoch ended; that this is so, the log itself says.
pub(super) fn exported(output: &Output, path: &Path, (epoch, bad): (u64, &[EntryRange])) -> Result<(), Failure> {
    let lacking = earlier::exported(output, path, Epoch(epoch), &earlier::ranges(bad));
    let lacking = lacking.map_err(|failure| report::failed(output, None, failure))?;
    if !lacking.is_empty() {
        let said = earlier::were_bad(epoch, &lacking);
        output.note(format!("{said}: so says the server, and `attorn audit verify` tells whether the log does"));
    }
    Ok(())
}

/// Verify the epochs before the one with this first entry.
async fn before(
    output: &Output,
    first_entry: Option<&[u8]>,
    (exports, memory): (&Exports<'_>, Option<&Memory>),
) -> Result<Vec<Earlier>, Failure> {
    let done = earlier::verify(output, first_entry, exports, memory).await;
    done.map_err(|wrong| report::failed(output, wrong.entry, wrong.failure))
}

/// See whether a log that was verified comes from what was seen of an earlier epoch: the entries are still there, and
/// the key that signed them leads to the one that signs now. No key has to lead there where somebody gave one of a
/// later epoch than what was seen.
async fn continued(
    (files, exports): (&dyn PublishedFiles, &Exports<'_>),
    verified: &Verified,
    seen: &Anchor,
    brought: Option<&CheckpointVerifier>,
) -> Result<Continues, Failure> {
    let lineage = Lineage::back(files, verified.entries, exports, seen.origin.epoch).await?;
    came_from(&lineage, exports, verified, (seen, brought)).await
}

async fn came_from(
    lineage: &Lineage,
    exports: &Exports<'_>,
    verified: &Verified,
    (seen, brought): (&Anchor, Option<&CheckpointVerifier>),
) -> Result<Continues, Failure> {
    let found = lineage.compare(seen, exports).await?;
    if brought.is_none_or(|key| !is_earlier(&seen.origin, key.origin())) {
        lineage.vouched(&found.key, &verified.key)?;
    }
    Ok(found)
}

/// Whether this is an epoch before that one, of the same log.
fn is_earlier(this: &Origin, that: &Origin) -> bool {
    this.log_id == that.log_id && this.epoch < that.epoch
}

/// How many entries the newest checkpoint says that there are, before anything was verified.
fn size(files: &dyn PublishedFiles) -> Result<u64, Failure> {
    let note = files.read("checkpoint", SignedCheckpoint::NOTE_BYTES_MAX).map_err(|error| Failure::of(&error))?;
    let text = note.map(|note| String::from_utf8_lossy(&note).into_owned()).unwrap_or_default();
    let size = text.lines().nth(1).and_then(|line| line.parse().ok());
    size.ok_or_else(|| Failure::new("the log's checkpoint does not say how many entries there are"))
}

#[cfg(not(target_os = "linux"))]
async fn stopped(
    _: &Output,
    _: &Path,
    _: (Given, Option<CheckpointVerifier>, Option<Memory>),
) -> Result<Exit, Failure> {
    Err(crate::commands::only_on_linux("audit verify --config"))
}

fn published(output: &Output, files: &dyn PublishedFiles, checks: &Checks<'_>) -> Result<Verified, VerifyError> {
    let bar = Bar::new(output);
    let step = |Progress { entries, of }| bar.step(entries, of, "entries verified");
    verify_published(files, checks, SAID_EVERY, step)
}

fn export(output: &Output, path: &Path, checks: &Checks<'_>) -> Result<Result<Verified, VerifyError>, Failure> {
    let fail = |error: std::io::Error| {
        Failure::file("read", path, &error).with_help("`attorn audit export --out FILE` makes an export")
    };
    if path.is_dir() {
        return Err(Failure::usage(format!("`{}` is a directory", path.display()))
            .with_help("`--dir` verifies an export that is a directory"));
    }
    let mut file = BufReader::new(File::open(path).map_err(fail)?);
    if file.fill_buf().map_err(fail)?.starts_with(RECEIPT_MAGIC.as_bytes()) {
        return Err(Failure::usage(format!("`{}` is a receipt, not an export", path.display()))
            .with_help("`--receipt` verifies it, and takes `--key`"));
    }
    let bar = Bar::new(output);
    let step = |Progress { entries, of }| bar.step(entries, of, "entries verified");
    let done = verify_export_with(file, checks, SAID_EVERY, step);
    drop(bar);
    if let Err(error @ VerifyError::NotAnExport) = &done {
        return Err(Failure::usage(format!("`{}`: {error}", path.display()))
            .with_help("`attorn audit export --out FILE` makes one"));
    }
    Ok(done)
}

/// A key, or the name of a file that holds one. Every key has a `+`.
fn key(text: &str) -> Result<CheckpointVerifier, Failure> {
    let read = |path| {
        let help = "`--key` takes what `attorn audit key` printed, or a file that holds it";
        read_text(path, KEY_FILE_BYTES_MAX).map_err(|failure| failure.with_help(help))
    };
    let held = if text.contains('+') { text.to_owned() } else { read(Path::new(text))? };
    held.trim_ascii().parse().map_err(|error: attorn_log::KeyError| {
        let Failure { message, .. } = Failure::of(&error);
        Failure::usage(format!("the key is none: {message}")).with_help("`attorn audit key` prints a server's")
    })
}

/// A checkpoint that was kept. What is plainly none was named by mistake.
fn note(path: &Path) -> Result<String, Failure> {
    let text = read_text(path, SignedCheckpoint::NOTE_BYTES_MAX as u64);
    let text =
        text.map_err(|failure| failure.with_help("`attorn audit checkpoint` prints one, to be kept as it is"))?;
    let mut lines = text.lines();
    let is_one = lines.next().is_some_and(|line| line.parse::<Origin>().is_ok())
        && lines.next().is_some_and(|line| line.parse::<u64>().is_ok());
    if is_one {
        return Ok(text);
    }
    Err(Failure::usage(format!("`{}` is no checkpoint of an audit log", path.display()))
        .with_help("`attorn audit checkpoint` prints one, to be kept as it is"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_key_is_a_usage_error() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log.key");
        std::fs::write(&path, "nothing\n").unwrap();
        for text in ["a+b+c", path.to_str().unwrap()] {
            let failure = key(text).unwrap_err();
            assert!(failure.exit == Exit::Usage && failure.message.starts_with("the key is none: "), "{failure}");
        }
        assert_eq!(key("no such file").unwrap_err().exit, Exit::Error);
    }

    #[tokio::test]
    async fn a_receipt_is_not_taken_for_an_export() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("receipt.txt");
        std::fs::write(&path, format!("{RECEIPT_MAGIC}\nextra AA==\n")).unwrap();
        let failure = export(&Output::new(false), &path, &Checks::default()).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        assert_eq!(failure.help.as_deref(), Some("`--receipt` verifies it, and takes `--key`"));
    }
}
