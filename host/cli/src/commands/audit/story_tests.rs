use attorn_api::audit::EntryReference;
use serde_json::json;
use serde_json::value::RawValue;

use super::*;

fn entry(index: u64, body: &Value) -> Entry {
    let reference = EntryReference { log_id: "log".into(), epoch: 1, index };
    Entry { reference, body: RawValue::from_string(body.to_string()).unwrap(), bytes: String::new() }
}

fn decision() -> Value {
    json!({
        "type": "decision", "time_ms": 0, "decision_id": "dec_1", "decision": "allow",
        "reasons": [{ "code": "listed", "policy": "read-only" }],
        "agent": { "id": "bot", "owner": "team", "instance": "pod-1", "key_thumbprint": "thumb" },
        "on_behalf": null, "delegation": null, "action": "faq.read", "resource": "article/42", "purpose": "answer",
        "session": null, "policies": [{ "policy": "read-only", "version": 3, "digest": "d", "outcome": "allow" }],
        "active_set": { "revision": 7, "digest": "e" },
        "grant": { "id": "grt_1", "resource_server": "faq", "expires_at_ms": 60_000, "uses_max": 1 },
    })
}

#[track_caller]
fn check(told: &Told, expect: &str) {
    assert_eq!(tell(told).unwrap().join("\n"), expect.trim_end());
}

#[test]
fn an_allow_is_told_with_what_came_of_it() {
    let record = json!({ "caller": { "method": "dpop" }, "policies_asked": true, "request": {
        "resource": "article/42", "arguments": { "section": "a" }, "claims": {} } });
    let used = json!({ "type": "grant_used", "time_ms": 1_000, "resource_server": "faq", "use_number": 1 });
    let effect = json!({ "type": "grant_effect", "time_ms": 2_000, "use_number": 1, "effect": "done", "note": null });
    let leaked = json!({ "type": "grant_effect", "time_ms": 2_000, "use_number": 1, "effect": "done", "cut": "secret",
        "secret_in_header": true, "note": null });
    let leaked = came_of_it(&leaked).unwrap();
    assert!(leaked.contains("came to done, and its answer was cut off: it held the service's secret"), "{leaked}");
    assert!(leaked.ends_with("with its secret in a header, which was left out"), "{leaked}");
    let about = json!({ "approval": "apr_1", "channel": "page", "says": "approve", "state": "approved", "by": { "user": "psn_1" } });
    let voted = json!({ "type": "approval_voted", "time_ms": 2_000, "about": about });
    let about = json!({ "decision_id": "dec_1", "comparison": "identical" });
    let replayed = json!({ "type": "replay", "time_ms": 3_000, "operator": "alice", "about": about });
    let told = Told {
        entry: entry(4, &decision()),
        record: Some(record),
        record_gone: None,
        came_of_it: vec![entry(5, &used), entry(6, &effect), entry(7, &replayed), entry(8, &voted)],
        leases: Vec::new(),
    };
    let expect = r#"
dec_1  allow at 1970-01-01T00:00:00.000Z
who       agent bot, for which team answers
          key thumb of pod-1, by dpop
for       nobody: on its own authority
why       purpose answer
asked     faq.read on article/42
          arguments {"section":"a"}
bounds    all hold
policies  read-only/3 allow (listed)
          in force was revision 7 (e)
result    grant grt_1 for faq, one use, until 1970-01-01T00:01:00.000Z
then      1970-01-01T00:00:01.000Z faq used it, use 1 (entry 1/5)
then      1970-01-01T00:00:02.000Z use 1 came to done (entry 1/6)
then      1970-01-01T00:00:03.000Z operator alice had it decided again: identical (entry 1/7)
then      1970-01-01T00:00:02.000Z user psn_1 says approve (page): apr_1 is approved (entry 1/8)
proof     entry log/1/4
          attorn audit receipt 1/4 > receipt.txt
          attorn audit verify --receipt receipt.txt --key log.key
          log.key is the key of epoch 1, as you keep it, or else as `attorn audit key --epoch 1` prints it
"#;
    check(&told, expect.trim_start());
}

