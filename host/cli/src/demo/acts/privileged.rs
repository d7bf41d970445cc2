//! The third act: an agent moves its user's money. What is small passes and is counted; what is larger waits until she
//! says yes on her own device; what is beyond is denied. What it hands on is less than it has, and when she takes it back
//! all of it ends: the token, the login, and the session that is open by it.

mod approval;
mod ending;
mod group;
mod refunds;
mod sub_agent;

use std::path::Path;

use attorn_agent::{Delegation, Request, ResourceServerClient};
use attorn_api::agents::UserPresence;
use attorn_api::backchannel::{Backchannel, ClientAuthenticationMethod, SetBackchannel};
use serde_json::json;

use super::Tools;
use super::database;
use super::people::{self, CLIENT, PROVIDER, People, Scope};
use super::scene::{Ended, Scene, ceiling};
use super::shop::{INVOICES, Tie};
use crate::demo::behalf::{AUDIENCE, may, short};
use crate::demo::components::Components;
use crate::demo::narrator::Narrator;
use crate::demo::policies::{NewPolicy, PATIENT_LIMITS};
use crate::demo::registry::SERVE_CUSTOMERS;
use crate::failure::Failure;

const BOT: &str = "support-bot";
const HELPER: &str = "reader";

const SCOPES: &[Scope] =
    &[Scope { name: "invoices", action: "invoice.read" }, Scope { name: "payments", action: "invoice.refund" }];

const TIE: Tie = Tie { id: "shop", action: "invoice.read", resource_type: "invoice", for_users: true };

/// What may be refunded without her, and at all, in cents.
const ALLOWED_MAX: u64 = 5_000;
const APPROVED_MAX: u64 = 20_000;

/// Who there is, and what Alice let the bot do.
struct Cast {
    people: People,
    billing: ResourceServerClient,
    root: Delegation,
}

pub(super) async fn play(
    mut narrator: Narrator<'_>,
    directory: &Path,
    tools: Tools,
    components: &Components,
) -> Result<Ended, Failure> {
    let scripts = match people::provider(&mut narrator, tools.scripts, "signs in and approves") {
        Ok(scripts) => scripts,
        Err(left_out) => return Ok(left_out),
    };
    let mut scene = Scene::begin(narrator, directory).await?;
    scene.narrator.part("Who there is");
    for agent in [BOT, HELPER] {
        let at_most = ceiling(UserPresence::With, &["invoice.read", "invoice.refund"], "invoice/*");
        scene.register(agent, (SERVE_CUSTOMERS, at_most), "read and refund invoices, for users alone").await?;
    }
    let people = People::arrive(&scene, scripts, BOT, SCOPES).await?;
    asks_at_provider(&scene, Asks::OnDevice).await?;
    let billing = scene.serve("billing", "invoice").await?;
    people.own(&scene, &billing).await?;
    decides(&scene, components).await?;
    let root = consents(&mut scene, &people).await?;
    let mut cast = Cast { people, billing, root };

    let small = refunds::play(&mut scene, &cast).await?;
    let approved = approval::play(&mut scene, &mut cast).await?;
    let of_group = group::play(&mut scene, &cast, components).await?;
    let child = sub_agent::play(&mut scene, &cast).await?;
    let database = match tools.postgresql {
        Ok(programs) => {
            scene.narrator.part("The bot looks into the database");
            let database = INVOICES.open(&scene, &programs).await?;
            cast.people.keep(&database).await?;
            INVOICES.tie(&scene, &database, &TIE).await?;
            Some(database)
        }
        Err(missing) => {
            scene.leave_out("a login in a database, and its end", &missing, database::HELP);
            None
        }
    };
    let ended = ending::play(&mut scene, &cast, &child, database.as_ref()).await?;
    scene.narrator.part("What the audit log says");
    refunds::proves(&scene, small).await?;
    approval::proves(&scene, approved).await?;
    group::proves(&scene, of_group).await?;
    ending::proves(&scene, &ended).await?;
    scene.narrator.part("The end");
    scene.end().await
}

