//! Which agent a token names, and which client a user's token was issued to.
//!
//! A claim only names the agent: that somebody may act is no consent to anything. Where a token speaks of actors in
//! more than one place, all of them have to be the same agent, so that none is lost or passed off as another.

use attorn_core::provider::shown;
use attorn_core::{AgentId, AgentNaming, ClientId};
use attorn_identity::issuer_token::{Claims, IssuerTokenError};
use attorn_store::records::ProviderRecord;
use serde_json::Value;

use super::Refused;

/// The agent that a token is for.
pub(super) fn named(record: &ProviderRecord, claims: &Claims) -> Result<AgentId, Refused> {
    let (may_act, act) = (actor(record, claims, "may_act")?, actor(record, claims, "act")?);
    let (claim, value) = match record.names_agent_by {
        AgentNaming::MayAct => ("may_act", may_act),
        AgentNaming::Act => ("act", act),
        AgentNaming::ClientId => ("client_id", one_client(claims, "client_id")?),
        AgentNaming::Azp => ("azp", one_client(claims, "azp")?),
    };
    let value = value.ok_or(Refused::AgentNotNamed(claim))?;
    let unknown = || Refused::NoRegisteredAgent { claim, value: shown(value) };
    let agent = agent_of(record, value).ok_or_else(unknown)?;
    for (claim, other) in [("may_act", may_act), ("act", act)] {
        if other.is_some_and(|other| agent_of(record, other) != Some(agent)) {
            return Err(Refused::AnotherActor(claim));
        }
    }
    Ok(agent.clone())
}

/// The client that a user's own token was issued to. Nobody else may act with it.
pub(super) fn user_client(record: &ProviderRecord, claims: &Claims) -> Result<ClientId, Refused> {
    if let Some(claim) = ["act", "may_act"].into_iter().find(|claim| claims.get(claim).is_some()) {
        return Err(Refused::NotTheUser(claim));
    }
    let client = match one_client(claims, "client_id")? {
        Some(client) => client,
        None => one_client(claims, "azp")?.ok_or(IssuerTokenError::ClaimMissing("client_id"))?,
    };
    let client = client.parse::<ClientId>().ok().filter(|client| record.user_clients.contains(client));
    client.filter(|client| !record.clients.contains_key(client)).ok_or(Refused::NotAUserClient)
}

fn agent_of<'a>(record: &'a ProviderRecord, value: &str) -> Option<&'a AgentId> {
    value.parse::<ClientId>().ok().and_then(|client| record.clients.get(&client))
}

/// What this claim says, where `client_id` and `azp` do not say two things.
fn one_client<'a>(claims: &'a Claims, claim: &'static str) -> Result<Option<&'a str>, Refused> {
    match (claims.text("client_id")?, claims.text("azp")?) {
        (Some(one), Some(other)) if one != other => {
            Err(Refused::AnotherActor(if claim == "azp" { "client_id" } else { "azp" }))
        }
        (client_id, azp) => Ok(if claim == "azp" { azp } else { client_id }),
    }
}

/// The `sub` of `act` or `may_act`, if that is there.
fn actor<'a>(record: &ProviderRecord, claims: &'a Claims, claim: &'static str) -> Result<Option<&'a str>, Refused> {
    let Some(value) = claims.get(claim) else { return Ok(None) };
    let malformed = || Refused::ActorMalformed(claim);
    let members = value.as_object().ok_or_else(malformed)?;
    if members.contains_key("act") {
        return Err(Refused::ActorChain);
    }
    // Names are the provider's own: the same text of another issuer is somebody else.
    if members.get("iss").is_some_and(|issuer| issuer != record.issuer.as_str()) {
        return Err(Refused::AnotherActor(claim));
    }
    members.get("sub").and_then(Value::as_str).ok_or_else(malformed).map(Some)
}
