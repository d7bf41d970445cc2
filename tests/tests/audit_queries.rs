//! Questions to the audit log: every filter finds what a reading of the whole log finds, in either order and by pages;
//! what means nothing is refused; and the index is as good after a crash or when it was removed.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::process::{Output, Stdio};

use attorn_api::agents::Agent;
use attorn_api::audit::EntryList;
use attorn_tests::process::binary;
use attorn_tests::server::Fresh;
use attorn_tests::world::{Cast, PURPOSE, PURPOSE_WITH_USER, ask, ask_with, read_only_settings};
use attorn_tests::{Behalf, Metrics, Operator, Process, Staff, World, components};
use serde_json::{Value, json};
use tokio::process::Command;

async fn list(auditor: &Operator, query: &str) -> EntryList {
    auditor.get(format!("/v1/audit/entries?{query}")).await.json()
}

/// The indexes of all that a query finds, by pages of this size.
async fn all(auditor: &Operator, query: &str, limit: usize) -> Vec<u64> {
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = list(auditor, &format!("{query}&limit={limit}{cursor}")).await;
        assert_eq!((page.next, page.indexed_through), (None, Some(page.size)), "{query}");
        found.extend(page.entries.iter().map(|entry| entry.reference.index));
        let Some(next) = page.cursor else { return found };
        cursor = format!("&cursor={next}");
    }
}

