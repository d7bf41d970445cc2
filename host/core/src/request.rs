//! What an agent asks for.

use std::fmt;
use std::sync::Arc;

use crate::id::{Digest, Purpose, SessionId};
use crate::permission::{Action, Resource};

/// One JSON text in the canonical form of RFC 8785. Who parses JSON makes it; here it is opaque.
#[derive(Clone, PartialEq, Eq)]
pub struct JsonText(Arc<str>);

impl JsonText {
    /// A text that the caller has put into canonical form.
    #[must_use]
    pub fn from_canonical(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for JsonText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What an agent wants now, of the right form. Whether it is true is another matter: all of it is
/// the agent's word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What is to be done.
    pub action: Action,
    /// To what.
    pub resource: Resource,
    /// Why.
    pub purpose: Purpose,
    /// In which session, if the agent states one.
    pub session: Option<SessionId>,
    /// The action's arguments, one object.
    pub arguments: JsonText,
    /// SHA-256 of the arguments' bytes.
    pub arguments_digest: Digest,
    /// Whatever else the agent claims, one object.
    pub claims: JsonText,
}
