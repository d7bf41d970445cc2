//! Where the reading of a decision at depth 4 goes: each kind of record read from the store, and of that what is
//! decoding; what is sealed, opened; and how often each is done.
//!
//! These are the calls that the server makes, outside of it. What binds them together is not in them.

use std::hint::black_box;

use attorn_core::{EntitlementHolder, Issuer, UserId};
use attorn_identity::UserKey;
use attorn_store::records::{
    AgentRecord, DelegationBody, DelegationRecord, EntitlementRecord, ProviderRecord, Record, ResourceServerRecord,
    ResourceTypeRecord, SessionRecord, TokenKeyRecord, UserBody, UserRecord,
};
use attorn_store::{Key, KeyKind, KeyPrefix, Store};
use serde_json::{Map, Value, json};

use super::scene::Scene;
use crate::Length;
use crate::figure::{Figures, float, rounded, timed};

/// How deep the chain is.
const DEPTH: usize = 4;
/// Delegations, agents on the way, and the agent that asks once more.
const AGENTS_READ: usize = DEPTH + 1;

/// What was measured of one kind.
struct Part {
    name: &'static str,
    times: usize,
    once_us: f64,
    /// Of that, decoding.
    decode_us: f64,
}

/// Measure, and print.
pub(super) async fn measure(scene: &Scene, store: &Store, length: Length, figures: &mut Figures) {
    let reads = Reads { store, calls: length.parts / 10 };
    let delegation: DelegationRecord = reads.one(&Key::delegation(&scene.chain[DEPTH - 1].id.parse().unwrap())).await;
    let user: UserId = delegation.user.clone();
    let (key, issuer) = (scene.host.user_key(user.as_str()), scene.provider.issuer.parse::<Issuer>().unwrap());
    let user_record: UserRecord = reads.one(&Key::user(&user)).await;
    let agent = Key::agent(&scene.agents[DEPTH - 1].id.parse().unwrap());
    let token_keys = store.scan(&KeyPrefix::kind(KeyKind::TokenKey), None, 1).await.unwrap();
    let parts = [
        reads.part::<AgentRecord>("agent", AGENTS_READ, &agent),
        reads.part::<DelegationRecord>("delegation", DEPTH, &delegation.key()),
        reads.sealed("delegation_opened", DEPTH, &key, (&delegation.key(), &delegation.sealed.0), |key, bytes| {
            black_box(DelegationBody::decode(key, bytes).unwrap());
        }),
        reads.part::<UserRecord>("user", 1, &Key::user(&user)),
        reads.sealed("user_opened", 1, &key, (&Key::user(&user), &user_record.sealed.0), |key, bytes| {
            black_box(UserBody::decode(key, bytes).unwrap());
        }),
        reads.part::<ProviderRecord>("provider", 1, &Key::provider(&"main".parse().unwrap())),
        reads.part::<SessionRecord>("session", 1, &Key::session(&delegation.session)),
        reads.part::<EntitlementRecord>("entitlement", 1, &Key::entitlement(&EntitlementHolder::Everyone(issuer))),
        reads.absent("entitlement_absent", &Key::entitlement(&EntitlementHolder::User(user))),
        reads.absent("freeze_absent", &Key::freeze()),
        reads.part::<ResourceTypeRecord>("resource_type", 1, &Key::resource_type(&"ledger".parse().unwrap())),
        reads.part::<ResourceServerRecord>("resource_server", 1, &Key::resource_server(&"ledger".parse().unwrap())),
        reads.part::<TokenKeyRecord>("token_key", 1, &token_keys.items[0].0),
    ];
    let mut raw: Map<String, Value> = parts.iter().map(|part| (part.name.to_owned(), part.shown())).collect();
    let sum = |of: fn(&Part) -> f64| parts.iter().map(|part| of(part) * float(part.times as u64)).sum::<f64>();
    raw.insert("decode_us".into(), rounded(sum(|part| part.decode_us)).into());
    figures.add("delegation.gather_parts", sum(|part| part.once_us), "us", &raw.into());
}

impl Part {
    fn shown(&self) -> Value {
        json!({ "times": self.times, "once_us": rounded(self.once_us), "decode_us": rounded(self.decode_us) })
    }
}

struct Reads<'a> {
    store: &'a Store,
    calls: usize,
}

impl Reads<'_> {
    async fn one<R: Record>(&self, key: &Key) -> R {
        self.store.record::<R>(key).await.unwrap().unwrap().value
    }

    /// A record that is there.
    fn part<R: Record>(&self, name: &'static str, times: usize, key: &Key) -> Part {
        let stored = now(self.store.get(key)).unwrap().unwrap();
        let once_us = timed(self.calls, || drop(black_box(now(self.store.record::<R>(key)).unwrap().unwrap())));
        let decode_us = timed(self.calls, || drop(black_box(R::decode(key, &stored.value).unwrap())));
        Part { name, times, once_us, decode_us }
    }

    /// One that is not.
    fn absent(&self, name: &'static str, key: &Key) -> Part {
        let once_us = timed(self.calls, || assert!(now(self.store.get(key)).unwrap().is_none()));
        Part { name, times: 1, once_us, decode_us: 0.0 }
    }

    /// What is sealed, opened and read.
    fn sealed(
        &self,
        name: &'static str,
        times: usize,
        user: &UserKey,
        (key, sealed): (&Key, &[u8]),
        read: impl Fn(&Key, &[u8]),
    ) -> Part {
        let place = key.to_string();
        let opened = user.open(&place, sealed).unwrap();
        let once_us = timed(self.calls, || read(key, &user.open(&key.to_string(), sealed).unwrap()));
        let decode_us = timed(self.calls, || read(key, &opened));
        Part { name, times, once_us, decode_us }
    }
}

/// What is durable is read without waiting.
fn now<T>(reading: impl Future<Output = T>) -> T {
    use futures_util::FutureExt as _;
    reading.now_or_never().unwrap()
}
