//! How the audit log speaks of people. Users, sessions and the resources that an agent wanted for a user stand in
//! entries as pseudonyms under that user's key, and digests of what could be guessed as commitments. Without a
//! user there is nobody to hide, and all stands as it is.

use attorn_core::{Behalf, Digest, Resource, SessionId, UserId};
use attorn_identity::{NamesKey, PseudonymKind, UserKey};
use serde_json::{Value, json};

use super::behalf::Chain;
use crate::app::App;

/// What the log may say of a request.
#[derive(Clone, Copy)]
pub(crate) enum Veil<'a> {
    /// All: there is no user.
    Nobody,
    /// Pseudonyms and commitments under the user's key.
    User(&'a UserKey),
    /// A delegation is named that could not be read, so that nobody knows whose the resources are: keyed hashes under a
    /// key of this run of the server, which is nowhere but in its memory. They tell what was asked for again, and as
    /// soon as the server stops nobody can find out what it was.
    Unread(&'a NamesKey),
}

impl<'a> Veil<'a> {
    /// How the log speaks of a request with or without a delegation.
    pub(crate) fn of(app: &'a App, delegated: bool, chain: Option<&'a Chain>) -> Self {
        match chain {
            Some(chain) => Self::User(&chain.key),
            None if delegated => Self::Unread(&app.unread),
            None => Self::Nobody,
        }
    }

    /// A resource: its type, and its id or what stands for it.
    pub(crate) fn resource(self, resource: &Resource) -> String {
        let of_type = |hidden: &str| format!("{}/{hidden}", resource.resource_type());
        match self {
            Self::Nobody => resource.to_string(),
            Self::User(key) => of_type(&key.pseudonym(PseudonymKind::Resource, resource.as_str())),
            Self::Unread(names) => of_type(&format!("unread_{}", names.hash("resource", "", resource.as_str()))),
        }
    }

    /// A session, or what stands for it.
    pub(crate) fn session(self, session: &SessionId) -> String {
        match self {
            Self::Nobody => session.to_string(),
            Self::User(key) => self::session(session, key),
            Self::Unread(names) => format!("unread_{}", names.hash("stated session", "", session.as_str())),
        }
    }

    /// The digest of arguments, or a commitment to it.
    pub(crate) fn arguments_digest(self, digest: Digest) -> String {
        match self {
            Self::Nobody => digest.to_string(),
            Self::User(key) => key.commitment("arguments", digest.as_bytes()).to_string(),
            Self::Unread(names) => names.hash("arguments", "", &digest.to_string()).to_string(),
        }
    }

    /// How the record of the same decision speaks: all that is sealed under the user's key may stand there, and of what
    /// nobody can seal no more than in the entry.
    pub(crate) const fn in_record(self) -> Self {
        match self {
            Self::Nobody | Self::User(_) => Self::Nobody,
            Self::Unread(names) => Self::Unread(names),
        }
    }
}

/// What stands for a user.
pub(crate) fn user(user: &UserId, key: &UserKey) -> String {
    key.pseudonym(PseudonymKind::User, user.as_str())
}

/// What stands for a session of a user.
pub(crate) fn session(session: &SessionId, key: &UserKey) -> String {
    key.pseudonym(PseudonymKind::Session, session.as_str())
}

/// The user and the chain of delegations. The ids of delegations and agents name no person.
pub(crate) fn behalf(behalf: &Behalf, key: &UserKey) -> Value {
    let hop = |hop: &attorn_core::context::Delegation| json!({ "delegation": hop.id.as_str(), "agent": hop.to_agent.as_str() });
    json!({
        "user": user(&behalf.user.id, key),
        "chain": behalf.delegations().map(hop).collect::<Vec<_>>(),
    })
}
