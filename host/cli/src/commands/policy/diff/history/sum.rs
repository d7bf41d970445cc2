//! What two sets of policies make of history, summed up: counts, then changed decisions by agent and action.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use attorn_api::audit::{DamagedEntries, EarlierEpoch};
use attorn_api::decisions::DecisionKind;
use attorn_api::replays::{HistoryPage, HistoryRequest, Undecidable};
use serde_json::{Value, json};

use crate::bar::Bar;
use crate::commands::audit::replay::word;
use crate::failure::Failure;
use crate::output::Output;

/// How far it is, if somebody sees it.
pub(super) struct Progress {
    bar: Bar,
    of: u64,
    entries: AtomicU64,
    decisions: AtomicU64,
}

impl Progress {
    pub(super) fn new(output: &Output, of: u64) -> Self {
        Self { bar: Bar::new(output), of, entries: AtomicU64::new(0), decisions: AtomicU64::new(0) }
    }

    pub(super) fn step(&self, entries: u64, decisions: u64) {
        let entries = self.entries.fetch_add(entries, Ordering::Relaxed) + entries;
        let decisions = self.decisions.fetch_add(decisions, Ordering::Relaxed) + decisions;
        self.bar.step(entries, self.of, format_args!("entries, {decisions} decisions"));
    }

    pub(super) fn end(&self) {
        self.bar.end();
    }
}

/// What was found in all parts.
#[derive(Default)]
pub(super) struct Sum {
    decisions: u64,
    same: u64,
    same_otherwise: u64,
    before_policies: u64,
    /// By what it is and would be, and by agent and action: how many, and one of them.
    changed: BTreeMap<(&'static str, &'static str, String, String), (u64, String)>,
    /// By why, and by what is lacking.
    undecidable: BTreeMap<(Undecidable, String), (u64, String)>,
    set_digests: [Option<String>; 2],
    /// By epoch: entries that nobody can read.
    damaged: BTreeMap<u64, DamagedEntries>,
}

/// So many different lacks are told apart; what is beyond is counted with the others of its kind.
const LACKS_MAX: usize = 1_000;

impl Sum {
    /// Take in a page of an earlier epoch, or of the one that the log is in.
    pub(super) fn add(&mut self, page: HistoryPage, epoch: Option<u64>) {
        self.decisions += page.decisions;
        self.same += page.same;
        self.same_otherwise += page.same_otherwise;
        self.before_policies += page.before_policies;
        self.set_digests = page.set_digests;
        if let (Some(epoch), Some(more)) = (epoch, page.damaged) {
            let known = self.damaged.remove(&epoch);
            self.damaged.insert(epoch, known.map_or_else(|| more.clone(), |known| known.and(more.clone())));
        }
        for one in page.changed {
            let key = (word(one.a.decision), word(one.b.decision), one.agent, one.action);
            self.changed.entry(key).or_insert((0, one.decision_id)).0 += 1;
        }
        for one in page.undecidable {
            let known = self.undecidable.contains_key(&(one.why, one.what.clone()));
            let what = if known || self.undecidable.len() < LACKS_MAX { one.what } else { "others".to_owned() };
            self.undecidable.entry((one.why, what)).or_insert((0, one.decision_id)).0 += 1;
        }
    }

    /// The entries that nobody can read, by epoch.
    pub(super) const fn damaged(&self) -> &BTreeMap<u64, DamagedEntries> {
        &self.damaged
    }

    /// How many are this and would be that.
    fn count(&self, from: &str, to: &str) -> u64 {
        let these = self.changed.iter().filter(|((a, b, ..), _)| *a == from && *b == to);
        these.map(|(_, (count, _))| count).sum()
    }

    fn kinds(&self) -> Vec<(&'static str, &'static str, u64)> {
        let all = [DecisionKind::Allow, DecisionKind::Challenge, DecisionKind::Deny].map(word);
        let pairs = all.into_iter().flat_map(|from| all.into_iter().map(move |to| (from, to)));
        pairs.map(|(from, to)| (from, to, self.count(from, to))).filter(|(.., count)| *count > 0).collect()
    }

