//! The agent of an identity that a token showed, beside a proof.
//!
//! Whoever holds such a token can show it, so it says who an agent is only beside a proof by a key that is registered
//! for that agent, at every endpoint. That somebody vouches for the token was checked before: only then is it looked
//! up whose identity it shows, so strangers learn nothing of which agents are registered.

use attorn_core::context::AuthenticationMethod;
use attorn_core::{IdentityMethod, IdentitySubject, KeyBinding};
use attorn_store::Key;
use attorn_store::records::{AgentRecord, IdentityOwnerRecord};
use axum::http::HeaderMap;

use super::client::{live_keys, proven};
use super::error::{invalid_client, unknown_client};
use super::form::Form;
use crate::app::App;
use crate::holders::ShownIdentity;
use crate::http::access::Signed;
use crate::http::call::{AgentCaller, Caller};
use crate::http::failure::Failure;
use crate::refusals::Party;

/// An identity that somebody vouched for, now and to this server alone.
pub(super) struct Vouched {
    pub(super) subject: IdentitySubject,
    /// The record of who did, and its version.
    pub(super) by: (Key, u64),
}

/// The agent whose identity it is, if it proves possession of a key of its own.
pub(super) async fn agent(
    app: &App,
    (headers, signed): (&HeaderMap, &Signed<'_>),
    form: &Form,
    Vouched { subject, by }: Vouched,
) -> Result<Caller, Failure> {
    let owner = app.store.record::<IdentityOwnerRecord>(&IdentityOwnerRecord::key_of(&subject)).await?;
    let owner = owner.ok_or_else(unknown_client)?.value.agent;
    let agent = app.store.record::<AgentRecord>(&Key::agent(&owner)).await?.ok_or_else(unknown_client)?;
    agent.value.agent().identity(&subject, IdentityMethod::Jwt).ok_or_else(unknown_client)?;
    let named = match &subject {
        IdentitySubject::Spiffe(id) => id.as_str(),
        IdentitySubject::Workload { subject, .. } => subject.as_str(),
    };
    if form.get("client_id").is_some_and(|client| client != named && client != owner.as_str()) {
        return Err(invalid_client("`client_id` is another client than the token's").of_party(Party::Agent(owner)));
    }
    let thumbprint = proven(app, headers, signed, &live_keys(&agent.value, app.clock.now()));
    let thumbprint = thumbprint.map_err(|failure| failure.of_party(Party::Agent(owner)))?;
    let method = AuthenticationMethod::PrivateKeyJwt;
    let identity = ShownIdentity {
        subject,
        method: IdentityMethod::Jwt,
        vouched_by: by,
        certificate_expires_at: None,
        binding: KeyBinding::Jkt,
    };
    Ok(Caller::Agent(Box::new(AgentCaller { agent, method, thumbprint, identity: Some(identity) })))
}
