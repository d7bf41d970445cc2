//! `/v1/entitlements`, for registrars: what users, groups and everyone of a provider may do themselves.
//!
//! What of it a user has at a moment is not known here: see [`super::entitled`].

use std::str::FromStr;
use std::sync::Arc;

use attorn_api::ProblemCode;
use attorn_api::audit::EntryType;
use attorn_api::users as api;
use attorn_core::{EntitlementHolder, EntitlementPattern, UserId};
use attorn_identity::issuer_token::is_text;
use attorn_store::records::{EntitlementPatterns, EntitlementRecord, ProviderIssuerRecord, Record as _, UserBody};
use attorn_store::{Batch, Key, KeyKind, KeyPrefix, Require};
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};

use super::{kept, known, seal};
use crate::app::App;
use crate::decisions::veil;
use crate::entry;
use crate::http::call::{Call, Reply};
use crate::http::failure::Failure;
use crate::registry::{commit, count, moved};

/// Say what a holder may do. What stood before is replaced.
pub(crate) async fn set(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let (operator, wire): (_, api::SetEntitlement) = (call.operator()?, call.json()?);
    count("permissions", wire.permissions.len(), 1, EntitlementPatterns::COUNT_MAX)?;
    let pattern = |one: &attorn_api::agents::Permission| EntitlementPattern::parse(&one.action, &one.resource);
    let patterns = wire.permissions.iter().map(pattern).collect::<Result<Vec<_>, _>>()?;
    let holder = holder(&wire.holder)?;
    let mut batch = Batch::new(app.clock.now());
    of_a_provider(&app, &holder, &mut batch).await?;
    let (in_entry, stored) = match &holder {
        EntitlementHolder::User(id) => of_user(&app, id, &patterns, &mut batch).await?,
        _ => (json!({ "holder": wire.holder, "permissions": wire.permissions }), EntitlementPatterns::Plain(patterns)),
    };
    entry::act(&mut batch, operator, EntryType::EntitlementSet, in_entry)?;
    let record = EntitlementRecord { holder, patterns: stored, set_at: batch.now };
    batch.require.push(as_found(&app, record.key()).await?);
    batch.put_record(&record);
    commit(&app, batch, moved).await?;
    let shown = api::Entitlement { holder: wire.holder, permissions: wire.permissions, set_at_ms: record.set_at.0 };
    Reply::ok(&shown)
}

/// What a single user may do: sealed under their key, and what the entry tells of it.
async fn of_user(
    app: &App,
    id: &UserId,
    patterns: &[EntitlementPattern],
    batch: &mut Batch,
) -> Result<(Value, EntitlementPatterns), Failure> {
    let Some(user) = known(app, id).await? else { return Err(kept::gone(app, id).await?) };
    batch.require.push((Key::user(id), Require::Version(user.record.version)));
    let (bytes, place) =
        (EntitlementPatterns::encode(patterns), Key::entitlement(&EntitlementHolder::User(id.clone())));
    let commitment = user.key.commitment("entitlement", &bytes).to_string();
    let about = json!({ "holder": { "user": veil::user(id, &user.key) }, "commitment": commitment });
    Ok((about, EntitlementPatterns::Sealed(seal(&user.key, &place, &bytes)?)))
}

pub(crate) async fn delete(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let (operator, wire): (_, api::DeleteEntitlement) = (call.operator()?, call.json()?);
    let holder = holder(&wire.holder)?;
    let key = Key::entitlement(&holder);
    let found = app.store.record::<EntitlementRecord>(&key).await?;
    let found = found.ok_or_else(|| Failure::of(ProblemCode::NotFound, "nothing is set for this holder"))?;
    let mut batch = Batch::new(app.clock.now());
    let about = match &holder {
        EntitlementHolder::User(id) => {
            let user = kept::key(&app, id).await?;
            json!({ "holder": { "user": user.map(|key| veil::user(id, &key)) } })
        }
        _ => json!({ "holder": wire.holder }),
    };
    entry::act(&mut batch, operator, EntryType::EntitlementDeleted, about)?;
    batch.require.push((key.clone(), Require::Version(found.version)));
    batch.delete.push(key);
    commit(&app, batch, moved).await?;
    Reply::ok(&api::DeleteEntitlement { holder: wire.holder })
}

/// Groups and everyone belong to a provider that is registered: with another issuer, be it by a final `/`, nobody
/// would have the right, and nobody would be told.
async fn of_a_provider(app: &App, holder: &EntitlementHolder, batch: &mut Batch) -> Result<(), Failure> {
    let (EntitlementHolder::Everyone(issuer) | EntitlementHolder::Group { issuer, .. }) = holder else {
        return Ok(());
    };
    let key = Key::provider_issuer(&ProviderIssuerRecord::digest_of_issuer(issuer.as_str()));
    let found = app.store.get(&key).await?.ok_or_else(|| {
        let detail = format!("no provider is registered with the issuer `{issuer}`");
        Failure::of(ProblemCode::InvalidField, detail).with_help(
            "issuers are compared byte by byte, a final `/` included: `attorn provider list`; register the provider first",
        )
    })?;
    batch.require.push((key, Require::Version(found.version)));
    Ok(())
}

