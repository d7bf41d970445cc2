//! The keys of users: one file each, wrapped with the root key, outside of the store and of its backups. Whoever
//! removes a file has made unreadable what is stored about its user.
//!
//! A key is on disk before anything that is sealed with it is recorded ([`super::KnownUser::commit`]). Which users there
//! are is not known here.

use std::collections::HashMap;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use attorn_core::UserId;
use attorn_identity::{KeyLabel, RootKey, UserKey};
use zeroize::Zeroizing;

use crate::http::failure::Failure;

/// How many keys are kept ready. When there are more, all are forgotten and read again as they are needed.
const READY_MAX: usize = 10_000;
/// What a wrapped key is wrapped as.
const KIND: &str = "user";
const VERSION: u32 = 1;
/// More bytes than a wrapped key has.
const FILE_BYTES_MAX: u64 = 1 << 10;

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

    fn keep(&self, user: &UserId, key: Arc<UserKey>) -> Arc<UserKey> {
        let mut ready = self.ready.write().unwrap_or_else(PoisonError::into_inner);
        if ready.len() >= READY_MAX {
            ready.clear();
        }
        ready.insert(user.clone(), Arc::clone(&key));
        key
    }

    fn read(&self, user: &UserId) -> Result<Option<UserKey>, Failure> {
        let path = self.path(user);
        let wrapped = match std::fs::metadata(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Ok(found) if found.len() > FILE_BYTES_MAX => return Err(unusable(&"its file is too long")),
            Err(error) => return Err(unusable(&error)),
            Ok(_) => std::fs::read(&path).map_err(|error| unusable(&error))?,
        };
        let bytes = self.root.unwrap(label(user), &wrapped).map_err(|error| unusable(&error))?;
        let secret = Zeroizing::new(<[u8; 32]>::try_from(bytes.as_slice()).map_err(|error| unusable(&error))?);
        Ok(Some(UserKey::of(secret)))
    }

    /// Two levels, so that no directory grows too large. The id is of a harmless alphabet.
    fn path(&self, user: &UserId) -> PathBuf {
        let id = user.as_str();
        let shard = id.get(id.len().saturating_sub(2)..).unwrap_or(id);
        self.directory.join(shard).join(format!("{id}.key"))
    }
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

#[cfg(test)]
mod tests {
    use super::*;

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
