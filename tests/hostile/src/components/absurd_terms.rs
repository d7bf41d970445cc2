//! Allows on terms that permit nothing or too much, or ask for nobody.

use crate::Variants;
use crate::kit::{Guest, Image, words};

pub(crate) fn make() -> Variants {
    let allowing = |terms: Vec<u8>| Guest::new().saying(0, |_| [terms, words(&[0, 0])].concat()).build();
    let asking = |count: u32| {
        Guest::new().saying(1, |image| {
            let requirement = [image.string("user"), words(&[count])].concat();
            let approvers = image.list(&[requirement]);
            [approvers, Image::no_terms(), image.reason("shown", "x")].concat()
        })
    };
    vec![
        ("for 0 ms", allowing(words(&[1, 0, 0, 0, 0, 0, 0, 0, 0, 0]))),
        ("for longer than a number of the contract says", allowing(words(&[1, 0, 0, 1 << 21, 0, 0, 0, 0, 0, 0]))),
        ("0 uses", allowing(words(&[0, 0, 0, 0, 1, 0, 0, 0, 0, 0]))),
        ("0 approvals", asking(0).build()),
        (
            "no approvals",
            Guest::new()
                .saying(1, |image| [words(&[0, 0]), Image::no_terms(), image.reason("shown", "x")].concat())
                .build(),
        ),
        ("no reason", Guest::new().saying(2, |_| words(&[0, 0])).build()),
        (
            "17 reasons",
            Guest::new()
                .saying(2, |image| {
                    let reason = image.reason("shown", "x");
                    image.list(&vec![reason; 17])
                })
                .build(),
        ),
    ]
}
