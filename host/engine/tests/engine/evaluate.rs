//! What comes of evaluating one policy, whatever it does.

use attorn_core::verdict::Reason;
use attorn_core::{Failure, Outcome, PolicyLimits, Terms, Verdict};
use attorn_engine::{Evaluation, LogLevel};

use crate::kit::{Guest, Image, LOOP, MEMORY_BOMB, PATIENT, asked, context, engine, evaluate, load, words};

#[track_caller]
fn failed(evaluation: &Evaluation, failure: Failure, detail: &str) {
    assert_eq!(evaluation.outcome, Outcome::Failed(failure), "{:?}", evaluation.failure_detail);
    let found = evaluation.failure_detail.as_deref().unwrap();
    assert!(found.starts_with(detail), "{found}");
    assert!(found.len() <= 1_024);
}

fn verdict(evaluation: Evaluation) -> Verdict {
    match evaluation.outcome {
        Outcome::Verdict(verdict) => verdict,
        Outcome::Failed(failure) => panic!("{failure:?}: {:?}", evaluation.failure_detail),
    }
}

#[tokio::test]
async fn allow() {
    let evaluation = evaluate(&Guest::allow(), PATIENT).await;
    assert_eq!(evaluation.failure_detail, None);
    assert_eq!(evaluation.usage.memory_bytes, 2 << 16);
    assert!(evaluation.usage.cpu_us <= evaluation.usage.wall_us + 1_000);
    assert_eq!(verdict(evaluation), Verdict::Allow { terms: Terms::new(u64::MAX, 1), reasons: Vec::new() });
}

#[tokio::test]
async fn deny() {
    let evaluation = evaluate(&Guest::deny("shown", "not on sundays"), PATIENT).await;
    let reason = Reason { code: "shown".parse().unwrap(), text: "not on sundays".into(), public: true };
    assert_eq!(verdict(evaluation), Verdict::Deny { reasons: vec![reason] });
}

#[tokio::test]
async fn abstain() {
    assert_eq!(verdict(evaluate(&Guest::new(), PATIENT).await), Verdict::Abstain);
}

#[tokio::test]
async fn challenge() {
    let guest = Guest::new().saying(1, |image| {
        let requirement = [image.string("user"), words(&[2])].concat();
        let approvers = image.list(&[requirement]);
        [approvers, Image::no_terms(), image.reason("hidden", "too much")].concat()
    });
    let Verdict::Challenge { approvers, terms, reason } = verdict(evaluate(&guest, PATIENT).await) else {
        panic!("it challenges")
    };
    assert_eq!((approvers[0].role.as_str(), approvers[0].count), ("user", 2));
    assert_eq!(terms, Terms::new(u64::MAX, 1));
    assert_eq!((reason.code.as_str(), reason.public), ("hidden", false));
}

#[tokio::test]
async fn an_endless_loop_meets_its_deadline() {
    let evaluation = evaluate(&Guest::evaluating(LOOP), PATIENT).await;
    failed(&evaluation, Failure::Deadline, "wasm trap: interrupt");
    assert!((20_000..500_000).contains(&evaluation.usage.cpu_us), "{:?}", evaluation.usage);
}

#[tokio::test]
async fn a_memory_bomb_goes_off_in_a_box() {
    let evaluation = evaluate(&Guest::evaluating(MEMORY_BOMB), PATIENT).await;
    failed(&evaluation, Failure::Memory, "it asked for 16908288 bytes of memory, and 16777216 is the most");
    assert!(evaluation.usage.memory_bytes <= PATIENT.memory_bytes_max);
}

#[tokio::test]
async fn what_a_module_forbids_itself_is_no_failure() {
    let mut guest = Guest::new();
    let answer = guest.evaluate.clone();
    guest.fields = "(table $t 1 1 funcref)".into();
    guest.evaluate = format!("(drop (table.grow $t (ref.null func) (i32.const 1))) {answer}");
    assert_eq!(verdict(evaluate(&guest, PATIENT).await), Verdict::Abstain);
}

