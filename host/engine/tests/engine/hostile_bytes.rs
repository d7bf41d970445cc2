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
