//! Agents that show a JWT-SVID as their client assertion (draft-ietf-oauth-spiffe-client-auth).
//!
//! Whoever holds a JWT-SVID can show it, so it says who an agent is only beside a proof by a key that is registered
//! for that agent, at every endpoint. Only after a trust domain has vouched for it is it looked up whose identity it
//! shows: strangers learn nothing of which agents are registered. That
//! a trust domain is, they can tell.

use attorn_api::oauth::OAuthCode;
use attorn_core::context::AuthenticationMethod;
use attorn_core::{IdentityMethod, IdentitySubject, SpiffeId};
use attorn_identity::svid::{JwtSvidKey, SvidError, UnverifiedJwtSvid};
use attorn_store::Key;
use attorn_store::records::{AgentRecord, IdentityOwnerRecord, TrustDomainRecord};
use axum::http::HeaderMap;

use super::client::{live_keys, proven};
use super::error::unknown_client;
use super::form::Form;
use crate::app::App;
use crate::holders::ShownIdentity;
use crate::http::access::Signed;
use crate::http::call::{AgentCaller, Caller};
use crate::http::failure::Failure;

/// The `client_assertion_type` of a JWT-SVID.
pub(super) const JWT_SPIFFE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-spiffe";

/// The agent whose JWT-SVID came.
pub(super) async fn agent(app: &App, headers: &HeaderMap, signed: &Signed<'_>, form: &Form) -> Result<Caller, Failure> {
    let compact = form.get("client_assertion").ok_or_else(|| invalid("`client_assertion` is needed"))?;
    let (id, trust_domain_version) = vouched_for(app, compact).await?;
    let subject = IdentitySubject::Spiffe(id.clone());
    let owner = app.store.record::<IdentityOwnerRecord>(&IdentityOwnerRecord::key_of(&subject)).await?;
    let owner = owner.ok_or_else(unknown_client)?.value.agent;
    let agent = app.store.record::<AgentRecord>(&Key::agent(&owner)).await?.ok_or_else(unknown_client)?;
    agent.value.agent().identity(&subject, IdentityMethod::Jwt).ok_or_else(unknown_client)?;
    if form.get("client_id").is_some_and(|client| client != id.as_str() && client != owner.as_str()) {
        return Err(invalid("`client_id` is another client than the JWT-SVID's"));
    }
    let thumbprint = proven(app, headers, signed, &live_keys(&agent.value, app.clock.now()))?;
    let method = AuthenticationMethod::PrivateKeyJwt;
    let identity = ShownIdentity { subject, trust_domain_version, certificate_expires_at: None };
    Ok(Caller::Agent(Box::new(AgentCaller { agent, method, thumbprint, identity: Some(identity) })))
}

/// Whom a JWT-SVID names, if a trust domain that counts vouches for it now, and to this server alone; and that trust
/// domain's version.
async fn vouched_for(app: &App, compact: &str) -> Result<(SpiffeId, u64), Failure> {
    let svid = UnverifiedJwtSvid::parse(compact).map_err(|error| refused(&error))?;
    let domain = svid.spiffe_id().trust_domain().clone();
    let trusted = app.store.record::<TrustDomainRecord>(&Key::trust_domain(&domain)).await?;
    let trusted = trusted.filter(|found| found.value.revoked_at.is_none()).ok_or_else(unknown_client)?;
    let keys = trusted.value.jwt_keys().iter().map(|key| JwtSvidKey::parse(key.jwk.as_str()));
    let keys: Vec<_> = keys.collect::<Result<_, _>>().map_err(Failure::internal)?;
    let svid = svid.verify(&domain, &keys, &app.config.public_url, app.clock.now()).map_err(|error| refused(&error))?;
    Ok((svid.spiffe_id().clone(), trusted.version))
}

fn refused(error: &SvidError) -> Failure {
    invalid(&format!("the JWT-SVID is refused (`{}`): {error}", error.code()))
}

fn invalid(detail: &str) -> Failure {
    Failure::oauth(OAuthCode::InvalidClient, detail)
}
