//! Changing the password of a target's administrator. The new one is recorded before the target is told, and the old one
//! forgotten after the new one was seen to count: so at every moment one of those that are recorded counts.

use std::sync::Arc;

use attorn_api::ProblemCode;
use attorn_api::audit::EntryType;
use attorn_api::targets as api;
use attorn_broker::postgresql::{Postgresql, password};
use attorn_broker::{Fault, KindError};
use attorn_core::{TargetId, TargetState};
use attorn_store::records::TargetRecord;
use attorn_store::{Batch, Key, KeyKind, Require, Versioned};
use serde_json::json;
use zeroize::Zeroizing;

use super::live::database_settings;
use super::{find, misconfigured, secret, unavailable, wire};
use crate::app::App;
use crate::entry;
use crate::http::call::{Call, Reply};
use crate::http::failure::Failure;
use crate::registry::{all, commit, moved};

/// Give the administrator a new password, which nobody is told.
pub(crate) async fn rotate(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let id: TargetId = call.path("id")?;
    let found = find(&app, &id).await?;
    if found.value.state == TargetState::Retired {
        return Err(Failure::of(ProblemCode::InvalidState, format!("target `{id}` is retired")));
    }
    database_settings(&found.value).map_err(|failure| {
        failure.with_help("whoever issued its secret gives another: `attorn target rotate-secret`")
    })?;
    alone_with_administrator(&app, &found.value).await?;
    let recorded = record_next(&app, &call, found).await?;
    let (target, problem) = match tell(&app, &recorded).await? {
        Ok(()) => (settle(&app, &call, recorded).await?, None),
        Err(error) => (recorded.value, Some(error.to_string())),
    };
    let target = wire::shown(&app, &target).await?;
    Reply::ok(&api::TargetRotated { target, changed: problem.is_none(), problem })
}

/// Those among these that are not retired and have the same administrator: of one database server, by the name that it is
/// registered by, whichever of its databases they are for.
pub(super) fn same_administrator<'a>(
    target: &TargetRecord,
    others: &'a [TargetRecord],
) -> impl Iterator<Item = &'a TargetRecord> {
    let of = |target: &TargetRecord| {
        let settings = target.settings.postgresql()?;
        Some((settings.host.to_string().to_ascii_lowercase(), settings.port, settings.admin.to_string()))
    };
    let (id, ours) = (target.id.clone(), of(target));
    let stands = move |other: &&TargetRecord| other.id != id && other.state != TargetState::Retired;
    others.iter().filter(stands).filter(move |other| ours.is_some() && of(other) == ours)
}

/// A new password is told to this target alone: another with the same administrator would not be let in any more.
async fn alone_with_administrator(app: &App, target: &TargetRecord) -> Result<(), Failure> {
    let others = all::<TargetRecord>(&app.store, KeyKind::Target).await?;
    let Some(other) = same_administrator(target, &others).next() else { return Ok(()) };
    let detail = format!(
        "target `{}` has the administrator of `{}`, which would not know the new password; nothing was changed",
        other.id, target.id
    );
    let help = "give each target an administrator of its own, or retire the other; or set the password in the database, \
                and tell each of them with `attorn target rotate-secret`";
    Err(Failure::of(ProblemCode::InvalidState, detail).with_help(help))
}

/// Put another secret in the place of the one that is known here: what is shown to a service, or the password of an
/// administrator, which is tried first. The old one counts no more here with this one write; whoever issued it ends it
/// there.
pub(crate) async fn replace_secret(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let (wire, id): (api::ReplaceTargetSecret, TargetId) = (call.json()?, call.path("id")?);
    let Versioned { mut value, version, .. } = find(&app, &id).await?;
    if value.state == TargetState::Retired {
        return Err(Failure::of(ProblemCode::InvalidState, format!("target `{id}` is retired")));
    }
    let next = 1 + value.next_secret.as_ref().map_or(value.secret.version, |next| next.version);
    value.secret = if value.settings.proxy().is_some() {
        secret::shown_to_service(&app.root, &id, next, &wire.secret)?
    } else {
        let secret = secret::password(&app.root, &id, (next, "secret"), &wire.secret)?;
        let tried = alone(&app, &value, Zeroizing::new(wire.secret.clone().into_bytes()))?.can_connect().await;
        tried.map_err(|error| not_taken(&id, &error))?;
        secret
    };
    // One that was made meanwhile and never seen to count does not.
    value.next_secret = None;
    put(&app, &call, (&mut value, version, EntryType::TargetSecretReplaced, next)).await?;
    if value.settings.postgresql().is_some() {
        app.targets.lets_in(&app, &id);
    }
    Reply::ok(&wire::shown(&app, &value).await?)
}

