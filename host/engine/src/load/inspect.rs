//! A look at a component from outside, before anything large is done with it: is it one, what does it
//! import, what does it export. Whether it is valid is for the compiler to say.

use std::panic::catch_unwind;

use attorn_core::ComponentClass;
use wasmparser::{BinaryReaderError, Encoding, Parser, Payload, TypeRef};

use super::check_sizes;
use super::error::{LoadError, LoadStep};
use crate::text::shown;
use crate::v0_1;

/// The interface that policies export, in any version.
const EXPORT_PREFIX: &str = "attorn:policy/policy@";

/// What stands at the top level of a component.
#[derive(Debug, Default)]
struct Outline {
    encoding: Option<Encoding>,
    imports: Vec<String>,
    exports: Vec<String>,
    /// Memories over all its modules.
    memories: u32,
    /// Modules that work on the memory of another one.
    sharing: u32,
}

/// A component of more bytes brings a large runtime along.
const SCRIPT_BYTES_MAX: usize = 8 << 20;
/// An adapter shares the memory of the one module of a program. Where more share one, libraries were linked.
const SHARING_MAX: u32 = 1;

/// What class a component is of, by what can be seen from outside: large ones bring a runtime, and
/// those of several memories, or of several modules in one, are an interpreter with its parts. What cannot be
/// read is the smallest.
#[must_use]
pub fn class_of(bytes: &[u8]) -> ComponentClass {
    let outline = catch_unwind(|| outline(bytes)).ok().and_then(Result::ok).unwrap_or_default();
    match () {
        () if bytes.len() > SCRIPT_BYTES_MAX => ComponentClass::LargeRuntime,
        () if outline.memories > 1 || outline.sharing > SHARING_MAX => ComponentClass::Script,
        () => ComponentClass::Native,
    }
}

/// Refuse what is plainly no policy component: too large, cut off, of another world or version, or with imports that
/// no policy gets. Whether it is valid is for the compiler to say.
///
/// # Errors
///
/// [`LoadError::Refused`], with the step that it failed.
pub fn check_component(bytes: &[u8]) -> Result<(), LoadError> {
    check_sizes(bytes, "")?;
    inspect(bytes)
}

/// Refuse what is no policy component.
pub(crate) fn inspect(bytes: &[u8]) -> Result<(), LoadError> {
    const BUILD_HELP: &str = "build a component: `attorn policy build` does, and so does `wasm-tools component new`";
    let parse = |problem: String| LoadError::new(LoadStep::Parse, problem).with_help(BUILD_HELP);
    if !bytes.starts_with(b"\0asm") {
        return Err(parse("it does not begin as WebAssembly does".into()));
    }
    let outline = catch_unwind(|| outline(bytes))
        .map_err(|_| parse("the parser panicked".into()))?
        .map_err(|error| parse(error.to_string()))?;
    match outline.encoding {
        None => return Err(parse("it has no header".into())),
        Some(Encoding::Module) => return Err(parse("this is a core WebAssembly module, not a component".into())),
        Some(Encoding::Component) => {}
    }
    outline.imports.iter().try_for_each(|import| check_import(import))?;
    check_exports(&outline.exports)
}

fn outline(bytes: &[u8]) -> Result<Outline, BinaryReaderError> {
    let mut outline = Outline::default();
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload? {
            Payload::Version { encoding, .. } => {
                depth += 1;
                if depth == 1 {
                    outline.encoding = Some(encoding);
                }
            }
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::MemorySection(memories) => {
                outline.memories = outline.memories.saturating_add(memories.count());
            }
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    if matches!(import?.ty, TypeRef::Memory(_)) {
                        outline.sharing = outline.sharing.saturating_add(1);
                    }
                }
            }
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
            _ => {}
        }
    }
    Ok(outline)
}

fn check_import(import: &str) -> Result<(), LoadError> {
    if import == v0_1::IMPORT {
        return Ok(());
    }
    let help = if import.starts_with("wasi:") {
        "policies have no clock, network, file or random source; build for `wasm32-unknown-unknown`, or with WASI \
         stubbed out"
    } else if import.starts_with("attorn:policy/") {
        "build against the contract in version 0.1.0"
    } else {
        "the only interface that policies may import is `attorn:policy/log@0.1.0`"
    };
    Err(LoadError::new(LoadStep::Imports, format!("it imports `{}`", shown(import))).with_help(help))
}

/// Components may export other things, which are ignored: some tools leave names of their own behind.
fn check_exports(exports: &[String]) -> Result<(), LoadError> {
    if exports.iter().any(|export| export == v0_1::EXPORT) {
        return Ok(());
    }
    let help = "export the interface of the world `attorn:policy/policy-component@0.1.0`";
    let problem = match exports.iter().find_map(|export| export.strip_prefix(EXPORT_PREFIX)) {
        Some(version) => format!(
            "it exports `attorn:policy/policy` in version `{}`, and only `{}` is supported",
            shown(version),
            v0_1::VERSION
        ),
        None => format!("it does not export `{}`", v0_1::EXPORT),
    };
    Err(LoadError::new(LoadStep::Exports, problem).with_help(help))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_that_share_a_memory_are_an_interpreter_and_an_adapter_is_none() {
        let sharing = "(core module (import \"env\" \"memory\" (memory 0)))";
        for (modules, class) in [
            ("(core module (memory 1))".to_owned(), ComponentClass::Native),
            (format!("(core module (memory 1)) {sharing}"), ComponentClass::Native),
            (format!("(core module (memory 1)) {sharing} {sharing}"), ComponentClass::Script),
            ("(core module (memory 1)) (core module (memory 1))".to_owned(), ComponentClass::Script),
        ] {
            let component = wat::parse_str(format!("(component {modules})")).unwrap();
            assert_eq!(class_of(&component), class, "{modules}");
        }
        assert_eq!(class_of(b"\0asm"), ComponentClass::Native);
    }
}
