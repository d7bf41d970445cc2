//! Obligations that are JSON nested 20,000 deep: what reads them one level at a time runs out of stack.

use crate::Variants;
use crate::kit::{Guest, Image, words};

const DEPTH: usize = 20_000;

pub(crate) fn make() -> Variants {
    let obliging = |parameters: &str| {
        Guest { pages: 8, ..Guest::new() }.saying(0, |image| {
            let obligation = [image.string("mask"), image.string(parameters)].concat();
            let obligations = image.list(&[obligation]);
            let mut terms = Image::no_terms();
            terms.truncate(32);
            [terms, obligations, words(&[0, 0])].concat()
        })
    };
    let objects = format!("{}1{}", r#"{"a":"#.repeat(DEPTH), "}".repeat(DEPTH));
    let arrays = format!(r#"{{"a":{}{}}}"#, "[".repeat(DEPTH), "]".repeat(DEPTH));
    let open = format!(r#"{{"a":{}"#, "[".repeat(DEPTH));
    vec![
        ("objects", obliging(&objects).build()),
        ("arrays", obliging(&arrays).build()),
        ("never closed", obliging(&open).build()),
    ]
}
