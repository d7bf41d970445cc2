//! The policy components that `cargo xtask components` builds.

use std::path::{Path, PathBuf};

use attorn_hostile::kit::Guest;

/// Functions of straight-line code, and the steps of each.
const FUNCTIONS: usize = 3_000;
const STEPS: usize = 250;

/// Where they stand.
pub fn directory() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target = target.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"));
    target.join("wasm/components")
}

/// The path of a component, without looking whether it is there.
pub fn path(name: &str) -> PathBuf {
    directory().join(format!("{name}.wasm"))
}

/// The bytes of a component.
#[track_caller]
pub fn bytes(name: &str) -> Vec<u8> {
    let path = path(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("`{}`: {error}; run cargo xtask components", path.display()))
}

/// The names of all that are built, sorted.
#[track_caller]
pub fn names() -> Vec<String> {
    let directory = directory();
    let entries = std::fs::read_dir(&directory)
        .unwrap_or_else(|error| panic!("`{}`: {error}; run cargo xtask components", directory.display()));
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.strip_suffix(".wasm").map(str::to_owned))
        .collect();
    names.sort();
    names
}

/// A component that keeps a compiler busy for many seconds.
pub fn slow_to_compile() -> Vec<u8> {
    let step = |constant: usize| {
        let shift = constant % 64;
        format!(
            "(local.set $x (i64.add (i64.mul (local.get $x) (i64.const {constant}))
               (i64.rotl (local.get $x) (i64.const {shift}))))"
        )
    };
    let function = |n: usize| {
        let steps: Vec<_> = (0..STEPS).map(|at| step(n * STEPS + at)).collect();
        format!("(func (param $x i64) (result i64) {} (local.get $x))", steps.concat())
    };
    let fields = (0..FUNCTIONS).map(function).collect::<Vec<_>>().concat();
    Guest { fields, ..Guest::new() }.build()
}
