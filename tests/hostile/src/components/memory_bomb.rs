//! Wants all the memory that there is, in small steps, in one, and while the host asks for a little.

use crate::Variants;
use crate::kit::{Guest, MEMORY_BOMB};

pub(crate) fn make() -> Variants {
    let all = "(if (i32.eq (memory.grow (i32.const 65000)) (i32.const -1)) (then unreachable)) unreachable";
    let mut realloc = Guest::new();
    realloc.fields = "(global $ready (mut i32) (i32.const 0))".into();
    realloc.init = format!("(global.set $ready (i32.const 1)) {}", realloc.init);
    realloc.realloc = format!("(if (global.get $ready) (then {MEMORY_BOMB})) {}", realloc.realloc);
    vec![
        ("in steps", Guest::evaluating(MEMORY_BOMB).build()),
        ("at once", Guest::evaluating(all).build()),
        ("in realloc", realloc.build()),
    ]
}
