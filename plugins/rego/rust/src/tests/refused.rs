//! What is refused when the policy is activated.

use serde_json::{Value, json};

use super::{module, refused, with};
use crate::guard;

#[test]
fn what_a_policy_does_not_have_is_refused_by_name_and_place() {
    for (text, problem) in [
        (
            "deny if {\n\thttp.send({}).status_code != 200\n}",
            "authz.rego:4:5: `http.send` is not there to be called: a policy has no network",
        ),
        (
            "allow if count(net.lookup_ip_addr(\"x\")) > 0",
            "authz.rego:3:16: `net.lookup_ip_addr` is not there to be called: a policy has no network",
        ),
        (
            "allow if rand.intn(\"x\", 2) == 1",
            "authz.rego:3:10: `rand.intn` is not there to be called: a decision has to come out the same",
        ),
        (
            "allow if uuid.rfc4122(\"x\") != \"\"",
            ": `uuid.rfc4122` is not there to be called: a decision has to come out the same",
        ),
        (
            "allow if opa.runtime().env.ALLOW == \"1\"",
            ": `opa.runtime` is not there to be called: there is no OPA around the policy",
        ),
        (
            "allow if io.jwt.decode(input.token)[1].admin",
            ": `io.jwt.decode` is not there to be called: the host verifies tokens",
        ),
        ("allow if crypto.sha256(\"x\") == \"\"", ": `crypto.sha256` is not there to be called: a policy has no keys"),
        ("allow if time.format(1) == \"\"", ": `time.format` is not there to be called: of the builtins about time"),
        (
            "allow if is_owner(1)\n\nis_ownr(x) if x == data.owner",
            "authz.rego:3:10: `is_owner` is not there to be called: the README",
        ),
        // Wherever a call may stand.
        ("allow if { every x in [1] { rand.intn(\"x\", x) == 1 } }", ": `rand.intn` is not"),
        ("allow if { x := {k: v | k := \"a\"; v := [rand.intn(\"x\", 2)]}; x.a }", ": `rand.intn` is not"),
        ("allow if input.x with input.x as rand.intn(\"x\", 2)", ": `rand.intn` is not"),
        ("allow if { some x in [rand.intn(\"x\", 2)]; x }", ": `rand.intn` is not"),
        ("allow := true if true else := rand.intn(\"x\", 2)", ": `rand.intn` is not"),
        ("default allow := rand.intn(\"x\", 2)", ": `rand.intn` is not"),
        ("allow if not input.a[-rand.intn(\"x\", 2)]", ": `rand.intn` is not"),
    ] {
        refused(&module(text), problem);
    }
}

#[test]
fn what_is_wrong_with_modules_is_told_with_its_place() {
    for (text, problem) in [
        ("allow if {\n\tinput.action ==\n}", "at `modules`: authz.rego:5:1: "),
        ("allow if nothing == 1", "authz.rego:3:10: use of undefined variable `nothing` is unsafe"),
        ("allow if x := [", "at `modules`: authz.rego:3:"),
        (
            "allow if even(4)\n\neven(n) := odd(n - 1)\n\nodd(n) := even(n - 1)",
            "authz.rego:5:1: the function `data.attorn.even` calls itself",
        ),
        (
            "allow if f(1)\n\nf(x) := g(x)\n\ng(x) := data.attorn.g(x)",
            "authz.rego:7:1: the function `data.attorn.g` calls itself",
        ),
        ("allow if true\n\0deny if true", "at `modules`: authz.rego:4: it holds a character U+0000"),
    ] {
        refused(&module(text), problem);
    }
    let large = format!("allow if true\n{}", "# x\n".repeat(guard::BYTES_MAX / 4));
    refused(&module(&large), "bytes long, and 524288 are the most");
    let many: serde_json::Map<String, Value> = (0..257).map(|n| (format!("{n}"), json!("package attorn"))).collect();
    refused(&json!({ "modules": many }), "at `modules`: they are 257, and 256 are the most");
    refused(&json!({ "modules": { "a": [7] } }), "at `modules.a`: it is neither a text nor a list of lines");
    let ours = json!({ "modules": { "a.rego": "package __attorn.x\nallow if true" }, "package": "__attorn.x" });
    refused(&ours, "at `modules`: a.rego:1:1: no package begins with `__attorn`");
    refused(&json!({ "modules": {} }), "has no rule `allow`, `deny` or `decision`, and there are no rules");
}

