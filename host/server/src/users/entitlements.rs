//! What a user may do themselves, as it stands now: their own entitlements, those of everyone of their provider,
//! and those of the groups that the provider asserted lately.

use attorn_core::entitlement::UserField;
use attorn_core::{EntitlementHolder, EntitlementPattern, Permission, TimeMs};
use attorn_store::records::{EntitlementPatterns, EntitlementRecord, Record as _, UserBody};
use attorn_store::{Key, Require};

use super::{KnownUser, open};
use crate::app::App;
use crate::http::failure::Failure;

/// How long a group counts after the provider asserted it, in milliseconds.
pub(crate) const GROUP_AGE_MS_MAX: u64 = 15 * 60 * 1000;

/// The user's rights. The commit names what was read for them, also what was not there.
pub(crate) async fn resolve(
    app: &App,
    user: &KnownUser,
    now: TimeMs,
    require: &mut Vec<(Key, Require)>,
) -> Result<Vec<Permission>, Failure> {
    let mut permissions = Vec::new();
    for holder in holders(user, now) {
        let key = Key::entitlement(&holder);
        let found = app.store.record::<EntitlementRecord>(&key).await?;
        require.push((key, found.as_ref().map_or(Require::Absent, |found| Require::Version(found.version))));
        let Some(found) = found else { continue };
        let patterns = patterns(user, &found.value)?;
        permissions.extend(patterns.iter().filter_map(|pattern| pattern.resolve(|field| value(user, field))));
    }
    Ok(permissions)
}

/// Who holds rights that are this user's, too.
fn holders(user: &KnownUser, now: TimeMs) -> Vec<EntitlementHolder> {
    let UserBody { issuer, groups, asserted_at, .. } = &user.body;
    let lately = *asserted_at <= now && now.ms_since(*asserted_at) < GROUP_AGE_MS_MAX;
    let groups = groups.iter().filter(|_| lately);
    let groups = groups.map(|name| EntitlementHolder::Group { issuer: issuer.clone(), name: name.clone() });
    [EntitlementHolder::User(user.record.value.id.clone()), EntitlementHolder::Everyone(issuer.clone())]
        .into_iter()
        .chain(groups)
        .collect()
}

/// The patterns of a record; those of this user are opened.
pub(crate) fn patterns(user: &KnownUser, record: &EntitlementRecord) -> Result<Vec<EntitlementPattern>, Failure> {
    match &record.patterns {
        EntitlementPatterns::Plain(patterns) => Ok(patterns.clone()),
        EntitlementPatterns::Sealed(sealed) => {
            let place = record.key();
            EntitlementPatterns::decode(&place, &open(&user.key, &place, sealed)?).map_err(Failure::internal)
        }
    }
}

/// A field of a user: a claim that is a text, a whole number or a truth value; none for any other.
fn value(user: &KnownUser, field: &UserField) -> Option<String> {
    match field {
        UserField::Id => Some(user.record.value.id.to_string()),
        UserField::Claim(name) => {
            let claims: serde_json::Map<String, serde_json::Value> =
                serde_json::from_str(user.body.claims.as_str()).ok()?;
            match claims.get(name.as_str())? {
                serde_json::Value::String(text) => Some(text.clone()),
                serde_json::Value::Number(number) if number.is_i64() || number.is_u64() => Some(number.to_string()),
                serde_json::Value::Bool(truth) => Some(truth.to_string()),
                _ => None,
            }
        }
    }
}