#[tokio::test]
async fn a_trap_is_a_failure_that_says_where() {
    let evaluation = evaluate(&Guest::evaluating("unreachable"), PATIENT).await;
    failed(&evaluation, Failure::Trap, "wasm trap: wasm `unreachable` instruction executed: error while executing");
    assert!(evaluation.failure_detail.unwrap().contains("!evaluate"));
    let evaluation = evaluate(&Guest::evaluating("(i32.load (i32.const -8))"), PATIENT).await;
    failed(&evaluation, Failure::Trap, "wasm trap: out of bounds memory access");
    let evaluation = evaluate(&Guest::evaluating("(i32.div_s (i32.const 1) (i32.const 0))"), PATIENT).await;
    failed(&evaluation, Failure::Trap, "wasm trap: integer divide by zero");
    let guest = Guest { fields: "(func $f (call $f))".into(), ..Guest::evaluating("(call $f) (i32.const 0)") };
    failed(&evaluate(&guest, PATIENT).await, Failure::Trap, "wasm trap: call stack exhausted");
}

#[tokio::test]
async fn names_in_a_backtrace_cannot_break_out_of_their_line() {
    let mut guest = Guest::evaluating("(call $f) (i32.const 0)");
    guest.fields = format!("(func $f (@name \"x\\1b[2J{}\") unreachable)", "y".repeat(3_000));
    let evaluation = evaluate(&guest, PATIENT).await;
    failed(&evaluation, Failure::Trap, "wasm trap: ");
    let detail = evaluation.failure_detail.unwrap();
    assert!(detail.contains("x\\u{1b}[2Jyyy") && detail.ends_with("..."), "{detail}");
}

#[tokio::test]
async fn an_error_of_the_policy_is_a_failure_with_its_words() {
    let mut guest = Guest::new();
    guest.evaluate = guest.error("no such account", 8);
    failed(&evaluate(&guest, PATIENT).await, Failure::PolicyError, "no such account");
    guest.evaluate = guest.error(&"x".repeat(5_000), 8);
    failed(&evaluate(&guest, PATIENT).await, Failure::PolicyError, "xxx");
}

#[tokio::test]
async fn output_is_bounded_before_it_is_taken() {
    // 30 MB of reasons, all of them the same bytes of the policy's memory.
    let guest = Guest { pages: 256, ..Guest::new() };
    let guest = guest.saying(2, |_| words(&[1_024, 900_000]));
    let fuel = "too much data is being copied";
    failed(&evaluate(&guest, PATIENT).await, Failure::OutputTooLarge, fuel);
    let mut guest = Guest::new();
    guest.evaluate = guest.error(&"x".repeat(50_000), 8);
    let limits = PolicyLimits { output_bytes_max: 49_999, ..PATIENT };
    failed(&evaluate(&guest, limits).await, Failure::OutputTooLarge, fuel);
}

#[tokio::test]
async fn verdicts_that_break_the_contract_are_failures() {
    let invalid = Failure::InvalidVerdict;
    failed(&evaluate(&Guest::deny("other", ""), PATIENT).await, invalid, "the reason `other` is not declared");
    let guest = Guest::new().saying(2, |_| words(&[0, 0]));
    failed(&evaluate(&guest, PATIENT).await, invalid, "a deny gives no reason");
    let guest = Guest::new().saying(9, |_| Vec::new());
    failed(&evaluate(&guest, PATIENT).await, invalid, "unexpected discriminant");
    let guest = Guest::new().saying(2, |_| words(&[u32::MAX - 7, 1]));
    failed(&evaluate(&guest, PATIENT).await, invalid, "list pointer/length out of bounds");
    let mut guest = Guest::new();
    guest.evaluate = guest.leaving(|image| [words(&[1, 0]), image.list(&[vec![0xff, 0xfe]])].concat());
    failed(&evaluate(&guest, PATIENT).await, invalid, "invalid utf-8");
    let guest = Guest::evaluating("(i32.const -4)");
    failed(&evaluate(&guest, PATIENT).await, invalid, "");
}