    /// Print it. Which earlier epochs of the log are not kept any more, so that nothing of them is in it, is said.
    pub(super) fn print(
        &self,
        output: &Output,
        request: &HistoryRequest,
        earlier: &[EarlierEpoch],
    ) -> Result<(), Failure> {
        if output.json {
            return output.json(&self.json(request, earlier));
        }
        let changed: u64 = self.changed.values().map(|(count, _)| count).sum();
        let undecidable: u64 = self.undecidable.values().map(|(count, _)| count).sum();
        output.line(format!("decisions    {}", self.decisions));
        let before = format!("{} of them were denied before any policy", self.before_policies);
        // The same numbers as in JSON: one that is the same decision for other reasons is not among the same.
        output.line(format!("same         {}; {before}", self.same));
        output.line(format!(
            "otherwise    {}; the same decision for other reasons or on other terms",
            self.same_otherwise
        ));
        output.line(format!("changed      {changed}"));
        for (from, to, count) in self.kinds() {
            output.line(format!("             {from} -> {to}: {count}"));
        }
        output.line(format!("undecidable  {undecidable}"));
        if !earlier.is_empty() {
            let entries: u64 = earlier.iter().map(|one| one.size).sum();
            output.line(format!(
                "not reached  {entries} entries of {} earlier epochs, which are not kept",
                earlier.len()
            ));
        }
        if changed > 0 {
            output.line("");
            let row =
                |((from, to, agent, action), (count, example)): (&(&str, &str, String, String), &(u64, String))| {
                    let change = format!("{from} -> {to}");
                    vec![agent.clone(), action.clone(), change, count.to_string(), example.clone()]
                };
            let rows: Vec<_> = self.changed.iter().map(row).collect();
            output.table(&["AGENT", "ACTION", "CHANGE", "COUNT", "EXAMPLE"], &rows);
        }
        if undecidable > 0 {
            output.line("");
            let row = |((why, what), (count, example)): (&(Undecidable, String), &(u64, String))| {
                vec![why.as_str().to_owned(), what.clone(), count.to_string(), example.clone()]
            };
            let rows: Vec<_> = self.undecidable.iter().map(row).collect();
            output.table(&["UNDECIDABLE", "WHAT", "COUNT", "EXAMPLE"], &rows);
        }
        Ok(())
    }

    fn json(&self, request: &HistoryRequest, earlier: &[EarlierEpoch]) -> Value {
        let changed = self.changed.iter().map(|((from, to, agent, action), (count, example))| {
            json!({ "from": from, "to": to, "agent": agent, "action": action, "count": count, "example": example })
        });
        let undecidable = self.undecidable.iter().map(
            |((why, what), (count, example))| json!({ "why": why, "what": what, "count": count, "example": example }),
        );
        json!({
            "a": request.a,
            "b": request.b,
            "set_digests": self.set_digests,
            "decisions": self.decisions,
            "same": self.same,
            "same_otherwise": self.same_otherwise,
            "before_policies": self.before_policies,
            "changed": changed.collect::<Vec<_>>(),
            "undecidable": undecidable.collect::<Vec<_>>(),
            "not_reached": earlier,
            "damaged": self.damaged,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(changed: &[Value], undecidable: &[Value]) -> HistoryPage {
        serde_json::from_value(json!({
            "decisions": 5, "same": 1, "same_otherwise": 1, "before_policies": 1, "changed": changed,
            "undecidable": undecidable, "next": null, "set_digests": [null, "d"],
            "entry": { "log_id": "l", "epoch": 1, "index": 1 },
        }))
        .unwrap()
    }

    #[test]
    fn parts_add_up_by_agent_and_action() {
        let said = |kind: &str| json!({ "decision": kind, "reasons": [] });
        let one = |id: &str, agent: &str, a: &str, b: &str| json!({ "decision_id": id, "agent": agent, "action": "x.y", "a": said(a), "b": said(b) });
        let lack = |id: &str| json!({ "decision_id": id, "agent": "bot", "action": "x.y", "why": "fact_not_recorded", "what": "f/1" });
        let mut sum = Sum::default();
        sum.add(page(&[one("1", "bot", "allow", "deny"), one("2", "bob", "allow", "deny")], &[lack("3")]), None);
        sum.add(page(&[one("4", "bot", "allow", "deny"), one("5", "bot", "deny", "allow")], &[lack("6")]), None);
        assert_eq!(sum.kinds(), [("allow", "deny", 3), ("deny", "allow", 1)]);
        let changed: Vec<_> = sum.changed.values().cloned().collect();
        assert_eq!(changed, [(1, "2".to_owned()), (2, "1".to_owned()), (1, "5".to_owned())]);
        assert_eq!(sum.undecidable.values().cloned().collect::<Vec<_>>(), [(2, "3".to_owned())]);
        assert_eq!((sum.decisions, sum.same, sum.same_otherwise, sum.before_policies), (10, 2, 2, 2));
    }

    #[test]
    fn entries_that_nobody_can_read_are_counted_by_epoch() {
        let mut sum = Sum::default();
        for (epoch, count, first) in [(1, 2, 90), (1, 1, 14), (1, 1, 400), (2, 5, 0)] {
            let damaged = DamagedEntries { count, first, why: format!("entry {first}"), help: None };
            sum.add(HistoryPage { damaged: Some(damaged), ..page(&[], &[]) }, Some(epoch));
        }
        let found: Vec<_> =
            sum.damaged().iter().map(|(epoch, one)| (*epoch, one.count, one.first, &*one.why)).collect();
        assert_eq!(found, [(1, 4, 14, "entry 14"), (2, 5, 0, "entry 0")]);
    }

    #[test]
    fn what_is_lacking_is_told_apart_up_to_a_limit() {
        let mut sum = Sum::default();
        for n in 0..LACKS_MAX + 10 {
            let lack = json!({ "decision_id": "1", "agent": "bot", "action": "x.y", "why": "fact_not_recorded", "what": n.to_string() });
            sum.add(page(&[], &[lack]), None);
        }
        assert_eq!(sum.undecidable.len(), LACKS_MAX + 1);
        assert_eq!(sum.undecidable[&(Undecidable::FactNotRecorded, "others".to_owned())].0, 10);
    }
}
