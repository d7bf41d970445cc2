//! Files for what is too large to be a value: components and large settings.
//!
//! A file is named by the BLAKE3 digest of its bytes and never changes. It is on disk before
//! [`Files::write`] returns, so a batch that names it may follow. What no batch names any more stays;
//! nothing here collects it.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt as _, OpenOptionsExt};
use std::path::{Path, PathBuf};

use attorn_core::Digest;
use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::error::StorageError;
use crate::holes;

/// Why a file could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It has too many bytes.
    #[error("the file has more than {bytes_max} bytes")]
    TooLarge {
        /// How many it may have.
        bytes_max: u64,
    },
    /// There is none.
    #[error("there is no file `{0}`")]
    NotThere(Digest),
    /// Its bytes are not those that were written.
    #[error("the file `{0}` has other bytes than its name says")]
    Altered(Digest),
    /// The directory or the file could not be used.
    #[error("the file could not be used")]
    Io(#[from] io::Error),
    /// The work was given up because the runtime is shutting down.
    #[error("the server is shutting down")]
    ShuttingDown,
}

/// The directory of all files.
#[derive(Debug, Clone)]
pub struct Files(PathBuf);

impl Files {
    pub(crate) const fn new(dir: PathBuf) -> Self {
        Self(dir)
    }

    /// Write a file, if it is not there, and return its BLAKE3 digest once it is on disk.
    ///
    /// # Errors
    ///
    /// [`FileError`] when it has more than `bytes_max` bytes, or cannot be written and synced.
    pub async fn write(&self, bytes: Vec<u8>, bytes_max: u64) -> Result<Digest, FileError> {
        let dir = self.0.clone();
        blocking(move || write(&dir, &bytes, bytes_max)).await
    }

    /// Read a file and compare its bytes with its name.
    ///
    /// # Errors
    ///
    /// [`FileError`] when it is not there, is not what its name says, has more than `bytes_max` bytes, or cannot be
    /// read.
    pub async fn read(&self, digest: Digest, bytes_max: u64) -> Result<Vec<u8>, FileError> {
        let dir = self.0.clone();
        blocking(move || read(&dir, digest, bytes_max)).await
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, FileError> + Send + 'static,
) -> Result<T, FileError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(_) => Err(FileError::ShuttingDown),
    }
}

fn digest_of(bytes: &[u8]) -> Digest {
    Digest::from_bytes(blake3::hash(bytes).into())
}

fn write(dir: &Path, bytes: &[u8], bytes_max: u64) -> Result<Digest, FileError> {
    if bytes.len() as u64 > bytes_max {
        return Err(FileError::TooLarge { bytes_max });
    }
    let digest = digest_of(bytes);
    // A file that is there is written anew unless it can be read whole: somebody may have cut it.
    if read(dir, digest, bytes_max).is_err() {
        let temporary = dir.join(temporary_name()?);
        let written = write_new(&temporary, bytes).and_then(|()| fs::rename(&temporary, dir.join(digest.to_string())));
        if let Err(error) = written {
            // The first error is what matters; a file that is left over is removed at the next start.
            let _ = fs::remove_file(&temporary);
            return Err(error.into());
        }
    }
    // Also for a file that was there: who wrote it may not have come this far.
    sync_dir(dir)?;
    Ok(digest)
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// The engine's configuration, within its directory: some dozens of bytes.
const ENGINE_CONFIGURATION: &str = "conf";
const ENGINE_CONFIGURATION_BYTES_MAX: u64 = 64 << 10;
/// How the names of files begin that are not finished.
pub(crate) const TEMPORARY: &str = "tmp-";

fn temporary_name() -> io::Result<String> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(format!("{TEMPORARY}{:032x}", u128::from_be_bytes(random)))
}

fn read(dir: &Path, digest: Digest, bytes_max: u64) -> Result<Vec<u8>, FileError> {
    let file = match open_regular(&dir.join(digest.to_string())) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(FileError::NotThere(digest)),
        file => file?,
    };
    let mut bytes = Vec::new();
    file.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max {
        return Err(FileError::TooLarge { bytes_max });
    }
    if digest_of(&bytes) == digest { Ok(bytes) } else { Err(FileError::Altered(digest)) }
}

/// Make a directory that only we may use, if it is not there, and make its name durable.
pub(crate) fn make_dir(dir: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(dir) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists && dir.is_dir() => {}
        made => made?,
    }
    // A relative path of one part has an empty parent, which stands for the current directory.
    match dir.parent() {
        Some(parent) if parent.as_os_str().is_empty() => sync_dir(Path::new(".")),
        Some(parent) => sync_dir(parent),
        None => Ok(()),
    }
}

/// Open a file to read it, if it is a regular one: a link may lead to what is nobody's to copy, who opens a pipe
/// waits for whoever writes into it, and who reads a file of holes comes to no end.
///
/// # Errors
///
/// When it cannot be opened, or is something else than a regular file.
pub fn open_regular(path: &Path) -> io::Result<File> {
    regular(path, OpenOptions::new().read(true))
}

/// That a link, a pipe or whatever else stands where a file should be, in words.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Irregular(String);

pub(crate) fn irregular(said: String) -> io::Error {
    io::Error::other(Irregular(said))
}

/// Whether something else than a regular file was found: then somebody put it there.
pub(crate) fn is_irregular(error: &io::Error) -> bool {
    matches!(error.get_ref(), Some(error) if error.is::<Irregular>())
}

/// The same error with what to do, if it is that.
pub(crate) fn with_way_out(error: io::Error, way_out: &str) -> io::Error {
    if is_irregular(&error) { irregular(format!("{error}: {way_out}")) } else { error }
}

