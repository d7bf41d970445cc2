//! `attorn audit`.

mod ceiling;
mod directory;
pub(crate) mod epochs;
mod filters;
mod leases;
mod list;
mod place;
pub(crate) mod replay;
mod show;
mod signed;
mod story;
mod summary;
mod unpack;
mod verify;
mod watch;

use std::collections::BTreeMap;
use std::io::{BufReader, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use attorn_api::audit::{Entry, EntryRange};
use attorn_core::TimeMs;
use attorn_log::{Epoch, Origin};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::Value;

use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::operator_client::OperatorClient;
use crate::output::Output;
use ceiling::Ceiling;
use directory::{Form, Head};
use place::Asked;
use summary::summary;

/// The audit log.
#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// List entries: all, or those that filters take (duty: auditor, as for all that asks the server)
    List(list::List),
    /// List the log's epochs: why each ended, and with what key it is verified
    Epochs,
    /// Tell a decision as a story, or show another entry
    Show(Show),
    /// Decide a recorded decision again, and compare
    Replay(replay::ReplayOne),
    /// Print entries as they come
    Watch(watch::Watch),
    /// Get an entry's receipt: the offline proof that it is in the log
    Receipt(Receipt),
    /// Print the log's signed checkpoint: keep it, and `verify --since` sees whether the log continues it
    Checkpoint(Checkpoint),
    /// Re-hash a whole log against its signed checkpoint, or check a receipt; ends with 5 if it does
    /// not verify
    Verify(verify::Verify),
    /// Get the whole log, as one file or a directory that nobody else may read, to be verified without the server
    Export(Export),
    /// Print the key that verifies the log's checkpoints. With --json: its id, its name, log and epoch, and the same
    /// line (`vkey`)
    Key,
}

#[derive(Debug, Args)]
#[command(
    after_help = "With --json: the entry, the record of the decision, and the entries that came of it; where nobody can \
                        read the record any more, why (`record_gone`). Ends with 5 if that, or the log, was lost or \
                        altered, and nobody has accepted that (`attorn repair --with-lost-records`).

Examples:
  attorn audit show 12                                 of the epoch that the log is in
  attorn audit show 1/12                               entry 12 of the log's first epoch, also after it began another
  attorn audit show log-0123456789abcdef/1/12          the same, as it is printed
  attorn audit show dec_0123456789abcdef0123456789abcdef"
)]
pub(crate) struct Show {
    /// An entry's index, with its epoch if the log has begun a later one since, also as it is printed with the log's id;
    /// or a decision's id
    #[arg(value_name = "ENTRY|DECISION")]
    what: Asked,
}

#[derive(Debug, Args)]
#[command(
    after_help = "With --json: the receipt as it is (`receipt`, to be kept for `attorn audit verify --receipt`), and taken \
                  apart: the entry and what it says, the proof, the checkpoint. Nothing is verified by that.

Examples:
  attorn audit receipt 12 > receipt.txt
  attorn audit receipt dec_0123456789abcdef0123456789abcdef --wait witnessed
  attorn audit receipt 12 --json | jq .body"
)]
pub(crate) struct Receipt {
    /// An entry's index, with its epoch if the log has begun a later one since, also as it is printed with the log's id;
    /// or a decision's id
    #[arg(value_name = "ENTRY|DECISION")]
    what: Asked,
    /// Wait until a checkpoint counts the entry that is on disk, or that enough witnesses cosigned
    #[arg(long, value_enum, value_name = "HOW")]
    wait: Option<Wait>,
}

#[derive(Debug, Args)]
#[command(
    after_help = "With --json: the signed text as it is (`note`, to be kept for `attorn audit verify --since`), and \
                        taken apart: origin, size, root, and the names of those who cosigned it (`cosigners`). Nothing \
                        is verified by that.

