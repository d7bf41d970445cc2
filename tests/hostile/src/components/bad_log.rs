//! Gives the log what is no message: beyond its memory, larger than it, no text, of no level.

use crate::Variants;
use crate::kit::Guest;

pub(crate) fn make() -> Variants {
    let saying = |level: i64, at: i64, length: i64| {
        let mut guest = Guest::allow();
        guest.fields = r#"(data (i32.const 512) "\ff\fe\c0\80\ed\a0\80")"#.into();
        let answer = guest.evaluate.clone();
        guest.evaluate = format!("(call $log (i32.const {level}) (i32.const {at}) (i32.const {length})) {answer}");
        guest.build()
    };
    vec![
        ("beyond its memory", saying(0, 0x7fff_fff0, 8)),
        ("across its end", saying(0, 2 * 65_536 - 4, 8)),
        ("larger than it", saying(0, 0, 0xffff_ffff)),
        ("no UTF-8", saying(0, 512, 2)),
        ("an overlong NUL", saying(0, 514, 2)),
        ("half a surrogate", saying(0, 516, 3)),
        ("no level", saying(4, 512, 0)),
        ("no level at all", saying(-1, 512, 0)),
    ]
}
