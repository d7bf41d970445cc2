//! Agents that show an X.509-SVID: the connection is their proof (RFC 8705, SPIFFE X509-SVID).
//!
//! The chain is verified for each request, with the roots as they are registered then, so that a revocation
//! needs no connection to end. Only after a trust domain has vouched for a certificate is it looked up whose
//! identity it shows: strangers learn nothing of who is registered.

use attorn_api::ProblemCode;
use attorn_core::context::AuthenticationMethod;
use attorn_core::{IdentityMethod, IdentitySubject, KeyBinding};
use attorn_identity::svid::{SvidError, UnverifiedX509Svid};
use attorn_store::Key;
use attorn_store::records::{AgentRecord, IdentityOwnerRecord, TrustDomainRecord};

use crate::app::App;
use crate::holders::ShownIdentity;
use crate::http::call::AgentCaller;
use crate::http::failure::Failure;
use crate::http::tls::ClientCertificates;

/// Whose certificate it is.
pub(crate) async fn agent(app: &App, certificates: &ClientCertificates) -> Result<AgentCaller, Failure> {
    let svid = UnverifiedX509Svid::parse(certificates.0.iter().map(Vec::as_slice)).map_err(|error| invalid(&error))?;
    let domain = svid.spiffe_id().trust_domain().clone();
    let trusted = app.store.record::<TrustDomainRecord>(&Key::trust_domain(&domain)).await?.ok_or_else(unknown)?;
    if trusted.value.revoked_at.is_some() {
        return Err(refused("trust_domain_revoked", "its trust domain was revoked"));
    }
    let svid = svid.verify(&domain, trusted.value.x509_roots(), app.clock.now()).map_err(|error| invalid(&error))?;
    let subject = IdentitySubject::Spiffe(svid.spiffe_id().clone());
    let owner = app.store.record::<IdentityOwnerRecord>(&IdentityOwnerRecord::key_of(&subject)).await?;
    let owner = owner.ok_or_else(unknown)?.value.agent;
    let agent = app.store.record::<AgentRecord>(&Key::agent(&owner)).await?.ok_or_else(unknown)?;
    agent.value.agent().identity(&subject, IdentityMethod::X509).ok_or_else(unknown)?;
    let certificate_expires_at = Some(svid.expires_at());
    let vouched_by = (Key::trust_domain(&domain), trusted.version);
    let (shown, binding) = (IdentityMethod::X509, KeyBinding::X5tS256);
    let identity = ShownIdentity { subject, method: shown, vouched_by, certificate_expires_at, binding };
    let (method, thumbprint) = (AuthenticationMethod::Mtls, svid.thumbprint().clone());
    Ok(AgentCaller { agent, method, thumbprint, identity: Some(identity) })
}

fn invalid(error: &SvidError) -> Failure {
    refused(error.code(), &error.to_string())
}

fn refused(code: &str, why: &str) -> Failure {
    Failure::of(ProblemCode::CertificateInvalid, format!("the client certificate is refused (`{code}`): {why}"))
        .with_help("show an X.509-SVID that its trust domain signed, or no certificate and a proof")
}

fn unknown() -> Failure {
    Failure::of(ProblemCode::UnknownIdentity, "the identity that the client certificate shows is not registered")
        .with_help("a registrar adds it: `attorn trust-domain register`, `attorn agent identity add --method x509`")
}
