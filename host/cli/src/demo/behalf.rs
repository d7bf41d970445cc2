//! On a user's behalf: Alice signs in at a provider that is not ours and lets the bot act for her; the bot does what is
//! hers and not what is Bob's, hands a part to another agent, and both stop when she says so.
//!
//! It needs Node. Without it this says so, and the rest of the story is as before.

mod acting;
mod offer;
mod registry;
mod taking_back;

use attorn_agent::{AgentKey, Client, Decision, Delegation, Request};
use attorn_api::ProblemCode;

pub(super) use self::acting::{may, short};
use super::Stage;
use super::components::Components;
use super::operators;
use super::provider::{Scripts, SignInProvider};
use super::registry::SERVE_CUSTOMERS;
use super::resource_server::Service;
use crate::commands::demo::Demo;
use crate::failure::Failure;

/// What Attorn is called in tokens that delegate.
pub(super) const AUDIENCE: &str = "https://attorn.example";
/// What it is called in those with which users see and revoke.
pub(super) const USERS_AUDIENCE: &str = "https://attorn.example/users";

/// Whose invoices there are.
const OF_ALICE: &str = "invoice/17";
const OF_BOB: &str = "invoice/18";

/// Who there is beside those of before.
pub(super) struct Behalf {
    provider: SignInProvider,
    billing: Service,
    /// The server's id of Alice.
    alice: String,
}

impl Behalf {
    /// What would name Alice: none of it is to stand in the audit log.
    pub(super) fn names(&self) -> Result<Vec<String>, Failure> {
        Ok(vec!["alice".into(), self.provider.subject("alice")?.to_owned(), self.alice.clone()])
    }

    /// What the provider calls Alice.
    pub(super) fn subject(&self) -> Result<&str, Failure> {
        self.provider.subject("alice")
    }
}

/// Play it, if there is Node.
pub(super) async fn play(stage: &mut Stage<'_>, demo: &Demo, components: &Components) -> Result<(), Failure> {
    let scripts = match Scripts::find(demo.interop.as_deref()).await {
        Ok(scripts) => scripts,
        Err(missing) => {
            skip(stage, &missing);
            return Ok(());
        }
    };
    let act = registry::play(stage, scripts, components).await?;
    let told = acting::play(stage, &act).await?;
    let child = offer::play(stage, &act, &told.delegation).await?;
    taking_back::play(stage, &act, &told, &child).await?;
    stage.act = Some(act);
    Ok(())
}

fn skip(stage: &mut Stage<'_>, missing: &str) {
    let narrator = &mut stage.narrator;
    narrator.part("On Alice's behalf: skipped");
    narrator.say(format!("   Alice would sign in at a real provider here, but {missing}."));
    narrator.say("   With Node 20.9 or later (https://nodejs.org), `cargo xtask demo` plays this part, too; by hand:");
    narrator.say("   (cd tests/interop/node && npm ci)");
}

/// A client of an agent's, by its key file.
fn client(stage: &Stage<'_>, agent: &str) -> Result<Client, Failure> {
    let key = AgentKey::load(&stage.directory.join("keys").join(format!("{agent}.key")))?;
    Ok(Client::new(stage.host.url(), key)?)
}

/// To do something with an invoice, for whoever the delegation is from.
fn request(action: &str, invoice: &str, delegation: &Delegation) -> Request {
    Request::new(action, invoice, SERVE_CUSTOMERS).on_behalf_by(delegation)
}

/// An agent reads an invoice: it asks, and shows what it got to the billing service.
async fn reads(
    stage: &mut Stage<'_>,
    act: &Behalf,
    agent: &str,
    delegation: &Delegation,
    who: &str,
) -> Result<(), Failure> {
    let asking = client(stage, agent)?;
    let answer = asking.decide(&request("invoice.read", OF_ALICE, delegation)).await;
    let allowed = matches!(answer, Ok(Decision::Allow { .. }));
    stage.narrator.answered(format!("{agent} asks to invoice.read {OF_ALICE} for Alice"), &answer, allowed)?;
    let Ok(Decision::Allow { credential, .. }) = answer else { return Err(Failure::new("no credential")) };
    let path = format!("/{OF_ALICE}");
    let came = act.billing.read(&asking, &path, &credential.access_token).await?;
    let as_told = came.status == 200 && came.says == format!("invoice 17, for {who}");
    let came = format!("the billing service: {} {}", came.status, came.says);
    stage.narrator.step(format!("{agent} shows the credential"), came, as_told)
}

/// An agent asks for something that is denied for this reason.
async fn denied(
    stage: &mut Stage<'_>,
    asked: &str,
    agent: &str,
    request: &Request,
    reason: &str,
) -> Result<(), Failure> {
    let answer = client(stage, agent)?.decide(request).await;
    let as_told = matches!(&answer, Ok(decision @ Decision::Deny { .. }) if decision.has_reason(reason));
    stage.narrator.answered(asked, &answer, as_told)
}

/// An agent's call about delegations that is refused with this code.
fn refused(
    stage: &mut Stage<'_>,
    asked: &str,
    came: Result<Delegation, attorn_agent::Error>,
    code: ProblemCode,
) -> Result<(), Failure> {
    operators::refused(&mut stage.narrator, asked, came.map_err(Failure::from), code)
}
