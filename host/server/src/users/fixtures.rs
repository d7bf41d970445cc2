//! What tests of users begin with.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use attorn_core::{JsonText, TimeMs};
use attorn_identity::UserKey;
use attorn_store::Versioned;
use attorn_store::records::UserBody;

use super::{KnownUser, record};

/// A user of whom nothing was ever asserted.
pub(crate) fn body() -> UserBody {
    UserBody {
        provider: "main".parse().unwrap(),
        issuer: "https://sso.example".parse().unwrap(),
        subject: "alice".into(),
        asserted_at: TimeMs(0),
        groups_asserted_at: TimeMs(0),
        voted_for: BTreeMap::new(),
        groups: BTreeSet::new(),
        claims: JsonText::from_canonical("{}"),
        login_after: None,
        login_after_for: BTreeMap::new(),
        unnamed_login_after: None,
        logged_out_at: None,
        unnamed_logged_out_at: None,
        agent_revocations: BTreeMap::new(),
        unnamed_revocations: 0,
        revoked_because: None,
    }
}

/// The same as a user who is recorded.
pub(crate) fn known(body: UserBody) -> KnownUser {
    let key = UserKey::generate().unwrap();
    let value = record(&key, "usr_1".parse().unwrap(), TimeMs(1), 0, &body).unwrap();
    KnownUser { record: Versioned { value, version: 1, entries: 0..1 }, body, key: Arc::new(key), is_new: false }
}
