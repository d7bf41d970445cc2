//! A name, a version and a schema that are no UTF-8.

use crate::Variants;
use crate::kit::{Guest, NO_UTF8};

pub(crate) fn make() -> Variants {
    let describing = |bad: usize| {
        let mut guest = Guest::new();
        guest.describe = guest.leaving(|image| {
            let fields = [b"kit".as_slice(), b"1", b"{}"];
            let field = |(at, bytes): (usize, &&[u8])| image.bytes(if at == bad { NO_UTF8 } else { bytes });
            fields.iter().enumerate().flat_map(field).collect()
        });
        guest.build()
    };
    vec![("name", describing(0)), ("version", describing(1)), ("schema", describing(2))]
}
