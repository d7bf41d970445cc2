//! Wants all the table space that there is: in one table, and over several.

use crate::Variants;
use crate::kit::Guest;

pub(crate) fn make() -> Variants {
    let grow = |tables: usize| {
        let names: Vec<String> = (0..tables).map(|n| format!("$t{n}")).collect();
        let grow = |name: &String| format!("(drop (table.grow {name} (ref.null func) (i32.const 500)))");
        let grow: String = names.iter().map(grow).collect();
        let fields = names.iter().map(|name| format!("(table {name} 1 funcref)")).collect();
        Guest { fields, ..Guest::evaluating(format!("(loop $again {grow} (br $again)) unreachable")) }.build()
    };
    vec![("one", grow(1)), ("several", grow(6))]
}
