//! What ends with a restore: whatever could act by something that was revoked after the backup was made.
//!
//! Operators stay, with their duties, and have no tokens: a new bootstrap token makes the first admin again, who gives
//! new ones to those who are still to have one. What agents and resource servers sign with stays; the freeze holds it.

use std::collections::BTreeSet;

use attorn_api::audit::EntryType;
use attorn_core::TimeMs;
use attorn_identity::{OperatorToken, OperatorTokenKind, RootKey};
use attorn_store::records::{
    ApprovalRecord, GrantRecord, KeyMaterialRecord, OperatorRecord, Record, SessionRecord, TokenKeyRecord,
    TokenKeyState,
};
use attorn_store::{Batch, Key, KeyKind, KeyPrefix, KeyPurpose, PAGE_ITEMS_MAX, Store, Versioned};
use serde_json::json;

use super::Counts;
use crate::approvals::forget::forget;
use crate::http::failure::Failure;
use crate::registry::bootstrap;
use crate::{entry, keys, token_keys};

/// How many things are ended in one batch.
const ENDED_AT_ONCE: usize = 200;
/// How many approvals: each goes with up to four things that find it.
const APPROVALS_AT_ONCE: usize = 100;

/// End all of it. The token that makes an admin comes back.
pub(super) async fn end_all(store: &Store, root: &RootKey) -> Result<(Counts, OperatorToken), Failure> {
    let unexpired = unexpired_grants(store).await?;
    let grants = end_each(store, KeyKind::Grant, EntryType::GrantsEnded, |grant: &mut GrantRecord, now| {
        if grant.revoked_at.is_some() {
            return Came::Over;
        }
        grant.revoked_at = Some(now);
        // Also one that has expired, by a clock that may be wrong; but by this it did not end.
        if unexpired.contains(&grant.key()) { Came::Ended } else { Came::Expired }
    })
    .await?;
    let sessions = end_each(store, KeyKind::Session, EntryType::SessionsEnded, |session: &mut SessionRecord, now| {
        let stood = session.ended_at.is_none();
        session.ended_at.get_or_insert(now);
        Came::ended_if(stood)
    })
    .await?;
    let operator_tokens =
        end_each(store, KeyKind::Operator, EntryType::OperatorTokensEnded, |operator: &mut OperatorRecord, _| {
            Came::ended_if(operator.token_digest.take().is_some())
        })
        .await?;
    forget_operator_tokens(store).await?;
    end_approvals(store).await?;
    new_token_key(store, root).await?;
    let token = new_bootstrap_token(store).await?;
    Ok((Counts { grants, sessions, operator_tokens, users: 0 }, token))
}

/// What came of one that was to be ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Came {
    /// It stood, and has ended by this.
    Ended,
    /// It could do nothing any more, and is marked as ended all the same.
    Expired,
    /// It had ended before, and stays as it is.
    Over,
}

impl Came {
    const fn ended_if(stood: bool) -> Self {
        if stood { Self::Ended } else { Self::Over }
    }
}

/// The grants that have not expired, by the index of when things do: what a grant says itself may be sealed.
async fn unexpired_grants(store: &Store) -> Result<BTreeSet<Key>, Failure> {
    let now = keys::wall_now();
    // What expires sooner is passed over.
    let (mut after, mut found) = (Some(Key::expiry(now, &Key::freeze())), BTreeSet::new());
    loop {
        let page = store.scan(&KeyPrefix::kind(KeyKind::Expiry), after.as_ref(), PAGE_ITEMS_MAX).await?;
        let expiring = page.items.iter().filter_map(|(key, _)| key.expiring());
        found.extend(
            expiring.filter(|(at, what)| *at > now && what.kind() == Some(KeyKind::Grant)).map(|(_, what)| what),
        );
        after = page.next;
        if after.is_none() {
            return Ok(found);
        }
    }
}

/// End all records of a kind, and count those that stood.
async fn end_each<R: Record>(
    store: &Store,
    kind: KeyKind,
    said: EntryType,
    end: impl Fn(&mut R, TimeMs) -> Came,
) -> Result<u64, Failure> {
    let (mut after, mut ended) = (None, 0);
    loop {
        let page = store.scan(&KeyPrefix::kind(kind), after.as_ref(), ENDED_AT_ONCE).await?;
        let (mut batch, mut count) = (Batch::new(keys::wall_now()), 0_u64);
        for (key, found) in &page.items {
            let mut record = R::decode(key, &found.value).map_err(attorn_store::ReadError::from)?;
            let found = end(&mut record, batch.now);
            if found != Came::Over {
                batch.put_record(&record);
            }
            count += u64::from(found == Came::Ended);
        }
        if count > 0 {
            let members = json!({ "because": "restored", "count": count });
            batch.entries.push(entry::body(batch.now, said, members)?);
        }
        if !batch.put.is_empty() {
            store.commit(batch).await?;
        }
        (after, ended) = (page.next, ended + count);
        if after.is_none() {
            return Ok(ended);
        }
    }
}

