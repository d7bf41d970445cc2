//! A log as a directory of files, as it is published and exported.
//!
//! Names of files come from the log's size alone, never from what a server or a file says. What is written nobody else
//! may read.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, ErrorKind, Read as _, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use attorn_api::ProblemCode;
use attorn_api::audit::LogEpochList;
use attorn_log::segments::{Span, json_line, notes, segment_name};
use attorn_log::tiles::Bundle;
use attorn_log::{CheckpointVerifier, PublishedFiles, Tile, TileKind};
use rustix::fs::OFlags;

use super::ceiling::Ceiling;
use crate::failure::Failure;
use crate::operator_client::OperatorClient;
use crate::private;

/// The exports of earlier epochs.
const EPOCHS: &str = "epochs";
/// The lines of JSON.
pub(super) const LINES: &str = "entries.jsonl";

/// Which checkpoint is downloaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Head {
    /// One of all that is durable.
    Newest,
    /// The same, once enough witnesses have cosigned it.
    Witnessed,
    /// The same, and the newest where they do not.
    WitnessedIfItIs,
}

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// What the server publishes.
    Published,
    /// The same, and each entry as a line of JSON.
    Exported,
}

/// A directory with a log.
pub(super) struct Directory {
    root: PathBuf,
    form: Form,
}

impl Directory {
    pub(super) fn new(root: PathBuf, form: Form) -> Self {
        Self { root, form }
    }

    /// What somebody says is an export. Where nothing of one is there, it was said by mistake, and nothing is verified.
    pub(super) fn exported(root: PathBuf) -> Result<Self, Failure> {
        let found = fs::metadata(&root).map_err(|error| {
            Failure::file("read", &root, &error).with_help("`attorn audit export --dir` makes an export")
        })?;
        let there = |name: &str| root.join(name).exists();
        let (what, help) = if !found.is_dir() {
            ("is no directory", "`--file` verifies an export that is one file, `--receipt` a receipt")
        } else if there("store.format") {
            ("is a data directory, not an export", "`--config` verifies the log of a server that does not run")
        } else if there("backup.format") {
            (
                "is a backup, not an export",
                "`attorn restore` reads all of it, and `--config` verifies what comes of that",
            )
        } else if !there("key") && !there("checkpoint") {
            ("is no export: it has neither `key` nor `checkpoint`", "`attorn audit export --dir` makes one")
        } else {
            return Ok(Self::new(root, Form::Exported));
        };
        Err(Failure::usage(format!("`{}` {what}", root.display())).with_help(help))
    }
}

impl PublishedFiles for Directory {
    fn read(&self, name: &str, bytes_max: usize) -> io::Result<Option<Vec<u8>>> {
        let file = match open_regular(&self.root.join(name)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let mut bytes = Vec::new();
        file.take(bytes_max as u64 + 1).read_to_end(&mut bytes)?;
        if bytes.len() > bytes_max {
            return Err(io::Error::other(format!("`{name}` has more than {bytes_max} bytes")));
        }
        Ok(Some(bytes))
    }

    fn lines(&self) -> io::Result<Option<Box<dyn BufRead>>> {
        match open_regular(&self.root.join(LINES)) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            file => Ok(Some(Box::new(BufReader::new(file?)))),
        }
    }

    fn names(&self) -> io::Result<Option<Vec<String>>> {
        if self.form == Form::Published {
            return Ok(None);
        }
        let mut names = Vec::new();
        let mut due = vec![(self.root.clone(), String::new())];
        while let Some((directory, prefix)) = due.pop() {
            for entry in fs::read_dir(directory)? {
                let entry = entry?;
                let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
                if entry.file_type()?.is_dir() {
                    // They are compared with what the log says of them, see `verify::earlier`.
                    if name == EPOCHS {
                        continue;
                    }
                    due.push((entry.path(), format!("{name}/")));
                } else {
                    names.push(name);
                }
            }
        }
        names.sort();
        Ok(Some(names))
    }
}

/// Open a file that somebody may have put there: whoever opens a pipe waits for who writes into it.
pub(super) fn open_regular(path: &Path) -> io::Result<File> {
    if !fs::metadata(path)?.is_file() {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        return Err(io::Error::new(ErrorKind::InvalidData, format!("`{name}` is no regular file")));
    }
    File::open(path)
}

/// Open the export of an earlier epoch, which nobody named: it was found where exports are kept. What is no regular file
/// there is none that was written, and a link may lead to what is nobody's to read.
pub(super) fn open_export(path: &Path) -> Result<BufReader<File>, Failure> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let opened = i32::try_from(flags.bits())
        .map_err(io::Error::other)
        .and_then(|flags| File::options().read(true).custom_flags(flags).open(path));
    let is_odd = match &opened {
        Ok(file) => !file.metadata().is_ok_and(|found| found.is_file()),
        Err(_) => fs::symlink_metadata(path).is_ok_and(|found| !found.is_file()),
    };
    if is_odd {
        let message = format!("`{}` is no regular file, and was neither followed nor waited for", path.display());
        return Err(Failure::unverified(message)
            .with_help("move it away, and put the export back from a backup or a copy, where it has the same name"));
    }
    opened.map(BufReader::new).map_err(|error| Failure::file("read", path, &error))
}

/// What was downloaded.
pub(super) struct Downloaded {
    /// How many entries the log has.
    pub(super) entries: u64,
    /// Why the checkpoint is not one that enough witnesses cosigned, if that was wanted and the server has none.
    pub(super) unwitnessed: Option<String>,
}

