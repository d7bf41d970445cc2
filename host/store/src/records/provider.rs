//! Providers of users, and which provider an issuer is.

use std::collections::{BTreeMap, BTreeSet};

use attorn_core::{
    ActionPattern, AgentId, AgentNaming, Audience, ClaimName, ClientId, ConsentMapping, DetailMapping, DetailName,
    Digest, Issuer, IssuerAlgorithm, Permission, ProviderId, ProviderTokenType, Purpose, ResourcePattern,
    ResourcePrefix, ScopeName, TimeMs,
};
use serde::{Deserialize, Serialize};

use super::codec::{self, Record, RecordError, Text};
use crate::key::Key;

/// An `OpenID` provider that is trusted, and what its tokens mean here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderRecord {
    /// Its id.
    pub id: ProviderId,
    /// What its tokens say in `iss`, byte by byte. It never changes.
    pub issuer: Issuer,
    /// What tokens say in `aud` that are exchanged for delegations.
    pub audience: Audience,
    /// How its tokens may be signed.
    pub algorithms: BTreeSet<IssuerAlgorithm>,
    /// What its access tokens say in `typ`.
    pub token_type: ProviderTokenType,
    /// Which claim names the agent.
    pub names_agent_by: AgentNaming,
    /// Which agent each value of that claim names.
    pub clients: BTreeMap<ClientId, AgentId>,
    /// What its scopes come to.
    pub scopes: BTreeMap<ScopeName, ConsentMapping>,
    /// What its types of `authorization_details` come to.
    pub authorization_details: BTreeMap<DetailName, DetailMapping>,
    /// Which claim holds the user's groups; none where no claim does.
    pub groups_claim: Option<ClaimName>,
    /// Which claim names the session.
    pub session_claim: ClaimName,
    /// Which claims policies are shown.
    pub claims: BTreeSet<ClaimName>,
    /// The longest that a delegation of its users may last, in milliseconds.
    pub delegation_ms_max: u64,
    /// What tokens say in `aud` with which users see and revoke what they delegated; none where they do not.
    pub user_audience: Option<Audience>,
    /// The clients that such tokens may be for. None of them is an agent's.
    pub user_clients: BTreeSet<ClientId>,
    /// When it was registered.
    pub created_at: TimeMs,
    /// When it was revoked, if it was. It stays so.
    pub revoked_at: Option<TimeMs>,
}

impl ProviderRecord {
    /// The most bytes of a record.
    pub const BYTES_MAX: usize = 56 << 10;
    /// The most clients that name agents.
    pub const CLIENTS_MAX: usize = 256;
    /// The most clients whose tokens users may use.
    pub const USER_CLIENTS_MAX: usize = 64;
    /// The most scopes that come to something.
    pub const SCOPES_MAX: usize = 256;
    /// The most types of `authorization_details` that do.
    pub const DETAILS_MAX: usize = 64;
    /// The most purposes of one scope or type of details.
    pub const PURPOSES_MAX: usize = 16;
    /// The most permissions of one scope, and the most actions of one type of details.
    pub const PERMISSIONS_MAX: usize = 64;
    /// The most claims that policies are shown.
    pub const CLAIMS_MAX: usize = 16;
    /// The most bytes of their values, as one canonical JSON object.
    pub const CLAIMS_BYTES_MAX: usize = 4 << 10;
    /// The longest [`Self::delegation_ms_max`]: 30 days.
    pub const DELEGATION_MS_MAX: u64 = 30 * 24 * 3_600_000;
}

impl Record for ProviderRecord {
    fn key(&self) -> Key {
        Key::provider(&self.id)
    }

    fn encode(&self) -> Vec<u8> {
        codec::encode(&ProviderWire {
            id: Text(self.id.clone()),
            issuer: Text(self.issuer.clone()),
            audience: Text(self.audience.clone()),
            algorithms: self.algorithms.iter().copied().map(Text).collect(),
            token_type: self.token_type.as_str().to_owned(),
            names_agent_by: self.names_agent_by.as_str().to_owned(),
            clients: self.clients.iter().map(|(client, agent)| (Text(client.clone()), Text(agent.clone()))).collect(),
            scopes: self.scopes.iter().map(|(name, mapping)| (Text(name.clone()), mapping.into())).collect(),
            authorization_details: (self.authorization_details.iter())
                .map(|(name, mapping)| (Text(name.clone()), mapping.into()))
                .collect(),
            groups_claim: self.groups_claim.clone().map(Text),
            session_claim: Text(self.session_claim.clone()),
            claims: self.claims.iter().cloned().map(Text).collect(),
            delegation_ms_max: self.delegation_ms_max,
            user_audience: self.user_audience.clone().map(Text),
            user_clients: self.user_clients.iter().cloned().map(Text).collect(),
            created_at_ms: self.created_at.0,
            revoked_at_ms: self.revoked_at.map(|at| at.0),
        })
    }

