//! The keys of users: one file each, wrapped with the root key, outside of the store and of its backups. Whoever
//! removes a file has made unreadable what is stored about its user; [`super::erase`] does it for ever.
//!
//! A key is on disk before anything that is sealed with it is recorded ([`super::KnownUser::commit`]). Which users there
//! are is not known here.

use std::collections::HashMap;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use attorn_core::UserId;
use attorn_identity::{KeyLabel, RootKey, UserKey};
use attorn_store::{create_beside, open_regular, open_regular_to_write};
use zeroize::Zeroizing;

use crate::http::failure::{Failure, causes};

/// How many keys are kept ready. When there are more, all are forgotten and read again as they are needed.
const READY_MAX: usize = 10_000;
/// What a wrapped key is wrapped as.
const KIND: &str = "user";
const VERSION: u32 = 1;
/// More bytes than a wrapped key has.
pub(super) const FILE_BYTES_MAX: u64 = 1 << 10;
/// How the name of a key's file ends, and how that of one that is being destroyed does.
pub(super) const EXTENSION: &str = "key";
const GONE_EXTENSION: &str = "erased";
/// How the name of an empty file ends that says that there was a user of this id, who was erased. It goes into copies
/// of the keys, so that an older backup of the data does not bring them back.
pub(super) const MARK_EXTENSION: &str = "gone";

/// Where the keys of users are.
pub(crate) struct UserKeys {
    directory: PathBuf,
    root: Arc<RootKey>,
    ready: RwLock<HashMap<UserId, Arc<UserKey>>>,
}

impl UserKeys {
    /// The keys in this directory, which is made if it is not there.
    pub(crate) fn open(directory: PathBuf, root: Arc<RootKey>) -> std::io::Result<Self> {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
        for shard in std::fs::read_dir(&directory)? {
            let shard = shard?;
            if shard.file_type()?.is_symlink() {
                return Err(is_linked(&shard.path()));
            }
        }
        Ok(Self { directory, root, ready: RwLock::new(HashMap::new()) })
    }

    /// The key of a user; none if it was destroyed.
    pub(crate) async fn of(self: &Arc<Self>, user: &UserId) -> Result<Option<Arc<UserKey>>, Failure> {
        let ready = self.ready.read().unwrap_or_else(PoisonError::into_inner).get(user).cloned();
        if let Some(key) = ready {
            // Whoever removes the file need not tell this server. To look takes a few microseconds.
            return match std::fs::metadata(self.path(user)) {
                Ok(_) => Ok(Some(key)),
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    self.ready.write().unwrap_or_else(PoisonError::into_inner).remove(user);
                    Ok(None)
                }
                Err(error) => Err(unusable(&error)),
            };
        }
        let (this, id) = (Arc::clone(self), user.clone());
        let read = tokio::task::spawn_blocking(move || this.read(&id)).await.map_err(Failure::internal)??;
        Ok(read.map(|key| self.keep(user, Arc::new(key))))
    }

    /// Keep the key of a new user. When this returns it is on disk.
    pub(crate) async fn put(self: &Arc<Self>, user: &UserId, key: &Arc<UserKey>) -> Result<(), Failure> {
        let wrapped = self.root.wrap(label(user), key.expose()).map_err(Failure::internal)?;
        let path = self.path(user);
        let written = tokio::task::spawn_blocking(move || write(&path, &wrapped)).await.map_err(Failure::internal)?;
        if let Err(error) = written {
            // Half a key is none. One that stood there before is left to its user.
            if error.kind() != ErrorKind::AlreadyExists {
                self.forget(user);
            }
            return Err(Failure::internal(format_args!("cannot write a user's key: {error}")));
        }
        self.keep(user, Arc::clone(key));
        Ok(())
    }

    /// Remove the key of somebody whom nobody recorded after all.
    pub(crate) fn forget(&self, user: &UserId) {
        self.ready.write().unwrap_or_else(PoisonError::into_inner).remove(user);
        // It opens nothing; that it stays is no harm.
        let _ = std::fs::remove_file(self.path(user));
    }

    /// Destroy the key of a user. When this returns it is gone from the disk, also after a crash; it is no error if it
    /// was gone before. What stood in its place and was not written over is what comes back: then the key may be elsewhere.
    pub(crate) async fn destroy(self: &Arc<Self>, user: &UserId) -> Result<Option<String>, Failure> {
        self.ready.write().unwrap_or_else(PoisonError::into_inner).remove(user);
        let (root, user, path) = (Arc::clone(&self.root), user.clone(), self.path(user));
        let is_key = move |path: &Path| matches!(unwrapped(&root, &user, path), Ok(Some(_)));
        let destroyed =
            tokio::task::spawn_blocking(move || destroy(&path, &is_key)).await.map_err(Failure::internal)?;
        destroyed.map_err(|error| Failure::internal(format_args!("cannot destroy a user's key: {error}")))
    }

    /// Whether anything of a user's key is there.
    pub(crate) fn is_there(&self, user: &UserId) -> Result<bool, Failure> {
        let path = self.path(user);
        let there = |path: &Path| path.try_exists().map_err(|error| unusable(&error));
        Ok(there(&path)? || there(&path.with_extension(GONE_EXTENSION))?)
    }

    /// Whether it is marked that a user was erased.
    pub(crate) fn is_marked(&self, user: &UserId) -> Result<bool, Failure> {
        self.path(user).with_extension(MARK_EXTENSION).try_exists().map_err(|error| unusable(&error))
    }

    fn keep(&self, user: &UserId, key: Arc<UserKey>) -> Arc<UserKey> {
        let mut ready = self.ready.write().unwrap_or_else(PoisonError::into_inner);
        if ready.len() >= READY_MAX {
            ready.clear();
        }
        ready.insert(user.clone(), Arc::clone(&key));
        key
    }

    fn read(&self, user: &UserId) -> Result<Option<UserKey>, Failure> {
        unwrapped(&self.root, user, &self.path(user)).map_err(|why| unusable(&why))
    }

    fn path(&self, user: &UserId) -> PathBuf {
        self.directory.join(Self::file_of(user))
    }

    /// Where a user's key is, within the directory of all: two levels, so that none grows too large. The id is of a
    /// harmless alphabet.
    pub(crate) fn file_of(user: &UserId) -> PathBuf {
        let id = user.as_str();
        let shard = id.get(id.len().saturating_sub(2)..).unwrap_or(id);
        Path::new(shard).join(format!("{id}.{EXTENSION}"))
    }
}

