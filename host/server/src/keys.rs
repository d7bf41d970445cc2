//! The server's own keys: made by `attorn init`, wrapped with the root key, kept in the store. Those that
//! sign tokens are rotated: see [`crate::token_keys`], and that of the log with its epoch: see [`crate::epochs`].

use attorn_api::audit::EntryType;
use attorn_artifact::CacheKey;
use attorn_core::{LabelName, TimeMs};
use attorn_identity::{KeyLabel, NamesKey, RootKey};
use attorn_log::{CheckpointSigner, CheckpointVerifier, Origin};
use attorn_store::records::{KeyMaterialRecord, Record as _};
use attorn_store::{Batch, ImprintKey, Key, KeyKind, KeyPrefix, KeyPurpose, Ours, PAGE_ITEMS_MAX, Require, Store};
use zeroize::Zeroizing;

use crate::config::Config;
use crate::entry;
use crate::http::failure::Failure;
use crate::token_keys;

/// The one id of keys that there is: those of one purpose have versions.
pub(crate) const ID: &str = "k1";
/// The first version, and the only one of keys that are not rotated.
pub(crate) const VERSION: u32 = 1;

/// Add fresh keys to the batch that makes the store.
pub(crate) fn generate(root: &RootKey, batch: &mut Batch) -> Result<(), Failure> {
    token_keys::make(root, batch, VERSION)?;
    said(batch, KeyPurpose::TokenSigning, VERSION)?;
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(seed.as_mut()).map_err(Failure::internal)?;
    put(root, batch, KeyPurpose::Log, seed.as_ref())?;
    put_secret(root, batch, KeyPurpose::CacheMac)?;
    put_secret(root, batch, KeyPurpose::Names)
}

/// A key that is nothing but random bytes.
fn put_secret(root: &RootKey, batch: &mut Batch, purpose: KeyPurpose) -> Result<(), Failure> {
    let mut secret = Zeroizing::new([0; 32]);
    getrandom::fill(secret.as_mut()).map_err(Failure::internal)?;
    put(root, batch, purpose, secret.as_ref())
}

fn put(root: &RootKey, batch: &mut Batch, purpose: KeyPurpose, key: &[u8]) -> Result<(), Failure> {
    put_material(root, batch, (purpose, VERSION), key)?;
    said(batch, purpose, VERSION)
}

/// Put a new version of a key, wrapped. What is said about it in the log is for the caller.
pub(crate) fn put_material(
    root: &RootKey,
    batch: &mut Batch,
    (purpose, version): (KeyPurpose, u32),
    key: &[u8],
) -> Result<(), Failure> {
    let wrapped = root.wrap(label(purpose, version), key).map_err(Failure::internal)?;
    let record = KeyMaterialRecord { purpose, id: ID.parse()?, version, wrapped };
    batch.require.push((record.key(), Require::Absent));
    batch.put_record(&record);
    Ok(())
}

/// The entry about a version of a key that nobody asked for by name.
pub(crate) fn said(batch: &mut Batch, purpose: KeyPurpose, version: u32) -> Result<(), Failure> {
    let members = serde_json::json!({ "purpose": purpose.as_str(), "id": ID, "version": version });
    batch.entries.push(entry::body(batch.now, EntryType::KeyMade, members)?);
    Ok(())
}

/// What makes a store ours.
pub(crate) fn ours(root: &RootKey, config: &Config) -> Ours {
    Ours { log: config.log_id.clone(), key: ImprintKey::of(&root.imprint_secret()) }
}

/// What makes the stores of tests ours that have no configuration.
#[cfg(test)]
pub(crate) fn ours_of_tests() -> Ours {
    Ours { log: "test".parse().unwrap(), key: ImprintKey::of(&[7; 32]) }
}

/// Whether this root key opens a key of the store's.
pub(crate) fn opens(root: &RootKey, key: &KeyMaterialRecord) -> bool {
    root.unwrap(label(key.purpose, key.version), &key.wrapped).is_ok()
}

/// Whether this is the root key with which the store's keys are wrapped.
pub(crate) async fn opened_by(root: &RootKey, store: &Store) -> Result<bool, Failure> {
    let record = newest_log_key(store).await?;
    Ok(opens(root, &record))
}

/// The key of the epoch that the log is in. Each epoch has one of its own, and that of an earlier one is not kept.
async fn newest_log_key(store: &Store) -> Result<KeyMaterialRecord, Failure> {
    let held = store.scan(&KeyPrefix::key_material(KeyPurpose::Log), None, PAGE_ITEMS_MAX).await?;
    // Versions sort as numbers do.
    let (key, stored) =
        held.items.last().ok_or_else(|| Failure::internal("the store has no key that signs the log"))?;
    KeyMaterialRecord::decode(key, &stored.value).map_err(Failure::internal)
}

/// The key that signs checkpoints of the log.
pub(crate) async fn log_signer(root: &RootKey, store: &Store) -> Result<CheckpointSigner, Failure> {
    let version = newest_log_key(store).await?.version;
    let bytes = read_version(root, store, KeyPurpose::Log, version).await?;
    let seed: Zeroizing<[u8; 32]> =
        Zeroizing::new(bytes.as_slice().try_into().map_err(|_| Failure::internal("the log key has another length"))?);
    let head = store.log_head()?;
    Ok(CheckpointSigner::new(Origin::of(&head.log_id, head.epoch), &seed))
}

