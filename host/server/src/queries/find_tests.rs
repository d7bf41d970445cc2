use std::collections::BTreeMap;

use attorn_core::TimeMs;
use attorn_log::{EntryBody, LogId};
use attorn_store::{Batch, Indexed, Term};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::queries::terms::Field;

const AGENTS: [&str; 3] = ["bot", "helper", "rare"];
const ACTIONS: [&str; 3] = ["faq.read", "faq.write", "account.pay"];

/// The body of an entry; all the same each time.
fn body(n: u64) -> Value {
    // Any numbers do that do not go together.
    let mixed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
    let pick = |all: &[&str], by: u64| all[usize::try_from(mixed / by).unwrap() % all.len()].to_owned();
    let agent = if n.is_multiple_of(97) { "rare".to_owned() } else { pick(&AGENTS[..2], 1) };
    let decision = pick(&["allow", "deny"], 3);
    let time = 1_000 + n * 10 - mixed % 40;
    match n % 5 {
        4 => json!({ "type": "grant_used", "time_ms": time, "agent": agent, "grant": format!("grt_{}", n % 7) }),
        _ => json!({
            "type": "decision", "time_ms": time, "decision": decision, "agent": { "id": agent },
            "action": pick(&ACTIONS, 7), "resource": format!("article/{}", n % 11), "purpose": "p",
        }),
    }
}

struct Fixture {
    store: Store,
    index: EntryIndex,
    _dir: TempDir,
}

/// A log of so many entries, of which so many are indexed.
async fn fixture(size: u64, indexed: u64) -> Fixture {
    fixture_with(size, indexed, |_| false).await
}

/// The same, where some could not be read when they were indexed.
async fn fixture_with(size: u64, indexed: u64, unread: fn(u64) -> bool) -> Fixture {
    let dir = TempDir::new().unwrap();
    let log: LogId = "test".parse().unwrap();
    let store = Store::create(
        &dir.path().join("store"),
        attorn_store::Ours { log: log.clone(), ..crate::keys::ours_of_tests() },
    )
    .unwrap();
    for from in (0..size).step_by(16) {
        let mut batch = Batch::new(TimeMs(1_000));
        let bodies = (from..size.min(from + 16)).map(|n| EntryBody::of_value(&body(n)).unwrap());
        batch.entries.extend(bodies);
        store.commit(batch).await.unwrap();
    }
    let head = store.log_head().unwrap();
    let (index, _) = EntryIndex::open(&dir.path().join("index"), &log, head.epoch).unwrap();
    while index.through() < indexed {
        let some = usize::try_from(indexed - index.through()).unwrap().min(37);
        let entries = store.entries(index.through(), some).unwrap();
        let row =
            |entry: &StoredEntry| if unread(entry.index) { Indexed::unread() } else { terms::of_bytes(&entry.bytes) };
        let rows: Vec<Indexed> = entries.iter().map(row).collect();
        index.add(&rows, &entries.last().unwrap().bytes).unwrap();
    }
    Fixture { store, index, _dir: dir }
}

fn ask(terms: Vec<Term>, order: Order, limit: usize) -> Ask {
    let filter = Filter { terms, times_ms: (0, u64::MAX), user: None };
    Ask { filter, order, within: 0..u64::MAX, limit, beyond_max: BEYOND_MAX, unreadable: Unreadable::Refused }
}

impl Fixture {
    /// All pages, one after another.
    fn all(&self, mut ask: Ask) -> Vec<u64> {
        let mut found = Vec::new();
        for _ in 0..10_000 {
            let page = page(&self.store, Some(&self.index), &ask).unwrap();
            assert!(page.entries.len() <= ask.limit);
            found.extend(page.entries.iter().map(|entry| entry.index));
            if page.rest.is_empty() {
                return found;
            }
            assert_ne!(page.rest, ask.within, "it does not get on");
            ask.within = match ask.order {
                Order::Oldest => page.rest.start..ask.within.end,
                Order::Newest => ask.within.start..page.rest.end,
            };
        }
        panic!("there is no end");
    }
}

/// Whether an entry is one of those that are looked for.
type Takes = fn(&Value) -> bool;

/// What a linear scan finds.
fn scan(through: u64, order: Order, takes: impl Fn(&Value) -> bool) -> Vec<u64> {
    let mut found: Vec<u64> = (0..through).filter(|n| takes(&body(*n))).collect();
    if order == Order::Newest {
        found.reverse();
    }
    found
}

#[tokio::test]
async fn every_filter_finds_what_a_scan_finds_in_either_order_and_by_pages_of_any_size() {
    let fixture = fixture(600, 500).await;
    let cases: [(Vec<Term>, Takes); 7] = [
        (vec![], |_| true),
        (vec![Field::Agent.term("bot")], |body| body["agent"] == "bot" || body["agent"]["id"] == "bot"),
        (vec![Field::Agent.term("rare"), Field::Decision.term("deny")], |body| {
            body["agent"]["id"] == "rare" && body["decision"] == "deny"
        }),
        (vec![Field::Action.term("faq.*"), Field::Resource.term("article/3")], |body| {
            body["action"].as_str().is_some_and(|action| action.starts_with("faq.")) && body["resource"] == "article/3"
        }),
        (vec![Field::Type.term("grant_used"), Field::Grant.term("grt_4")], |body| body["grant"] == "grt_4"),
        (vec![Field::Resource.term("article/*")], |body| body["type"] == "decision"),
        (vec![Field::Agent.term("nobody")], |_| false),
    ];
    for order in [Order::Oldest, Order::Newest] {
        for (terms, takes) in &cases {
            for limit in [1, 7, 200] {
                let found = fixture.all(ask(terms.clone(), order, limit));
                assert_eq!(found, scan(600, order, takes), "{terms:?} {order:?} {limit}");
            }
        }
    }
}

