//! Components that are linked of libraries, by the rules of dynamic ones: an interpreter, what lies between it and the
//! contract, and what it finds in place of a system.

use wasm_encoder::reencode::{Reencode as _, RoundtripReencoder};
use wasm_encoder::{ComponentSectionId, ImportSection, Module, RawSection};
use wasmparser::{ComponentExternalKind, Encoding, Parser, Payload};
use wit_parser::{Resolve, WorldId};

/// What imports of a library are of: the libraries that it is linked with, and the tables that say where things are.
const LIBRARIES: &[&str] = &["env", "GOT.func", "GOT.mem"];

/// A world of a text of WIT.
pub(super) fn world(text: &str, name: &str) -> Result<(Resolve, WorldId), String> {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("world.wit", text).map_err(in_full)?;
    let world = resolve.select_world(&[package], Some(name)).map_err(in_full)?;
    Ok((resolve, world))
}

/// With the chain of its causes in one line: only its end says what is wrong.
pub(super) fn in_full(error: impl std::fmt::Display) -> String {
    format!("{error:#}")
}

/// A library that asks libraries for what it asked a system for: `wasi:clocks/wall-clock@0.2.0` and its `now` is by now
/// the function `wasi:clocks/wall-clock@0.2.0#now` of another library. It says no longer what world it was made for.
pub(super) fn closed(library: &[u8]) -> Result<Vec<u8>, String> {
    let mut module = Module::new();
    for payload in Parser::new(0).parse_all(library) {
        match payload.map_err(in_full)? {
            Payload::ImportSection(reader) => {
                let mut imports = ImportSection::new();
                for import in reader.into_imports() {
                    let import = import.map_err(in_full)?;
                    let ty = RoundtripReencoder.entity_type(import.ty).map_err(in_full)?;
                    if LIBRARIES.contains(&import.module) {
                        imports.import(import.module, import.name, ty);
                    } else {
                        imports.import("env", &format!("{}#{}", import.module, import.name), ty);
                    }
                }
                module.section(&imports);
            }
            Payload::CustomSection(custom) if custom.name().starts_with("component-type") => {}
            payload => {
                if let Some((id, range)) = payload.as_section() {
                    module.section(&RawSection { id, data: &library[range] });
                }
            }
        }
    }
    Ok(module.finish())
}

