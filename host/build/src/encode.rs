//! From a module to a component that may be a policy.

use wit_component::{ComponentEncoder, DecodedWasm, StringEncoding, decode, embed_component_metadata};
use wit_parser::Resolve;

use crate::error::BuildError;

/// The one interface that a policy may import, and the one that it has to export, in any version.
const IMPORT: &str = "attorn:policy/log@";
const EXPORT: &str = "attorn:policy/policy@";

/// Make a component of a module, and check what it imports and exports.
pub(crate) fn encode(name: &str, module: &[u8]) -> Result<Vec<u8>, BuildError> {
    // The chain of causes in one line; only its end says what is wrong.
    let failed = |problem: String| BuildError::Encode { name: name.to_owned(), problem };
    let component = ComponentEncoder::default()
        .validate(true)
        .module(module)
        .and_then(ComponentEncoder::encode)
        .map_err(|error| failed(format!("{error:#}")))?;
    check(name, &component)?;
    Ok(component)
}

/// Make a component of WebAssembly text whose exports are laid out by hand for the one world of a contract (WIT).
///
/// # Errors
///
/// When the text is none, or is no policy of this world.
pub fn component_of_wat(name: &str, text: &str, contract: &str) -> Result<Vec<u8>, BuildError> {
    let failed = |problem: String| BuildError::Encode { name: name.to_owned(), problem };
    let mut module = wat::parse_str(text).map_err(|error| failed(error.to_string()))?;
    let mut resolve = Resolve::default();
    let world = resolve.push_str("contract.wit", contract).and_then(|package| resolve.select_world(&[package], None));
    let embedded = world.and_then(|world| embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8));
    embedded.map_err(|error| failed(format!("{error:#}")))?;
    encode(name, &module)
}

fn check(name: &str, component: &[u8]) -> Result<(), BuildError> {
    let failed = |problem: String| BuildError::Encode { name: name.to_owned(), problem };
    let decoded = decode(component).map_err(|error| failed(format!("{error:#}")))?;
    let DecodedWasm::Component(resolve, world) = decoded else {
        return Err(failed("it is a package of interfaces".into()));
    };
    let world = &resolve.worlds[world];
    let imports: Vec<String> = world
        .imports
        .keys()
        .map(|import| resolve.name_world_key(import))
        .filter(|import| !import.starts_with(IMPORT))
        .collect();
    if !imports.is_empty() {
        return Err(BuildError::Imports { name: name.to_owned(), imports });
    }
    if !world.exports.keys().any(|export| resolve.name_world_key(export).starts_with(EXPORT)) {
        return Err(BuildError::NoPolicy { name: name.to_owned() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(component: &str, message: &str) {
        let error = check("odd", &wat::parse_str(component).unwrap()).unwrap_err().to_string();
        assert!(error.starts_with(message), "{error}");
    }

    #[test]
    fn what_is_no_policy_is_refused() {
        refused("(component)", "`odd` exports no policy\nhelp: ");
        refused(
            r#"(component (import "wasi:clocks/monotonic-clock@0.2.0" (instance)))"#,
            "`odd` imports `wasi:clocks/monotonic-clock@0.2.0`, and a policy may import `attorn:policy/log` alone\nhelp: ",
        );
        refused(
            r#"(component (import "attorn:policy/logs@0.1.0" (instance)) (import "now" (func)))"#,
            "`odd` imports `attorn:policy/logs@0.1.0`, `now`, and",
        );
    }

    #[test]
    fn what_looks_like_a_policy_passes() {
        let component = r#"(component
            (import "attorn:policy/log@0.1.0" (instance))
            (instance $policy)
            (export "attorn:policy/policy@0.1.0" (instance $policy)))"#;
        check("odd", &wat::parse_str(component).unwrap()).unwrap();
    }

    #[test]
    fn garbage_and_foreign_modules_are_refused() {
        for (module, message) in [
            (b"garbage".to_vec(), "`odd` cannot be made a component: "),
            (wat::parse_str(r#"(module (import "env" "now" (func)))"#).unwrap(), "`odd` cannot be made a component: "),
            (wat::parse_str("(module)").unwrap(), "`odd` exports no policy"),
        ] {
            let error = encode("odd", &module).unwrap_err().to_string();
            assert!(error.starts_with(message), "{error}");
        }
    }
}
