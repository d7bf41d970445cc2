//! Gives the component a larger stack than policies have as a rule: Rego is parsed and evaluated recursively. What it has
//! to be enough for is bounded by `guard.rs`, and tried by the cases.

const STACK_BYTES: u32 = 4 << 20;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_FAMILY").is_ok_and(|family| family == "wasm") {
        println!("cargo::rustc-link-arg-cdylib=-zstack-size={STACK_BYTES}");
    }
}
