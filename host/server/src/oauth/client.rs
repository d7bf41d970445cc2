//! Who calls an OAuth endpoint: a client that authenticates with an assertion (RFC 7523) and, where tokens are
//! issued, *also* proves possession of a key (RFC 9449), both by keys that are registered for it, and each accepted
//! once. Introspection and revocation give nothing out that a key is bound to, and clients send no proof there; one
//! that comes has to be good. An agent may show a JWT-SVID (`svid`) or a workload's token (`workload`) as its
//! assertion, always beside a proof.
//!
//! Clients are agents, and resource servers where they introspect. What they may do is not decided here.

use std::collections::BTreeMap;

use attorn_api::oauth::OAuthCode;
use attorn_api::{PROOF_HEADER, ProblemCode};
use attorn_core::context::AuthenticationMethod;
use attorn_core::{AgentId, JsonText, KeyThumbprint, ResourceServerId, TimeMs};
use attorn_identity::client_assertion::JWT_BEARER;
use attorn_identity::{AssertionExpectation, BodyDigest, UnverifiedAssertion};
use attorn_store::Key;
use attorn_store::records::{AgentRecord, ResourceServerRecord};
use axum::http::HeaderMap;

use super::error::{of_assertion, unknown_client};
use super::metadata;
use super::svid::{self, JWT_SPIFFE};
use super::workload;
use crate::app::App;
use crate::http::access::{Signed, proof, verified};
use crate::http::call::{AgentCaller, Caller};
use crate::http::failure::Failure;
use crate::refusals::Party;

/// The digest of the body is for other routes: what clients make by RFC 9449 does here.
const PROOF_HELP: &str = "sign method, URL and the server's nonce with a registered key (RFC 9449)";

/// The keys that are registered for a client and have not expired.
pub(super) type Keys<'a> = BTreeMap<&'a KeyThumbprint, &'a JsonText>;

/// The agent that calls.
pub(crate) async fn agent(app: &App, headers: &HeaderMap, signed: &Signed<'_>) -> Result<Caller, Failure> {
    if let Some(form) = signed.form.filter(|form| form.get("client_assertion_type") == Some(JWT_SPIFFE)) {
        return svid::agent(app, headers, signed, form).await;
    }
    if let Some(form) = signed.form.filter(|form| workload::came(form)) {
        return workload::agent(app, headers, signed, form).await;
    }
    let assertion = assertion(app, signed)?;
    let agent = match assertion.client().parse::<AgentId>() {
        Ok(id) => app.store.record::<AgentRecord>(&Key::agent(&id)).await?,
        Err(_) => None,
    };
    let keys = agent.as_ref().map(|agent| live_keys(&agent.value, app.clock.now())).unwrap_or_default();
    let thumbprint = accept(app, headers, signed, assertion, &keys);
    // There is none unless one of its keys signed.
    let agent = agent.ok_or_else(unknown_client)?;
    let party = || Party::Agent(agent.value.agent().id.clone());
    let thumbprint = thumbprint.map_err(|refused| refused.of(party))?;
    let method = AuthenticationMethod::PrivateKeyJwt;
    Ok(Caller::Agent(Box::new(AgentCaller { agent, method, thumbprint, identity: None })))
}

/// The keys of an agent that have not expired.
pub(super) fn live_keys(agent: &AgentRecord, now: TimeMs) -> Keys<'_> {
    let lives = |thumbprint: &KeyThumbprint| agent.agent().key(thumbprint).is_some_and(|key| now < key.expires_at);
    agent.jwks().iter().filter(|(thumbprint, _)| lives(thumbprint)).collect()
}

/// The resource server that calls.
pub(crate) async fn resource_server(app: &App, headers: &HeaderMap, signed: &Signed<'_>) -> Result<Caller, Failure> {
    let assertion = assertion(app, signed)?;
    let stored = match assertion.client().parse::<ResourceServerId>() {
        Ok(id) => app.store.record::<ResourceServerRecord>(&Key::resource_server(&id)).await?,
        Err(_) => None,
    };
    let stored = stored.filter(|stored| stored.value.revoked_at.is_none());
    let keys = stored.iter().map(|stored| (&stored.value.server.key_thumbprint, &stored.value.jwk)).collect();
    let accepted = accept(app, headers, signed, assertion, &keys);
    let id = &stored.as_ref().ok_or_else(unknown_client)?.value.server.id;
    accepted.map_err(|refused| refused.of(|| Party::ResourceServer(id.clone())))?;
    Ok(Caller::ResourceServer(id.clone()))
}

