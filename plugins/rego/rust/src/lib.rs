//! The policy `rego`: what OPA's policies, which are its settings, say of a request.
//!
//! The modules are parsed, searched for what a policy here cannot do, and prepared once, when the policy is activated. Each
//! decision makes an `input` out of our context, lays facts over `data`, and makes a verdict out of the values of the rules
//! that decide. Settings, mapping, reasons and cases are described in the README beside this crate.

mod answer;
mod ask;
mod builtins;
mod facts;
mod guard;
mod input;
mod modules;
mod net;
mod place;
mod reasons;
mod settings;
mod time;
mod walk;

use attorn_policy::{Context, Error, Policy, ReasonDeclaration, Requirements, Verdict, log};
use regorus::Value;

pub use settings::Rego;

use facts::Gathered;
use reasons::{CREDENTIAL_NOT_LISTED, EVALUATION_FAILED, FACT_MISSING};
use settings::Asked;

impl Policy for Rego {
    const NAME: &'static str = "rego";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SETTINGS_SCHEMA: &'static str = include_str!("../../settings.schema.json");
    const REASONS: &'static [ReasonDeclaration] = reasons::OURS;

    fn requirements(&self) -> Result<Requirements, Error> {
        let facts = self.templates().into_iter().fold(Requirements::none(), Requirements::fact);
        Ok(self.declare_counters(self.answers.declare(facts)))
    }

    fn evaluate(&self, ctx: &Context) -> Result<Verdict, Error> {
        if let Some(wanted) = ctx.wanted_credential()?
            && !self.credentials.contains(&wanted.kind)
        {
            return Ok(Verdict::deny(CREDENTIAL_NOT_LISTED));
        }
        let facts = match self.facts.gather(ctx)? {
            Gathered::Missing(template) => {
                return Ok(Verdict::deny(FACT_MISSING.with_text(answer::bounded(format!("`{template}`")))));
            }
            Gathered::All(facts) => facts,
        };
        let engine = self.modules.engine.clone();
        let values = match self.question.ask(engine, self.input.of(ctx)?, facts, ctx.time) {
            Ok(values) => values,
            Err(why) => {
                let why = answer::bounded(why);
                log::error(&why);
                return Ok(Verdict::deny(EVALUATION_FAILED.with_text(why)));
            }
        };
        let mut values = values.into_iter();
        let mut next = || values.next().unwrap_or(Value::Undefined);
        let verdict = match &self.asked {
            Asked::Decision(_) => self.answers.of_decision(&next()),
            Asked::Rules { allow, deny } => {
                let allow = allow.as_ref().map_or(Value::Undefined, |_| next());
                let deny = deny.as_ref().map_or(Value::Undefined, |_| next());
                self.answers.of_rules(&allow, &deny)
            }
        };
        answer::write_down(&verdict);
        Ok(verdict)
    }
}

attorn_policy::export!(Rego);

#[cfg(test)]
mod documents;
#[cfg(test)]
mod tests;
