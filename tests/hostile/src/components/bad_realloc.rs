//! Gives the host memory that is not there, for the context that the host wants to hand over.

use crate::Variants;
use crate::kit::Guest;

pub(crate) fn make() -> Variants {
    let giving = |address: i64| {
        let mut guest = Guest::new();
        guest.fields = "(global $ready (mut i32) (i32.const 0))".into();
        guest.init = format!("(global.set $ready (i32.const 1)) {}", guest.init);
        guest.realloc = format!("(if (global.get $ready) (then (return (i32.const {address})))) {}", guest.realloc);
        guest.build()
    };
    vec![("far out", giving(-16)), ("across the end", giving(2 * 65_536 - 2)), ("not aligned", giving(1_027))]
}
