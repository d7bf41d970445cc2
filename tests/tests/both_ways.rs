//! Every guest is loaded twice: as it is in force, from a snapshot where one can be taken, and with `init`
//! before each evaluation. What comes of it has to be the same.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use attorn_artifact::{Cancel, Progress};
use attorn_core::context::{Counter, Fact};
use attorn_core::{Failure, JsonText, Known, Outcome, PolicyLimits, TimeMs};
use attorn_engine::{Activation, Engine, EngineConfig, LoadError, LoadRequest, LoadedPolicy, Question};
use attorn_hostile::kit::context;
use attorn_tests::components;

/// Wide enough that a busy machine is not taken for a difference.
const LIMITS: PolicyLimits = PolicyLimits { cpu_us_max: 200_000, wall_us_max: 10_000_000, ..PolicyLimits::NATIVE };

fn load(engine: &Engine, component: &[u8], without_snapshot: bool) -> Result<LoadedPolicy, LoadError> {
    let name = "guest".parse().unwrap();
    let request = LoadRequest { name, component, settings: "{}", limits: LIMITS, metered: false, without_snapshot };
    engine.load_watched(request, &Progress::default(), &Cancel::default())
}

/// Something under each name that a policy asks for.
fn known(policy: &LoadedPolicy) -> Known {
    let requirements = policy.requirements();
    let fact = |template: &attorn_core::FactTemplate| Fact {
        template: template.clone(),
        name: template.fill_in(&context()),
        value: Some(JsonText::from_canonical("\"team@example.com\"")),
    };
    let counter = |declared: &attorn_engine::CounterDeclaration| {
        let span = declared.window.around(TimeMs(1_767_323_045_678));
        Counter { name: declared.name.clone(), used: 3, window_start: span.start, window_end: span.end }
    };
    Known {
        facts: requirements.facts.iter().map(fact).collect(),
        counters: requirements.counters.iter().map(counter).collect(),
    }
}

/// What comes of asking three times, so that what is left behind would show.
async fn outcomes(engine: &Engine, policy: &LoadedPolicy) -> Vec<(Outcome, Option<String>)> {
    let mut outcomes = Vec::new();
    for _ in 0..3 {
        let question = Question { policy: policy.clone(), known: known(policy) };
        let evaluation = engine.evaluate(vec![question], context()).await.unwrap().pop().unwrap();
        // Its own words have to be the same; where the runtime stopped it, and in which function, need not.
        let own = evaluation.outcome == Outcome::Failed(Failure::PolicyError);
        let said = evaluation.failure_detail.filter(|_| own);
        outcomes.push((evaluation.outcome, said));
    }
    outcomes
}

#[tokio::test(flavor = "multi_thread")]
async fn every_guest_says_the_same_from_a_snapshot_and_with_init_each_time() {
    let config = EngineConfig { request_wall_us_max: 60_000_000, ..EngineConfig::for_host().unwrap() };
    let engine = Engine::new(config).unwrap();
    let mut snapshots = 0;
    for guest in attorn_guests::GUESTS {
        let bytes = components::bytes(guest);
        match (load(&engine, &bytes, false), load(&engine, &bytes, true)) {
            (Ok(in_force), Ok(each_time)) => {
                assert_ne!(each_time.report().activation, Activation::Snapshot, "{guest}");
                snapshots += usize::from(in_force.report().activation == Activation::Snapshot);
                assert_eq!(in_force.requirements(), each_time.requirements(), "{guest}");
                assert_eq!(outcomes(&engine, &in_force).await, outcomes(&engine, &each_time).await, "{guest}");
            }
            // Before a snapshot `init` has more time, and may use up that, too.
            (Err(LoadError::TooSlow { step: one, .. }), Err(LoadError::TooSlow { step: other, .. })) => {
                assert_eq!(one, other, "{guest}");
            }
            (Err(one), Err(other)) => assert_eq!(one, other, "{guest}"),
            (one, other) => panic!("{guest}: {:?} from a snapshot, {:?} without", one.err(), other.err()),
        }
    }
    assert!(snapshots > attorn_guests::GUESTS.len() / 2, "only {snapshots} were run from a snapshot");
}
