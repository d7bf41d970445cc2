//! `/v1/approval-webhooks`: who is told of what is to be approved. No secret is shown twice.

use std::sync::Arc;

use attorn_api::ProblemCode;
use attorn_api::approvals as api;
use attorn_api::audit::EntryType;
use attorn_core::WebhookId;
use attorn_identity::WebhookSecret;
use attorn_store::records::WebhookRecord;
use attorn_store::{Batch, Key, KeyKind, Require, Versioned};
use serde_json::json;

use super::{WEBHOOKS_MAX, send};
use crate::app::App;
use crate::entry;
use crate::http::call::{Call, Reply};
use crate::http::failure::Failure;
use crate::registry::{all, commit, moved, page, why};

pub(crate) async fn register(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let wire: api::RegisterWebhook = call.json()?;
    let id: WebhookId = wire.id.parse()?;
    check_url(&app, &wire).await?;
    room(&app).await?;
    let secret = WebhookSecret::generate().map_err(Failure::internal)?;
    let mut batch = Batch::new(app.clock.now());
    let record = WebhookRecord {
        id: id.clone(),
        wrapped: send::wrap(&app.root, id.as_str(), &secret)?,
        url: wire.url,
        loopback: wire.loopback,
        created_at: batch.now,
        revoked_at: None,
    };
    // A URL may have a secret in its path.
    let url_digest = blake3::hash(record.url.as_bytes()).to_hex().to_string();
    let about = json!({ "id": id.as_str(), "url_digest": url_digest, "loopback": record.loopback });
    entry::act(&mut batch, call.operator()?, EntryType::ApprovalWebhookRegistered, about)?;
    batch.require.push((Key::webhook(&id), Require::Absent));
    batch.put_record(&record);
    let taken = || Failure::of(ProblemCode::AlreadyExists, format!("webhook `{id}` exists already"));
    commit(&app, batch, taken).await?;
    Reply::created(&api::RegisteredWebhook { webhook: shown(&record), secret: secret.expose().to_string() })
}

async fn check_url(app: &App, wire: &api::RegisterWebhook) -> Result<(), Failure> {
    let refused = |why: String| {
        Failure::of(ProblemCode::InvalidField, format!("`url`: {why}"))
            .with_help("an `https` URL elsewhere; `loopback` allows one on this machine")
    };
    if wire.url.len() > WebhookRecord::URL_BYTES_MAX {
        return Err(refused(format!("it has more than {} bytes", WebhookRecord::URL_BYTES_MAX)));
    }
    let url = send::parse(&wire.url, wire.loopback).map_err(refused)?;
    send::addresses(&url, wire.loopback, app.config.listen).await.map(drop).map_err(refused)
}

async fn room(app: &App) -> Result<(), Failure> {
    let webhooks: Vec<WebhookRecord> = all(&app.store, KeyKind::Webhook).await?;
    if webhooks.iter().filter(|webhook| webhook.revoked_at.is_none()).count() < WEBHOOKS_MAX {
        return Ok(());
    }
    let detail = format!("there are {WEBHOOKS_MAX} webhooks, which is the most");
    Err(Failure::of(ProblemCode::InvalidState, detail).with_help("revoke one"))
}

pub(crate) async fn list(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let after = call.query::<WebhookId>("after")?.map(|id| Key::webhook(&id));
    let (records, more) = page::<WebhookRecord>(&app, KeyKind::Webhook, after, call.limit()?).await?;
    let webhooks: Vec<_> = records.iter().map(shown).collect();
    let next = more.then(|| webhooks.last().map(|webhook| webhook.id.clone())).flatten();
    Reply::ok(&api::WebhookList { webhooks, next })
}

pub(crate) async fn revoke(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let id: WebhookId = call.path("id")?;
    let stored: Option<Versioned<WebhookRecord>> = app.store.record(&Key::webhook(&id)).await?;
    let Versioned { mut value, version, .. } = stored.ok_or_else(|| Failure::not_found("webhook", &id))?;
    if value.revoked_at.is_some() {
        return Err(Failure::of(ProblemCode::InvalidState, format!("webhook `{id}` is revoked already")));
    }
    let mut batch = Batch::new(app.clock.now());
    value.revoked_at = Some(batch.now);
    let about = json!({ "id": id.as_str(), "reason": why(&call)? });
    entry::act(&mut batch, call.operator()?, EntryType::ApprovalWebhookRevoked, about)?;
    batch.require.push((Key::webhook(&id), Require::Version(version)));
    batch.put_record(&value);
    commit(&app, batch, moved).await?;
    Reply::ok(&shown(&value))
}

fn shown(record: &WebhookRecord) -> api::Webhook {
    api::Webhook {
        id: record.id.to_string(),
        url: record.url.clone(),
        loopback: record.loopback,
        created_at_ms: record.created_at.0,
        revoked_at_ms: record.revoked_at.map(|at| at.0),
    }
}
