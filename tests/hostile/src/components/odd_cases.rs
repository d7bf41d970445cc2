//! Values that no case stands for: of results, verdicts and options.

use crate::Variants;
use crate::kit::{Guest, words};

pub(crate) fn make() -> Variants {
    let leaving = |result: &[u32]| {
        let mut guest = Guest::new();
        guest.evaluate = guest.leaving(|_| [words(result), vec![0; 64]].concat());
        guest.build()
    };
    vec![
        ("result", leaving(&[2])),
        ("verdict", leaving(&[0, 0, 4])),
        ("verdict 255", leaving(&[0, 0, 255])),
        ("option", leaving(&[0, 0, 0, 0, 2])),
        ("another option", leaving(&[0, 0, 0, 0, 0, 0, 0, 0, 7])),
    ]
}
