//! Looks for what other policies left: through all memory that it can get, what the host handed over
//! included, and through its tables. It traps if it finds a mark of [`leaves_marks`](super::leaves_marks).

use crate::Variants;
use crate::kit::{Guest, MARK};

pub(crate) fn make() -> Variants {
    let mut guest = Guest { fields: "(table $t 2 1000 funcref)".into(), ..Guest::new() };
    let found = format!("(i64.eq (i64.load (local.get $at)) (i64.const 0x{}))", format!("{MARK:02x}").repeat(8));
    guest.evaluate = format!(
        "(local $at i32) (drop (memory.grow (i32.const 30)))
         (loop $more
           (if {found} (then unreachable))
           (local.set $at (i32.add (local.get $at) (i32.const 512)))
           (br_if $more (i32.lt_u (local.get $at) (i32.const 2097152))))
         (drop (table.grow $t (ref.null func) (i32.const 100)))
         (local.set $at (i32.const 0))
         (loop $more
           (if (i32.eqz (ref.is_null (table.get $t (local.get $at)))) (then unreachable))
           (local.set $at (i32.add (local.get $at) (i32.const 1)))
           (br_if $more (i32.lt_u (local.get $at) (i32.const 102)))) {}",
        guest.evaluate
    );
    guest.alone()
}