#[test]
fn a_deny_for_a_user_whose_record_is_gone_is_told_from_its_entry() {
    let mut body = decision();
    body["decision"] = "deny".into();
    body["reasons"] = json!([{ "code": "not_in_ceiling" }]);
    (body["policies"], body["grant"]) = (json!([]), Value::Null);
    body["on_behalf"] = json!({ "user": "psn_1", "chain": [{ "delegation": "dlg_1", "agent": "bot" }] });
    (body["session"], body["resource"]) = ("psn_2".into(), "account/psn_3".into());
    let record_gone = Some("its user was erased (user_erased)".to_owned());
    let told = Told { entry: entry(0, &body), record: None, record_gone, came_of_it: Vec::new(), leases: Vec::new() };
    let expect = "
dec_1  deny at 1970-01-01T00:00:00.000Z
who       agent bot, for which team answers
          key thumb of pod-1
for       user psn_1
          who gave it to agent bot by dlg_1
why       purpose answer, in the session psn_2
asked     faq.read on account/psn_3
bounds    not all hold: not_in_ceiling; no policy was asked
          in force was revision 7 (e)
result    deny, and no grant
record    it cannot be read any more, and this is what the entry tells: its user was erased (user_erased)
proof     entry log/1/0
          attorn audit receipt 1/0 > receipt.txt
          attorn audit verify --receipt receipt.txt --key log.key
          log.key is the key of epoch 1, as you keep it, or else as `attorn audit key --epoch 1` prints it
";
    check(&told, expect.trim_start());
}

#[test]
fn an_entry_that_has_nothing_is_told_without_a_panic() {
    let told = Told {
        entry: entry(0, &json!({})),
        record: Some(json!(7)),
        record_gone: None,
        came_of_it: vec![entry(1, &json!([]))],
        leases: Vec::new(),
    };
    let lines = tell(&told).unwrap();
    assert_eq!(lines[0], "?  ? at ?");
}

#[test]
fn an_approval_and_a_login_are_told() {
    let told = |approval: Value| {
        let mut body = decision();
        body["approval"] = approval;
        body["credential"] = json!({ "kind": "postgresql", "target": "shop" });
        tell(&Told {
            entry: entry(0, &body),
            record: Some(json!({})),
            record_gone: None,
            came_of_it: Vec::new(),
            leases: Vec::new(),
        })
        .unwrap()
    };
    for (approval, expect) in [
        (
            json!({ "id": "apr_1", "is": "spent", "approved_by": [{ "operator": "ada" }, { "user": "psn_1" }] }),
            "approval  apr_1 approved by operator ada, user psn_1",
        ),
        (
            json!({ "id": "apr_1", "is": "requested", "approvers": [{ "role": "user", "count": 1 }] }),
            "approval  apr_1 asks for 1 user",
        ),
        (
            json!({ "id": "apr_1", "is": "requested", "approvers": [{ "role": "operator", "count": 2 },
                { "role": "group", "group": "finance", "count": 2 }] }),
            "approval  apr_1 asks for 2 operator, 2 of group `finance`",
        ),
        (
            json!({ "id": "apr_1", "is": "spent", "approved_by": [{ "user": "psn_1", "group": "finance" }] }),
            "approval  apr_1 approved by user psn_1 of group `finance`",
        ),
        (json!({ "id": "apr_1", "is": "pending" }), "approval  apr_1 is pending"),
    ] {
        let lines = told(approval);
        assert!(lines.iter().any(|line| line == expect), "{lines:?}");
        assert!(lines.iter().any(|line| line == "          a login at shop (postgresql)"), "{lines:?}");
    }
    assert!(!told(Value::Null).iter().any(|line| line.starts_with("approval")));
    let mut onward = decision();
    onward["credential"] = json!({ "kind": "proxy", "target": "crm" });
    let lines = tell(&Told {
        entry: entry(0, &onward),
        record: Some(json!({})),
        record_gone: None,
        came_of_it: Vec::new(),
        leases: Vec::new(),
    })
    .unwrap();
    assert!(lines.iter().any(|line| line == "          to be sent on to crm (proxy)"), "{lines:?}");
}

