//! `attorn policy run`.

use std::path::{Path, PathBuf};

use attorn_core::Terms;
use attorn_core::context::{Counter, Fact};
use attorn_core::counter::COUNT_MAX;
use attorn_core::verdict::Reason;
use attorn_engine::LogLine;
use attorn_toolchain::cases::BYTES_MAX;
use attorn_toolchain::once::{self, Answer, Kind, OnceError};
use clap::Args;
use serde_json::{Value, json};

use super::{local, push};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::key_source::read_bytes;
use crate::output::Output;

/// Ask a component about one context.
#[derive(Debug, Args)]
#[command(
    after_help = "The context is written as the `context` of a case, in JSON, or in YAML where the file's name ends so.

Examples:
  attorn policy run policy.wasm --settings settings.json \\
    --context '{\"request\": {\"action\": \"faq.read\", \"resource\": \"article/42\"}}' --explain
  attorn policy run policy.wasm --settings settings.json --context context.yaml --json

Ends with 0 for allow, 3 for deny and for a failure, 4 for challenge, 6 for abstain, 1 if it could not be asked, and 2 if
the arguments mean nothing."
)]
pub(crate) struct Run {
    /// The WebAssembly component
    file: PathBuf,
    /// What it is asked about: JSON, or a file that holds JSON or YAML; `-` for standard input
    #[arg(long, value_name = "FILE|JSON")]
    context: String,
    /// The settings that its `init` gets: JSON, or a file that holds it
    #[arg(long, value_name = "FILE|JSON", default_value = "{}")]
    settings: String,
    /// Show what it was told, what it logged, and what it took
    #[arg(long)]
    explain: bool,
}

impl Run {
    pub(super) async fn run(self, output: &Output) -> Result<Exit, Failure> {
        let settings = push::settings(&self.settings)?.to_string();
        let (name, context) = self.context()?;
        let component = super::read_component(&self.file)?;
        let engine = local::engine()?;
        let limits = local::limits(&component);
        let asked = once::ask(&engine, &component, &settings, (name, &context), limits).await;
        let answer = asked.map_err(|error| not_asked(&error))?;
        if output.json {
            output.json(&wire(&answer, self.explain))?;
        } else {
            print(output, &answer, self.explain);
        }
        Ok(match answer.kind() {
            Kind::Allow => Exit::Done,
            Kind::Challenge => Exit::Challenge,
            Kind::Deny => Exit::Deny,
            Kind::Abstain => Exit::Undecided,
        })
    }
}

impl Run {
    /// The context, with the name that says what it is written in.
    fn context(&self) -> Result<(&str, Vec<u8>), Failure> {
        if self.context.trim_start().starts_with('{') {
            return Ok(("context.json", self.context.clone().into_bytes()));
        }
        Ok((&self.context, read_bytes(Path::new(&self.context), BYTES_MAX as u64)?))
    }
}

fn not_asked(error: &OnceError) -> Failure {
    match error {
        OnceError::NotLoaded(error) => local::not_loaded(error),
        OnceError::Invalid { what: "context", .. } => {
            Failure::of(error).with_help("it is written as the `context` of a case: `sdk/policy/CASES.md`")
        }
        _ => Failure::of(error),
    }
}

fn fact(fact: &Fact) -> (String, Option<String>) {
    let name = fact.name.as_ref().map_or_else(|| fact.template.to_string(), ToString::to_string);
    (name, fact.value.as_ref().map(|value| value.as_str().to_owned()))
}

fn print(output: &Output, answer: &Answer, explain: bool) {
    output.line(&answer.said);
    if let Some(detail) = &answer.evaluation.failure_detail {
        output.line(format!("failure   {detail}"));
    }
    if !explain {
        return;
    }
    for Reason { code, text, .. } in answer.reasons() {
        output.line(format!("reason    {code}: {text}"));
    }
    if let Some(Terms { grant_ms_max, uses_max, .. }) = answer.terms() {
        // What is beyond every count is what a policy that says nothing of it comes to.
        let lives = Some(grant_ms_max).filter(|ms| **ms <= COUNT_MAX);
        let lives = lives.map_or_else(|| "no limit of time of its own".to_owned(), |ms| format!("{ms} ms"));
        let uses = if *uses_max == 1 { "use" } else { "uses" };
        output.line(format!("terms     {lives}, {uses_max} {uses}"));
    }
    for (name, value) in answer.facts.iter().map(fact) {
        output.line(format!("fact      {name} = {}", value.as_deref().unwrap_or("missing")));
    }
    for Counter { name, used, .. } in &answer.counters {
        output.line(format!("counter   {name} = {used}"));
    }
    for LogLine { level, message } in &answer.evaluation.log {
        output.line(format!("log       {}: {message}", level.as_str()));
    }
    if answer.evaluation.usage.log_dropped {
        output.line("log       (more was written, and cut)");
    }
    for reason in &answer.policy.requirements().reasons {
        let who = if reason.public { "public" } else { "private" };
        output.line(format!("declares  {} ({who}): {}", reason.code, reason.text));
    }
    let usage = &answer.evaluation.usage;
    let fuel = usage.fuel.map_or_else(|| "fuel unknown".to_owned(), |fuel| format!("fuel {fuel}"));
    output.line(format!("used      {fuel}, {} us of CPU, {} bytes of memory", usage.cpu_us, usage.memory_bytes));
}

fn wire(answer: &Answer, explain: bool) -> Value {
    let said: Value = serde_json::from_str(&answer.said).unwrap_or_default();
    let detail = &answer.evaluation.failure_detail;
    if !explain {
        return json!({ "said": said, "failure_detail": detail });
    }
    let json_of = |text: String| serde_json::from_str::<Value>(&text).unwrap_or(Value::String(text));
    let facts = answer.facts.iter().map(fact);
    let facts = facts.map(|(name, value)| json!({ "name": name, "value": value.map(json_of) }));
    let counters = answer.counters.iter().map(|one| json!({ "name": one.name.to_string(), "used": one.used }));
    let log = answer.evaluation.log.iter();
    let log = log.map(|line| json!({ "level": line.level.as_str(), "message": line.message }));
    let usage = &answer.evaluation.usage;
    let reasons = answer.reasons().iter();
    let reasons = reasons.map(|one| json!({ "code": one.code.to_string(), "text": one.text, "public": one.public }));
    json!({
        "said": said, "failure_detail": detail, "reasons": reasons.collect::<Vec<_>>(),
        "facts": facts.collect::<Vec<_>>(), "counters": counters.collect::<Vec<_>>(), "log": log.collect::<Vec<_>>(),
        "log_cut": usage.log_dropped, "fuel": usage.fuel, "cpu_us": usage.cpu_us, "memory_bytes": usage.memory_bytes,
    })
}
