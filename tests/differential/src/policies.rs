//! Random policies, as text. Most are about what there is; some ask for what is not there, or add a text to a number.

use crate::random::Random;
use crate::world::{ACTIONS, GROUPS, USERS, quoted};

/// Nested at most this deep.
const DEPTH_MAX: usize = 3;

/// What the policies may be about.
pub(crate) struct Scope<'a> {
    /// The type of principals.
    pub(crate) principal: &'a str,
    /// Their ids.
    pub(crate) principals: &'a [&'a str],
    /// Ids of resources.
    pub(crate) resources: &'a [&'a str],
}

/// Some policies.
pub(crate) fn policies(random: &mut Random, scope: &Scope<'_>) -> String {
    let count = 1 + random.below(7);
    (0..count).map(|_| policy(random, scope)).collect::<Vec<_>>().join("\n")
}

fn policy(random: &mut Random, scope: &Scope<'_>) -> String {
    let effect = if random.chance(70) { "permit" } else { "forbid" };
    let reason = if random.chance(15) { format!("@reason(\"{effect} {}\") ", random.below(3)) } else { String::new() };
    let principal = match random.below(8) {
        0 => format!("principal == {}::{}", scope.principal, quoted(random.one(scope.principals))),
        1 | 2 => format!("principal in Group::{}", quoted(random.one(GROUPS))),
        3 => format!("principal is {}", scope.principal),
        4 => "principal is Robot".to_owned(),
        5 => format!("principal is {} in Group::{}", scope.principal, quoted(random.one(GROUPS))),
        _ => "principal".to_owned(),
    };
    let action = match random.below(6) {
        0 => format!("action == Action::{}", quoted(random.one(ACTIONS))),
        1 => format!("action in [Action::{}, Action::{}]", quoted(random.one(ACTIONS)), quoted(random.one(ACTIONS))),
        2 => "action in Action::\"reading\"".to_owned(),
        _ => "action".to_owned(),
    };
    let resource = match random.below(7) {
        0 => format!("resource == Photo::{}", quoted(random.one(scope.resources))),
        1 | 2 => format!("resource in Album::{}", quoted(random.one(GROUPS))),
        3 => "resource is Photo".to_owned(),
        _ => "resource".to_owned(),
    };
    let mut text = format!("{reason}{effect}({principal}, {action}, {resource})");
    for _ in 0..random.below(3) {
        let clause = if random.chance(75) { "when" } else { "unless" };
        text = format!("{text} {clause} {{ {} }}", truth(random, 0));
    }
    text.push(';');
    text
}

/// What is true or false, as a rule.
fn truth(random: &mut Random, depth: usize) -> String {
    if depth >= DEPTH_MAX {
        return random.one(&["true", "false", "context.arguments.flag", "resource.public"]).to_owned();
    }
    let inner = |random: &mut Random| truth(random, depth + 1);
    match random.below(16) {
        0 => format!("!({})", inner(random)),
        1 => format!("({}) && ({})", inner(random), inner(random)),
        2 => format!("({}) || ({})", inner(random), inner(random)),
        3 => format!("if {} then {} else {}", inner(random), inner(random), inner(random)),
        4 => format!("{} {} {}", number(random), random.one(&["<", "<=", ">", ">=", "==", "!="]), number(random)),
        5 => format!("{} == {}", text(random), text(random)),
        6 => format!("{} like {}", text(random), random.one(&["\"*\"", "\"a*\"", "\"*\\\"*\"", "\"te?t\"", "\"\""])),
        7 => format!(
            "{} has {}",
            random.one(&["principal", "resource", "context", "context.arguments"]),
            attribute(random)
        ),
        8 => format!("{}.contains({})", set(random), if random.chance(80) { number(random) } else { text(random) }),
        9 => format!("{}.{}({})", set(random), random.one(&["containsAny", "containsAll"]), set(random)),
        10 => "resource.owner == principal".to_owned(),
        11 => format!("principal in Group::{}", quoted(random.one(GROUPS))),
        12 => {
            format!("context.time {} datetime(\"2026-01-05T0{}:00:00Z\")", random.one(&["<", ">="]), random.below(10))
        }
        13 => format!(
            "context.arguments.rate.{}(decimal(\"0.{}\"))",
            random.one(&["lessThan", "greaterThan"]),
            random.below(100)
        ),
        14 => format!("ip(\"10.0.0.{}\").isInRange(ip(\"10.0.0.0/2{}\"))", random.below(300), random.below(10)),
        _ => format!(
            "principal.hasTag(\"t\") && principal.getTag(\"{}\") == {}",
            random.one(&["t", "u"]),
            number(random)
        ),
    }
}

fn number(random: &mut Random) -> String {
    match random.below(10) {
        0 => "9223372036854775807".to_owned(),
        1 => format!("({} + {})", number(random), number(random)),
        2 => format!("({} * {})", number(random), random.below(4)),
        3 => "principal.rank".to_owned(),
        4 => "resource.size".to_owned(),
        5 => "context.arguments.amount".to_owned(),
        6 => "context.hops".to_owned(),
        7 => format!("(-{})", random.below(5)),
        _ => random.below(5).to_string(),
    }
}

fn text(random: &mut Random) -> String {
    match random.below(7) {
        0 => "context.purpose".to_owned(),
        1 => "context.agent.id".to_owned(),
        2 => "context.arguments.note".to_owned(),
        3 => "context.user.claims.level".to_owned(),
        4 => "resource.name".to_owned(),
        _ => quoted(random.one(USERS)),
    }
}

fn set(random: &mut Random) -> String {
    match random.below(4) {
        0 => "context.arguments.list".to_owned(),
        1 => "resource.tags".to_owned(),
        _ => {
            let values: Vec<String> = (0..random.below(4)).map(|_| number(random)).collect();
            format!("[{}]", values.join(", "))
        }
    }
}

fn attribute(random: &mut Random) -> &'static str {
    random.one(&["rank", "public", "arguments", "amount", "note", "session", "\"a b\"", "user", "owner"])
}
