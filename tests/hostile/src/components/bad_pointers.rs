//! Points where nothing is: out of its memory, across its end, and not where such values may stand.

use crate::Variants;
use crate::kit::{Guest, words};

pub(crate) fn make() -> Variants {
    let at = |address: i64| Guest::evaluating(format!("(i32.const {address})")).build();
    let list = |at: u32, length: u32| Guest::new().saying(2, |_| words(&[at, length])).build();
    vec![
        ("the last byte", at(2 * 65_536 - 8)),
        ("far out", at(-8)),
        ("not aligned", at(1_025)),
        ("a list far out", list(u32::MAX - 7, 1)),
        ("a list across the end", list(2 * 65_536 - 8, 1)),
        ("a list that is not aligned", list(1_026, 1)),
        ("a list longer than all memory", list(1_024, u32::MAX)),
        ("a list whose bytes overflow", list(1_024, 0x1000_0001)),
    ]
}
