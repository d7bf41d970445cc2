//! What the cases beside this crate cannot say; those are run in the real engine.

mod refused;

use std::collections::BTreeSet;

use attorn_policy::testing::{self, Tested};
use attorn_policy::{Context, Counter, Reason, Verdict};
use serde_json::{Value, json};

use crate::{Rego, builtins, reasons};

fn policy(settings: &Value) -> Tested<Rego> {
    Tested::new(&settings.to_string()).unwrap()
}

/// One module in the package that decides by default; it begins in line 3.
fn module(text: &str) -> Value {
    json!({ "modules": { "authz.rego": format!("package attorn\n\n{text}") } })
}

/// The same with other settings beside it.
fn with(text: &str, others: &Value) -> Value {
    let mut settings = module(text);
    for (name, value) in others.as_object().unwrap() {
        settings[name] = value.clone();
    }
    settings
}

fn asked() -> Context {
    let mut ctx = testing::context("photo.view", "photo/beach.jpg");
    ctx.user = Some(testing::user("usr-alice"));
    ctx
}

fn reasons(verdict: Verdict) -> (&'static str, Vec<Reason>) {
    match verdict {
        Verdict::Allow(allow) => ("allow", allow.reasons),
        Verdict::Deny(reasons) => ("deny", reasons),
        Verdict::Challenge(challenge) => ("challenge", vec![challenge.reason]),
        Verdict::Abstain => ("abstain", Vec::new()),
    }
}

fn said(settings: &Value, ctx: &Context) -> (&'static str, Vec<(String, String)>) {
    let (said, reasons) = reasons(policy(settings).evaluate(ctx).unwrap());
    (said, reasons.into_iter().map(|reason| (reason.code, reason.text)).collect())
}

/// That it says this, and why: each reason as `code` or as `code: a part of its text`.
#[track_caller]
fn says(settings: &Value, ctx: &Context, verdict: &str, why: &[&str]) {
    let (said, reasons) = said(settings, ctx);
    let holds = |(wanted, (code, text)): (&&str, &(String, String))| match wanted.split_once(": ") {
        Some((wanted, part)) => wanted == code && text.contains(part),
        None => *wanted == code,
    };
    assert!(said == verdict && why.len() == reasons.len() && why.iter().zip(&reasons).all(holds), "{said} {reasons:?}");
}

#[track_caller]
fn refused(settings: &Value, problem: &str) {
    let error = Tested::<Rego>::new(&settings.to_string()).unwrap_err().to_string();
    assert!(error.contains(problem), "{error}");
}

#[test]
fn what_allow_and_deny_may_be() {
    let deny = |value: &str| {
        with(
            &format!("allow if true\n\ndeny := {value}"),
            &json!({ "reasons": { "own": { "text": "own data", "public": true } } }),
        )
    };
    for (value, verdict, why) in [
        ("false", "allow", &["allowed"][..]),
        ("[]", "allow", &["allowed"]),
        ("set()", "allow", &["allowed"]),
        ("true", "deny", &["denied: a Rego rule denies it"]),
        ("\"no\"", "deny", &["denied: no"]),
        ("\"\"", "deny", &["denied"]),
        ("\"own\"", "deny", &["own: own data"]),
        ("{}", "deny", &["denied: {}"]),
        ("{\"b\", \"own\", \"a\"}", "deny", &["own: own data", "denied: a; b"]),
        (
            "[{\"reason\": \"own\", \"message\": \"yours\"}, {\"code\": \"own\", \"msg\": \"mine\"}]",
            "deny",
            &["own: yours; mine"],
        ),
        (
            "[{\"reason\": \"other\", \"message\": \"m\"}, {\"message\": \"n\"}, 7, null]",
            "deny",
            &["denied: other: m; n; 7; null"],
        ),
        ("7", "deny", &["malformed_answer: `deny`: it is 7"]),
        ("null", "deny", &["malformed_answer"]),
    ] {
        says(&deny(value), &asked(), verdict, why);
    }
    for (value, verdict, why) in [
        ("true", "allow", &["allowed"][..]),
        ("false", "deny", &["not_allowed"]),
        ("[]", "deny", &["not_allowed"]),
        ("{\"because\"}", "allow", &["allowed: because"]),
        ("1", "deny", &["malformed_answer: `allow`: it is 1"]),
        ("null", "deny", &["malformed_answer"]),
        ("input.nothing", "deny", &["not_allowed"]),
    ] {
        says(&module(&format!("allow := {value}")), &asked(), verdict, why);
    }
}

