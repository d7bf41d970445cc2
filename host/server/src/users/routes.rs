//! `/v1/users`, for registrars.

use std::sync::Arc;

use attorn_api::ProblemCode;
use attorn_api::audit::EntryType;
use attorn_api::users as api;
use attorn_core::{TimeMs, UserId};
use attorn_identity::issuer_token::is_text;
use attorn_store::records::{ProviderRecord, SessionRecord, UserBody};
use attorn_store::{Batch, Key, Require, Versioned};
use serde_json::{Value, json};

use super::person::Asserted;
use super::{KnownUser, entitled, kept, known, names, person};
use crate::app::App;
use crate::decisions::veil;
use crate::delegations::shown_permission;
use crate::entry;
use crate::http::call::{Call, Reply};
use crate::http::failure::Failure;
use crate::registry::moved;

/// Register a user before they were first seen, so that they can be entitled to something.
pub(crate) async fn register(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let (operator, wire): (_, api::NameUser) = (call.operator()?, call.json()?);
    let provider = provider(&app, &wire).await?;
    let record = &provider.value;
    let name = names::find_user(&app, &record.issuer, &wire.subject).await?;
    let taken = match &name {
        Some(name) => known(&app, &name.value).await?.is_some(),
        None => false,
    };
    if taken {
        return Err(Failure::of(ProblemCode::AlreadyExists, "this user is registered already")
            .with_help("`attorn user find` finds them (`POST /v1/users/find`)"));
    }
    let mut batch = Batch::new(app.clock.now());
    batch.require.push((Key::provider(&record.id), Require::Version(provider.version)));
    // Nothing is asserted yet: the first token says it.
    let nothing = Asserted { at: TimeMs(0), groups: None, voted: None, claims: None };
    let user =
        person::make(&app, (&record.id, &record.issuer, &wire.subject), nothing, name.as_ref(), &mut batch).await?;
    let about = json!({ "user": veil::user(&user.record.value.id, &user.key), "provider": record.id.as_str() });
    entry::act(&mut batch, operator, EntryType::UserRegistered, about)?;
    user.commit(&app, batch).await?.ok_or_else(moved)?;
    Reply::created(&shown(&app, &user).await?)
}

pub(crate) async fn find(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let wire: api::NameUser = call.json()?;
    let provider = provider(&app, &wire).await?;
    let found = names::find_user(&app, &provider.value.issuer, &wire.subject).await?;
    let nobody = || {
        Failure::of(ProblemCode::NotFound, "there is no user of this name at this provider").with_help(
            "`subject` is what the provider calls them (`sub` of its tokens); a user is there when an agent has brought their \
             consent, or when somebody registered them (`attorn user register`)",
        )
    };
    let user = known(&app, &found.ok_or_else(nobody)?.value).await?.ok_or_else(nobody)?;
    Reply::ok(&shown(&app, &user).await?)
}

pub(crate) async fn show(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let id: UserId = call.path("id")?;
    let Some(user) = known(&app, &id).await? else { return Err(kept::gone(&app, &id).await?) };
    Reply::ok(&shown(&app, &user).await?)
}

async fn provider(app: &App, wire: &api::NameUser) -> Result<Versioned<ProviderRecord>, Failure> {
    if !is_text(&wire.subject, UserBody::SUBJECT_BYTES_MAX) {
        let detail = format!("`subject` is 1 to {} bytes without control characters", UserBody::SUBJECT_BYTES_MAX);
        return Err(Failure::of(ProblemCode::InvalidField, detail));
    }
    let id = wire.provider.parse()?;
    let found = app.store.record(&Key::provider(&id)).await?;
    found.ok_or_else(|| {
        Failure::not_found("provider", id).with_help("`attorn provider list` lists those that there are")
    })
}

pub(crate) async fn shown(app: &App, user: &KnownUser) -> Result<api::User, Failure> {
    let (record, body) = (&user.record.value, &user.body);
    let entitled = entitled::resolve(app, user, app.clock.now(), &mut Vec::new()).await?;
    Ok(api::User {
        id: record.id.to_string(),
        pseudonym: veil::user(&record.id, &user.key),
        provider: body.provider.to_string(),
        issuer: body.issuer.to_string(),
        subject: body.subject.clone(),
        created_at_ms: record.created_at.0,
        asserted_at_ms: body.asserted_at.0,
        groups_asserted_at_ms: body.groups_asserted_at.0,
        groups: body.groups.iter().cloned().collect(),
        claims: serde_json::from_str(body.claims.as_str()).unwrap_or(Value::Null),
        revocations: record.revocations,
        login_after_ms: body.login_after.map(|at| at.0),
        revoked_because: body.revoked_because.clone(),
        entitlements: entitled.iter().map(shown_permission).collect(),
    })
}

pub(crate) fn shown_session(session: &SessionRecord) -> api::Session {
    api::Session {
        id: session.id.to_string(),
        user: session.user.to_string(),
        opened_at_ms: session.opened_at.0,
        ended_at_ms: session.ended_at.map(|at| at.0),
    }
}
