//! Never answers: by a loop, and by calls that never return.

use crate::Variants;
use crate::kit::{Guest, LOOP};

pub(crate) fn make() -> Variants {
    let calls = Guest {
        fields: "(func $idle) (func $calls (loop $again (call $idle) (br $again)))".into(),
        ..Guest::evaluating("(call $calls) unreachable")
    };
    let table = Guest {
        fields: "(type $idle (func)) (table $t 1 funcref) (elem (i32.const 0) $idle) (func $idle)".into(),
        ..Guest::evaluating("(loop $again (call_indirect $t (type $idle) (i32.const 0)) (br $again)) unreachable")
    };
    vec![("loop", Guest::evaluating(LOOP).build()), ("calls", calls.build()), ("table", table.build())]
}
