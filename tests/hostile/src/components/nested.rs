//! Components within components, and types within types: what follows them one level at a time runs out
//! of stack, and what writes them out runs out of memory.

use std::fmt::Write as _;

use wasm_encoder::{ComponentSection, RawSection};

use crate::Variants;
use crate::kit::component;

pub(crate) fn make() -> Variants {
    vec![
        ("3,000 components", components(3_000)),
        ("types that double", doubling(40)),
        ("types that deepen", deepening(900)),
    ]
}

fn components(depth: usize) -> Vec<u8> {
    let mut bytes = wasm_encoder::Component::new().finish();
    for _ in 0..depth {
        let mut outer = wasm_encoder::Component::HEADER.to_vec();
        // A component within a component is a section of this number.
        RawSection { id: 4, data: &bytes }.append_to_component(&mut outer);
        bytes = outer;
    }
    bytes
}

fn doubling(times: usize) -> Vec<u8> {
    let mut text = String::from("(type $t0 (tuple u8 u8))");
    for n in 0..times {
        write!(text, "(type $t{} (tuple $t{n} $t{n}))", n + 1).unwrap();
    }
    component(&text)
}

fn deepening(times: usize) -> Vec<u8> {
    let mut text = String::from("(type $t0 (list u8))");
    for n in 0..times {
        write!(text, "(type $t{} (list $t{n}))", n + 1).unwrap();
    }
    component(&text)
}
