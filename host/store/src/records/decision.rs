//! Decision records: the full context and outcomes of one decision. Here they are opaque, and sealed where the decision
//! was made on behalf of a user.

use attorn_core::{DecisionId, JsonText};

use super::codec::{self, Kept, Record, RecordError, RecordProblem};
use crate::key::Key;

/// The record of one decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecisionRecord {
    /// Which decision.
    pub id: DecisionId,
    /// All about it, one JSON text.
    pub text: Kept<JsonText>,
}

impl Record for DecisionRecord {
    fn key(&self) -> Key {
        Key::decision(&self.id)
    }

    fn encode(&self) -> Vec<u8> {
        match &self.text {
            Kept::Plain(text) => codec::encode_text(text.as_str()),
            // As bytes: in base64 the largest would not fit its place.
            Kept::Sealed { user, sealed } => codec::encode_sealed(user, sealed),
        }
    }

    fn decode(key: &Key, stored: &[u8]) -> Result<Self, RecordError> {
        let meaning = |problem: String| RecordError::new(key, RecordProblem::Meaning(problem));
        let text = if let Some((user, sealed)) = codec::sealed_body(key, stored)? {
            Kept::Sealed { user, sealed }
        } else {
            let text = std::str::from_utf8(codec::body(key, stored)?);
            Kept::Plain(JsonText::from_canonical(text.map_err(|error| meaning(error.to_string()))?))
        };
        let id = key.named_decision().ok_or_else(|| RecordError::no_decision(key))?;
        Ok(Self { id, text })
    }
}
