//! Making a policy ready, in a process of its own: how far it is can be seen, it can be ended, and
//! whatever becomes of that process, what is in force stays as it is. What was compiled once is never
//! compiled again.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking")]

use std::path::PathBuf;
use std::time::Duration;

use attorn_api::decisions::DecisionKind;
use attorn_api::loads::{Load, LoadList};
use attorn_api::policies::{Policy, PolicyList};
use attorn_tests::server::Fresh;
use attorn_tests::world::{Cast, ask, blake3_hex, read_only_settings};
use attorn_tests::{Answer, Call, Process, Staff, components};
use serde_json::json;

/// How many policies are in force when the server is started anew.
const POLICIES: usize = 100;

async fn start(fresh: &Fresh) -> (Process, Cast) {
    let process = Process::start(&fresh.config, &fresh.reach).await;
    let staff = Staff::hire(&fresh.reach, &fresh.bootstrap_token).await;
    let cast = Cast::register(&fresh.reach, &staff).await;
    cast.activate("read-only", components::bytes("read-only"), read_only_settings()).await;
    (process, cast)
}

fn configure(fresh: &Fresh, from: &str, to: &str) {
    let text = std::fs::read_to_string(&fresh.config).unwrap();
    assert!(text.contains(from), "{text}");
    std::fs::write(&fresh.config, text.replace(from, to)).unwrap();
}

/// Push what takes long to compile, under a request id of its own.
fn push_slow(cast: &Cast, request: &str) -> impl Future<Output = Answer> + use<> {
    let (cast, request) = (cast.staff.policy_admin.clone(), request.to_owned());
    async move {
        let component = components::slow_to_compile();
        let digest = blake3_hex(&component);
        let put = Call::new("PUT", format!("/v1/components/{digest}")).body("application/wasm", component);
        assert!(matches!(cast.send(put).await.status, 200 | 201));
        let body = json!({ "component": digest, "settings": {} });
        cast.send(Call::post("/v1/policies/slow/versions", &body).header("x-request-id", request)).await
    }
}

