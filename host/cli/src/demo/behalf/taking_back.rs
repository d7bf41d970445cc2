//! Alice takes it back, without asking any operator: the next request of either agent is denied.

use attorn_agent::Delegation;
use attorn_api::ProblemCode;
use attorn_api::delegations::{self, DelegationList, Revoke};

use super::acting::Told;
use super::{Behalf, OF_ALICE, USERS_AUDIENCE, client, denied, refused, request};
use crate::context::Token;
use crate::demo::Stage;
use crate::demo::operators;
use crate::demo::registry::SERVE_CUSTOMERS;
use crate::failure::Failure;

const PATH: &str = "/v1/me/delegations";

pub(super) async fn play(stage: &mut Stage<'_>, act: &Behalf, told: &Told, child: &Delegation) -> Result<(), Failure> {
    stage.narrator.part("Alice takes it back");
    let root = &told.delegation;
    let agents = stage.host.client(Some(&Token::of_user(&told.access_token)?))?;
    let came = agents.get::<DelegationList>(PATH).await;
    let asked = "somebody shows the bot's token where users see what they delegated";
    operators::refused(&mut stage.narrator, asked, came, ProblemCode::UserUnauthenticated)?;

    let tokens = act.provider.alice_signs_in("portal", USERS_AUDIENCE).await?;
    let alice = stage.host.client(Some(&Token::of_user(&tokens.access_token)?))?;
    let list: DelegationList = alice.get(PATH).await?;
    let sees = |id: &str| list.delegations.iter().any(|one| one.id == id && one.standing == "active");
    let to: Vec<&str> = list.delegations.iter().map(|one| one.to_agent.as_str()).collect();
    let came = format!("{} delegations, to {}", to.len(), to.join(" and "));
    stage.narrator.step("Alice signs in at the portal and looks", came, sees(root.id()) && sees(child.id()))?;

    let why = Revoke { reason: Some("no longer needed".into()) };
    let revoked: delegations::Delegation = alice.post(&format!("{PATH}/{}/revoke", root.id()), &why).await?;
    let as_told = revoked.revoked_at_ms.is_some();
    stage.narrator.step("she revokes the bot's", "revoked: one write, with all that hangs on it", as_told)?;

    for (agent, by) in [("support-bot", root), ("reader", child)] {
        let asked = format!("the very next request of {agent}: invoice.read {OF_ALICE}");
        denied(stage, &asked, agent, &request("invoice.read", OF_ALICE, by), "delegation_revoked").await?;
    }
    let came = client(stage, "support-bot")?.delegate(&told.access_token, SERVE_CUSTOMERS).await;
    refused(stage, "the bot brings the same access token again", came, ProblemCode::DelegationInactive)
}