#[tokio::test]
async fn what_could_not_be_read_when_it_was_indexed_is_looked_at_in_its_place() {
    let fixture = fixture_with(600, 500, |n| n % 13 == 5 || (256..512).contains(&n)).await;
    for order in [Order::Oldest, Order::Newest] {
        for limit in [1, 7, 200] {
            let found = fixture.all(ask(vec![Field::Agent.term("rare")], order, limit));
            let rare = |body: &Value| body["agent"] == "rare" || body["agent"]["id"] == "rare";
            assert_eq!(found, scan(600, order, rare), "{order:?} {limit}");
        }
    }
    // Nobody knows when they were written.
    let mut asked = ask(vec![Field::Type.term("grant_used")], Order::Oldest, 200);
    let time = |n: u64| body(n)["time_ms"].as_u64().unwrap();
    asked.filter.times_ms = (time(300), time(400));
    let in_time = |body: &Value| {
        let at = body["time_ms"].as_u64().unwrap();
        body["type"] == "grant_used" && time(300) <= at && at <= time(400)
    };
    assert_eq!(fixture.all(asked), scan(600, Order::Oldest, in_time));
}

#[tokio::test]
async fn times_are_exact_at_both_ends() {
    let fixture = fixture(600, 570).await;
    let times: BTreeMap<u64, u64> = (0..600).map(|n| (n, body(n)["time_ms"].as_u64().unwrap())).collect();
    for (since, until) in [(times[&100], times[&300]), (times[&580], u64::MAX), (0, times[&3]), (9, 10), (5_000, 4_000)]
    {
        for order in [Order::Oldest, Order::Newest] {
            let mut ask = ask(vec![Field::Decision.term("allow")], order, 50);
            ask.filter.times_ms = (since, until);
            let in_time = |body: &Value| {
                let time = body["time_ms"].as_u64().unwrap();
                body["decision"] == "allow" && since <= time && time <= until
            };
            assert_eq!(fixture.all(ask), scan(600, order, in_time), "{since} {until}");
        }
    }
}

#[tokio::test]
async fn an_answer_says_how_far_it_reaches() {
    let fixture = fixture(40, 30).await;
    let through = |beyond_max| {
        let ask = Ask { beyond_max, ..ask(Vec::new(), Order::Oldest, 200) };
        let page = page(&fixture.store, Some(&fixture.index), &ask).unwrap();
        assert_eq!(page.entries.len() as u64, page.through);
        page.through
    };
    assert_eq!([through(10), through(9), through(0)], [40, 30, 30]);
    // Without an index all is looked at, as far as that may be.
    let found = page(&fixture.store, None, &ask(Vec::new(), Order::Newest, 3)).unwrap();
    assert_eq!(found.entries.iter().map(|entry| entry.index).collect::<Vec<_>>(), [39, 38, 37]);
    assert_eq!((found.rest, found.through), (0..37, 40));
    let none = Ask { beyond_max: 39, ..ask(Vec::new(), Order::Newest, 3) };
    let none = page(&fixture.store, None, &none).unwrap();
    assert_eq!(none, Page { entries: Vec::new(), rest: 0..0, through: 0, damaged: None });
}

#[tokio::test]
async fn a_page_ends_when_enough_was_looked_at_and_goes_on_there() {
    let fixture = fixture(2_600, 10).await;
    // Nothing is indexed, and one entry of a hundred is taken: more reads than one page may do.
    let asked = Ask { beyond_max: u64::MAX, ..ask(vec![Field::Agent.term("rare")], Order::Oldest, 200) };
    let first = page(&fixture.store, Some(&fixture.index), &asked).unwrap();
    assert!(first.entries.len() < 200);
    assert_eq!(first.rest.end, 2_600);
    assert!(first.rest.start >= u64::try_from(READS_MAX).unwrap());
    let expect = |order| scan(2_600, order, |body| body["agent"] == "rare" || body["agent"]["id"] == "rare");
    assert_eq!(fixture.all(asked.clone()), expect(Order::Oldest));
    assert_eq!(fixture.all(Ask { order: Order::Newest, ..asked }), expect(Order::Newest));
}

#[tokio::test]
async fn what_the_index_says_and_the_entry_does_not_is_not_answered() {
    let fixture = fixture(3, 0).await;
    let lie = Indexed { time: TimeMs(1), terms: vec![Field::Agent.term("nobody")] };
    let stored = fixture.store.entry(2).unwrap().unwrap();
    fixture.index.add(&[lie.clone(), lie.clone(), lie], &stored).unwrap();
    assert_eq!(fixture.all(ask(vec![Field::Agent.term("nobody")], Order::Oldest, 5)), [0; 0]);
    // An index that is ahead of the log is not asked for what is beyond.
    let ahead = Indexed { time: TimeMs(1), terms: vec![Field::Agent.term("bot")] };
    fixture.index.add(&[ahead], b"x").unwrap();
    assert!(fixture.all(ask(Vec::new(), Order::Newest, 5)) == [2, 1, 0]);
}
