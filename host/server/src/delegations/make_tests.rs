//! How many delegations are kept, whoever asks for them at once.

use std::sync::Arc;

use attorn_api::ProblemCode;
use attorn_api::audit::EntryType;
use attorn_store::Store;

use super::*;
use crate::users::fixtures;

fn record(n: u64, from: Option<&str>, to: &str) -> DelegationRecord {
    DelegationRecord {
        id: format!("dlg_{n}").parse().unwrap(),
        user: "usr_1".parse().unwrap(),
        from_agent: from.map(|agent| agent.parse().unwrap()),
        parent: from.map(|_| "dlg_0".parse().unwrap()),
        depth: u32::from(from.is_some()),
        to_agent: to.parse().unwrap(),
        purpose: "tests".parse().unwrap(),
        session: "ses_1".parse().unwrap(),
        created_at: TimeMs(1),
        expires_at: TimeMs(2),
        accepted_at: None,
        revoked_at: None,
        revocations: 0,
        user_revocations: 0,
        agent_revocations: 0,
        sealed: attorn_store::records::Sealed(vec![1]),
        sealed_reason: None,
    }
}

async fn made(store: &Store, record: DelegationRecord) -> Result<(), Failure> {
    let mut batch = Batch::new(TimeMs(1));
    let body = DelegationBody { permissions: Vec::new(), evidence: None };
    put(&mut batch, &fixtures::known(fixtures::body()), &record, &body, EntryType::DelegationMade)?;
    Ok(store.commit(batch).await.map(drop)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_agent_makes_more_of_a_user_s_than_are_kept_however_many_are_made_at_once() {
    const LEFT: u64 = 5;
    let dir = tempfile::TempDir::new().unwrap();
    let store = Arc::new(Store::create(dir.path(), crate::keys::ours_of_tests()).unwrap());
    let counter = |agent: &str| Key::kept_delegations(&"usr_1".parse().unwrap(), &agent.parse().unwrap());
    let mut batch = Batch::new(TimeMs(1));
    let so_far = i64::try_from(KEPT_MAX - LEFT).unwrap();
    batch.add.push(Add { key: counter("bot"), delta: so_far, at_most: KEPT_MAX });
    store.commit(batch).await.unwrap();
    // Some by a user's consent, others out of what the agent has: they are its own either way.
    let record = |n: u64| if n.is_multiple_of(2) { record(n, None, "bot") } else { record(n, Some("bot"), "helper") };
    let all: Vec<_> = (0..32)
        .map(|n| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { made(&store, record(n)).await })
        })
        .collect();
    let (mut done, mut refused) = (0, 0);
    for one in all {
        match one.await.unwrap() {
            Ok(()) => done += 1,
            Err(failure) => {
                assert_eq!(failure.problem.code, ProblemCode::TooManyDelegations, "{failure:?}");
                assert!(failure.problem.help.is_some() && failure.problem.detail.contains("1000"), "{failure:?}");
                refused += 1;
            }
        }
    }
    assert_eq!((done, refused), (LEFT, 32 - LEFT));
    assert_eq!(store.counter(&counter("bot")).await.unwrap(), KEPT_MAX);
    let written =
        store.scan(&attorn_store::KeyPrefix::kind(attorn_store::KeyKind::Delegation), None, 100).await.unwrap();
    assert_eq!(written.items.len() as u64, LEFT);
    // What it offered took nothing of the helper's own.
    made(&store, self::record(100, None, "helper")).await.unwrap();
    assert_eq!(store.counter(&counter("helper")).await.unwrap(), 1);
}

#[tokio::test]
async fn no_agent_fills_anothers_list_with_offers() {
    let dir = tempfile::TempDir::new().unwrap();
    let store = Store::create(dir.path(), crate::keys::ours_of_tests()).unwrap();
    for n in 0..OPEN_OFFERS_MAX {
        made(&store, record(n, Some("bot"), "helper")).await.unwrap();
    }
    let failure = made(&store, record(100, Some("bot"), "helper")).await.unwrap_err();
    assert_eq!(failure.problem.code, ProblemCode::TooManyDelegations, "{failure:?}");
    assert!(failure.problem.detail.contains("16 offers") && failure.problem.help.is_some(), "{failure:?}");
    // That takes nothing of what others offer to it, nor of what the agent offers to others, nor of its own.
    made(&store, record(101, Some("other"), "helper")).await.unwrap();
    made(&store, record(102, Some("bot"), "other")).await.unwrap();
    made(&store, record(103, None, "bot")).await.unwrap();
    // An answer makes room.
    let mut batch = Batch::new(TimeMs(1));
    let waits = open_offers(&record(0, Some("bot"), "helper")).unwrap();
    super::super::room::give_room(&store, waits.clone(), &mut batch).await.unwrap();
    store.commit(batch).await.unwrap();
    assert_eq!(store.counter(&waits).await.unwrap(), OPEN_OFFERS_MAX - 1);
    made(&store, record(104, Some("bot"), "helper")).await.unwrap();
}
