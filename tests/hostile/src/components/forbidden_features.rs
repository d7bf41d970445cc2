//! One module for each feature of WebAssembly that policies may not use.

use crate::Variants;
use crate::kit::{Guest, component};

/// The name that the runtime has for each feature, and fields of a module that use it.
const MODULES: &[(&str, &str)] = &[
    ("THREADS", "(memory $shared 1 1 shared) (func (drop (i32.atomic.load $shared (i32.const 0))))"),
    ("MEMORY64", "(memory $more i64 1)"),
    ("EXCEPTIONS", "(tag $t) (func (throw $t))"),
    ("LEGACY_EXCEPTIONS", "(tag $t) (func try catch $t end)"),
    ("GC", "(type $s (struct (field i32))) (func (result (ref $s)) (struct.new_default $s))"),
    ("GC_TYPES", "(table 1 externref)"),
    ("FUNCTION_REFERENCES", "(type $f (func)) (func (param (ref $f)) (call_ref $f (local.get 0)))"),
    ("TAIL_CALL", "(func $f (return_call $f))"),
    ("RELAXED_SIMD", "(func (param v128) (result v128) (i32x4.relaxed_trunc_f32x4_s (local.get 0)))"),
    ("CUSTOM_PAGE_SIZES", "(memory $bytes 1 (pagesize 1))"),
    (
        "WIDE_ARITHMETIC",
        "(func (param i64 i64 i64 i64) (result i64 i64)
        (i64.add128 (local.get 0) (local.get 1) (local.get 2) (local.get 3)))",
    ),
    ("STACK_SWITCHING", "(type $f (func)) (type $c (cont $f)) (func (result (ref null $c)) (ref.null $c))"),
];

/// The same, as fields of a component.
const COMPONENTS: &[(&str, &str)] = &[
    ("CM_ASYNC", "(core func (canon task.cancel))"),
    ("CM_ASYNC_BUILTINS", "(core func (canon subtask.cancel async))"),
    ("CM_ERROR_CONTEXT", "(core func (canon error-context.drop))"),
    ("CM_FIXED_LENGTH_LISTS", "(type (list u8 4))"),
];

pub(crate) fn make() -> Variants {
    let module =
        |&(feature, fields): &(&'static str, &str)| (feature, Guest { fields: fields.into(), ..Guest::new() }.build());
    let with = |&(feature, fields): &(&'static str, &str)| (feature, component(fields));
    MODULES.iter().map(module).chain(COMPONENTS.iter().map(with)).collect()
}