#[test]
fn what_a_decision_may_be() {
    let settings = |value: &str| {
        with(
            &format!("decision := {value}"),
            &json!({ "counters": { "spent": { "unit": "cents", "scope": "user", "window": "day" } } }),
        )
    };
    for (value, verdict, why) in [
        ("input.nothing", "deny", &["not_allowed"][..]),
        ("true", "deny", &["malformed_answer: `decision`: invalid type"]),
        ("{}", "deny", &["malformed_answer: missing field `verdict`"]),
        ("{\"verdict\": \"yes\"}", "deny", &["malformed_answer: unknown variant `yes`"]),
        ("{\"verdict\": \"allow\", \"uses\": 1}", "deny", &["malformed_answer: unknown field `uses`"]),
        ("{\"verdict\": \"allow\", \"uses_max\": -1}", "deny", &["malformed_answer"]),
        ("{\"verdict\": \"allow\", \"grant_seconds_max\": 0}", "deny", &["malformed_answer: `grant_seconds_max` is 0"]),
        (
            "{\"verdict\": \"allow\", \"debits\": [{\"counter\": \"other\", \"amount\": 1, \"at_most\": 1}]}",
            "deny",
            &["malformed_answer: `other` is none of the counters"],
        ),
        (
            "{\"verdict\": \"allow\", \"approvers\": [{\"role\": \"user\", \"count\": 1}]}",
            "deny",
            &["malformed_answer: it names `approvers`"],
        ),
        ("{\"verdict\": \"challenge\"}", "deny", &["malformed_answer: a `challenge` has `approvers`"]),
        (
            "{\"verdict\": \"challenge\", \"approvers\": [{\"role\": \"user\", \"count\": 1}]}",
            "challenge",
            &["challenged"],
        ),
        ("{\"verdict\": \"deny\", \"reasons\": {\"a\", \"b\"}}", "deny", &["denied: a; b"]),
        ("{\"verdict\": \"deny\"}", "deny", &["denied"]),
        ("{\"verdict\": \"abstain\"}", "abstain", &[]),
        ("{\"verdict\": \"allow\"}", "allow", &["allowed"]),
    ] {
        says(&settings(value), &asked(), verdict, why);
    }
    let silent = with("decision := {\"verdict\": \"allow\"} if input.nothing", &json!({ "otherwise": "abstain" }));
    says(&silent, &asked(), "abstain", &[]);
}

#[test]
fn what_cannot_be_evaluated_denies() {
    for (text, why) in [
        ("allow if true\n\ndeny contains 1 if to_number(\"x\")", "authz.rego:5:"),
        ("allow if true\n\ndeny contains 1 if 1 / input.hops", "authz.rego:5:"),
        ("allow := input.hops == 0\n\nallow := input.hops == 1", "authz.rego:"),
        ("allow if p\n\np if q\n\nq if p", "authz.rego:"),
        ("allow if f(1)\n\nf(x) := x\n\nf(x) := x + 1", "authz.rego:3:"),
        ("allow if true\n\ndeny contains 1 if regex.match(\"[\", \"x\")", "authz.rego:5:"),
    ] {
        says(&module(text), &asked(), "deny", &[&format!("evaluation_failed: {why}")]);
    }
    let lax = json!({ "builtin_errors": "undefined" });
    says(&with("allow if true\n\ndeny contains 1 if to_number(\"x\")", &lax), &asked(), "allow", &["allowed"]);
    says(&with("allow if true\n\ndeny contains 1 if time.clock(\"x\")", &lax), &asked(), "allow", &["allowed"]);
    // What two rules contradict each other in is no builtin.
    says(&with("allow := true\n\nallow := false", &lax), &asked(), "deny", &["evaluation_failed"]);
}

