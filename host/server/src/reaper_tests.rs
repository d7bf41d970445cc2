//! What is removed and what stays, at times that the test sets.

use attorn_core::{DelegationId, Digest};
use attorn_store::Add;
use attorn_store::records::{ExchangeRecord, ProviderRecord, Record as _, Sealed};

use super::*;

const BEGIN: TimeMs = TimeMs(1_767_323_045_678);
/// How long a delegation may live.
const LIFE: u64 = ProviderRecord::DELEGATION_MS_MAX;

const NAME: Digest = Digest::from_bytes([7; 32]);

struct Scene {
    _dir: tempfile::TempDir,
    store: Store,
}

fn session() -> SessionRecord {
    SessionRecord {
        id: "ses_1".parse().unwrap(),
        user: "usr_1".parse().unwrap(),
        opened_at: BEGIN,
        ended_at: None,
        sealed_name: None,
        unnamed_revocations: 0,
    }
}

fn name() -> SessionNameRecord {
    SessionNameRecord { name: NAME, session: session().id }
}

impl Scene {
    async fn new(fill: impl FnOnce(&mut Batch)) -> Self {
        let dir = tempfile::TempDir::new().unwrap();
        let store = Store::create(dir.path(), crate::keys::ours_of_tests()).unwrap();
        let scene = Self { _dir: dir, store };
        scene.write(fill).await;
        scene
    }

    async fn write(&self, fill: impl FnOnce(&mut Batch)) {
        let mut batch = Batch::new(BEGIN);
        fill(&mut batch);
        self.store.commit(batch).await.unwrap();
    }

    /// How many of these are there after a round so long after the beginning.
    async fn left(&self, after_ms: u64, keys: &[Key]) -> usize {
        round(&self.store, BEGIN.plus_ms(after_ms)).await.unwrap();
        let mut left = 0;
        for key in keys {
            left += usize::from(self.store.get(key).await.unwrap().is_some());
        }
        left
    }

    /// How often there is something to look at again.
    async fn to_look_at(&self) -> usize {
        self.store.scan(&KeyPrefix::kind(KeyKind::Expiry), None, 1_000).await.unwrap().items.len()
    }
}

fn delegation(id: &str, parent: Option<&str>, expires_at: TimeMs) -> DelegationRecord {
    DelegationRecord {
        id: id.parse().unwrap(),
        user: session().user,
        from_agent: None,
        parent: parent.map(|id| id.parse::<DelegationId>().unwrap()),
        depth: 0,
        to_agent: "bot".parse().unwrap(),
        purpose: "tests".parse().unwrap(),
        session: session().id,
        created_at: BEGIN,
        expires_at,
        accepted_at: Some(BEGIN),
        revoked_at: None,
        revocations: 0,
        user_revocations: 0,
        agent_revocations: 0,
        sealed: Sealed(vec![1]),
        sealed_reason: None,
    }
}

/// A delegation in the session, as it is written with its places in the indexes; and all of those.
fn delegate(batch: &mut Batch, id: &str, parent: Option<&str>, expires_at: TimeMs) -> Vec<Key> {
    put(batch, &delegation(id, parent, expires_at))
}

fn put(batch: &mut Batch, record: &DelegationRecord) -> Vec<Key> {
    let mut keys =
        vec![Key::user_delegation(&record.user, &record.id), Key::agent_delegation(&record.to_agent, &record.id)];
    keys.extend(record.parent.as_ref().map(|parent| Key::child_delegation(parent, &record.id)));
    batch.put.extend(keys.iter().map(|key| (key.clone(), Vec::new())));
    batch.put.push((Key::expiry(record.expires_at, &record.key()), Vec::new()));
    batch.put_record(record);
    keys.push(record.key());
    keys
}

