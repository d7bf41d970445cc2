//! Components that are made to be compiled slowly, or with much memory. Each is within the size that a
//! component may have, and within what one function of WebAssembly may have.

use attorn_hostile::kit::Guest;

use super::module::{number, with_functions};

/// One of them.
pub(super) struct Slow {
    pub(super) name: &'static str,
    /// Makes it, or one that is this many times smaller.
    pub(super) make: fn(usize) -> Vec<u8>,
}

/// All of them.
pub(super) const ALL: &[Slow] = &[
    Slow { name: "many_functions", make: many_functions },
    Slow { name: "long_functions", make: long_functions },
    Slow { name: "one_long_function", make: one_long_function },
    Slow { name: "many_live_values", make: many_live_values },
    Slow { name: "loops_over_all_locals", make: loops_over_all_locals },
    Slow { name: "nested_blocks", make: nested_blocks },
    Slow { name: "large_br_tables", make: large_br_tables },
    Slow { name: "sparse_memory", make: sparse_memory },
];

/// The most that WebAssembly engines take: of one function in bytes, of its locals, of data segments.
const FUNCTION_BYTES_MAX: usize = 7_600_000;
const LOCALS_MAX: u32 = 50_000;
const SEGMENTS_MAX: usize = 100_000;
/// Below the size that a component may have, 32 MiB, with room for the rest of it.
const CODE_BYTES: usize = 31 << 20;

// Opcodes.
const BLOCK: u8 = 0x02;
const LOOP: u8 = 0x03;
const VOID: u8 = 0x40;
const END: u8 = 0x0b;
const BR_IF: u8 = 0x0d;
const BR_TABLE: u8 = 0x0e;
const LOCAL_GET: u8 = 0x20;
const LOCAL_SET: u8 = 0x21;
const I64_CONST: u8 = 0x42;
const I64_EQZ: u8 = 0x50;
const I64_ADD: u8 = 0x7c;
const I64_MUL: u8 = 0x7e;
const I64_ROTL: u8 = 0x89;
const I32_WRAP_I64: u8 = 0xa7;
const I64: u8 = 0x7e;

/// A component whose functions, beside those of every policy, have these bodies. Each takes an `i64` and
/// gives one.
fn component(bodies: &[Vec<u8>]) -> Vec<u8> {
    let guest = Guest { fields: "(func (param i64) (result i64) (local.get 0))".into(), ..Guest::new() };
    guest.encode(&with_functions(&guest.module(), bodies))
}

/// The beginning of a body: so many locals beside the parameter, all `i64`.
fn body(locals: u32) -> Vec<u8> {
    if locals == 0 {
        return vec![0];
    }
    let mut body = vec![1];
    number(locals, &mut body);
    body.push(I64);
    body
}

fn local(opcode: u8, n: u32, to: &mut Vec<u8>) {
    to.push(opcode);
    number(n, to);
}

/// A constant that is no other function's, so that no function is found compiled already. It takes four
/// bytes; whether that reads as a negative number does not matter.
fn constant(n: usize, to: &mut Vec<u8>) {
    to.push(I64_CONST);
    number(u32::try_from(n & 0x7ff_ffff).unwrap() | 0x800_0000, to);
}

/// Multiply, rotate, add: x = x * n + rotl(x, n).
fn step(n: usize, to: &mut Vec<u8>) {
    local(LOCAL_GET, 0, to);
    constant(n, to);
    to.push(I64_MUL);
    local(LOCAL_GET, 0, to);
    constant(n, to);
    to.extend([I64_ROTL, I64_ADD]);
    local(LOCAL_SET, 0, to);
}

fn ended(mut body: Vec<u8>) -> Vec<u8> {
    local(LOCAL_GET, 0, &mut body);
    body.push(END);
    body
}

fn straight(first: usize, bytes_max: usize) -> Vec<u8> {
    let mut body = body(0);
    for n in first.. {
        if body.len() + 32 > bytes_max {
            break;
        }
        step(n, &mut body);
    }
    ended(body)
}

