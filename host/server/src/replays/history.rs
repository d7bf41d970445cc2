//! `POST /v1/replays/history`: where history would have been decided otherwise, a part at a time.
//!
//! Whoever asks goes through all of it with one call after the other, or with several at once, each about other
//! entries of one epoch of the log. One call looks at so many decisions and takes so long, and no more; nothing is kept
//! between two of them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use attorn_api::ProblemCode;
use attorn_api::audit::{DamagedEntries, EntryType};
use attorn_api::replays::{ChangedDecision, HistoryPage, HistoryRequest, Undecidable, UndecidableDecision, WantedSet};
use attorn_core::DecisionId;
use attorn_log::Epoch;
use attorn_store::records::LogEpochRecord;
use attorn_store::{Batch, StoredEntry};
use serde_json::{Value, json};

use super::read::{Decided, Read, read};
use super::sets::{Came, TriedSet};
use crate::app::App;
use crate::audit;
use crate::audit::epochs::Decisions;
use crate::entry;
use crate::http::call::{Call, OperatorCaller, Reply};
use crate::http::failure::Failure;
use crate::loads::LoadAsk;
use crate::queries::{self, filter::Filter};
use crate::registry::{commit, moved};

/// How many decisions one call looks at.
const DECISIONS_MAX: usize = 100;
/// How long one call goes on before it begins no other decision.
const LOOKS_FOR: Duration = Duration::from_secs(5);
/// What the query may say beside filters.
const BESIDE: [&str; 3] = ["epoch", "from", "to"];

pub(crate) async fn create(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    app.ensure_ready()?;
    let (operator, ask) = (call.operator()?, LoadAsk::of(&call)?);
    let wire: HistoryRequest = call.json()?;
    let filter = Filter::of(&app, &call, &BESIDE).await?;
    let (from, to) = (call.query::<u64>("from")?.unwrap_or(0), call.query::<u64>("to")?.unwrap_or(u64::MAX));
    let earlier =
        if let Some(epoch) = call.query.get("epoch") { audit::epochs::named(&app, epoch).await? } else { None };
    let epoch = earlier.as_ref().map_or(app.store.log_head()?.epoch, LogEpochRecord::epoch);
    let _turn = app.replays.turn().await?;
    let a = TriedSet::of(&app, &wire.a, operator, &ask).await?;
    let b = TriedSet::of(&app, &wire.b, operator, &ask).await?;
    let Decisions { entries, next, damaged } = if let Some(known) = earlier {
        audit::epochs::decisions(&app, known, filter, (from..to, DECISIONS_MAX)).await?
    } else {
        let within = from..to.min(app.store.log_head()?.size).max(from);
        let (entries, next) = queries::decisions(&app, filter, within, DECISIONS_MAX).await?;
        Decisions { entries, next, damaged: None }
    };
    let mut page = Page::default();
    let cut = page.look_at(&app, &entries, (&a, &b), &ask).await?;
    // The next call meets those again that are behind where this one ended.
    page.damaged = damaged.and_then(|damaged| damaged.before(cut.unwrap_or(u64::MAX)));
    let next = cut.or(next);
    Reply::ok(&page.answer(&app, operator, (&wire, [&a, &b]), (epoch, from, next)).await?)
}

/// What was found so far.
#[derive(Default)]
struct Page {
    decisions: u64,
    same: u64,
    same_otherwise: u64,
    before_policies: u64,
    changed: Vec<ChangedDecision>,
    undecidable: Vec<UndecidableDecision>,
    damaged: Option<DamagedEntries>,
}

impl Page {
    /// Decide them again, for so long; the first that was not looked at.
    async fn look_at(
        &mut self,
        app: &Arc<App>,
        entries: &[StoredEntry],
        sets: (&TriedSet, &TriedSet),
        ask: &LoadAsk,
    ) -> Result<Option<u64>, Failure> {
        let began = Instant::now();
        for stored in entries {
            if began.elapsed() >= LOOKS_FOR {
                return Ok(Some(stored.index));
            }
            let entry = audit::parsed(&stored.bytes)?;
            let body: Value = serde_json::from_str(entry.body.as_str()).map_err(Failure::internal)?;
            let id: DecisionId = body["decision_id"].as_str().unwrap_or_default().parse().map_err(Failure::internal)?;
            let place = Some((entry.at, body));
            let decided = read(app, id, place).await?.ok_or_else(|| audit::no_decision(id))?;
            match self.one(app, &decided, sets, ask).await {
                // What was found so far is an answer.
                Err(failure) if failure.problem.code == ProblemCode::Busy && self.decisions > 0 => {
                    return Ok(Some(stored.index));
                }
                one => one?,
            }
            self.decisions += 1;
        }
        Ok(None)
    }