#[tokio::test]
async fn a_delegation_goes_with_its_places_a_day_after_it_expired() {
    let mut keys = Vec::new();
    let scene = Scene::new(|batch| keys = delegate(batch, "dlg_2", Some("dlg_1"), BEGIN.plus_ms(1_000))).await;
    assert_eq!(scene.left(1_000 + KEPT_MS - 1, &keys).await, 4);
    assert_eq!(scene.left(1_000 + KEPT_MS, &keys).await, 0);
    assert_eq!(scene.to_look_at().await, 0);
}

#[tokio::test]
async fn a_delegation_that_was_revoked_goes_a_day_after_that() {
    let revoked = DelegationRecord {
        revoked_at: Some(BEGIN.plus_ms(1_000)),
        ..delegation("dlg_2", Some("dlg_1"), BEGIN.plus_ms(LIFE))
    };
    let counter = Key::kept_delegations(&session().user, revoked.made_by());
    let mut keys = Vec::new();
    let scene = Scene::new(|batch| {
        keys = put(batch, &revoked);
        batch.put.push((Key::expiry(BEGIN.plus_ms(1_000), &revoked.key()), Vec::new()));
        batch.add.push(Add { key: counter.clone(), delta: 1, at_most: 1 });
    })
    .await;
    keys.push(counter);
    assert_eq!(scene.left(1_000 + KEPT_MS - 1, &keys).await, 5);
    assert_eq!(scene.left(1_000 + KEPT_MS, &keys).await, 0);
    // There is nothing to look for any more when it would have expired.
    assert_eq!(scene.to_look_at().await, 0);
}

#[tokio::test]
async fn an_offer_that_nobody_answered_gives_room_for_another_when_it_goes_and_an_accepted_one_does_not() {
    let (bot, helper) = ("bot".parse().unwrap(), "helper".parse().unwrap());
    let counter = Key::open_offers(&session().user, &helper, &bot);
    let offer = |id, life| DelegationRecord {
        from_agent: Some(helper.clone()),
        accepted_at: None,
        ..delegation(id, Some("dlg_1"), BEGIN.plus_ms(life))
    };
    let scene = Scene::new(|batch| {
        put(batch, &DelegationRecord { accepted_at: Some(BEGIN), ..offer("dlg_2", 1_000) });
        put(batch, &DelegationRecord { revoked_at: Some(BEGIN), ..offer("dlg_3", 2_000) });
        put(batch, &offer("dlg_4", 3_000));
        put(batch, &offer("dlg_5", 4_000));
        batch.add.push(Add { key: counter.clone(), delta: 2, at_most: 2 });
    })
    .await;
    let kept = async |after: u64| {
        let there = scene.left(after + KEPT_MS, std::slice::from_ref(&counter)).await;
        (there, scene.store.counter(&counter).await.unwrap())
    };
    assert_eq!(kept(2_000).await, (1, 2));
    assert_eq!(kept(3_000).await, (1, 1));
    assert_eq!(kept(4_000).await, (0, 0));
}

/// One thing that nobody can read keeps nothing else from going, however much there is behind it.
#[tokio::test]
async fn what_cannot_be_read_stays_and_the_rest_goes() {
    let (mut keys, bad) = (Vec::new(), Key::delegation(&"dlg_bad".parse().unwrap()));
    let scene = Scene::new(|batch| {
        batch.put.push((bad.clone(), vec![0]));
        batch.put.push((Key::expiry(BEGIN, &bad), Vec::new()));
        for n in 0..150 {
            keys.extend(delegate(batch, &format!("dlg_{n}"), None, BEGIN.plus_ms(1_000 + n)));
        }
    })
    .await;
    for removed in [150, 0] {
        let round = round(&scene.store, BEGIN.plus_ms(2_000 + KEPT_MS)).await.unwrap();
        assert_eq!(round, Round { removed, left: 1 });
    }
    assert_eq!(scene.left(2_000 + KEPT_MS, &keys).await, 0);
    assert_eq!(scene.left(2_000 + KEPT_MS, &[bad]).await, 1);
    assert_eq!(scene.to_look_at().await, 1);
}

