//! Agents that show a JWT-SVID as their client assertion (draft-ietf-oauth-spiffe-client-auth), beside a proof
//! (`vouched`).
//!
//! That a trust domain is registered, strangers can tell.

use attorn_core::{IdentitySubject, SpiffeId};
use attorn_identity::svid::{JwtSvidKey, SvidError, UnverifiedJwtSvid};
use attorn_store::Key;
use attorn_store::records::TrustDomainRecord;
use axum::http::HeaderMap;

use super::error::{invalid_client, unknown_client};
use super::form::Form;
use super::vouched::{self, Vouched};
use crate::app::App;
use crate::http::access::Signed;
use crate::http::call::Caller;
use crate::http::failure::Failure;

/// The `client_assertion_type` of a JWT-SVID.
pub(super) const JWT_SPIFFE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-spiffe";

/// The agent whose JWT-SVID came.
pub(super) async fn agent(app: &App, headers: &HeaderMap, signed: &Signed<'_>, form: &Form) -> Result<Caller, Failure> {
    let compact = form.get("client_assertion").ok_or_else(|| invalid_client("`client_assertion` is needed"))?;
    let (id, version) = vouched_for(app, compact).await?;
    let by = (Key::trust_domain(id.trust_domain()), version);
    vouched::agent(app, (headers, signed), form, Vouched { subject: IdentitySubject::Spiffe(id), by }).await
}

/// Whom a JWT-SVID names, if a trust domain that counts vouches for it now, and to this server alone; and that trust
/// domain's version.
async fn vouched_for(app: &App, compact: &str) -> Result<(SpiffeId, u64), Failure> {
    let svid = UnverifiedJwtSvid::parse(compact).map_err(|error| refused(&error))?;
    let domain = svid.spiffe_id().trust_domain().clone();
    let trusted = app.store.record::<TrustDomainRecord>(&Key::trust_domain(&domain)).await?;
    let trusted = trusted.filter(|found| found.value.revoked_at.is_none()).ok_or_else(unknown_client)?;
    let keys = || trusted.value.jwt_keys().iter().map(|key| JwtSvidKey::parse(key.jwk.as_str()));
    let parse = || keys().collect::<Result<_, _>>().map_err(Failure::internal);
    let keys = app.domain_keys.of(domain.as_str(), trusted.version, parse)?;
    let svid = svid.verify(&domain, &keys, &app.config.public_url, app.clock.now()).map_err(|error| refused(&error))?;
    Ok((svid.spiffe_id().clone(), trusted.version))
}

fn refused(error: &SvidError) -> Failure {
    invalid_client(&format!("the JWT-SVID is refused (`{}`): {error}", error.code()))
}
