//! What the cases beside this crate cannot say; those are run in the real engine.

use attorn_policy::testing::{self, Tested};
use attorn_policy::{Context, Fact, Group, Reason, Verdict};
use serde_json::{Value, json};

use crate::{Cedar, reasons};

const TEMPLATE: &str = "user/{user.id}/entity";

fn policy(settings: &Value) -> Tested<Cedar> {
    Tested::new(&settings.to_string()).unwrap()
}

/// Policies alone, about users.
fn of_users(policies: &str) -> Value {
    json!({ "principal": "user", "policies": policies })
}

fn asked() -> Context {
    let mut ctx = testing::context("photo.view", "photo/beach.jpg");
    ctx.user = Some(testing::user("usr-alice"));
    ctx
}

fn reasons(verdict: Verdict) -> (bool, Vec<Reason>) {
    match verdict {
        Verdict::Allow(allow) => (true, allow.reasons),
        Verdict::Deny(reasons) => (false, reasons),
        other => panic!("never said: {other:?}"),
    }
}

#[track_caller]
fn said(settings: &Value, ctx: &Context) -> (bool, Vec<String>) {
    let (allowed, reasons) = reasons(policy(settings).evaluate(ctx).unwrap());
    (allowed, reasons.into_iter().map(|reason| reason.code).collect())
}

#[track_caller]
fn denied(settings: &Value, ctx: &Context, codes: &[&str]) {
    assert_eq!(said(settings, ctx), (false, codes.iter().map(ToString::to_string).collect()));
}

#[track_caller]
fn allowed(settings: &Value, ctx: &Context) {
    let (allowed, codes) = said(settings, ctx);
    assert!(allowed, "{codes:?}");
}

#[track_caller]
fn refused(settings: &Value, problem: &str) {
    let error = Tested::<Cedar>::new(&settings.to_string()).unwrap_err().to_string();
    assert!(error.contains(problem), "{error}");
}

#[test]
fn a_forbid_that_fails_denies_whatever_is_permitted() {
    let permit = "permit(principal, action, resource);";
    for condition in ["context.nothing", "principal.nothing", "1 + \"a\" == 2", "9223372036854775807 + 1 > 0"] {
        let settings =
            of_users(&format!("{permit} @id(\"odd\") forbid(principal, action, resource) when {{ {condition} }};"));
        denied(&settings, &asked(), &["forbid_failed"]);
    }
    let settings =
        of_users(&format!("{permit} @id(\"odd\") forbid(principal, action, resource) when {{ context.nothing }};"));
    let (_, reasons) = reasons(policy(&settings).evaluate(&asked()).unwrap());
    assert!(reasons[0].text.contains("policy `odd`"), "{}", reasons[0].text);
    assert!(reasons[0].text.contains("nothing"), "{}", reasons[0].text);

    // Also where nothing else is said, and the setting is to be silent then.
    let mut alone = of_users("forbid(principal, action, resource) when { context.nothing };");
    alone["otherwise"] = "abstain".into();
    denied(&alone, &asked(), &["forbid_failed"]);
    // It is named beside one that forbids.
    denied(
        &of_users("forbid(principal, action, resource) when { context.nothing }; forbid(principal, action, resource);"),
        &asked(),
        &["forbidden", "forbid_failed"],
    );
}

#[test]
fn a_permit_that_fails_permits_nothing_and_is_named() {
    let odd = "@id(\"odd\") permit(principal, action, resource) when { context.nothing };";
    denied(&of_users(odd), &asked(), &["no_permit", "permit_failed"]);
    let (allowed, reasons) =
        reasons(policy(&of_users(&format!("{odd} permit(principal, action, resource);"))).evaluate(&asked()).unwrap());
    assert!(allowed);
    assert_eq!(reasons.iter().map(|reason| reason.code.as_str()).collect::<Vec<_>>(), ["permitted", "permit_failed"]);
    assert!(reasons[1].text.contains("policy `odd`"), "{}", reasons[1].text);
    let mut silent = of_users(odd);
    silent["otherwise"] = "abstain".into();
    assert_eq!(policy(&silent).evaluate(&asked()).unwrap(), Verdict::Abstain);
}