#[tokio::test]
async fn a_delegation_that_goes_gives_its_maker_room_and_never_more_than_it_took() {
    let counter = Key::kept_delegations(&session().user, &"bot".parse().unwrap());
    let scene = Scene::new(|batch| {
        delegate(batch, "dlg_1", None, BEGIN.plus_ms(1_000));
        delegate(batch, "dlg_2", None, BEGIN.plus_ms(2_000));
        delegate(batch, "dlg_3", None, BEGIN.plus_ms(3_000));
        batch.add.push(Add { key: counter.clone(), delta: 2, at_most: 2 });
    })
    .await;
    let kept = async |after: u64| {
        let there = scene.left(after + KEPT_MS, std::slice::from_ref(&counter)).await;
        (there, scene.store.counter(&counter).await.unwrap())
    };
    assert_eq!(kept(999).await, (1, 2));
    assert_eq!(kept(1_000).await, (1, 1));
    // The last takes the counter along, and one more finds nothing to give back.
    assert_eq!(kept(2_000).await, (0, 0));
    assert_eq!(kept(3_000).await, (0, 0));
    assert_eq!(scene.to_look_at().await, 0);
}

#[tokio::test]
async fn an_exchange_goes_when_its_token_and_its_delegation_have_expired() {
    let record = ExchangeRecord { digest: NAME, delegation: "dlg_1".parse().unwrap() };
    let key = [record.key()];
    let scene = Scene::new(|batch| {
        batch.put.push((Key::expiry(BEGIN.plus_ms(1_000), &key[0]), Vec::new()));
        batch.put_record(&record);
    })
    .await;
    assert_eq!(scene.left(1_000 + KEPT_MS - 1, &key).await, 1);
    assert_eq!(scene.left(1_000 + KEPT_MS, &key).await, 0);
}

#[tokio::test]
async fn a_session_goes_with_its_name_when_nothing_can_hang_on_it_any_more() {
    let keys = [session().key(), name().key()];
    let scene = Scene::new(|batch| sessions::open(batch, &session(), Some(&name()))).await;
    assert_eq!(scene.left(LIFE + KEPT_MS - 1, &keys).await, 2);
    assert_eq!(scene.left(LIFE + KEPT_MS, &keys).await, 0);
    assert_eq!(scene.to_look_at().await, 0);
    // One of our own has no name.
    let keys = [session().key()];
    let scene = Scene::new(|batch| sessions::open(batch, &session(), None)).await;
    assert_eq!(scene.left(LIFE + KEPT_MS - 1, &keys).await, 1);
    assert_eq!(scene.left(LIFE + KEPT_MS, &keys).await, 0);
}

#[tokio::test]
async fn a_session_stays_while_a_delegation_in_it_stands() {
    let keys = [session().key(), name().key()];
    for named in [true, false] {
        let keys = &keys[..if named { 2 } else { 1 }];
        let scene = Scene::new(|batch| {
            sessions::open(batch, &session(), named.then(name).as_ref());
            // More than are read at a time, and the one that lives longest somewhere among them.
            for n in 0..150 {
                let life = if n == 120 { 2 * LIFE } else { LIFE + n };
                delegate(batch, &format!("dlg_{n}"), None, BEGIN.plus_ms(life));
            }
        })
        .await;
        assert_eq!(scene.left(LIFE + KEPT_MS, keys).await, keys.len());
        assert_eq!(scene.left(2 * LIFE + KEPT_MS - 1, keys).await, keys.len());
        assert_eq!(scene.left(2 * LIFE + KEPT_MS, keys).await, 0);
        assert_eq!(scene.to_look_at().await, 0);
    }
}

