//! `/v1/operators`.

use std::collections::BTreeSet;
use std::sync::Arc;

use attorn_api::ProblemCode;
use attorn_api::audit::EntryType;
use attorn_api::operators::{Operator, OperatorList, RegisterOperator, RegisteredOperator};
use attorn_core::{Duty, OperatorId};
use attorn_identity::{OperatorToken, OperatorTokenKind};
use attorn_store::records::{OperatorRecord, OperatorTokenRecord, Record as _};
use attorn_store::{Batch, Key, KeyKind, KeyPrefix, Require, Versioned};
use serde_json::json;

use super::{bootstrap, commit, count, moved, page, why};
use crate::app::App;
use crate::entry;
use crate::http::call::{Call, Reply};
use crate::http::failure::Failure;

/// How many operators are read at a time.
const PAGE: usize = 200;

pub(crate) async fn register(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let (operator, wire): (_, RegisterOperator) = (call.operator()?, call.json()?);
    let id: OperatorId = wire.id.parse()?;
    count("duties", wire.duties.len(), 1, Duty::ALL.len())?;
    let duties = wire.duties.iter().map(|duty| duty.parse()).collect::<Result<BTreeSet<Duty>, _>>()?;
    let mut batch = Batch::new(app.clock.now());
    if operator.id.is_none() {
        spend_bootstrap(&app, &duties, &mut batch, "add the duty `admin`").await?;
    }
    let token = OperatorToken::generate(OperatorTokenKind::Operator).map_err(Failure::internal)?;
    let record = OperatorRecord {
        id: id.clone(),
        duties,
        token_digest: Some(token.digest()),
        created_at: batch.now,
        revoked_at: None,
    };
    let about = json!({ "id": id.as_str(), "duties": duty_names(&record) });
    entry::act(&mut batch, operator, EntryType::OperatorRegistered, about)?;
    batch.require.push((Key::operator(&id), Require::Absent));
    batch.put_record(&record);
    batch.put_record(&OperatorTokenRecord { token_digest: token.digest(), operator: id.clone() });
    commit(&app, batch, || Failure::of(ProblemCode::AlreadyExists, format!("operator `{id}` exists already"))).await?;
    Reply::created(&RegisteredOperator { operator: shown(&record), token: token.expose().to_owned() })
}

/// Give an operator a new token. One that they had ends in the same write: it may have leaked. The bootstrap token takes
/// nobody's place: with it somebody is renewed whose token a restore has ended.
pub(crate) async fn renew(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let (operator, id): (_, OperatorId) = (call.operator()?, call.path("id")?);
    let stored: Option<Versioned<OperatorRecord>> = app.store.record(&Key::operator(&id)).await?;
    let Versioned { mut value, version, .. } = stored.ok_or_else(|| Failure::not_found("operator", &id))?;
    if value.revoked_at.is_some() {
        return Err(Failure::of(ProblemCode::InvalidState, format!("operator `{id}` is revoked"))
            .with_help("that is for ever: register another operator"));
    }
    let mut batch = Batch::new(app.clock.now());
    if operator.id.is_none() {
        if value.token_digest.is_some() {
            return Err(Failure::of(ProblemCode::InvalidState, format!("operator `{id}` has a token")).with_help(
                "the bootstrap token renews an admin whose token a restore has ended; with a token an admin renews others",
            ));
        }
        spend_bootstrap(&app, &value.duties, &mut batch, RENEW_AN_ADMIN).await?;
    }
    let token = OperatorToken::generate(OperatorTokenKind::Operator).map_err(Failure::internal)?;
    let ended = value.token_digest.replace(token.digest());
    let about = json!({ "id": id.as_str(), "duties": duty_names(&value), "token_ended": ended.is_some() });
    entry::act(&mut batch, operator, EntryType::OperatorRenewed, about)?;
    batch.require.push((Key::operator(&id), Require::Version(version)));
    batch.delete.extend(ended.map(|ended| Key::operator_token(&ended)));
    batch.put_record(&value);
    batch.put_record(&OperatorTokenRecord { token_digest: token.digest(), operator: id });
    commit(&app, batch, moved).await?;
    Reply::ok(&RegisteredOperator { operator: shown(&value), token: token.expose().to_owned() })
}

