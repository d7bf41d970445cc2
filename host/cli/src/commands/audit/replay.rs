//! `attorn audit replay`: has the server decide a recorded decision again, and says how both compare.

use attorn_api::decisions::DecisionKind;
use attorn_api::replays::{Comparison, Replay, ReplayRequest, ReplayedPolicy, Said};
use clap::Args;

use super::place::Asked;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;

/// Decide a recorded decision again from its record, and compare what each policy says and what it comes to. Nothing is
/// granted or charged; the audit log says that it was replayed.
#[derive(Debug, Args)]
#[command(after_help = "Ends with 0 if all is identical or no policy was run, 5 if it differs, or the record or the \
                        log was altered, and 6 if that cannot be told: something is missing, such as the record, or a \
                        policy ran out of time or memory once.

Examples:
  attorn audit replay dec_0123456789abcdef0123456789abcdef
  attorn audit replay 1/12
  attorn audit replay dec_0123456789abcdef0123456789abcdef --json")]
pub(crate) struct ReplayOne {
    /// The decision's id, or its entry in any form that is printed
    #[arg(value_name = "DECISION|ENTRY")]
    what: Asked,
}

impl ReplayOne {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let client = context.operator()?;
        let request = ReplayRequest { decision_id: self.what.decision(&client).await?.to_string() };
        let replay: Replay = client.patient()?.post("/v1/replays", &request).await?;
        if context.output.json {
            context.output.json(&replay)?;
        } else {
            print(&context.output, &replay);
        }
        Ok(exit(replay.comparison))
    }
}

const fn exit(comparison: Comparison) -> Exit {
    match comparison {
        Comparison::Identical | Comparison::NotRun => Exit::Done,
        Comparison::Differs | Comparison::Altered => Exit::VerificationFailed,
        Comparison::DiffersByLimit | Comparison::Missing => Exit::Undecided,
    }
}

fn print(output: &Output, replay: &Replay) {
    output.line(format!("{}: {}", replay.comparison.as_str(), means(replay.comparison)));
    output.line(format!("recorded  {}", line(&replay.recorded)));
    output.line(format!("replayed  {}", replay.replayed.as_ref().map_or_else(|| "-".to_owned(), line)));
    let row = |one: &ReplayedPolicy| {
        vec![
            one.policy.clone(),
            one.version.to_string(),
            one.recorded.clone(),
            one.replayed.clone().unwrap_or_else(|| "-".to_owned()),
            one.comparison.as_str().to_owned(),
        ]
    };
    if !replay.policies.is_empty() {
        output.line("");
        let rows: Vec<_> = replay.policies.iter().map(row).collect();
        output.table(&["POLICY", "VERSION", "RECORDED", "REPLAYED", "COMPARISON"], &rows);
        output.line("");
    }
    for one in replay.policies.iter().filter(|one| one.comparison != Comparison::Identical) {
        if let Some(detail) = &one.detail {
            output.line(format!("policy    {}: {detail}", one.policy));
        }
    }
    for missing in &replay.missing {
        output.line(format!("missing   {}: {}", missing.what, missing.detail));
    }
    let engine = &replay.engine;
    match &engine.recorded {
        Some(_) if engine.same => output.line(format!("engine    the same: wasmtime {}", engine.now.wasmtime)),
        Some(recorded) => output.line(format!(
            "engine    another: wasmtime {} and configuration {} then, {} and {} now",
            recorded.wasmtime, recorded.configuration, engine.now.wasmtime, engine.now.configuration
        )),
        None => {}
    }
    let (decided, entry) = (&replay.decided, &replay.entry);
    output.line(format!("decided   entry {}/{}/{}", decided.log_id, decided.epoch, decided.index));
    output.line(format!("recorded as replayed in entry {}/{}/{}", entry.log_id, entry.epoch, entry.index));
}

const fn means(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::Identical => "every policy says the same, and so does the decision",
        Comparison::NotRun => {
            "no policy was run then, and none is now; what the bounds looked at is not recorded, so they are not checked again"
        }
        Comparison::DiffersByLimit => "a policy ran out of time or memory once, and not the other time",
        Comparison::Missing => "what has to be compared is not all there",
        Comparison::Differs => "something else comes out",
        Comparison::Altered => "the record is not the one whose digest the log has; nothing was run",
    }
}

/// A decision on one line.
pub(crate) fn line(said: &Said) -> String {
    let reason = |reason: &attorn_api::replays::ReasonCode| match &reason.policy {
        Some(policy) => format!("{} of {policy}", reason.code),
        None => reason.code.clone(),
    };
    let reasons: Vec<_> = said.reasons.iter().map(reason).collect();
    if reasons.is_empty() {
        return word(said.decision).to_owned();
    }
    format!("{} ({})", word(said.decision), reasons.join(", "))
}

pub(crate) const fn word(decision: DecisionKind) -> &'static str {
    match decision {
        DecisionKind::Allow => "allow",
        DecisionKind::Challenge => "challenge",
        DecisionKind::Deny => "deny",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_can_tell_from_the_exit_code() {
        for (comparison, code) in [
            (Comparison::Identical, 0),
            (Comparison::NotRun, 0),
            (Comparison::Differs, 5),
            (Comparison::Altered, 5),
            (Comparison::DiffersByLimit, 6),
            (Comparison::Missing, 6),
        ] {
            assert_eq!(exit(comparison).code(), code, "{comparison:?}");
        }
    }
}
