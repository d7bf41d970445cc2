//! More memories, tables or instances than a policy may have: in one module, and over many.

use std::fmt::Write as _;

use crate::Variants;
use crate::kit::{Guest, component};

pub(crate) fn make() -> Variants {
    let module = |field: &str, count: usize| Guest { fields: field.repeat(count), ..Guest::new() }.build();
    let instances = |field: &str, count: usize| {
        let mut text = format!("(core module $m {field})");
        for _ in 0..count {
            write!(text, "(core instance (instantiate $m))").unwrap();
        }
        component(&text)
    };
    vec![
        ("5 memories", module("(memory 1)", 4)),
        ("90 tables", module("(table 1 funcref)", 90)),
        ("5 modules with a memory", instances("(memory 1)", 5)),
        ("500 modules with a memory", instances("(memory 0)", 500)),
        ("20 modules with a table", instances("(table 1 funcref)", 20)),
        ("900 instances", instances("", 900)),
    ]
}
