//! Erasing a user for ever: `POST /v1/users/{id}/erase`.
//!
//! One write says that they were erased, with its entry, and ends all that hangs on them: their record is gone, which
//! every decision, use and exchange names. Then their key is destroyed, and only then the caller is answered. Whoever
//! finds that write done and the key still there destroys it: the next start before it serves, or the next who asks.
//! Nothing is looked for and rewritten: what is kept of them was sealed from its first write on.

use std::sync::Arc;

use attorn_api::audit::EntryType;
use attorn_api::users as api;
use attorn_core::{Digest, EntitlementHolder, FactPrefix, TimeMs, UserId};
use attorn_store::records::{ErasureRecord, FactRecord, LogoutRecord, Record as _, UserNameRecord, UserRecord};
use attorn_store::{Batch, Key, KeyKind, KeyPrefix, PAGE_ITEMS_MAX, Require, Store, Versioned};
use serde_json::json;

use super::keys::UserKeys;
use super::{KnownUser, known, names};
use crate::app::App;
use crate::audit::reference;
use crate::decisions::veil;
use crate::delegations::revoke::{ATTEMPTS_MAX, happened};
use crate::http::call::{Call, OperatorCaller, Reply};
use crate::http::failure::Failure;
use crate::logout::REMEMBERED_MS;
use crate::registry::{moved, note};
use crate::{entry, keys, restore};

/// How many facts about a user go with them.
const FACTS_MAX: usize = 256;

pub(crate) async fn create(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let (operator, wire): (_, api::EraseUser) = (call.operator()?, call.json()?);
    note("reason", wire.reason.as_deref())?;
    let id: UserId = call.path("id")?;
    let (done, left) = erase(&app, &id, operator, wire.reason.as_deref()).await?;
    Reply::ok(&api::UserErased {
        id: id.to_string(),
        erased_at_ms: done.value.at.0,
        entry: reference(&app.store.entry_ref(done.version, done.entries.start)),
        remembered_until_ms: done.value.at.plus_ms(REMEMBERED_MS).0,
        key_left: left,
        not_reached: not_reached(&id),
    })
}

/// Erase a user, or go on where somebody was interrupted. What stood in the place of their key and was not destroyed comes
/// beside.
async fn erase(
    app: &App,
    id: &UserId,
    operator: &OperatorCaller,
    reason: Option<&str>,
) -> Result<(Versioned<ErasureRecord>, Option<String>), Failure> {
    for _ in 0..ATTEMPTS_MAX {
        if let Some(done) = app.store.record::<ErasureRecord>(&Key::erasure(id)).await? {
            let left = app.user_keys.destroy(id).await?;
            if let Some(left) = &left {
                tracing::error!(left, "the key of a user who is erased was not destroyed: it may be elsewhere");
            }
            app.shadows.forget(app, id);
            app.policy_logs.forget(id).await;
            return Ok((done, left));
        }
        let found = app.store.record::<UserRecord>(&Key::user(id)).await?;
        let found = found.ok_or_else(|| Failure::not_found("user", id))?;
        let mut batch = Batch::new(app.clock.now());
        batch.require.extend([(Key::user(id), Require::Version(found.version)), (Key::erasure(id), Require::Absent)]);
        batch.delete.push(Key::user(id));
        batch.put_record(&ErasureRecord { user: id.clone(), at: batch.now });
        end_rights(&app.store, id, &mut batch).await?;
        forget_facts(&app.store, id, &mut batch).await?;
        // Of somebody whose key was lost before, or opens nothing, nobody knows the name any more, nor what the log
        // calls them. That is no reason to keep what is there.
        let user = known(app, id).await.unwrap_or_else(|failure| {
            tracing::warn!(why = failure.internal, "the key of a user who is erased cannot be used");
            None
        });
        if let Some(user) = &user {
            forget_name(app, user, &mut batch).await?;
        }
        let pseudonym = user.as_ref().map(|user| veil::user(id, &user.key));
        let provider = user.as_ref().map(|user| user.body.provider.as_str());
        let about = json!({ "user": pseudonym, "provider": provider, "reason": reason });
        entry::act(&mut batch, operator, EntryType::UserErased, about)?;
        happened(app, batch).await?;
    }
    Err(moved())
}

/// Erase a user of a store that was restored, whom somebody erased after the backup was made; false if they are nobody
/// in it. Their key is gone. A token of before delegates nothing, because the restore ends all of those.
pub(crate) async fn again(store: &Store, id: &UserId) -> Result<bool, Failure> {
    let Some(found) = store.record::<UserRecord>(&Key::user(id)).await? else { return Ok(false) };
    let mut batch = Batch::new(keys::wall_now());
    batch.require.extend([(Key::user(id), Require::Version(found.version)), (Key::erasure(id), Require::Absent)]);
    batch.delete.push(Key::user(id));
    batch.put_record(&ErasureRecord { user: id.clone(), at: batch.now });
    end_rights(store, id, &mut batch).await?;
    forget_facts(store, id, &mut batch).await?;
    let about = json!({ "user": null, "provider": null, "reason": "erased after the backup was made" });
    batch.entries.push(entry::body(
        batch.now,
        EntryType::UserErased,
        json!({ "operator": restore::BY, "about": about }),
    )?);
    store.commit(batch).await?;
    Ok(true)
}