/// The key of a user out of a file; none if that is not there.
///
/// # Errors
///
/// Why it is no key of this user's that the root key has wrapped.
pub(super) fn unwrapped(root: &RootKey, user: &UserId, path: &Path) -> Result<Option<UserKey>, String> {
    let file = match open_regular(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        file => file.map_err(|error| error.to_string())?,
    };
    let mut wrapped = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut wrapped).map_err(|error| error.to_string())?;
    if wrapped.len() as u64 > FILE_BYTES_MAX {
        return Err("its file is too long".to_owned());
    }
    let bytes = root.unwrap(label(user), &wrapped).map_err(|error| causes(&error))?;
    let secret = Zeroizing::new(<[u8; 32]>::try_from(bytes.as_slice()).map_err(|error| error.to_string())?);
    Ok(Some(UserKey::of(secret)))
}

/// What is written into the file of a user's key.
#[cfg(test)]
pub(super) fn wrapped(root: &RootKey, user: &UserId, key: &UserKey) -> Vec<u8> {
    root.wrap(label(user), key.expose()).unwrap()
}

fn unusable(error: &dyn std::fmt::Display) -> Failure {
    Failure::internal(format_args!("the key of a user: {error}"))
}

fn label(user: &UserId) -> KeyLabel<'_> {
    KeyLabel { kind: KIND, id: user.as_str(), version: VERSION }
}

fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    // The names, too: of the file, and of its directory.
    std::fs::File::open(directory)?.sync_all()?;
    directory.parent().map_or(Ok(()), |above| std::fs::File::open(above)?.sync_all())
}

/// First it is marked that the user was erased. Then the name goes, so that nobody finds half a key; then the bytes are
/// written over, which reaches those on the disk where the file system writes in place; then the file goes.
///
/// INVARIANT: no bytes are written over but those of a user's key. Somebody may have put a link there, or a second name
/// of another file: of what is no regular file, or has other names and is no key of this user's, the name goes alone.
fn destroy(path: &Path, is_key: &dyn Fn(&Path) -> bool) -> std::io::Result<Option<String>> {
    let absent_is_fine = |outcome: std::io::Result<()>| match outcome {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    };
    let directory = path.parent().unwrap_or(Path::new("."));
    if std::fs::symlink_metadata(directory).is_ok_and(|found| found.is_symlink()) {
        return Err(is_linked(directory));
    }
    mark(&path.with_extension(MARK_EXTENSION))?;
    let (gone, mut left) = (path.with_extension(GONE_EXTENSION), None);
    absent_is_fine(std::fs::rename(path, &gone))?;
    match std::fs::symlink_metadata(&gone) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error),
        Ok(found) => {
            if found.is_file() && (found.nlink() == 1 || is_key(&gone)) {
                let mut file = open_regular_to_write(&gone)?;
                let bytes = usize::try_from(file.metadata()?.len().min(FILE_BYTES_MAX)).unwrap_or_default();
                file.write_all(&vec![0; bytes])?;
                file.sync_all()?;
            } else {
                left = Some(not_destroyed(path, &gone, &found));
            }
            absent_is_fine(std::fs::remove_file(&gone))?;
        }
    }
    // Also where nothing was there: whoever removed it may have been interrupted before this.
    match std::fs::File::open(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(left),
        directory => directory?.sync_all().map(|()| left),
    }
}

