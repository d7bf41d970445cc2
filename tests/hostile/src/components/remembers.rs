//! Leaves marks wherever an instance keeps anything, and traps if it finds one when it is asked again:
//! in memory, in memory that it got later, in globals, in tables, and in segments that it dropped.

use crate::Variants;
use crate::kit::Guest;

pub(crate) fn make() -> Variants {
    let remembering = |fields: &str, found: &str, mark: &str| {
        let mut guest = Guest { fields: fields.into(), ..Guest::new() };
        guest.evaluate = format!("(if {found} (then unreachable)) {mark} {}", guest.evaluate);
        guest.build()
    };
    let table = "(table $t 2 10 funcref) (elem declare func $init)";
    vec![
        ("memory", remembering("", "(i32.load (i32.const 100000))", "(i32.store (i32.const 100000) (i32.const 1))")),
        (
            "static data",
            remembering(
                r#"(data (i32.const 512) "\00\00\00\00")"#,
                "(i32.load (i32.const 512))",
                "(i32.store (i32.const 512) (i32.const 1))",
            ),
        ),
        (
            "later memory",
            remembering(
                "",
                "(i32.ne (memory.size) (i32.const 2))",
                "(drop (memory.grow (i32.const 1)))
                 (if (i32.load (i32.const 140000)) (then unreachable)) (i32.store (i32.const 140000) (i32.const 1))",
            ),
        ),
        (
            "global",
            remembering(
                "(global $g (mut i64) (i64.const 0))",
                "(i64.ne (global.get $g) (i64.const 0))",
                "(global.set $g (i64.const 1))",
            ),
        ),
        (
            "table",
            remembering(
                table,
                "(i32.eqz (ref.is_null (table.get $t (i32.const 1))))",
                "(table.set $t (i32.const 1) (ref.func $init))",
            ),
        ),
        (
            "later table",
            remembering(
                table,
                "(i32.ne (table.size $t) (i32.const 2))",
                "(drop (table.grow $t (ref.func $init) (i32.const 1)))",
            ),
        ),
        (
            "dropped data",
            remembering(
                r#"(data $d "\01") (func $use (memory.init $d (i32.const 512) (i32.const 0) (i32.const 1)))"#,
                "(i32.load8_u (i32.const 512))",
                "(call $use) (data.drop $d)",
            ),
        ),
        (
            "dropped elements",
            remembering(
                "(table $t 2 funcref) (elem $e func $init)",
                "(i32.eqz (ref.is_null (table.get $t (i32.const 1))))",
                "(table.init $t $e (i32.const 1) (i32.const 0) (i32.const 1)) (elem.drop $e)",
            ),
        ),
    ]
}
