//! How the audit log speaks of people. Users, sessions and the resources that an agent wanted for a user stand in
//! entries as pseudonyms under that user's key, and digests of what could be guessed as commitments. Without a
//! user there is nobody to hide, and all stands as it is.

use attorn_core::{Behalf, Digest, Resource, SessionId, UserId};
use attorn_identity::{PseudonymKind, UserKey};
use serde_json::{Value, json};

/// A resource: its type, and its id or what stands for it.
pub(crate) fn resource(resource: &Resource, key: Option<&UserKey>) -> String {
    match key {
        None => resource.to_string(),
        Some(key) => {
            let pseudonym = key.pseudonym(PseudonymKind::Resource, resource.as_str());
            format!("{}/{pseudonym}", resource.resource_type())
        }
    }
}

/// What stands for a user.
pub(crate) fn user(user: &UserId, key: &UserKey) -> String {
    key.pseudonym(PseudonymKind::User, user.as_str())
}

/// A session, or what stands for it.
pub(crate) fn session(session: &SessionId, key: Option<&UserKey>) -> String {
    match key {
        None => session.to_string(),
        Some(key) => key.pseudonym(PseudonymKind::Session, session.as_str()),
    }
}

/// The digest of arguments; a commitment to it where there is a user.
pub(crate) fn arguments_digest(digest: Digest, key: Option<&UserKey>) -> String {
    match key {
        None => digest.to_string(),
        Some(key) => key.commitment("arguments", digest.as_bytes()).to_string(),
    }
}

/// BLAKE3 of a decision's record; a commitment to it where there is a user.
pub(crate) fn record_digest(record: &str, key: Option<&UserKey>) -> String {
    match key {
        None => blake3::hash(record.as_bytes()).to_hex().to_string(),
        Some(key) => key.commitment("decision record", record.as_bytes()).to_string(),
    }
}

/// The user and the chain of delegations. The ids of delegations and agents name no person.
pub(crate) fn behalf(behalf: &Behalf, key: &UserKey) -> Value {
    let hop = |hop: &attorn_core::context::Delegation| json!({ "delegation": hop.id.as_str(), "agent": hop.to_agent.as_str() });
    json!({
        "user": user(&behalf.user.id, key),
        "chain": behalf.delegations().map(hop).collect::<Vec<_>>(),
    })
}
