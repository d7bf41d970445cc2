//! The plugin `rego` against the interpreter itself: random modules, data and requests, asked of both.
//!
//! The interpreter is asked for each rule by itself, with the facts in its data and with an `input` that is written down
//! here without the plugin's code. What the values of the rules come to is in [`expected`], as the plugin's README has it.

mod modules;
mod world;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use attorn_plugin_rego::Rego;
use attorn_policy::testing::Tested;
use attorn_policy::{Reason, Verdict};
use regorus::{Engine, Value};
use serde_json::json;

use crate::random::Random;
use crate::{Answer, Tally, listed};
use world::{Ruling, World};

/// Rulings of cases where nobody says how many, and requests under each.
pub(crate) const RULINGS: u64 = 20;
const REQUESTS: usize = 100;

/// How often what was said, or the first difference.
pub(crate) fn compare_all(count: u64, seed: u64) -> Result<Tally, String> {
    let mut random = Random::of(seed);
    let mut tally = Tally::new();
    for at in 0..count {
        let mut random = Random::of(random.number());
        let ruling = Ruling::random(&mut random);
        let world = World::random(&mut random);
        let interpreters = expected(&ruling, &world);
        let ours = said(&ruling, &world).map_err(|error| format!("world {at}: {error}\n{}", shown(&ruling, &world)))?;
        if ours != interpreters {
            let both = format!("the interpreter {interpreters:#?}\nthe plugin {ours:#?}");
            return Err(format!("world {at}: {both}\n{}", shown(&ruling, &world)));
        }
        count_in(&mut tally, &ours);
    }
    Ok(tally)
}

/// Write a file of cases for each ruling.
pub(crate) fn write_cases(directory: &Path, rulings: u64, seed: u64) -> Result<String, String> {
    let mut random = Random::of(seed);
    let mut tally = Tally::new();
    fs::create_dir_all(directory).map_err(|error| error.to_string())?;
    for at in 0..rulings {
        let ruling = Ruling::random(&mut random);
        let mut cases = Vec::with_capacity(REQUESTS);
        for request in 0..REQUESTS {
            let world = World::random(&mut random);
            let answer = expected(&ruling, &world);
            count_in(&mut tally, &answer);
            let codes: BTreeSet<&str> = answer.1.iter().map(|(code, _)| code.as_str()).collect();
            let mut expect = json!({ "verdict": answer.0 });
            if !codes.is_empty() {
                expect["reasons"] = json!(codes);
            }
            cases.push(json!({ "name": format!("request {request}"), "context": world.case(), "expect": expect }));
        }
        let file = json!({ "version": 1, "settings": ruling.settings(), "cases": cases });
        let path = directory.join(format!("ruling-{at}.json"));
        fs::write(path, file.to_string()).map_err(|error| error.to_string())?;
    }
    Ok(format!("{} cases of {rulings} rulings: {}", rulings * REQUESTS as u64, listed(&tally)))
}

fn count_in(tally: &mut Tally, answer: &Answer) {
    *tally.entry(answer.0).or_default() += 1;
    for (code, name) in [
        ("evaluation_failed", "of these failed"),
        ("fact_missing", "of these without a fact"),
        ("malformed_answer", "of these malformed"),
    ] {
        if answer.1.iter().any(|(given, _)| given == code) {
            *tally.entry(name).or_default() += 1;
        }
    }
}

fn shown(ruling: &Ruling, world: &World) -> String {
    format!("settings: {:#}\ninput: {}\nfacts: {:?}", ruling.settings(), world.input, world.asked.facts)
}

/// What the plugin says. How an evaluation failed is told in other words, and is left out.
fn said(ruling: &Ruling, world: &World) -> Result<Answer, String> {
    let plugin = Tested::<Rego>::new(&ruling.settings().to_string()).map_err(|error| error.to_string())?;
    let verdict = plugin.evaluate(&world.asked).map_err(|error| error.to_string())?;
    let texts = |reasons: Vec<Reason>| {
        let text = |reason: &Reason| if vague(&reason.code) { String::new() } else { reason.text.clone() };
        reasons.into_iter().map(|reason| (reason.code.clone(), text(&reason))).collect()
    };
    Ok(match verdict {
        Verdict::Allow(allow) => ("allow", texts(allow.reasons)),
        Verdict::Deny(reasons) => ("deny", texts(reasons)),
        Verdict::Abstain => ("abstain", Vec::new()),
        Verdict::Challenge(_) => ("challenge", Vec::new()),
    })
}