/// Wait until that load has a worker of its own that compiles.
async fn compiling(cast: &Cast) -> Load {
    for _ in 0..2_000 {
        let list: LoadList = cast.staff.policy_admin.get("/v1/loads").await.expect(200).json();
        if let Some(load) = list.loads.into_iter().find(|load| load.step == "compile") {
            return load;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("nothing was compiled");
}

/// The compile workers of a server.
fn workers(server: u32) -> Vec<u32> {
    let children = format!("/proc/{server}/task/{server}/children");
    let tasks = std::fs::read_dir(format!("/proc/{server}/task")).unwrap();
    let of_task = |task: std::io::Result<std::fs::DirEntry>| {
        std::fs::read_to_string(task.unwrap().path().join("children")).unwrap_or_default()
    };
    assert!(PathBuf::from(&children).exists(), "this kernel does not say who a process's children are");
    let all: Vec<String> = tasks.map(of_task).collect();
    all.iter().flat_map(|line| line.split_whitespace()).map(|id| id.parse().unwrap()).collect()
}

async fn stands_as_before(cast: &Cast) {
    cast.staff.policy_admin.get("/v1/policies/slow").await.refused(404, "not_found");
    let list: PolicyList = cast.staff.policy_admin.get("/v1/policies").await.json();
    assert_eq!((list.active_set.revision, list.policies.len()), (1, 1));
    let loads: LoadList = cast.staff.policy_admin.get("/v1/loads").await.json();
    assert!(loads.loads.is_empty());
    assert_eq!(cast.bot.decide(&ask()).await.decision, DecisionKind::Allow);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_is_seen_and_can_be_ended() {
    let fresh = Fresh::make().await;
    let (process, cast) = start(&fresh).await;
    let pushing = tokio::spawn(push_slow(&cast, "slow-push"));
    let load = compiling(&cast).await;
    let shown = (load.id.as_str(), load.policy.as_str(), load.version, load.operator.as_str());
    assert_eq!(shown, ("slow-push", "slow", 1, "policy-admin"));
    cast.staff.policy_admin.act("/v1/loads/another/cancel").await.refused(409, "invalid_state");
    cast.staff.auditor.act("/v1/loads/slow-push/cancel").await.refused(403, "missing_duty");
    cast.staff.policy_admin.act("/v1/loads/slow-push/cancel").await.expect(200);
    pushing.await.unwrap().refused(409, "load_cancelled");
    assert_eq!(workers(process.id()), [0; 0], "its worker goes on");
    stands_as_before(&cast).await;
    process.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_killed_costs_the_push_and_nothing_else() {
    let fresh = Fresh::make().await;
    let (process, cast) = start(&fresh).await;
    let pushing = tokio::spawn(push_slow(&cast, "slow-push"));
    compiling(&cast).await;
    for worker in workers(process.id()) {
        assert!(std::process::Command::new("kill").args(["-KILL", &worker.to_string()]).status().unwrap().success());
    }
    let problem = pushing.await.unwrap().refused(422, "component_rejected");
    assert!(problem.detail.contains("signal: 9"), "{}", problem.detail);
    stands_as_before(&cast).await;
    process.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_wants_too_much_memory_is_ended() {
    let fresh = Fresh::make().await;
    configure(&fresh, "compile_memory_bytes_max = 3221225472\n", "compile_memory_bytes_max = 268435456\n");
    let (process, cast) = start(&fresh).await;
    let problem = push_slow(&cast, "slow-push").await.refused(422, "component_rejected");
    assert_eq!(
        problem.detail,
        "the component failed the step `compile`: compiling took more than 268435456 bytes of memory"
    );
    stands_as_before(&cast).await;
    process.kill().await;
}

/// The server is started anew with many policies, and then with part of its cache damaged.
#[tokio::test(flavor = "multi_thread")]
async fn a_restart_compiles_nothing_but_what_is_damaged() {
    let fresh = Fresh::make().await;
    let (process, cast) = start(&fresh).await;
    let mut change = serde_json::Map::new();
    for n in 1..POLICIES {
        // Each with settings of its own, and about requests that nobody sends, so that all can be in force.
        let settings = json!({ "allow": [{ "actions": [format!("a{n}.read")], "resource_types": ["article"] }] });
        let extra = json!({ "selector": { "actions": [format!("a{n}.read")] } });
        cast.push(&format!("p{n}"), components::bytes("read-only"), settings, extra).await.expect(201);
        change.insert(format!("p{n}"), json!(1));
        if change.len() == 50 || n + 1 == POLICIES {
            let body = json!({ "policies": std::mem::take(&mut change) });
            cast.staff.policy_admin.post("/v1/active-set/changes", &body).await.expect(200);
        }
    }
    process.kill().await;

    let process = Process::start(&fresh.config, &fresh.reach).await;
    assert_eq!(compiled(&cast).await, (POLICIES, 0));
    assert_eq!(cast.bot.decide(&ask()).await.decision, DecisionKind::Allow);
    process.kill().await;

    // One bit of some, half of some, the content of one under the name of another.
    let mut files: Vec<_> =
        std::fs::read_dir(fresh.data_dir().join("cache")).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= POLICIES, "{} files", files.len());
    for (at, file) in files.iter().take(9).enumerate() {
        let mut bytes = std::fs::read(file).unwrap();
        match at % 3 {
            0 => bytes[100] ^= 4,
            1 => bytes.truncate(bytes.len() / 2),
            _ => bytes = std::fs::read(&files[at + 10]).unwrap(),
        }
        std::fs::write(file, bytes).unwrap();
    }
    let process = Process::start(&fresh.config, &fresh.reach).await;
    let (all, anew) = compiled(&cast).await;
    // One of the files may be the component's own, which no policy is loaded from.
    assert!(all == POLICIES && (8..=9).contains(&anew), "{anew} of {all} were compiled");
    assert_eq!(cast.bot.decide(&ask()).await.decision, DecisionKind::Allow);
    process.kill().await;
}

/// How many policies are loaded, and how many of them were compiled.
async fn compiled(cast: &Cast) -> (usize, usize) {
    let list: PolicyList = cast.staff.policy_admin.get("/v1/policies?limit=200").await.json();
    let mut loads = Vec::new();
    for policy in list.policies {
        let policy: Policy = cast.staff.policy_admin.get(format!("/v1/policies/{}", policy.id)).await.json();
        loads.push(policy.versions[0].load.clone().unwrap_or_else(|| panic!("`{}` is not loaded", policy.id)));
    }
    (loads.len(), loads.iter().filter(|load| !load.from_cache).count())
}
