//! What goes when room is needed, and what stays.

use attorn_api::audit::EntryType;
use attorn_store::records::{DelegationBody, Sealed};

use super::super::make;
use super::*;
use crate::users::fixtures;

const NOW: TimeMs = TimeMs(1_000);

fn record(n: u64) -> DelegationRecord {
    DelegationRecord {
        id: format!("dlg_{n}").parse().unwrap(),
        user: "usr_1".parse().unwrap(),
        from_agent: None,
        parent: None,
        depth: 0,
        to_agent: "bot".parse().unwrap(),
        purpose: "tests".parse().unwrap(),
        session: "ses_open".parse().unwrap(),
        created_at: TimeMs(n),
        expires_at: NOW.plus_ms(1),
        accepted_at: Some(TimeMs(n)),
        revoked_at: None,
        revocations: 0,
        user_revocations: 0,
        agent_revocations: 0,
        sealed: Sealed(vec![1]),
        sealed_reason: None,
    }
}

struct Scene {
    store: Store,
    user: KnownUser,
    _dir: tempfile::TempDir,
}

impl Scene {
    async fn new(records: &[DelegationRecord]) -> Self {
        let dir = tempfile::TempDir::new().unwrap();
        let store = Store::create(dir.path(), crate::keys::ours_of_tests()).unwrap();
        let user = fixtures::known(fixtures::body());
        let mut batch = Batch::new(TimeMs(1));
        for (id, ended_at) in [("ses_open", None), ("ses_ended", Some(TimeMs(500)))] {
            batch.put_record(&SessionRecord {
                id: id.parse().unwrap(),
                user: "usr_1".parse().unwrap(),
                opened_at: TimeMs(1),
                ended_at,
                sealed_name: None,
                unnamed_revocations: 0,
            });
        }
        store.commit(batch).await.unwrap();
        for record in records {
            let (mut batch, body) = (Batch::new(TimeMs(1)), DelegationBody { permissions: Vec::new(), evidence: None });
            make::put(&mut batch, &user, record, &body, EntryType::DelegationMade).unwrap();
            // As whoever revokes does.
            let looked_for = record.revoked_at.map(|at| (Key::expiry(at, &Key::delegation(&record.id)), Vec::new()));
            batch.put.extend(looked_for);
            store.commit(batch).await.unwrap();
        }
        Self { store, user, _dir: dir }
    }

    async fn collect(&self, by: &str) -> usize {
        let collecting = Collecting {
            store: &self.store,
            user: &self.user,
            now: NOW,
            sessions: BTreeMap::new(),
            agents: BTreeMap::new(),
        };
        collecting.remove(&by.parse().unwrap(), |_| false).await.unwrap()
    }

    /// Which are left, by their numbers.
    async fn left(&self) -> Vec<u64> {
        let user = self.user.record.value.id.clone();
        let page = self.store.scan(&KeyPrefix::user_delegations(&user), None, 200).await.unwrap();
        let mut left: Vec<u64> = page
            .items
            .iter()
            .filter_map(|(key, _)| key.named_delegation())
            .map(|id| id.as_str().trim_start_matches("dlg_").parse().unwrap())
            .collect();
        left.sort_unstable();
        left
    }

    async fn kept(&self, by: &str) -> u64 {
        let user = self.user.record.value.id.clone();
        self.store.counter(&Key::kept_delegations(&user, &by.parse().unwrap())).await.unwrap()
    }

    async fn to_look_at(&self) -> usize {
        self.store.scan(&KeyPrefix::kind(attorn_store::KeyKind::Expiry), None, 500).await.unwrap().items.len()
    }
}

#[tokio::test]
async fn what_has_ended_goes_whatever_ended_it_and_what_stands_stays() {
    let child = |n, parent: &str| DelegationRecord {
        from_agent: Some("bot".parse().unwrap()),
        parent: Some(parent.parse().unwrap()),
        to_agent: "helper".parse().unwrap(),
        ..record(n)
    };
    let all = [
        record(1),
        DelegationRecord { expires_at: NOW, ..record(2) },
        DelegationRecord { revoked_at: Some(TimeMs(900)), ..record(3) },
        DelegationRecord { user_revocations: 1, ..record(4) },
        DelegationRecord { agent_revocations: 1, ..record(5) },
        DelegationRecord { session: "ses_ended".parse().unwrap(), ..record(6) },
        DelegationRecord { session: "ses_gone".parse().unwrap(), ..record(7) },
        child(8, "dlg_1"),
        child(9, "dlg_3"),
        child(10, "dlg_gone"),
        // Of another agent's making: it is not this one's to remove.
        DelegationRecord { to_agent: "other".parse().unwrap(), expires_at: NOW, ..record(11) },
    ];
    let scene = Scene::new(&all).await;
    assert_eq!((scene.kept("bot").await, scene.kept("other").await), (10, 1));
    assert_eq!(scene.collect("bot").await, 8);
    assert_eq!(scene.left().await, [1, 8, 11]);
    assert_eq!((scene.kept("bot").await, scene.kept("other").await), (2, 1));
    // Nothing is left of the others that anybody would look for.
    assert_eq!(scene.to_look_at().await, 3);
    assert_eq!(scene.collect("bot").await, 0);
}

#[tokio::test]
async fn those_that_ended_first_go_first_and_no_more_than_so_many_at_a_time() {
    let count = REMOVED_MAX as u64 + 8;
    // The later one was made the earlier it ended.
    let ended = |n: u64| DelegationRecord { revoked_at: Some(TimeMs(900 - n)), ..record(n) };
    let all: Vec<_> = (1..=count).map(ended).chain([record(count + 1)]).collect();
    let scene = Scene::new(&all).await;
    assert_eq!(scene.collect("bot").await, REMOVED_MAX);
    assert_eq!(scene.left().await, [1, 2, 3, 4, 5, 6, 7, 8, count + 1]);
    assert_eq!(scene.collect("bot").await, 8);
    assert_eq!((scene.left().await, scene.kept("bot").await), (vec![count + 1], 1));
}