/// 100,000 functions that do next to nothing.
fn many_functions(smaller: usize) -> Vec<u8> {
    component(&(0..100_000 / smaller).map(|n| straight(n * 4, 64)).collect::<Vec<_>>())
}

/// As much straight code as a component may have, in functions of 4 KiB.
fn long_functions(smaller: usize) -> Vec<u8> {
    component(&(0..CODE_BYTES / 4_200 / smaller).map(|n| straight(n * 1_000, 4_096)).collect::<Vec<_>>())
}

/// The same in functions that are as long as they may be.
fn one_long_function(smaller: usize) -> Vec<u8> {
    component(&[straight(0, FUNCTION_BYTES_MAX / smaller)])
}

/// Values that all have to be kept until the last of them is there.
fn many_live_values(smaller: usize) -> Vec<u8> {
    let (mut body, count) = (body(0), 600_000 / smaller);
    local(LOCAL_GET, 0, &mut body);
    for n in 0..count {
        local(LOCAL_GET, 0, &mut body);
        constant(n, &mut body);
        body.push(I64_MUL);
    }
    body.extend(std::iter::repeat_n(I64_ADD, count));
    local(LOCAL_SET, 0, &mut body);
    component(&[ended(body)])
}

/// Loops in loops, in the innermost of which every local changes: each loop has to carry all of them.
fn loops_over_all_locals(smaller: usize) -> Vec<u8> {
    let (locals, depth) = (LOCALS_MAX - 1, 30);
    let locals = locals / u32::try_from(smaller).unwrap();
    let mut body = body(locals);
    for _ in 0..depth {
        body.extend([LOOP, VOID]);
    }
    for n in 0..locals {
        local(LOCAL_GET, n, &mut body);
        local(LOCAL_GET, n + 1, &mut body);
        body.push(I64_ADD);
        local(LOCAL_SET, n + 1, &mut body);
    }
    for _ in 0..depth {
        local(LOCAL_GET, locals, &mut body);
        body.extend([I64_EQZ, BR_IF, 0, END]);
    }
    component(&[ended(body)])
}

/// Blocks in blocks, as many as fit.
fn nested_blocks(smaller: usize) -> Vec<u8> {
    let (mut body, depth) = (body(0), 700_000 / smaller);
    for _ in 0..depth {
        body.extend([BLOCK, VOID]);
    }
    for n in 0..depth {
        local(LOCAL_GET, 0, &mut body);
        // The label that is as far out as a byte can say.
        body.extend([I64_EQZ, BR_IF, u8::try_from(n.min(depth - 1 - n).min(100)).unwrap(), END]);
    }
    component(&[ended(body)])
}

/// Switches over a hundred blocks, of as many targets each as the compiler takes.
fn large_br_tables(smaller: usize) -> Vec<u8> {
    let (blocks, tables, targets) = (100_u8, 100, 65_000 / smaller);
    let mut body = body(0);
    for table in 0..tables {
        for _ in 0..blocks {
            body.extend([BLOCK, VOID]);
        }
        local(LOCAL_GET, 0, &mut body);
        body.extend([I32_WRAP_I64, BR_TABLE]);
        number(u32::try_from(targets).unwrap(), &mut body);
        body.extend((0..targets).map(|n| (n % usize::from(blocks)).to_le_bytes()[0]));
        body.push(0);
        for block in 0..blocks {
            body.push(END);
            step(table * 1_000 + usize::from(block), &mut body);
        }
    }
    component(&[ended(body)])
}

/// A memory as large as a policy may have, with bytes all over it.
fn sparse_memory(smaller: usize) -> Vec<u8> {
    let (pages, segments) = (2_000, SEGMENTS_MAX / 2 / smaller);
    let apart = pages * 65_536 / segments;
    // Beyond where the kit puts its own data.
    let segment = |n: usize| format!("(data (i32.const {}) \"x\")", 65_536 + n * apart * 63 / 64);
    let fields = (0..segments).map(segment).collect::<Vec<_>>().concat();
    Guest { fields, pages: u32::try_from(pages).unwrap(), ..Guest::new() }.build()
}