/// The assertion that came, of the right form, for this server and now. Whose it is was not looked up before that, so
/// strangers are told the same of a client that there is and of one that there is not.
fn assertion(app: &App, signed: &Signed<'_>) -> Result<UnverifiedAssertion, Failure> {
    let invalid = |detail: &str| Failure::oauth(OAuthCode::InvalidClient, detail);
    let form = signed.form.ok_or_else(|| Failure::internal("a client is to authenticate where there is no form"))?;
    let (assertion_type, assertion) = (form.get("client_assertion_type"), form.get("client_assertion"));
    let (Some(assertion_type), Some(assertion)) = (assertion_type, assertion) else {
        return Err(invalid("`client_assertion_type` and `client_assertion` are needed (private_key_jwt)"));
    };
    if assertion_type != JWT_BEARER {
        return Err(invalid("`client_assertion_type` is not one that this server takes"));
    }
    let parsed = UnverifiedAssertion::parse(assertion).map_err(|error| invalid(&error.to_string()))?;
    if form.get("client_id").is_some_and(|client| client != parsed.client()) {
        return Err(invalid("`client_id` is another client than the assertion's"));
    }
    expecting(app, signed, |expectation| parsed.check(expectation)).map_err(|error| of_assertion(app, error))?;
    Ok(parsed)
}

/// Do something with what an assertion has to say.
fn expecting<T>(app: &App, signed: &Signed<'_>, what: impl FnOnce(&AssertionExpectation<'_>) -> T) -> T {
    let issuer = app.config.public_url.as_str();
    let endpoint = format!("{issuer}{}", signed.path);
    what(&AssertionExpectation { audiences: [issuer, &endpoint], now: app.clock.now() })
}

/// Whether a proof has to come: where tokens are issued. What is issued is bound to its key.
fn needs_proof(path: &str) -> bool {
    path == metadata::TOKEN
}

/// Why an assertion and what came with it are not accepted.
enum NotAccepted {
    /// No key of the client's signed the assertion.
    Stranger(Failure),
    /// One did, and something else is no good.
    Client(Failure),
}

impl NotAccepted {
    fn of(self, client: impl FnOnce() -> Party) -> Failure {
        match self {
            Self::Stranger(failure) => failure,
            Self::Client(failure) => failure.of_party(client()),
        }
    }
}

/// Verify assertion and proof, and accept both, this once. An assertion is not spent on a proof that is no
/// good: the client may have to send it again with the nonce that it is told.
///
/// Where there is no such client, or no such key of its, a signature is checked all the same: else the time that the
/// answer takes would tell which clients there are.
fn accept(
    app: &App,
    headers: &HeaderMap,
    signed: &Signed<'_>,
    assertion: UnverifiedAssertion,
    keys: &Keys<'_>,
) -> Result<KeyThumbprint, NotAccepted> {
    let named = signing_key(&assertion, keys);
    let key = named.map(|(thumbprint, jwk)| app.keys.of(thumbprint, jwk.as_str())).transpose();
    let key = key.map_err(NotAccepted::Stranger)?;
    let assertion = expecting(app, signed, |expectation| assertion.verify(key.as_ref(), expectation));
    let assertion = assertion.map_err(|error| NotAccepted::Stranger(of_assertion(app, error)))?;

    let thumbprint = if needs_proof(signed.path) || headers.contains_key(PROOF_HEADER) {
        proven(app, headers, signed, keys).map_err(NotAccepted::Client)?
    } else {
        assertion.key().clone()
    };
    let accepted = app.assertions.accept(assertion, app.clock.now());
    accepted.map_err(|error| NotAccepted::Client(of_assertion(app, error)))?;
    Ok(thumbprint)
}

/// Verify the proof that came, by one of the client's keys, and accept it this once: the key that signed it.
pub(super) fn proven(
    app: &App,
    headers: &HeaderMap,
    signed: &Signed<'_>,
    keys: &Keys<'_>,
) -> Result<KeyThumbprint, Failure> {
    let proof = proof(headers).map_err(|failure| match failure.problem.code {
        ProblemCode::ProofMissing => failure.with_help(PROOF_HELP),
        _ => failure,
    })?;
    let jwk = keys.get(proof.thumbprint()).ok_or_else(|| {
        let detail = "the key that signed the proof is not registered for this client, or has expired";
        Failure::oauth(OAuthCode::InvalidDpopProof, detail)
    })?;
    let proof = verified(app, proof, jwk.as_str(), signed, BodyDigest::IfPresent)?;
    Ok(app.replay.accept(proof, app.clock.now())?.thumbprint().clone())
}

/// The key that the assertion names, or the only one that there is.
fn signing_key<'a>(assertion: &UnverifiedAssertion, keys: &Keys<'a>) -> Option<(&'a KeyThumbprint, &'a JsonText)> {
    let (thumbprint, jwk) = match assertion.kid() {
        Some(kid) => keys.get_key_value(&kid.parse::<KeyThumbprint>().ok()?),
        // One of several is not guessed. Whether there are several is told to nobody.
        None => keys.iter().next().filter(|_| keys.len() == 1),
    }?;
    Some((*thumbprint, *jwk))
}
