//! A cache of artifacts on disk, so that a restart compiles nothing.
//!
//! Who can write a file here could have the server run code of theirs. So each file carries a MAC (BLAKE3,
//! keyed) over its name and its parts, under a key that is wrapped by the root key and never stands
//! beside it. It is checked over bytes that were read once, into memory of this process. A file that is
//! damaged, foreign, stale or at the wrong place is removed and made anew: the cache can be deleted at
//! any time.
//!
//! What settings come to stands in here, so files are for their owner only.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use tempfile::NamedTempFile;
use zeroize::Zeroizing;

use crate::frame::{self, PARTS_BYTES_MAX};
use crate::parts::Parts;

const MAC_BYTES: usize = 32;
const EXTENSION: &str = "artifact";

/// The key of the MACs.
pub struct CacheKey(Zeroizing<[u8; 32]>);

impl CacheKey {
    /// A key out of 32 secret bytes.
    #[must_use]
    pub fn new(secret: Zeroizing<[u8; 32]>) -> Self {
        Self(secret)
    }

    /// A key that everybody knows, for a directory whose owner alone may write there, and runs what stands in it: of their
    /// files damage is found, and they are believed.
    #[must_use]
    pub fn of_owner() -> Self {
        Self(Zeroizing::new(blake3::derive_key("attorn artifacts of their owner v1", &[])))
    }
}

impl std::fmt::Debug for CacheKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CacheKey")
    }
}

/// What a file holds: a digest of everything that its content depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ArtifactName([u8; 32]);

impl ArtifactName {
    /// The name of what depends on these parts and nothing else. `context` says what kind of thing it is.
    #[must_use]
    pub fn of(context: &'static str, parts: &[&[u8]]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(context);
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        Self(*hasher.finalize().as_bytes())
    }
}

/// Why there is no cache.
#[derive(Debug, thiserror::Error)]
#[error("the cache `{}` cannot be used: {source}", path.display())]
pub struct CacheError {
    path: PathBuf,
    source: io::Error,
}

/// A directory of artifacts.
#[derive(Debug)]
pub struct Cache {
    directory: PathBuf,
    key: CacheKey,
    bytes_max: u64,
    pins: Pins,
}

/// How often each name is in use.
type Pins = Arc<Mutex<BTreeMap<ArtifactName, usize>>>;

/// While this is held, an artifact is in use, and its file is not removed to make room.
#[derive(Debug)]
pub struct Pin {
    name: ArtifactName,
    pins: Pins,
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut pins = self.pins.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = pins.get_mut(&self.name) {
            *count -= 1;
            if *count == 0 {
                pins.remove(&self.name);
            }
        }
    }
}

