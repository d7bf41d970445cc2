//! An error, facts, reasons and counters that are no UTF-8.

use crate::Variants;
use crate::kit::{Guest, Image, NO_UTF8, words};

pub(crate) fn make() -> Variants {
    let leaving = |make: fn(&mut Image) -> Vec<u8>| {
        let mut guest = Guest::new();
        guest.init = guest.leaving(make);
        guest.build()
    };
    vec![
        ("error", leaving(|image| [words(&[1]), image.bytes(NO_UTF8), words(&[0; 4])].concat())),
        (
            "fact",
            leaving(|image| {
                let fact = image.bytes(NO_UTF8);
                [words(&[0]), image.list(&[fact]), words(&[0; 4])].concat()
            }),
        ),
        (
            "code",
            leaving(|image| {
                let reason = [image.bytes(NO_UTF8), image.string("x"), words(&[0])].concat();
                [words(&[0; 3]), image.list(&[reason]), words(&[0; 2])].concat()
            }),
        ),
        (
            "text",
            leaving(|image| {
                let reason = [image.string("x"), image.bytes(NO_UTF8), words(&[0])].concat();
                [words(&[0; 3]), image.list(&[reason]), words(&[0; 2])].concat()
            }),
        ),
        (
            "counter",
            leaving(|image| {
                let counter = [image.bytes(NO_UTF8), image.string("x"), words(&[0])].concat();
                [words(&[0; 5]), image.list(&[counter])].concat()
            }),
        ),
        (
            "unit",
            leaving(|image| {
                let counter = [image.string("x"), image.bytes(NO_UTF8), words(&[0])].concat();
                [words(&[0; 5]), image.list(&[counter])].concat()
            }),
        ),
    ]
}
