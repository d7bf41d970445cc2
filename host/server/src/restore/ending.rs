//! What ends with a restore: whatever could act by something that was revoked after the backup was made.
//!
//! Operators stay, with their duties, and have no tokens: a new bootstrap token makes the first admin again, who gives
//! new ones to those who are still to have one. What agents and resource servers sign with stays; the freeze holds it.

use attorn_core::TimeMs;
use attorn_identity::{OperatorToken, OperatorTokenKind, RootKey};
use attorn_store::records::{
    ApprovalRecord, GrantRecord, KeyMaterialRecord, OperatorRecord, Record, SessionRecord, TokenKeyRecord,
    TokenKeyState,
};
use attorn_store::{Batch, KeyKind, KeyPrefix, KeyPurpose, PAGE_ITEMS_MAX, Store, Versioned};
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
    let grants = end_each(store, KeyKind::Grant, "grants_ended", |grant: &mut GrantRecord, now| {
        let stood = grant.revoked_at.is_none();
        grant.revoked_at.get_or_insert(now);
        stood
    })
    .await?;
    let sessions = end_each(store, KeyKind::Session, "sessions_ended", |session: &mut SessionRecord, now| {
        let stood = session.ended_at.is_none();
        session.ended_at.get_or_insert(now);
        stood
    })
    .await?;
    let operator_tokens =
        end_each(store, KeyKind::Operator, "operator_tokens_ended", |operator: &mut OperatorRecord, _| {
            operator.token_digest.take().is_some()
        })
        .await?;
    forget_operator_tokens(store).await?;
    end_approvals(store).await?;
    new_token_key(store, root).await?;
    let token = new_bootstrap_token(store).await?;
    Ok((Counts { grants, sessions, operator_tokens, users: 0 }, token))
}

/// End all records of a kind. `end` says whether one had not ended yet.
async fn end_each<R: Record>(
    store: &Store,
    kind: KeyKind,
    said: &'static str,
    end: impl Fn(&mut R, TimeMs) -> bool,
) -> Result<u64, Failure> {
    let (mut after, mut ended) = (None, 0);
    loop {
        let page = store.scan(&KeyPrefix::kind(kind), after.as_ref(), ENDED_AT_ONCE).await?;
        let mut batch = Batch::new(keys::wall_now());
        for (key, found) in &page.items {
            let mut record = R::decode(key, &found.value).map_err(attorn_store::ReadError::from)?;
            if end(&mut record, batch.now) {
                batch.put_record(&record);
            }
        }
        let count = batch.put.len() as u64;
        if count > 0 {
            let members = json!({ "because": "restored", "count": count });
            batch.entries.push(entry::body(batch.now, said, members)?);
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
        batch.entries.push(entry::body(batch.now, "approvals_ended", members)?);
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
        stood
    };
    end_each(store, KeyKind::TokenKey, "token_keys_ended", end).await?;
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
    batch.entries.push(entry::body(batch.now, "bootstrap_token_made", json!({ "because": "restored" }))?);
    store.commit(batch).await?;
    Ok(token)
}

#[cfg(test)]
mod tests {
    use attorn_store::{Key, Require};

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
