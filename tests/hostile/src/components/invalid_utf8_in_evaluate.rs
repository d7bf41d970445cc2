//! Texts of a verdict that are no UTF-8, in every place that a verdict has for text.

use crate::Variants;
use crate::kit::{Guest, Image, NO_UTF8, words};

pub(crate) fn make() -> Variants {
    let saying = |case: u32, make: fn(&mut Image) -> Vec<u8>| Guest::new().saying(case, make).build();
    let mut error = Guest::new();
    error.evaluate = error.leaving(|image| [words(&[1, 0]), image.bytes(NO_UTF8), vec![0; 48]].concat());
    vec![
        ("error", error.build()),
        (
            "code",
            saying(2, |image| {
                let reason = [image.bytes(NO_UTF8), image.string("x")].concat();
                image.list(&[reason])
            }),
        ),
        (
            "text",
            saying(2, |image| {
                let reason = [image.string("shown"), image.bytes(NO_UTF8)].concat();
                image.list(&[reason])
            }),
        ),
        (
            "counter",
            saying(0, |image| {
                let debit = [image.bytes(NO_UTF8), words(&[1, 0, 1, 0])].concat();
                [Image::no_terms()[..24].to_vec(), image.list(&[debit]), words(&[0; 4])].concat()
            }),
        ),
        (
            "kind",
            saying(0, |image| {
                let obligation = [image.bytes(NO_UTF8), image.string("{}")].concat();
                [Image::no_terms()[..32].to_vec(), image.list(&[obligation]), words(&[0; 2])].concat()
            }),
        ),
        (
            "parameters",
            saying(0, |image| {
                let obligation = [image.string("mask"), image.bytes(NO_UTF8)].concat();
                [Image::no_terms()[..32].to_vec(), image.list(&[obligation]), words(&[0; 2])].concat()
            }),
        ),
        (
            "role",
            saying(1, |image| {
                let requirement = [image.bytes(NO_UTF8), words(&[1])].concat();
                let approvers = image.list(&[requirement]);
                [approvers, Image::no_terms(), image.reason("shown", "x")].concat()
            }),
        ),
    ]
}
