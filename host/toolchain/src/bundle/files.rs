//! The files of a bundle, by their paths inside, within bounds.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::{Component, Path};

use flate2::read::MultiGzDecoder;

use super::{BYTES_MAX, BundleError, io, refused};

/// Files and directories.
const ENTRIES_MAX: usize = 2_000;
/// How deep directories may nest.
const DEPTH_MAX: usize = 16;
/// Bytes that an archive may come to, with all that does not count in it.
const UNPACKED_BYTES_MAX: u64 = 16 << 20;

/// Each with what is in it.
#[derive(Debug, Default)]
pub(super) struct Files(pub(super) BTreeMap<String, Vec<u8>>);

impl Files {
    /// Those of a directory. Links are refused, and what begins with a dot is not looked at, but for the manifest.
    pub(super) fn of_directory(root: &Path) -> Result<Self, BundleError> {
        let mut files = Self::default();
        let mut next = vec![root.to_owned()];
        let mut entries = 0;
        while let Some(directory) = next.pop() {
            for entry in fs::read_dir(&directory).map_err(|error| io(&directory, error))? {
                let path = entry.map_err(|error| io(&directory, error))?.path();
                let name = inside(path.strip_prefix(root).unwrap_or(&path))?;
                entries += 1;
                if entries > ENTRIES_MAX {
                    return Err(refused(name, format!("there are more than {ENTRIES_MAX} files and directories")));
                }
                let last = name.rsplit('/').next().unwrap_or_default();
                if last.starts_with('.') && ![".manifest", ".signatures.json"].contains(&last) {
                    continue;
                }
                let about = fs::symlink_metadata(&path).map_err(|error| io(&path, error))?;
                if about.is_dir() {
                    next.push(path);
                } else if about.is_file() {
                    let file = File::open(&path).map_err(|error| io(&path, error))?;
                    files.take(name, file).map_err(|error| error.into_bundle(&path))?;
                } else {
                    return Err(refused(name, "it is a link, and only files and directories are taken"));
                }
            }
        }
        Ok(files)
    }

    /// Those of a `.tar.gz`.
    pub(super) fn of_archive(path: &Path) -> Result<Self, BundleError> {
        let file = File::open(path).map_err(|error| io(path, error))?;
        // One more than may be, so that it can be told from an archive that ends there.
        let unpacked = MultiGzDecoder::new(file).take(UNPACKED_BYTES_MAX + 1);
        let mut archive = tar::Archive::new(unpacked);
        let files = Self::of_entries(&mut archive, path);
        let mut unpacked = archive.into_inner();
        // Gzip's checksum stands behind all that it is over, and tar ends before that.
        let ended = files.and_then(|files| {
            end(&mut unpacked, path)?;
            Ok(files)
        });
        if unpacked.limit() == 0 {
            let why = format!("it comes to more than {UNPACKED_BYTES_MAX} bytes");
            return Err(refused(path.display().to_string(), why));
        }
        ended
    }

    fn of_entries(archive: &mut tar::Archive<impl Read>, path: &Path) -> Result<Self, BundleError> {
        let failed = |error: io::Error| io(path, error);
        let mut files = Self::default();
        for (at, entry) in archive.entries().map_err(failed)?.enumerate() {
            let entry = entry.map_err(failed)?;
            let name = inside(&entry.path().map_err(failed)?)?;
            if at >= ENTRIES_MAX {
                return Err(refused(name, format!("there are more than {ENTRIES_MAX} files and directories")));
            }
            match entry.header().entry_type() {
                tar::EntryType::Directory => {}
                tar::EntryType::Regular => files.take(name, entry).map_err(|error| error.into_bundle(path))?,
                _ => return Err(refused(name, "it is a link or a device, and only files and directories are taken")),
            }
        }
        Ok(files)
    }

    fn take(&mut self, name: String, file: impl Read) -> Result<(), NotTaken> {
        let so_far: u64 = self.0.values().map(|bytes| bytes.len() as u64).sum();
        // What does not count is named, and not read.
        let counts = [".rego", ".manifest", "data.json"].iter().any(|end| name.ends_with(end));
        let mut bytes = Vec::new();
        if counts {
            file.take(BYTES_MAX + 1 - so_far).read_to_end(&mut bytes).map_err(NotTaken::Io)?;
        }
        if so_far + bytes.len() as u64 > BYTES_MAX {
            let why = format!("with it there are more than {BYTES_MAX} bytes, which settings may not have");
            return Err(NotTaken::Refused(refused(name, why)));
        }
        match self.0.insert(name.clone(), bytes) {
            Some(_) => Err(NotTaken::Refused(refused(name, "it is there twice"))),
            None => Ok(()),
        }
    }
}

/// Read what is left of an archive: zeros, to which any length may be filled up. What else stands there another reader may
/// take for files.
fn end(unpacked: &mut impl Read, path: &Path) -> Result<(), BundleError> {
    let mut block = [0; 8 << 10];
    loop {
        let read = match unpacked.read(&mut block) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            read => read.map_err(|error| io(path, error))?,
        };
        if block[..read].iter().any(|byte| *byte != 0) {
            return Err(refused(path.display().to_string(), "something stands after the end of the archive"));
        }
        if read == 0 {
            return Ok(());
        }
    }
}

/// Why a file is not taken; whose path is told, the caller knows.
enum NotTaken {
    Io(io::Error),
    Refused(BundleError),
}

impl NotTaken {
    fn into_bundle(self, path: &Path) -> BundleError {
        match self {
            Self::Io(source) => io(path, source),
            Self::Refused(refused) => refused,
        }
    }
}

/// A path inside of the bundle, with `/` between its parts. OPA writes `/data.json`.
fn inside(path: &Path) -> Result<String, BundleError> {
    let shown = || path.display().to_string();
    let mut parts = Vec::new();
    for part in path.components() {
        match part {
            Component::RootDir | Component::CurDir => {}
            Component::Normal(part) => {
                parts.push(part.to_str().ok_or_else(|| refused(shown(), "its name is no UTF-8"))?);
            }
            Component::ParentDir | Component::Prefix(_) => return Err(refused(shown(), "it leads out of the bundle")),
        }
    }
    if parts.len() > DEPTH_MAX {
        return Err(refused(shown(), format!("directories nest deeper than {DEPTH_MAX}")));
    }
    Ok(parts.join("/"))
}