#[test]
fn reasons_never_exceed_what_a_verdict_may_hold() {
    let codes: serde_json::Map<String, Value> = (0..56).map(|n| (format!("r{n}"), json!({ "text": "x" }))).collect();
    for count in [15, 16, 56] {
        let text = format!(
            "allow if true\n\ndeny contains sprintf(\"r%d\", [n]) if some n in numbers.range(0, {})",
            count - 1
        );
        let (verdict, reasons) = said(&with(&text, &json!({ "reasons": codes })), &asked());
        assert!(verdict == "deny" && reasons.len() == count.min(16), "{reasons:?}");
        assert!(reasons.iter().all(|(_, text)| !text.is_empty() && text.chars().count() <= 512));
    }
    let long = "allow if true\n\ndeny contains sprintf(\"%d: ééééééééééé\", [n]) if some n in numbers.range(0, 999)";
    let (_, reasons) = said(&module(long), &asked());
    assert_eq!((reasons.len(), reasons[0].1.chars().count()), (1, 512));
    let codes: serde_json::Map<String, Value> = (0..57).map(|n| (format!("r{n}"), json!({ "text": "x" }))).collect();
    refused(&with("allow if true", &json!({ "reasons": codes })), "at `reasons`: they are 57, and 56 are the most");
}

#[test]
fn what_the_agent_claims_is_not_there() {
    let mut ctx = asked();
    ctx.request.claimed_properties = r#"{"admin":true}"#.into();
    ctx.request.session = Some("stolen".into());
    for member in ["claimed_properties", "claimed", "admin", "session"] {
        says(&module(&format!("allow if input.{member}")), &ctx, "deny", &["not_allowed"]);
    }
    says(&module("allow if input.purpose == \"test\""), &ctx, "allow", &["allowed"]);
}

