//! A schema of settings that is JSON nested 8,000 deep, and others that are none.

use crate::Variants;
use crate::kit::Guest;

/// As deep as the most bytes of a schema allow.
const DEPTH: usize = 8_000;

pub(crate) fn make() -> Variants {
    let describing = |name: &str, schema: &str| {
        let mut guest = Guest { pages: 8, ..Guest::new() };
        guest.describe = guest.leaving(|image| [image.string(name), image.string("1"), image.string(schema)].concat());
        guest.build()
    };
    let deep = format!("{}1{}", r#"{"not":"#.repeat(DEPTH), "}".repeat(DEPTH));
    vec![
        ("deep", describing("kit", &deep)),
        ("no JSON", describing("kit", "{")),
        ("no schema", describing("kit", "[]")),
        ("66 KB", describing("kit", &format!(r#"{{"title":"{}"}}"#, "x".repeat(66_000)))),
        ("no name", describing("", "{}")),
        ("a long name", describing(&"x".repeat(65), "{}")),
    ]
}