#[test]
fn what_became_of_a_login_is_told() {
    let said = |kind: &str, time: u64, members: Value| {
        let mut said = json!({ "type": kind, "time_ms": time, "lease": "lse_1", "grant": "grt_1", "agent": "bot",
            "target": "shop", "name": "attorn_x" });
        said.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        said
    };
    let intended = said("lease_intended", 1_000, json!({ "expires_at_ms": 60_000 }));
    let issued = said("lease_issued", 2_000, json!({}));
    let renewed = said("lease_renewed", 3_000, json!({ "expires_at_ms": 61_000 }));
    let by_operator = json!({ "type": "lease_revoking", "time_ms": 4_000, "operator": "ada", "about": {
        "lease": "lse_1", "grant": "grt_1", "target": "shop", "name": "attorn_x", "why": "operator" } });
    let failed = said("lease_revocation_failed", 5_000, json!({ "attempts": 1, "error": "the database says 57P03" }));
    let stays = said("lease_irrevocable", 6_000, json!({ "attempts": 10, "error": "the database says 57P03" }));
    let ended = said("lease_ended", 7_000, json!({ "why": null, "existed": true }));
    let other = json!({ "type": "grant_used", "time_ms": 8_000, "resource_server": "faq", "use_number": 1 });
    let all = [intended, issued, renewed, by_operator, failed, stays, ended, other];
    let told = |count: usize| {
        let came_of_it: Vec<Entry> = all.iter().take(count).zip(5..).map(|(said, at)| entry(at, said)).collect();
        let leases = leases::of(&came_of_it).unwrap();
        let mut body = decision();
        body["credential"] = json!({ "kind": "postgresql", "target": "shop" });
        (
            tell(&Told {
                entry: entry(4, &body),
                record: Some(json!({})),
                record_gone: None,
                came_of_it,
                leases: Vec::new(),
            })
            .unwrap(),
            leases,
        )
    };
    for (count, state, since_ms) in [
        (1, "intended", 1_000),
        (2, "issued", 2_000),
        (3, "issued", 2_000),
        (4, "revoking", 4_000),
        (5, "revoking", 4_000),
        (6, "irrevocable", 6_000),
        (7, "ended", 7_000),
        (8, "ended", 7_000),
    ] {
        let (_, leases) = told(count);
        let [(id, target, name)] = [("lse_1", "shop", "attorn_x")].map(|(a, b, c)| (a.into(), b.into(), c.into()));
        assert_eq!(leases, [Lease { id, target, name, state, since_ms }], "{count}");
    }
    assert!(told(0).1.is_empty());
    let (lines, leases) = told(8);
    for expect in [
        "then      1970-01-01T00:00:01.000Z a login at shop is to be made, by lse_1 (entry 1/5)",
        "then      1970-01-01T00:00:02.000Z the login attorn_x was made (entry 1/6)",
        "then      1970-01-01T00:00:03.000Z lse_1 was renewed, until 1970-01-01T00:01:01.000Z (entry 1/7)",
        "then      1970-01-01T00:00:04.000Z operator ada had lse_1 ended (entry 1/8)",
        "then      1970-01-01T00:00:05.000Z lse_1 could not be ended at once: the database says 57P03 (entry 1/9)",
        "then      1970-01-01T00:00:06.000Z lse_1 cannot be ended: the database says 57P03 (entry 1/10)",
        "then      1970-01-01T00:00:07.000Z lse_1 has ended (entry 1/11)",
    ] {
        assert!(lines.iter().any(|line| line == expect), "{expect}: {lines:#?}");
    }
    let told = Told {
        entry: entry(4, &decision()),
        record: Some(json!({})),
        record_gone: None,
        came_of_it: Vec::new(),
        leases,
    };
    let lines = tell(&told).unwrap();
    let expect = "lease     lse_1 at shop is ended, since 1970-01-01T00:00:07.000Z";
    assert!(lines.iter().any(|line| line == expect), "{lines:#?}");
}
