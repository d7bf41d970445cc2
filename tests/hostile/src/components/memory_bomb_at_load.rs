//! Wants all the memory that there is before it is in force.

use crate::Variants;
use crate::kit::{Guest, MEMORY_BOMB};

pub(crate) fn make() -> Variants {
    let start = format!("(func $start {MEMORY_BOMB}) (start $start)");
    vec![
        ("describe", Guest { describe: MEMORY_BOMB.into(), ..Guest::new() }.build()),
        ("init", Guest { init: MEMORY_BOMB.into(), ..Guest::new() }.build()),
        ("start", Guest { fields: start, ..Guest::new() }.build()),
    ]
}