fn not_destroyed(path: &Path, gone: &Path, found: &std::fs::Metadata) -> String {
    let path = path.display();
    if !found.is_symlink() {
        return format!("`{path}` was no key of this user's: its name is gone, and nothing was written over");
    }
    let to = std::fs::read_link(gone).map_or_else(|error| error.to_string(), |to| format!("`{}`", to.display()));
    format!("`{path}` was a link to {to}: the link is gone, and what it leads to is not; if that is a key, delete it")
}

fn is_linked(directory: &Path) -> std::io::Error {
    std::io::Error::other(format!(
        "`{}` is a link, and keys are never looked for through one: put the directory itself in its place",
        directory.display()
    ))
}

/// Make the mark; its name is on disk with that of the key's end.
fn mark(path: &Path) -> std::io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    match open_regular(path) {
        Ok(there) => there.sync_all(),
        Err(error) if std::fs::symlink_metadata(path).is_ok_and(|found| found.is_file()) => Err(error),
        // It is not there, or somebody put something else in its place.
        Err(_) => create_beside(path)?.sync_all(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_destroyed_key_is_gone_from_wherever_the_destruction_was_interrupted() {
        let dir = tempfile::TempDir::new().unwrap();
        let root = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=".parse::<RootKey>().unwrap();
        let keys = Arc::new(UserKeys::open(dir.path().to_owned(), Arc::new(root)).unwrap());
        let alice: UserId = "usr_01".parse().unwrap();
        let nothing_left = || {
            let left = std::fs::read_dir(dir.path().join("01")).unwrap().map(|entry| entry.unwrap());
            let left: Vec<_> = left.map(|entry| (entry.file_name(), entry.metadata().unwrap().len())).collect();
            left == [("usr_01.gone".into(), 0)]
        };
        // There was never one: nothing to do.
        keys.destroy(&alice).await.unwrap();
        assert!(!keys.is_there(&alice).unwrap());
        for (interrupted, what) in [
            (Box::new(|_: &Path| {}) as Box<dyn Fn(&Path)>, "not at all"),
            (Box::new(|path| std::fs::rename(path, path.with_extension("erased")).unwrap()), "after the name went"),
            (
                Box::new(|path| {
                    std::fs::remove_file(path).unwrap();
                    std::fs::write(path.with_extension("erased"), [0; 64]).unwrap();
                }),
                "after it was written over",
            ),
            (Box::new(|path| std::fs::remove_file(path).unwrap()), "after it was removed"),
            (
                Box::new(|path| {
                    std::fs::copy(path, path.with_extension("erased")).unwrap();
                }),
                "and an old copy was brought back",
            ),
        ] {
            keys.put(&alice, &Arc::new(UserKey::generate().unwrap())).await.unwrap();
            assert!(keys.is_there(&alice).unwrap());
            interrupted(&keys.path(&alice));
            keys.destroy(&alice).await.unwrap();
            assert!(keys.of(&alice).await.unwrap().is_none(), "{what}");
            assert!(!keys.is_there(&alice).unwrap() && nothing_left(), "{what}");
            keys.destroy(&alice).await.unwrap();
        }
    }

    #[tokio::test]
    async fn whoever_is_erased_takes_nothing_with_them_that_a_link_in_the_place_of_their_key_leads_to() {
        use rustix::fs::{CWD, FileType, Mode, mknodat};

        let dir = tempfile::TempDir::new().unwrap();
        let root = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=".parse::<RootKey>().unwrap();
        let keys = Arc::new(UserKeys::open(dir.path().join("keys"), Arc::new(root)).unwrap());
        let alice: UserId = "usr_01".parse().unwrap();
        let other = dir.path().join("root.key");
        std::fs::write(&other, "not of a user").unwrap();
        let (path, mark) = (keys.path(&alice), keys.path(&alice).with_extension("gone"));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let pipe = |path: &Path| mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let link = |path: &Path| std::os::unix::fs::symlink(&other, path).unwrap();
        let name = |path: &Path| std::fs::hard_link(&other, path).unwrap();
        let puts: [&dyn Fn(&Path); 3] = [&pipe, &link, &name];
        for put in puts {
            for at in [&path, &mark, &path.with_extension("erased")] {
                std::fs::remove_file(&mark).ok();
                put(at);
                // Nobody is told that a key was destroyed which was not.
                let left = keys.destroy(&alice).await.unwrap();
                assert_eq!(left.is_some(), at != &mark, "{}", at.display());
                assert!(left.is_none_or(|left| left.starts_with(&format!("`{}` was ", path.display()))));
                assert_eq!(std::fs::read_to_string(&other).unwrap(), "not of a user");
                assert!(keys.of(&alice).await.unwrap().is_none() && !keys.is_there(&alice).unwrap());
                assert!(std::fs::symlink_metadata(&mark).unwrap().is_file(), "{}", at.display());
            }
            std::fs::remove_file(&mark).unwrap();
        }
        // A key that has a second name, as in a copy that was made of links, goes all the same.
        keys.put(&alice, &Arc::new(UserKey::generate().unwrap())).await.unwrap();
        std::fs::hard_link(&path, dir.path().join("copy")).unwrap();
        keys.destroy(&alice).await.unwrap();
        assert!(std::fs::read(dir.path().join("copy")).unwrap().iter().all(|byte| *byte == 0));
    }

    #[tokio::test]
    async fn nothing_is_looked_for_or_destroyed_through_a_directory_that_is_a_link() {
        let dir = tempfile::TempDir::new().unwrap();
        let root = || Arc::new("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=".parse::<RootKey>().unwrap());
        let keys = Arc::new(UserKeys::open(dir.path().join("keys"), root()).unwrap());
        let alice: UserId = "usr_01".parse().unwrap();
        keys.put(&alice, &Arc::new(UserKey::generate().unwrap())).await.unwrap();
        let (shard, moved) = (dir.path().join("keys/01"), dir.path().join("moved"));
        std::fs::rename(&shard, &moved).unwrap();
        std::os::unix::fs::symlink(&moved, &shard).unwrap();
        let failure = keys.destroy(&alice).await.unwrap_err();
        assert!(failure.internal.unwrap().contains("is a link, and keys are never looked for through one"));
        assert!(moved.join("usr_01.key").exists());
        let error = UserKeys::open(dir.path().join("keys"), root()).map(drop).unwrap_err().to_string();
        assert!(error.starts_with(&format!("`{}` is a link", shard.display())), "{error}");
        std::fs::remove_file(&shard).unwrap();
        std::fs::rename(&moved, &shard).unwrap();
        let keys = Arc::new(UserKeys::open(dir.path().join("keys"), root()).unwrap());
        assert_eq!(keys.destroy(&alice).await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_key_is_there_after_a_restart_and_for_its_user_alone() {
        let dir = tempfile::TempDir::new().unwrap();
        let root = || "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=".parse::<RootKey>().unwrap();
        let open = || Arc::new(UserKeys::open(dir.path().to_owned(), Arc::new(root())).unwrap());
        let (alice, bob): (UserId, UserId) = ("usr_01".parse().unwrap(), "usr_02".parse().unwrap());
        let key = || Arc::new(UserKey::generate().unwrap());
        let of_alice = key();
        open().put(&alice, &of_alice).await.unwrap();
        let sealed = of_alice.seal("x", b"secret").unwrap();
        let again = open();
        assert_eq!(again.of(&alice).await.unwrap().unwrap().open("x", &sealed).unwrap().as_slice(), b"secret");
        assert!(again.of(&bob).await.unwrap().is_none());
        // Another user's file in the place of one's own.
        std::fs::create_dir(dir.path().join("02")).unwrap();
        std::fs::copy(again.path(&alice), again.path(&bob)).unwrap();
        assert!(again.of(&bob).await.is_err());
        assert!(again.put(&alice, &key()).await.is_err(), "a key that is there is never written over");
        assert_eq!(again.of(&alice).await.unwrap().unwrap().open("x", &sealed).unwrap().as_slice(), b"secret");
        again.forget(&alice);
        assert!(again.of(&alice).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_key_whose_file_is_removed_is_gone_at_once_also_where_it_was_ready() {
        let dir = tempfile::TempDir::new().unwrap();
        let root = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=".parse::<RootKey>().unwrap();
        let keys = Arc::new(UserKeys::open(dir.path().to_owned(), Arc::new(root)).unwrap());
        let alice: UserId = "usr_01".parse().unwrap();
        keys.put(&alice, &Arc::new(UserKey::generate().unwrap())).await.unwrap();
        assert!(keys.of(&alice).await.unwrap().is_some());
        std::fs::remove_file(keys.path(&alice)).unwrap();
        assert!(keys.of(&alice).await.unwrap().is_none());
        assert!(keys.ready.read().unwrap().is_empty());
    }
}