Examples:
  attorn audit checkpoint > kept.checkpoint
  attorn audit checkpoint --wait witnessed --json | jq -r .note"
)]
pub(crate) struct Checkpoint {
    /// Wait until enough witnesses have cosigned it
    #[arg(long, value_enum, value_name = "HOW")]
    wait: Option<Wait>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Wait {
    Checkpointed,
    Witnessed,
}

impl Wait {
    /// The path with the query that has the answer wait.
    fn asked(path: &str, wait: Option<Self>) -> String {
        match wait {
            None => path.to_owned(),
            Some(Self::Checkpointed) => format!("{path}?wait=checkpointed"),
            Some(Self::Witnessed) => format!("{path}?wait=witnessed"),
        }
    }
}

impl Receipt {
    async fn path(&self, client: &OperatorClient) -> Result<String, Failure> {
        let path = match &self.what {
            Asked::Entry(place) => format!("{}/receipt", place.path(client).await?),
            Asked::Decision(id) => format!("/v1/audit/decisions/{id}/receipt"),
        };
        Ok(Wait::asked(&path, self.wait))
    }
}

#[derive(Debug, Args)]
pub(crate) struct Export {
    /// An earlier epoch of the log alone (`attorn audit epochs`)
    #[arg(long, value_name = "EPOCH", conflicts_with = "witnessed")]
    epoch: Option<u64>,
    /// Write it to this new file, instead of standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write it to this new directory: tiles as C2SP has them, and each entry as a line of JSON; earlier epochs as files
    /// in `epochs`
    #[arg(long, value_name = "DIR", conflicts_with = "out")]
    dir: Option<PathBuf>,
    /// Only up to a checkpoint that enough witnesses have cosigned
    #[arg(long, requires = "dir")]
    witnessed: bool,
}

impl Audit {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let output = &context.output;
        match self {
            Self::List(list) => list.run(context).await,
            Self::Epochs => epochs::list(context).await,
            Self::Show(Show { what }) => show::run(what, context).await,
            Self::Replay(replay) => replay.run(context).await,
            Self::Watch(watch) => watch.run(context).await,
            Self::Receipt(receipt) => {
                let client = context.operator()?;
                let text = match (client.text(&receipt.path(&client).await?).await, &receipt.what) {
                    (Err(failure), Asked::Entry(place)) => return Err(place.not_found(&client, failure).await),
                    (text, _) => text?,
                };
                if output.json {
                    return output.json(&signed::receipt(&text)?).map(|()| Exit::Done);
                }
                output.raw(&text);
                Ok(Exit::Done)
            }
            Self::Checkpoint(Checkpoint { wait }) => {
                let note = context.operator()?.text(&Wait::asked("/v1/audit/checkpoint", wait)).await?;
                if output.json {
                    return output.json(&signed::checkpoint(&note)?).map(|()| Exit::Done);
                }
                output.raw(&note);
                Ok(Exit::Done)
            }
            Self::Verify(verify) => verify.run(context).await,
            Self::Export(export) => export.run(context).await,
            Self::Key => {
                let text = context.anybody()?.text("/v1/audit/key").await?;
                if output.json {
                    return output.json(&signed::key(&text)?).map(|()| Exit::Done);
                }
                output.line(text.trim_end());
                Ok(Exit::Done)
            }
        }
    }
}

