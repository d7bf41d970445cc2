//! What a token's scopes and `authorization_details` come to, by the provider's record.
//!
//! Nothing is guessed: an element with a member that is not understood may mean less than it seems to, so it comes
//! to nothing. What comes to nothing is said, so that somebody can mend the record.

use attorn_core::provider::shown;
use attorn_core::{Consent, Consents, DetailName, ScopeName};
use attorn_identity::issuer_token::Claims;
use attorn_store::records::ProviderRecord;
use serde_json::{Map, Value};

use super::Refused;

const DETAILS: &str = "authorization_details";

/// What was consented to, and what comes to nothing.
pub(super) fn of(record: &ProviderRecord, claims: &Claims) -> Result<(Vec<Consent>, Vec<String>), Refused> {
    let mut consents = Consents::default();
    for scope in scopes(claims)? {
        match scope.parse::<ScopeName>().ok().and_then(|name| record.scopes.get(&name)) {
            Some(mapping) => consents.add(&mapping.purposes, &mapping.permissions),
            None => consents.nothing(format!("the scope `{}` is not mapped", shown(scope))),
        }
    }
    match claims.get(DETAILS) {
        None => {}
        Some(Value::Array(elements)) => {
            for element in elements {
                let members = element.as_object().ok_or_else(|| malformed(DETAILS, "is no list of objects"))?;
                add_detail(record, members, &mut consents)?;
            }
        }
        Some(_) => return Err(malformed(DETAILS, "is no list of objects")),
    }
    if consents.too_many() {
        return Err(Refused::ConsentTooLarge);
    }
    Ok(consents.into_parts())
}

/// `scope` is a text with blanks between (RFC 8693, section 4.2); others have `scp`, a list or such a text.
fn scopes(claims: &Claims) -> Result<Vec<&str>, Refused> {
    match (claims.get("scope"), claims.get("scp")) {
        (Some(Value::String(text)), _) | (None, Some(Value::String(text))) => {
            Ok(text.split(' ').filter(|scope| !scope.is_empty()).collect())
        }
        (Some(_), _) => Err(malformed("scope", "is no text")),
        (None, Some(Value::Array(all))) => {
            all.iter().map(|one| one.as_str().ok_or_else(|| malformed("scp", "is no list of texts"))).collect()
        }
        (None, Some(_)) => Err(malformed("scp", "is no list of texts")),
        (None, None) => Ok(Vec::new()),
    }
}

/// An element `{"type", "actions", "identifier"}` (RFC 9396, section 2).
fn add_detail(record: &ProviderRecord, members: &Map<String, Value>, consents: &mut Consents) -> Result<(), Refused> {
    let detail_type = members.get("type").and_then(Value::as_str);
    let detail_type = detail_type.ok_or_else(|| malformed(DETAILS, "has an element without `type`"))?;
    let nothing = |why: &str| format!("details of the type `{}`: {why}", shown(detail_type));
    let Some(mapping) = detail_type.parse().ok().and_then(|name: DetailName| record.authorization_details.get(&name))
    else {
        consents.nothing(nothing("the type is not mapped"));
        return Ok(());
    };
    if let Some(other) = members.keys().find(|name| !["type", "actions", "identifier"].contains(&name.as_str())) {
        consents.nothing(nothing(&format!("`{}` may narrow it, and is not understood", shown(other))));
        return Ok(());
    }
    let identifier = match members.get("identifier") {
        None => None,
        Some(Value::String(identifier)) => Some(identifier.as_str()),
        Some(_) => {
            consents.nothing(nothing("its `identifier` is no text"));
            return Ok(());
        }
    };
    let actions = members.get("actions").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    if actions.is_empty() {
        consents.nothing(nothing("it has no list of `actions`"));
    }
    for action in actions {
        match mapping.permission(action.as_str().unwrap_or_default(), identifier) {
            Ok(permission) => consents.add(&mapping.purposes, &[permission]),
            Err(why) => consents.nothing(nothing(&why)),
        }
    }
    Ok(())
}

fn malformed(claim: &str, problem: &'static str) -> Refused {
    Refused::Claim { claim: claim.into(), problem }
}
