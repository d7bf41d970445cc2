//! What a component says about how it was built: a custom section that nothing runs and nobody has to
//! believe.

use serde::{Deserialize, Serialize};
use wasm_encoder::{CustomSection, Encode as _, Section as _};

/// The name of the section.
pub const NAME: &str = "attorn:policy/build";

/// The most bytes that are read of one.
const BYTES_MAX: usize = 4 << 10;

/// How a component was built, which is the builder's own word: who has to be sure builds the same sources again and
/// compares the bytes. It holds no time and no path, so that they are the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Built {
    /// The language: `rust`.
    pub language: String,
    /// The SDK and its version: `attorn-policy 0.1.0`.
    pub sdk: String,
    /// The digest of the sources: `blake3:` and 64 hex digits.
    pub source: String,
}

/// The component with this section at its end. Components may have custom sections anywhere.
#[must_use]
pub fn with(component: &[u8], built: &Built) -> Vec<u8> {
    let mut bytes = component.to_vec();
    // A struct of three texts always is JSON.
    let data = serde_json::to_vec(built).unwrap_or_default();
    let section = CustomSection { name: NAME.into(), data: data.into() };
    bytes.push(section.id());
    section.encode(&mut bytes);
    bytes
}

/// What a section says, if it is one of ours.
pub(crate) fn read(name: &str, data: &[u8]) -> Option<Built> {
    (name == NAME && data.len() <= BYTES_MAX).then(|| serde_json::from_slice(data).ok())?
}