/// The public half of the key of this origin, of what a backup has of it.
pub(crate) fn log_verifier(
    root: &RootKey,
    record: &KeyMaterialRecord,
    origin: Origin,
) -> Result<CheckpointVerifier, Failure> {
    let bytes = root.unwrap(label(KeyPurpose::Log, record.version), &record.wrapped).map_err(Failure::internal)?;
    let seed: Zeroizing<[u8; 32]> =
        Zeroizing::new(bytes.as_slice().try_into().map_err(|_| Failure::internal("the log key has another length"))?);
    Ok(CheckpointSigner::new(origin, &seed).verifier())
}

/// The key of the cache of compiled policies.
pub(crate) async fn cache_key(root: &RootKey, store: &Store) -> Result<CacheKey, Failure> {
    secret(root, store, KeyPurpose::CacheMac).await.map(CacheKey::new)
}

/// The key under which users and sessions are found. Where there are any, no other will do: by another nobody is
/// found any more, and whoever was revoked or has logged out would begin anew.
pub(crate) async fn names_key(root: &RootKey, store: &Store) -> Result<NamesKey, Failure> {
    let key = Key::key_material(KeyPurpose::Names, &ID.parse()?, VERSION);
    if store.get(&key).await?.is_none() {
        for kind in [KeyKind::UserName, KeyKind::SessionName] {
            if !store.scan(&KeyPrefix::kind(kind), None, 1).await?.items.is_empty() {
                return Err(Failure::internal(
                    "the store has users, and the key by which they are found is not there: it is damaged, or is an \
                     older backup; restore a whole one",
                ));
            }
        }
    }
    secret(root, store, KeyPurpose::Names).await.map(NamesKey::of)
}

/// A key that is in memory alone, and gone when the server stops.
pub(crate) fn of_this_run() -> Result<NamesKey, Failure> {
    let mut secret = Zeroizing::new([0; 32]);
    getrandom::fill(secret.as_mut()).map_err(Failure::internal)?;
    Ok(NamesKey::of(secret))
}

/// A key that is nothing but random bytes. A store from before there was one gets it now.
async fn secret(root: &RootKey, store: &Store, purpose: KeyPurpose) -> Result<Zeroizing<[u8; 32]>, Failure> {
    let key = Key::key_material(purpose, &ID.parse()?, VERSION);
    if store.record::<KeyMaterialRecord>(&key).await?.is_none() {
        let mut batch = Batch::new(wall_now());
        put_secret(root, &mut batch, purpose)?;
        store.commit(batch).await?;
    }
    let bytes = read(root, store, purpose).await?;
    let secret = bytes.as_slice().try_into();
    let wrong = |_| Failure::internal(format_args!("the {} key has another length", purpose.as_str()));
    secret.map(Zeroizing::new).map_err(wrong)
}

async fn read(root: &RootKey, store: &Store, purpose: KeyPurpose) -> Result<Zeroizing<Vec<u8>>, Failure> {
    read_version(root, store, purpose, VERSION).await
}

/// A version of a key, unwrapped.
pub(crate) async fn read_version(
    root: &RootKey,
    store: &Store,
    purpose: KeyPurpose,
    version: u32,
) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let id: LabelName = ID.parse()?;
    let record = store.record::<KeyMaterialRecord>(&Key::key_material(purpose, &id, version)).await?;
    let missing = || Failure::internal(format_args!("the store has no {} key of version {version}", purpose.as_str()));
    root.unwrap(label(purpose, version), &record.ok_or_else(missing)?.value.wrapped).map_err(Failure::internal)
}

const fn label(purpose: KeyPurpose, version: u32) -> KeyLabel<'static> {
    KeyLabel { kind: purpose.as_str(), id: ID, version }
}

/// The time of a batch that is made before there is a clock of the server.
pub(crate) fn wall_now() -> TimeMs {
    crate::clock::WallClock::default().now()
}

#[cfg(test)]
mod tests {
    use attorn_core::Digest;
    use attorn_store::records::{SessionNameRecord, UserNameRecord};

    use super::*;

    async fn start(fill: impl FnOnce(&mut Batch)) -> Result<NamesKey, Failure> {
        let dir = tempfile::TempDir::new().unwrap();
        let store = Store::create(dir.path(), ours_of_tests()).unwrap();
        let root = RootKey::generate().unwrap();
        let mut batch = Batch::new(TimeMs(1));
        put_secret(&root, &mut batch, KeyPurpose::CacheMac).unwrap();
        fill(&mut batch);
        store.commit(batch).await.unwrap();
        names_key(&root, &store).await
    }

    #[tokio::test]
    async fn where_there_are_names_no_other_key_takes_the_place_of_theirs() {
        let name = Digest::from_bytes([1; 32]);
        start(|_| {}).await.unwrap();
        let user = UserNameRecord { name, user: "usr_1".parse().unwrap() };
        let session = SessionNameRecord { name, session: "ses_1".parse().unwrap() };
        for failed in [start(|batch| batch.put_record(&user)).await, start(|batch| batch.put_record(&session)).await] {
            let why = failed.err().and_then(|failure| failure.internal).unwrap();
            assert!(why.contains("the key by which they are found is not there"), "{why}");
        }
    }
}
