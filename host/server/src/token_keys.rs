//! The keys that sign tokens: one signs, and those before it stand in the JWK set until what they signed
//! has expired. Every key has a record, and every grant names the key that signs its token; so when a key
//! is lost, all that it signed ends in one write.
//!
//! The private half of a key that does not sign any more is removed from the store at once. In memory it
//! stays for those who ask again for what it signed. The routes are in [`routes`].

use std::sync::{Arc, PoisonError, RwLock};

use attorn_core::{JsonText, KeyThumbprint, LabelName, TimeMs};
use attorn_identity::{PublicKey, RootKey, TokenSigner, generate_token_key};
use attorn_store::records::{Record as _, TokenKeyRecord, TokenKeyState};
use attorn_store::{Batch, Key, KeyKind, KeyPrefix, KeyPurpose, Require, Store};

use crate::http::failure::Failure;
use crate::keys;

pub(crate) mod routes;

/// How long a key is published after the last token that it signed has expired, in milliseconds: for
/// clocks that are behind.
const PUBLISHED_AFTER_MS: u64 = 60_000;
/// How many records are read at a time.
const PAGE: usize = 200;

/// The keys of this server.
pub(crate) struct TokenKeys {
    root: Arc<RootKey>,
    /// The longest that a token lives, in milliseconds.
    token_ms_max: u64,
    /// Held by whoever changes keys, from before the commit until it shows in `known`.
    changing: tokio::sync::Mutex<()>,
    /// The newest first. Those that are compromised, or whose tokens have all expired, need not be there.
    known: RwLock<Vec<Arc<TokenKey>>>,
}

/// A key.
pub(crate) struct TokenKey {
    pub(crate) record: TokenKeyRecord,
    public_key: PublicKey,
    signer: Option<Arc<TokenSigner>>,
}

impl TokenKey {
    /// Sign with it, if its private half is still there.
    pub(crate) fn signer(&self) -> Option<&TokenSigner> {
        self.signer.as_deref()
    }

    fn is_signing(&self) -> bool {
        self.record.state == TokenKeyState::Signing
    }
}

impl TokenKeys {
    /// Read them. A store from before keys had records gets one now.
    pub(crate) async fn load(
        root: Arc<RootKey>,
        store: &Store,
        token_ms_max: u64,
        now: TimeMs,
    ) -> Result<Self, Failure> {
        let mut records = records(store).await?;
        if records.is_empty() {
            records.push(first_record(&root, store, now).await?);
        }
        records.sort_by_key(|record| std::cmp::Reverse(record.version));
        let keys = Self { root, token_ms_max, changing: tokio::sync::Mutex::default(), known: RwLock::default() };
        let mut known = Vec::new();
        for record in records {
            let public_key = record.jwk.as_str().parse().map_err(Failure::internal)?;
            let mut key = TokenKey { record, public_key, signer: None };
            if key.is_signing() {
                let pkcs8 = keys::read_version(&keys.root, store, KeyPurpose::TokenSigning, key.record.version).await?;
                key.signer = Some(Arc::new(TokenSigner::from_pkcs8(&pkcs8).map_err(Failure::internal)?));
            }
            if keys.is_published(&key.record, now) {
                known.push(Arc::new(key));
            }
        }
        if known.iter().filter(|key| key.is_signing()).count() != 1 {
            return Err(Failure::internal("the store has not exactly one key that signs tokens"));
        }
        keys.set(known);
        Ok(keys)
    }

    /// The key that signs now, whose record the batch of a decision has to require as it stands. Whoever
    /// finds it changed waits for [`Self::settled`] and asks again.
    pub(crate) fn signing(&self) -> Result<Arc<TokenKey>, Failure> {
        let signing = self.known().into_iter().find(|key| key.is_signing());
        signing.ok_or_else(|| Failure::internal("no key signs tokens"))
    }

    /// Wait until no key is being changed.
    pub(crate) async fn settled(&self) {
        drop(self.changing.lock().await);
    }

    /// The key of this name, unless it is compromised or long gone.
    pub(crate) fn named(&self, thumbprint: &KeyThumbprint) -> Option<Arc<TokenKey>> {
        self.known().into_iter().find(|key| key.record.thumbprint == *thumbprint)
    }

