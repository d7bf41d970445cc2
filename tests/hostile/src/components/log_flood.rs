//! Allows, after more messages than its log holds.

use crate::Variants;
use crate::kit::Guest;

pub(crate) fn make() -> Variants {
    let mut guest = Guest::allow();
    let (answer, message) = (guest.evaluate.clone(), guest.text(&"x".repeat(1_000)));
    guest.evaluate = format!(
        "(local $n i32) (loop $again (call $log (i32.const 2) {message})
           (br_if $again (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 100)))) {answer}"
    );
    guest.alone()
}
