//! Many leases that end at once, with their logins.

use std::time::{Duration, Instant};

use attorn_api::decisions::DecisionAnswer;
use attorn_api::targets::Target;
use attorn_core::{GrantId, LeaseId, LeaseState, TimeMs};
use attorn_server::Config;
use attorn_store::records::LeaseRecord;
use attorn_store::{Batch, Store};
use attorn_tests::Process;
use futures_util::future::join_all;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use super::login::statements;
use super::{Scene, TARGET, ask};
use crate::figure::{Figures, float, rounded};
use crate::{Length, memory};

/// How many leases go into one batch, and how many logins into one message.
const AT_ONCE: u64 = 50;
/// After how many of them it is said how far it is.
const PROGRESS: u64 = 1_000;
/// How long a server may take to stop, and all of them to end.
const STOP: Duration = Duration::from_mins(2);
const END: Duration = Duration::from_mins(10);

/// Measure, and print.
pub(super) async fn measure(scene: &Scene, process: Process, length: Length, figures: &mut Figures) {
    let registrar = &scene.cast.staff.registrar;
    // What the measurement before this left.
    let reason = json!({ "reason": "a benchmark" });
    registrar.post("/v1/agents/support-bot/suspend", &reason).await.expect(200);
    none_open(scene).await;
    registrar.post("/v1/agents/support-bot/resume", &reason).await.expect(200);

    let config = Config::load(&scene.fresh.config).unwrap();
    logins(scene, config.log_id.as_str(), length.leases).await;
    // From here on the grant lives a minute.
    let answer: DecisionAnswer = scene.cast.bot.post("/v1/decisions", &ask()).await.expect(200).json();
    let grant = answer.grant.unwrap();
    let id = Pid::from_raw(process.id().cast_signed()).unwrap();
    kill_process(id, Signal::TERM).unwrap();
    let (status, said) = process.ended(STOP).await.unwrap();
    assert!(status.success(), "{status}: {said}");
    let store = Store::open(&config.data_dir, &attorn_server::data::ours(&config).unwrap()).unwrap();
    leases(&store, grant.id.parse().unwrap(), (length.leases, TimeMs(grant.expires_at_ms))).await;
    drop(store);
    let process = Process::start(&scene.fresh.config, &scene.fresh.reach).await;
    let before = memory::resident_bytes_of(process.id()).unwrap();
    assert!(open(scene).await > length.leases, "they began to end before the grant was revoked");
    registrar.post(format!("/v1/grants/{}/revoke", grant.id), &json!({})).await.expect(200);
    let began = Instant::now();
    none_open(scene).await;
    let took_s = began.elapsed().as_secs_f64();
    let peak = memory::peak_bytes_of(process.id()).unwrap();
    let raw = json!({ "leases": length.leases, "took_s": rounded(took_s), "resident_bytes_before": before,
        "peak_bytes": peak });
    figures.add("credentials.leases_revoked_per_s", float(length.leases) / took_s, "leases/s", &raw);
    figures.add("credentials.revoking_memory_bytes", float(peak), "bytes", &json!({ "leases": length.leases }));
    process.kill().await;
}

fn lease_id(n: u64) -> LeaseId {
    let mut bytes = [0; 16];
    bytes[8..].copy_from_slice(&n.to_be_bytes());
    LeaseId::from_random(bytes)
}

fn name(n: u64) -> String {
    format!("attorn_{n:032x}")
}

/// Logins as the server makes them. All have one verifier, since computing it takes long on purpose.
async fn logins(scene: &Scene, log_id: &str, count: u64) {
    let administrator = scene.database.administrator().await;
    let verifier = postgres_protocol::password::scram_sha_256(b"a password that nobody uses");
    for first in (0..count).step_by(usize::try_from(AT_ONCE).unwrap()) {
        let one = |n| {
            let comment = format!("attorn log={log_id} lease={} agent=support-bot grant=none", lease_id(n));
            statements(&name(n), &verifier, &comment)
        };
        let all: Vec<_> = (first..count.min(first + AT_ONCE)).map(one).collect();
        administrator.batch_execute(&all.join("; ")).await.unwrap();
        progress("logins made", (first, first + AT_ONCE), count);
    }
}

/// Their leases, all of this grant.
async fn leases(store: &Store, grant: GrantId, (count, expires_at): (u64, TimeMs)) {
    let mut batches = Vec::new();
    for first in (0..count).step_by(usize::try_from(AT_ONCE).unwrap()) {
        let mut batch = Batch::new(TimeMs(expires_at.0 - 60_000));
        for n in first..count.min(first + AT_ONCE) {
            let lease = LeaseRecord {
                id: lease_id(n),
                grant,
                agent: "support-bot".parse().unwrap(),
                target: TARGET.parse().unwrap(),
                name: name(n).parse().unwrap(),
                roles: vec!["reader".parse().unwrap()],
                state: LeaseState::Issued,
                created_at: batch.now,
                expires_at,
                due_at: expires_at,
                attempts: 0,
                last_error: None,
                ended_at: None,
            };
            lease.open(&mut batch, (100_000, 100_000));
        }
        batches.push(store.commit(batch));
    }
    for committed in join_all(batches).await {
        committed.unwrap();
    }
}

/// How many leases are open.
async fn open(scene: &Scene) -> u64 {
    let target: Target = scene.cast.staff.registrar.get(format!("/v1/targets/{TARGET}")).await.expect(200).json();
    target.open_leases
}

async fn none_open(scene: &Scene) {
    let (began, first) = (Instant::now(), open(scene).await);
    let mut said = 0;
    loop {
        let left = open(scene).await;
        let ended = first.saturating_sub(left);
        progress("leases ended", (said, ended), first);
        said = ended;
        if left == 0 {
            return;
        }
        assert!(began.elapsed() < END, "{left} leases do not end");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Say how far it is, now and then, to whoever waits.
fn progress(what: &str, (before, done): (u64, u64), all: u64) {
    if done / PROGRESS > before / PROGRESS {
        eprintln!("  {what}: {done} of {all}");
    }
}
