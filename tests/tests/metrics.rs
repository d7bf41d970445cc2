//! `GET /metrics`: every count is exact, nobody without the duty reads it, it holds nothing that anybody
//! wrote, and `host/OPERATIONS.md` lists exactly what it has.

#![expect(clippy::panic, reason = "helpers of tests fail by panicking")]

use std::collections::{BTreeMap, BTreeSet};

use attorn_api::FOR_HEADER;
use attorn_api::decisions::DecisionKind;
use attorn_core::Duty;
use attorn_tests::world::{PURPOSE, ask, ask_with, read_only_settings};
use attorn_tests::{Call, Metrics, World, components};
use serde_json::json;

const OPERATIONS: &str = include_str!("../../host/OPERATIONS.md");

#[track_caller]
fn counts(metrics: &Metrics, name: &str, label: &str, fixed: &[(&str, &str)], expect: &[(&str, usize)]) {
    for (value, count) in expect {
        let labels: Vec<(&str, &str)> = fixed.iter().copied().chain([(label, *value)]).collect();
        assert_eq!(metrics.count(name, &labels), Some(*count), "{name} {labels:?}");
    }
    let all: usize = expect.iter().map(|(_, count)| count).sum();
    if fixed.is_empty() {
        assert_eq!(metrics.sum(name), all, "{name} has more than was expected");
    }
}

