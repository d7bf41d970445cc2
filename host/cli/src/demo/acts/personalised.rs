//! The second act: an agent looks up what is its user's. She consents; token and login say for whom they are; and Bob's
//! rows are refused twice, by the policy and by the database.

use std::path::Path;

use attorn_agent::{Decision, Delegation, Request};
use attorn_api::agents::UserPresence;
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};

use super::database::{self, Database, Programs, Session};
use super::people::{self, CLIENT, OF_ALICE, OF_BOB, People, Scope};
use super::scene::{Ended, Login, Scene, ceiling};
use super::shop::{INVOICES, Tie};
use super::{Tools, evidence};
use crate::demo::behalf::{AUDIENCE, may, short};
use crate::demo::components::Components;
use crate::demo::narrator::Narrator;
use crate::demo::policies::{NewPolicy, PATIENT_LIMITS};
use crate::demo::registry::SERVE_CUSTOMERS;
use crate::failure::Failure;

const BOT: &str = "support-bot";

const TIE: Tie = Tie { id: "shop", action: "invoice.read", resource_type: "invoice", for_users: true };

/// What the last part comes back to: entries of the log.
struct Told {
    allowed: u64,
    denied: u64,
}

pub(super) async fn play(
    mut narrator: Narrator<'_>,
    directory: &Path,
    tools: Tools,
    components: &Components,
) -> Result<Ended, Failure> {
    let scripts = match people::provider(&mut narrator, tools.scripts, "signs in") {
        Ok(scripts) => scripts,
        Err(left_out) => return Ok(left_out),
    };
    let mut scene = Scene::begin(narrator, directory).await?;
    scene.narrator.part("Who there is");
    let at_most = ceiling(UserPresence::With, &["invoice.read"], "invoice/*");
    scene.register(BOT, (SERVE_CUSTOMERS, at_most), "invoice.read invoice/*, for users alone").await?;
    let scopes = [Scope { name: "invoices", action: "invoice.read" }];
    let people = People::arrive(&scene, scripts, BOT, &scopes).await?;
    let billing = scene.serve("billing", "invoice").await?;
    people.own(&scene, &billing).await?;
    let settings = json!({ "allow": [{ "actions": ["invoice.read"], "resource_types": ["invoice"] }] });
    let component = &components.own_data;
    let policy = NewPolicy { id: "own-data", component, settings, action: "invoice.*", limits: PATIENT_LIMITS };
    scene.put_in_force(&policy).await?;

    let delegation = consents(&mut scene, &people).await?;
    let told = asks(&mut scene, &people, &delegation).await?;
    let login = match tools.postgresql {
        Ok(programs) => Some(looks_up(&mut scene, &people, &programs, &delegation).await?),
        Err(missing) => {
            scene.leave_out("a login in a database", &missing, database::HELP);
            None
        }
    };
    proves(&mut scene, &told, login.as_ref()).await?;
    scene.narrator.part("The end");
    scene.end().await
}

fn read(invoice: &str, delegation: &Delegation) -> Request {
    Request::new("invoice.read", invoice, SERVE_CUSTOMERS).on_behalf_by(delegation)
}

async fn consents(scene: &mut Scene<'_>, people: &People) -> Result<Delegation, Failure> {
    scene.narrator.part("Alice consents");
    let alone = Request::new("invoice.read", OF_ALICE, SERVE_CUSTOMERS);
    let asked = format!("before she does, {BOT} asks to invoice.read {OF_ALICE}");
    scene.denied(&asked, (BOT, &alone), "purpose_needs_user").await?;
    let tokens = people.provider.signs_in("alice", (CLIENT, AUDIENCE), "invoices").await?;
    let asked = "Alice signs in on the provider's pages, and lets the bot see her invoices";
    scene.narrator.step(asked, "the bot has an access token, for Attorn alone", true)?;
    let delegation = scene.agent(BOT)?.delegate(&tokens.access_token, SERVE_CUSTOMERS).await?;
    let session = &delegation.recorded().session;
    let came = format!(
        "delegation {}…: user {}…, session {}…, {}",
        short(delegation.id()),
        short(delegation.user()),
        short(session),
        may(&delegation)
    );
    let as_told = delegation.user() == people.alice && delegation.is_active() && !session.is_empty();
    scene.narrator.step("the bot brings it", came, as_told)?;
    Ok(delegation)
}

/// A token names user, agent and session; what is Bob's is denied.
async fn asks(scene: &mut Scene<'_>, people: &People, delegation: &Delegation) -> Result<Told, Failure> {
    scene.narrator.part("The bot asks for a token");
    let allowed = |decision: &Decision| matches!(decision, Decision::Allow { .. });
    let asked = format!("{BOT} asks to invoice.read {OF_ALICE} for Alice");
    let decision = scene.ask(&asked, (BOT, &read(OF_ALICE, delegation)), allowed).await?;
    let allowed = decision.decided().entry.index;
    let Decision::Allow { credential, .. } = decision else { return Err(Failure::new("there is no token")) };
    let says = claims(&credential.access_token)?;
    let session = &delegation.recorded().session;
    let as_told = says["sub"] == people.alice.as_str()
        && says["act"] == json!({ "sub": BOT })
        && says["sid"] == session.as_str()
        && says["purpose"] == SERVE_CUSTOMERS;
    let came = format!(
        "sub {}… (Alice), act {}, sid {}…, purpose {}, for {} on {} alone",
        short(says["sub"].as_str().unwrap_or_default()),
        says["act"],
        short(says["sid"].as_str().unwrap_or_default()),
        says["purpose"],
        says["authorization_details"][0]["actions"],
        says["authorization_details"][0]["identifier"],
    );
    scene.narrator.step("the token says for whom it is, and who acts", came, as_told)?;
    let asked = format!("{BOT} asks to invoice.read {OF_BOB}, which is Bob's");
    let denied = scene.denied(&asked, (BOT, &read(OF_BOB, delegation)), "denied_by_policy").await?;
    Ok(Told { allowed, denied })
}

