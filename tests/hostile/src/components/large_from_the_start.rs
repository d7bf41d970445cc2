//! Begins with more memory or table space than a policy may ever have.

use crate::Variants;
use crate::kit::Guest;

pub(crate) fn make() -> Variants {
    let table = |fields: &str| Guest { fields: fields.into(), ..Guest::new() }.build();
    vec![
        ("16 MiB and a page", Guest { pages: 257, ..Guest::new() }.build()),
        ("4 GiB", Guest { pages: 65_536, ..Guest::new() }.build()),
        ("a table", table("(table 20001 funcref)")),
        ("a table of 4,294,967,295 elements", table("(table 4294967295 funcref)")),
    ]
}
