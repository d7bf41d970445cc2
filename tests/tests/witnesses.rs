//! Witnesses cosign the log's checkpoints; those that lie, hang or answer nonsense count for nothing.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use attorn_api::decisions::DecisionAnswer;
use attorn_log::{CheckpointVerifier, Hash, Receipt, WitnessKey, WitnessPolicy};
use attorn_tests::server::Fresh;
use attorn_tests::witness::Mood;
use attorn_tests::world::{ask, ask_with};
use attorn_tests::{Call, Server, Witness, World};
use serde_json::json;

/// A world with these witnesses, so many of whom are enough.
async fn world(quorum: usize, witnesses: &[&Witness]) -> World {
    let toml: String = witnesses.iter().map(|witness| witness.toml()).collect();
    let text = format!("public_log = false\nwitness_quorum = {quorum}\n{toml}");
    let fresh = Fresh::make().await.configure("public_log = false", &text);
    World::new_in(Server::start_in(fresh).await).await
}

fn policy(quorum: usize, witnesses: &[&Witness]) -> WitnessPolicy {
    let keys: Vec<WitnessKey> = witnesses.iter().map(|witness| witness.vkey.parse().unwrap()).collect();
    WitnessPolicy::quorum_of(quorum, &keys)
}

async fn key(world: &World) -> CheckpointVerifier {
    world.reach.send(Call::get("/v1/audit/key")).await.text().trim().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_is_shown_when_enough_witnesses_have_cosigned_it() {
    let one = Witness::start("example.org/w1", 1, Mood::Good).await;
    let two = Witness::start("example.org/w2", 2, Mood::Good).await;
    let three = Witness::start("example.org/w3", 3, Mood::Says(503, String::new())).await;
    let all = [&one, &two, &three];
    let world = world(2, &all).await;
    let decided: DecisionAnswer = world.bot.post("/v1/decisions?wait=witnessed", &ask()).await.expect(200).json();
    let (verifier, policy) = (key(&world).await, policy(2, &all));
    let shown = world.staff.auditor.get("/log/checkpoint").await.expect(200);
    let shown = verifier.verify(&shown.body).unwrap();
    assert!(shown.checkpoint().size > decided.entry.index);
    assert_eq!(policy.check(&shown).unwrap().by.len(), 2);
    // So are receipts, asked for or not.
    for wait in ["", "?wait=witnessed"] {
        let path = format!("/v1/audit/decisions/{}/receipt{wait}", decided.decision_id);
        let receipt = Receipt::parse(&world.staff.auditor.get(path).await.expect(200).text()).unwrap();
        policy.check(&receipt.verify(&verifier).unwrap().signed).unwrap();
    }
    // The third one wakes up in the middle of the log, and says itself where that is.
    three.mood(Mood::Good);
    one.mood(Mood::Says(503, String::new()));
    let later = ask_with(json!({ "resource": "article/43" }));
    world.bot.post("/v1/decisions?wait=witnessed", &later).await.expect(200);
    assert!(three.size() > shown.checkpoint().size);
    let metrics = attorn_tests::Metrics::of(&world.staff.auditor).await;
    assert!(metrics.count("attorn_audit_log_witnessed_entries", &[]).unwrap() as u64 > shown.checkpoint().size);
}

#[tokio::test(flavor = "multi_thread")]
async fn witnesses_that_lie_hang_or_answer_nonsense_count_for_nothing() {
    let text = |text: &str| text.to_owned();
    let moods = [
        Mood::Hangs,
        Mood::SignsAnother,
        Mood::SignsWithAnotherKey,
        Mood::Huge,
        Mood::Unsteady,
        Mood::Redirects,
        Mood::Says(200, String::new()),
        Mood::Says(200, text("ok\n")),
        Mood::Says(200, text("\u{2014} example.org/liar12 AAAAAAAA\n")),
        Mood::Says(409, text("many\n")),
        Mood::Says(409, text("18446744073709551615\n")),
        Mood::Says(409, text("0\n")),
        Mood::Says(403, text("no\n")),
    ];
    let mut liars = Vec::new();
    for (seed, mood) in (10..).zip(moods) {
        liars.push(Witness::start(&format!("example.org/liar{seed}"), seed, mood).await);
    }
    let honest = Witness::start("example.org/w1", 1, Mood::Good).await;
    let all: Vec<&Witness> = liars.iter().chain([&honest]).collect();
    let world = world(1, &all).await;
    let decided: DecisionAnswer = world.bot.post("/v1/decisions?wait=witnessed", &ask()).await.expect(200).json();
    let shown = world.staff.auditor.get("/log/checkpoint").await.expect(200);
    let shown = key(&world).await.verify(&shown.body).unwrap();
    assert!(shown.checkpoint().size > decided.entry.index);
    let witnessed = policy(1, &all).check(&shown).unwrap();
    let by: Vec<&str> = witnessed.by.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(by, ["example.org/w1"]);
    assert!(liars.iter().all(|liar| liar.asked() > 0));
}

/// Decisions go on; only whoever asked to wait is told that nothing came.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_quorum_nothing_is_shown_as_witnessed_and_decisions_go_on() {
    let good = Witness::start("example.org/w1", 1, Mood::Good).await;
    let ahead = Witness::start("example.org/w2", 2, Mood::Good).await;
    ahead.has_seen(1_000_000, Hash([7; 32]));
    let world = world(2, &[&good, &ahead]).await;
    world.staff.auditor.get("/log/checkpoint").await.refused(404, "not_found");
    assert!(world.bot.decide(&ask()).await.grant.is_some());
    let call = Call::post("/v1/decisions?wait=witnessed", &ask_with(json!({ "resource": "article/43" })));
    let problem = world.bot.send(call.header("idempotency-key", "\"k1\"")).await.refused(503, "timeout");
    assert!(problem.detail.contains("was not witnessed within 10 s"), "{problem}");
    let counted = "2 cosignatures are needed (`witness_quorum`), and the last time 1 came, by `example.org/w1`";
    assert!(
        problem.detail.contains(counted) && problem.detail.ends_with("; the decision is made and recorded"),
        "{problem}"
    );
    assert!(problem.help.as_deref().is_some_and(|help| help.contains("`Idempotency-Key`")), "{problem}");
    // It was decided all the same: the key brings it back.
    let call = Call::post("/v1/decisions", &ask_with(json!({ "resource": "article/43" })));
    let size = world.log_size().await;
    let again: DecisionAnswer = world.bot.send(call.header("idempotency-key", "\"k1\"")).await.expect(200).json();
    assert!(again.grant.is_some() && again.entry.index < size);
    // The own checkpoint is still there for auditors.
    world.staff.auditor.get("/v1/audit/checkpoint").await.expect(200);
    // Whoever asks for it with cosignatures is told how many there are, and of no key for anything.
    let problem = world.staff.auditor.get("/v1/audit/checkpoint?wait=witnessed").await.refused(503, "timeout");
    assert!(problem.detail.ends_with(counted), "{problem}");
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("policy");
    let text = format!("witness w1 {}\nwitness w2 {}\ngroup both all w1 w2\nquorum both\n", good.vkey, ahead.vkey);
    std::fs::write(&path, text).unwrap();
    // Also where the server has no witnesses at all.
    let verify = |world: &World, code: i32, expect: &str| {
        let output = world.audit(home.path(), &["verify", "--alone", "--policy", path.to_str().unwrap()]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(code) && said.contains(expect), "{said}");
        assert!(said.contains("help: does the policy name the witnesses of this log?"), "{said}");
    };
    let expect =
        "the witness policy is not met: the checkpoint is cosigned by nobody of it, and it needs 2 of `w1`, `w2`";
    verify(&world, 5, expect);
    verify(&world, 5, counted);
    verify(&World::without_policy().await, 5, expect);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_witness_that_has_seen_another_log_does_not_cosign_this_one() {
    let witness = Witness::start("example.org/w1", 1, Mood::Good).await;
    witness.has_seen(3, Hash([7; 32]));
    let world = world(1, &[&witness]).await;
    world.bot.decide(&ask()).await;
    for _ in 0..100 {
        if witness.asked() >= 4 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(witness.size(), 3);
    world.staff.auditor.get("/log/checkpoint").await.refused(404, "not_found");
}