async fn until_shadows_are_done(world: &World, evaluations: f64) -> Metrics {
    attorn_tests::found(&format!("{evaluations} evaluations of the shadow policy"), async || {
        let metrics = Metrics::of(&world.staff.auditor).await;
        let shadow = [("policy", "strict"), ("version", "1"), ("mode", "shadow"), ("outcome", "deny")];
        let found = metrics.value("attorn_policy_evaluations_total", &shadow);
        (found == Some(evaluations)).then_some(metrics)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_decision_is_counted_once_where_it_belongs() {
    let world = World::new().await;
    world
        .activate_with("strict", components::bytes("deny_public_reason"), json!({}), json!({ "mode": "shadow" }))
        .await;
    for _ in 0..3 {
        assert_eq!(world.bot.decide(&ask()).await.decision, DecisionKind::Allow);
    }
    for _ in 0..2 {
        assert_eq!(world.bot.decide(&ask_with(json!({ "action": "faq.write" }))).await.decision, DecisionKind::Deny);
    }
    let outside = ask_with(json!({ "action": "payment.send" }));
    assert_eq!(world.bot.decide(&outside).await.decision, DecisionKind::Deny);
    world.bot.post("/v1/decisions", &json!({})).await.refused(400, "invalid_body");
    world.reach.send(Call::get("/v1/nothing")).await.refused(404, "no_such_route");
    world.reach.send(Call::get("/v1/decisions")).await.refused(405, "method_not_allowed");
    let facts = json!({ "facts": [{ "name": "a/b", "value": 1 }, { "name": "a/c", "value": 2 }] });
    world.staff.registrar.post("/v1/facts", &facts).await.expect(200);

    let before = usize::try_from(world.log_size().await).unwrap();
    let metrics = until_shadows_are_done(&world, 5.0).await;
    let decisions = "attorn_decisions_total";
    counts(
        &metrics,
        decisions,
        "outcome",
        &[("decided_by", "policies")],
        &[("allow", 3), ("challenge", 0), ("deny", 2)],
    );
    counts(&metrics, decisions, "outcome", &[("decided_by", "bounds")], &[("allow", 0), ("challenge", 0), ("deny", 1)]);
    assert_eq!((metrics.sum(decisions), metrics.count("attorn_decision_duration_seconds_count", &[])), (6, Some(6)));
    assert!(metrics.value("attorn_decision_duration_seconds_sum", &[]) > Some(0.0));

    let evaluations = "attorn_policy_evaluations_total";
    let policy = [("policy", "read-only"), ("version", "1"), ("mode", "enforce")];
    counts(&metrics, evaluations, "outcome", &policy, &[("allow", 3), ("deny", 2), ("abstain", 0), ("failed:trap", 0)]);
    assert_eq!(metrics.sum(evaluations), 10);
    for version in
        [("read-only", "1"), ("strict", "1")].map(|(policy, version)| [("policy", policy), ("version", version)])
    {
        let (cpu, wall) = ("attorn_policy_cpu_seconds_total", "attorn_policy_wall_seconds_total");
        assert!(metrics.value(cpu, &version) > Some(0.0), "{version:?}");
        assert!(metrics.value(wall, &version) > Some(0.0), "{version:?}");
        let memory = metrics.count("attorn_policy_memory_largest_bytes", &version);
        assert!(memory.is_some_and(|bytes| (1 << 16..=16 << 20).contains(&bytes)), "{version:?} {memory:?}");
    }
    // Of five decisions it would have changed the three allows.
    counts(&metrics, "attorn_policy_shadow_would_change_total", "policy", &[("version", "1")], &[("strict", 3)]);
    assert_eq!(metrics.sum("attorn_policy_shadow_would_change_total"), 3);
    counts(&metrics, "attorn_policies_in_force", "mode", &[], &[("enforce", 1), ("shadow", 1)]);
    counts(
        &metrics,
        "attorn_policy_loads_total",
        "result",
        &[],
        &[("cache", 0), ("compiled", 2), ("refused", 0), ("failed", 0)],
    );
    counts(&metrics, "attorn_decision_conflicts_total", "cause", &[], &[("changed", 0), ("limit", 0)]);
    counts(&metrics, "attorn_noisy_requests_total", "lane", &[], &[("agents", 0), ("users", 0)]);
    counts(&metrics, "attorn_connections_refused_total", "cause", &[], &[("room", 0), ("address", 0), ("share", 0)]);
    assert!(metrics.count("attorn_connections", &[]) > Some(0));
    let problems = [("invalid_body", 1), ("no_such_route", 1), ("method_not_allowed", 1), ("use_dpop_nonce", 0)];
    let nonces = metrics.count("attorn_problems_total", &[("code", "use_dpop_nonce")]).unwrap();
    let problems = problems.map(|(code, count)| (code, if code == "use_dpop_nonce" { nonces } else { count }));
    counts(&metrics, "attorn_problems_total", "code", &[], &problems);
    // What shadow policies say is written down some time later.
    let entries = usize::try_from(world.log_size().await).unwrap();
    let exposed = metrics.count("attorn_audit_log_entries", &[]).unwrap();
    assert!((before..=entries).contains(&exposed), "{exposed} is not between {before} and {entries}");
    for (name, expect) in [
        ("attorn_facts_set_total", 2),
        ("attorn_expired_records_left", 0),
        ("attorn_active_set_revision", 2),
        ("attorn_policies_not_loaded", 0),
        ("attorn_shadow_evaluations_dropped_total", 0),
        ("attorn_evaluation_queue_refusals_total", 0),
        ("attorn_evaluation_queue_depth", 0),
        ("attorn_store_bad_parts", 0),
        ("attorn_ready", 1),
    ] {
        assert_eq!(metrics.count(name, &[]), Some(expect), "{name}");
    }
    assert!(metrics.value("attorn_start_time_seconds", &[]) > Some(1.7e9));
}

#[tokio::test(flavor = "multi_thread")]
async fn loads_and_full_counters_are_counted() {
    let world = World::without_policy().await;
    world.push("bad", components::bytes("error_in_init"), json!({}), json!({})).await.refused(422, "settings_rejected");
    world.activate("debit", components::bytes("debit"), json!({})).await;
    // The same component with the same settings is compiled once.
    world.push("twin", components::bytes("debit"), json!({}), json!({})).await.expect(201);
    for n in 1..=11 {
        let expect = if n <= 10 { DecisionKind::Allow } else { DecisionKind::Deny };
        assert_eq!(world.bot.decide(&ask()).await.decision, expect, "{n}");
    }
    let metrics = Metrics::of(&world.staff.auditor).await;
    counts(
        &metrics,
        "attorn_policy_loads_total",
        "result",
        &[],
        &[("cache", 1), ("compiled", 1), ("refused", 1), ("failed", 0)],
    );
    counts(&metrics, "attorn_decision_conflicts_total", "cause", &[], &[("changed", 0), ("limit", 1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_without_the_duty_reads_it() {
    let world = World::without_policy().await;
    world.reach.send(Call::get("/metrics")).await.refused(401, "unauthenticated");
    world.bot.send(Call::get("/metrics")).await.refused(401, "unauthenticated");
    let duties: Vec<Duty> = Duty::ALL.iter().copied().filter(|duty| *duty != Duty::Auditor).collect();
    let other = world.staff.admin.hire("other", &duties).await;
    other.get("/metrics").await.refused(403, "missing_duty");
}

/// A version that is not in force any more leaves nothing behind, however often policies change.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_in_force_is_gone() {
    let world = World::new().await;
    world.bot.decide(&ask()).await;
    let of = async |version: &str| {
        let metrics = Metrics::of(&world.staff.auditor).await;
        let of = [("policy", "read-only"), ("version", version), ("mode", "enforce"), ("outcome", "allow")];
        (metrics.value("attorn_policy_evaluations_total", &of), metrics.text.lines().count())
    };
    let (count, lines) = of("1").await;
    assert_eq!(count, Some(1.0));
    for version in 2..=6 {
        world.activate("read-only", components::bytes("read-only"), read_only_settings()).await;
        assert_eq!(of(&version.to_string()).await, (Some(0.0), lines));
        assert_eq!(of(&(version - 1).to_string()).await.0, None);
    }
    let back = json!({ "to": 1 });
    world.staff.policy_replacer.post("/v1/policies/read-only/rollback", &back).await.expect(200);
    // It stayed loaded, and goes on where it stopped.
    assert_eq!(of("1").await, (Some(1.0), lines));
    world.deactivate("read-only").await.expect(200);
    let metrics = Metrics::of(&world.staff.auditor).await;
    assert!(!metrics.text.contains("read-only"), "{}", metrics.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_anybody_wrote_is_in_it() {
    let world = World::new().await;
    world.activate("logs", components::bytes("logs"), json!({})).await;
    world.activate("closed", components::bytes("deny_private_reason"), json!({})).await;
    world.bot.decide(&ask_with(json!({ "claims": { "mood": "cross" } }))).await;
    let text = Metrics::of(&world.staff.auditor).await.text;
    let thumbprint = world.bot.key.thumbprint();
    for secret in [
        "support-bot",
        "faq",
        "article",
        "billing",
        "cross",
        "forged",
        "odd",
        PURPOSE,
        thumbprint,
        &world.staff.auditor.token,
    ] {
        assert!(!text.contains(secret), "`{secret}` is in\n{text}");
    }
}

/// Each row of the table: name, type, labels.
fn documented() -> BTreeMap<String, (String, BTreeSet<String>)> {
    let cell = |cell: &str| -> Vec<String> {
        cell.split(',').map(|word| word.trim().trim_matches('`').to_owned()).filter(|word| !word.is_empty()).collect()
    };
    let rows = OPERATIONS.lines().filter(|line| line.starts_with("| `attorn_"));
    let rows: Vec<_> = rows
        .map(|row| {
            let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
            let [name, kind, labels, meaning] = cells[..] else { panic!("`{row}` has not four cells") };
            assert!(!meaning.is_empty(), "{row}");
            (cell(name).remove(0), (kind.to_owned(), cell(labels).into_iter().collect()))
        })
        .collect();
    let count = rows.len();
    let table: BTreeMap<_, _> = rows.into_iter().collect();
    assert_eq!(table.len(), count, "a metric stands twice in the table");
    table
}

/// A target is counted from its first call on, also where nobody answers.
async fn call_a_target(world: &World) {
    let target = json!({ "id": "crm", "resource_types": ["article"], "secret": "a-secret-of-some-length", "proxy": {
        "origin": "http://127.0.0.1:1", "secret_header": "authorization",
        "routes": [{ "method": "GET", "path": "/articles/{id}", "action": "faq.read", "resource": "article/{id}" }],
        "request_bytes_max": 1, "response_bytes_max": 1_000, "head_ms_max": 1_000, "idle_ms_max": 1_000,
        "total_ms_max": 1_000, "requests_max": 1 } });
    world.staff.registrar.post("/v1/targets", &target).await.expect(201);
    let call = Call::get("/proxy/crm/articles/42").header(FOR_HEADER, PURPOSE);
    world.bot.send(call).await.refused(503, "target_unavailable");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_lists_what_there_is() {
    let world = World::new().await;
    world
        .activate_with("strict", components::bytes("deny_public_reason"), json!({}), json!({ "mode": "shadow" }))
        .await;
    call_a_target(&world).await;
    let metrics = Metrics::of(&world.staff.auditor).await;
    let suffixes = |kind: &str| match kind {
        "counter" => vec!["_total"],
        "info" => vec!["_info"],
        "histogram" => vec!["_bucket", "_count", "_sum"],
        _ => vec![""],
    };
    let names = metrics.names();
    let mut exposed = BTreeMap::new();
    let mut samples = BTreeSet::new();
    for (family, kind) in &metrics.types {
        let mut labels = BTreeSet::new();
        let suffixes = suffixes(kind);
        for suffix in &suffixes {
            let name = format!("{family}{suffix}");
            labels.extend(names.get(&name).unwrap_or_else(|| panic!("`{name}` has no sample")).clone());
            samples.insert(name);
        }
        let suffix = if kind == "histogram" { "" } else { suffixes[0] };
        exposed.insert(format!("{family}{suffix}"), (kind.clone(), labels));
    }
    assert_eq!(samples, names.keys().cloned().collect(), "samples that belong to no family");
    assert_eq!(documented(), exposed);

    // What examples and alerts name is there, too.
    let words = OPERATIONS.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    for name in words.filter(|word| word.starts_with("attorn_")) {
        assert!(samples.contains(name) || exposed.contains_key(name), "there is no metric `{name}`");
    }
}