#[test]
fn settings_that_could_mislead_are_refused() {
    const ALLOW: &str = "allow if true";
    for (text, others, problem) in [
        (
            ALLOW,
            json!({ "package": "other" }),
            "the package `other` has no rule `allow`, `deny` or `decision`, and there are `data.attorn.allow`",
        ),
        (ALLOW, json!({ "package": "a-b" }), "at `package`: `a-b` is no name in Rego"),
        (
            ALLOW,
            json!({ "rules": { "allow": "data.attorn.alow" } }),
            "at `rules.allow`: there is no rule `data.attorn.alow`; there are `data.attorn.allow`",
        ),
        (ALLOW, json!({ "rules": { "allow": "data.attorn.allow with input as {}" } }), "refers to no rule"),
        (
            ALLOW,
            json!({ "rules": { "allow": "data.attorn.allow", "decision": "data.attorn.allow" } }),
            "a decision is the whole answer",
        ),
        ("deny if true", json!({}), "at `modules`: no rule could ever allow anything"),
        ("allow(x) if x", json!({}), "has no rule `allow`"),
        (
            ALLOW,
            json!({ "data": { "attorn": { "allow": true } } }),
            "at `data`: it has a value where the rule `data.attorn.allow` is",
        ),
        (ALLOW, json!({ "data": { "attorn": 7 } }), "at `data`: it has a value where the rule `data.attorn.allow` is"),
        (
            ALLOW,
            json!({ "facts": { "a": { "template": "user/{user.id}/a", "at": "attorn.allow" } } }),
            "at `facts.a`: there is a rule at `data.attorn.allow`",
        ),
        (
            ALLOW,
            json!({ "facts": { "a": { "template": "user/{user.id}/a", "at": "attorn" } } }),
            "at `facts.a`: there is a rule at `data.attorn`",
        ),
        (
            ALLOW,
            json!({ "facts": { "a": { "template": "user/{user.id}/a", "at": "x" }, "b": { "template": "b", "at": "x.y" } } }),
            "at `facts.b`: `data.x` is another fact",
        ),
        (ALLOW, json!({ "facts": { "a b": "user/{user.id}/a" } }), "at `facts.a b`: `a b` is no name in Rego"),
        (
            ALLOW,
            json!({ "input": { "admin": "claimed_properties.admin" } }),
            "at `input.admin`: `claimed_properties` is no part of a request; there are `action`, `agent`, ",
        ),
        (ALLOW, json!({ "input": { "a": "user", "a.b": "agent" } }), "at `input.a.b`: `a` is there already"),
        (ALLOW, json!({ "input": { "a..b": "user" } }), "has a part without a name"),
        (
            ALLOW,
            json!({ "reasons": { "denied": { "text": "x" } } }),
            "at `reasons.denied`: the code `denied` is one that every Rego policy has",
        ),
        (ALLOW, json!({ "reasons": { "Own": { "text": "x" } } }), "at `reasons.Own`: `Own` is no code"),
        (ALLOW, json!({ "reasons": { "own": { "text": "" } } }), "at `reasons.own`: its `text` has to have"),
        (ALLOW, json!({ "rego_version": 2 }), "at `rego_version`: 2 is neither"),
        (ALLOW, json!({ "grant_seconds_max": 61 }), "at `grant_seconds_max`: 61 is not between 1 and 60"),
    ] {
        refused(&with(text, &others), problem);
    }
}
