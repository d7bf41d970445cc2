//! Random modules, as text. Most are about what there is; some ask for what is not there, give one rule two values, or call
//! a builtin with what it cannot take.

use super::world::{ACTIONS, USERS};
use crate::random::Random;

/// Nested at most this deep.
const DEPTH_MAX: usize = 2;

/// A module in the package `attorn`.
pub(crate) fn module(random: &mut Random) -> String {
    let mut rules = vec!["package attorn".to_owned()];
    if random.chance(50) {
        rules.push("default allow := false".to_owned());
    }
    for at in 0..3 {
        for _ in 0..=usize::from(random.chance(15)) {
            rules.push(format!("h{at} := {} if {{\n{}}}", number(random, 1), body(random, 1, 2)));
        }
    }
    rules.push(format!("names contains n if {{\n\tsome n in data.names\n{}}}", body(random, 1, 2)));
    rules.push(format!("f(x) := x + {}", random.below(3)));
    rules.push(format!(
        "level := \"high\" if {{\n{}}} else := \"low\" if {{\n{}}}",
        body(random, 1, 2),
        body(random, 1, 2)
    ));
    for _ in 0..=random.below(3) {
        let value = if random.chance(8) { " := 7" } else { "" };
        rules.push(format!("allow{value} if {{\n{}}}", body(random, 0, 3)));
    }
    for _ in 0..random.below(4) {
        rules.push(format!("deny contains {} if {{\n{}}}", reason(random), body(random, 0, 3)));
    }
    // There has to be such a rule, and it has to be a set, or nothing that is an answer.
    rules.push(match random.below(12) {
        0 => "deny := 7 if input.hops == 1".to_owned(),
        _ => "deny contains \"never\" if false".to_owned(),
    });
    rules.join("\n\n") + "\n"
}

fn reason(random: &mut Random) -> String {
    match random.below(6) {
        0 => "\"own_a\"".to_owned(),
        1 => "{\"reason\": \"own_b\", \"message\": \"m\"}".to_owned(),
        2 => "{\"reason\": \"other\", \"message\": \"m\"}".to_owned(),
        3 => format!("sprintf(\"%v and %v\", [{}, {}])", number(random, 1), text(random)),
        4 => number(random, 1),
        _ => "\"some text\"".to_owned(),
    }
}

fn body(random: &mut Random, depth: usize, most: usize) -> String {
    let conditions: Vec<String> = (0..=random.below(most)).map(|_| condition(random, depth)).collect();
    format!("\t{}\n", conditions.join("\n\t"))
}

fn condition(random: &mut Random, depth: usize) -> String {
    if depth >= DEPTH_MAX {
        return random.one(&["true", "input.user", "input.arguments.amount", "not input.session"]).to_owned();
    }
    let inner = |random: &mut Random| condition(random, depth + 1);
    let comparison = random.one(&["<", "<=", ">", ">=", "==", "!="]);
    match random.below(20) {
        0 => format!("{} {comparison} {}", number(random, depth), number(random, depth)),
        1 => format!("{} {comparison} {}", text(random), text(random)),
        2 => format!("{} in {}", text(random), list(random)),
        3 => format!("not {} == {}", number(random, depth), number(random, depth)),
        4 => format!("every x in {} {{\n\t\tx != {}\n\t}}", list(random), text(random)),
        5 => format!("count({{x | some x in {}; x == {}}}) == 1", list(random), text(random)),
        6 => format!("count([x | some x in {}; x != {}]) {comparison} {}", list(random), text(random), random.below(3)),
        7 => format!("input.action == \"{}\"", random.one(ACTIONS)),
        8 => "data.facts.owner == input.user.id".to_owned(),
        9 => format!("data.risks.now {comparison} {}", random.below(9)),
        10 => format!("startswith({}, \"usr-\")", text(random)),
        11 => format!("regex.match(`^\\d+$`, {})", text(random)),
        12 => format!("\"{}\" in {{group.name | some group in input.user.groups}}", random.one(&["staff", "admins"])),
        13 => format!("h0 == 1 with input.arguments.amount as {}", number(random, 1)),
        14 => format!(
            "time.now_ns() {comparison} {}",
            1_767_603_600_000_000_000_u64 + random.number() % 36_000_000_000_000
        ),
        15 => format!("level == \"{}\"", random.one(&["high", "low"])),
        16 => format!("walk(input.arguments, [_, {}])", random.below(3)),
        17 => "data.attorn.names[input.user.id]".to_owned(),
        _ => inner(random),
    }
}

fn number(random: &mut Random, depth: usize) -> String {
    if depth >= DEPTH_MAX {
        return random.below(5).to_string();
    }
    match random.below(14) {
        0 => format!("{} + {}", number(random, depth + 1), number(random, depth + 1)),
        1 => format!("{} / {}", number(random, depth + 1), random.one(&["2", "0", "input.hops"])),
        2 => format!("to_number({})", text(random)),
        3 => "data.limits.high".to_owned(),
        4 => "input.arguments.amount".to_owned(),
        5 => "input.user.claims.level".to_owned(),
        6 => format!("f({})", number(random, depth + 1)),
        7 => format!("object.get(input.arguments, \"amount\", {})", random.below(3)),
        8 => "input.hops".to_owned(),
        9 => "count(names)".to_owned(),
        // Rules do not ask each other in a circle: those with a number are asked by others alone.
        10 if depth == 0 => format!("h{}", random.below(3)),
        _ => random.below(5).to_string(),
    }
}

fn text(random: &mut Random) -> String {
    match random.below(7) {
        0 => "input.user.id".to_owned(),
        1 => "input.arguments.note".to_owned(),
        2 => "input.resource_id".to_owned(),
        3 => "data.facts.owner".to_owned(),
        4 => "input.purpose".to_owned(),
        _ => format!("\"{}\"", random.one(USERS)),
    }
}

fn list(random: &mut Random) -> &'static str {
    random.one(&["data.names", "input.arguments.list", "{\"usr-alice\", \"usr-bob\"}", "names", "[]"])
}
