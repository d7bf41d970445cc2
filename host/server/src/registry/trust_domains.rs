//! `/v1/trust-domains`: whose signatures say who a workload is.

use std::sync::Arc;

use attorn_api::ProblemCode;
use attorn_api::audit::EntryType;
use attorn_api::trust_domains as api;
use attorn_core::{JsonText, TrustDomain};
use attorn_identity::svid::{BundleError, TrustBundle};
use attorn_store::records::{TrustDomainRecord, TrustDomainRecordError, TrustedJwtKey};
use attorn_store::{Batch, Key, KeyKind, Require, Versioned};
use data_encoding::HEXLOWER;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::{commit, moved, page, why};
use crate::app::App;
use crate::entry;
use crate::http::call::{Call, Reply};
use crate::http::failure::Failure;

/// The most bytes of a body that brings a bundle: certificates in PEM within JSON.
pub(crate) const BODY_BYTES_MAX: usize = 96 << 10;

pub(crate) async fn register(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let wire: api::RegisterTrustDomain = call.json()?;
    let mut batch = Batch::new(app.clock.now());
    let id: TrustDomain = wire.id.parse()?;
    let (roots, keys) = parts(bundle(&wire.bundle, &id)?);
    let record = TrustDomainRecord::new(id.clone(), roots, keys, batch.now).map_err(|error| refused(&error))?;
    entry::act(&mut batch, call.operator()?, EntryType::TrustDomainRegistered, in_entry(&record))?;
    batch.require.push((Key::trust_domain(&id), Require::Absent));
    batch.put_record(&record);
    let taken = || {
        let detail = format!("trust domain `{id}` exists already; names are never used again");
        Failure::of(ProblemCode::AlreadyExists, detail).with_help("`attorn trust-domain update` changes its roots")
    };
    commit(&app, batch, taken).await?;
    Reply::created(&shown(&record))
}

pub(crate) async fn list(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let after = call.query::<TrustDomain>("after")?.map(|id| Key::trust_domain(&id));
    let (records, more) = page::<TrustDomainRecord>(&app, KeyKind::TrustDomain, after, call.limit()?).await?;
    let trust_domains: Vec<_> = records.iter().map(shown).collect();
    let next = more.then(|| trust_domains.last().map(|domain| domain.id.clone())).flatten();
    Reply::ok(&api::TrustDomainList { trust_domains, next })
}

pub(crate) async fn show(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    Reply::ok(&shown(&find(&app, &call.path("id")?).await?.value))
}

/// All roots and keys at once, so that what is not in the new bundle does not count from here on.
pub(crate) async fn update(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let (wire, id): (api::UpdateTrustDomain, TrustDomain) = (call.json()?, call.path("id")?);
    let found = find_unrevoked(&app, &id).await?;
    let mut batch = Batch::new(app.clock.now());
    let (roots, keys) = parts(bundle(&wire.bundle, &id)?);
    let record = found.value.changed(roots, keys, batch.now).map_err(|error| refused(&error))?;
    entry::act(&mut batch, call.operator()?, EntryType::TrustDomainChanged, in_entry(&record))?;
    replace(&app, batch, &record, found.version).await
}

/// One durable write, after which the trust domain vouches for nobody. Its name stays taken, so that nobody
/// else can take over what its identities meant.
pub(crate) async fn revoke(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let id: TrustDomain = call.path("id")?;
    let Versioned { mut value, version, .. } = find_unrevoked(&app, &id).await?;
    let mut batch = Batch::new(app.clock.now());
    value.revoked_at = Some(batch.now);
    let about = json!({ "id": id.as_str(), "reason": why(&call)? });
    entry::act(&mut batch, call.operator()?, EntryType::TrustDomainRevoked, about)?;
    replace(&app, batch, &value, version).await
}

async fn replace(app: &App, mut batch: Batch, record: &TrustDomainRecord, version: u64) -> Result<Reply, Failure> {
    batch.require.push((Key::trust_domain(record.id()), Require::Version(version)));
    batch.put_record(record);
    commit(app, batch, moved).await?;
    Reply::ok(&shown(record))
}

async fn find(app: &App, id: &TrustDomain) -> Result<Versioned<TrustDomainRecord>, Failure> {
    app.store.record(&Key::trust_domain(id)).await?.ok_or_else(|| Failure::not_found("trust domain", id))
}

/// A trust domain that vouches for somebody.
pub(super) async fn find_unrevoked(app: &App, id: &TrustDomain) -> Result<Versioned<TrustDomainRecord>, Failure> {
    let found = find(app, id).await?;
    if found.value.revoked_at.is_some() {
        return Err(Failure::of(ProblemCode::InvalidState, format!("trust domain `{id}` is revoked")));
    }
    Ok(found)
}

fn bundle(wire: &api::TrustBundle, id: &TrustDomain) -> Result<TrustBundle, Failure> {
    let bundle = match wire {
        api::TrustBundle::Pem(pem) => TrustBundle::from_pem(pem, id),
        api::TrustBundle::Spiffe(json) => TrustBundle::from_spiffe(&json.to_string(), id),
    };
    bundle.map_err(|error: BundleError| Failure::of(ProblemCode::InvalidField, format!("`bundle`: {error}")))
}

fn parts(bundle: TrustBundle) -> (Vec<Vec<u8>>, Vec<TrustedJwtKey>) {
    let key = |key: &attorn_identity::svid::JwtSvidKey| TrustedJwtKey {
        kid: key.kid().to_owned(),
        jwk: JsonText::from_canonical(key.canonical_text()),
    };
    let keys = bundle.jwt_keys.iter().map(key).collect();
    (bundle.x509_roots, keys)
}

fn refused(error: &TrustDomainRecordError) -> Failure {
    Failure::of(ProblemCode::InvalidField, format!("`bundle`: {error}"))
}

fn shown(record: &TrustDomainRecord) -> api::TrustDomain {
    api::TrustDomain {
        id: record.id().to_string(),
        x509_roots: record.x509_roots().iter().map(|root| HEXLOWER.encode(&Sha256::digest(root))).collect(),
        jwt_keys: record.jwt_keys().iter().map(|key| key.kid.clone()).collect(),
        created_at_ms: record.created_at().0,
        changed_at_ms: record.changed_at.0,
        revoked_at_ms: record.revoked_at.map(|at| at.0),
    }
}

/// Digests name the roots; the certificates are in the record.
fn in_entry(record: &TrustDomainRecord) -> serde_json::Value {
    let shown = shown(record);
    json!({ "id": shown.id, "x509_roots": shown.x509_roots, "jwt_keys": shown.jwt_keys })
}
