//! Users and their sessions. What names a person is sealed under that person's key, which is not in the store;
//! what is readable here says how often and until when, and never who.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use attorn_core::{AgentId, Digest, Issuer, JsonText, ProviderId, SessionId, TimeMs, UserId};
use serde::{Deserialize, Serialize};

use super::codec::{self, Record, RecordError, Sealed, Text};
use crate::key::Key;

/// A user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserRecord {
    /// Their id.
    pub id: UserId,
    /// When they were first seen.
    pub created_at: TimeMs,
    /// How often all that they had delegated was revoked at once. What was delegated before the latest of these
    /// does not count any more.
    pub revocations: u64,
    /// A [`UserBody`], sealed.
    pub sealed: Sealed,
}

/// What is known of a user.
#[derive(Clone, PartialEq, Eq)]
pub struct UserBody {
    /// The provider that vouches for them.
    pub provider: ProviderId,
    /// Its issuer URL.
    pub issuer: Issuer,
    /// Their name there.
    pub subject: String,
    /// When the provider asserted the claims: when it issued the newest token that was seen.
    pub asserted_at: TimeMs,
    /// When it asserted the groups: when it issued the newest token that said anything of groups.
    pub groups_asserted_at: TimeMs,
    /// Their groups.
    pub groups: BTreeSet<String>,
    /// The groups that they voted for, each with when the provider asserted it for that. Nothing that they delegate
    /// rests on them.
    pub voted_for: BTreeMap<String, TimeMs>,
    /// The claims that the provider's configuration lets through, one object.
    pub claims: JsonText,
    /// A token makes a delegation only if they authenticated after this: they revoked everything then, or logged
    /// out everywhere.
    pub login_after: Option<TimeMs>,
    /// The same for delegations to one agent.
    pub login_after_for: BTreeMap<AgentId, TimeMs>,
    /// A token that names no session makes a delegation only if they authenticated after this.
    pub unnamed_login_after: Option<TimeMs>,
    /// When the provider said last that they logged out everywhere.
    pub logged_out_at: Option<TimeMs>,
    /// When the provider said last that they logged out of a session that the host does not know by name.
    pub unnamed_logged_out_at: Option<TimeMs>,
    /// How often all that they had delegated to an agent was revoked, at whatever depth. It is counted, not timed: a
    /// delegation that is committed at the same moment is told apart by it.
    pub agent_revocations: BTreeMap<AgentId, u64>,
    /// How often all sessions that the host had opened were ended at once.
    pub unnamed_revocations: u64,
    /// Why they revoked all, or all to one agent, the last time that they did and said why.
    pub revoked_because: Option<String>,
}

impl fmt::Debug for UserBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserBody(…)")
    }
}

impl UserBody {
    /// The longest name of a user at a provider (`OpenID` Connect Core 1.0, section 2), in bytes.
    pub const SUBJECT_BYTES_MAX: usize = 255;
    /// The longest name of a group, in bytes.
    pub const GROUP_BYTES_MAX: usize = 256;
    /// The most groups of one user.
    pub const GROUPS_MAX: usize = 128;
    /// The most bytes of all groups' names together: every decision's record has to hold them.
    pub const GROUPS_BYTES_MAX: usize = 4 << 10;
    /// The most groups of one user that they voted for, and the most bytes of their names together.
    pub const VOTED_FOR_MAX: usize = 64;
    /// See [`Self::VOTED_FOR_MAX`].
    pub const VOTED_FOR_BYTES_MAX: usize = 2 << 10;
    /// The most agents in either list. With all else as large as it may be, a user's record fits its place.
    pub const AGENTS_MAX: usize = 128;