fn vague(code: &str) -> bool {
    ["evaluation_failed", "malformed_answer", "fact_missing"].contains(&code)
}

/// What has to be said, after what the interpreter says of each rule.
fn expected(ruling: &Ruling, world: &World) -> Answer {
    let deny = |code: &str| ("deny", vec![(code.to_owned(), String::new())]);
    if world.owner.is_none() {
        return deny("fact_missing");
    }
    let (Ok(allow), Ok(denied)) = (value(ruling, world, "allow"), value(ruling, world, "deny")) else {
        return deny("evaluation_failed");
    };
    let denied = match &denied {
        Value::Undefined => Vec::new(),
        Value::Set(items) => items.iter().map(|item| serde_json::to_value(item).unwrap_or_default()).collect(),
        _ => return deny("malformed_answer"),
    };
    if !denied.is_empty() {
        return ("deny", reasons(&denied));
    }
    match allow {
        Value::Bool(true) => ("allow", vec![("allowed".to_owned(), "a Rego rule allows it".to_owned())]),
        Value::Undefined | Value::Bool(false) if ruling.abstains => ("abstain", Vec::new()),
        Value::Undefined | Value::Bool(false) => {
            ("deny", vec![("not_allowed".to_owned(), "no Rego rule allows it".to_owned())])
        }
        _ => deny("malformed_answer"),
    }
}

/// Codes first, in their order, each with its texts; then what has none.
fn reasons(items: &[serde_json::Value]) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for code in ["own_a", "own_b"] {
        let about = items.iter().filter(|item| item.as_str() == Some(code) || item["reason"] == code);
        let about: Vec<&serde_json::Value> = about.collect();
        let texts: Vec<&str> = about.iter().filter_map(|item| item["message"].as_str()).collect();
        let text = if texts.is_empty() { format!("{code} is declared") } else { texts.join("; ") };
        if !about.is_empty() {
            all.push((code.to_owned(), text));
        }
    }
    let others = items.iter().filter(|item| {
        let code = item["reason"].as_str().or(item.as_str());
        !code.is_some_and(|code| ["own_a", "own_b"].contains(&code))
    });
    let others: Vec<String> = others
        .map(|item| match (item["reason"].as_str(), item["message"].as_str()) {
            (Some(code), Some(message)) => format!("{code}: {message}"),
            (Some(text), None) | (None, Some(text)) => text.to_owned(),
            (None, None) => item.as_str().map_or_else(|| item.to_string(), str::to_owned),
        })
        .collect();
    if !others.is_empty() {
        all.push(("denied".to_owned(), others.join("; ")));
    }
    all
}

/// The value of a rule, as the interpreter has it by itself.
fn value(ruling: &Ruling, world: &World, rule: &str) -> Result<Value, String> {
    let mut engine = Engine::new();
    let at = |error: &dyn std::fmt::Display| error.to_string();
    engine.set_strict_builtin_errors(!ruling.is_lax);
    engine.add_policy("random.rego".into(), ruling.module.clone()).map_err(|error| at(&error))?;
    engine.add_data(world.data(ruling).into()).map_err(|error| at(&error))?;
    let ns = u128::from(world.asked.time) * 1_000_000;
    let clock = move |_: Vec<Value>| Ok(Value::from(ns));
    engine.add_extension("time.now_ns".into(), 0, Box::new(clock)).map_err(|error| at(&error))?;
    engine.set_input(world.input.clone().into());
    engine.eval_rule(format!("data.attorn.{rule}")).map_err(|error| at(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fewer than the program compares by itself, and the same each time.
    #[test]
    fn the_plugin_says_what_the_interpreter_says() {
        let tally = compare_all(1_000, 42).unwrap();
        // A comparison of nothing but denies would show little.
        for said in ["allow", "deny", "abstain", "of these failed", "of these without a fact", "of these malformed"] {
            assert!(tally.get(said).copied().unwrap_or(0) >= 20, "{tally:?}");
        }
    }

    #[test]
    fn the_same_seed_makes_the_same_world() {
        let world = |seed| {
            let mut random = Random::of(seed);
            let ruling = Ruling::random(&mut random);
            shown(&ruling, &World::random(&mut random))
        };
        assert_eq!(world(7), world(7));
        assert_ne!(world(7), world(8));
    }
}