/// The database is not to be had, or does not let in whoever has this password.
fn not_taken(id: &TargetId, error: &KindError) -> Failure {
    if error.fault() != Fault::SignIn {
        if error.stays() {
            return misconfigured(id, format!("the password cannot be tried, so nothing was changed: {error}"));
        }
        let detail = format!("the password cannot be tried at the target `{id}`, so nothing was changed: {error}");
        return unavailable(detail).with_help("try again when the target answers; `attorn target check` looks");
    }
    Failure::of(ProblemCode::InvalidField, format!("the target `{id}` does not take this password: {error}"))
        .with_help("give the administrator this password in the database first")
}

/// A target with one password and no other.
fn alone(app: &App, target: &TargetRecord, password: Zeroizing<Vec<u8>>) -> Result<Postgresql, Failure> {
    let log_id = app.store.log_head()?.log_id.to_string();
    Ok(Postgresql::new(database_settings(target)?.clone(), vec![password], app.config.listen, log_id))
}

/// Record a new password beside the one that counts. One that is recorded already may be the one that the target knows,
/// and is tried on.
async fn record_next(
    app: &App,
    call: &Call,
    found: Versioned<TargetRecord>,
) -> Result<Versioned<TargetRecord>, Failure> {
    if found.value.next_secret.is_some() {
        return Ok(found);
    }
    let mut value = found.value;
    let next = value.secret.version + 1;
    let password = password().map_err(Failure::internal)?;
    value.next_secret = Some(secret::wrap(&app.root, &value.id, next, password.as_bytes())?);
    let committed = put(app, call, (&mut value, found.version, EntryType::TargetPasswordMade, next)).await?;
    Ok(Versioned { value, version: committed, entries: found.entries })
}

/// Tell the target. The inner error is the target's.
async fn tell(app: &App, recorded: &Versioned<TargetRecord>) -> Result<Result<(), KindError>, Failure> {
    let live = app.targets.live(&recorded.value.id);
    let database = live.database(app, recorded)?;
    let passwords = secret::all(&app.root, &recorded.value)?;
    let Some(next) = passwords.get(1) else { return Err(Failure::internal("no password was recorded")) };
    let alone = alone(app, &recorded.value, next.clone())?;
    let told = async {
        database.change_password(next).await?;
        alone.can_connect().await
    };
    let told = told.await;
    live.came(app, told.as_ref().err());
    Ok(told)
}

/// The new one counts; forget the old one.
async fn settle(app: &App, call: &Call, recorded: Versioned<TargetRecord>) -> Result<TargetRecord, Failure> {
    let (mut value, version) = (recorded.value, recorded.version);
    let Some(next) = value.next_secret.take() else { return Ok(value) };
    let number = next.version;
    value.secret = next;
    put(app, call, (&mut value, version, EntryType::TargetPasswordChanged, number)).await?;
    Ok(value)
}

async fn put(
    app: &App,
    call: &Call,
    (value, version, kind, secret_version): (&mut TargetRecord, u64, EntryType, u32),
) -> Result<u64, Failure> {
    let mut batch = Batch::new(app.clock.now());
    value.changed_at = batch.now;
    let about = json!({ "id": value.id.as_str(), "secret_version": secret_version });
    entry::act(&mut batch, call.operator()?, kind, about)?;
    batch.require.push((Key::target(&value.id), Require::Version(version)));
    batch.put_record(value);
    Ok(commit(app, batch, moved).await?.version)
}
