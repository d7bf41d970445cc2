//! Writes to its log and never stops: empty messages, long ones, and nothing else.

use crate::Variants;
use crate::kit::Guest;

pub(crate) fn make() -> Variants {
    let flood = |length: usize| {
        let mut guest = Guest::new();
        let message = guest.text(&"x".repeat(length));
        guest.evaluate = format!("(loop $again (call $log (i32.const 0) {message}) (br $again)) unreachable");
        guest.build()
    };
    vec![("empty", flood(0)), ("short", flood(10)), ("long", flood(60_000))]
}