/// A login sees what is Alice's, and whatever it tries it sees nothing else.
async fn looks_up(
    scene: &mut Scene<'_>,
    people: &People,
    programs: &Programs,
    delegation: &Delegation,
) -> Result<Login, Failure> {
    scene.narrator.part("The bot looks into the database");
    let database = INVOICES.open(scene, programs).await?;
    people.keep(&database).await?;
    INVOICES.tie(scene, &database, &TIE).await?;
    let asked = format!("{BOT} asks to invoice.read {OF_BOB}: a login");
    scene.denied(&asked, (BOT, &read(OF_BOB, delegation).login()), "denied_by_policy").await?;
    let none = database.logins(None).await?;
    scene.narrator.step("the database is asked for logins", format!("{none}"), none == 0)?;
    let asked = format!("{BOT} asks to invoice.read {OF_ALICE}: a login");
    let made = scene.login(&asked, BOT, read(OF_ALICE, delegation)).await?;
    let session = database.sign_in(&made.login).await.map_err(Failure::new)?;
    sees_alices(scene, "it signs in and selects all invoices, whosever they are", &session).await?;

    scene.narrator.part("Behind our back: the bot tries the database itself");
    // From this version on a login has the rights of its roles and cannot become one.
    let becomes = database.major < 16;
    for (asked, statement, is_done) in [
        ("it says that it is Bob: SET attorn.user_id", format!("SET attorn.user_id = '{}'", people.bob), true),
        ("it takes the role that it has: SET ROLE invoice_reader", "SET ROLE invoice_reader".into(), becomes),
        ("it forgets all that it set: DISCARD ALL", "DISCARD ALL".into(), true),
    ] {
        let came = session.run(&statement).await;
        scene.narrator.step(asked, came.as_ref().err().map_or("done", |why| why.as_str()), came.is_ok() == is_done)?;
        sees_alices(scene, "it selects all invoices", &session).await?;
    }
    refused(scene, people, &session).await?;
    sees_alices(scene, "after all that it selects all invoices", &session).await?;
    others(scene, &database).await?;
    Ok(made)
}

/// What the database refuses outright.
async fn refused(scene: &Scene<'_>, people: &People, session: &Session) -> Result<(), Failure> {
    for (asked, statement) in [
        ("it takes the administrator's role: SET ROLE attorn", "SET ROLE attorn".into()),
        ("it signs itself over: SET SESSION AUTHORIZATION postgres", "SET SESSION AUTHORIZATION postgres".into()),
        ("it writes that its login is Bob's", format!("UPDATE attorn.logins SET user_id = '{}'", people.bob)),
        ("it switches row-level security off", "SET row_security = off; SELECT * FROM invoices".into()),
        ("it changes an invoice", "UPDATE invoices SET cents = 0".into()),
    ] {
        let came = session.run(&statement).await;
        let as_told = came.is_err();
        let came = came.err().unwrap_or_else(|| "it was done".into());
        scene.narrator.step(asked, format!("the database: {came}"), as_told)?;
        session.run("RESET row_security").await.map_err(Failure::new)?;
    }
    let bobs = session.rows("SELECT * FROM invoices WHERE id = 18").await.map_err(Failure::new)?;
    scene.narrator.step("it selects invoice 18 by its number", format!("{} rows", bobs.len()), bobs.is_empty())
}

async fn sees_alices(scene: &Scene<'_>, asked: &str, session: &Session) -> Result<(), Failure> {
    let seen = session.rows("SELECT id, what FROM invoices ORDER BY id").await;
    let (came, as_told) = match seen {
        Ok(rows) => (rows.join("; "), rows == ["17 | shoes", "19 | a hat"]),
        Err(why) => (why, false),
    };
    scene.narrator.step(asked, came, as_told)
}

/// The rows are there, for whoever may see all.
async fn others(scene: &Scene<'_>, database: &Database) -> Result<(), Failure> {
    let count = database.superuser().await?.rows("SELECT count(*) FROM invoices").await.map_err(Failure::new)?;
    scene.narrator.step("the superuser counts the invoices", format!("there are {}", count.join("")), count == ["3"])
}

async fn proves(scene: &mut Scene<'_>, told: &Told, login: Option<&Login>) -> Result<(), Failure> {
    scene.narrator.part("What the audit log says");
    let says = ["agent support-bot", "user psn_", "who gave it to agent support-bot by dlg_", "in the session"];
    evidence::show(scene, told.allowed, "which agent, for which user, by what, in which session", &says).await?;
    let says = ["deny", "own-data/1 deny", "other_owner"];
    evidence::show(scene, told.denied, "the auditor reads why; the agent did not", &says).await?;
    if let Some(login) = login {
        let says = ["a login at shop", "user psn_", "all hold"];
        evidence::show(scene, login.entry, "the login was for Alice, too", &says).await?;
    }
    Ok(())
}

/// What a token says. Whoever accepts it verifies it; here it is only shown.
fn claims(access_token: &str) -> Result<Value, Failure> {
    let none = || Failure::new("the token is none");
    let part = access_token.split('.').nth(1).ok_or_else(none)?;
    let text = BASE64URL_NOPAD.decode(part.as_bytes()).map_err(|_| none())?;
    serde_json::from_slice(&text).map_err(|_| none())
}