/// Duties stay as they were given, so nobody becomes an admin by a new token.
const RENEW_AN_ADMIN: &str = "renew an operator who is an admin, or register one (`attorn operator register NAME --duty \
                              admin`): with their token the others are renewed";

/// The bootstrap token makes an admin and nothing else, and dies in the same commit.
async fn spend_bootstrap(
    app: &App,
    duties: &BTreeSet<Duty>,
    batch: &mut Batch,
    help: &'static str,
) -> Result<(), Failure> {
    if !duties.contains(&Duty::Admin) {
        let detail = "the bootstrap token makes the first admin; this operator would not be one";
        return Err(Failure::of(ProblemCode::InvalidField, detail).with_help(help));
    }
    let digest = bootstrap::digest(&app.store).await?.ok_or_else(moved)?;
    batch.require.push((bootstrap::key()?, Require::Version(digest.version)));
    batch.delete.push(bootstrap::key()?);
    Ok(())
}

pub(crate) async fn list(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let after = call.query::<OperatorId>("after")?.map(|id| Key::operator(&id));
    let (records, more) = page::<OperatorRecord>(&app, KeyKind::Operator, after, call.limit()?).await?;
    let operators: Vec<Operator> = records.iter().map(shown).collect();
    let next = more.then(|| operators.last().map(|operator| operator.id.clone())).flatten();
    Reply::ok(&OperatorList { operators, next })
}

pub(crate) async fn revoke(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let id: OperatorId = call.path("id")?;
    let stored: Option<Versioned<OperatorRecord>> = app.store.record(&Key::operator(&id)).await?;
    let Versioned { mut value, version, .. } = stored.ok_or_else(|| Failure::not_found("operator", &id))?;
    if value.revoked_at.is_some() {
        return Err(Failure::of(ProblemCode::InvalidState, format!("operator `{id}` is revoked already")));
    }
    let mut batch = Batch::new(app.clock.now());
    value.revoked_at = Some(batch.now);
    entry::act(
        &mut batch,
        call.operator()?,
        EntryType::OperatorRevoked,
        json!({ "id": id.as_str(), "reason": why(&call)? }),
    )?;
    batch.require.push((Key::operator(&id), Require::Version(version)));
    if value.duties.contains(&Duty::Admin) {
        batch.require.push(another_admin(&app, &id).await?);
    }
    batch.put_record(&value);
    commit(&app, batch, moved).await?;
    Reply::ok(&shown(&value))
}

/// That some other admin, who has a token, stays as they are. Of admins who go at the same moment, each names one who
/// stays, so the last of them finds that theirs has changed.
async fn another_admin(app: &App, id: &OperatorId) -> Result<(Key, Require), Failure> {
    let mut after = None;
    loop {
        let page = app.store.scan(&KeyPrefix::kind(KeyKind::Operator), after.as_ref(), PAGE).await?;
        for (key, stored) in &page.items {
            let other = OperatorRecord::decode(key, &stored.value).map_err(Failure::internal)?;
            let acts = other.revoked_at.is_none() && other.token_digest.is_some();
            if other.id != *id && acts && other.duties.contains(&Duty::Admin) {
                return Ok((key.clone(), Require::Version(stored.version)));
            }
        }
        after = page.next;
        if after.is_none() {
            let detail = format!("operator `{id}` cannot be revoked: nobody could register operators any more");
            return Err(Failure::of(ProblemCode::InvalidState, detail)
                .with_help("it is the last admin: register another first"));
        }
    }
}

fn duty_names(record: &OperatorRecord) -> Vec<String> {
    record.duties.iter().map(ToString::to_string).collect()
}

fn shown(record: &OperatorRecord) -> Operator {
    Operator {
        id: record.id.to_string(),
        duties: duty_names(record),
        created_at_ms: record.created_at.0,
        revoked_at_ms: record.revoked_at.map(|at| at.0),
        has_token: record.token_digest.is_some() && record.revoked_at.is_none(),
    }
}