    /// The bytes that are sealed.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(&BodyWire {
            provider: Text(self.provider.clone()),
            issuer: Text(self.issuer.clone()),
            subject: self.subject.clone(),
            asserted_at_ms: self.asserted_at.0,
            groups_asserted_at_ms: self.groups_asserted_at.0,
            groups: self.groups.clone(),
            voted_for: self.voted_for.iter().map(|(group, at)| (group.clone(), at.0)).collect(),
            claims: self.claims.as_str().to_owned(),
            login_after_ms: self.login_after.map(|at| at.0),
            login_after_for: times(&self.login_after_for),
            unnamed_login_after_ms: self.unnamed_login_after.map(|at| at.0),
            logged_out_ms: self.logged_out_at.map(|at| at.0),
            unnamed_logged_out_ms: self.unnamed_logged_out_at.map(|at| at.0),
            agent_revocations: self.agent_revocations.iter().map(|(agent, n)| (Text(agent.clone()), *n)).collect(),
            unnamed_revocations: self.unnamed_revocations,
            revoked_because: self.revoked_because.clone(),
        })
    }

    /// Read bytes that were sealed for this key.
    ///
    /// # Errors
    ///
    /// [`RecordError`] if they are something else, or of another format.
    pub fn decode(key: &Key, bytes: &[u8]) -> Result<Self, RecordError> {
        codec::decode_body(key, bytes, |wire: BodyWire| Self {
            provider: wire.provider.0,
            issuer: wire.issuer.0,
            subject: wire.subject,
            asserted_at: TimeMs(wire.asserted_at_ms),
            groups_asserted_at: TimeMs(wire.groups_asserted_at_ms),
            groups: wire.groups,
            voted_for: wire.voted_for.into_iter().map(|(group, at)| (group, TimeMs(at))).collect(),
            claims: JsonText::from_canonical(wire.claims),
            login_after: wire.login_after_ms.map(TimeMs),
            login_after_for: wire.login_after_for.into_iter().map(|(agent, at)| (agent.0, TimeMs(at))).collect(),
            unnamed_login_after: wire.unnamed_login_after_ms.map(TimeMs),
            logged_out_at: wire.logged_out_ms.map(TimeMs),
            unnamed_logged_out_at: wire.unnamed_logged_out_ms.map(TimeMs),
            agent_revocations: wire.agent_revocations.into_iter().map(|(agent, n)| (agent.0, n)).collect(),
            unnamed_revocations: wire.unnamed_revocations,
            revoked_because: wire.revoked_because,
        })
    }
}

fn times(agents: &BTreeMap<AgentId, TimeMs>) -> BTreeMap<Text<AgentId>, u64> {
    agents.iter().map(|(agent, at)| (Text(agent.clone()), at.0)).collect()
}

impl Record for UserRecord {
    fn key(&self) -> Key {
        Key::user(&self.id)
    }

    fn encode(&self) -> Vec<u8> {
        codec::encode(&UserWire {
            id: Text(self.id.clone()),
            created_at_ms: self.created_at.0,
            revocations: self.revocations,
            sealed: self.sealed.clone(),
        })
    }

    fn decode(key: &Key, stored: &[u8]) -> Result<Self, RecordError> {
        codec::decode(key, stored, |wire: UserWire| {
            Ok(Self {
                id: wire.id.0,
                created_at: TimeMs(wire.created_at_ms),
                revocations: wire.revocations,
                sealed: wire.sealed,
            })
        })
    }
}

/// Which user goes by a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserNameRecord {
    /// The keyed hash of issuer and subject.
    pub name: Digest,
    /// Whose name it is.
    pub user: UserId,
}

impl Record for UserNameRecord {
    fn key(&self) -> Key {
        Key::user_name(&self.name)
    }

    fn encode(&self) -> Vec<u8> {
        codec::encode(&UserNameWire { name: Text(self.name), user: Text(self.user.clone()) })
    }

    fn decode(key: &Key, stored: &[u8]) -> Result<Self, RecordError> {
        codec::decode(key, stored, |wire: UserNameWire| Ok(Self { name: wire.name.0, user: wire.user.0 }))
    }
}

/// A session of a user: the provider's, or one that the host opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRecord {
    /// The host's id of it, which is all that others see.
    pub id: SessionId,
    /// Whose it is.
    pub user: UserId,
    /// From when on.
    pub opened_at: TimeMs,
    /// When it ended, if it has.
    pub ended_at: Option<TimeMs>,
    /// The provider's name for it, sealed; none if the host opened it.
    pub sealed_name: Option<Sealed>,
    /// How often all sessions that the host had opened for this user had been ended at once:
    /// [`UserBody::unnamed_revocations`].
    pub unnamed_revocations: u64,
}

