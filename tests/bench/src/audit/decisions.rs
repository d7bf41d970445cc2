//! Decisions of the size that they have, as the batches that record them.

use attorn_core::reason::HostReason;
use attorn_core::{DecisionId, Grant, GrantId, JsonText, TimeMs};
use attorn_log::{Entry, EntryBody, EntryRef, Link, LogId};
use attorn_store::records::{DecisionRecord, GrantRecord, Kept};
use attorn_store::{Batch, FIRST_EPOCH, Key, Require, Store, Versioned};
use serde_json::{Value, json};

use crate::durable::{Tree, Writes, scrambled};
use crate::figure::float;

/// How many agents they are of.
const AGENTS: u64 = 100;
/// How many resources they are about.
const RESOURCES: u64 = 1_000;
/// How many are made in a millisecond: were the log ahead of the clock, no server would get ready over it.
const PER_MS: u64 = 1_000;
/// One of so many denies.
const PER_DENY: u64 = 10;
/// So that nobody reaps grants while something is measured.
const LONGER_MS: u64 = 24 * 60 * 60 * 1_000;
const SALT: &str = r#""salt":""#;

/// One that was made, and what it rests on.
pub(super) struct Decisions {
    log: LogId,
    entry: Value,
    /// Its record, before and after its salt, and how long that is.
    record: (String, String, usize),
    grant: Grant,
    /// What was read for it, as it stands in the store, and with which version.
    read: Vec<(Key, Option<Versioned>)>,
}

impl Decisions {
    /// The one that a server made in this store.
    pub(super) async fn of(store: &Store) -> Self {
        let entries = store.entries(0, 1_000).unwrap();
        let bodies = entries.iter().rev().map(|entry| Entry::parse(&entry.bytes).unwrap().body);
        let mut bodies = bodies.map(|body| serde_json::from_str::<Value>(body.as_str()).unwrap());
        let entry = bodies.find(|body| body["type"] == "decision" && body["decision"] == "allow").unwrap();
        let decision: DecisionId = entry["decision_id"].as_str().unwrap().parse().unwrap();
        let record = store.record::<DecisionRecord>(&Key::decision(&decision)).await.unwrap().unwrap().value;
        let Kept::Plain(record) = record.text else { panic!("the record of a decision for nobody is sealed") };
        let (before, rest) = record.as_str().split_once(SALT).unwrap();
        let (salt, after) = rest.split_once('"').unwrap();
        let grant: GrantId = entry["grant"]["id"].as_str().unwrap().parse().unwrap();
        let grant = store.record::<GrantRecord>(&Key::grant(&grant)).await.unwrap().unwrap().value;
        let Kept::Plain(grant) = grant.grant else { panic!("a grant that is held for nobody is sealed") };
        let mut read = Vec::new();
        for key in [
            Key::agent(&grant.agent),
            Key::active_set(),
            Key::resource_type(&grant.resource.resource_type()),
            Key::resource_server(&grant.resource_server),
            Key::token_key(&grant.signed_by),
            Key::freeze(),
        ] {
            let found = store.get(&key).await.unwrap();
            read.push((key, found));
        }
        let record = (format!("{before}{SALT}"), format!("\"{after}"), salt.len());
        Self { log: store.log_head().unwrap().log_id, entry, record, grant: *grant, read }
    }

    /// What decisions require in that store.
    pub(super) fn require(&self) -> Vec<(Key, Require)> {
        let require = |found: &Option<Versioned>| match found {
            Some(found) => Require::Version(found.version),
            None => Require::Absent,
        };
        self.read.iter().map(|(key, found)| (key.clone(), require(found))).collect()
    }

    /// Put what they rest on into a new store; what they require there.
    pub(super) async fn begin(&self, store: &Store) -> Vec<(Key, Require)> {
        let mut batch = Batch::new(self.grant.issued_at);
        let known = self.read.iter().filter_map(|(key, found)| Some((key.clone(), found.as_ref()?.value.clone())));
        batch.put.extend(known);
        let version = store.commit(batch).await.unwrap().version;
        let require = |found: &Option<_>| found.as_ref().map_or(Require::Absent, |_| Require::Version(version));
        self.read.iter().map(|(key, found)| (key.clone(), require(found))).collect()
    }

    /// The batch of one of them. No two numbers have the same ids.
    pub(super) fn batch(&self, n: u64, require: &[(Key, Require)]) -> Batch {
        let random = scrambled(n).to_be_bytes();
        let (decision, id) = (DecisionId::from_random(random), GrantId::from_random(random));
        let now = TimeMs(self.grant.issued_at.0 + n / PER_MS);
        let mut batch = Batch::new(now);
        batch.require.extend_from_slice(require);
        let mut entry = self.entry.clone();
        entry["decision_id"] = decision.to_string().into();
        entry["agent"]["id"] = agent(n).into();
        entry["resource"] = format!("article/{}", n % RESOURCES).into();
        entry["record_digest"] = format!("{:032x}{:032x}", scrambled(n), scrambled(n + 1)).into();
        entry["time_ms"] = now.0.into();
        let denies = (n / AGENTS).is_multiple_of(PER_DENY);
        if denies {
            entry["decision"] = "deny".into();
            entry["reasons"] = json!([{ "code": HostReason::LimitExceeded.code() }]);
            entry["grant"] = Value::Null;
        } else {
            entry["grant"]["id"] = id.to_string().into();
        }
        batch.entries.push(EntryBody::of_value(&entry).unwrap());
        let (before, after, salt_bytes) = &self.record;
        let salt = format!("{:032x}{:032x}", scrambled(n + 2), scrambled(n + 3));
        let text = [before, salt.get(..*salt_bytes).unwrap_or(&salt), after].concat();
        batch.put_record(&DecisionRecord { id: decision, text: Kept::Plain(JsonText::from_canonical(text)) });
        if !denies {
            let expires_at = self.grant.expires_at.plus_ms(n + LONGER_MS);
            let grant = Grant { id, decision, agent: agent(n).parse().unwrap(), expires_at, ..self.grant.clone() };
            batch.put.push((Key::expiry(expires_at, &Key::grant(&id)), Vec::new()));
            batch.put_record(&GrantRecord::plain(grant));
        }
        batch
    }

    /// The same as bare keys and values. The entry has its envelope; what a tree would keep beside it is not there.
    pub(super) fn writes(&self, n: u64, batch: &Batch) -> Writes {
        let puts = batch.put.iter().map(|(key, value)| (Tree::State, key.to_string().into_bytes(), value.clone()));
        let entries = batch.entries.iter().map(|body| {
            let at = EntryRef { log_id: self.log.clone(), epoch: FIRST_EPOCH, index: n };
            let entry = Entry { at, previous: Link::NONE, body: body.clone() };
            (Tree::Entries, n.to_be_bytes().to_vec(), entry.to_bytes())
        });
        puts.chain(entries).collect()
    }

    /// How many bytes of keys and values one has, on the average.
    pub(super) fn bytes(&self) -> f64 {
        let count = AGENTS * PER_DENY;
        let of = |n| -> usize {
            let writes = self.writes(n, &self.batch(n, &[]));
            writes.iter().map(|(_, key, value)| key.len() + value.len()).sum()
        };
        float((0..count).map(|n| of(n) as u64).sum()) / float(count)
    }
}

/// Whose decision it is.
pub(super) fn agent(n: u64) -> String {
    format!("support-bot-{:02}", n % AGENTS)
}
