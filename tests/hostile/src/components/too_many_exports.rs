//! Exports itself under 20,000 other names, each of which is an instance of its own to the parser.

use wasm_encoder::{ComponentExportKind, ComponentExportSection, ComponentSection};

use crate::Variants;
use crate::kit::Guest;

pub(crate) fn make() -> Variants {
    let mut bytes = Guest::new().build();
    let mut exports = ComponentExportSection::new();
    for n in 0..20_000_u32 {
        // The first instance is the log that it imports, the second the policy.
        exports.export(format!("other{n}").as_str(), ComponentExportKind::Instance, 1, None);
    }
    exports.append_to_component(&mut bytes);
    vec![("", bytes)]
}
