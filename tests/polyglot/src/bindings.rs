//! Bindings of the contract for languages that `wit-bindgen` knows, and components out of the modules that
//! their compilers make.

use std::path::Path;

use wit_bindgen_core::wit_parser::Resolve;
use wit_bindgen_core::{Files, WorldGenerator};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};

use crate::tools;

const WORLD: &str = "policy-component";

/// Stands in for WASI preview 1, and imports nothing.
const ADAPTER: &str = include_str!("../adapter.wat");

/// Generate bindings into a directory.
pub(crate) fn generate(wit: &Path, mut generator: Box<dyn WorldGenerator>, into: &Path) -> Result<(), String> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(wit).map_err(|error| format!("{error:#}"))?;
    let world = resolve.select_world(&[package], Some(WORLD)).map_err(|error| format!("{error:#}"))?;
    let mut files = Files::default();
    generator.generate(&mut resolve, world, &mut files).map_err(|error| format!("{error:#}"))?;
    files.iter().try_for_each(|(name, bytes)| tools::write(&into.join(name), bytes))
}

/// Say in a module which world it is made for. Some generators do so themselves.
pub(crate) fn embed(wit: &Path, module: &mut Vec<u8>) -> Result<(), String> {
    let mut resolve = wit_parser::Resolve::default();
    let (package, _) = resolve.push_path(wit).map_err(|error| format!("{error:#}"))?;
    let world = resolve.select_world(&[package], Some(WORLD)).map_err(|error| format!("{error:#}"))?;
    embed_component_metadata(module, &resolve, world, StringEncoding::UTF8).map_err(|error| format!("{error:#}"))
}

/// Make a component. WASI, where the module asks for it, is stubbed out.
pub(crate) fn component(module: &[u8], into: &Path) -> Result<(), String> {
    let adapter = wat::parse_str(ADAPTER).map_err(|error| error.to_string())?;
    let component = ComponentEncoder::default()
        .validate(true)
        .module(module)
        .and_then(|encoder| encoder.adapter("wasi_snapshot_preview1", &adapter))
        .and_then(ComponentEncoder::encode)
        .map_err(|error| format!("{error:#}"))?;
    tools::write(into, &component)
}
