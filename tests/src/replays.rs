//! Deciding again what tests decided: at the end of a history, all of it has to come out the same.

use attorn_api::replays::{Comparison, Replay};
use serde_json::json;

use crate::world::Cast;

/// How many decisions of a history came out the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Same {
    /// Policies said the same again.
    pub identical: usize,
    /// No policy was run when they were made.
    pub not_run: usize,
    /// A policy ran out of time when they were made, and did not again.
    pub by_limit: usize,
}

impl Same {
    /// Those for which a policy was asked.
    #[must_use]
    pub const fn asked(self) -> usize {
        self.identical + self.by_limit
    }
}

/// Have a decision made again.
pub async fn replay(cast: &Cast, decision_id: &str) -> Replay {
    cast.staff.auditor.post("/v1/replays", &json!({ "decision_id": decision_id })).await.expect(200).json()
}

/// Have every decision in the log made again. Each has to come out the same, unless a policy ran out of time when it
/// was made: a busy machine is no difference.
pub async fn replays_identically(cast: &Cast) -> Same {
    let mut same = Same::default();
    for entry in cast.entries().await.iter().filter(|entry| entry["type"] == "decision") {
        let replay = replay(cast, entry["decision_id"].as_str().unwrap()).await;
        let ran_out = replay.policies.iter().any(|policy| policy.recorded == "failed:deadline");
        match replay.comparison {
            Comparison::Identical => {
                assert_eq!(replay.replayed.as_ref(), Some(&replay.recorded), "{entry}");
                assert!(replay.missing.is_empty() && replay.engine.same, "{replay:?}");
                same.identical += 1;
            }
            Comparison::NotRun => same.not_run += 1,
            Comparison::DiffersByLimit if ran_out => same.by_limit += 1,
            _ => panic!("{replay:#?}\n{entry:#}"),
        }
    }
    same
}
