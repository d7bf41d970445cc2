//! Public keys as they are registered. No two holders share one.

use attorn_api::ProblemCode;
use attorn_core::{JsonText, KeyThumbprint};
use attorn_identity::{JwkError, PublicKey};
use serde_json::Value;

use crate::http::failure::Failure;

/// A public key to be registered: its thumbprint and its canonical JWK.
pub(crate) fn parse(jwk: &Value) -> Result<(KeyThumbprint, JsonText), Failure> {
    let invalid = |error: JwkError| Failure::of(ProblemCode::InvalidField, format!("`jwk`: {error}"));
    let key: PublicKey = jwk.to_string().parse().map_err(invalid)?;
    Ok((key.thumbprint().clone(), JsonText::from_canonical(key.jwk().canonical_text())))
}

/// A registered key as JSON.
pub(crate) fn shown(jwk: &JsonText) -> Value {
    serde_json::from_str(jwk.as_str()).unwrap_or(Value::Null)
}