fn regular(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let flags = i32::try_from(flags.bits()).map_err(io::Error::other)?;
    let file = options.custom_flags(flags).open(path);
    let not_regular = || irregular("it is no regular file".to_owned());
    let file = file.map_err(|error| {
        let is_link = fs::symlink_metadata(path).is_ok_and(|found| !found.is_file());
        if is_link { not_regular() } else { error }
    })?;
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(not_regular());
    }
    holes::check(&file, found.len())?;
    Ok(file)
}

/// The same, to write into what is there.
///
/// # Errors
///
/// When it cannot be opened, or is something else than a regular file.
pub fn open_regular_to_write(path: &Path) -> io::Result<File> {
    regular(path, OpenOptions::new().write(true))
}

/// The same, and make it if it is not there: for files that are there to be locked.
pub(crate) fn open_lock(path: &Path) -> io::Result<File> {
    regular(path, OpenOptions::new().write(true).create(true).truncate(false).mode(0o600)).map_err(lock_error)
}

/// The same for whoever writes nothing: it is not made.
pub(crate) fn open_lock_to_look(path: &Path) -> io::Result<File> {
    open_regular(path).map_err(lock_error)
}

/// It is made anew, so there is a way out.
fn lock_error(error: io::Error) -> io::Error {
    with_way_out(error, "move it away, and it is made anew")
}

/// Whether the process cannot read any file now, because it has too many open or no memory.
pub(crate) fn is_of_the_process(error: &io::Error) -> bool {
    let too_much = [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::INTR].map(Errno::raw_os_error);
    error.raw_os_error().is_some_and(|code| too_much.contains(&code))
}

/// The same, and all of it: of what the store writes itself in one go. What is longer than it makes it is not read.
pub(crate) fn read_regular(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let (file, mut bytes) = (open_regular(path)?, Vec::new());
    let len = file.metadata()?.len();
    if len > bytes_max {
        return Err(io::Error::other(format!("it has {len} bytes, and is made with {bytes_max} at most")));
    }
    file.take(bytes_max).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The same, as text, of a file that has no more than this many bytes; of a longer one it is cut.
pub(crate) fn read_regular_text(path: &Path, bytes_max: u64) -> io::Result<String> {
    let mut bytes = Vec::new();
    open_regular(path)?.take(bytes_max).read_to_end(&mut bytes)?;
    String::from_utf8(bytes).map_err(|error| io::Error::new(ErrorKind::InvalidData, error))
}

/// Make a file that is written beside another, and takes its place when it is whole. What is there is left over, or
/// somebody put it there, maybe a link to what is not to be written to.
///
/// # Errors
///
/// When what is there cannot be removed, or the file cannot be made.
pub fn create_beside(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Whether a path leads into a directory, or to it, by whatever links and mounts. What is not there yet counts as if it
/// were made.
///
/// # Errors
///
/// When a part of either path cannot be looked at.
pub fn is_within(path: &Path, dir: &Path) -> io::Result<bool> {
    let (path, dir) = (resolved(path)?, resolved(dir)?);
    if path.starts_with(&dir) {
        return Ok(true);
    }
    let id = |path: &Path| fs::metadata(path).ok().map(|found| (found.dev(), found.ino()));
    let Some(of_dir) = id(&dir) else { return Ok(false) };
    Ok(path.ancestors().any(|above| id(above) == Some(of_dir)))
}

/// A path without links, as far as it is there.
fn resolved(path: &Path) -> io::Result<PathBuf> {
    let path = std::path::absolute(path)?;
    for above in path.ancestors() {
        match above.canonicalize() {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            there => return Ok(there?.join(path.strip_prefix(above).unwrap_or(Path::new("")))),
        }
    }
    Ok(path)
}

/// What stands in a directory of the engine's that it must not open: it follows links, waits for whoever writes into a
/// pipe, and reads its configuration whole, however long that is. It has files, and directories of files; none is there
/// before it makes it.
pub(crate) fn not_the_engines(dir: &Path) -> io::Result<Option<String>> {
    let found = match fs::symlink_metadata(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        found => found?,
    };
    if !found.is_dir() {
        return Ok(Some("it is no directory".to_owned()));
    }
    let mut directories = vec![(dir.to_owned(), true)];
    while let Some((directory, may_have_more)) = directories.pop() {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let (kind, name) = (entry.file_type()?, entry.file_name());
            if kind.is_dir() && may_have_more {
                directories.push((entry.path(), false));
            } else if !kind.is_file() {
                return Ok(Some(format!("`{}` in it is no regular file", name.display())));
            } else if name == ENGINE_CONFIGURATION && entry.metadata()?.len() > ENGINE_CONFIGURATION_BYTES_MAX {
                return Ok(Some(format!("`{}` in it is longer than the engine makes it", name.display())));
            } else if let Err(error) = open_regular(&entry.path()) {
                return why_not(error).map(|why| Some(format!("`{}` in it: {why}", name.display())));
            }
        }
    }
    Ok(None)
}

/// Why the engine must not open a file, if that is for what the file is. One that cannot be read just now may be whole.
fn why_not(error: io::Error) -> io::Result<String> {
    if is_irregular(&error) { Ok(error.to_string()) } else { Err(error) }
}

/// The same as an error.
pub(crate) fn check_engine(dir: &Path) -> Result<(), StorageError> {
    let Some(why) = not_the_engines(dir)? else { return Ok(()) };
    Err(StorageError::new(&format_args!("`{}` is not as the engine left it: {why}", dir.display())))
}

/// Remove what a write that never ended has left.
pub(crate) fn remove_temporary(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(TEMPORARY) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
