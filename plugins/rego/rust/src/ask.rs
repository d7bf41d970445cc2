//! Asking the rules that decide, all in one query, so that what they share is evaluated once.
//!
//! The query is a rule of a module of ours, which is prepared with the others when the policy is activated. Where a fact is
//! missing, which that rule rests on, a query is made for the decision.

use attorn_policy::log;
use regorus::{Engine, Value};
use serde_json::Value as Json;

use crate::{place, time};

/// Lines that policies print of which the log gets told.
const PRINTED_MAX: usize = 64;

/// The package of ours, which nobody else has.
pub(crate) const PACKAGE: &str = "__attorn";
const ANSWERS: &str = "answers";

/// What is asked: these rules, with facts at these paths under `data`.
#[derive(Debug)]
pub(crate) struct Question {
    rules: Vec<String>,
    paths: Vec<String>,
}

impl Question {
    pub(crate) fn new(rules: Vec<String>, paths: Vec<String>) -> Self {
        Self { rules, paths }
    }

    /// The module that asks it.
    pub(crate) fn module(&self, is_v0: bool) -> String {
        let paths: Vec<&str> = self.paths.iter().map(String::as_str).collect();
        let then = if is_v0 { "" } else { "if " };
        format!("package {PACKAGE}\n\n{ANSWERS} := all {then}{{\n\tall := {}\n}}\n", self.query(&paths))
    }

    /// The values of these rules, in this order; undefined where a rule says nothing. Or why there are none.
    ///
    /// `facts` are laid over `data`, one for each path, or none.
    pub(crate) fn ask(
        &self,
        mut engine: Engine,
        input: Json,
        facts: Vec<Option<Json>>,
        time_ms: u64,
    ) -> Result<Vec<Value>, String> {
        let clock = move |_: Vec<Value>| Ok(time::now(time_ms));
        engine.add_extension(time::NOW.to_owned(), 0, Box::new(clock)).map_err(|error| place::told(&error))?;
        let all = facts.len();
        let (paths, facts): (Vec<&str>, Vec<Json>) =
            self.paths.iter().zip(facts).filter_map(|(path, fact)| Some((path.as_str(), fact?))).unzip();
        let is_whole = facts.len() == all;
        engine.set_input(if facts.is_empty() {
            Value::from(input)
        } else {
            Value::from(serde_json::json!({ "input": input, "facts": facts }))
        });
        let answered = if is_whole && all == self.paths.len() {
            engine.eval_rule(format!("data.{PACKAGE}.{ANSWERS}"))
        } else {
            let query = format!("{ANSWERS} := {}", self.query(&paths));
            let found = engine.eval_query(query, false);
            found.map(|found| found.result.first().map_or(Value::Undefined, |first| first.bindings[ANSWERS].clone()))
        };
        for line in engine.take_prints().unwrap_or_default().iter().take(PRINTED_MAX) {
            log::info(line);
        }
        let answered = answered.map_err(|error| place::told(&error))?;
        let odd = || "the interpreter gave no answer".to_owned();
        let values = answered.as_array().map_err(|_| odd())?.iter().map(|values| values[0_usize].clone());
        let values: Vec<Value> = values.collect();
        if values.len() == self.rules.len() { Ok(values) } else { Err(odd()) }
    }

    /// An array for each rule, with its value or nothing in it. Where there are facts, what the rules see as `input` is a
    /// part of what the query sees as such, and the facts are another.
    fn query(&self, paths: &[&str]) -> String {
        let wanted: Vec<String> = self.rules.iter().map(|rule| format!("[value | value := {rule}]")).collect();
        let facts = paths.iter().enumerate().map(|(at, path)| format!(" with data.{path} as input.facts[{at}]"));
        let input = (!paths.is_empty()).then(|| " with input as input.input".to_owned());
        let with: String = facts.chain(input).collect();
        format!("[{}]{with}", wanted.join(", "))
    }
}