impl Export {
    async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let client = context.operator()?;
        let source = self.epoch.map_or_else(|| "/v1/audit/export".to_owned(), epoch_export);
        if let Some(path) = &self.dir {
            let is_new = !path.exists();
            let done = self.directory(&client, path, &context.output).await;
            if done.is_err() && is_new {
                // What is there of it is no export, and would be in the way of the next.
                let _ = std::fs::remove_dir_all(path);
            }
            return done;
        }
        let Some(path) = self.out else {
            let mut out = Passed(&context.output);
            client.download(&source, &mut Ceiling::over(&mut out)).await?;
            return Ok(Exit::Done);
        };
        let fail = |error: std::io::Error| Failure::file("write", &path, &error);
        let mut file = crate::private::new_file(&path).map_err(|error| Failure::new_file(&path, &error))?;
        if let Err(failure) = client.download(&source, &mut Ceiling::over(&mut file)).await {
            // What is there of it is no export, and would be in the way of the next.
            let _ = std::fs::remove_file(&path);
            return Err(failure);
        }
        file.flush().and_then(|()| file.sync_all()).map_err(fail)?;
        if let Some(epoch) = self.epoch {
            let bad = epochs::bad_entries(&client).await?;
            verify::exported(&context.output, &path, (epoch, bad_of(&bad, epoch))).map_err(|failure| {
                // What came is evidence, and stays.
                Failure { message: format!("`{}`: {}", path.display(), failure.message), ..failure }
            })?;
        }
        context.output.note(format!("the log is in `{}`: `attorn audit verify --file` checks it", path.display()));
        Ok(Exit::Done)
    }

    async fn directory(&self, client: &OperatorClient, path: &Path, output: &Output) -> Result<Exit, Failure> {
        new_directory(path)?;
        let entries = if let Some(epoch) = self.epoch {
            let mut export = tempfile::tempfile().map_err(|error| Failure::of(&error))?;
            client.download(&epoch_export(epoch), &mut Ceiling::over(&mut export)).await?;
            export.rewind().map_err(|error| Failure::of(&error))?;
            // Which log it is, the server says; that its key may be believed is for `verify` to see.
            let now = directory::key_of_server(&client.text("/v1/audit/key").await?)?;
            let asked = Origin::of(&now.origin().log_id, Epoch(epoch));
            unpack::unpack(BufReader::new(export), path, &asked)?
        } else {
            let head = if self.witnessed { Head::Witnessed } else { Head::Newest };
            let entries = directory::download(client, path, (head, Form::Exported), |_, _| {}).await?.entries;
            for missing in directory::download_earlier(client, path).await? {
                output.note(format!("the server does not keep the entries of epoch {missing} any more"));
            }
            entries
        };
        let bad = if self.epoch.is_none() { earlier_bad((client, output), path).await? } else { Vec::new() };
        output.note(format!("{entries} entries are in `{}`: `attorn audit verify --dir` checks it", path.display()));
        bad.iter().for_each(Failure::print);
        // All is in the directory, and the damage is evidence.
        Ok(bad.first().map_or(Exit::Done, |failure| failure.exit))
    }
}

/// What does not verify of the earlier epochs in a directory that was just written.
async fn earlier_bad((client, output): (&OperatorClient, &Output), path: &Path) -> Result<Vec<Failure>, Failure> {
    let (mut bad, were_bad) = (Vec::new(), epochs::bad_entries(client).await?);
    for (epoch, path) in directory::earlier(path)? {
        bad.extend(verify::exported(output, &path, (epoch, bad_of(&were_bad, epoch))).err());
    }
    Ok(bad)
}

/// The entries that were bad when this epoch ended.
fn bad_of(all: &BTreeMap<u64, Vec<EntryRange>>, epoch: u64) -> &[EntryRange] {
    all.get(&epoch).map_or(&[], Vec::as_slice)
}

fn epoch_export(epoch: u64) -> String {
    format!("/v1/audit/epochs/{epoch}/export")
}

/// Make a directory; one that is there has to be empty.
fn new_directory(path: &Path) -> Result<(), Failure> {
    let fail = |error: std::io::Error| Failure::file("write", path, &error);
    crate::private::create_dir_all(path).map_err(|error| Failure::new_file(path, &error))?;
    match std::fs::read_dir(path).map_err(fail)?.next() {
        None => Ok(()),
        Some(_) => Err(Failure::new(format!("`{}` is there already, and not empty", path.display()))
            .with_help("what is there is never overwritten: name another directory, or move that one away")),
    }
}

/// Standard output, for what comes bit by bit.
struct Passed<'a>(&'a Output);

impl std::io::Write for Passed<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.bytes(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The heads of [`row`].
const HEADS: [&str; 4] = ["ENTRY", "TIME", "TYPE", "ABOUT"];

/// An entry in a table.
fn row(entry: &Entry) -> Result<Vec<String>, Failure> {
    row_within(entry, summary::CHARS_MAX)
}

/// The same, with so many characters of what it says.
fn row_within(entry: &Entry, chars_max: usize) -> Result<Vec<String>, Failure> {
    let body = body(entry)?;
    let time = body["time_ms"].as_u64().map_or_else(|| "-".into(), |ms| TimeMs(ms).to_string());
    let kind = body["type"].as_str().unwrap_or("-").to_owned();
    Ok(vec![entry.reference.index.to_string(), time, kind, summary(body, chars_max)])
}

fn body(entry: &Entry) -> Result<Value, Failure> {
    serde_json::from_str(entry.body.get()).map_err(|error| Failure::of(&error))
}
