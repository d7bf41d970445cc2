//! The server's own keys: made once by `attorn init`, wrapped with the root key, kept in the store.

use attorn_artifact::CacheKey;
use attorn_core::{LabelName, TimeMs};
use attorn_identity::{KeyLabel, NamesKey, RootKey, TokenSigner, generate_token_key};
use attorn_log::{CheckpointSigner, Origin};
use attorn_store::records::KeyMaterialRecord;
use attorn_store::{Batch, Key, KeyPurpose, Require, Store};
use zeroize::Zeroizing;

use crate::entry;
use crate::http::failure::Failure;

/// The one id of keys that there is until they are rotated.
const ID: &str = "k1";
const VERSION: u32 = 1;

/// Add fresh keys to the batch that makes the store.
pub(crate) fn generate(root: &RootKey, batch: &mut Batch) -> Result<(), Failure> {
    let token = generate_token_key().map_err(Failure::internal)?;
    put(root, batch, KeyPurpose::TokenSigning, &token)?;
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
    let id: LabelName = ID.parse()?;
    let wrapped = root.wrap(label(purpose), key).map_err(Failure::internal)?;
    let record = KeyMaterialRecord { purpose, id: id.clone(), version: VERSION, wrapped };
    batch.require.push((Key::key_material(purpose, &id, VERSION), Require::Absent));
    batch.put_record(&record);
    let members = serde_json::json!({ "purpose": purpose.as_str(), "id": ID, "version": VERSION });
    batch.entries.push(entry::body(batch.now, "key_made", members)?);
    Ok(())
}

/// The key that signs tokens.
pub(crate) async fn token_signer(root: &RootKey, store: &Store) -> Result<TokenSigner, Failure> {
    TokenSigner::from_pkcs8(&read(root, store, KeyPurpose::TokenSigning).await?).map_err(Failure::internal)
}

/// The key that signs checkpoints of the log.
pub(crate) async fn log_signer(root: &RootKey, store: &Store) -> Result<CheckpointSigner, Failure> {
    let bytes = read(root, store, KeyPurpose::Log).await?;
    let seed: Zeroizing<[u8; 32]> =
        Zeroizing::new(bytes.as_slice().try_into().map_err(|_| Failure::internal("the log key has another length"))?);
    let head = store.log_head()?;
    Ok(CheckpointSigner::new(Origin::of(&head.log_id, head.epoch), &seed))
}

/// The key of the cache of compiled policies.
pub(crate) async fn cache_key(root: &RootKey, store: &Store) -> Result<CacheKey, Failure> {
    secret(root, store, KeyPurpose::CacheMac).await.map(CacheKey::new)
}

/// The key under which users and sessions are found.
pub(crate) async fn names_key(root: &RootKey, store: &Store) -> Result<NamesKey, Failure> {
    secret(root, store, KeyPurpose::Names).await.map(NamesKey::of)
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
    let id: LabelName = ID.parse()?;
    let record = store.record::<KeyMaterialRecord>(&Key::key_material(purpose, &id, VERSION)).await?;
    let record = record.ok_or_else(|| Failure::internal(format_args!("the store has no {} key", purpose.as_str())))?;
    root.unwrap(label(purpose), &record.value.wrapped).map_err(Failure::internal)
}

const fn label(purpose: KeyPurpose) -> KeyLabel<'static> {
    KeyLabel { kind: purpose.as_str(), id: ID, version: VERSION }
}

/// The time of a batch that is made before there is a clock of the server.
pub(crate) fn wall_now() -> TimeMs {
    crate::clock::Clock::start(TimeMs(0)).now()
}