    fn decode(key: &Key, stored: &[u8]) -> Result<Self, RecordError> {
        codec::decode(key, stored, |wire: ProviderWire| {
            let token_type = ProviderTokenType::from_name(&wire.token_type);
            let names_agent_by = AgentNaming::from_name(&wire.names_agent_by);
            Ok(Self {
                id: wire.id.0,
                issuer: wire.issuer.0,
                audience: wire.audience.0,
                algorithms: wire.algorithms.into_iter().map(|algorithm| algorithm.0).collect(),
                token_type: token_type.ok_or("its type of token is unknown")?,
                names_agent_by: names_agent_by.ok_or("its way of naming agents is unknown")?,
                clients: wire.clients.into_iter().map(|(client, agent)| (client.0, agent.0)).collect(),
                scopes: wire.scopes.into_iter().map(|(name, mapping)| (name.0, mapping.into())).collect(),
                authorization_details: (wire.authorization_details.into_iter())
                    .map(|(name, mapping)| (name.0, mapping.into()))
                    .collect(),
                groups_claim: wire.groups_claim.map(|name| name.0),
                session_claim: wire.session_claim.0,
                claims: wire.claims.into_iter().map(|name| name.0).collect(),
                delegation_ms_max: wire.delegation_ms_max,
                user_audience: wire.user_audience.map(|audience| audience.0),
                user_clients: wire.user_clients.into_iter().map(|client| client.0).collect(),
                created_at: TimeMs(wire.created_at_ms),
                revoked_at: wire.revoked_at_ms.map(TimeMs),
            })
        })
    }
}

/// Which provider an issuer is. There is one for each issuer, so that no two providers share one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderIssuerRecord {
    /// The issuer.
    pub issuer: Issuer,
    /// Whose it is.
    pub provider: ProviderId,
}

impl ProviderIssuerRecord {
    /// What stands in the key: BLAKE3 in the mode that derives keys, with the context `attorn provider issuer v1`,
    /// over the issuer's bytes.
    #[must_use]
    pub fn digest_of_issuer(issuer: &str) -> Digest {
        Digest::from_bytes(blake3::derive_key("attorn provider issuer v1", issuer.as_bytes()))
    }
}

impl Record for ProviderIssuerRecord {
    fn key(&self) -> Key {
        Key::provider_issuer(&Self::digest_of_issuer(self.issuer.as_str()))
    }

    fn encode(&self) -> Vec<u8> {
        codec::encode(&ProviderIssuerWire { issuer: Text(self.issuer.clone()), provider: Text(self.provider.clone()) })
    }

    fn decode(key: &Key, stored: &[u8]) -> Result<Self, RecordError> {
        codec::decode(key, stored, |wire: ProviderIssuerWire| {
            Ok(Self { issuer: wire.issuer.0, provider: wire.provider.0 })
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProviderWire {
    id: Text<ProviderId>,
    issuer: Text<Issuer>,
    audience: Text<Audience>,
    algorithms: Vec<Text<IssuerAlgorithm>>,
    token_type: String,
    names_agent_by: String,
    clients: BTreeMap<Text<ClientId>, Text<AgentId>>,
    scopes: BTreeMap<Text<ScopeName>, ConsentWire>,
    authorization_details: BTreeMap<Text<DetailName>, DetailWire>,
    groups_claim: Option<Text<ClaimName>>,
    session_claim: Text<ClaimName>,
    claims: Vec<Text<ClaimName>>,
    delegation_ms_max: u64,
    user_audience: Option<Text<Audience>>,
    user_clients: Vec<Text<ClientId>>,
    created_at_ms: u64,
    revoked_at_ms: Option<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProviderIssuerWire {
    issuer: Text<Issuer>,
    provider: Text<ProviderId>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConsentWire {
    purposes: Vec<Text<Purpose>>,
    permissions: Vec<PermissionWire>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PermissionWire {
    action: Text<ActionPattern>,
    resource: Text<ResourcePattern>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DetailWire {
    purposes: Vec<Text<Purpose>>,
    actions: BTreeMap<Text<DetailName>, Text<ActionPattern>>,
    resource_prefix: Text<ResourcePrefix>,
}

impl From<&ConsentMapping> for ConsentWire {
    fn from(mapping: &ConsentMapping) -> Self {
        let permission = |permission: &Permission| PermissionWire {
            action: Text(permission.action.clone()),
            resource: Text(permission.resource.clone()),
        };
        Self {
            purposes: mapping.purposes.iter().cloned().map(Text).collect(),
            permissions: mapping.permissions.iter().map(permission).collect(),
        }
    }
}

impl From<ConsentWire> for ConsentMapping {
    fn from(wire: ConsentWire) -> Self {
        let permission = |wire: PermissionWire| Permission { action: wire.action.0, resource: wire.resource.0 };
        Self {
            purposes: wire.purposes.into_iter().map(|purpose| purpose.0).collect(),
            permissions: wire.permissions.into_iter().map(permission).collect(),
        }
    }
}

impl From<&DetailMapping> for DetailWire {
    fn from(mapping: &DetailMapping) -> Self {
        Self {
            purposes: mapping.purposes.iter().cloned().map(Text).collect(),
            actions: (mapping.actions.iter())
                .map(|(name, action)| (Text(name.clone()), Text(action.clone())))
                .collect(),
            resource_prefix: Text(mapping.resource_prefix.clone()),
        }
    }
}

impl From<DetailWire> for DetailMapping {
    fn from(wire: DetailWire) -> Self {
        Self {
            purposes: wire.purposes.into_iter().map(|purpose| purpose.0).collect(),
            actions: wire.actions.into_iter().map(|(name, action)| (name.0, action.0)).collect(),
            resource_prefix: wire.resource_prefix.0,
        }
    }
}