#[tokio::test]
async fn a_session_that_ended_is_remembered_until_no_token_of_it_can_open_it_again() {
    let keys = [session().key(), name().key()];
    let scene = Scene::new(|batch| sessions::open(batch, &session(), Some(&name()))).await;
    // It ends just before it would have been forgotten.
    let ended_after = LIFE + KEPT_MS - 1;
    scene
        .write(|batch| batch.put_record(&SessionRecord { ended_at: Some(BEGIN.plus_ms(ended_after)), ..session() }))
        .await;
    for after in [LIFE + KEPT_MS, ended_after + KEPT_MS + 60_000, ended_after + LIFE + KEPT_MS - 1] {
        assert_eq!(scene.left(after, &keys).await, 2, "{after}");
    }
    assert_eq!(scene.left(ended_after + LIFE + KEPT_MS, &keys).await, 0);
}

#[tokio::test]
async fn the_name_of_a_session_that_never_was_is_remembered_for_a_while() {
    let key = [name().key()];
    let remembered = |batch: &mut Batch| {
        batch.put.push((Key::expiry(BEGIN.plus_ms(KEPT_MS), &name().key()), Vec::new()));
        batch.put_record(&name());
    };
    let scene = Scene::new(remembered).await;
    assert_eq!(scene.left(2 * KEPT_MS - 1, &key).await, 1);
    assert_eq!(scene.left(2 * KEPT_MS, &key).await, 0);
    assert_eq!(scene.to_look_at().await, 0);
}

fn approval(id: u8, bound_to: u8, expires_at: TimeMs) -> ApprovalRecord {
    ApprovalRecord {
        request: attorn_core::ApprovalRequest {
            id: attorn_core::ApprovalId::from_random([id; 16]),
            bound_to: Digest::from_bytes([bound_to; 32]),
            requirements: Vec::new(),
            votes: Vec::new(),
            expires_at,
        },
        state: attorn_core::ApprovalState::Pending,
        asked_of: Digest::from_bytes([9; 32]),
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
        created_at: BEGIN,
        content: attorn_store::records::Kept::Plain(attorn_core::JsonText::from_canonical("{}")),
    }
}

#[tokio::test]
async fn an_approval_goes_with_all_that_finds_it_and_the_last_with_the_count() {
    let (first, second) = (approval(1, 1, BEGIN), approval(2, 1, BEGIN.plus_ms(1_000)));
    let scene = Scene::new(|batch| first.open(batch, 8)).await;
    // Another was asked for in its place, and it counts no more.
    scene
        .write(|batch| {
            first.becomes(&ApprovalRecord { open: false, ..first.clone() }, batch);
            second.open(batch, 8);
        })
        .await;
    let counter = Key::open_approvals(&first.agent, None);
    let of_second = [
        second.key(),
        Key::approval_request(&second.request.bound_to),
        Key::open_approval(&second.agent, None, &second.request.id),
        counter.clone(),
    ];
    assert_eq!(scene.left(KEPT_MS, &[first.key()]).await, 0);
    assert_eq!(scene.left(KEPT_MS, &of_second).await, 4);
    // A refusal lives longer than what was refused would have.
    let mut refused = second.clone();
    refused.request.expires_at = BEGIN.plus_ms(2_000);
    scene.write(|batch| second.becomes(&refused, batch)).await;
    assert_eq!(scene.left(KEPT_MS + 1_000, &of_second).await, 4);
    assert_eq!(scene.left(KEPT_MS + 2_000, &of_second).await, 0);
    assert_eq!(scene.to_look_at().await, 0);
    // One that was spent leaves no count of nothing.
    let third = approval(3, 3, BEGIN);
    scene.write(|batch| third.open(batch, 8)).await;
    scene.write(|batch| third.becomes(&ApprovalRecord { open: false, ..third.clone() }, batch)).await;
    assert_eq!(scene.store.counter(&counter).await.unwrap(), 0);
    assert_eq!(scene.left(KEPT_MS, &[third.key(), counter]).await, 0);
}