impl Cache {
    /// Use this directory, which is made if it is not there. It is kept below `bytes_max` by removing
    /// what was used longest ago and is not in use now.
    pub fn open(directory: PathBuf, key: CacheKey, bytes_max: u64) -> Result<Self, CacheError> {
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory);
        made.map_err(|source| CacheError { path: directory.clone(), source })?;
        Ok(Self { directory, key, bytes_max, pins: Pins::default() })
    }

    /// The same cache, if its directory is this user's, and nobody else may write in it, nor put another in its place.
    #[must_use]
    pub fn of_its_owner_alone(self) -> Option<Self> {
        // Whatever links lead there are not asked again.
        let directory = self.directory.canonicalize().ok()?;
        is_of_its_owner_alone(&directory, Path::new("/")).then_some(Self { directory, ..self })
    }

    /// Say that this artifact is in use.
    #[must_use]
    pub fn pin(&self, name: ArtifactName) -> Pin {
        *self.pins.lock().unwrap_or_else(PoisonError::into_inner).entry(name).or_default() += 1;
        Pin { name, pins: Arc::clone(&self.pins) }
    }

    /// What is kept under this name, if it is there and whole.
    #[must_use]
    pub fn get(&self, name: &ArtifactName) -> Option<Parts> {
        let path = self.path(name);
        let bytes = match read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "a cached artifact cannot be read; it is made anew");
                return None;
            }
        };
        let Some(parts) = self.verified(name, &bytes) else {
            tracing::warn!(path = %path.display(), "a cached artifact is damaged or not ours; it is made anew");
            // If it cannot be removed, it is refused again the next time.
            let _ = fs::remove_file(&path);
            return None;
        };
        // The time says when it was last wanted. If that cannot be written, it goes a little earlier.
        let _ = File::options().append(true).open(&path).and_then(|file| file.set_modified(SystemTime::now()));
        Some(Parts::trusted(parts))
    }

    /// Keep parts under a name. A cache that cannot be written is no reason to fail.
    pub fn put(&self, name: &ArtifactName, parts: &[&[u8]]) {
        let path = self.path(name);
        if let Err(error) = self.write(name, parts, &path) {
            tracing::warn!(path = %path.display(), %error, "an artifact cannot be cached; it will be compiled again");
            return;
        }
        if let Err(error) = self.shrink(&path) {
            tracing::warn!(path = %self.directory.display(), %error, "the cache cannot be tidied");
        }
    }

    fn path(&self, name: &ArtifactName) -> PathBuf {
        self.directory.join(format!("{}.{EXTENSION}", blake3::Hash::from(name.0).to_hex()))
    }

    fn mac(&self, name: &ArtifactName, content: &[u8]) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.key.0);
        hasher.update(&name.0);
        hasher.update(content);
        hasher.finalize()
    }

    fn verified(&self, name: &ArtifactName, bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
        let (mac, mut content) = bytes.split_first_chunk::<MAC_BYTES>()?;
        // The comparison of two hashes takes the same time whatever they are.
        if self.mac(name, content) != blake3::Hash::from(*mac) {
            return None;
        }
        frame::read(&mut content).ok()
    }

    fn write(&self, name: &ArtifactName, parts: &[&[u8]], path: &Path) -> io::Result<()> {
        let mut content = Vec::new();
        frame::write(&mut content, parts)?;
        // It is made for its owner only, and gets its name when it is whole.
        let mut file = NamedTempFile::new_in(&self.directory)?;
        file.write_all(self.mac(name, &content).as_bytes())?;
        file.write_all(&content)?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    }

    /// Remove what was used longest ago, but never what was just written or is in use.
    fn shrink(&self, just_written: &Path) -> io::Result<()> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            let about = match entry.metadata() {
                // Another process was faster.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                about => about?,
            };
            if about.is_file() {
                files.push((about.modified()?, about.len(), entry.path()));
            }
        }
        files.sort();
        let in_use: Vec<PathBuf> = {
            let pins = self.pins.lock().unwrap_or_else(PoisonError::into_inner);
            pins.keys().map(|name| self.path(name)).collect()
        };
        let mut bytes: u64 = files.iter().map(|(_, bytes, _)| bytes).sum();
        for (_, size, path) in files {
            if bytes <= self.bytes_max {
                break;
            }
            if path != just_written && !in_use.contains(&path) {
                match fs::remove_file(&path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => bytes -= size,
                }
            }
        }
        Ok(())
    }
}

/// Whether nobody but this user, or root, may change what lies in a directory, or what it is, from this one above it on.
fn is_of_its_owner_alone(directory: &Path, top: &Path) -> bool {
    let user = rustix::process::geteuid().as_raw();
    directory.ancestors().take_while(|path| path.starts_with(top)).all(|path| {
        let is_the_cache = path == directory;
        fs::symlink_metadata(path).is_ok_and(|found| {
            let is_of_them = found.uid() == user || found.uid() == 0 && !is_the_cache;
            // Where everybody may write, and nobody may rename what is another's, it stays where it is.
            let is_closed = found.mode() & 0o022 == 0 || found.mode() & 0o1000 != 0 && !is_the_cache;
            found.is_dir() && is_of_them && is_closed
        })
    })
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let file = OpenOptions::new().read(true).custom_flags(nofollow()).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut bytes = Vec::new();
    file.take(PARTS_BYTES_MAX + (1 << 20)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A link that somebody put there leads nowhere, and nobody waits for whoever writes into a pipe.
fn nofollow() -> i32 {
    i32::try_from((rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK).bits()).unwrap_or(0)
}

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;
