//! Facts and counters of a case. Which of them a policy sees, and in what order, its requirements say,
//! which are known once it is loaded with the settings of the case.

use std::collections::BTreeMap;

use attorn_api::json::canonical;
use attorn_core::context::{Counter, Fact};
use attorn_core::{EvaluationContext, FactTemplate, JsonText, Known};
use attorn_engine::{CounterDeclaration, Requirements};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::number::Number;

/// A fact's value, or `null` for one that is missing.
pub(super) type FactWire = Option<Box<RawValue>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a counter, such as `{ \"used\": 5 }`")]
pub(super) struct CounterWire {
    used: Number,
}

/// What the host knows in a case, whoever asks for it.
#[derive(Debug)]
pub(crate) struct Given {
    facts: BTreeMap<String, Option<JsonText>>,
    used: BTreeMap<String, u64>,
}

impl Given {
    pub(super) fn parse(
        facts: BTreeMap<String, FactWire>,
        counters: BTreeMap<String, CounterWire>,
    ) -> Result<Self, String> {
        let value = |(template, raw): (String, FactWire)| {
            let value = raw.as_deref().map(|raw| canonical(raw.get())).transpose();
            let value = value.map_err(|error| format!("the fact `{template}`: {error}"))?;
            Ok::<_, String>((template, value))
        };
        Ok(Self {
            facts: facts.into_iter().map(value).collect::<Result<_, _>>()?,
            used: counters.into_iter().map(|(name, counter)| (name, counter.used.0)).collect(),
        })
    }

    /// What was looked up for a policy with these requirements; or what the case gives and nobody asks for.
    pub(crate) fn known(&self, requirements: &Requirements, context: &EvaluationContext) -> Result<Known, String> {
        let asked_for = |given: &str| requirements.facts.iter().any(|template| template.as_str() == given);
        if let Some(template) = self.facts.keys().find(|given| !asked_for(given)) {
            return Err(format!("it gives the fact `{template}`, which the policy does not ask for"));
        }
        if let Some(name) = self.used.keys().find(|given| requirements.counter(given).is_none()) {
            return Err(format!("it gives the counter `{name}`, which the policy does not declare"));
        }
        let facts = requirements.facts.iter().map(|template| self.fact(template, context));
        let counters = requirements.counters.iter().map(|declared| self.counter(declared, context));
        Ok(Known { facts: facts.collect::<Result<_, _>>()?, counters: counters.collect() })
    }

    fn fact(&self, template: &FactTemplate, context: &EvaluationContext) -> Result<Fact, String> {
        let name = template.fill_in(context);
        let value = self.facts.get(template.as_str()).cloned().flatten();
        if name.is_none() && value.is_some() {
            return Err(format!("it gives the fact `{template}`, and the context has not all of its fields"));
        }
        Ok(Fact { template: template.clone(), name, value })
    }

    fn counter(&self, declared: &CounterDeclaration, context: &EvaluationContext) -> Counter {
        let used = self.used.get(declared.name.as_str()).copied().unwrap_or(0);
        let span = declared.window.around(context.time);
        Counter { name: declared.name.clone(), used, window_start: span.start, window_end: span.end }
    }
}