/// A query finds exactly these entries of all.
async fn check(auditor: &Operator, entries: &[Value], query: &str, takes: impl Fn(&Value) -> bool) {
    let mut expect: Vec<u64> = (0_u64..).zip(entries).filter(|(_, body)| takes(body)).map(|(index, _)| index).collect();
    assert!(!expect.is_empty(), "{query} is a query for nothing");
    assert_eq!(all(auditor, query, 200).await, expect, "{query}");
    assert_eq!(all(auditor, &format!("{query}&order=oldest"), 1).await, expect, "{query}");
    expect.reverse();
    assert_eq!(all(auditor, &format!("{query}&order=newest"), 3).await, expect, "{query}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_means_nothing_is_refused() {
    let world = World::without_policy().await;
    let auditor = &world.staff.auditor;
    for query in [
        "agnet=bot",
        "agent=Bot",
        "agent=",
        "agent=a&agent=b",
        "key=short",
        "user=Alice",
        "owner=",
        "operator=A",
        "delegation=*",
        "grant=grt_1",
        "policy=P",
        "version=1",
        "policy=p&version=x",
        "purpose=P",
        "session=a/b",
        "action=faq.r*",
        "resource=article",
        "resource=art*",
        "decision=maybe",
        "decision_id=dec_1",
        "reason=No",
        "type=A",
        "type=nonsense",
        "since_ms=-1",
        "until_ms=x",
        "order=random",
        "order=newest&limit=0",
        "order=newest&limit=201",
        "order=newest&from=-1",
        "agent=a&owner=b&operator=c&delegation=d&policy=e&purpose=f&type=decision&reason=h&since_ms=0",
    ] {
        auditor.get(format!("/v1/audit/entries?{query}")).await.refused(400, "invalid_query");
    }
    let refused = auditor.get("/v1/audit/entries?type=nonsense").await.refused(400, "invalid_query");
    assert!(refused.detail.contains("`nonsense` is no type of entries; types are agent_"), "{refused}");
    assert!(refused.detail.contains("grant_used, "), "{refused}");
    auditor.get("/v1/audit/entries?user=usr_nobody").await.refused(404, "not_found");
    // From an index on it is as it was.
    let plain = list(auditor, "from=1&limit=2").await;
    assert_eq!((plain.entries.len(), plain.next, plain.cursor, plain.indexed_through), (2, Some(3), None, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_is_good_for_its_query_alone() {
    let world = World::new().await;
    for _ in 0..4 {
        world.bot.decide(&ask()).await;
    }
    let auditor = &world.staff.auditor;
    let query = "agent=support-bot&order=newest&limit=2";
    let cursor = list(auditor, query).await.cursor.unwrap();
    // Of another page's size it is the same query.
    assert_eq!(
        list(auditor, &format!("agent=support-bot&order=newest&limit=1&cursor={cursor}")).await.entries.len(),
        1
    );
    for other in [
        "agent=support-bot&limit=2",
        "agent=other&order=newest",
        "order=newest",
        "agent=support-bot&order=newest&from=1",
    ] {
        auditor.get(format!("/v1/audit/entries?{other}&cursor={cursor}")).await.refused(400, "invalid_query");
    }
    for at in 0..cursor.len() {
        let mut made_up = cursor.clone().into_bytes();
        made_up[at] = if made_up[at] == b'A' { b'B' } else { b'A' };
        let made_up = String::from_utf8(made_up).unwrap();
        let problem = auditor.get(format!("/v1/audit/entries?{query}&cursor={made_up}")).await;
        problem.refused(400, "invalid_query");
    }
    for made_up in ["", "x", "AAAA", "0", &cursor[1..], &format!("{cursor}A"), &"A".repeat(54), "%2e"] {
        auditor.get(format!("/v1/audit/entries?{query}&cursor={made_up}")).await.refused(400, "invalid_query");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_filter_finds_what_a_reading_of_the_log_finds() {
    let world = World::new().await;
    let decided = world.bot.decide(&ask()).await;
    world.use_grant(decided.grant.as_ref().unwrap()).await.expect(200);
    world.bot.decide(&ask_with(json!({ "action": "faq.write" }))).await;
    world.bot.decide(&ask_with(json!({ "resource": "article/7" }))).await;
    world.bot.decide(&ask_with(json!({ "action": "payment.send" }))).await;
    world.activate("read-only", components::bytes("read-only"), read_only_settings()).await;
    world.bot.decide(&ask()).await;
    world.staff.registrar.post("/v1/agents/support-bot/suspend", &json!({ "reason": "x" })).await.expect(200);
    world.bot.decide(&ask()).await;
    let (auditor, entries) = (&world.staff.auditor, world.entries().await);
    let is = |body: &Value, kind: &str| body["type"] == kind;
    let of_bot = |body: &Value| {
        body["agent"] == "support-bot" || body["agent"]["id"] == "support-bot" || body["about"]["id"] == "support-bot"
    };
    let (grant, id) = (decided.grant.unwrap().id, decided.decision_id);
    let key = world.bot.key.thumbprint();
    check(auditor, &entries, "agent=support-bot", of_bot).await;
    check(auditor, &entries, &format!("key={key}"), |body| body.to_string().contains(key)).await;
    check(auditor, &entries, "owner=support@example.org", |body| body.to_string().contains("support@example.org"))
        .await;
    check(auditor, &entries, "operator=registrar", |body| {
        body["operator"] == "registrar" || is(body, "operator_registered") && body["about"]["id"] == "registrar"
    })
    .await;
    check(auditor, &entries, &format!("grant={grant}"), |body| body.to_string().contains(&grant)).await;
    check(auditor, &entries, &format!("decision_id={id}"), |body| body["decision_id"] == id.as_str()).await;
    check(auditor, &entries, "policy=read-only", |body| body.to_string().contains("\"policy\":\"read-only\"")).await;
    check(auditor, &entries, "policy=read-only&version=2&type=decision", |body| {
        is(body, "decision") && body["policies"][0]["version"] == 2
    })
    .await;
    check(auditor, &entries, &format!("purpose={PURPOSE}"), |body| body["purpose"] == PURPOSE).await;
    check(auditor, &entries, "action=faq.*", |body| body["action"].as_str().is_some_and(|a| a.starts_with("faq.")))
        .await;
    check(auditor, &entries, "action=faq.write", |body| body["action"] == "faq.write").await;
    check(auditor, &entries, "resource=article/*&action=*", |body| body["resource"].is_string()).await;
    check(auditor, &entries, "resource=article/7", |body| body["resource"] == "article/7").await;
    check(auditor, &entries, "decision=deny", |body| body["decision"] == "deny").await;
    check(auditor, &entries, "reason=agent_suspended", |body| body["reasons"][0]["code"] == "agent_suspended").await;
    check(auditor, &entries, "type=grant_used", |body| is(body, "grant_used")).await;
    check(auditor, &entries, "decision=allow&agent=support-bot&resource=article/42", |body| {
        body["decision"] == "allow" && body["resource"] == "article/42"
    })
    .await;
    let middle = entries[entries.len() / 2]["time_ms"].as_u64().unwrap();
    let time = |body: &Value| body["time_ms"].as_u64().unwrap();
    check(auditor, &entries, &format!("since_ms={middle}"), |body| time(body) >= middle).await;
    check(auditor, &entries, &format!("until_ms={middle}"), |body| time(body) <= middle).await;
    let size = entries.len() as u64;
    assert_eq!(all(auditor, "order=newest&from=5", 4).await, (5..size).rev().collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_is_found_by_the_id_that_operators_know_until_they_are_erased() {
    let scene = Behalf::new().await;
    let delegation = scene.delegated().await;
    let own = scene.read(&scene.bot, &delegation).await;
    let token = scene.token(json!({ "sub": "bob", "sid": "of-bob", "jti": "bob" }));
    let of_bob: attorn_api::delegations::DelegationMade = scene.exchange(&token).await.expect(201).json();
    scene.read(&scene.bot, &of_bob.delegation).await;
    let (auditor, entries) = (&scene.staff.auditor, scene.entries().await);
    let pseudonym =
        entries[usize::try_from(own.entry.index).unwrap()]["on_behalf"]["user"].as_str().unwrap().to_owned();
    let hers = |body: &Value| body["user"] == pseudonym.as_str() || body["on_behalf"]["user"] == pseudonym.as_str();
    let (user, session) = (&delegation.user, &delegation.session);
    check(auditor, &entries, &format!("user={user}"), hers).await;
    check(auditor, &entries, &format!("user={pseudonym}"), hers).await;
    check(auditor, &entries, &format!("session={session}"), |body| hers(body) && body["session"].is_string()).await;
    check(auditor, &entries, &format!("delegation={}", delegation.id), |body| {
        body["delegation"] == delegation.id.as_str()
    })
    .await;
    let resource = format!("resource=account/{user}/giro&user={user}");
    check(auditor, &entries, &resource, |body| hers(body) && body["type"] == "decision").await;
    check(auditor, &entries, &format!("resource=account/*&user={user}"), |body| {
        hers(body) && body["type"] == "decision"
    })
    .await;
    let deeper = format!("/v1/audit/entries?resource=account/{user}/*&user={user}");
    auditor.get(deeper).await.refused(400, "invalid_query");
    let bob = &of_bob.delegation.user;
    check(auditor, &entries, &format!("user={bob}&type=decision"), |body| body["type"] == "decision" && !hers(body))
        .await;
    scene.eraser.post(format!("/v1/users/{bob}/erase"), &json!({})).await.expect(200);
    for query in [format!("user={bob}"), format!("user={bob}&resource=account/{bob}/giro")] {
        auditor.get(format!("/v1/audit/entries?{query}")).await.refused(410, "user_erased");
    }
    // Of somebody whose key is lost nobody knows whether they were erased.
    let key =
        scene.server.data_dir().with_file_name("user-keys").join(&user[user.len() - 2..]).join(format!("{user}.key"));
    std::fs::remove_file(key).unwrap();
    for query in [format!("user={user}"), format!("session={session}"), resource] {
        auditor.get(format!("/v1/audit/entries?{query}")).await.refused(404, "not_found");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_names_a_user_is_found_by_them() {
    let scene = Behalf::new().await;
    let delegation = scene.delegated().await;
    let own = scene.read(&scene.bot, &delegation).await;
    let part = scene.offered(&scene.bot, &delegation, &scene.helper).await;
    let registrar = &scene.staff.registrar;
    let name = format!("user/{}/risk", delegation.user);
    registrar.post("/v1/facts", &json!({ "facts": [{ "name": name, "value": "low" }] })).await.expect(200);
    registrar.post("/v1/facts/delete", &json!({ "names": [name] })).await.expect(200);
    registrar.post(format!("/v1/delegations/{}/revoke", part.id), &json!({})).await.expect(200);
    let (auditor, entries) = (&scene.staff.auditor, scene.entries().await);
    let decided = &entries[usize::try_from(own.entry.index).unwrap()];
    let pseudonym = decided["on_behalf"]["user"].as_str().unwrap().to_owned();
    let hers = |body: &Value| body.to_string().contains(&pseudonym);
    check(auditor, &entries, &format!("user={}", delegation.user), hers).await;
    for kind in ["delegation_accepted", "delegation_revoked", "facts_set", "facts_deleted"] {
        check(auditor, &entries, &format!("user={}&type={kind}", delegation.user), |body| body["type"] == kind).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_is_gone_or_cut_off_is_as_good_as_before() {
    let fresh = Fresh::make().await;
    let mut process = Process::start(&fresh.config, &fresh.reach).await;
    let staff = Staff::hire(&fresh.reach, &fresh.bootstrap_token).await;
    let cast = Cast::register(&fresh.reach, &staff).await;
    cast.activate("read-only", components::bytes("read-only"), read_only_settings()).await;
    let index = fresh.data_dir().join("index");
    assert!(index.is_dir());
    for round in 0..4 {
        for _ in 0..20 {
            cast.bot.decide(&ask()).await;
        }
        // At whatever it is doing.
        process.kill().await;
        if round % 2 == 1 {
            std::fs::remove_dir_all(&index).unwrap();
        }
        process = Process::start(&fresh.config, &fresh.reach).await;
        let mut entries = Vec::new();
        let mut from = Some(0);
        while let Some(at) = from {
            let page = list(&staff.auditor, &format!("from={at}&limit=200")).await;
            entries.extend(page.entries.iter().map(|entry| serde_json::from_str::<Value>(entry.body.get()).unwrap()));
            from = page.next;
        }
        check(&staff.auditor, &entries, "decision=allow&agent=support-bot", |body| body["decision"] == "allow").await;
        check(&staff.auditor, &entries, "type=server_started", |body| body["type"] == "server_started").await;
    }
    until_indexed(&staff.auditor).await;
    process.kill().await;
}

async fn until_indexed(auditor: &Operator) {
    attorn_tests::until("the index is at the end of the log", async || {
        Metrics::of(auditor).await.count("attorn_audit_index_lag_entries", &[]) == Some(0)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_is_shown_with_what_it_never_used_first() {
    let world = World::new().await;
    let uses = async || {
        until_indexed(&world.staff.auditor).await;
        let agent: Agent = world.staff.registrar.get("/v1/agents/support-bot").await.json();
        agent.uses.unwrap()
    };
    let shown = |uses: &attorn_api::agents::CeilingUses| -> Vec<(String, Option<u64>)> {
        let one = |one: &attorn_api::agents::PermissionUse| {
            assert!(one.complete && !one.by_type);
            (format!("{} {} {}", one.purpose, one.action, one.resource), one.entry.as_ref().map(|entry| entry.index))
        };
        uses.permissions.iter().map(one).collect()
    };
    let (faq, orphan) = (format!("{PURPOSE} faq.* article/*"), format!("{PURPOSE} faq.read orphan/*"));
    let account = format!("{PURPOSE_WITH_USER} account.read account/*");
    let none = [(faq.clone(), None), (orphan.clone(), None), (account.clone(), None)];
    assert_eq!(shown(&uses().await), none);
    // A deny is no use.
    world.bot.decide(&ask_with(json!({ "action": "faq.write" }))).await;
    assert_eq!(shown(&uses().await), none);
    let mut last = 0;
    for _ in 0..2 {
        last = world.bot.decide(&ask()).await.entry.index;
    }
    let uses = uses().await;
    assert_eq!(shown(&uses), [(orphan, None), (account, None), (faq, Some(last))]);
    let entries = world.entries().await;
    let of_faq = uses.permissions.last().unwrap();
    assert_eq!(of_faq.last_used_at_ms, entries[usize::try_from(last).unwrap()]["time_ms"].as_u64());
    assert_eq!((uses.since_ms, uses.indexed_through), (entries[0]["time_ms"].as_u64(), entries.len() as u64));
    // Whoever lists agents, or changes one, does not have the log looked through.
    let agents: Value = world.staff.registrar.get("/v1/agents").await.json();
    assert_eq!(agents["agents"][0]["uses"], Value::Null);
}

async fn command(world: &World, token: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(binary());
    command.args(arguments).env("ATTORN_URL", &world.reach.url).env("ATTORN_TOKEN", token);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).output().await.unwrap()
}

async fn said(world: &World, token: &str, arguments: &[&str]) -> String {
    let output = command(world, token, arguments).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_of_an_auditor() {
    let world = World::new().await;
    let decided = world.bot.decide(&ask()).await;
    world.use_grant(decided.grant.as_ref().unwrap()).await.expect(200);
    let deny = world.bot.decide(&ask_with(json!({ "action": "faq.write" }))).await;
    let token = &world.staff.auditor.token;
    let table =
        said(&world, token, &["audit", "list", "--agent", "support-bot", "--decision", "deny", "--since", "24h"]).await;
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 2, "{table}");
    assert!(lines[1].starts_with(&deny.entry.index.to_string()) && lines[1].contains("deny: support-bot faq.write"));
    let newest: Value =
        serde_json::from_str(&said(&world, token, &["audit", "list", "--newest", "--limit", "1", "--json"]).await)
            .unwrap();
    assert_eq!(newest["entries"][0]["reference"]["index"], deny.entry.index);
    let cursor = newest["cursor"].as_str().unwrap();
    let next = said(&world, token, &["audit", "list", "--newest", "--limit", "1", "--after", cursor]).await;
    assert!(next.contains("grant_used"), "{next}");

    let story = said(&world, token, &["audit", "show", &decided.decision_id]).await;
    for part in [
        &format!("{}  allow at ", decided.decision_id),
        "agent support-bot, for which support@example.org answers",
        "nobody: on its own authority",
        "purpose answer-questions",
        "faq.read on article/42",
        r#"arguments {"section":"billing"}"#,
        "all hold",
        "read-only/1 allow",
        "for faq, one use",
        "faq used it, use 1",
        &format!("attorn audit receipt 1/{} > receipt.txt", decided.entry.index),
    ] {
        assert!(story.contains(part), "`{part}` is not in\n{story}");
    }
    // By its index it is the same story.
    assert_eq!(said(&world, token, &["audit", "show", &decided.entry.index.to_string()]).await, story);
    let json = said(&world, token, &["audit", "show", &decided.decision_id, "--json"]).await;
    let told: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(told["entry"]["reference"]["index"], decided.entry.index);
    assert_eq!(told["record"]["request"]["action"], "faq.read");
    assert_eq!(told["came_of_it"][0]["body"]["type"], "grant_used");
    assert!(said(&world, token, &["audit", "show", "0"]).await.contains("\"type\": \"initialised\""));
    let nobody = command(&world, token, &["audit", "show", "dec_0123456789abcdef0123456789abcdef"]).await;
    assert_eq!(nobody.status.code(), Some(1));

    until_indexed(&world.staff.auditor).await;
    let agent = said(&world, &world.staff.registrar.token, &["agent", "show", "support-bot"]).await;
    let row = |what: &str| agent.lines().find(|line| line.contains(what)).unwrap().to_owned();
    assert!(row("orphan/*").contains("never since ") && !row("article/*").contains("never"), "{agent}");
}
