//! Fills all memory that it can get with marks, for [`searches`](super::searches) to find.

use crate::Variants;
use crate::kit::{Guest, MARK};

pub(crate) fn make() -> Variants {
    let mut guest = Guest { fields: "(table $t 2 1000 funcref) (elem declare func $init)".into(), ..Guest::new() };
    guest.evaluate = format!(
        "(drop (memory.grow (i32.const 30)))
         (memory.fill (i32.const 65536) (i32.const {MARK}) (i32.const 2031616))
         (drop (table.grow $t (ref.func $init) (i32.const 100))) {}",
        guest.evaluate
    );
    guest.alone()
}
