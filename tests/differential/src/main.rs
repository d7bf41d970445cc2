//! The plugin `cedar` against Cedar itself: random policies, entities and requests, asked of both, whose answers have to
//! be the same: the verdict, the policies that determined it, and what failed. In `rego`, the same of the plugin `rego`.
//!
//! What is known to differ is here, in [`expected`], as the plugin's README has it: a `forbid` that fails denies.

mod cases;
mod policies;
mod random;
mod rego;
mod time;
mod world;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use attorn_plugin_cedar::Cedar;
use attorn_policy::testing::Tested;
use attorn_policy::{Reason, Verdict};
use cedar_policy::{Authorizer, Context, Decision, Effect, Entities, EntityUid, PolicyId, PolicySet, Request};

use random::Random;
use world::{Alphabet, Ruling, World};

/// Worlds where nobody says how many.
const COUNT: u64 = 5_000;

/// An answer, in words that both sides are put into: what was said, and each reason with its text.
type Answer = (&'static str, Vec<(String, String)>);

/// How often each.
type Tally = BTreeMap<&'static str, u64>;

type AnyError = Box<dyn std::error::Error>;

const USAGE: &str = "usage: attorn-differential [rego] [COUNT [SEED]]
       attorn-differential [rego] --cases DIRECTORY [RULINGS [SEED]]
       attorn-differential time";

fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments == ["time"] {
        return time::serve().map_or_else(
            |error| {
                eprintln!("{error}");
                ExitCode::FAILURE
            },
            |()| ExitCode::SUCCESS,
        );
    }
    let is_rego = arguments.first().is_some_and(|first| first == "rego");
    if is_rego {
        arguments.remove(0);
    }
    let directory = (arguments.len() > 1 && arguments[0] == "--cases").then(|| arguments.drain(..2).nth(1)).flatten();
    let numbers: Result<Vec<u64>, _> = arguments.iter().map(|argument| argument.parse()).collect();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (count, seed) = match numbers.as_deref() {
        Ok([]) => (None, now),
        Ok([count]) => (Some(*count), now),
        Ok([count, seed]) => (Some(*count), *seed),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    println!("seed {seed}");
    let done = if let Some(directory) = directory {
        let directory = Path::new(&directory);
        if is_rego {
            rego::write_cases(directory, count.unwrap_or(rego::RULINGS), seed)
        } else {
            cases::write(directory, count.unwrap_or(cases::RULINGS), seed)
        }
    } else {
        let count = count.unwrap_or(COUNT);
        let tally = if is_rego { rego::compare_all(count, seed) } else { compare_all(count, seed) };
        tally.map(|tally| format!("{count} worlds, no difference: {}", listed(&tally)))
    };
    match done {
        Ok(done) => {
            println!("{done}");
            ExitCode::SUCCESS
        }
        Err(difference) => {
            println!("{difference}");
            ExitCode::FAILURE
        }
    }
}

/// How often what was said, or the first difference.
fn compare_all(count: u64, seed: u64) -> Result<Tally, String> {
    let mut random = Random::of(seed);
    let mut tally = Tally::new();
    for at in 0..count {
        // Each has a seed of its own, so that one may be looked at alone.
        let mut random = Random::of(random.number());
        let ruling = Ruling::random(&mut random, Alphabet::Any);
        let world = World::random(&mut random, &ruling);
        let failed = |side: &str, error: AnyError| format!("world {at}: {side}: {error}\n{}", shown(&ruling, &world));
        let cedars = expected(&ruling, &world).map_err(|error| failed("Cedar", error))?;
        let ours = said(&ruling, &world).map_err(|error| failed("the plugin", error))?;
        if ours != cedars {
            return Err(format!("world {at}: Cedar {cedars:#?}\nthe plugin {ours:#?}\n{}", shown(&ruling, &world)));
        }
        count_in(&mut tally, &ours);
    }
    Ok(tally)
}

fn count_in(tally: &mut Tally, answer: &Answer) {
    *tally.entry(answer.0).or_default() += 1;
    for (code, name) in [("forbid_failed", "with a forbid that failed"), ("permit_failed", "with a permit that failed")]
    {
        if answer.1.iter().any(|(given, _)| given == code) {
            *tally.entry(name).or_default() += 1;
        }
    }
}

fn listed(tally: &Tally) -> String {
    tally.iter().map(|(said, count)| format!("{count} {said}")).collect::<Vec<_>>().join(", ")
}

fn shown(ruling: &Ruling, world: &World) -> String {
    format!("policies:\n{}\ncontext: {}\nentities: {}", ruling.policies, world.context, world.entities)
}

/// What the plugin says.
fn said(ruling: &Ruling, world: &World) -> Result<Answer, AnyError> {
    let plugin = Tested::<Cedar>::new(&ruling.settings().to_string()).map_err(|error| error.to_string())?;
    let verdict = plugin.evaluate(&world.asked).map_err(|error| error.to_string())?;
    let texts = |reasons: Vec<Reason>| {
        let mut texts: Vec<_> = reasons.into_iter().map(|reason| (reason.code, reason.text)).collect();
        texts.sort();
        texts
    };
    Ok(match verdict {
        Verdict::Allow(allow) => ("allow", texts(allow.reasons)),
        Verdict::Deny(reasons) => ("deny", texts(reasons)),
        Verdict::Abstain => ("abstain", Vec::new()),
        Verdict::Challenge(_) => ("challenge", Vec::new()),
    })
}

/// What has to be said, after what Cedar says.
fn expected(ruling: &Ruling, world: &World) -> Result<Answer, AnyError> {
    let policies: PolicySet = ruling.policies.parse()?;
    let uid = |value: &serde_json::Value| EntityUid::from_json(value.clone()).map_err(Box::new);
    let context = Context::from_json_value(world.context.clone(), None)?;
    let request = Request::new(uid(&world.principal)?, uid(&world.action)?, uid(&world.resource)?, context, None)?;
    let entities = Entities::from_json_value(world.entities.clone(), None)?;
    let response = Authorizer::new().is_authorized(&request, &policies, &entities);

    let effect = |id: &PolicyId| policies.policy(id).map(cedar_policy::Policy::effect);
    let mut failures: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for error in response.diagnostics().errors() {
        let cedar_policy::AuthorizationError::PolicyEvaluationError(inner) = error;
        let code = if effect(inner.policy_id()) == Some(Effect::Permit) { "permit_failed" } else { "forbid_failed" };
        failures.entry(code).or_default().push(error.to_string());
    }
    let failure = |code: &str| {
        failures.get(code).map(|texts| {
            let mut texts = texts.clone();
            texts.sort();
            (code.to_owned(), cut(&texts.join("; ")))
        })
    };
    let mut determining: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for id in response.diagnostics().reason() {
        let generic = if effect(id) == Some(Effect::Permit) { "permitted" } else { "forbidden" };
        let own = policies.annotation(id, "reason").map(|reason| reason.replace(' ', "_"));
        determining.entry(own.unwrap_or_else(|| generic.to_owned())).or_default().push(format!("`{id}`"));
    }
    let some_determined = !determining.is_empty();
    let mut reasons: Vec<(String, String)> = determining
        .into_iter()
        .map(|(code, mut ids)| {
            ids.sort();
            (code, cut(&ids.join(", ")))
        })
        .collect();
    let answer = match (response.decision(), failure("forbid_failed")) {
        (Decision::Allow, None) => {
            reasons.extend(failure("permit_failed"));
            ("allow", reasons)
        }
        (Decision::Deny, failed) if some_determined => {
            reasons.extend(failed);
            ("deny", reasons)
        }
        (Decision::Allow | Decision::Deny, Some(failed)) => ("deny", vec![failed]),
        (Decision::Deny, None) if ruling.abstains => ("abstain", Vec::new()),
        (Decision::Deny, None) => {
            reasons.push(("no_permit".to_owned(), "no Cedar policy permits it".to_owned()));
            reasons.extend(failure("permit_failed"));
            ("deny", reasons)
        }
    };
    let (said, mut reasons) = answer;
    reasons.sort();
    Ok((said, reasons))
}

/// The most that a reason's text may hold.
fn cut(text: &str) -> String {
    if text.chars().count() <= 512 { text.to_owned() } else { text.chars().take(511).chain(['…']).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fewer than the program compares by itself, and the same each time.
    #[test]
    fn the_plugin_says_what_cedar_says() {
        let tally = compare_all(1_000, 42).unwrap();
        // A comparison of nothing but denies would show little.
        for said in ["allow", "deny", "abstain", "with a forbid that failed", "with a permit that failed"] {
            assert!(tally.get(said).copied().unwrap_or(0) >= 20, "{tally:?}");
        }
    }

    #[test]
    fn the_same_seed_makes_the_same_world() {
        let world = |seed| {
            let mut random = Random::of(seed);
            let ruling = Ruling::random(&mut random, Alphabet::Any);
            shown(&ruling, &World::random(&mut random, &ruling))
        };
        assert_eq!(world(7), world(7));
        assert_ne!(world(7), world(8));
    }
}
