//! Denies at length: 1,024 reasons that all share the 900 KB that are there.

use crate::Variants;
use crate::kit::{Guest, words};

pub(crate) fn make() -> Variants {
    let long = |align: usize| {
        let mut guest = Guest { pages: 20, ..Guest::new() };
        guest.evaluate = guest.error(&"x".repeat(900_000), align);
        guest.build()
    };
    let shared = Guest { pages: 256, ..Guest::new() }.saying(2, |_| words(&[1_024, 900_000]));
    vec![("shared", shared.build()), ("an error", long(8))]
}