#[test]
fn all_that_the_readme_names_can_be_asked_for() {
    let mut ctx = asked();
    let user = ctx.user.as_mut().unwrap();
    (user.acr, user.claims) = (Some("mfa".into()), r#"{"level":3,"manager":null}"#.into());
    ctx.agent.labels = vec![("team".into(), "support".into())];
    ctx.request.arguments = r#"{"amount":12,"rate":0.5}"#.into();
    ctx.extensions = vec![("attorn.credential".into(), r#"{"kind":"proxy","target":"shop"}"#.into())];
    ctx.counters = vec![Counter { name: "spent".into(), used: 7, window_start_ms: 1, window_end_ms: None }];
    for condition in [
        "input.action == \"photo.view\"; input.resource == \"photo/beach.jpg\"",
        "input.resource_type == \"photo\"; input.resource_id == \"beach.jpg\"",
        "input.arguments == {\"amount\": 12, \"rate\": 0.5}; input.purpose == \"test\"; not input.session",
        "input.time_ms == 1767603600000; time.now_ns() == input.time_ms * 1000000",
        "input.agent == {\"id\": \"test-agent\", \"instance\": \"test-1\", \"owner\": \"tests\", \"labels\": {\"team\": \"support\"}}",
        "input.user.id == \"usr-alice\"; input.user.acr == \"mfa\"; input.user.claims == {\"level\": 3, \"manager\": null}",
        "input.user.groups == []; input.delegations == []; input.approvals == []; input.hops == 0",
        "input.user.authenticated_at_ms == input.time_ms - 3600000",
        "input.counters == {\"spent\": {\"used\": 7, \"window_start_ms\": 1}}",
        "input.caller.method == \"dpop\"; input.caller.key_thumbprint",
        "input.credential == {\"kind\": \"proxy\", \"target\": \"shop\"}; not input.enforcement_point",
    ] {
        says(&module(&format!("allow if {{ {condition} }}")), &ctx, "allow", &["allowed"]);
    }
    let members = json!({ "input": { "subject.name": "user.id", "subject.roles": "user.claims.roles", "n": "arguments.amount" } });
    says(
        &with("allow if input == {\"subject\": {\"name\": \"usr-alice\"}, \"n\": 12}", &members),
        &ctx,
        "allow",
        &["allowed"],
    );
}

#[test]
fn facts_lie_over_the_data_and_are_missed() {
    const TEMPLATE: &str = "user/{user.id}/risk";
    let fact = |required: bool| {
        json!({
            "data": { "users": { "risk": 1, "other": 2 } },
            "facts": { "risk": { "template": TEMPLATE, "at": "users.risk", "required": required } },
        })
    };
    let text = "allow if true\n\ndeny contains sprintf(\"%v %v\", [data.users, input.action]) if data.users.risk > 50";
    let mut ctx = asked();
    ctx.facts = vec![testing::fact(TEMPLATE, None)];
    says(&with(text, &fact(true)), &ctx, "deny", &["fact_missing: `user/{user.id}/risk`"]);
    says(&with(text, &fact(false)), &ctx, "allow", &["allowed"]);
    ctx.facts = vec![testing::fact(TEMPLATE, Some("51"))];
    says(&with(text, &fact(true)), &ctx, "deny", &["denied: {\"other\": 2, \"risk\": 51} photo.view"]);
    ctx.facts = vec![testing::fact(TEMPLATE, Some("{\"a\":[1]}"))];
    let text = "allow if { data.users == {\"other\": 2, \"risk\": {\"a\": [1]}}; input.user.id == \"usr-alice\"; not input.facts }";
    says(&with(text, &fact(true)), &ctx, "allow", &["allowed"]);
}

#[test]
fn modules_call_each_other() {
    let settings = json!({
        "modules": {
            "authz.rego": "package httpapi.authz\n\nimport data.lib.roles as lib\nimport data.lib.roles.has\n\nallow if { lib.has(\"a\"); has(\"b\"); data.lib.roles.has(\"c\") }",
            "lib.rego": ["package lib.roles", "", "has(x) if x in {\"a\", \"b\", \"c\"}", "", "default is(_) := false"],
        },
        "package": "httpapi.authz",
    });
    says(&settings, &asked(), "allow", &["allowed"]);
    for import in ["rego.v1", "future.keywords.if", "future.keywords"] {
        let text = format!("import {import}\nimport input.user as who\n\nallow if who.id == \"usr-alice\"");
        says(&module(&text), &asked(), "allow", &["allowed"]);
    }
    let mut wrong = settings.clone();
    wrong["modules"]["lib.rego"] = json!("package lib.roles\n\nhas_not(x) if x == 1");
    refused(&wrong, "authz.rego:6:12: `lib.has` is not there to be called");
    let mut v0 = settings;
    v0["rego_version"] = json!(0);
    v0["modules"] = json!({ "a.rego": "package httpapi.authz\nallow { input.action == \"photo.view\" }\ndeny[msg] { false; msg := 1 }" });
    says(&v0, &asked(), "allow", &["allowed"]);
}

#[test]
fn what_a_deep_value_makes_is_evaluated() {
    let mut ctx = asked();
    let nested = (0..31).fold(json!(1), |inner, _| json!([inner]));
    ctx.request.arguments = json!({ "deep": nested }).to_string();
    says(&module("allow if { walk(input.arguments, [path, 1]); count(path) == 32 }"), &ctx, "allow", &["allowed"]);
}

/// One call of each builtin that there is.
const CALLS: &str = include_str!("calls.txt");

#[test]
fn every_builtin_of_the_readme_is_there_and_does_what_it_is_to() {
    let readme = include_str!("../../README.md");
    let table = readme.split_once("## Builtins").unwrap().1.split_once("Those about time").unwrap().0;
    let rows = table.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| | "));
    let named: BTreeSet<&str> = rows.flat_map(|row| row.split('`').skip(1).step_by(2)).collect();
    let there: BTreeSet<&str> = builtins::all().into_iter().collect();
    assert_eq!(named, there);

    let calls: Vec<&str> = CALLS.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    for name in &there {
        let begins =
            |call: &&&str| call.split(|c: char| !c.is_alphanumeric() && !"._".contains(c)).any(|word| word == *name);
        assert!(calls.iter().any(|call| begins(&call)), "no call of `{name}`");
    }
    for call in calls {
        says(&module(&format!("allow if {{ {call} }}")), &asked(), "allow", &["allowed"]);
    }
}

#[test]
fn a_builtin_that_is_called_wrong_denies() {
    for name in builtins::all() {
        if matches!(name, "print" | "time.now_ns") {
            continue;
        }
        for arguments in ["", "null", "null, null", "null, null, null", "null, null, null, null"] {
            let settings = module(&format!("allow if true\n\ndeny contains 1 if {name}({arguments})"));
            // Whatever it makes of this: it is no panic. Types are asked about, and answer about everything.
            if let Ok(policy) = Tested::<Rego>::new(&settings.to_string()) {
                reasons(policy.evaluate(&asked()).unwrap());
            }
        }
    }
}

#[test]
fn every_reason_of_ours_is_declared() {
    let declared = policy(&module("allow if true"));
    let codes: Vec<&str> = declared.requirements().reasons.iter().map(|reason| reason.code.as_str()).collect();
    assert_eq!(codes, reasons::OURS.iter().map(attorn_policy::ReasonDeclaration::code).collect::<Vec<_>>());
}
