//! Many requests at once, some of them with policies that never end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use attorn_core::{Failure, Outcome, PolicyLimits, Verdict};
use attorn_engine::{Busy, Engine, EngineConfig, Evaluation};

use crate::kit::{Guest, LOOP, PATIENT, asked, config, context, engine, load};

fn outcomes(evaluations: &[Evaluation]) -> Vec<&'static str> {
    let name = |evaluation: &Evaluation| match &evaluation.outcome {
        Outcome::Verdict(Verdict::Allow { .. }) => "allow",
        Outcome::Verdict(Verdict::Deny { .. }) => "deny",
        Outcome::Verdict(_) => "other",
        Outcome::Failed(failure) => failure.as_str(),
    };
    evaluations.iter().map(name).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_looping_policy_hurts_nobody_else() {
    let engine = Arc::new(engine());
    let (allow, deny) = (Guest::allow(), Guest::deny("shown", "no"));
    let allow = load(&engine, &allow, PATIENT).unwrap();
    let deny = load(&engine, &deny, PATIENT).unwrap();
    let quick = PolicyLimits { cpu_us_max: 2_000, ..PATIENT };
    let looper = load(&engine, &Guest::evaluating(LOOP), quick).unwrap();
    let ask = |n: usize| {
        let engine = Arc::clone(&engine);
        let policies = match n % 3 {
            0 => vec![allow.clone(), deny.clone()],
            1 => vec![allow.clone(), looper.clone(), deny.clone()],
            _ => vec![deny.clone(), allow.clone()],
        };
        tokio::spawn(async move { engine.evaluate(asked(policies), context()).await.unwrap() })
    };
    let asked: Vec<_> = (0..300).map(ask).collect();
    for (n, asked) in asked.into_iter().enumerate() {
        let expect: &[_] = match n % 3 {
            0 => &["allow", "deny"],
            1 => &["allow", "deadline", "deny"],
            _ => &["deny", "allow"],
        };
        assert_eq!(outcomes(&asked.await.unwrap()), expect);
    }
}

/// However many ask a slow policy, a thread is left for all others.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_slow_policy_never_holds_all_threads() {
    let engine = Arc::new(Engine::new(EngineConfig { evaluator_threads: 2, ..config() }).unwrap());
    let slow = PolicyLimits { cpu_us_max: 200_000, ..PATIENT };
    let looper = load(&engine, &Guest::evaluating(LOOP), slow).unwrap();
    let allow = load(&engine, &Guest::allow(), PATIENT).unwrap();
    // Now it is known to be slow.
    engine.evaluate(asked(vec![looper.clone()]), context()).await.unwrap();
    let ask = |policies: Vec<_>| {
        let engine = Arc::clone(&engine);
        tokio::spawn(async move { outcomes(&engine.evaluate(asked(policies), context()).await.unwrap()) })
    };
    // Some begin with it, some come to it later.
    let slow: Vec<_> = (0..8)
        .map(|n| ask(if n % 2 == 0 { vec![looper.clone()] } else { vec![allow.clone(), looper.clone()] }))
        .collect();
    tokio::time::sleep(Duration::from_millis(20)).await;
    for _ in 0..5 {
        assert_eq!(ask(vec![allow.clone()]).await.unwrap(), ["allow"]);
    }
    let done = slow.iter().filter(|slow| slow.is_finished()).count();
    assert!(done < 4, "{done} of the slow ones were answered before");
    for (n, slow) in slow.into_iter().enumerate() {
        let expect: &[_] = if n % 2 == 0 { &["deadline"] } else { &["allow", "deadline"] };
        assert_eq!(slow.await.unwrap(), expect);
    }
}

#[tokio::test]
async fn a_full_queue_is_busy_at_once() {
    let config = EngineConfig { evaluator_threads: 1, queue_jobs_max: 1, ..config() };
    let engine = Engine::new(config).unwrap();
    let slow = PolicyLimits { cpu_us_max: 1_000_000, ..PATIENT };
    let looper = load(&engine, &Guest::evaluating(LOOP), slow).unwrap();
    let after = |ms| {
        let (engine, looper) = (&engine, looper.clone());
        async move {
            tokio::time::sleep(Duration::from_millis(ms)).await;
            let begun = Instant::now();
            (engine.evaluate(asked(vec![looper]), context()).await, begun.elapsed())
        }
    };
    let (running, waiting, refused) = tokio::join!(after(0), after(250), after(500));
    assert_eq!(outcomes(&running.0.unwrap()), ["deadline"]);
    assert_eq!(outcomes(&waiting.0.unwrap()), ["deadline"]);
    assert_eq!(refused.0, Err(Busy));
    assert!(refused.1 < Duration::from_millis(100), "{:?}", refused.1);
}

