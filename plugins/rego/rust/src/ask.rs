//! Asking the rules that decide, all in one query, so that what they share is evaluated once.

use attorn_policy::log;
use regorus::{Engine, Value};
use serde_json::Value as Json;

use crate::{place, time};

/// Lines that policies print of which the log gets told.
const PRINTED_MAX: usize = 64;

/// The values of these rules, in this order; undefined where a rule says nothing. Or why there are none.
///
/// `facts` are laid over `data`, each at its path.
pub(crate) fn ask(
    mut engine: Engine,
    rules: &[String],
    input: Json,
    facts: Vec<(String, Json)>,
    time_ms: u64,
) -> Result<Vec<Value>, String> {
    let clock = move |_: Vec<Value>| Ok(time::now(time_ms));
    engine.add_extension(time::NOW.to_owned(), 0, Box::new(clock)).map_err(|error| place::told(&error))?;
    let query = query(rules, &facts);
    engine.set_input(if facts.is_empty() {
        Value::from(input)
    } else {
        let values: Vec<Json> = facts.into_iter().map(|(_, value)| value).collect();
        Value::from(serde_json::json!({ "input": input, "facts": values }))
    });
    let answered = engine.eval_query(query, false);
    for line in engine.take_prints().unwrap_or_default().iter().take(PRINTED_MAX) {
        log::info(line);
    }
    let answered = answered.map_err(|error| place::told(&error))?;
    let odd = || "the interpreter gave no answer".to_owned();
    let all = answered.result.first().map(|result| &result.bindings[ANSWERS]).ok_or_else(odd)?;
    let all = all.as_array().map_err(|_| odd())?;
    let values: Vec<Value> = all.iter().map(|values| values[0_usize].clone()).collect();
    if values.len() == rules.len() { Ok(values) } else { Err(odd()) }
}

const ANSWERS: &str = "answers";

/// An array for each rule, with its value or nothing in it. Where there are facts, what the rules see as `input` is a part
/// of what the query sees as such, and the facts are another.
fn query(rules: &[String], facts: &[(String, Json)]) -> String {
    let wanted: Vec<String> = rules.iter().map(|rule| format!("[value | value := {rule}]")).collect();
    let mut query = format!("{ANSWERS} := [{}]", wanted.join(", "));
    for (at, (path, _)) in facts.iter().enumerate() {
        query.push_str(&format!(" with data.{path} as input.facts[{at}]"));
    }
    if !facts.is_empty() {
        query.push_str(" with input as input.input");
    }
    query
}
