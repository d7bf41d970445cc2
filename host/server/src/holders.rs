//! Who holds what is granted: the key or the certificate that an agent showed, as it stands now.
//!
//! That it was shown, and is whose it says, was checked when the agent was authenticated (`http::access`).
//! What is asked here is whether it still counts, and what a commit has to name so that it does then.

use attorn_api::ProblemCode;
use attorn_core::{Agent, Grant, Holder, IdentityMethod, IdentitySubject, KeyBinding, KeyThumbprint, TimeMs};
use attorn_store::records::{Record as _, TrustDomainRecord, WorkloadIssuerNameRecord};
use attorn_store::{Key, Require};

use crate::app::App;
use crate::http::failure::Failure;
use crate::registry::workload_issuers;

/// An identity that an agent showed by an SVID or a workload's token.
#[derive(Debug, Clone)]
pub(crate) struct ShownIdentity {
    /// Who it says the agent is.
    pub(crate) subject: IdentitySubject,
    /// How it was shown.
    pub(crate) method: IdentityMethod,
    /// The record of who vouched for it, a trust domain or a workload issuer, and its version.
    pub(crate) vouched_by: (Key, u64),
    /// From when on the certificate does not count any more, if it was one.
    pub(crate) certificate_expires_at: Option<TimeMs>,
    /// What the agent gets is bound to: the certificate, or the key that signed beside what it showed.
    pub(crate) binding: KeyBinding,
}

/// The holder of what an agent is granted now; none if the agent has lost what it showed.
pub(crate) async fn now(
    app: &App,
    agent: &Agent,
    (thumbprint, identity): (&KeyThumbprint, Option<&ShownIdentity>),
    require: &mut Vec<(Key, Require)>,
) -> Result<Option<Holder>, Failure> {
    let Some(identity) = identity else { return Ok(Holder::of_key(agent, thumbprint)) };
    let Some(version) = vouching(app, &identity.subject, require).await? else { return Ok(None) };
    if version != identity.vouched_by.1 {
        // Its roots and keys may be others now; the next request is checked against them.
        let detail = "who vouched for the identity changed meanwhile; nothing was decided";
        return Err(Failure::of(ProblemCode::Contention, detail).with_help("try again"));
    }
    let shown = (&identity.subject, identity.method);
    Ok(holder(agent, shown, (identity.binding, thumbprint), identity.certificate_expires_at))
}

/// The holder of a grant; none if the agent has lost the key that the grant is bound to, or the identity that it
/// showed for it.
pub(crate) async fn of_grant(
    app: &App,
    agent: &Agent,
    grant: &Grant,
    require: &mut Vec<(Key, Require)>,
) -> Result<Option<Holder>, Failure> {
    let Some((subject, method)) = &grant.identity else { return Ok(Holder::of_key(agent, &grant.key_thumbprint)) };
    if vouching(app, subject, require).await?.is_none() {
        return Ok(None);
    }
    // No grant outlives the certificate that was shown for it.
    let bound = (grant.key_binding, &grant.key_thumbprint);
    Ok(holder(agent, (subject, *method), bound, Some(grant.expires_at)))
}

/// The holder of what was shown, as the agent has it now: it may have been revoked since, or may be shown so no more.
fn holder(
    agent: &Agent,
    (subject, method): (&IdentitySubject, IdentityMethod),
    (binding, thumbprint): (KeyBinding, &KeyThumbprint),
    certificate_expires_at: Option<TimeMs>,
) -> Option<Holder> {
    match (binding, certificate_expires_at) {
        (KeyBinding::X5tS256, Some(expires_at)) => Holder::of_certificate(agent, subject, thumbprint, expires_at),
        // Nothing is bound to a certificate of which nobody knows until when it counts.
        (KeyBinding::X5tS256, None) => None,
        (KeyBinding::Jkt, expires_at) => Holder::of_key_beside(agent, (subject, method), thumbprint)
            .map(|key| Holder { expires_at: expires_at.map_or(key.expires_at, |at| at.min(key.expires_at)), ..key }),
    }
}

/// The version of the record of who vouches for an identity; none if nobody does any more.
async fn vouching(
    app: &App,
    subject: &IdentitySubject,
    require: &mut Vec<(Key, Require)>,
) -> Result<Option<u64>, Failure> {
    let (key, found) = match subject {
        IdentitySubject::Spiffe(id) => {
            let key = Key::trust_domain(id.trust_domain());
            let found = app.store.record::<TrustDomainRecord>(&key).await?;
            (key, found.map(|found| (found.version, found.value.revoked_at)))
        }
        IdentitySubject::Workload { issuer, .. } => match workload_issuers::of_issuer(app, issuer.as_str()).await? {
            Some(found) => (found.value.key(), Some((found.version, found.value.revoked_at))),
            None => (Key::workload_issuer_name(&WorkloadIssuerNameRecord::digest_of(issuer.as_str())), None),
        },
    };
    require.push((key, found.map_or(Require::Absent, |(version, _)| Require::Version(version))));
    Ok(found.filter(|(_, revoked_at)| revoked_at.is_none()).map(|(version, _)| version))
}
