//! Traps in the middle of its work: after it wrote to memory and log, and grew what it has.

use crate::Variants;
use crate::kit::Guest;

pub(crate) fn make() -> Variants {
    let trapping = |trap: &str| {
        let mut guest = Guest::new();
        let message = guest.text("half done");
        guest.evaluate = format!(
            "(i32.store (i32.const 100000) (i32.const 1)) (drop (memory.grow (i32.const 1)))
             (call $log (i32.const 1) {message}) {trap} unreachable"
        );
        guest.build()
    };
    vec![
        ("unreachable", trapping("")),
        ("out of bounds", trapping("(drop (i32.load (i32.const -8)))")),
        ("division by zero", trapping("(drop (i32.div_s (i32.const 1) (i32.const 0)))")),
        ("overflow", trapping("(drop (i32.trunc_f64_s (f64.const 1e300)))")),
        ("a copy out of bounds", trapping("(memory.fill (i32.const 0) (i32.const 1) (i32.const -1))")),
    ]
}
