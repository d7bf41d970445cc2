//! Bytes that are nearly a component. None may panic, hang or take more than its limits.

use std::sync::LazyLock;

use attorn_core::PolicyLimits;
use attorn_engine::Engine;
use proptest::prelude::*;

use crate::kit::{Guest, PATIENT, asked, context, engine, load_bytes};

static ENGINE: LazyLock<Engine> = LazyLock::new(engine);
static COMPONENT: LazyLock<Vec<u8>> = LazyLock::new(|| Guest::deny("shown", "no").build());

/// Load it; if that works, evaluate it.
fn survive(bytes: &[u8]) {
    let Ok(policy) = load_bytes(&ENGINE, bytes, PolicyLimits { cpu_us_max: 2_000, ..PATIENT }) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let evaluations = runtime.block_on(ENGINE.evaluate(asked(vec![policy]), context())).unwrap();
    assert_eq!(evaluations.len(), 1);
    assert_ne!(evaluations[0].failure_detail.as_deref(), Some("the engine panicked"));
}

/// Policies that are valid WebAssembly and do something else than was meant: a mutator works on a good one,
/// some steps at a time.
#[test]
fn mutated_modules() {
    const SEEDS: u64 = 150;
    const STEPS: u64 = 4;
    let guest = Guest::deny("shown", "no");
    let mut components = 0;
    for seed in 0..SEEDS {
        let mut module = guest.module();
        for step in 0..STEPS {
            let mut mutator = wasm_mutate::WasmMutate::default();
            mutator.seed(seed * STEPS + step).preserve_semantics(false).fuel(10_000);
            let next = mutator.run(&module).ok().and_then(|mut all| all.next()).and_then(Result::ok);
            module = next.unwrap_or(module);
        }
        if let Some(component) = guest.try_encode(&module).filter(|_| module != guest.module()) {
            components += 1;
            survive(&component);
        }
    }
    assert!(components > SEEDS / 3, "only {components} of {SEEDS} were components");
}

/// Components that a generator made, with whatever the component model has.
#[test]
fn generated_components() {
    const SEEDS: u64 = 300;
    let mut components = 0;
    for seed in 0..SEEDS {
        let mut bytes = vec![0; 4_096];
        blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
        let mut choices = arbitrary::Unstructured::new(&bytes);
        if let Ok(component) = wasm_smith::Component::new(wasm_smith::Config::default(), &mut choices) {
            components += 1;
            survive(&component.to_bytes());
        }
    }
    assert!(components > SEEDS / 3, "only {components} of {SEEDS} were components");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn mutated_bytes(edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let mut bytes = COMPONENT.clone();
        for (at, byte) in edits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        survive(&bytes);
    }

    #[test]
    fn bytes_taken_out(from in any::<prop::sample::Index>(), count in 1..32_usize) {
        let mut bytes = COMPONENT.clone();
        let from = from.index(bytes.len());
        bytes.drain(from..(from + count).min(bytes.len()));
        survive(&bytes);
    }

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
        survive(&bytes);
        survive(&[b"\0asm\x0d\0\x01\0", bytes.as_slice()].concat());
    }
}
