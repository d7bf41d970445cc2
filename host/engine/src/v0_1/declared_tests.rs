use super::*;

fn nothing() -> raw::Requirements {
    raw::Requirements { facts: Vec::new(), reasons: Vec::new(), counters: Vec::new() }
}

fn reasons(codes: &[&str]) -> raw::Requirements {
    let reason = |code: &&str| raw::ReasonDeclaration { code: (*code).into(), text: "t".into(), public: true };
    raw::Requirements { reasons: codes.iter().map(reason).collect(), ..nothing() }
}

fn facts(templates: &[&str]) -> raw::Requirements {
    raw::Requirements { facts: templates.iter().map(|template| (*template).into()).collect(), ..nothing() }
}

fn counters(names: &[&str]) -> raw::Requirements {
    let counter = |name: &&str| raw::CounterDeclaration {
        name: (*name).into(),
        unit: "requests".into(),
        scope: raw::Scope::UserAgent,
        window: raw::Window::Day,
    };
    raw::Requirements { counters: names.iter().map(counter).collect(), ..nothing() }
}

#[track_caller]
fn refused(raw: raw::Requirements, message: &str) {
    assert_eq!(requirements(raw).unwrap_err(), message);
}

#[test]
fn reasons_are_bounded_parsed_and_unique() {
    let many: Vec<_> = (0..65).map(|n| format!("r{n}")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    refused(reasons(&many), "65 reasons are declared, and 64 is the most");
    refused(reasons(&["ok", "Bad"]), "`Bad` is no reason code: it may not begin with `B`");
    refused(reasons(&["b", "a", "b"]), "the reason `b` is declared twice");
    for (text, count) in [(String::new(), 0), ("ä".repeat(257), 257)] {
        let mut raw = reasons(&["a"]);
        raw.reasons[0].text = text;
        refused(raw, &format!("the text of the reason `a` has {count} characters, and 1 to 256 are right"));
    }
    assert_eq!(requirements(reasons(&many[..64])).unwrap().reasons.len(), 64);
}

#[test]
fn reasons_are_found_by_code() {
    let found = requirements(reasons(&["c", "a", "b"])).unwrap();
    for code in ["a", "b", "c"] {
        assert_eq!(found.reason(code).unwrap().code.as_str(), code);
    }
    assert_eq!(found.reason("d"), None);
}

#[test]
fn templates_are_bounded_well_formed_and_unique() {
    let many: Vec<_> = (0..33).map(|n| format!("f{n}")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    refused(facts(&many), "33 facts are declared, and 32 is the most");
    refused(facts(&["a", "a"]), "the fact `a` is declared twice");
    for (bad, problem) in [
        ("", "it has 0 bytes, and 1 to 256 are right"),
        ("a{user.id", "the segment `a{user.id` is neither text nor one field"),
        ("a/{user.id}{agent.id}", "the segment `{user.id}{agent.id}` is neither text nor one field"),
        ("resource/{request.resource}/owner", "there is no field `request.resource`"),
    ] {
        let said = requirements(facts(&[bad])).unwrap_err();
        let begins = format!("`{bad}` is no template of a fact: {problem}; the fields are {{user.id}}, ");
        assert!(said.starts_with(&begins), "{said}");
    }
    let good = ["user/{user.id}/risk", "resource/{request.resource_type}/{request.resource_id}/owner", "global"];
    let found = requirements(facts(&good)).unwrap().facts;
    assert_eq!(found.iter().map(FactTemplate::as_str).collect::<Vec<_>>(), good);
}

#[test]
fn counters_are_bounded_parsed_and_unique() {
    let many: Vec<_> = (0..17).map(|n| format!("c{n}")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    refused(counters(&many), "17 counters are declared, and 16 is the most");
    refused(counters(&["a", "a"]), "the counter `a` is declared twice");
    refused(counters(&["A"]), "the name of a counter: `A` is no reason code: it may not begin with `A`");
    let found = requirements(counters(&["a"])).unwrap();
    assert_eq!((found.counters[0].scope, found.counters[0].window), (CounterScope::UserAgent, CounterWindow::Day));
}

#[test]
fn a_description_is_bounded_and_its_schema_is_json() {
    let describe = |name: &str, version: &str, schema: &str| {
        description(raw::Description { name: name.into(), version: version.into(), settings_schema: schema.into() })
            .map(drop)
    };
    let refused = |result: Result<(), String>, message: &str| assert_eq!(result.unwrap_err(), message);
    refused(describe("", "1", "{}"), "the name has 0 characters, and 1 to 64 are right");
    refused(describe(&"n".repeat(65), "1", "{}"), "the name has 65 characters, and 1 to 64 are right");
    refused(describe("n", "", "{}"), "the version has 0 characters, and 1 to 64 are right");
    refused(describe("n", "1", "[]"), "the settings' schema is neither a JSON object nor a boolean");
    refused(describe("n", "1", "{"), "the settings' schema is no JSON: EOF while parsing an object at line 1 column 1");
    refused(describe("n", "1", &" ".repeat(70_000)), "the settings' schema has 70000 bytes, and 65536 is the most");
    describe("n", "1", "true").unwrap();
    describe("n", "1", r#"{"type":"object"}"#).unwrap();
}
