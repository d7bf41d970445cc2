//! From a module to a component of the contract, with what stands in for a system linked into it: so it imports nothing but
//! the log.

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

const CONTRACT: &str = include_str!("../../../../wit/policy.wit");
const WORLD: &str = "policy-component";
/// What a system is called by modules that are made for one.
pub(super) const SYSTEM: &str = "wasi_snapshot_preview1";

/// Make the component of a module, with this text of WebAssembly in the place of a system.
pub(super) fn component(module: &[u8], nothing: &str) -> Result<Vec<u8>, String> {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("policy.wit", CONTRACT).map_err(in_full)?;
    let world = resolve.select_world(&[package], Some(WORLD)).map_err(in_full)?;
    let mut module = module.to_vec();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).map_err(in_full)?;
    let nothing = wat::parse_str(nothing).map_err(in_full)?;
    ComponentEncoder::default()
        .validate(true)
        .module(&module)
        .and_then(|encoder| encoder.adapter(SYSTEM, &nothing))
        .and_then(ComponentEncoder::encode)
        .map_err(in_full)
}

/// With the chain of its causes in one line: only its end says what is wrong.
fn in_full(error: impl std::fmt::Display) -> String {
    format!("{error:#}")
}
