//! Lists within lists that all lie over the same memory: what is small there would be without end once
//! it is copied out.

use crate::Variants;
use crate::kit::{Guest, Image, words};

pub(crate) fn make() -> Variants {
    let pages = 250;
    let bytes = pages * 65_536 - 65_536;
    // Everything behind the static data is zero: a million reasons without code and text.
    let empty = Guest { pages, ..Guest::new() }.saying(2, |_| words(&[65_536, bytes / 16]));
    // Each of 4,096 obligations has the same 64 KB as its kind and as its parameters.
    let shared = Guest { pages, ..Guest::new() }.saying(0, |image| {
        let text = image.string(&"x".repeat(60_000));
        let obligations = image.list(&vec![[text.clone(), text].concat(); 512]);
        let mut terms = Image::no_terms();
        terms.truncate(32);
        [terms, obligations, words(&[0, 0])].concat()
    });
    // The list's own bytes are its elements, and their strings.
    let itself = Guest { pages, ..Guest::new() }.saying(2, |image| {
        // All bytes of this address and this length are ASCII, and the address is one of the list's own.
        let (at, length) = (0x0808, 0x7070);
        assert!(image.end() < at);
        image.list(&vec![words(&[at, length, at, length]); 4_000])
    });
    vec![("empty", empty.build()), ("shared", shared.build()), ("itself", itself.build())]
}
