//! The hostile collection: each component comes to the one thing that it must, every time, and a good
//! policy beside it does not notice.

use attorn_artifact::{Cancel, Progress};
use attorn_core::{Outcome, PolicyLimits, Verdict};
use attorn_engine::{Engine, Evaluation, LoadError, LoadRequest, LoadedPolicy};
use attorn_hostile::Expect;

use crate::kit::{Guest, PATIENT, asked, context, engine, load, load_bytes};

/// How often each is asked: what it leaves behind would be found by the second.
const ROUNDS: usize = 4;

fn name(evaluation: &Evaluation) -> &'static str {
    match &evaluation.outcome {
        Outcome::Verdict(Verdict::Allow { .. }) => "allow",
        Outcome::Verdict(Verdict::Challenge { .. }) => "challenge",
        Outcome::Verdict(Verdict::Deny { .. }) => "deny",
        Outcome::Verdict(Verdict::Abstain) => "abstain",
        Outcome::Failed(failure) => failure.as_str(),
    }
}

/// Without a snapshot. None of what loads at all may be refused so: `init` is cheap in all of them.
fn load_each_time(engine: &Engine, bytes: &[u8], limits: PolicyLimits) -> Result<LoadedPolicy, LoadError> {
    let request = LoadRequest {
        name: "kit".parse().unwrap(),
        component: bytes,
        settings: "{}",
        limits,
        metered: false,
        without_snapshot: true,
    };
    engine.load_watched(request, &Progress::default(), &Cancel::default())
}

fn is_expected(expect: Expect, evaluation: &Evaluation) -> bool {
    match expect {
        Expect::Fails(failure) => evaluation.outcome == Outcome::Failed(failure),
        Expect::Says(verdict) => name(evaluation) == verdict,
        Expect::Refused { .. } => false,
    }
}

fn is_refused(expect: Expect, error: &LoadError) -> bool {
    matches!(expect, Expect::Refused { step, saying }
        if step.split('|').any(|step| error.step().as_str() == step) && error.to_string().contains(saying))
}

async fn ask(engine: &Engine, policies: Vec<LoadedPolicy>) -> Vec<Evaluation> {
    engine.evaluate(asked(policies), context()).await.unwrap()
}

#[tokio::test]
async fn each_comes_to_what_it_must() {
    let engine = engine();
    let good = load(&engine, &Guest::allow(), PATIENT).unwrap();
    let mut problems = Vec::new();
    for hostile in attorn_hostile::ALL {
        for (variant, bytes) in (hostile.make)() {
            let at = format!("{} ({variant})", hostile.name);
            let limits = PolicyLimits { memory_bytes_max: 16 << 20, ..PATIENT };
            match (load_bytes(&engine, &bytes, limits), hostile.expect(variant)) {
                (Err(error), expect) if is_refused(expect, &error) => {}
                (Err(error), expect) => {
                    problems.push(format!("{at} ({} bytes): {error}, and {expect:?} was expected", bytes.len()));
                }
                (Ok(_), expect @ Expect::Refused { .. }) => {
                    problems.push(format!("{at}: it was loaded, and {expect:?} was expected"));
                }
                (Ok(policy), expect) => {
                    let each_time = match load_each_time(&engine, &bytes, limits) {
                        Ok(each_time) => each_time,
                        Err(error) => {
                            problems.push(format!("{at}: without a snapshot: {error}"));
                            continue;
                        }
                    };
                    for _ in 0..ROUNDS {
                        let asked = [&good, &policy, &good, &each_time, &good].map(LoadedPolicy::clone);
                        let evaluations = ask(&engine, asked.to_vec()).await;
                        let [_, from_snapshot, _, with_init, _] = evaluations.as_slice() else {
                            panic!("{} evaluations of {at}", evaluations.len());
                        };
                        if !is_expected(expect, from_snapshot) {
                            let detail = &from_snapshot.failure_detail;
                            problems.push(format!("{at}: {} {detail:?}, not {expect:?}", name(from_snapshot)));
                        }
                        if from_snapshot.outcome != with_init.outcome {
                            let (a, b) = (name(from_snapshot), name(with_init));
                            problems.push(format!("{at}: {a} from a snapshot, and {b} with `init` each time"));
                        }
                        for beside in [&evaluations[0], &evaluations[2], &evaluations[4]] {
                            assert_eq!(name(beside), "allow", "beside {at}");
                        }
                    }
                }
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// Marks that one policy leaves in memory are not there when another gets the same memory.
#[tokio::test]
async fn what_one_leaves_no_other_finds() {
    let engine = engine();
    let only = |name: &str| {
        let hostile = attorn_hostile::ALL.iter().find(|hostile| hostile.name == name).unwrap();
        // Searching all of a memory takes its time on a busy machine.
        let limits = PolicyLimits { cpu_us_max: 200_000, ..PATIENT };
        load_bytes(&engine, &(hostile.make)()[0].1, limits).unwrap()
    };
    let (leaves, searches) = (only("leaves_marks"), only("searches"));
    for _ in 0..50 {
        let evaluations = ask(&engine, vec![leaves.clone(), searches.clone(), leaves.clone(), searches.clone()]).await;
        for evaluation in &evaluations {
            assert_eq!(name(evaluation), "abstain", "{:?}", evaluation.failure_detail);
        }
    }
}