#[test]
fn the_determining_policies_are_named_where_the_agent_reads_nothing() {
    let settings = of_users(
        "@id(\"a\") permit(principal, action, resource);
         @id(\"b\") @reason(\"shared\") permit(principal, action, resource);
         @id(\"c\") @reason(\"shared\") permit(principal, action, resource);
         @id(\"d\") @reason(\"Said aloud\") @text(\"anybody may\") @public permit(principal, action, resource);
         @id(\"e\") @reason(\"other\") permit(principal, action, resource) when { false };",
    );
    let (allowed, reasons) = reasons(policy(&settings).evaluate(&asked()).unwrap());
    let said: Vec<(&str, &str)> = reasons.iter().map(|reason| (reason.code.as_str(), reason.text.as_str())).collect();
    assert!(allowed);
    assert_eq!(said, [("said_aloud", "anybody may"), ("shared", "`b`, `c`"), ("permitted", "`a`")]);
    let declared = policy(&settings);
    let public = |code: &str| declared.requirements().reasons.iter().find(|reason| reason.code == code).unwrap().public;
    assert!(public("said_aloud") && !public("shared") && !public("permitted"));
}

#[test]
fn reasons_never_exceed_what_a_verdict_may_hold() {
    let permit = |n: usize| format!("@id(\"{n:0>90}\") @reason(\"r{n}\") permit(principal, action, resource);");
    let policies = |count: usize| (0..count).map(permit).collect::<Vec<_>>().concat();
    for count in [14, 15, 53] {
        let settings =
            of_users(&format!("{} permit(principal, action, resource) when {{ context.nothing }};", policies(count)));
        let (_, reasons) = reasons(policy(&settings).evaluate(&asked()).unwrap());
        assert_eq!(reasons.len(), if count == 14 { 15 } else { 16 });
        assert!(reasons.iter().all(|reason| reason.text.chars().count() <= 512));
    }
}

#[test]
fn what_the_agent_claims_is_not_there() {
    let mut ctx = asked();
    ctx.request.claimed_properties = r#"{"admin":true}"#.into();
    ctx.request.session = Some("stolen".into());
    let seen = |attribute: &str| {
        said(&of_users(&format!("permit(principal, action, resource) when {{ context has {attribute} }};")), &ctx).0
    };
    for attribute in ["claimed_properties", "claimed", "admin", "session"] {
        assert!(!seen(attribute), "{attribute}");
    }
    assert!(seen("purpose"));
    for path in ["claimed_properties", "request", ""] {
        let mut settings = of_users("permit(principal, action, resource);");
        settings["context"] = json!({ "a": path });
        refused(&settings, "is no part of a context; there are `agent`, `approvals`, ");
    }
}

#[test]
fn a_text_that_looks_like_cedar_is_a_text() {
    let mut ctx = asked();
    ctx.request.arguments =
        json!({ "to": "\" || true || \"", "who": { "__entity": { "type": "User", "id": "usr-alice" } } }).to_string();
    let settings = of_users(
        "permit(principal, action, resource) when { context.arguments.to == \"x\" };
         permit(principal, action, resource) when { context.arguments.who == principal };",
    );
    denied(&settings, &ctx, &["no_permit"]);
    ctx.user = Some(testing::user("x\"; permit(principal, action, resource); //"));
    denied(&of_users("permit(principal == User::\"x\", action, resource);"), &ctx, &["no_permit"]);
}

#[test]
fn what_cedar_cannot_say_is_denied_where_it_is_asked_about() {
    let mut ctx = asked();
    let mut settings = of_users("permit(principal, action, resource);");
    for (arguments, path) in [
        (json!({ "a": [1, null] }), "`arguments.a.1` is null"),
        (json!({ "a": 1e20 }), "`arguments.a` is beyond"),
        (json!({ "a": { "b": 0.123_45 } }), "`arguments.a.b` has more than 4"),
        (json!({ "a": vec![0; 5_000] }), "values, and 4096 are the most"),
    ] {
        ctx.request.arguments = arguments.to_string();
        let (allowed, reasons) = reasons(policy(&settings).evaluate(&ctx).unwrap());
        assert!(!allowed && reasons.len() == 1 && reasons[0].code == "not_representable");
        assert!(path.contains("values, and") || reasons[0].text.starts_with(path), "{}", reasons[0].text);
    }
    // Of what others wrote, the agent learns nothing.
    ctx.request.arguments = "{}".into();
    ctx.user.as_mut().unwrap().claims = r#"{"manager":null}"#.into();
    let (_, reasons) = reasons(policy(&settings).evaluate(&ctx).unwrap());
    assert_eq!(reasons[0], reasons::NOT_REPRESENTABLE.into());
    // What is not asked about is not looked at.
    settings["context"] = json!({ "now": "time" });
    allowed(&settings, &ctx);
}

#[test]
fn a_fact_brings_what_it_may_and_nothing_else() {
    let mut settings = of_users("permit(principal in Group::\"admins\", action, resource);");
    settings["entity_facts"] = json!([{ "template": TEMPLATE, "types": ["User"] }]);
    settings["entities"] = json!([{ "uid": { "type": "User", "id": "usr-bob" }, "attrs": {}, "parents": [] }]);
    let policy = policy(&settings);
    let with = |value: Option<Value>| {
        let value = value.map(|value| value.to_string());
        let facts = vec![Fact { template: TEMPLATE.into(), name: None, value }];
        policy.evaluate(&Context { facts, ..asked() })
    };
    let user = |id: &str, group: &str| json!({ "uid": { "type": "User", "id": id }, "attrs": {}, "parents": [{ "type": "Group", "id": group }] });

    // Nothing is brought by no fact, and by a list of nothing.
    for nothing in [None, Some(json!([]))] {
        assert_eq!(reasons(with(nothing).unwrap()).1[0].code, "fact_missing");
    }
    for (value, problem) in [
        (
            json!({ "uid": { "type": "Group", "id": "admins" }, "attrs": {}, "parents": [] }),
            "it brings Group::\"admins\", and `types` does not list that type",
        ),
        (
            json!({ "uid": { "type": "Action", "id": "photo.view" }, "attrs": {}, "parents": [] }),
            "`types` does not list that type",
        ),
        (json!(["usr-alice"]), "fact `user/{user.id}/entity`: "),
        (json!(7), "fact `user/{user.id}/entity`: "),
        (json!([user("usr-alice", "admins"), user("usr-alice", "others")]), "entities: duplicate"),
        (json!([user("usr-bob", "admins")]), "entities: duplicate"),
        (
            json!({ "uid": { "type": "User", "id": "usr-alice" }, "attrs": {}, "parents": [{ "type": "User", "id": "usr-alice" }] }),
            "entities: ",
        ),
    ] {
        let error = with(Some(value)).unwrap_err().to_string();
        assert!(error.contains(problem), "{error}");
    }
    assert!(reasons(with(Some(user("usr-alice", "admins"))).unwrap()).0);
    assert!(!reasons(with(Some(json!([user("usr-alice", "others"), user("usr-carol", "admins")]))).unwrap()).0);
    for types in [json!([]), json!(["Action"]), json!(["Shop::Action"]), json!(["User::\"a\""])] {
        settings["entity_facts"][0]["types"] = types;
        refused(&settings, "at `entity_facts[0].types`: ");
    }
}

#[test]
fn groups_are_those_of_one_issuer_and_fresh() {
    let group = |issuer: &str, name: &str, age_s: u64| Group {
        issuer: issuer.into(),
        name: name.into(),
        asserted_at_ms: asked().time - age_s * 1_000,
    };
    let mut settings = of_users("permit(principal in Group::\"admins\", action, resource);");
    let with = |settings: &Value, groups: Vec<Group>| {
        let mut ctx = asked();
        ctx.user.as_mut().unwrap().groups = groups;
        said(settings, &ctx).0
    };
    let admins = || group("https://issuer.example", "admins", 900);
    assert!(!with(&settings, vec![admins()]), "no groups without the setting");
    settings["groups"] = json!({ "issuer": "https://issuer.example", "seconds_max": 900 });
    assert!(with(&settings, vec![admins()]));
    for other in [
        group("https://other.example", "admins", 0),
        group("https://issuer.example", "admins", 901),
        group("https://issuer.example", "Admins", 0),
    ] {
        assert!(!with(&settings, vec![other]));
    }
    // The user may stand among the entities, with attributes and parents that stay.
    settings["policies"] = "permit(principal in Group::\"admins\", action, resource)
        when { principal in Group::\"staff\" && principal.rank == 7 && principal.getTag(\"t\") == ip(\"10.0.0.1\") };"
        .into();
    settings["entities"] = json!([{
        "uid": { "type": "User", "id": "usr-alice" },
        "attrs": { "rank": 7 },
        "tags": { "t": { "__extn": { "fn": "ip", "arg": "10.0.0.1" } } },
        "parents": [{ "type": "Group", "id": "staff" }],
    }]);
    assert!(with(&settings, vec![admins()]));
    assert!(!with(&settings, vec![]));
    let entity = settings["entities"][0].clone();
    settings["entities"] = json!([]);
    settings["entity_facts"] = json!([{ "template": TEMPLATE, "types": ["User"] }]);
    let mut ctx = asked();
    ctx.user.as_mut().unwrap().groups = vec![admins()];
    ctx.facts = vec![testing::fact(TEMPLATE, Some(&entity.to_string()))];
    allowed(&settings, &ctx);
}

#[test]
fn all_that_the_readme_names_can_be_asked_for() {
    let mut ctx = asked();
    let user = ctx.user.as_mut().unwrap();
    (user.acr, user.claims) = (Some("mfa".into()), r#"{"level":3}"#.into());
    ctx.agent.labels = vec![("team".into(), "support".into())];
    ctx.request.arguments = r#"{"amount":12,"rate":0.5}"#.into();
    ctx.extensions = vec![("attorn.credential".into(), r#"{"kind":"proxy","target":"shop"}"#.into())];
    ctx.facts = vec![testing::fact("user/{user.id}/risk", Some("3"))];
    let mut settings = of_users("");
    settings["facts"] = json!({ "risk": "user/{user.id}/risk" });
    for condition in [
        "context.agent.entity == Agent::\"test-agent\"",
        "context.agent.id == \"test-agent\" && context.agent.instance == \"test-1\" && context.agent.owner == \"tests\"",
        "context.agent.labels.team == \"support\"",
        "context.user.entity == principal && context.user.id == \"usr-alice\"",
        "context.user.acr == \"mfa\" && context.user.claims.level == 3",
        "context.user.authenticated_at_ms == context.time_ms - 3600000",
        "context.user.groups.isEmpty() && context.delegations.isEmpty() && context.approvals.isEmpty()",
        "context.hops == 0 && context.purpose == \"test\" && context.time_ms == 1767603600000",
        "context.time == datetime(\"2026-01-05T09:00:00Z\")",
        "context.time.toTime() < duration(\"10h\")",
        "context.arguments.amount == 12 && context.arguments.rate == decimal(\"0.5\")",
        "context.caller.method == \"dpop\"",
        "context.credential.kind == \"proxy\" && context.credential.target == \"shop\"",
        "context.facts.risk == 3",
        "!(context has enforcement_point) && !(context has session)",
        "action == Action::\"photo.view\" && resource == Photo::\"beach.jpg\"",
    ] {
        settings["policies"] = format!("permit(principal, action, resource) when {{ {condition} }};").into();
        let (allowed, codes) = said(&settings, &ctx);
        assert!(allowed, "{condition}: {codes:?}");
    }
}

#[test]
fn templates_are_linked() {
    let mut settings = of_users("@id(\"own\") permit(principal == ?principal, action, resource);");
    refused(&settings, "at `policies`: there is no policy");
    let link = json!({ "templateId": "own", "newId": "alice", "values": { "?principal": { "type": "User", "id": "usr-alice" } } });
    settings["template_links"] = json!([link]);
    allowed(&settings, &asked());
    let mut other = asked();
    other.user = Some(testing::user("usr-bob"));
    denied(&settings, &other, &["no_permit"]);
    for (field, value) in [
        ("templateId", json!("none")),
        ("values", json!({})),
        ("values", json!({ "?action": { "type": "User", "id": "a" } })),
        ("values", json!({ "?principal": "User::\"a\"" })),
    ] {
        let mut wrong = settings.clone();
        wrong["template_links"][0][field] = value;
        refused(&wrong, "at `template_links[0]`: ");
    }
}

#[test]
fn a_schema_is_kept_to() {
    let schema = "entity User; entity Photo; action \"photo.view\" appliesTo { principal: User, resource: Photo, context: { amount?: Long } };";
    let mut settings = of_users(
        "permit(principal, action == Action::\"photo.view\", resource) when { context has amount && context.amount < 5 };",
    );
    settings["schema"] = schema.into();
    settings["context"] = json!({ "amount": "arguments.amount" });
    let mut ctx = asked();
    ctx.request.arguments = r#"{"amount":4}"#.into();
    allowed(&settings, &ctx);
    ctx.request.arguments = r#"{"amount":"4"}"#.into();
    denied(&settings, &ctx, &["outside_schema"]);
    ctx.request.action = "photo.delete".into();
    denied(&settings, &ctx, &["outside_schema"]);

    settings["policies"] = "permit(principal, action, resource) when { context.amount < 5 };".into();
    refused(&settings, "at `policies`: line 1, column ");
    settings["policies"] = "permit(principal, action, resource);".into();
    settings["entities"] = json!([{ "uid": { "type": "Robot", "id": "r" }, "attrs": {}, "parents": [] }]);
    refused(&settings, "at `entities`: ");
    settings["entities"] = json!([]);
    settings["schema"] = json!(["entity User;", "entity Photo in Album;"]);
    refused(&settings, "at `schema`: ");
    settings["schema"] = json!(["entity User;", "entity in;"]);
    refused(&settings, "at `schema`: line 2, column 8: ");
}
