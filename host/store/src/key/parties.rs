//! Keys of those who ask and of those who answer for them: agents, operators, users, providers, resource servers.

use attorn_core::{
    AgentId, Digest, EntitlementHolder, KeyThumbprint, OperatorId, ProviderId, ResourceServerId, ResourceType,
    SessionId, TrustDomain, UserId, WorkloadIssuerId,
};

use super::{Key, KeyKind};

impl Key {
    /// An agent's record.
    #[must_use]
    pub fn agent(id: &AgentId) -> Self {
        Self::of(KeyKind::Agent, &[id.as_str()])
    }

    /// Whose a public key is.
    #[must_use]
    pub fn key_owner(thumbprint: &KeyThumbprint) -> Self {
        Self::of(KeyKind::KeyOwner, &[thumbprint.as_str()])
    }

    /// Whose an identity is, of which this is the digest: [`crate::records::IdentityOwnerRecord::digest_of`].
    #[must_use]
    pub fn identity_owner(subject_digest: &Digest) -> Self {
        Self::of(KeyKind::IdentityOwner, &[&subject_digest.to_string()])
    }

    /// A trust domain's record.
    #[must_use]
    pub fn trust_domain(id: &TrustDomain) -> Self {
        Self::of(KeyKind::TrustDomain, &[id.as_str()])
    }

    /// A workload issuer's record.
    #[must_use]
    pub fn workload_issuer(id: &WorkloadIssuerId) -> Self {
        Self::of(KeyKind::WorkloadIssuer, &[id.as_str()])
    }

    /// Which workload issuer tokens name in `iss`, of which this is the digest:
    /// [`crate::records::WorkloadIssuerNameRecord::digest_of`].
    #[must_use]
    pub fn workload_issuer_name(issuer_digest: &Digest) -> Self {
        Self::of(KeyKind::WorkloadIssuerName, &[&issuer_digest.to_string()])
    }

    /// An operator's record.
    #[must_use]
    pub fn operator(id: &OperatorId) -> Self {
        Self::of(KeyKind::Operator, &[id.as_str()])
    }

    /// Whose the operator token with this digest is.
    #[must_use]
    pub fn operator_token(token: &Digest) -> Self {
        Self::of(KeyKind::OperatorToken, &[&token.to_string()])
    }

    /// A provider's record.
    #[must_use]
    pub fn provider(id: &ProviderId) -> Self {
        Self::of(KeyKind::Provider, &[id.as_str()])
    }

    /// Which provider an issuer is, of which this is the digest:
    /// [`crate::records::ProviderIssuerRecord::digest_of_issuer`].
    #[must_use]
    pub fn provider_issuer(issuer_digest: &Digest) -> Self {
        Self::of(KeyKind::ProviderIssuer, &[&issuer_digest.to_string()])
    }

    /// A resource server's record.
    #[must_use]
    pub fn resource_server(id: &ResourceServerId) -> Self {
        Self::of(KeyKind::ResourceServer, &[id.as_str()])
    }

    /// Whose a type of resource is.
    #[must_use]
    pub fn resource_type(resource_type: &ResourceType) -> Self {
        Self::of(KeyKind::ResourceType, &[resource_type.as_str()])
    }

    /// A user's record.
    #[must_use]
    pub fn user(id: &UserId) -> Self {
        Self::of(KeyKind::User, &[id.as_str()])
    }

    /// That a user was erased.
    #[must_use]
    pub fn erasure(user: &UserId) -> Self {
        Self::of(KeyKind::Erasure, &[user.as_str()])
    }

    /// Which user goes by a name, of which this is the keyed hash.
    #[must_use]
    pub fn user_name(name: &Digest) -> Self {
        Self::of(KeyKind::UserName, &[&name.to_string()])
    }

    /// A session's record.
    #[must_use]
    pub fn session(id: &SessionId) -> Self {
        Self::of(KeyKind::Session, &[id.as_str()])
    }

    /// Which session goes by a name, of which this is the keyed hash.
    #[must_use]
    pub fn session_name(name: &Digest) -> Self {
        Self::of(KeyKind::SessionName, &[&name.to_string()])
    }

    /// That somebody logged out who is nobody here yet; the digest is the keyed hash of their name.
    #[must_use]
    pub fn logout(name: &Digest) -> Self {
        Self::of(KeyKind::Logout, &[&name.to_string()])
    }

    /// What a user, a group or everyone of a provider may do. A group's name may hold any character, so it
    /// stands here as a digest, with its issuer before it.
    #[must_use]
    pub fn entitlement(holder: &EntitlementHolder) -> Self {
        match holder {
            EntitlementHolder::User(user) => Self::of(KeyKind::Entitlement, &["user", user.as_str()]),
            EntitlementHolder::Everyone(issuer) => Self::of(KeyKind::Entitlement, &["everyone", issuer.as_str()]),
            EntitlementHolder::Group { issuer, name } => {
                let name = blake3::derive_key("attorn group name v1", name.as_bytes());
                let name = Digest::from_bytes(name).to_string();
                Self::of(KeyKind::Entitlement, &["group", issuer.as_str(), &name])
            }
        }
    }
}
