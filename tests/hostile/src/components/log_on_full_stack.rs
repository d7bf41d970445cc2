//! Recurses, and calls the host at every 64th depth: the host's own code runs on what is left of the stack.

use crate::Variants;
use crate::kit::Guest;

pub(crate) fn make() -> Variants {
    let mut guest = Guest::evaluating("(call $deeper (i32.const 0)) unreachable");
    let message = guest.text("x");
    guest.fields = format!(
        "(func $deeper (param $depth i32)
           (if (i32.eqz (i32.and (local.get $depth) (i32.const 63))) (then (call $log (i32.const 0) {message})))
           (call $deeper (i32.add (local.get $depth) (i32.const 1))))"
    );
    guest.alone()
}
