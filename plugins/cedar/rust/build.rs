//! Gives the component a larger stack than policies have as a rule: Cedar parses and evaluates recursively, and a
//! condition of sixty `||` in a row is deep. What goes deeper still traps: when the policy is activated, as a rule.

/// Enough for some 400 of them.
const STACK_BYTES: u32 = 2 << 20;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_FAMILY").is_ok_and(|family| family == "wasm") {
        println!("cargo::rustc-link-arg-cdylib=-zstack-size={STACK_BYTES}");
    }
}
