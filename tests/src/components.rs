//! The policy components that `cargo xtask components` builds.

use std::path::{Path, PathBuf};

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