/// Nothing leads from a token to its operator any more.
async fn forget_operator_tokens(store: &Store) -> Result<(), Failure> {
    loop {
        let page = store.scan(&KeyPrefix::kind(KeyKind::OperatorToken), None, ENDED_AT_ONCE).await?;
        if page.items.is_empty() {
            return Ok(());
        }
        let mut batch = Batch::new(keys::wall_now());
        batch.delete.extend(page.items.into_iter().map(|(key, _)| key));
        store.commit(batch).await?;
    }
}

/// Whatever was approved is to be approved again: somebody may have refused it since, or have been revoked.
async fn end_approvals(store: &Store) -> Result<(), Failure> {
    loop {
        let page = store.scan(&KeyPrefix::kind(KeyKind::Approval), None, APPROVALS_AT_ONCE).await?;
        if page.items.is_empty() {
            return Ok(());
        }
        let mut approvals = Vec::new();
        for (key, found) in page.items {
            let value = ApprovalRecord::decode(&key, &found.value).map_err(attorn_store::ReadError::from)?;
            approvals.push(Versioned { value, version: found.version, entries: found.entries });
        }
        let mut batch = Batch::new(keys::wall_now());
        let members = json!({ "because": "restored", "count": approvals.len() });
        batch.entries.push(entry::body(batch.now, EntryType::ApprovalsEnded, members)?);
        forget(store, &approvals, &mut batch).await?;
        store.commit(batch).await?;
    }
}

/// A new key signs tokens, and those before it verify nothing: one may have been retired as compromised since.
async fn new_token_key(store: &Store, root: &RootKey) -> Result<(), Failure> {
    let end = |key: &mut TokenKeyRecord, at| {
        let stood = !matches!(key.state, TokenKeyState::Compromised { .. });
        if stood {
            key.state = TokenKeyState::Compromised { at };
        }
        Came::ended_if(stood)
    };
    end_each(store, KeyKind::TokenKey, EntryType::TokenKeysEnded, end).await?;
    let mut batch = Batch::new(keys::wall_now());
    let mut version = token_keys::newest_version(store).await?;
    let held = store.scan(&KeyPrefix::key_material(KeyPurpose::TokenSigning), None, PAGE_ITEMS_MAX).await?;
    for (key, stored) in held.items {
        let record = KeyMaterialRecord::decode(&key, &stored.value).map_err(Failure::internal)?;
        version = version.max(record.version);
        batch.delete.push(key);
    }
    token_keys::make(root, &mut batch, version + 1)?;
    keys::said(&mut batch, KeyPurpose::TokenSigning, version + 1)?;
    store.commit(batch).await?;
    Ok(())
}

/// The token that `attorn init` would give. One of before is dead, used or not.
async fn new_bootstrap_token(store: &Store) -> Result<OperatorToken, Failure> {
    let token = OperatorToken::generate(OperatorTokenKind::Bootstrap).map_err(Failure::internal)?;
    let mut batch = Batch::new(keys::wall_now());
    batch.put.push((bootstrap::key()?, token.digest().to_string().into_bytes()));
    batch.entries.push(entry::body(batch.now, EntryType::BootstrapTokenMade, json!({ "because": "restored" }))?);
    store.commit(batch).await?;
    Ok(token)
}

#[cfg(test)]
mod tests {
    use attorn_store::Require;

    use super::*;

    fn approved(id: u8) -> ApprovalRecord {
        ApprovalRecord {
            request: attorn_core::ApprovalRequest {
                id: attorn_core::ApprovalId::from_random([id; 16]),
                bound_to: attorn_core::Digest::from_bytes([id; 32]),
                requirements: Vec::new(),
                votes: Vec::new(),
                expires_at: TimeMs(u64::MAX),
            },
            state: attorn_core::ApprovalState::Approved,
            asked_of: attorn_core::Digest::from_bytes([9; 32]),
            agent: "bot".parse().unwrap(),
            owners: Vec::new(),
            registrars: Vec::new(),
            delegation: None,
            code: "BCDF-GHJK".into(),
            decision: attorn_core::DecisionId::from_random([1; 16]),
            spent_by: None,
            open: true,
            prompted: false,
            groups_of: None,
            created_at: TimeMs(1),
            content: attorn_store::records::Kept::Plain(attorn_core::JsonText::from_canonical("{}")),
        }
    }

