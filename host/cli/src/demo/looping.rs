//! A policy that loops for ever denies what it is asked about, and hurts nobody else.

use std::cell::Cell;
use std::time::{Duration, Instant};

use attorn_agent::{Decision, Request};
use attorn_api::audit::Entry;
use attorn_api::policies::Limits;

use super::Stage;
use super::components::Components;
use super::policies::{NewPolicy, put_in_force};
use super::registry::{ANSWER_QUESTIONS, REPORTING};
use crate::failure::Failure;

/// Much more than a policy gets by default, so that there is time to look at the others.
const LIMITS: Limits = Limits { cpu_us_max: 200_000, wall_us_max: 800_000, memory_bytes_max: 16 << 20 };

/// How often the policy that loops is asked at least, and at most while others are waited for.
const TIMES: std::ops::Range<usize> = 3..100;

/// How many others have to be answered meanwhile; on a slow machine that takes longer.
const READS_MIN: usize = 5;

pub(super) async fn play(stage: &mut Stage<'_>, components: &Components) -> Result<(), Failure> {
    stage.narrator.part("A policy that loops for ever");
    let policy = NewPolicy {
        id: "looper",
        component: &components.looping,
        settings: serde_json::json!({}),
        action: "report.run",
        limits: LIMITS,
    };
    put_in_force(&stage.narrator, (&stage.host, &stage.operators), &policy).await?;

    let (reporter, reader) = (stage.bot()?, stage.bot()?);
    let report = Request::new("report.run", "article/1", REPORTING);
    let read = Request::new("faq.read", "article/42", ANSWER_QUESTIONS);
    let reads_answered = Cell::new(0);
    let looping = async {
        let (started, mut answers) = (Instant::now(), Vec::new());
        while answers.len() < TIMES.start || (reads_answered.get() < READS_MIN && answers.len() < TIMES.end) {
            answers.push(reporter.decide(&report).await);
        }
        (answers, started.elapsed())
    };
    let mut looping = std::pin::pin!(looping);
    let (mut reads, mut slowest) = (Vec::new(), Duration::ZERO);
    let (reports, took) = loop {
        let started = Instant::now();
        tokio::select! {
            biased;
            answer = reader.decide(&read) => {
                slowest = slowest.max(started.elapsed());
                reads.push(answer);
                reads_answered.set(reads.len());
            }
            done = &mut looping => break done,
        }
    };

    let denied =
        |decision: &Decision| matches!(decision, Decision::Deny { .. }) && decision.has_reason("policy_failed");
    let all_denied = reports.iter().all(|answer| answer.as_ref().is_ok_and(denied));
    let last = reports.last().and_then(|answer| answer.as_ref().ok()).map(|decision| decision.decided().entry.index);
    reports.iter().chain(&reads).for_each(|answer| stage.narrator.count(answer));
    let each_ms = took.as_millis() / reports.len().max(1) as u128;
    let came = format!("deny: policy_failed, after {each_ms} ms each");
    let asked = format!("support-bot asks to report.run article/1, {} times", reports.len());
    stage.narrator.step(asked, came, all_denied)?;

    let allowed = reads.iter().filter(|answer| matches!(answer, Ok(Decision::Allow { .. }))).count();
    let came = format!("allow, {allowed} of {} times; the slowest took {} ms", reads.len(), slowest.as_millis());
    stage.narrator.step(
        "meanwhile it asks to faq.read article/42",
        came,
        allowed >= READS_MIN && allowed == reads.len(),
    )?;

    let auditor = stage.host.client(Some(&stage.operators.auditor))?;
    let entry: Entry = auditor.get(&format!("/v1/audit/entries/{}", last.unwrap_or(0))).await?;
    let deadline = entry.body.get().contains(r#""failure":"deadline""#);
    let came = if deadline { "policy looper: deadline" } else { entry.body.get() };
    stage.narrator.step("the auditor reads why, in the entry of the last deny", came, deadline)
}
