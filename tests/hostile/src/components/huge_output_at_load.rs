//! Describes itself, or declares its requirements, at more length than is taken.

use crate::Variants;
use crate::kit::{Guest, words};

pub(crate) fn make() -> Variants {
    let mut describe = Guest { pages: 256, ..Guest::new() };
    describe.describe = describe.leaving(|_| words(&[1_024, 8_000_000, 1_024, 8_000_000, 1_024, 8_000_000]));
    let mut init = Guest { pages: 256, ..Guest::new() };
    init.init = init.leaving(|_| words(&[0, 65_536, 1_000_000, 65_536, 800_000, 65_536, 800_000]));
    let mut error = Guest { pages: 20, ..Guest::new() };
    error.init = error.error(&"x".repeat(900_000), 4);
    vec![("describe", describe.build()), ("init", init.build()), ("an error", error.build())]
}
