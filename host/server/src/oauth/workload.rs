//! Agents that show a workload's token as their client assertion (RFC 7523, section 3): one that Kubernetes or a cloud
//! issued, beside a proof (`vouched`).
//!
//! Such an assertion speaks of another than its issuer, which a client's own (`private_key_jwt`) never does. That is
//! how the two are told apart. It may come more than once, as it lives for hours and nobody can have another made for
//! each request; each time a proof has to come with it.
//!
//! That a workload issuer is registered, strangers can tell.

use attorn_core::{IdentitySubject, Issuer, WorkloadSubject};
use attorn_identity::client_assertion::{JWT_BEARER, is_about_another};
use attorn_identity::issuer_token::{
    Claims, IssuerKeys, IssuerTokenError, TokenExpectation, TokenKind, UnverifiedToken,
};
use attorn_store::records::Record as _;
use axum::http::HeaderMap;

use super::error::invalid_client;
use super::form::Form;
use super::vouched::{self, Vouched};
use crate::app::App;
use crate::http::access::Signed;
use crate::http::call::Caller;
use crate::http::failure::Failure;
use crate::registry::workload_issuers;

/// Whether what came is a workload's token.
pub(super) fn came(form: &Form) -> bool {
    form.get("client_assertion_type") == Some(JWT_BEARER) && form.get("client_assertion").is_some_and(is_about_another)
}

/// The agent whose workload's token came.
pub(super) async fn agent(app: &App, headers: &HeaderMap, signed: &Signed<'_>, form: &Form) -> Result<Caller, Failure> {
    let compact = form.get("client_assertion").ok_or_else(|| invalid_client("`client_assertion` is needed"))?;
    vouched::agent(app, (headers, signed), form, vouched_for(app, compact).await?).await
}

/// Whom a token names, if a workload issuer that counts vouches for it now, and to this server alone.
async fn vouched_for(app: &App, compact: &str) -> Result<Vouched, Failure> {
    let token = UnverifiedToken::parse(compact).map_err(refused)?;
    let found = workload_issuers::of_issuer(app, token.issuer()).await?;
    let found = found.filter(|found| found.value.revoked_at.is_none()).ok_or_else(unknown_issuer)?;
    let record = &found.value;
    let parse = || IssuerKeys::parse(record.jwks().as_str().as_bytes()).map_err(Failure::internal);
    let keys = app.issuer_keys.of(record.id().as_str(), found.version, parse)?;
    let expect = TokenExpectation {
        issuer: record.issuer().as_str(),
        kind: TokenKind::Workload,
        algorithms: record.algorithms(),
        audiences: &[&app.config.public_url],
        now: app.clock.now(),
    };
    let claims = token.verify(&keys, &expect).map_err(refused)?;
    let subject = named(record.issuer(), &claims).map_err(refused)?;
    Ok(Vouched { subject, by: (record.key(), found.version) })
}

fn named(issuer: &Issuer, claims: &Claims) -> Result<IdentitySubject, IssuerTokenError> {
    let subject = claims.text("sub")?.ok_or(IssuerTokenError::ClaimMissing("sub"))?;
    let subject: WorkloadSubject = subject.parse().map_err(|_| IssuerTokenError::ClaimMalformed("sub"))?;
    Ok(IdentitySubject::Workload { issuer: issuer.clone(), subject })
}

fn refused(error: IssuerTokenError) -> Failure {
    invalid_client(&format!("the workload's token is refused (`{}`): {error}", error.code()))
}

fn unknown_issuer() -> Failure {
    invalid_client(
        "the client assertion's `iss` and `sub` are two, so it is a workload's token, and no workload issuer with this \
         `iss` is registered, byte by byte, and not revoked",
    )
}
