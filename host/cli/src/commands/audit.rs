//! `attorn audit`.

mod ceiling;
mod directory;
pub(crate) mod epochs;
mod export;
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

use attorn_api::audit::Entry;
use attorn_core::TimeMs;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::Value;

use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::operator_client::OperatorClient;
use place::Asked;
use summary::summary;

/// The audit log.
#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// List entries: all, or those that filters take (duty: auditor, as for all that asks the server)
    List(list::List),
    /// List the log's epochs: why each ended, and with what key it is verified
    #[command(after_help = "Examples:
  attorn audit epochs
  attorn audit epochs --json | jq -r '.epochs[].key'")]
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
    Export(export::Export),
    /// Print the key that verifies the log's checkpoints
    Key(Key),
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
#[command(after_help = "With --json: its id, its name, log and epoch, and the same line (`vkey`).

Examples:
  attorn audit key > log.key                           once; keep it where the server cannot write
  attorn audit key --epoch 1 > epoch-1.key             of the log's first epoch, for its receipts (duty: auditor)

It is what the server says: give the key to whoever verifies by another way than the server itself.")]
pub(crate) struct Key {
    /// Of this epoch of the log (`attorn audit epochs`), instead of the one that it is in
    #[arg(long, value_name = "EPOCH")]
    epoch: Option<u64>,
}

impl Key {
    async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let text = match self.epoch {
            None => context.anybody()?.text("/v1/audit/key").await?,
            Some(epoch) => epochs::key(&context.operator()?, epoch).await?,
        };
        if context.output.json {
            return context.output.json(&signed::key(&text)?).map(|()| Exit::Done);
        }
        context.output.line(text.trim_end());
        Ok(Exit::Done)
    }
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
            Self::Key(key) => key.run(context).await,
        }
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
