//! Wants clocks, files, the network, or more of the host than there is.

use crate::Variants;

/// Interfaces that a policy would like to have.
const WANTED: &[&str] = &[
    "wasi:clocks/wall-clock@0.2.6",
    "wasi:clocks/monotonic-clock@0.2.6",
    "wasi:cli/environment@0.2.6",
    "wasi:filesystem/preopens@0.2.6",
    "wasi:random/random@0.2.6",
    "wasi:sockets/tcp@0.2.6",
    "wasi:http/outgoing-handler@0.2.6",
    "wasi:cli/environment@0.3.0",
    "attorn:policy/log@0.2.0",
    "attorn:policy/store@0.1.0",
    "acme:http/client",
];

pub(crate) fn make() -> Variants {
    let importing = |what: String| {
        let text = format!(r#"(component {what} (instance $i) (export "attorn:policy/policy@0.1.0" (instance $i)))"#);
        wat::parse_str(text).unwrap()
    };
    let interface = |name: &&'static str| (*name, importing(format!(r#"(import "{name}" (instance))"#)));
    let mut variants: Variants = WANTED.iter().map(interface).collect();
    variants.push(("a function", importing(r#"(import "now" (func (result u64)))"#.into())));
    variants.push(("a module", importing(r#"(import "module" (core module))"#.into())));
    variants.push(("a component", importing(r#"(import "component" (component))"#.into())));
    let wrong = r#"(import "attorn:policy/log@0.1.0" (instance (export "read" (func (result string)))))"#;
    variants.push(("the log, to be read", importing(wrong.into())));
    variants
}
