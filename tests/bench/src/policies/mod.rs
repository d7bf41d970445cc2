//! What policies take that are written as text or in other languages than Rust. What is compared is measured in turns.
//!
//! - `cedar10_over_native`, `cedar200_over_native` (aims 2.5, 1.5) and `rego_over_native` (aim 2.2): whole evaluations by
//!   the plugin in a fresh sandbox over the crates themselves, in a process of its own, which read the request and ask,
//!   with policies, entities and data ready. `…_of_16_…` shares the way to an evaluator thread among 16.
//! - `rust_over_floor`, `typescript_over_floor`, …: `spend-limit` on its cases over a policy that does nothing (aim 1.2 for
//!   Rust and C), with how large the component is and how long it takes to be made ready.
//! - `typescript_over_empty` (aim 1.5): the same over a policy in TypeScript that does nothing, and
//!   `typescript_1000_over_10_rules` (aim 1.3).
//!
//! What is in TypeScript, C and Go is built first, which needs Node and npm, Python with pip, and Go.

mod languages;
mod native;
mod scripts;
mod text;

use std::path::{Path, PathBuf};

use attorn_toolchain::project;

use crate::Length;
use crate::engine;
use crate::figure::Figures;

pub(crate) use native::ready;

/// Measure all of it, and print it.
pub(crate) fn measure(length: Length, figures: &mut Figures) {
    let engine = engine::start();
    text::measure(&engine, length, figures);
    languages::measure(&engine, length, figures);
    scripts::measure(&engine, length, figures);
}

/// Measure `spend-limit` in each language, and print it: what `cargo xtask languages` writes down.
pub(crate) fn measure_languages(length: Length, figures: &mut Figures) {
    languages::measure(&engine::start(), length, figures);
}

/// The component of a policy's directory, which is built.
fn built(directory: &Path) -> Vec<u8> {
    eprintln!("building `{}`", directory.display());
    let made = project::build(directory, &mut |_| {}).unwrap_or_else(|error| {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
        panic!("`{}`: {error}{cause}", directory.display())
    });
    std::fs::read(made.path).unwrap()
}

/// A directory of this repository.
fn directory(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}