    async fn one(
        &mut self,
        app: &App,
        decided: &Decided,
        (a, b): (&TriedSet, &TriedSet),
        ask: &LoadAsk,
    ) -> Result<(), Failure> {
        let then = match &decided.record {
            Read::Asked(then) => (decided, &**then),
            Read::Bound => {
                self.same += 1;
                self.before_policies += 1;
                return Ok(());
            }
            Read::TooMuch => {
                self.unknown(decided, Undecidable::ContextNotRecorded, "too much was asked for".to_owned());
                return Ok(());
            }
            Read::Erased => {
                self.unknown(decided, Undecidable::UserErased, "the record".to_owned());
                return Ok(());
            }
            Read::Altered(how) => {
                self.unknown(decided, Undecidable::Altered, (*how).to_owned());
                return Ok(());
            }
            // Of a file there are many, so the words are the same for all: they are counted together.
            Read::Missing(_) => {
                let what = "a file of `records/`: `attorn audit verify --config` names it";
                self.unknown(decided, Undecidable::RecordMissing, what.to_owned());
                return Ok(());
            }
            Read::Damaged(_) => {
                let what = "a file of `records/` was altered: `attorn audit verify --config` names it";
                self.unknown(decided, Undecidable::Altered, what.to_owned());
                return Ok(());
            }
        };
        match (a.decide(app, then, ask).await?, b.decide(app, then, ask).await?) {
            (Came::Unknown(why, what), _) | (_, Came::Unknown(why, what)) => self.unknown(decided, why, what),
            (Came::To(a, one), Came::To(b, other)) if a.decision == b.decision => {
                let otherwise = one.zip(other).is_some_and(|(one, other)| one != other);
                self.same += u64::from(!otherwise);
                self.same_otherwise += u64::from(otherwise);
            }
            (Came::To(a, _), Came::To(b, _)) => {
                let (agent, action) = (decided.text("/agent/id"), decided.text("/action"));
                self.changed.push(ChangedDecision { decision_id: decided.id.to_string(), agent, action, a, b });
            }
        }
        Ok(())
    }

    fn unknown(&mut self, decided: &Decided, why: Undecidable, what: String) {
        let (agent, action) = (decided.text("/agent/id"), decided.text("/action"));
        let decision_id = decided.id.to_string();
        self.undecidable.push(UndecidableDecision { decision_id, agent, action, why, what });
    }

    /// The answer, when the entry about it is durable. That says nothing of the filters, which may name a user.
    async fn answer(
        self,
        app: &App,
        operator: &OperatorCaller,
        (wire, sets): (&HistoryRequest, [&TriedSet; 2]),
        (epoch, from, next): (Epoch, u64, Option<u64>),
    ) -> Result<HistoryPage, Failure> {
        let mut batch = Batch::new(app.clock.now());
        let set_digests = sets.map(TriedSet::digest);
        let set = |wanted: &WantedSet, digest: &Option<String>| json!({ "base": wanted.base, "with": wanted.with, "digest": digest });
        let about = json!({
            "a": set(&wire.a, &set_digests[0]),
            "b": set(&wire.b, &set_digests[1]),
            "epoch": epoch.to_string(),
            "from": from,
            "next": next,
            "decisions": self.decisions,
            "changed": self.changed.len(),
            "undecidable": self.undecidable.len(),
        });
        entry::act(&mut batch, operator, EntryType::HistoryReplay, about)?;
        let committed = commit(app, batch, moved).await?;
        Ok(HistoryPage {
            decisions: self.decisions,
            same: self.same,
            same_otherwise: self.same_otherwise,
            before_policies: self.before_policies,
            changed: self.changed,
            undecidable: self.undecidable,
            damaged: self.damaged,
            next,
            set_digests,
            entry: audit::reference(committed.entry().map_err(Failure::internal)?),
        })
    }
}