#[tokio::test]
async fn one_deadline_holds_for_all_policies_of_a_request() {
    let engine = Engine::new(EngineConfig { request_wall_us_max: 60_000, ..config() }).unwrap();
    let greedy = PolicyLimits { cpu_us_max: 40_000, ..PATIENT };
    let looper = load(&engine, &Guest::evaluating(LOOP), greedy).unwrap();
    let begun = Instant::now();
    let evaluations = engine.evaluate(asked(vec![looper; 3]), context()).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    assert_eq!(outcomes(&evaluations), ["deadline"; 3]);
    let detail = evaluations[2].failure_detail.as_deref().unwrap();
    assert_eq!(detail, "the request's time was used up before this policy was asked");
    assert_eq!(evaluations[2].usage.cpu_us, 0);
}

#[tokio::test]
async fn the_time_in_the_queue_counts() {
    let config = EngineConfig { evaluator_threads: 1, request_wall_us_max: 50_000, ..config() };
    let engine = Engine::new(config).unwrap();
    let greedy = PolicyLimits { cpu_us_max: 50_000, ..PATIENT };
    let looper = load(&engine, &Guest::evaluating(LOOP), greedy).unwrap();
    let (first, second) = tokio::join!(
        engine.evaluate(asked(vec![looper.clone()]), context()),
        engine.evaluate(asked(vec![looper.clone()]), context())
    );
    assert_eq!(first.unwrap()[0].outcome, Outcome::Failed(Failure::Deadline));
    let second = second.unwrap();
    assert_eq!(second[0].outcome, Outcome::Failed(Failure::Deadline));
    // Both were queued at once, so that nearly nothing was left for the second.
    assert!(second[0].usage.cpu_us < 25_000, "{:?}", second[0].usage);
}

#[tokio::test]
async fn what_nobody_waits_for_is_not_evaluated() {
    let engine = Engine::new(EngineConfig { evaluator_threads: 1, ..config() }).unwrap();
    let slow = PolicyLimits { cpu_us_max: 200_000, ..PATIENT };
    let looper = load(&engine, &Guest::evaluating(LOOP), slow).unwrap();
    let allow = load(&engine, &Guest::allow(), PATIENT).unwrap();
    for _ in 0..50 {
        let asked = engine.evaluate(asked(vec![looper.clone(); 4]), context());
        assert!(tokio::time::timeout(Duration::from_millis(1), asked).await.is_err());
    }
    // Only what had begun may still run: one policy of 200 ms, not two hundred of them.
    let begun = Instant::now();
    assert_eq!(outcomes(&engine.evaluate(asked(vec![allow]), context()).await.unwrap()), ["allow"]);
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_policy_outlives_the_engine_that_loaded_it() {
    let first = engine();
    let looper = load(&first, &Guest::evaluating(LOOP), PATIENT).unwrap();
    drop(first);
    let evaluations = engine().evaluate(asked(vec![looper]), context()).await.unwrap();
    assert_eq!(outcomes(&evaluations), ["deadline"]);
}

#[tokio::test]
async fn no_policies_no_evaluations() {
    assert_eq!(engine().evaluate(Vec::new(), context()).await, Ok(Vec::new()));
}

#[test]
fn without_a_pool_it_works_the_same() {
    let config = EngineConfig { instance_table_elements_max: u64::MAX / 64, ..config() };
    let engine = Engine::new(config).unwrap();
    assert!(!engine.info().pooling());
    let policy = load(&engine, &Guest::allow(), PATIENT).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let evaluations = runtime.block_on(engine.evaluate(asked(vec![policy; 3]), context())).unwrap();
    assert_eq!(outcomes(&evaluations), ["allow"; 3]);
}
