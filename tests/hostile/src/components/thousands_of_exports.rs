//! Exports thousands of other things beside the policy, which nobody asked for.

use wasm_encoder::{ComponentExportKind, ComponentExportSection, ComponentSection};

use crate::Variants;
use crate::kit::Guest;

pub(crate) fn make() -> Variants {
    let functions = (0..20_000).map(|n| format!(r#"(func (export "other{n}"))"#)).collect();
    let mut bytes = Guest { fields: functions, ..Guest::new() }.build();
    let mut exports = ComponentExportSection::new();
    for n in 0..900_u32 {
        // The first instance is the log that it imports, the second the policy.
        exports.export(format!("other{n}").as_str(), ComponentExportKind::Instance, 1, None);
    }
    exports.append_to_component(&mut bytes);
    vec![("", bytes)]
}