#[tokio::test]
async fn init_is_called_once_in_each_sandbox() {
    let engine = engine();
    let mut guest = Guest::new();
    let (fine, bad) = (guest.init.clone(), guest.error("a second call", 4));
    guest.fields = "(global $calls (mut i32) (i32.const 0))".into();
    guest.init = format!(
        "(global.set $calls (i32.add (global.get $calls) (i32.const 1)))
         (if (result i32) (i32.eq (global.get $calls) (i32.const 1)) (then {fine}) (else {bad}))"
    );
    let policy = load(&engine, &guest, PATIENT).unwrap();
    for _ in 0..3 {
        let evaluations = engine.evaluate(asked(vec![policy.clone()]), context()).await.unwrap();
        assert_eq!(evaluations[0].outcome, Outcome::Verdict(Verdict::Abstain));
    }
}

#[tokio::test]
async fn the_log_is_kept_in_order_and_bounded() {
    let mut guest = Guest::allow();
    let (answer, hello, long) = (guest.evaluate.clone(), guest.text("hello"), guest.text(&"x".repeat(20_000)));
    guest.evaluate = format!("(call $log (i32.const 1) {hello}) (call $log (i32.const 3) {hello}) {answer}");
    let evaluation = evaluate(&guest, PATIENT).await;
    let lines: Vec<_> = evaluation.log.iter().map(|line| (line.level, line.message.as_str())).collect();
    assert_eq!(lines, [(LogLevel::Info, "hello"), (LogLevel::Error, "hello")]);
    assert!(!evaluation.usage.log_dropped);
    guest.evaluate = format!("(call $log (i32.const 0) {hello}) (call $log (i32.const 0) {long}) {answer}");
    let evaluation = evaluate(&guest, PATIENT).await;
    assert_eq!((evaluation.log.len(), evaluation.usage.log_dropped), (1, true));
    assert!(matches!(verdict(evaluation), Verdict::Allow { .. }));
}

#[tokio::test]
async fn a_flood_of_messages_is_bounded_in_memory_and_time() {
    let mut guest = Guest::new();
    let empty = guest.text("");
    guest.evaluate = format!("(loop $again (call $log (i32.const 0) {empty}) (br $again)) unreachable");
    let evaluation = evaluate(&guest, PATIENT).await;
    failed(&evaluation, Failure::Deadline, "wasm trap: interrupt");
    assert_eq!((evaluation.log.len(), evaluation.usage.log_dropped), (1_024, true));
}

#[tokio::test]
async fn what_the_policy_reads_is_what_the_host_wrote() {
    // The offsets are those of the record `context` in the canonical ABI.
    let mut guest = Guest::new();
    let answer = guest.evaluate.clone();
    let logged: String = [20, 28, 36, 44]
        .map(|at| {
            let after = at + 4;
            format!(
                "(call $log (i32.const 2) (i32.load offset={at} (local.get $ctx))
                   (i32.load offset={after} (local.get $ctx)))"
            )
        })
        .concat();
    guest.evaluate = format!(
        "(if (i64.ne (i64.load offset=8 (local.get $ctx)) (i64.const 1767323045678)) (then unreachable))
         {logged} {answer}"
    );
    let evaluation = evaluate(&guest, PATIENT).await;
    let lines: Vec<_> = evaluation.log.iter().map(|line| line.message.as_str()).collect();
    assert_eq!(lines, [&"k".repeat(43), "support-bot", "pod-1", "team@example.com"]);
    assert_eq!(verdict(evaluation), Verdict::Abstain);
}

#[tokio::test]
async fn nothing_survives_an_evaluation() {
    // It traps when it finds what an earlier evaluation of any policy left in this place.
    let engine = engine();
    let mut guest = Guest::new();
    let answer = guest.evaluate.clone();
    guest.fields = "(global $seen (mut i32) (i32.const 0))".into();
    guest.evaluate = format!(
        "(if (i32.or (global.get $seen) (i32.load (i32.const 100000))) (then unreachable))
         (global.set $seen (i32.const 1)) (i32.store (i32.const 100000) (i32.const 1))
         (drop (memory.grow (i32.const 1))) (i32.store (i32.const 140000) (i32.const 1)) {answer}"
    );
    let policy = load(&engine, &guest, PATIENT).unwrap();
    for _ in 0..100 {
        let evaluations = engine.evaluate(asked(vec![policy.clone(); 3]), context()).await.unwrap();
        for evaluation in evaluations {
            assert_eq!(verdict(evaluation), Verdict::Abstain);
        }
    }
}
