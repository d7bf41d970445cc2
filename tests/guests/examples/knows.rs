//! Asks for the facts and counters of its settings, and does with them as `say` has it: fails with what it
//! sees (`echo`, the default), charges each counter (`{"charge": 3}`), or allows if every fact is there
//! (`if_known`).

use attorn_policy::{Context, Error, Policy, ReasonDeclaration, Requirements, Scope, Verdict, Window};
use serde_json::{Map, Value, json};

/// The most that a counter may come to.
const MOST: u64 = (1 << 53) - 1;
const UNKNOWN: ReasonDeclaration = ReasonDeclaration::public("unknown", "a fact is missing");

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Knows {
    #[serde(default)]
    facts: Vec<String>,
    #[serde(default)]
    counters: Vec<String>,
    #[serde(default)]
    say: Say,
}

#[derive(serde::Deserialize, Default)]
#[serde(rename_all = "snake_case")]
enum Say {
    #[default]
    Echo,
    Charge(u64),
    IfKnown,
}

impl Policy for Knows {
    const NAME: &'static str = "knows";
    const VERSION: &'static str = "0.0.0";
    const REASONS: &'static [ReasonDeclaration] = &[UNKNOWN];

    fn requirements(&self) -> Result<Requirements, Error> {
        let facts = self.facts.iter().fold(Requirements::none(), |all, fact| all.fact(fact.as_str()));
        let count = |all: Requirements, name: &String| all.counter(name.as_str(), "times", Scope::Agent, Window::Total);
        Ok(self.counters.iter().fold(facts, count))
    }

    fn evaluate(&self, ctx: &Context) -> Result<Verdict, Error> {
        match self.say {
            Say::Echo => Err(Error::new(seen(ctx).to_string())),
            Say::Charge(amount) => {
                let charge = |allow: attorn_policy::Allow, name: &String| allow.debit(name.as_str(), amount, MOST);
                Ok(self.counters.iter().fold(Verdict::allow(), charge).into())
            }
            Say::IfKnown if ctx.facts.iter().all(|fact| fact.value.is_some()) => Ok(Verdict::allow().into()),
            Say::IfKnown => Ok(Verdict::deny(UNKNOWN)),
        }
    }
}

fn seen(ctx: &Context) -> Value {
    let facts = ctx.facts.iter().map(|fact| (fact.template.clone(), json!(fact.value)));
    let counters = ctx.counters.iter().map(|counter| (counter.name.clone(), counter.used.into()));
    json!({ "facts": facts.collect::<Map<_, _>>(), "counters": counters.collect::<Map<_, _>>() })
}

attorn_policy::export!(Knows);
