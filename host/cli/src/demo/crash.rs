//! SIGKILL in the middle of decisions: all that was answered is still there, and no proof of before is
//! taken again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use attorn_agent::{Client, Decision, Error, Request};
use attorn_api::ProblemCode;
use attorn_api::audit::EntryList;
use attorn_api::grants::GrantList;
use tokio::task::JoinSet;

use super::Stage;
use super::hostile::{Proofs, decisions_url, refused};
use super::raw;
use super::registry::ANSWER_QUESTIONS;
use crate::failure::Failure;
use crate::operator_client::OperatorClient;

const ASKING: usize = 4;

/// How long they ask at least before the server is killed, and at most.
const ASKED_FOR: std::ops::Range<Duration> = Duration::from_millis(500)..Duration::from_secs(30);

/// How many answers there have to be by then; on a slow machine that takes longer.
const ANSWERED_MIN: usize = 20;

/// What one of them was answered, before the connection broke.
struct Answered {
    decisions: Vec<Decision>,
    /// How asking ended.
    end: String,
    broke: bool,
}

pub(super) async fn play(stage: &mut Stage<'_>, proofs: &Proofs) -> Result<(), Failure> {
    stage.narrator.part("The server is killed");
    let (mut asking, count) = (JoinSet::new(), Arc::new(AtomicUsize::new(0)));
    for _ in 0..ASKING {
        asking.spawn(ask_until_it_breaks(stage.bot()?, Arc::clone(&count)));
    }
    let started = Instant::now();
    tokio::time::sleep(ASKED_FOR.start).await;
    while count.load(Ordering::Relaxed) < ANSWERED_MIN && started.elapsed() < ASKED_FOR.end {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let pid = stage.host.pid();
    let status = stage.host.kill().await?;
    let (mut decisions, mut broke, mut end) = (Vec::new(), true, String::new());
    while let Some(answered) = asking.join_next().await {
        let answered = answered.map_err(|error| Failure::of(&error))?;
        decisions.extend(answered.decisions);
        broke &= answered.broke;
        end = answered.end;
    }
    stage.narrator.tally.allowed += decisions.len() as u64;
    let came = format!("{status}; {} decisions had been answered, then: {end}", decisions.len());
    stage.narrator.step(
        format!("SIGKILL to process {pid} while {ASKING} connections ask to faq.read"),
        came,
        broke && decisions.len() >= ANSWERED_MIN,
    )?;

    stage.host.start().await?;
    stage.narrator.step("attorn serve again", format!("ready (process {})", stage.host.pid()), true)?;
    in_the_log(stage, &decisions).await?;
    among_the_grants(stage, &decisions).await?;

    let url = decisions_url(stage);
    for (asked, sent) in [
        ("somebody replays a proof that was accepted before", &proofs.accepted),
        ("somebody sends a proof that was made before, and never used", &proofs.unused),
    ] {
        let came = raw::send(&url, sent).await?;
        refused(stage, asked, &came, ProblemCode::UseDpopNonce)?;
    }
    let answer = stage.bot()?.decide(&Request::new("faq.read", "article/42", ANSWER_QUESTIONS)).await;
    let allowed = matches!(answer, Ok(Decision::Allow { .. }));
    stage.narrator.answered("the bot asks anew: faq.read article/42", &answer, allowed)
}

async fn ask_until_it_breaks(bot: Client, count: Arc<AtomicUsize>) -> Answered {
    let request = Request::new("faq.read", "article/42", ANSWER_QUESTIONS);
    let mut decisions = Vec::new();
    loop {
        // An agent may ask 200 times in a second, and this is one.
        tokio::time::sleep(Duration::from_millis(25)).await;
        match bot.decide(&request).await {
            Ok(decision @ Decision::Allow { .. }) => {
                decisions.push(decision);
                count.fetch_add(1, Ordering::Relaxed);
            }
            Ok(_) => return Answered { decisions, end: "a decision that is no allow".into(), broke: false },
            Err(Error::Connection { .. }) => {
                return Answered { decisions, end: "the connections broke".into(), broke: true };
            }
            Err(other) => return Answered { decisions, end: other.to_string(), broke: false },
        }
    }
}

/// Every answered decision has the entry that its answer named.
async fn in_the_log(stage: &Stage<'_>, decisions: &[Decision]) -> Result<(), Failure> {
    let auditor = stage.host.client(Some(&stage.operators.auditor))?;
    let from = decisions.iter().map(|decision| decision.decided().entry.index).min().unwrap_or(0);
    let (entries, size) = entries_from(&auditor, from).await?;
    let found = decisions.iter().filter(|decision| {
        let decided = decision.decided();
        let named = format!(r#""decision_id":"{}""#, decided.decision_id);
        entries.get(&decided.entry.index).is_some_and(|body| body.contains(&named))
    });
    let found = found.count();
    let came = format!("{found} of {}; the log has {size} entries", decisions.len());
    stage.narrator.step("the auditor looks for every answered decision in the log", came, found == decisions.len())
}

async fn entries_from(auditor: &OperatorClient, from: u64) -> Result<(BTreeMap<u64, String>, u64), Failure> {
    let (mut entries, mut next) = (BTreeMap::new(), Some(from));
    let mut size = 0;
    while let Some(from) = next {
        let page: EntryList = auditor.get(&format!("/v1/audit/entries?from={from}&limit=200")).await?;
        size = page.size;
        next = page.next;
        entries.extend(page.entries.into_iter().map(|entry| (entry.reference.index, entry.body.get().to_owned())));
    }
    Ok((entries, size))
}

/// Every answered allow has its grant.
async fn among_the_grants(stage: &Stage<'_>, decisions: &[Decision]) -> Result<(), Failure> {
    let registrar = stage.host.client(Some(&stage.operators.registrar))?;
    let (mut grants, mut after) = (BTreeSet::new(), String::new());
    loop {
        let page: GrantList = registrar.get(&format!("/v1/grants?limit=200{after}")).await?;
        grants.extend(page.grants.into_iter().map(|grant| grant.id));
        match page.next {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    let granted =
        |decision: &&Decision| matches!(decision, Decision::Allow { grant, .. } if grants.contains(&grant.id));
    let found = decisions.iter().filter(granted).count();
    let came = format!("{found} of {}", decisions.len());
    stage.narrator.step("the registrar looks for their grants", came, found == decisions.len())
}