/// How those who are asked are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asks {
    /// The user, by their provider, on their own device.
    OnDevice,
    /// Whoever is asked, on a page where they sign in, too.
    OnPage,
}

/// Users are asked for approvals at their provider.
async fn asks_at_provider(scene: &Scene<'_>, asks: Asks) -> Result<(), Failure> {
    let body = SetBackchannel {
        client_id: "approvals".into(),
        client_authentication: ClientAuthenticationMethod::PrivateKeyJwt,
        client_secret: None,
        login_hint_claim: "sub".into(),
        page: asks == Asks::OnPage,
        code_only: false,
    };
    let set: Backchannel = scene.registrar()?.post(&format!("/v1/providers/{PROVIDER}/backchannel"), &body).await?;
    let (asked, came) = if let (Asks::OnPage, Some(uri)) = (asks, &set.page_redirect_uri) {
        let asked = "the registrar has them sign in there for a page of ours, too, on which they answer";
        (asked, format!("the provider sends them back to {uri}"))
    } else {
        let asked = "the registrar has users asked for approvals there, on their own device (CIBA)";
        (asked, format!("we are its client `{}`", set.client_id))
    };
    scene.narrator.step(asked, came, set.provider == PROVIDER && set.page_redirect_uri.is_some() == body.page)
}

async fn decides(scene: &Scene<'_>, components: &Components) -> Result<(), Failure> {
    let settings =
        json!({ "allow": [{ "actions": ["invoice.read", "invoice.refund"], "resource_types": ["invoice"] }] });
    let component = &components.own_data;
    let own_data = NewPolicy { id: "own-data", component, settings, action: "invoice.*", limits: PATIENT_LIMITS };
    scene.put_in_force(&own_data).await?;
    scene.put_in_force(&limits(components, "user")).await?;
    scene.narrator.say("     for each user and agent: up to 50.00 EUR in all; up to 200.00 if the user approves");
    Ok(())
}

/// What passes by itself, and what does if one of this role approves.
fn limits<'a>(components: &'a Components, role: &str) -> NewPolicy<'a> {
    let settings = json!({
        "amount_argument": "cents", "currency_argument": "currency", "currency": "EUR", "scope": "user_agent",
        // Not by the day: the story may be told at midnight.
        "window": "total", "allow_max": ALLOWED_MAX,
        "challenge": { "max": APPROVED_MAX, "role": role, "count": 1 },
    });
    let component = &components.spend_limit;
    NewPolicy { id: "spend-limit", component, settings, action: "invoice.refund", limits: PATIENT_LIMITS }
}

async fn consents(scene: &mut Scene<'_>, people: &People) -> Result<Delegation, Failure> {
    let tokens = people.provider.signs_in("alice", (CLIENT, AUDIENCE), "invoices payments").await?;
    let delegation = scene.agent(BOT)?.delegate(&tokens.access_token, SERVE_CUSTOMERS).await?;
    let came = format!("delegation {}…: {}", short(delegation.id()), may(&delegation));
    let as_told = delegation.user() == people.alice && delegation.is_active();
    scene.narrator.step("Alice signs in and lets the bot see and refund her invoices", came, as_told)?;
    Ok(delegation)
}

/// To refund a part of an invoice.
fn refund(invoice: &str, cents: u64, delegation: &Delegation) -> Result<Request, Failure> {
    let request = Request::new("invoice.refund", invoice, SERVE_CUSTOMERS).on_behalf_by(delegation);
    Ok(request.arguments(&json!({ "cents": cents, "currency": "EUR" }))?)
}

fn read(invoice: &str, delegation: &Delegation) -> Request {
    Request::new("invoice.read", invoice, SERVE_CUSTOMERS).on_behalf_by(delegation)
}

/// Cents as people write them.
fn euros(cents: u64) -> String {
    format!("{}.{:02} EUR", cents / 100, cents % 100)
}