    /// A grant of this user, as it is written beside when it expires.
    async fn granted(store: &Store, id: u8, expires_at: TimeMs, revoked_at: Option<TimeMs>) -> GrantRecord {
        let sealed = attorn_store::records::Sealed(vec![id; 40]);
        let user = "usr_0123456789abcdef0123456789abcdef".parse().unwrap();
        let grant = attorn_store::records::Kept::Sealed { user, sealed };
        let record = GrantRecord { id: attorn_core::GrantId::from_random([id; 16]), grant, revoked_at };
        let mut batch = Batch::new(TimeMs(1));
        batch.put_record(&record);
        batch.put.push((Key::expiry(expires_at, &record.key()), Vec::new()));
        store.commit(batch).await.unwrap();
        record
    }

    #[tokio::test]
    async fn every_grant_ends_and_only_those_that_stood_are_counted() {
        let dir = tempfile::TempDir::new().unwrap();
        let store = Store::create(dir.path(), crate::keys::ours_of_tests()).unwrap();
        let root = RootKey::generate().unwrap();
        let mut batch = Batch::new(TimeMs(1));
        keys::generate(&root, &mut batch).unwrap();
        store.commit(batch).await.unwrap();
        let (over, to_come) = (TimeMs(1_000), keys::wall_now().plus_ms(86_400_000));
        let stood = [granted(&store, 1, to_come, None).await, granted(&store, 2, to_come, None).await];
        let expired = granted(&store, 3, over, None).await;
        let revoked = granted(&store, 4, to_come, Some(TimeMs(7))).await;
        let (counts, _) = end_all(&store, &root).await.unwrap();
        assert_eq!(counts, Counts { grants: 2, ..Counts::default() });
        for record in stood.iter().chain([&expired, &revoked]) {
            let found: Versioned<GrantRecord> = store.record(&record.key()).await.unwrap().unwrap();
            assert!(found.value.revoked_at.is_some(), "{:?}", found.value);
        }
    }

    #[tokio::test]
    async fn no_token_of_before_leads_to_anybody_and_no_key_of_before_verifies() {
        let dir = tempfile::TempDir::new().unwrap();
        let store = Store::create(dir.path(), crate::keys::ours_of_tests()).unwrap();
        let root = RootKey::generate().unwrap();
        let mut batch = Batch::new(TimeMs(1));
        keys::generate(&root, &mut batch).unwrap();
        let token = OperatorToken::generate(OperatorTokenKind::Operator).unwrap();
        let operator = OperatorRecord {
            id: "ada".parse().unwrap(),
            duties: [attorn_core::Duty::Thawer].into(),
            token_digest: Some(token.digest()),
            created_at: TimeMs(1),
            revoked_at: None,
        };
        batch.put_record(&operator);
        let held =
            attorn_store::records::OperatorTokenRecord { token_digest: token.digest(), operator: operator.id.clone() };
        batch.put_record(&held);
        batch.require.push((bootstrap::key().unwrap(), Require::Absent));
        batch.put.push((bootstrap::key().unwrap(), b"before".to_vec()));
        // More than go in one batch, of one agent; and one of them counts no more.
        store.commit(batch).await.unwrap();
        for id in 0..=u8::try_from(APPROVALS_AT_ONCE).unwrap() {
            let mut batch = Batch::new(TimeMs(1));
            approved(id).open(&mut batch, 200);
            store.commit(batch).await.unwrap();
        }
        let mut batch = Batch::new(TimeMs(1));
        approved(1).becomes(&ApprovalRecord { open: false, ..approved(1) }, &mut batch);
        store.commit(batch).await.unwrap();
        let (counts, made) = end_all(&store, &root).await.unwrap();
        for kind in [KeyKind::Approval, KeyKind::ApprovalRequest, KeyKind::OpenApproval, KeyKind::OpenApprovals] {
            assert!(store.scan(&KeyPrefix::kind(kind), None, 1).await.unwrap().items.is_empty(), "{kind:?}");
        }
        assert_eq!(counts, Counts { operator_tokens: 1, ..Counts::default() });
        assert_eq!(store.get(&held.key()).await.unwrap(), None);
        let found: Versioned<OperatorRecord> = store.record(&operator.key()).await.unwrap().unwrap();
        assert_eq!(found.value, OperatorRecord { token_digest: None, ..operator });
        assert_eq!(bootstrap::digest(&store).await.unwrap().unwrap().value, made.digest());
        let page = store.scan(&KeyPrefix::kind(KeyKind::TokenKey), None, 10).await.unwrap();
        let mut states: Vec<_> = page
            .items
            .iter()
            .map(|(key, found)| TokenKeyRecord::decode(key, &found.value).unwrap())
            .map(|key| (key.version, key.state == TokenKeyState::Signing))
            .collect();
        states.sort_unstable();
        assert_eq!(states, [(1, false), (2, true)]);
        // The private half of the old one is gone.
        let id = keys::ID.parse().unwrap();
        let old = Key::key_material(KeyPurpose::TokenSigning, &id, 1);
        assert_eq!(store.get(&old).await.unwrap(), None);
    }
}
