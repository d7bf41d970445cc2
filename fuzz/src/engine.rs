//! The engine: bytes that may be a component, and answers that may be a verdict.

use std::sync::{Arc, LazyLock};

use attorn_core::{EvaluationContext, JsonText, Known, Outcome, PolicyLimits};
use attorn_engine::{Engine, EngineConfig, LoadError, LoadedPolicy, Question};
use attorn_hostile::kit::{Guest, context};
use tokio::runtime::Runtime;

/// Time enough for slow machines, and little enough for many tries.
const LIMITS: PolicyLimits = PolicyLimits { cpu_us_max: 20_000, wall_us_max: 1_000_000, ..PolicyLimits::NATIVE };

/// How many bytes of static data stand for an answer.
const ANSWER_BYTES: usize = 1_024;

static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    let config = EngineConfig { request_wall_us_max: 10_000_000, ..EngineConfig::for_host().unwrap() };
    Engine::new(config).unwrap()
});
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| tokio::runtime::Builder::new_current_thread().build().unwrap());

/// A component, as it comes. Loading it ends in a policy or in an error that names its step; a policy
/// that was loaded can be asked.
pub fn loader(bytes: &[u8]) {
    match load(bytes) {
        Ok(policy) => drop(ask(policy)),
        Err(error) => clean(&error),
    }
}

/// What a policy answers: the first byte says to which question, the rest are the bytes of its answer
/// and of all that it points at.
///
/// Loading a policy takes a hundred times as long as asking one. So of all first bytes two stand for what is asked while a
/// policy is loaded, and all others for what is asked of one that was loaded once and gets its answer with the question.
pub fn values(bytes: &[u8]) {
    let Some((question, answer)) = bytes.split_first() else { return };
    match question {
        0 => loader(&DESCRIBING.answering(answer)),
        1 => loader(&INITIALISING.answering(answer)),
        _ => drop(answered(answer)),
    }
}

static DESCRIBING: LazyLock<Template> = LazyLock::new(|| Template::of(|guest, body| guest.describe = body));
static INITIALISING: LazyLock<Template> = LazyLock::new(|| Template::of(|guest, body| guest.init = body));
static REPEATING: LazyLock<LoadedPolicy> = LazyLock::new(|| load(&repeating()).unwrap());

/// A component, and where in its bytes an answer stands.
struct Template {
    component: Vec<u8>,
    at: usize,
}

impl Template {
    fn of(put: impl FnOnce(&mut Guest, String)) -> Self {
        // Nothing else in a component comes to it.
        let mark: Vec<u8> = (0..ANSWER_BYTES).map(|n| u8::try_from(n * n % 251).unwrap()).collect();
        let mut guest = Guest::new();
        let body = guest.leaving(|_| mark.clone());
        put(&mut guest, body);
        let component = guest.build();
        let at = component.windows(ANSWER_BYTES).position(|window| window == mark).expect("the answer stands in it");
        Self { component, at }
    }

    fn answering(&self, answer: &[u8]) -> Vec<u8> {
        let mut component = self.component.clone();
        component[self.at..self.at + ANSWER_BYTES].copy_from_slice(&whole(answer));
        component
    }
}

/// As many bytes as stand for an answer.
fn whole(answer: &[u8]) -> [u8; ANSWER_BYTES] {
    let mut whole = [0; ANSWER_BYTES];
    let count = answer.len().min(ANSWER_BYTES);
    whole[..count].copy_from_slice(&answer[..count]);
    whole
}

/// What the answer begins with, in the text that the arguments of a request are.
const MARK: [u8; 8] = *b"ANSWER::";

/// A component that looks for its answer in the context: after the mark, two letters of the first sixteen for each byte.
fn repeating() -> Vec<u8> {
    let mut guest = Guest::new();
    let answer = guest.leaving(|_| vec![0; ANSWER_BYTES]);
    let (context, mark) = (guest.image.end(), i64::from_le_bytes(MARK));
    guest.evaluate = format!(
        "(local $at i32) (local $count i32)
        (local.set $at (i32.const {context}))
        (block $found (loop $next
          (br_if $found (i64.eq (i64.load (local.get $at)) (i64.const {mark})))
          (local.set $at (i32.add (local.get $at) (i32.const 1)))
          (br $next)))
        (local.set $at (i32.add (local.get $at) (i32.const 8)))
        (loop $copy
          (i32.store8
            (i32.add {answer} (local.get $count))
            (i32.or
              (i32.shl (i32.sub (i32.load8_u (local.get $at)) (i32.const 97)) (i32.const 4))
              (i32.sub (i32.load8_u offset=1 (local.get $at)) (i32.const 97))))
          (local.set $at (i32.add (local.get $at) (i32.const 2)))
          (local.set $count (i32.add (local.get $count) (i32.const 1)))
          (br_if $copy (i32.lt_u (local.get $count) (i32.const {ANSWER_BYTES}))))
        {answer}"
    );
    guest.build()
}

/// What comes of an answer.
pub(crate) fn answered(answer: &[u8]) -> Outcome {
    let letters = |byte: &u8| [b'a' + (byte >> 4), b'a' + (byte & 15)].map(char::from);
    let text: String = MARK.map(char::from).into_iter().chain(whole(answer).iter().flat_map(letters)).collect();
    let mut context = EvaluationContext::clone(&context());
    context.request.arguments = JsonText::from_canonical(format!("\"{text}\""));
    ask_about(REPEATING.clone(), Arc::new(context))
}

pub(crate) fn load(bytes: &[u8]) -> Result<LoadedPolicy, LoadError> {
    ENGINE.load("fuzz".parse().unwrap(), bytes, "{}", LIMITS)
}

fn clean(error: &LoadError) {
    let text = error.to_string();
    assert!(text.len() < 4_096, "{text}");
    assert!(!text.contains("panicked"), "{text}");
    assert!(text.chars().all(|c| !c.is_control() || c == '\n'), "{text:?}");
}

/// What a policy comes to. Whatever it does, the engine stays whole.
pub(crate) fn ask(policy: LoadedPolicy) -> Outcome {
    ask_about(policy, context())
}

fn ask_about(policy: LoadedPolicy, context: Arc<EvaluationContext>) -> Outcome {
    let question = Question { policy, known: Known::default() };
    let mut evaluations = RUNTIME.block_on(ENGINE.evaluate(vec![question], context)).unwrap();
    assert_eq!(evaluations.len(), 1);
    let evaluation = evaluations.remove(0);
    let detail = evaluation.failure_detail.as_deref().unwrap_or_default();
    assert!(detail.len() <= 1_024 && !detail.contains("engine panicked"), "{detail}");
    evaluation.outcome
}
