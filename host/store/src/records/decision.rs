//! Decision records: the full context and outcomes of one decision. Here they are opaque.

use attorn_core::{DecisionId, JsonText};

use super::codec::{self, Record, RecordError, RecordProblem};
use crate::key::{Key, KeyKind};

/// The record of one decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecisionRecord {
    /// Which decision.
    pub id: DecisionId,
    /// All about it, one JSON text.
    pub text: JsonText,
}

impl Record for DecisionRecord {
    fn key(&self) -> Key {
        Key::decision(&self.id)
    }

    fn encode(&self) -> Vec<u8> {
        codec::encode_text(self.text.as_str())
    }

    fn decode(key: &Key, stored: &[u8]) -> Result<Self, RecordError> {
        let body = codec::body(key, stored)?;
        let meaning = |problem: String| RecordError::new(key, RecordProblem::Meaning(problem));
        let text = std::str::from_utf8(body).map_err(|error| meaning(error.to_string()))?;
        let (Some(KeyKind::Decision), Some(Ok(id))) = (key.kind(), key.last_segment().map(str::parse)) else {
            return Err(meaning("the key names no decision".to_owned()));
        };
        Ok(Self { id, text: JsonText::from_canonical(text) })
    }
}
