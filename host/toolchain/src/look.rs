//! A look at a component from outside: what it is, what it wants, what it says about how it was built.
//!
//! Nothing of it is run but `describe`, and that in the sandbox that decisions run in. Whether some settings
//! fit is for [`crate::cases`] and [`crate::once`].

use std::panic::catch_unwind;

use attorn_core::{ComponentClass, PolicyLimits};
use attorn_engine::{Description, LoadError, check_component, class_of, describe_component};
use serde::Serialize;
use wasmparser::{BinaryReaderError, Parser, Payload};

use crate::section::{self, Built};

/// The most sections of their own that are listed.
const SECTIONS_MAX: usize = 64;

/// The interface that every policy exports, without its version.
const EXPORT: &str = "attorn:policy/policy@";

/// What a component is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// The BLAKE3 digest of its bytes, which is its name at a server.
    pub digest: String,
    /// Its size.
    pub bytes: usize,
    /// The world that it is of, with the version.
    pub world: String,
    /// What limits it has if nobody says otherwise.
    pub class: ComponentClass,
    /// What it imports.
    pub imports: Vec<String>,
    /// What it exports.
    pub exports: Vec<String>,
    /// Its custom sections, the innermost modules' included, at most 64.
    pub sections: Vec<CustomSection>,
    /// How it was built, if it says so.
    pub built: Option<Built>,
    /// What it says of itself.
    pub description: Description,
}

/// A section that nothing runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CustomSection {
    /// Its name.
    pub name: String,
    /// The size of what is in it.
    pub bytes: usize,
}

#[derive(Default)]
struct Outline {
    imports: Vec<String>,
    exports: Vec<String>,
    sections: Vec<CustomSection>,
    built: Option<Built>,
}

/// Look at a component. It is compiled and asked in this process, which a hostile one can then end: for components of one's
/// own.
///
/// # Errors
///
/// When it is no policy of the version that runs here, or its `describe` fails.
pub fn look(component: &[u8]) -> Result<Look, LoadError> {
    look_by(component, describe_component)
}

/// Look at a component that somebody else may have made, and have it described by this, such as a compile worker.
///
/// # Errors
///
/// As [`look`].
pub fn look_by(
    component: &[u8],
    describe: impl FnOnce(&[u8], PolicyLimits) -> Result<Description, LoadError>,
) -> Result<Look, LoadError> {
    check_component(component)?;
    let class = class_of(component);
    let description = describe(component, PolicyLimits::of_class(class))?;
    // The engine has read and compiled it, so this finds nothing that cannot be read.
    let outline = catch_unwind(|| outline(component)).ok().and_then(Result::ok).unwrap_or_default();
    let Outline { imports, exports, sections, built } = outline;
    let version = exports.iter().find_map(|export| export.strip_prefix(EXPORT)).unwrap_or("?");
    Ok(Look {
        digest: blake3::hash(component).to_hex().to_string(),
        bytes: component.len(),
        world: format!("attorn:policy/policy-component@{version}"),
        class,
        imports,
        exports,
        sections,
        built,
        description,
    })
}

fn outline(component: &[u8]) -> Result<Outline, BinaryReaderError> {
    let mut outline = Outline::default();
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(component) {
        match payload? {
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(imports) if depth == 1 => {
                for import in imports {
                    outline.imports.push(import?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(exports) if depth == 1 => {
                for export in exports {
                    outline.exports.push(export?.name.name.to_owned());
                }
            }
            Payload::CustomSection(custom) => {
                let (name, data) = (custom.name(), custom.data());
                if outline.sections.len() < SECTIONS_MAX {
                    outline.sections.push(CustomSection { name: name.to_owned(), bytes: data.len() });
                }
                // What stands within a module is the module's.
                if depth == 1 {
                    outline.built = section::read(name, data).or(outline.built);
                }
            }
            _ => {}
        }
    }
    Ok(outline)
}
