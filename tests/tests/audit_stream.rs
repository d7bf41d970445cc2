//! Entries as they come: nothing missing and nothing twice, whoever may not read any more reads no more, and nobody
//! who reads slowly keeps anybody waiting.

use std::process::Stdio;

use attorn_api::audit::StreamEnd;
use attorn_api::decisions::DecisionKind;
use attorn_core::{Duty, TimeMs};
use attorn_tests::events::Events;
use attorn_tests::process::binary;
use attorn_tests::world::{ask, ask_with};
use attorn_tests::{Behalf, Call, Metrics, World};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::Command;

async fn open(world: &World, query: &str, after: Option<u64>) -> Events {
    let after = after.map(|index| format!("1/{index}"));
    Events::open(&world.reach, &world.staff.auditor.token, query, after).await
}

fn denied() -> Value {
    ask_with(json!({ "action": "faq.write" }))
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_streams_are_refused() {
    let world = World::without_policy().await;
    let auditor = &world.staff.auditor;
    for query in ["agnet=bot", "agent=Bot", "order=newest", "limit=5", "cursor=x", "from=-1", "decision=maybe"] {
        auditor.get(format!("/v1/audit/stream?{query}")).await.refused(400, "invalid_query");
    }
    for last in ["x", "-1", "", "1.5", "0", "1/", "1/x", "01/0", "1/18446744073709551616", "log/1/0"] {
        let call = Call::get("/v1/audit/stream").header("last-event-id", last);
        auditor.send(call).await.refused(400, "invalid_query");
    }
    let size = world.log_size().await;
    auditor.get(format!("/v1/audit/stream?from={}", size + 1)).await.refused(422, "invalid_field");
    for last in [format!("1/{size}"), "2/0".to_owned()] {
        let call = Call::get("/v1/audit/stream").header("last-event-id", last.clone());
        let problem = auditor.send(call).await.refused(422, "invalid_field");
        let expect = format!("`Last-Event-ID` is `{last}`, and the log has {size} entries in epoch 1, the last");
        assert_eq!(problem.detail, expect);
    }
    let call = Call::get("/v1/audit/stream").header("last-event-id", "0/0");
    let problem = auditor.send(call).await.refused(422, "invalid_field");
    assert_eq!(problem.detail, "`Last-Event-ID` is `0/0`, and the log has no epoch 0");
    auditor.get("/v1/audit/stream?user=usr_nobody").await.refused(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_filters_take_comes_as_it_happens() {
    let world = World::new().await;
    let mut denies = open(&world, "decision=deny&agent=support-bot", None).await;
    let mut all = open(&world, "", None).await;
    for n in 0..3 {
        let allow = world.bot.decide(&ask()).await;
        let deny = world.bot.decide(&denied()).await;
        assert_eq!((allow.decision, deny.decision), (DecisionKind::Allow, DecisionKind::Deny));
        let (index, body) = denies.entry().await;
        assert_eq!((index, &body["decision_id"]), (deny.entry.index, &json!(deny.decision_id)), "{n}");
        for expect in [&allow, &deny] {
            assert_eq!(all.entry().await.0, expect.entry.index);
        }
    }
    let metrics = Metrics::of(&world.staff.auditor).await;
    assert_eq!(metrics.count("attorn_audit_streams", &[]), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_back_misses_nothing_and_reads_nothing_twice() {
    let world = World::new().await;
    for _ in 0..5 {
        world.bot.decide(&ask()).await;
        world.bot.decide(&denied()).await;
    }
    let size = world.log_size().await;
    for query in ["from=0", "from=0&type=decision", "from=0&decision=deny"] {
        let kind = |body: &Value| (body["type"].clone(), body["decision"].clone());
        let entries: Vec<_> = (0_u64..).zip(world.entries().await).collect();
        let expect: Vec<u64> = entries
            .iter()
            .filter(|(_, body)| match query {
                "from=0" => true,
                "from=0&type=decision" => kind(body).0 == "decision",
                _ => kind(body).1 == "deny",
            })
            .map(|(index, _)| *index)
            .collect();
        // A connection for each one, two, three entries.
        let (mut found, mut last) = (Vec::new(), None);
        for n in 1.. {
            let mut events = open(&world, query, last).await;
            for _ in 0..n.min(expect.len() - found.len()) {
                let (index, body) = events.entry().await;
                assert_eq!(body, entries[usize::try_from(index).unwrap()].1);
                found.push(index);
                last = Some(index);
            }
            if found.len() == expect.len() {
                break;
            }
        }
        assert_eq!(found, expect, "{query}");
    }
    // It begins at the end, or where it is told to.
    let mut events = open(&world, &format!("from={}", size - 1), None).await;
    assert_eq!(events.entry().await.0, size - 1);
    let next = world.bot.decide(&ask()).await;
    assert_eq!(events.entry().await.0, next.entry.index);
}

/// Where its connection breaks before anything came, it comes back to where it was.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_says_at_once_where_it_begins() {
    let world = World::new().await;
    let size = world.log_size().await;
    let first = open(&world, "decision=deny", None).await.next().await.unwrap();
    assert_eq!((first.id, first.kind.as_str()), (Some(format!("1/{}", size - 1)), ""));
    let deny = world.bot.decide(&denied()).await;
    assert_eq!(open(&world, "decision=deny", Some(size - 1)).await.entry().await.0, deny.entry.index);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_read_any_more_reads_no_more() {
    let world = World::new().await;
    let reader = world.staff.admin.hire("reader", &[Duty::Auditor]).await;
    let mut events = Events::open(&world.reach, &reader.token, "type=decision", None).await;
    world.bot.decide(&ask()).await;
    events.entry().await;
    world.staff.admin.act("/v1/operators/reader/revoke").await.expect(200);
    world.bot.decide(&ask()).await;
    assert_eq!(events.ended().await.reason, StreamEnd::Revoked);
}

/// Nothing happens that they would be told of: it is looked all the time whether they may read.
#[tokio::test(flavor = "multi_thread")]
async fn streams_to_which_nothing_comes_end_too_when_their_readers_may_not_read_any_more() {
    let scene = Behalf::new().await;
    let delegation = scene.delegated().await;
    let reader = scene.staff.admin.hire("reader", &[Duty::Auditor]).await;
    let mut of_reader = Events::open(&scene.reach, &reader.token, "agent=support-bot&decision=challenge", None).await;
    let query = format!("user={}&decision=challenge", delegation.user);
    let mut of_user = Events::open(&scene.reach, &scene.staff.auditor.token, &query, None).await;
    scene.staff.admin.act("/v1/operators/reader/revoke").await.expect(200);
    assert_eq!(of_reader.ended().await.reason, StreamEnd::Revoked);
    // This leaves no entry, by which streams would be woken.
    std::fs::remove_dir_all(scene.server.data_dir().with_file_name("user-keys")).unwrap();
    assert_eq!(of_user.ended().await.reason, StreamEnd::UserGone);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_found_who_was_erased() {
    let scene = Behalf::new().await;
    let delegation = scene.delegated().await;
    let query = format!("user={}&type=decision", delegation.user);
    let mut events = Events::open(&scene.reach, &scene.staff.auditor.token, &query, None).await;
    let decided = scene.read(&scene.bot, &delegation).await;
    // What others do is no news of hers.
    assert_eq!(events.entry().await.0, decided.entry.index);
    scene.bot.decide(&ask()).await;
    let keys = scene.server.data_dir().with_file_name("user-keys");
    std::fs::remove_dir_all(&keys).unwrap();
    scene.bot.decide(&ask()).await;
    assert_eq!(events.ended().await.reason, StreamEnd::UserGone);
    scene.staff.auditor.get(format!("/v1/audit/stream?{query}")).await.refused(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_says_so_and_waits_for_nobody() {
    let world = World::new().await;
    let mut events = open(&world, "", None).await;
    let decided = world.bot.decide(&ask()).await;
    assert_eq!(events.entry().await.0, decided.entry.index);
    let World { server, .. } = world;
    server.stop().await;
    let ended = events.ended().await;
    assert_eq!((ended.reason, ended.resume_after), (StreamEnd::Stopped, Some(format!("1/{}", decided.entry.index))));
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_are_bounded_and_their_places_are_given_back() {
    let world = World::without_policy().await;
    let mut all = Vec::new();
    for _ in 0..32 {
        all.push(open(&world, "", None).await);
    }
    let problem = world.staff.auditor.get("/v1/audit/stream").await.refused(503, "busy");
    assert_eq!(problem.detail, "there are 32 streams already, and no more are served");
    all.pop();
    // That somebody has hung up is noticed some time later.
    for _ in 0..400 {
        let token = &world.staff.auditor.token;
        if world.reach.open("/v1/audit/stream", token, None).await.status().as_u16() == 200 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    unreachable!("the place of a stream that ended was not given back");
}

/// It takes what comes at no pace at all, and decisions go on. That it is dropped in the end, and what it then reads,
/// is tried where the stream is made.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_who_does_not_read_keeps_nobody_waiting() {
    let world = World::new().await;
    let address = world.reach.url.strip_prefix("http://").unwrap();
    let mut idle = TcpStream::connect(address).await.unwrap();
    let token = &world.staff.auditor.token;
    let head =
        format!("GET /v1/audit/stream?from=0 HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\n\r\n");
    idle.write_all(head.as_bytes()).await.unwrap();
    // It is being served.
    idle.read_exact(&mut [0; 12]).await.unwrap();
    for _ in 0..300 {
        assert_eq!(world.bot.decide(&ask()).await.decision, DecisionKind::Allow);
    }
    let mut events = open(&world, "type=decision", None).await;
    let decided = world.bot.decide(&ask()).await;
    assert_eq!(events.entry().await.0, decided.entry.index);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_watches() {
    let world = World::new().await;
    world.bot.decide(&denied()).await;
    let mut command = Command::new(binary());
    command.args(["audit", "watch", "--decision", "deny", "--from", "0", "--count", "3", "--json"]);
    command.env("ATTORN_URL", &world.reach.url).env("ATTORN_TOKEN", &world.staff.auditor.token);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = async || -> Option<Value> {
        let line = tokio::time::timeout(std::time::Duration::from_mins(1), lines.next_line()).await;
        line.expect("nothing came").unwrap().map(|line| serde_json::from_str(&line).unwrap())
    };
    assert_eq!(next().await.unwrap()["body"]["decision"], "deny");
    for _ in 0..2 {
        world.bot.decide(&ask()).await;
        let deny = world.bot.decide(&denied()).await;
        assert_eq!(next().await.unwrap()["reference"]["index"], deny.entry.index);
    }
    assert_eq!(next().await, None);
    assert!(child.wait().await.unwrap().success());
}

/// With a time at which it ends it does not wait for what cannot come.
#[tokio::test(flavor = "multi_thread")]
async fn the_command_ends_at_a_time() {
    let world = World::new().await;
    world.bot.decide(&denied()).await;
    let watch = async |until: &str| {
        let mut command = Command::new(binary());
        command.args(["audit", "watch", "--decision", "deny", "--from", "0", "--json", "--until", until]);
        command.env("ATTORN_URL", &world.reach.url).env("ATTORN_TOKEN", &world.staff.auditor.token);
        command.stdin(Stdio::null()).kill_on_drop(true);
        tokio::time::timeout(std::time::Duration::from_mins(1), command.output()).await.expect("it never ends").unwrap()
    };
    for over in ["1h", "2026-01-02T03:04:05Z"] {
        let ended = watch(over).await;
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!((ended.status.code(), ended.stdout.len()), (Some(2), 0), "{said}");
        assert!(said.contains("that is over") && said.contains("\nhelp: `attorn audit list --until …`"), "{said}");
    }
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let soon = TimeMs(u64::try_from(now.as_millis()).unwrap() + 2_000).to_string();
    let ended = watch(&soon).await;
    assert_eq!(ended.status.code(), Some(0), "{}", String::from_utf8_lossy(&ended.stderr));
    let entry: Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!(entry["body"]["decision"], "deny");
}
