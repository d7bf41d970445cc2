//! What a user may do themselves, as it stands now: their own entitlements, those of everyone of their provider,
//! and those of the groups that the provider asserted lately. Fields of a pattern are claims that it asserted lately,
//! too: a token that was issued 15 minutes ago gives no right any more that rests on what it said.

use attorn_core::entitlement::UserField;
use attorn_core::{EntitlementHolder, EntitlementPattern, Permission, TimeMs, group};
use attorn_store::records::{EntitlementPatterns, EntitlementRecord, Record as _, UserBody};
use attorn_store::{Key, Require};
use serde_json::{Map, Value};

use super::{KnownUser, open};
use crate::app::App;
use crate::http::failure::Failure;

/// The user's rights. The commit names what was read for them, also what was not there.
pub(crate) async fn resolve(
    app: &App,
    user: &KnownUser,
    now: TimeMs,
    require: &mut Vec<(Key, Require)>,
) -> Result<Vec<Permission>, Failure> {
    let (mut permissions, fields) = (Vec::new(), Fields::of(user, now));
    for holder in holders(user, now) {
        let key = Key::entitlement(&holder);
        let found = app.store.record::<EntitlementRecord>(&key).await?;
        require.push((key, found.as_ref().map_or(Require::Absent, |found| Require::Version(found.version))));
        let Some(found) = found else { continue };
        let patterns = patterns(user, &found.value)?;
        permissions.extend(patterns.iter().filter_map(|pattern| pattern.resolve(|field| fields.value(field))));
    }
    Ok(permissions)
}

/// Who holds rights that are this user's, too.
fn holders(user: &KnownUser, now: TimeMs) -> Vec<EntitlementHolder> {
    let UserBody { issuer, groups, groups_asserted_at, .. } = &user.body;
    let counts = group::counts(*groups_asserted_at, now);
    let groups = groups.iter().filter(|_| counts);
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

/// What patterns may name of a user, read once for all of them.
struct Fields<'a> {
    user: &'a KnownUser,
    /// Those that count now.
    claims: Map<String, Value>,
}

impl<'a> Fields<'a> {
    fn of(user: &'a KnownUser, now: TimeMs) -> Self {
        let claims = group::counts(user.body.asserted_at, now).then(|| serde_json::from_str(user.body.claims.as_str()));
        Self { user, claims: claims.and_then(Result::ok).unwrap_or_default() }
    }

    /// A claim that is a text, a whole number or a truth value; none for any other.
    fn value(&self, field: &UserField) -> Option<String> {
        match field {
            UserField::Id => Some(self.user.record.value.id.to_string()),
            UserField::Claim(name) => match self.claims.get(name.as_str())? {
                Value::String(text) => Some(text.clone()),
                Value::Number(number) if number.is_i64() || number.is_u64() => Some(number.to_string()),
                Value::Bool(truth) => Some(truth.to_string()),
                _ => None,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use attorn_core::JsonText;
    use attorn_core::group::ASSERTED_MS_MAX as AGE_MS_MAX;

    use super::*;
    use crate::users::fixtures;

    const THEN: TimeMs = TimeMs(1_767_323_045_678);

    fn user() -> KnownUser {
        fixtures::known(UserBody {
            asserted_at: THEN,
            groups_asserted_at: THEN,
            groups: BTreeSet::from(["staff".into()]),
            claims: JsonText::from_canonical(r#"{"a":"x","b":7,"c":true,"d":1.5,"e":[]}"#),
            ..fixtures::body()
        })
    }

    #[test]
    fn groups_give_rights_for_15_minutes_after_they_were_asserted() {
        let groups = |now: TimeMs| {
            let user = user();
            let all = holders(&user, now);
            all.iter().filter(|holder| matches!(holder, EntitlementHolder::Group { .. })).count()
        };
        assert_eq!((groups(THEN), groups(THEN.plus_ms(AGE_MS_MAX - 1))), (1, 1));
        assert_eq!((groups(THEN.plus_ms(AGE_MS_MAX)), groups(TimeMs(THEN.0 - 1))), (0, 0));
        // However old: that somebody is who they are needs nobody to say it again.
        assert_eq!(holders(&user(), TimeMs(u64::MAX)).len(), 2);
    }

    #[test]
    fn claims_give_rights_as_long_and_the_id_for_ever() {
        let value = |field: &str, now: TimeMs| {
            let pattern = EntitlementPattern::parse("x", &format!("t/{{{field}}}")).unwrap();
            let user = user();
            let fields = Fields::of(&user, now);
            pattern.resolve(|field| fields.value(field)).map(|permission| permission.resource.to_string())
        };
        for (name, expect) in
            [("a", Some("t/x")), ("b", Some("t/7")), ("c", Some("t/true")), ("d", None), ("e", None), ("f", None)]
        {
            let field = format!("user.claim.{name}");
            assert_eq!(value(&field, THEN.plus_ms(AGE_MS_MAX - 1)).as_deref(), expect, "{name}");
            assert_eq!(value(&field, THEN.plus_ms(AGE_MS_MAX)), None, "{name}");
            assert_eq!(value(&field, TimeMs(THEN.0 - 1)), None, "{name}");
        }
        assert_eq!(value("user.id", TimeMs(u64::MAX)).as_deref(), Some("t/usr_1"));
    }

    #[test]
    fn groups_and_claims_age_each_by_itself() {
        let mut user = user();
        let now = THEN.plus_ms(AGE_MS_MAX);
        user.body.asserted_at = now;
        assert_eq!((holders(&user, now).len(), Fields::of(&user, now).claims.len()), (2, 5));
        (user.body.asserted_at, user.body.groups_asserted_at) = (THEN, now);
        assert_eq!((holders(&user, now).len(), Fields::of(&user, now).claims.len()), (3, 0));
    }
}
