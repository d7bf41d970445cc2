//! A component that is good for something else, or a policy of a contract that does not exist yet.

use crate::Variants;
use crate::kit::Guest;

pub(crate) fn make() -> Variants {
    let exporting =
        |name: &str| wat::parse_str(format!(r#"(component (instance $i) (export "{name}" (instance $i)))"#));
    let newer = Guest { contract: "0.2.0", ..Guest::new() };
    vec![
        ("nothing", wat::parse_str("(component)").unwrap()),
        ("another interface", exporting("wasi:http/incoming-handler@0.2.6").unwrap()),
        ("a newer interface", exporting("attorn:policy/policy@0.2.0").unwrap()),
        ("a newer policy", newer.build()),
        ("the right name, without functions", exporting("attorn:policy/policy@0.1.0").unwrap()),
    ]
}