/// A component once more, with another section in the place of each that something else is said for. What is within the
/// components in it stays as it is.
pub(super) fn rewritten(
    component: &[u8],
    mut instead: impl FnMut(&Payload<'_>) -> Result<Option<(ComponentSectionId, Vec<u8>)>, String>,
) -> Result<Vec<u8>, String> {
    let mut made = wasm_encoder::Component::new();
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(component) {
        let payload = payload.map_err(in_full)?;
        match &payload {
            Payload::Version { encoding, .. } => {
                depth += 1;
                if depth == 1 && *encoding != Encoding::Component {
                    return Err("this is no component".to_owned());
                }
                continue;
            }
            Payload::End(_) => {
                depth -= 1;
                continue;
            }
            _ if depth != 1 => continue,
            _ => {}
        }
        if let Some((id, data)) = instead(&payload)? {
            made.section(&RawSection { id: id.into(), data: &data });
            continue;
        }
        let section = match &payload {
            Payload::ModuleSection { unchecked_range, .. } => {
                Some((ComponentSectionId::CoreModule.into(), unchecked_range.clone()))
            }
            Payload::ComponentSection { unchecked_range, .. } => {
                Some((ComponentSectionId::Component.into(), unchecked_range.clone()))
            }
            other => other.as_section(),
        };
        if let Some((id, range)) = section {
            made.section(&RawSection { id, data: &component[range] });
        }
    }
    Ok(made.finish())
}

/// The component without an export of a function. An export of a function counts as one more function; in its place
/// stands the same function made once more, so that all others keep their numbers.
pub(super) fn without_export(component: &[u8], name: &str) -> Result<Vec<u8>, String> {
    let (mut lifted, mut removed) = (None, false);
    let made = rewritten(component, |payload| {
        match payload {
            Payload::ComponentCanonicalSection(reader) => {
                let begins = reader.clone().into_iter_with_offsets().last().transpose().map_err(in_full)?;
                lifted = begins.map(|(at, _)| component[at..reader.range().end].to_vec());
            }
            Payload::ComponentExportSection(reader) => {
                let exports: Vec<_> = reader.clone().into_iter().collect::<Result<_, _>>().map_err(in_full)?;
                if let [export] = exports.as_slice()
                    && export.name.name == name
                    && export.kind == ComponentExternalKind::Func
                {
                    let function = lifted.take().ok_or("what is exported was not made just before")?;
                    removed = true;
                    return Ok(Some((ComponentSectionId::CanonicalFunction, [&[1], function.as_slice()].concat())));
                }
            }
            _ => {}
        }
        Ok(None)
    })?;
    if removed { Ok(made) } else { Err(format!("it does not export `{name}`")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn imports(module: &[u8]) -> Vec<(String, String)> {
        let payloads = Parser::new(0).parse_all(module).map(Result::unwrap);
        let sections = payloads.filter_map(|payload| match payload {
            Payload::ImportSection(reader) => Some(reader),
            _ => None,
        });
        let all = sections.flat_map(wasmparser::ImportSectionReader::into_imports).map(Result::unwrap);
        all.map(|import| (import.module.to_owned(), import.name.to_owned())).collect()
    }

    #[test]
    fn what_a_library_asks_a_system_for_it_asks_a_library_for() {
        let library = wat::parse_str(
            r#"(module (import "wasi:a/b@0.2.0" "now" (func)) (import "env" "memory" (memory 0))
                (import "GOT.mem" "x" (global (mut i32))) (func (export "f")) (@custom "component-type:x" "y"))"#,
        );
        let made = closed(&library.unwrap()).unwrap();
        let pair = |module: &str, name: &str| (module.to_owned(), name.to_owned());
        let expected = [pair("env", "wasi:a/b@0.2.0#now"), pair("env", "memory"), pair("GOT.mem", "x")];
        assert_eq!(imports(&made), expected);
        assert!(!made.windows(14).any(|window| window == b"component-type"));
        assert!(closed(b"\0asm\x01\0\0\0\xff").is_err());
    }

    #[test]
    fn an_export_goes_and_what_comes_after_it_keeps_its_number() {
        let text = |start: &str| {
            let module = "(core module $m (func (export \"a\") (param i32)) (func (export \"b\")))";
            format!(
                "(component {module} (core instance $i (instantiate $m))
                 (func $a (param \"x\" u32) (canon lift (core func $i \"a\"))) {start}
                 (func $b (canon lift (core func $i \"b\"))) (export \"policy\" (func $b) (func)))"
            )
        };
        let with = wat::parse_str(text("(export \"init\" (func $a))")).unwrap();
        let without = wat::parse_str(text("")).unwrap();
        let made = without_export(&with, "init").unwrap();
        // Under another number, what is exported would have another type.
        wasmparser::validate(&made).unwrap();
        let payloads = Parser::new(0).parse_all(&made).map(Result::unwrap);
        let exports = payloads.filter_map(|payload| match payload {
            Payload::ComponentExportSection(reader) => Some(reader),
            _ => None,
        });
        let names: Vec<_> =
            exports.flat_map(|reader| reader.into_iter().map(|export| export.unwrap().name.name)).collect();
        assert_eq!(names, ["policy"]);
        for (component, name) in [(&with, "start"), (&without, "init")] {
            assert_eq!(without_export(component, name), Err(format!("it does not export `{name}`")));
        }
        assert!(without_export(&wat::parse_str("(module)").unwrap(), "init").is_err());
    }
}
