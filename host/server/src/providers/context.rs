//! What a token says beside who and what: session, groups, claims that policies are shown, and the key that it is
//! bound to.

use std::collections::BTreeSet;

use attorn_api::json::canonical_object;
use attorn_core::{Digest, JsonText};
use attorn_identity::issuer_token::{Claims, is_text};
use attorn_store::records::{ProviderRecord, UserBody};
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Map, Value};

use super::{Confirmation, Refused};

/// The longest name of a session, in bytes.
const SESSION_BYTES_MAX: usize = 256;

/// What Keycloak puts beside `jkt`.
const KEYCLOAK_KIND: &str = "kc-jkt-type";

/// The session, under the name of its claim.
pub(super) fn session(claims: &Claims, claim: &str) -> Result<Option<String>, Refused> {
    match claims.get(claim) {
        None => Ok(None),
        Some(Value::String(text)) if is_text(text, SESSION_BYTES_MAX) => Ok(Some(text.clone())),
        Some(_) => Err(malformed(claim, "is no text of 1 to 256 bytes without control characters")),
    }
}

/// The groups: sorted, each once. None if nothing is said of them, which is not the same as that there are none.
pub(super) fn groups(record: &ProviderRecord, claims: &Claims) -> Result<Option<Vec<String>>, Refused> {
    const PROBLEM: &str = "is no list of at most 128 texts of 1 to 256 bytes without control characters";
    let Some(claim) = record.groups_claim.as_ref().map(attorn_core::ClaimName::as_str) else { return Ok(None) };
    let Some(value) = claims.get(claim) else { return Ok(None) };
    let all =
        value.as_array().filter(|all| all.len() <= UserBody::GROUPS_MAX).ok_or_else(|| malformed(claim, PROBLEM))?;
    let group = |value: &Value| {
        let text = value.as_str().filter(|text| is_text(text, UserBody::GROUP_BYTES_MAX));
        text.map(str::to_owned).ok_or_else(|| malformed(claim, PROBLEM))
    };
    let groups: BTreeSet<String> = all.iter().map(group).collect::<Result<_, _>>()?;
    Ok(Some(groups.into_iter().collect()))
}

/// The claims that policies are shown.
pub(super) fn shown_claims(record: &ProviderRecord, claims: &Claims) -> Result<JsonText, Refused> {
    let named = |name: &attorn_core::ClaimName| Some((name.to_string(), claims.get(name.as_str())?.clone()));
    let object: Map<String, Value> = record.claims.iter().filter_map(named).collect();
    let text = canonical_object(&Value::Object(object).to_string());
    let text = text.map_err(|error| Refused::ClaimsUnusable(format!("cannot be used: {error}")))?;
    if text.as_str().len() > ProviderRecord::CLAIMS_BYTES_MAX {
        let (bytes, max) = (text.as_str().len(), ProviderRecord::CLAIMS_BYTES_MAX);
        return Err(Refused::ClaimsUnusable(format!("have {bytes} bytes, and {max} is the most")));
    }
    Ok(text)
}

/// What key the token is bound to. A member that is not understood may bind it further than anybody can check, so
/// such a token is refused; only Keycloak's, which says in words what the `jkt` beside it is, is passed over. Two
/// keys at once are refused.
pub(super) fn confirmation(claims: &Claims) -> Result<Option<Confirmation>, Refused> {
    let Some(value) = claims.get("cnf") else { return Ok(None) };
    let members = value.as_object().ok_or(Refused::ConfirmationUnknown)?;
    let text = |name: &str| members.get(name).and_then(Value::as_str);
    // Keycloak says in words what a `jkt` beside it is.
    let known =
        |name: &str| ["jkt", "x5t#S256"].contains(&name) || (name == KEYCLOAK_KIND && text(name) == Some("DPoP"));
    if !members.keys().all(|name| known(name)) {
        return Err(Refused::ConfirmationUnknown);
    }
    let confirmation = match (text("jkt"), text("x5t#S256")) {
        (Some(thumbprint), None) => thumbprint.parse().ok().map(Confirmation::Key),
        (None, Some(digest)) => {
            let bytes = BASE64URL_NOPAD.decode(digest.as_bytes()).ok();
            let bytes: Option<[u8; 32]> = bytes.and_then(|bytes| bytes.try_into().ok());
            bytes.map(Digest::from_bytes).map(Confirmation::Certificate)
        }
        _ => None,
    };
    confirmation.ok_or(Refused::ConfirmationUnknown).map(Some)
}

fn malformed(claim: &str, problem: &'static str) -> Refused {
    Refused::Claim { claim: claim.into(), problem }
}
