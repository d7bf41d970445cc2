//! Gives the host no memory for the settings, or calls the host while it should.

use crate::Variants;
use crate::kit::{Guest, LOOP};

pub(crate) fn make() -> Variants {
    let with = |realloc: &str| Guest { realloc: realloc.into(), ..Guest::new() }.build();
    vec![
        ("far out", with("(i32.const -16)")),
        ("a trap", with("unreachable")),
        ("a loop", with(LOOP)),
        ("a call to the host", with("(call $log (i32.const 0) (i32.const 0) (i32.const 0)) (i32.const 8)")),
    ]
}