/// Those of everyone, then those of groups. What a single user may do is shown with the user.
pub(crate) async fn list(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let after = call.query::<Cursor>("after")?.map(|Cursor(holder)| Key::entitlement(&holder));
    let page = app.store.scan(&KeyPrefix::kind(KeyKind::Entitlement), after.as_ref(), call.limit()?).await?;
    let (mut entitlements, mut more) = (Vec::new(), page.next.is_some());
    for (key, stored) in &page.items {
        let record = EntitlementRecord::decode(key, &stored.value).map_err(Failure::internal)?;
        let EntitlementPatterns::Plain(patterns) = &record.patterns else {
            // INVARIANT: keys of single users come last, so nothing follows that a list shows.
            more = false;
            break;
        };
        let permission = |pattern: &EntitlementPattern| attorn_api::agents::Permission {
            action: pattern.action.to_string(),
            resource: pattern.resource().to_owned(),
        };
        let permissions = patterns.iter().map(permission).collect();
        let holder = shown_holder(&record.holder);
        entitlements.push(api::Entitlement { holder, permissions, set_at_ms: record.set_at.0 });
    }
    let last = entitlements.last().filter(|_| more);
    let next = last.map(|last| Cursor::told(&last.holder)).transpose()?;
    Reply::ok(&api::EntitlementList { entitlements, next })
}

/// Where a page begins: after this holder. A holder is no id, so it is told as one word.
struct Cursor(EntitlementHolder);

impl Cursor {
    fn told(holder: &api::EntitlementHolder) -> Result<String, Failure> {
        Ok(BASE64URL_NOPAD.encode(&serde_json::to_vec(holder).map_err(Failure::internal)?))
    }
}

impl FromStr for Cursor {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const NO_CURSOR: &str = "it is not what `next` of a page said";
        let json = BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| NO_CURSOR)?;
        let wire = serde_json::from_slice(&json).map_err(|_| NO_CURSOR)?;
        match holder(&wire).map_err(|_| NO_CURSOR)? {
            EntitlementHolder::User(_) => Err(NO_CURSOR),
            shared => Ok(Self(shared)),
        }
    }
}

async fn as_found(app: &App, key: Key) -> Result<(Key, Require), Failure> {
    let found = app.store.get(&key).await?;
    let require = found.map_or(Require::Absent, |found| Require::Version(found.version));
    Ok((key, require))
}

fn holder(wire: &api::EntitlementHolder) -> Result<EntitlementHolder, Failure> {
    Ok(match wire {
        api::EntitlementHolder::User(id) => EntitlementHolder::User(id.parse()?),
        api::EntitlementHolder::Everyone(issuer) => EntitlementHolder::Everyone(issuer.parse()?),
        api::EntitlementHolder::Group { issuer, name } => {
            if !is_text(name, UserBody::GROUP_BYTES_MAX) {
                let detail = format!("`name` is 1 to {} bytes without control characters", UserBody::GROUP_BYTES_MAX);
                return Err(Failure::of(ProblemCode::InvalidField, detail));
            }
            EntitlementHolder::Group { issuer: issuer.parse()?, name: name.clone() }
        }
    })
}

fn shown_holder(holder: &EntitlementHolder) -> api::EntitlementHolder {
    match holder {
        EntitlementHolder::User(id) => api::EntitlementHolder::User(id.to_string()),
        EntitlementHolder::Everyone(issuer) => api::EntitlementHolder::Everyone(issuer.to_string()),
        EntitlementHolder::Group { issuer, name } => {
            api::EntitlementHolder::Group { issuer: issuer.to_string(), name: name.clone() }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(wire: &str) -> String {
        BASE64URL_NOPAD.encode(wire.as_bytes())
    }

    #[test]
    fn a_cursor_is_a_holder_that_a_list_shows_and_nothing_else() {
        for wire in
            [r#"{"everyone":"https://a.example"}"#, r#"{"group":{"issuer":"https://a.example","name":"a b/\u00e9"}}"#]
        {
            let Cursor(holder) = told(wire).parse().unwrap();
            let again = Cursor::told(&shown_holder(&holder)).unwrap();
            assert_eq!(Key::entitlement(&again.parse::<Cursor>().unwrap().0), Key::entitlement(&holder), "{wire}");
        }
        for wire in [
            "",
            "{}",
            r#"{"user":"usr_1"}"#,
            r#"{"everyone":"no url"}"#,
            r#"{"everyone":"https://a.example","more":1}"#,
            r#"{"group":{"issuer":"https://a.example","name":""}}"#,
            r#"{"group":{"issuer":"https://a.example"}}"#,
        ] {
            assert!(told(wire).parse::<Cursor>().is_err(), "{wire}");
        }
        assert!("=".parse::<Cursor>().is_err());
    }

    #[test]
    fn single_users_come_after_all_that_a_list_shows() {
        let key = |wire: &str| Key::entitlement(&holder(&serde_json::from_str(wire).unwrap()).unwrap());
        let user = key(r#"{"user":"usr_0"}"#);
        assert!(key(r#"{"everyone":"https://z.example"}"#) < user);
        assert!(key(r#"{"group":{"issuer":"https://z.example","name":"zz"}}"#) < user);
    }
}
