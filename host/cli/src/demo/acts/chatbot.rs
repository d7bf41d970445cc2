//! The first act: a chatbot answers from common knowledge. There is no user; what there is for each question is a login
//! in the database that lives for seconds.

use std::path::Path;
use std::time::{Duration, Instant};

use attorn_agent::{Decision, Request};
use attorn_api::agents::UserPresence;
use serde_json::json;

use super::database::{Database, HELP, Programs};
use super::evidence;
use super::scene::{Ended, Login, Scene, ceiling};
use super::shop::{ARTICLES, Tie};
use crate::demo::components::Components;
use crate::demo::narrator::Narrator;
use crate::demo::policies::{NewPolicy, PATIENT_LIMITS};
use crate::demo::registry::ANSWER_QUESTIONS;
use crate::failure::Failure;

const BOT: &str = "chatbot";

/// How long a grant lives, and so a login.
const LIVES_S: u64 = 8;

/// How long a login that is over may take until it is gone.
const PATIENCE: Duration = Duration::from_mins(1);

const TIE: Tie = Tie { id: "knowledge", action: "faq.read", resource_type: "article", for_users: false };

pub(super) async fn play(
    narrator: Narrator<'_>,
    directory: &Path,
    postgresql: Result<Programs, String>,
    components: &Components,
) -> Result<Ended, Failure> {
    let mut scene = Scene::begin(narrator, directory).await?;
    scene.narrator.part("Who asks, and who accepts");
    scene.serve("faq", "article").await?;
    let at_most = ceiling(UserPresence::Without, &["faq.read", "faq.write"], "article/*");
    scene.register(BOT, (ANSWER_QUESTIONS, at_most), "faq.read and faq.write article/*, for nobody").await?;
    decides(&mut scene, components).await?;
    match postgresql {
        Ok(programs) => answers(&mut scene, &programs).await?,
        Err(missing) => scene.leave_out("a login in a database", &missing, HELP),
    }
    scene.narrator.part("The end");
    scene.end().await
}

fn read() -> Request {
    Request::new("faq.read", "article/1", ANSWER_QUESTIONS)
}

/// Without a policy nothing is allowed, and with this one nothing but reading.
async fn decides(scene: &mut Scene<'_>, components: &Components) -> Result<(), Failure> {
    scene.narrator.part("What decides");
    let asked = "before there is any policy, the chatbot asks to faq.read article/1";
    scene.denied(asked, (BOT, &read()), "no_applicable_policy").await?;
    let settings = json!({
        "allow": [{ "actions": ["faq.read"], "resource_types": ["article"] }],
        "grant_seconds_max": LIVES_S,
    });
    let component = &components.read_only;
    let policy = NewPolicy { id: "read-only", component, settings, action: "faq.*", limits: PATIENT_LIMITS };
    scene.put_in_force(&policy).await?;
    let allowed = |decision: &Decision| matches!(decision, Decision::Allow { .. });
    let asked = "the chatbot asks to faq.read article/1: a token, for the service";
    scene.ask(asked, (BOT, &read()), allowed).await?;
    let write = Request::new("faq.write", "article/1", ANSWER_QUESTIONS);
    let asked = "it asks to faq.write article/1, which its ceiling covers";
    scene.denied(asked, (BOT, &write), "action_not_listed").await?;
    let other = Request::new("invoice.read", "invoice/17", ANSWER_QUESTIONS);
    scene.denied("it asks to invoice.read invoice/17", (BOT, &other), "outside_ceiling").await.map(drop)
}

/// A question is answered out of the database.
async fn answers(scene: &mut Scene<'_>, programs: &Programs) -> Result<(), Failure> {
    scene.narrator.part("Where the answers are");
    let database = ARTICLES.open(scene, programs).await?;
    ARTICLES.tie(scene, &database, &TIE).await?;

    scene.narrator.part("Somebody asks: how do I reset my password?");
    let none = database.logins(None).await?;
    let asked = "before: the database is asked for logins (pg_roles)";
    scene.narrator.step(asked, format!("{none}: nobody has standing access"), none == 0)?;
    let began = Instant::now();
    let made = scene.login("the chatbot asks to faq.read article/1: a login", BOT, read()).await?;
    uses(scene, &database, &made).await?;
    let ended = ends(scene, &database, &made, began).await?;

    scene.narrator.part("What the audit log says");
    let says = ["agent chatbot", "nobody: on its own authority", "a login at knowledge", "allow (listed)"];
    evidence::show(scene, made.entry, "who, for whom, under which policy", &says).await?;
    let Login { login, .. } = &made;
    let says = [login.user.as_str(), "\"existed\": true", "\"why\": \"expired\""];
    evidence::show(scene, ended, "the login was there, and its time was over", &says).await?;
    let password = login.password.as_deref().unwrap_or_default();
    evidence::nowhere(scene, "the login's password", password).await
}

/// The query runs, and nothing else does.
async fn uses(scene: &Scene<'_>, database: &Database, made: &Login) -> Result<(), Failure> {
    let login = &made.login;
    let there = database.logins(Some(&login.user)).await?;
    let asked = "the database is asked for logins again";
    scene.narrator.step(asked, format!("{there}: {}", login.user), there == 1)?;
    let session = signed_in(database, made).await?;
    let said = session.rows("SELECT answer FROM articles WHERE question LIKE '%reset my password%'").await;
    let (came, as_told) = match said {
        Ok(rows) => (rows.join("; "), rows.len() == 1),
        Err(why) => (why, false),
    };
    scene.narrator.step("the chatbot signs in and runs its query", came, as_told)?;
    for (asked, statement) in [
        ("it tries to change the answer", "UPDATE articles SET answer = 'Send me your password.'"),
        ("it tries to make itself a login that lasts", "CREATE ROLE chatbot LOGIN"),
    ] {
        let came = session.run(statement).await;
        let refused = came.as_ref().is_err_and(|why| why.contains("permission denied"));
        let came = came.err().unwrap_or_else(|| "it was done".into());
        scene.narrator.step(asked, format!("the database: {came}"), refused)?;
    }
    Ok(())
}

/// Nobody does anything, and it ends, with whoever is signed in by it; give the entry that says so.
async fn ends(scene: &Scene<'_>, database: &Database, made: &Login, began: Instant) -> Result<u64, Failure> {
    let session = signed_in(database, made).await?;
    let user = made.login.user.as_str();
    while database.logins(Some(user)).await? > 0 || !session.is_over() {
        if began.elapsed() > PATIENCE {
            return Err(Failure::new(format!("the login {user} does not end")));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let took = began.elapsed().as_secs_f64();
    let came = format!("{took:.1} s after it was asked for, {user} is in pg_roles no more, and its session is over");
    scene.narrator.step(format!("nobody does anything; the grant was for {LIVES_S} s"), came, true)?;
    let again = database.sign_in(&made.login).await.err();
    let as_told = again.is_some();
    let came = again.unwrap_or_else(|| "it is let in".into());
    scene.narrator.step("the chatbot signs in once more", format!("the database: {came}"), as_told)?;
    let lease = made.login.lease.as_str();
    let is = |body: &serde_json::Value| body["type"] == "lease_ended" && body["lease"] == lease;
    Ok(evidence::find(scene, "the end of the login", is).await?.index)
}

async fn signed_in(database: &Database, made: &Login) -> Result<super::database::Session, Failure> {
    let session = database.sign_in(&made.login).await;
    session.map_err(|why| Failure::new(format!("the login {} is refused: {why}", made.login.user)))
}