impl Record for SessionRecord {
    fn key(&self) -> Key {
        Key::session(&self.id)
    }

    fn encode(&self) -> Vec<u8> {
        codec::encode(&SessionWire {
            id: Text(self.id.clone()),
            user: Text(self.user.clone()),
            opened_at_ms: self.opened_at.0,
            ended_at_ms: self.ended_at.map(|at| at.0),
            sealed_name: self.sealed_name.clone(),
            unnamed_revocations: self.unnamed_revocations,
        })
    }

    fn decode(key: &Key, stored: &[u8]) -> Result<Self, RecordError> {
        codec::decode(key, stored, |wire: SessionWire| {
            Ok(Self {
                id: wire.id.0,
                user: wire.user.0,
                opened_at: TimeMs(wire.opened_at_ms),
                ended_at: wire.ended_at_ms.map(TimeMs),
                sealed_name: wire.sealed_name,
                unnamed_revocations: wire.unnamed_revocations,
            })
        })
    }
}

/// Which session goes by a provider's name for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionNameRecord {
    /// The keyed hash of issuer and `sid`.
    pub name: Digest,
    /// Which session.
    pub session: SessionId,
}

impl Record for SessionNameRecord {
    fn key(&self) -> Key {
        Key::session_name(&self.name)
    }

    fn encode(&self) -> Vec<u8> {
        codec::encode(&SessionNameWire { name: Text(self.name), session: Text(self.session.clone()) })
    }

    fn decode(key: &Key, stored: &[u8]) -> Result<Self, RecordError> {
        codec::decode(key, stored, |wire: SessionNameWire| Ok(Self { name: wire.name.0, session: wire.session.0 }))
    }
}

/// A provider said that somebody logged out who is nobody here yet. Their first token has to be of a later login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogoutRecord {
    /// The keyed hash of issuer and subject.
    pub name: Digest,
    /// When.
    pub at: TimeMs,
}

impl Record for LogoutRecord {
    fn key(&self) -> Key {
        Key::logout(&self.name)
    }

    fn encode(&self) -> Vec<u8> {
        codec::encode(&LogoutWire { name: Text(self.name), at_ms: self.at.0 })
    }

    fn decode(key: &Key, stored: &[u8]) -> Result<Self, RecordError> {
        codec::decode(key, stored, |wire: LogoutWire| Ok(Self { name: wire.name.0, at: TimeMs(wire.at_ms) }))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LogoutWire {
    name: Text<Digest>,
    at_ms: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct UserWire {
    id: Text<UserId>,
    created_at_ms: u64,
    revocations: u64,
    sealed: Sealed,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BodyWire {
    provider: Text<ProviderId>,
    issuer: Text<Issuer>,
    subject: String,
    asserted_at_ms: u64,
    groups_asserted_at_ms: u64,
    groups: BTreeSet<String>,
    /// Not there in records from before these were kept apart.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    voted_for: BTreeMap<String, u64>,
    claims: String,
    login_after_ms: Option<u64>,
    login_after_for: BTreeMap<Text<AgentId>, u64>,
    unnamed_login_after_ms: Option<u64>,
    logged_out_ms: Option<u64>,
    unnamed_logged_out_ms: Option<u64>,
    agent_revocations: BTreeMap<Text<AgentId>, u64>,
    unnamed_revocations: u64,
    revoked_because: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct UserNameWire {
    name: Text<Digest>,
    user: Text<UserId>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SessionWire {
    id: Text<SessionId>,
    user: Text<UserId>,
    opened_at_ms: u64,
    ended_at_ms: Option<u64>,
    sealed_name: Option<Sealed>,
    unnamed_revocations: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SessionNameWire {
    name: Text<Digest>,
    session: Text<SessionId>,
}