/// What they might do themselves. Delegations, sessions and grants are found to have ended when they are looked at.
async fn end_rights(store: &Store, id: &UserId, batch: &mut Batch) -> Result<(), Failure> {
    let key = Key::entitlement(&EntitlementHolder::User(id.clone()));
    let found = store.get(&key).await?;
    batch.require.push((key.clone(), found.as_ref().map_or(Require::Absent, |found| Require::Version(found.version))));
    batch.delete.extend(found.map(|_| key));
    Ok(())
}

/// What was said about them, as far as one write can hold it. It is sealed: what is left nobody reads.
async fn forget_facts(store: &Store, id: &UserId, batch: &mut Batch) -> Result<(), Failure> {
    let prefix: FactPrefix = format!("user/{id}/").parse()?;
    let page = store.scan(&KeyPrefix::facts(&prefix), None, FACTS_MAX).await?;
    for (key, stored) in page.items {
        let fact = FactRecord::decode(&key, &stored.value).map_err(Failure::internal)?;
        batch.delete.extend(fact.expires_at.map(|at| Key::expiry(at, &key)));
        batch.delete.push(key);
    }
    Ok(())
}

/// Nobody goes by their name any more, and whoever comes by it is somebody new. What is left of it is a keyed hash, for
/// as long as a token of before can be good: such a token delegates nothing.
async fn forget_name(app: &App, user: &KnownUser, batch: &mut Batch) -> Result<(), Failure> {
    let id = &user.record.value.id;
    let name = names::user_name(app, &user.body.issuer, &user.body.subject);
    let key = Key::user_name(&name);
    if let Some(found) = app.store.record::<UserNameRecord>(&key).await?.filter(|found| found.value.user == *id) {
        batch.require.push((key.clone(), Require::Version(found.version)));
        batch.delete.push(key);
    }
    let logout = LogoutRecord { name, at: batch.now };
    let key = logout.key();
    let found = app.store.record::<LogoutRecord>(&key).await?;
    batch.require.push((key.clone(), found.map_or(Require::Absent, |found| Require::Version(found.version))));
    batch.put.push((Key::expiry(batch.now.plus_ms(REMEMBERED_MS), &key), Vec::new()));
    batch.put_record(&logout);
    Ok(())
}

/// A name leads to a user whose key is gone: somebody removed its file by hand, or erased the user afterwards, when
/// nobody could know the name any more. A token of before delegates nothing then either: of before the erasure, or of
/// before now, where nobody said when it was.
pub(super) async fn remember_lost(app: &App, name: Digest, id: &UserId) -> Result<(), Failure> {
    let mut batch = Batch::new(app.clock.now());
    let erasure = app.store.record::<ErasureRecord>(&Key::erasure(id)).await?.map(|erasure| erasure.value.at);
    let user = app.store.record::<UserRecord>(&Key::user(id)).await?.map(|user| user.value.created_at);
    let key = Key::logout(&name);
    let found = app.store.record::<LogoutRecord>(&key).await?;
    // What was remembered before they were anybody here says nothing of this.
    let since = erasure.or(user).unwrap_or(TimeMs(0));
    if found.as_ref().is_some_and(|found| found.value.at >= since) {
        return Ok(());
    }
    batch.entries.push(entry::body(batch.now, EntryType::UserKeyLost, json!({ "user": null }))?);
    batch.require.push((key.clone(), found.map_or(Require::Absent, |found| Require::Version(found.version))));
    batch.put.push((Key::expiry(batch.now.plus_ms(REMEMBERED_MS), &key), Vec::new()));
    batch.put_record(&LogoutRecord { name, at: erasure.unwrap_or(batch.now) });
    // If it changed meanwhile, somebody else came by the same name.
    happened(app, batch).await.map(drop)
}

/// Destroy the keys of all who were erased, as far as they are there: a crash came between, or somebody brought back an
/// old copy of the keys.
pub(crate) async fn finish(store: &Store, keys: &Arc<UserKeys>) -> Result<(), Failure> {
    let (prefix, mut after) = (KeyPrefix::kind(KeyKind::Erasure), None);
    loop {
        let page = store.scan(&prefix, after.as_ref(), PAGE_ITEMS_MAX).await?;
        for (key, stored) in &page.items {
            let user = ErasureRecord::decode(key, &stored.value).map_err(Failure::internal)?.user;
            let there = keys.is_there(&user)?;
            if there {
                tracing::warn!("the key of a user who was erased was still there, and is destroyed now");
            }
            // Without its mark an older backup would not know of it.
            if (there || !keys.is_marked(&user)?)
                && let Some(left) = keys.destroy(&user).await?
            {
                tracing::error!(left, "the key of a user who was erased was not destroyed: it may be elsewhere");
            }
        }
        after = page.next;
        if after.is_none() {
            return Ok(());
        }
    }
}

/// What no server can reach.
fn not_reached(id: &UserId) -> Vec<String> {
    vec![
        format!(
            "copies of the users' keys (`attorn backup --keys`): delete `{}` from each, or what was kept of the user can \
             be read again by whoever has an old copy of the data, the root key and that file",
            UserKeys::file_of(id).display()
        ),
        "decision records, exports and lists that somebody fetched before: they are where they were put".into(),
        "tokens that were issued for the user and have not expired: no use of them counts, and services that check \
         tokens without asking the server accept them until they expire"
            .into(),
        "facts about resources, whose names and values are the operators': `attorn fact list --prefix resource/`"
            .into(),
        "what providers, agents and resource servers keep themselves".into(),
    ]
}
