//! More memories or tables than a policy may have: in one module, and over many. And more instances than
//! any pool has, which is slow and no harm.

use std::fmt::Write as _;

use wasm_encoder::{ComponentSection, InstanceSection, Module, ModuleArg, ModuleSection};

use crate::Variants;
use crate::kit::{Guest, component};

/// How many modules a guest has: its own, and two that connect it with its imports.
const MODULES_OF_A_GUEST: u32 = 3;

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
        ("900 instances", policy_with_instances(900)),
    ]
}

/// A policy that is good apart from these.
fn policy_with_instances(count: u32) -> Vec<u8> {
    let mut bytes = Guest::new().build();
    ModuleSection(&Module::new()).append_to_component(&mut bytes);
    let mut instances = InstanceSection::new();
    for _ in 0..count {
        let no_arguments: [(&str, ModuleArg); 0] = [];
        instances.instantiate(MODULES_OF_A_GUEST, no_arguments);
    }
    instances.append_to_component(&mut bytes);
    bytes
}
