//! Agents that show an X.509-SVID at an OAuth endpoint (RFC 8705): the connection says who they are, and what they
//! get is bound to the certificate, unless a proof by a key of theirs asks for more (RFC 9449, section 5).
//!
//! How a certificate is verified, and whose it is, is the business of `http::certificate`; here is only what it means
//! beside the rest that a client sends. Resource servers are known by their keys, whatever their connection shows.

use attorn_api::PROOF_HEADER;
use attorn_api::oauth::OAuthCode;
use attorn_core::{AgentId, IdentitySubject, KeyBinding};

use super::client::{self, live_keys, proven};
use crate::app::App;
use crate::http::access::{Shown, Signed};
use crate::http::call::{AgentCaller, Caller};
use crate::http::certificate;
use crate::http::failure::Failure;
use crate::refusals::Party;

/// The agent that calls: by an assertion, by the certificate of its connection, or by both where both come. Then both
/// have to be good, and of the same agent.
pub(crate) async fn agent(app: &App, shown: Shown<'_>, signed: &Signed<'_>) -> Result<Caller, Failure> {
    let Shown { headers, certificates, .. } = shown;
    let Some(certificates) = certificates else { return client::agent(app, headers, signed).await };
    let certified = certificate::agent(app, certificates).await?;
    let says = |name: &str| signed.form.is_some_and(|form| form.get(name).is_some());
    if !says("client_assertion") && !says("client_assertion_type") {
        let party = Party::Agent(id(&certified).clone());
        let caller = alone(app, shown, signed, certified).map_err(|failure| failure.of_party(party))?;
        return Ok(Caller::Agent(Box::new(caller)));
    }
    let party = || Party::Agent(id(&certified).clone());
    let caller = client::agent(app, headers, signed).await.map_err(|failure| failure.of_party(party()))?;
    match &caller {
        Caller::Agent(asserted) if id(asserted) == id(&certified) => Ok(caller),
        _ => Err(invalid("the client assertion is of another agent than the client certificate").of_party(party())),
    }
}

/// No assertion came: the certificate is all that says who it is (`tls_client_auth`).
fn alone(
    app: &App,
    Shown { headers, .. }: Shown<'_>,
    signed: &Signed<'_>,
    mut certified: AgentCaller,
) -> Result<AgentCaller, Failure> {
    let client = signed.form.and_then(|form| form.get("client_id")).ok_or_else(|| {
        let detail = "`client_id` is missing; a client certificate without an assertion needs it";
        Failure::oauth(OAuthCode::InvalidRequest, detail)
    })?;
    if client != id(&certified).as_str() && !is_shown(&certified, client) {
        return Err(invalid("`client_id` is another client than the client certificate's"));
    }
    if headers.contains_key(PROOF_HEADER) {
        // Who sends a proof wants what it gets bound to that key. The certificate still says who it is.
        certified.thumbprint = proven(app, headers, signed, &live_keys(&certified.agent.value, app.clock.now()))?;
        if let Some(identity) = &mut certified.identity {
            identity.binding = KeyBinding::Jkt;
        }
    }
    Ok(certified)
}

fn id(caller: &AgentCaller) -> &AgentId {
    &caller.agent.value.agent().id
}

/// Whether this is the SPIFFE ID that the certificate shows.
fn is_shown(caller: &AgentCaller, client: &str) -> bool {
    let shown = caller.identity.as_ref().map(|identity| &identity.subject);
    matches!(shown, Some(IdentitySubject::Spiffe(id)) if id.as_str() == client)
}

fn invalid(detail: &str) -> Failure {
    Failure::oauth(OAuthCode::InvalidClient, detail)
}