/// Download the whole log of a server into a new or empty directory.
pub(super) async fn download(
    client: &OperatorClient,
    root: &Path,
    (head, form): (Head, Form),
    mut passed: impl FnMut(u64, u64),
) -> Result<Downloaded, Failure> {
    let path = match head {
        Head::Newest => "/v1/audit/checkpoint",
        Head::Witnessed | Head::WitnessedIfItIs => "/v1/audit/checkpoint?wait=witnessed",
    };
    let (note, unwitnessed) = match client.text(path).await {
        // What is missing is for the policy to say.
        Err(failure) if head == Head::WitnessedIfItIs && is_unwitnessed(&failure) => {
            (client.text("/v1/audit/checkpoint").await?, Some(failure.message))
        }
        note => (note?, None),
    };
    let key_text = client.text("/v1/audit/key").await?;
    let key: CheckpointVerifier = key_of_server(&key_text)?;
    let size = key.verify(note.as_bytes()).map_err(|error| Failure::verification(&error))?.checkpoint().size;
    for (name, text) in [("key", format!("{key}\n")), ("checkpoint", note)] {
        write(&root.join(name), text.as_bytes())?;
    }
    let last = Span::USUAL.segment_of(size);
    for segment in 0..=last {
        let name = segment_name(segment);
        let text = client.text(&format!("/log/{name}")).await?;
        let text = if segment == last { up_to(&text, &key, size) } else { text };
        write(&root.join(name), text.as_bytes())?;
    }
    let mut lines = match form {
        Form::Published => None,
        Form::Exported => Some((root.join(LINES), BufWriter::new(new_file(&root.join(LINES))?))),
    };
    for tile in Tile::all(size) {
        let bytes = client.bytes(&format!("/log/{tile}")).await?;
        write(&root.join(tile.to_string()), &bytes)?;
        if tile.kind() == TileKind::Entries {
            if let Some((path, lines)) = &mut lines {
                write_lines(lines, tile, &bytes).map_err(|error| Failure::file("write", path, &error))?;
            }
            passed(tile.begin() + u64::from(tile.width()), size);
        }
    }
    if let Some((path, mut lines)) = lines {
        let written = lines.flush().and_then(|()| lines.get_ref().sync_all());
        written.map_err(|error| Failure::file("write", &path, &error))?;
    }
    Ok(Downloaded { entries: size, unwitnessed })
}

/// Whether the server has no checkpoint that enough witnesses cosigned: they did not in time, or it knows of none.
fn is_unwitnessed(failure: &Failure) -> bool {
    matches!(failure.code, Some(ProblemCode::Timeout | ProblemCode::InvalidQuery))
}

/// The key that a server says is its log's.
pub(super) fn key_of_server(text: &str) -> Result<CheckpointVerifier, Failure> {
    text.trim_end().parse().map_err(|error: attorn_log::KeyError| {
        let Failure { message, .. } = Failure::of(&error);
        Failure::new(format!("what the server says is its log's key is none: {message}"))
            .with_help("is this the URL of an Attorn server? `--server` or ATTORN_URL")
    })
}

/// Download what the server keeps of the epochs before the one that the log is in, into the same directory. Those of
/// which it keeps nothing come back.
pub(super) async fn download_earlier(client: &OperatorClient, root: &Path) -> Result<Vec<u64>, Failure> {
    let list: LogEpochList = client.get("/v1/audit/epochs").await?;
    let mut missing = Vec::new();
    for one in list.epochs.iter().filter(|one| one.ended.is_some()) {
        let path = root.join(EPOCHS).join(format!("{}.export", one.epoch));
        let mut file = new_file(&path)?;
        let mut within = Ceiling::over(&mut file);
        match client.download(&format!("/v1/audit/epochs/{}/export", one.epoch), &mut within).await {
            Err(failure) if failure.code == Some(ProblemCode::NotFound) => {
                fs::remove_file(&path).map_err(|error| Failure::file("remove", &path, &error))?;
                missing.push(one.epoch);
            }
            done => done?,
        }
    }
    Ok(missing)
}

/// The earlier epochs of which a directory has exports, as [`download_earlier`] wrote them.
pub(super) fn earlier(root: &Path) -> Result<Vec<(u64, PathBuf)>, Failure> {
    let directory = root.join(EPOCHS);
    let fail = |error: io::Error| Failure::file("read", &directory, &error);
    let all = match fs::read_dir(&directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        all => all.map_err(fail)?,
    };
    let mut found = Vec::new();
    for entry in all {
        let path = entry.map_err(fail)?.path();
        let epoch = path.file_stem().and_then(|epoch| epoch.to_str()?.parse().ok());
        found.extend(epoch.map(|epoch| (epoch, path)));
    }
    found.sort();
    Ok(found)
}

/// The earlier checkpoints without those that were signed while this is downloaded.
fn up_to(earlier: &str, key: &CheckpointVerifier, size: u64) -> String {
    let later = |note: &&&str| key.verify(note.as_bytes()).is_ok_and(|one| one.checkpoint().size > size);
    notes(earlier).iter().filter(|note| !later(note)).copied().collect()
}

/// What cannot be read stays out, and the verifier says so.
pub(super) fn write_lines(lines: &mut impl Write, tile: Tile, bytes: &[u8]) -> io::Result<()> {
    let mut bundle = Bundle::new(bytes);
    for _ in 0..tile.width() {
        let Some(line) = bundle.next_entry().ok().and_then(json_line) else { break };
        writeln!(lines, "{line}")?;
    }
    Ok(())
}

pub(super) fn new_file(path: &Path) -> Result<File, Failure> {
    let made = path.parent().map_or(Ok(()), private::create_dir_all);
    let file = made.and_then(|()| private::new_file(path));
    file.map_err(|error| Failure::new_file(path, &error))
}

pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let mut file = new_file(path)?;
    file.write_all(bytes).map_err(|error| Failure::file("write", path, &error))
}
