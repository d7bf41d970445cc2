//! Tells the story while it happens, and counts.

use std::fmt::Display;

use attorn_agent::{Decision, Error};

use crate::failure::Failure;
use crate::output::Output;

/// What was answered so far.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tally {
    pub(super) allowed: u64,
    pub(super) denied: u64,
    /// Requests that were refused before any decision.
    pub(super) refused: u64,
}

/// Tells the story.
pub(super) struct Narrator<'a> {
    output: &'a Output,
    parts: u32,
    pub(super) tally: Tally,
}

impl<'a> Narrator<'a> {
    pub(super) fn new(output: &'a Output) -> Self {
        Self { output, parts: 0, tally: Tally::default() }
    }

    pub(super) const fn output(&self) -> &'a Output {
        self.output
    }

    /// Begin a part of the story.
    pub(super) fn part(&mut self, title: &str) {
        self.parts += 1;
        self.say("");
        self.say(format!("{}. {title}", self.parts));
    }

    pub(super) fn say(&self, text: impl AsRef<str>) {
        if !self.output.json {
            self.output.line(text);
        }
    }

    /// Say what was asked and what came back; if that is not what had to come, the story ends.
    pub(super) fn step(&self, asked: impl Display, came: impl Display, as_told: bool) -> Result<(), Failure> {
        self.say(format!("   {} {asked}", if as_told { '✓' } else { '✗' }));
        self.say(format!("     → {came}"));
        if as_told {
            return Ok(());
        }
        Err(Failure::new(format!("the demo came otherwise than told: {asked} → {came}")))
    }

    /// Count what was answered.
    pub(super) fn count(&mut self, answer: &Result<Decision, Error>) {
        match answer {
            Ok(Decision::Allow { .. } | Decision::AllowLogin { .. }) => self.tally.allowed += 1,
            Ok(_) => self.tally.denied += 1,
            Err(Error::Problem(_) | Error::ApprovalNeeded(_)) => self.tally.refused += 1,
            Err(_) => {}
        }
    }

    /// Count an answer, and say it as a step.
    pub(super) fn answered(
        &mut self,
        asked: impl Display,
        answer: &Result<Decision, Error>,
        as_told: bool,
    ) -> Result<(), Failure> {
        self.count(answer);
        self.step(asked, describe(answer), as_told)
    }
}

/// An answer in a few words.
pub(super) fn describe(answer: &Result<Decision, Error>) -> String {
    let reasons = |decision: &Decision| {
        let said = decision.decided().reasons.iter().map(|reason| match &reason.policy {
            Some(policy) => format!("{} (policy {policy})", reason.code),
            None => reason.code.clone(),
        });
        said.collect::<Vec<_>>().join(", ")
    };
    match answer {
        Ok(decision @ (Decision::Allow { grant, decided, .. } | Decision::AllowLogin { grant, decided, .. })) => {
            let reasons = reasons(decision);
            format!("allow: {reasons}; grant {}…, entry {}", &grant.id[..grant.id.len().min(12)], decided.entry.index)
        }
        Ok(decision @ Decision::Challenge { decided, .. }) => {
            format!("challenge: {}; entry {}", reasons(decision), decided.entry.index)
        }
        Ok(decision @ Decision::Deny { decided }) => {
            format!("deny: {}; entry {}", reasons(decision), decided.entry.index)
        }
        Err(Error::Problem(problem)) => format!("{} {}", problem.status, problem.code),
        Err(other) => Failure::of(other).message,
    }
}
