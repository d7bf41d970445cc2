//! `attorn audit export`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use attorn_api::audit::EntryRange;
use attorn_log::{Epoch, ExportReader, Origin};
use clap::Args;

use super::ceiling::Ceiling;
use super::directory::{self, Form, Head};
use super::{epochs, signed, unpack, verify};
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::operator_client::OperatorClient;
use crate::output::Output;

#[derive(Debug, Args)]
#[command(
    after_help = "With --json, and `--dir` or `--out`: where it is, how many entries it has, and the checkpoint that it ends with.

Examples:
  attorn audit export --dir audit                      with the exports of earlier epochs, in `audit/epochs`
  attorn audit export --out log.export
  attorn audit export --epoch 1 --out epoch-1.export
  attorn audit export --dir audit --witnessed --json | jq .checkpoint.size"
)]
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

impl Export {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, Failure> {
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
        if context.output.json {
            let export = File::open(&path).map_err(|error| Failure::file("read", &path, &error))?;
            let export = ExportReader::open(BufReader::new(export)).map_err(|error| Failure::verification(&error))?;
            context.output.json(&signed::exported(("file", &path), export.note(), &[])?)?;
        }
        Ok(Exit::Done)
    }

    async fn directory(&self, client: &OperatorClient, path: &Path, output: &Output) -> Result<Exit, Failure> {
        new_directory(path)?;
        let mut not_kept = Vec::new();
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
            not_kept = directory::download_earlier(client, path).await?;
            for missing in &not_kept {
                output.note(format!("the server does not keep the entries of epoch {missing} any more"));
            }
            entries
        };
        let bad = if self.epoch.is_none() { earlier_bad((client, output), path).await? } else { Vec::new() };
        output.note(format!("{entries} entries are in `{}`: `attorn audit verify --dir` checks it", path.display()));
        if output.json {
            let head = path.join("checkpoint");
            let note = std::fs::read_to_string(&head).map_err(|error| Failure::file("read", &head, &error))?;
            output.json(&signed::exported(("directory", path), &note, &not_kept)?)?;
        }
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
