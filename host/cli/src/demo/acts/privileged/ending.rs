//! Alice takes it back: the token, the login and the session that is open by it end within a second, and the log says
//! so.

use std::time::{Duration, Instant};

use attorn_agent::Delegation;
use attorn_api::ProblemCode;
use attorn_api::decisions::{Grant, PostgresqlLogin};
use attorn_api::delegations::{self, Revoke};
use serde_json::Value;

use super::{BOT, Cast, HELPER, read, refunds};
use crate::context::Token;
use crate::demo::acts::database::{Database, Session};
use crate::demo::acts::evidence::{self, Found};
use crate::demo::acts::people::OF_ALICE;
use crate::demo::acts::scene::Scene;
use crate::demo::behalf::USERS_AUDIENCE;
use crate::demo::operators;
use crate::failure::Failure;

/// Within which time all has ended.
const SOON: Duration = Duration::from_secs(1);

/// How long it is waited for, so that it can be said how long it took.
const PATIENCE: Duration = Duration::from_mins(1);

/// What the bot holds when she takes it back.
struct Held {
    token: Grant,
    login: Option<(PostgresqlLogin, Busy)>,
}

/// A session in the middle of a statement, and when and how that ended.
type Busy = tokio::task::JoinHandle<(Result<(), String>, Instant)>;

/// What the last part comes back to.
pub(super) struct Told {
    delegation: String,
    lease: Option<String>,
}

pub(super) async fn play(
    scene: &mut Scene<'_>,
    cast: &Cast,
    child: &Delegation,
    database: Option<&Database>,
) -> Result<Told, Failure> {
    scene.narrator.part("Alice takes it back");
    let held = holds(scene, cast, database).await?;
    let lease = held.login.as_ref().map(|(login, _)| login.lease.clone());
    let looks = match database {
        Some(database) => Some(database.superuser().await?),
        None => None,
    };
    let tokens = cast.people.provider.alice_signs_in("portal", USERS_AUDIENCE).await?;
    let alice = scene.host.client(Some(&Token::of_user(&tokens.access_token)?))?;
    let root = cast.root.id();
    let why = Revoke { reason: Some("no longer needed".into()) };
    let revoked: delegations::Delegation = alice.post(&format!("/v1/me/delegations/{root}/revoke"), &why).await?;
    let acknowledged = Instant::now();
    let gone = match (&held.login, &looks) {
        (Some((login, _)), Some(looks)) => Some(gone(looks, login, acknowledged).await?),
        _ => None,
    };
    let asked = "Alice signs in at the portal and revokes the bot's delegation";
    scene.narrator.step(asked, "revoked: one write, with all that hangs on it", revoked.revoked_at_ms.is_some())?;

    let used = cast.billing.use_grant(&held.token.id, &refunds::intended(&held.token)).await.map_err(Failure::from);
    let asked = "the token: the billing service has its use counted, before it acts";
    operators::refused(&mut scene.narrator, asked, used, ProblemCode::GrantInactive)?;
    if let (Some((login, busy)), Some(gone), Some(database)) = (held.login, gone, database) {
        session_ended(scene, busy, acknowledged).await?;
        let came = format!("{} is in pg_roles no more after {} ms", login.user, gone.as_millis());
        scene.narrator.step("the login", came, gone < SOON)?;
        let again = database.sign_in(&login).await.err();
        let as_told = again.is_some();
        let came = again.unwrap_or_else(|| "it is let in".into());
        scene.narrator.step("the bot signs in once more", format!("the database: {came}"), as_told)?;
    }
    for (agent, by) in [(BOT, &cast.root), (HELPER, child)] {
        let asked = format!("the next request of {agent}: invoice.read {OF_ALICE}");
        scene.denied(&asked, (agent, &read(OF_ALICE, by)), "delegation_revoked").await?;
    }
    Ok(Told { delegation: root.to_owned(), lease })
}

/// The bot has a token that it has not used yet, and a session in the middle of something.
async fn holds(scene: &mut Scene<'_>, cast: &Cast, database: Option<&Database>) -> Result<Held, Failure> {
    let asked = format!("{BOT} asks to invoice.read {OF_ALICE}: a token, which it keeps for now");
    let (token, _) = refunds::allowed(scene, &asked, BOT, &read(OF_ALICE, &cast.root)).await?;
    let Some(database) = database else { return Ok(Held { token, login: None }) };
    let asked = format!("{BOT} asks to invoice.read {OF_ALICE}: a login");
    let made = scene.login(&asked, BOT, read(OF_ALICE, &cast.root)).await?;
    let session = database.sign_in(&made.login).await.map_err(Failure::new)?;
    let rows = session.rows("SELECT id, what FROM invoices ORDER BY id").await.map_err(Failure::new)?;
    let as_told = rows == ["17 | shoes", "19 | a hat"];
    scene.narrator.step("it signs in and selects all invoices", rows.join("; "), as_told)?;
    let busy = tokio::spawn(async move {
        let came = session.run("SELECT pg_sleep(60)").await;
        (came, Instant::now())
    });
    scene.narrator.step("it begins a statement that takes a minute", "the session is busy", !busy.is_finished())?;
    Ok(Held { token, login: Some((made.login, busy)) })
}

/// How long it takes until the database has no such login.
async fn gone(looks: &Session, login: &PostgresqlLogin, since: Instant) -> Result<Duration, Failure> {
    let question = format!("SELECT 1 FROM pg_roles WHERE rolname = '{}'", login.user);
    loop {
        if looks.rows(&question).await.map_err(Failure::new)?.is_empty() {
            return Ok(since.elapsed());
        }
        if since.elapsed() > PATIENCE {
            return Err(Failure::new(format!("the login {} does not end", login.user)));
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn session_ended(scene: &Scene<'_>, busy: Busy, since: Instant) -> Result<(), Failure> {
    let ended = tokio::time::timeout(PATIENCE, busy).await;
    let ended = ended.map_err(|_| Failure::new("the session does not end"))?;
    let (came, at) = ended.map_err(|error| Failure::of(&error))?;
    let took = at.saturating_duration_since(since);
    let as_told = came.is_err() && took < SOON;
    let came = came.err().unwrap_or_else(|| "the statement came to its end".into());
    let came = format!("over after {} ms, in the middle of its statement: {came}", took.as_millis());
    scene.narrator.step("the open database session", came, as_told)
}

pub(super) async fn proves(scene: &Scene<'_>, told: &Told) -> Result<(), Failure> {
    let is = |body: &Value| body["type"] == "delegation_revoked" && body["delegation"] == told.delegation.as_str();
    let revoked = evidence::find(scene, "the revocation", is).await?;
    evidence::show(scene, revoked.index, "one entry for the revocation", &[&told.delegation]).await?;
    let Some(lease) = &told.lease else { return Ok(()) };
    let of = |kind: &'static str| move |body: &Value| body["type"] == kind && body["lease"] == lease.as_str();
    let revoking = evidence::find(scene, "why the login ends", of("lease_revoking")).await?;
    evidence::show(scene, revoking.index, "why the login had to end", &["grant_inactive", lease]).await?;
    let ended = evidence::find(scene, "the end of the login", of("lease_ended")).await?;
    let ms = |found: &Found| found.body["time_ms"].as_u64().unwrap_or_default();
    let what =
        format!("it was there, and is gone, {} ms after the revocation", ms(&ended).saturating_sub(ms(&revoked)));
    evidence::show(scene, ended.index, &what, &["\"existed\": true", lease]).await
}
