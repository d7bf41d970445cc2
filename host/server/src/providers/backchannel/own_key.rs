//! The key with which this server says who it is at providers (`private_key_jwt`). It is made when the first provider
//! needs it, and signs nothing else: no token and no log.
//!
//! When it is rotated both keys are published for a while, and the old one signs in the first half of that: a provider
//! that keeps our key set for some time knows the new key before it sees anything that it signed. Which key signs follows
//! from the records and the time, so nothing has to run when an overlap ends. The routes are in `own_key_routes`.

use std::sync::Arc;

use attorn_core::{JsonText, LabelName, TimeMs};
use attorn_identity::{ClientSigner, PublicKey, generate_token_key, jwks};
use attorn_store::records::{ProviderClientKeyRecord, Record as _};
use attorn_store::{Batch, Key, KeyKind, KeyPrefix, KeyPurpose, PAGE_ITEMS_MAX, Require, Store, Versioned};

use crate::app::App;
use crate::http::call::{Call, Reply};
use crate::http::failure::Failure;
use crate::keys;

const PURPOSE: KeyPurpose = KeyPurpose::ProviderClient;

/// A key, as it is recorded. One from before such keys had records has none yet.
pub(super) struct OwnKey {
    pub(super) record: ProviderClientKeyRecord,
    /// What must still hold of the record's place when it is changed.
    pub(super) place: Require,
}

/// Have the key in this batch, unless there is one.
pub(super) async fn make(app: &App, batch: &mut Batch) -> Result<(), Failure> {
    if !all(app).await?.is_empty() {
        return Ok(());
    }
    let record = new(app, batch, (keys::VERSION, batch.now))?;
    record.put(batch);
    keys::said(batch, PURPOSE, keys::VERSION)
}

/// A new key that signs from then on; its private half goes into the batch.
pub(super) fn new(
    app: &App,
    batch: &mut Batch,
    (version, signs_from): (u32, TimeMs),
) -> Result<ProviderClientKeyRecord, Failure> {
    let pkcs8 = generate_token_key().map_err(Failure::internal)?;
    let signer = ClientSigner::from_pkcs8(&pkcs8).map_err(Failure::internal)?;
    keys::put_material(&app.root, batch, (PURPOSE, version), &pkcs8)?;
    let record = record(&signer, version, (batch.now, signs_from));
    batch.require.push((record.key(), Require::Absent));
    Ok(record)
}

fn record(signer: &ClientSigner, version: u32, (made_at, signs_from): (TimeMs, TimeMs)) -> ProviderClientKeyRecord {
    let jwk = JsonText::from_canonical(signer.public_key().jwk().canonical_text());
    ProviderClientKeyRecord { version, jwk, made_at, signs_from, published_until: None }
}

/// All that are recorded, the newest first.
pub(super) async fn all(app: &App) -> Result<Vec<OwnKey>, Failure> {
    let page = app.store.scan(&KeyPrefix::kind(KeyKind::ProviderClientKey), None, PAGE_ITEMS_MAX).await?;
    let mut found = Vec::new();
    for (key, stored) in &page.items {
        let record = ProviderClientKeyRecord::decode(key, &stored.value).map_err(Failure::internal)?;
        found.push(OwnKey { record, place: Require::Version(stored.version) });
    }
    found.reverse();
    if found.is_empty() && app.store.get(&material(keys::VERSION)?).await?.is_some() {
        // It was made before such keys had records.
        let record = record(&*read(app, keys::VERSION).await?, keys::VERSION, (TimeMs(0), TimeMs(0)));
        found.push(OwnKey { record, place: Require::Absent });
    }
    Ok(found)
}

/// Which of these signs: the newest whose time has come. The newest comes first.
pub(super) fn signing(all: &[OwnKey], now: TimeMs) -> Option<&ProviderClientKeyRecord> {
    let published = || all.iter().map(|key| &key.record).filter(|record| record.is_published(now));
    published().find(|record| record.signs_from <= now).or_else(|| published().next_back())
}

/// What signs now.
pub(super) async fn signer(app: &App) -> Result<Arc<ClientSigner>, Failure> {
    let all = all(app).await?;
    let signing = signing(&all, app.clock.now()).ok_or_else(|| Failure::internal("no key signs at providers"))?;
    read(app, signing.version).await
}

async fn read(app: &App, version: u32) -> Result<Arc<ClientSigner>, Failure> {
    let pkcs8 = keys::read_version(&app.root, &app.store, PURPOSE, version).await?;
    ClientSigner::from_pkcs8(&pkcs8).map(Arc::new).map_err(Failure::internal)
}

/// `GET /.well-known/client-jwks.json`: what providers verify it with. It is empty before there is a key.
pub(crate) async fn published(app: Arc<App>, _: Call) -> Result<Reply, Failure> {
    let (all, now) = (all(&app).await?, app.clock.now());
    let published = all.iter().filter(|key| key.record.is_published(now));
    let published = published.map(|key| public_key(&key.record)).collect::<Result<Vec<_>, _>>()?;
    Ok(Reply::json_text(jwks(&published)))
}

/// Its public half.
pub(super) fn public_key(record: &ProviderClientKeyRecord) -> Result<PublicKey, Failure> {
    record.jwk.as_str().parse().map_err(Failure::internal)
}

/// Where the private half of a version is.
pub(super) fn material(version: u32) -> Result<Key, Failure> {
    let id: LabelName = keys::ID.parse()?;
    Ok(Key::key_material(PURPOSE, &id, version))
}

/// Remove a key, and its private half, if it was published until then at most.
pub(crate) async fn remove(store: &Store, at: TimeMs, what: &Key, batch: &mut Batch) -> Result<(), Failure> {
    let Some(found) = store.record::<ProviderClientKeyRecord>(what).await? else { return Ok(()) };
    let Versioned { value: record, version, .. } = found;
    if record.published_until.is_some_and(|until| until <= at) {
        batch.require.push((what.clone(), Require::Version(version)));
        batch.delete.extend([what.clone(), material(record.version)?]);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(version: u32, signs_from: u64, published_until: Option<u64>) -> OwnKey {
        let record = ProviderClientKeyRecord {
            version,
            jwk: JsonText::from_canonical("{}".to_owned()),
            made_at: TimeMs(0),
            signs_from: TimeMs(signs_from),
            published_until: published_until.map(TimeMs),
        };
        OwnKey { record, place: Require::Absent }
    }

    fn signs(all: &[OwnKey], now: u64) -> Option<u32> {
        signing(all, TimeMs(now)).map(|record| record.version)
    }

    #[test]
    fn the_old_key_signs_until_the_new_one_was_seen_and_is_published_after() {
        let all = [key(2, 1_500, None), key(1, 0, Some(2_000))];
        for (now, signer, published) in [(1_000, 1, 2), (1_499, 1, 2), (1_500, 2, 2), (1_999, 2, 2), (2_000, 2, 1)] {
            assert_eq!(signs(&all, now), Some(signer), "{now}");
            let count = all.iter().filter(|key| key.record.is_published(TimeMs(now))).count();
            assert_eq!(count, published, "{now}");
        }
    }

    #[test]
    fn a_key_that_is_not_published_signs_nothing() {
        // Somebody else may have the first; the second takes its place at once.
        assert_eq!(signs(&[key(2, 1_000, None), key(1, 0, Some(1_000))], 1_000), Some(2));
        assert_eq!(signs(&[key(1, 0, Some(1_000))], 1_000), None);
        assert_eq!(signs(&[], 1_000), None);
        // Should time be set back, the one that there is signs.
        assert_eq!(signs(&[key(2, 5_000, None)], 1_000), Some(2));
    }
}
