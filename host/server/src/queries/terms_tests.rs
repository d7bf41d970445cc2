use serde_json::json;

use super::*;

/// An entry has these terms, and no others.
#[track_caller]
fn check(body: &Value, expect: &[(Field, &str)]) {
    let mut terms: Vec<Term> = expect.iter().map(|(field, text)| field.term(text)).collect();
    terms.sort_unstable();
    let found = of(body);
    let missing: Vec<_> = expect.iter().filter(|(field, text)| !found.terms.contains(&field.term(text))).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert_eq!(found.terms.len(), terms.len(), "it has more than these");
    assert_eq!((found.terms, found.time.0), (terms, body["time_ms"].as_u64().unwrap_or_default()));
}

#[test]
fn a_decision_is_found_by_all_that_it_says() {
    use Field::*;
    let body = json!({
        "type": "decision", "time_ms": 7, "decision_id": "dec_1", "decision": "deny",
        "reasons": [{ "code": "not_listed", "policy": "other" }, { "code": "policy_failed", "policy": "p" }],
        "agent": { "id": "helper", "owner": "team", "instance": "pod-1", "key_thumbprint": "thumb" },
        "on_behalf": { "user": "psn_1", "chain": [
            { "delegation": "dlg_1", "agent": "bot" }, { "delegation": "dlg_2", "agent": "helper" },
        ] },
        "delegation": "dlg_2", "action": "a.b.c", "resource": "file/team/x", "purpose": "help", "session": "psn_2",
        "policies": [{ "policy": "p", "version": 3, "digest": "d", "outcome": "failed:trap" }],
        "active_set": { "revision": 1, "digest": "d" }, "grant": null, "record_digest": "d",
    });
    check(
        &body,
        &[
            (Type, "decision"),
            (Decision, "deny"),
            (DecisionId, "dec_1"),
            (Reason, "not_listed"),
            (Reason, "policy_failed"),
            (Asker, "helper"),
            (Agent, "helper"),
            (Agent, "bot"),
            (Owner, "team"),
            (Key, "thumb"),
            (User, "psn_1"),
            (Delegation, "dlg_1"),
            (Delegation, "dlg_2"),
            (Action, "a.b.c"),
            (Action, "a.*"),
            (Action, "a.b.*"),
            (Resource, "file/team/x"),
            (Resource, "file/*"),
            (Resource, "file/team/*"),
            (Purpose, "help"),
            (Session, "psn_2"),
            (Policy, "p"),
            (PolicyVersion, "p=3"),
        ],
    );
}

#[test]
fn other_entries_are_found_by_what_they_have() {
    use Field::*;
    let used = json!({ "type": "grant_used", "time_ms": 1, "grant": "grt_1", "resource_server": "faq", "use_number": 1,
        "decision_id": "dec_1", "agent": "bot" });
    check(&used, &[(Type, "grant_used"), (Grant, "grt_1"), (DecisionId, "dec_1"), (Agent, "bot")]);
    let act = json!({ "type": "agent_registered", "time_ms": 1, "operator": "alice", "about": { "id": "bot",
        "owner": "team", "labels": { "agent": "other", "user": "x" }, "keys": [{ "thumbprint": "t" }],
        "ceiling": { "grant": { "permissions": [{ "action": "a.b", "resource": "c/*" }] } } } });
    let expect = [(Type, "agent_registered"), (Operator, "alice"), (Agent, "bot"), (Owner, "team"), (Key, "t")];
    check(&act, &expect);
    let ended = json!({ "type": "delegation_revoked", "time_ms": 1, "delegation": "dlg_1", "by": { "agent": "bot" } });
    check(&ended, &[(Type, "delegation_revoked"), (Delegation, "dlg_1"), (Agent, "bot")]);
    let tried = json!({ "type": "simulation", "operator": "bob", "about": { "agent": "bot", "decision": "deny",
        "action": "a", "reasons": [{ "code": "x" }] } });
    // What was only tried is no decision.
    check(&tried, &[(Type, "simulation"), (Operator, "bob"), (Agent, "bot"), (Action, "a"), (Reason, "x")]);
    let set = json!({ "type": "policy_replaced", "about": { "policy": "p", "version": 4, "replaced": 3 } });
    check(&set, &[(Type, "policy_replaced"), (Policy, "p"), (PolicyVersion, "p=4")]);
}

#[test]
fn facts_are_found_by_the_users_whom_they_are_about() {
    use Field::*;
    let of_one = json!({ "type": "facts_set", "operator": "alice", "about": { "facts": [
        { "name": "user/psn_1/risk", "value_digest": "d" }, { "name": "resource/article/1/owner", "value_digest": "d" },
    ] } });
    check(&of_one, &[(Type, "facts_set"), (Operator, "alice"), (User, "psn_1")]);
    let of_two = json!({ "type": "facts_set", "resource_server": "billing", "facts": [
        { "name": "resource/invoice/psn_1/of/psn_2", "value_digest": "d" }, "odd", { "name": 7 }, 7,
    ] });
    check(&of_two, &[(Type, "facts_set"), (User, "psn_1"), (User, "psn_2")]);
    let forgotten = json!({ "type": "facts_deleted", "operator": "alice", "about": { "names": ["user/psn_1/risk"] } });
    check(&forgotten, &[(Type, "facts_deleted"), (Operator, "alice"), (User, "psn_1")]);
    // Who writes other entries chooses other names.
    check(&json!({ "type": "of_tomorrow", "names": ["user/psn_1/risk"] }), &[(Type, "of_tomorrow")]);
}

#[test]
fn what_is_unknown_or_odd_is_found_by_what_it_has() {
    use Field::*;
    check(
        &json!({ "type": "of_tomorrow", "agent": "bot", "new": { "agent": "x" } }),
        &[(Type, "of_tomorrow"), (Agent, "bot")],
    );
    check(
        &json!({ "type": 7, "agent": 7, "policy": ["p"], "reasons": { "code": "x" }, "resource": "odd" }),
        &[(Resource, "odd")],
    );
    check(&Value::Null, &[]);
    let deep = (0..50).fold(json!({ "agent": "deep" }), |inner, _| json!({ "about": inner }));
    check(&deep, &[]);
    assert_eq!(of_bytes(b"no entry"), of(&Value::Null));
    assert_eq!(
        of_bytes(b"envelope\n{\"agent\":\"bot\",\"time_ms\":3}\n"),
        of(&json!({ "agent": "bot", "time_ms": 3 }))
    );
}