    /// The key of this name that verifies tokens.
    pub(crate) fn verifying(&self, thumbprint: &KeyThumbprint) -> Option<PublicKey> {
        self.named(thumbprint).map(|key| key.public_key.clone())
    }

    /// The JWK set: the key that signs first, then those whose tokens may still live.
    pub(crate) fn jwks(&self, now: TimeMs) -> String {
        let known = self.known();
        attorn_identity::jwks(known.iter().filter(|key| self.is_published(&key.record, now)).map(|key| &key.public_key))
    }

    /// Whether a token of this key may still be alive.
    fn is_published(&self, record: &TokenKeyRecord, now: TimeMs) -> bool {
        match record.state {
            TokenKeyState::Signing => true,
            TokenKeyState::Retired { at } => now < at.plus_ms(self.token_ms_max + PUBLISHED_AFTER_MS),
            TokenKeyState::Compromised { .. } => false,
        }
    }

    fn known(&self) -> Vec<Arc<TokenKey>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, known: Vec<Arc<TokenKey>>) {
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = known;
    }

    /// What was committed shows: this key is as its record says, and this one was made.
    fn changed(&self, ended: &TokenKeyRecord, made: Option<Arc<TokenKey>>, now: TimeMs) {
        let old = self.known().into_iter().map(|key| {
            if key.record.thumbprint != ended.thumbprint {
                return key;
            }
            let (public_key, signer) = (key.public_key.clone(), key.signer.clone());
            Arc::new(TokenKey { record: ended.clone(), public_key, signer })
        });
        let known = made.into_iter().chain(old).filter(|key| self.is_published(&key.record, now)).collect();
        self.set(known);
    }
}

/// A new key that signs: its records go into the batch.
pub(crate) fn make(root: &RootKey, batch: &mut Batch, version: u32) -> Result<TokenKey, Failure> {
    let pkcs8 = generate_token_key().map_err(Failure::internal)?;
    let signer = TokenSigner::from_pkcs8(&pkcs8).map_err(Failure::internal)?;
    keys::put_material(root, batch, (KeyPurpose::TokenSigning, version), &pkcs8)?;
    let public_key = signer.public_key().clone();
    let record = record(&public_key, version, batch.now);
    batch.require.push((record.key(), Require::Absent));
    batch.put_record(&record);
    Ok(TokenKey { record, public_key, signer: Some(Arc::new(signer)) })
}

fn record(public_key: &PublicKey, version: u32, made_at: TimeMs) -> TokenKeyRecord {
    TokenKeyRecord {
        thumbprint: public_key.thumbprint().clone(),
        version,
        jwk: JsonText::from_canonical(public_key.jwk().canonical_text()),
        made_at,
        state: TokenKeyState::Signing,
    }
}

/// The version of the key that was made last; 0 if there is none.
pub(crate) async fn newest_version(store: &Store) -> Result<u32, Failure> {
    Ok(records(store).await?.iter().map(|record| record.version).max().unwrap_or(0))
}

async fn records(store: &Store) -> Result<Vec<TokenKeyRecord>, Failure> {
    let (mut records, mut after) = (Vec::new(), None);
    loop {
        let page = store.scan(&KeyPrefix::kind(KeyKind::TokenKey), after.as_ref(), PAGE).await?;
        for (key, stored) in &page.items {
            records.push(TokenKeyRecord::decode(key, &stored.value).map_err(Failure::internal)?);
        }
        after = page.next;
        if after.is_none() {
            return Ok(records);
        }
    }
}

/// The record of the key that there was before keys had records.
async fn first_record(root: &RootKey, store: &Store, now: TimeMs) -> Result<TokenKeyRecord, Failure> {
    let pkcs8 = keys::read_version(root, store, KeyPurpose::TokenSigning, keys::VERSION).await?;
    let signer = TokenSigner::from_pkcs8(&pkcs8).map_err(Failure::internal)?;
    let record = record(signer.public_key(), keys::VERSION, now);
    let mut batch = Batch::new(now);
    batch.require.push((record.key(), Require::Absent));
    batch.put_record(&record);
    store.commit(batch).await?;
    Ok(record)
}

/// Where the private half of a version is.
fn material(version: u32) -> Result<Key, Failure> {
    let id: LabelName = keys::ID.parse()?;
    Ok(Key::key_material(KeyPurpose::TokenSigning, &id, version))
}
