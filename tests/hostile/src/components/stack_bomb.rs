//! Recurses until its stack is full: with small frames, with large ones, and by way of a table.

use std::fmt::Write as _;

use crate::Variants;
use crate::kit::Guest;

pub(crate) fn make() -> Variants {
    let guest = |fields: &str| Guest { fields: fields.into(), ..Guest::evaluating("(call $f) unreachable") }.build();
    // Every value is needed after the call, so that all of them have to be kept.
    let mut large = String::from("(func $f (local i64) ");
    for n in 0..500 {
        write!(large, "(i64.load (i32.const {}))", n * 8).unwrap();
    }
    large.push_str("(call $f)");
    large.push_str(&"i64.add ".repeat(499));
    large.push_str("local.set 0)");
    vec![
        ("small frames", guest("(func $f (call $f))")),
        ("large frames", guest(&large)),
        (
            "table",
            guest(
                "(type $v (func)) (table $t 1 funcref) (elem (i32.const 0) $f)
                 (func $f (call_indirect $t (type $v) (i32.const 0)))",
            ),
        ),
    ]
}
