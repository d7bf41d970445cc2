//! What would come of a token beside what is in it: the agent that it names and the user have to be such that
//! something can be delegated.
//!
//! It looks with the operator's own requests and decides nothing: a delegation may still be refused, because of an
//! earlier revocation or of the policies.

use attorn_api::ProblemCode;
use attorn_api::agents::{Agent, AgentState, UserPresence};
use attorn_api::providers::{Exchanged, TokenGives};
use attorn_api::users::{NameUser, User};

use crate::failure::Failure;
use crate::operator_client::OperatorClient;

/// How a delegation stands that has not ended.
const ACTIVE: &str = "active";

/// What would come of it, for people.
pub(super) struct ComesTo {
    /// Whether anything would be delegated for any purpose.
    pub(super) something: bool,
    pub(super) lines: Vec<String>,
}

/// Look at the agent and the user of a token that is accepted.
pub(super) async fn of(client: &OperatorClient, provider: &str, gives: &TokenGives) -> Result<ComesTo, Failure> {
    let agent = match &gives.agent {
        Some(id) => found(client.get::<Agent>(&format!("/v1/agents/{id}")).await)?,
        None => None,
    };
    let mut comes_to = by_agent(gives, agent.as_ref());
    if let Some(subject) = &gives.subject {
        let name = NameUser { provider: provider.to_owned(), subject: subject.clone() };
        let user = found(client.post::<User>("/v1/users/find", &name).await)?;
        comes_to.lines.extend(by_user(user.as_ref()));
    }
    Ok(comes_to)
}

/// What there is, or that there is no such.
fn found<T>(answer: Result<T, Failure>) -> Result<Option<T>, Failure> {
    match answer {
        Err(failure) if failure.code == Some(ProblemCode::NotFound) => Ok(None),
        answer => answer.map(Some),
    }
}

fn by_agent(gives: &TokenGives, agent: Option<&Agent>) -> ComesTo {
    let name = gives.agent.as_deref().unwrap_or("-");
    let nothing = |why: String| ComesTo { something: false, lines: vec![why] };
    let Some(agent) = agent else { return nothing(format!("nothing: no agent `{name}` is registered")) };
    if agent.state != AgentState::Active {
        return nothing(format!("nothing: the agent `{name}` is not active"));
    }
    if gives.consented.is_empty() {
        return nothing("nothing: nothing that the token says is mapped".to_owned());
    }
    let mut comes_to = ComesTo { something: false, lines: Vec::new() };
    for consented in &gives.consented {
        let purpose = &consented.purpose;
        let with_user = agent.ceiling.get(purpose).is_some_and(|ceiling| ceiling.user == UserPresence::With);
        let ended = consented.exchanged.as_ref().is_some_and(|exchanged| exchanged.standing != ACTIVE);
        comes_to.something |= with_user && !ended;
        comes_to.lines.push(match &consented.exchanged {
            _ if !with_user => format!(
                "nothing for `{purpose}`: the ceiling of `{name}` lacks it with a user (`attorn agent ceiling {name} \
                 --allow '{purpose}:with-user:…'`)"
            ),
            None => format!("a delegation to `{name}` for `{purpose}`"),
            Some(exchanged) => by_exchange(purpose, exchanged),
        });
    }
    comes_to
}

/// The token was brought before for all that it consents to. For a part of that, or a shorter life, it may be brought
/// once more.
fn by_exchange(purpose: &str, Exchanged { delegation, standing }: &Exchanged) -> String {
    if standing == ACTIVE {
        return format!(
            "no other delegation for `{purpose}`: the token was exchanged for `{delegation}`, which stands"
        );
    }
    format!(
        "nothing for `{purpose}`: the token was exchanged for `{delegation}`, which has ended ({standing}), and is \
         refused a second time; the user has to sign in again"
    )
}

fn by_user(user: Option<&User>) -> Option<String> {
    let text = match user {
        None => "the user is not known yet: `attorn user register`, then `attorn user show`, says what they may do",
        Some(user) if user.entitlements.is_empty() => {
            "every action will be denied: the user has no entitlement (`attorn entitlement set`)"
        }
        Some(_) => return None,
    };
    Some(text.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn gives(purposes: &[&str]) -> TokenGives {
        let consented: Vec<Value> =
            purposes.iter().map(|purpose| json!({ "purpose": purpose, "permissions": [] })).collect();
        serde_json::from_value(json!({
            "subject": "alice", "agent": "bot", "client": null, "consented": consented, "unmapped": [],
            "session": null, "groups": null, "claims": {}, "confirmation": null, "token_id": null,
            "token_digest": "x", "issued_at_ms": 1, "expires_at_ms": 2, "authenticated_at_ms": null, "acr": null,
        }))
        .unwrap()
    }

    fn agent(state: &str, user: &str) -> Agent {
        serde_json::from_value(json!({
            "id": "bot", "owner": "o", "labels": {}, "state": state, "grant_ms_max": 1, "keys": [], "identities": [],
            "ceiling": { "serve": { "user": user, "permissions": [] } }, "history": [],
        }))
        .unwrap()
    }

    #[test]
    fn a_token_that_was_exchanged_already_says_so_and_that_a_second_time_is_refused() {
        for (standing, something, says) in [
            ("active", true, "exchanged for `dlg_1`, which stands"),
            ("delegation_revoked", false, "ended (delegation_revoked), and is refused a second time"),
        ] {
            let mut gives = gives(&["serve"]);
            let exchanged = Exchanged { delegation: "dlg_1".into(), standing: standing.into() };
            gives.consented[0].exchanged = Some(exchanged);
            let comes_to = by_agent(&gives, Some(&agent("active", "with")));
            let lines = comes_to.lines.join("\n");
            assert!(comes_to.something == something && lines.contains(says), "{lines}");
        }
    }

    #[test]
    fn a_token_of_which_nothing_would_come_is_told_from_one_that_delegates() {
        for (purposes, agent, something, says) in [
            (&["serve"][..], None, false, "no agent `bot`"),
            (&["serve"], Some(agent("suspended", "with")), false, "not active"),
            (&[], Some(agent("active", "with")), false, "mapped"),
            (&["serve"], Some(agent("active", "without")), false, "the ceiling of `bot` lacks it"),
            (&["other"], Some(agent("active", "with")), false, "nothing for `other`"),
            (&["other", "serve"], Some(agent("active", "with")), true, "a delegation to `bot` for `serve`"),
        ] {
            let comes_to = by_agent(&gives(purposes), agent.as_ref());
            let lines = comes_to.lines.join("\n");
            assert!(comes_to.something == something && lines.contains(says), "{lines}");
        }
    }
}
