//! Policy components whose every byte is meant: [a kit](kit) that makes them out of WebAssembly text,
//! and a collection of those that try to do harm, one file each in `components/`.
//!
//! What the host has to make of each stands in one table, [`ALL`]: one step or one failure for each variant
//! of each file. A file without a row fails a test, and so does a variant.
//! Policies that need no odd bytes are written in Rust, in `attorn-guests`. Nothing here runs anything.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::return_self_not_must_use,
    clippy::new_without_default,
    clippy::format_collect,
    reason = "a test kit fails by panicking, and its values are asserted on"
)]

mod components;
pub mod kit;
mod table;

use attorn_core::Failure;

pub use table::ALL;

/// The components of one file: what is different about each, and its bytes.
pub type Variants = Vec<(&'static str, Vec<u8>)>;

/// A file of components, and what comes of each of them.
#[derive(Debug, Clone, Copy)]
pub struct Hostile {
    /// The name of the file.
    pub name: &'static str,
    /// Makes its components.
    pub make: fn() -> Variants,
    expects: Expects,
}

/// What comes of the components of one file.
#[derive(Debug, Clone, Copy)]
enum Expects {
    /// The same of all of them.
    Same(Expect),
    /// This of each, by variant.
    Each(&'static [(&'static str, Expect)]),
}

/// What comes of a component, every time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// It is not loaded.
    Refused {
        /// The step that refuses it; several, with `|` between, where that depends on which byte is cut.
        step: &'static str,
        /// What the refusal says, among other things; anything if this is empty.
        saying: &'static str,
    },
    /// It is loaded, and fails like this when it is asked.
    Fails(Failure),
    /// It is loaded, and says this: it tries what has no effect.
    Says(&'static str),
}

impl Hostile {
    /// What comes of this variant.
    pub fn expect(&self, variant: &str) -> Expect {
        match self.expects {
            Expects::Same(expect) => expect,
            Expects::Each(each) => {
                let found = each.iter().find(|(name, _)| *name == variant);
                found.unwrap_or_else(|| panic!("nobody says what `{}` ({variant}) comes to", self.name)).1
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_file_has_its_row() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/components");
        let entries = std::fs::read_dir(directory).unwrap();
        let mut files: Vec<String> = entries
            .map(|file| file.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
            .filter(|name| name != "mod")
            .collect();
        files.sort();
        assert_eq!(files, ALL.iter().map(|hostile| hostile.name).collect::<Vec<_>>());
        for hostile in ALL {
            let made = std::panic::catch_unwind(hostile.make);
            assert!(made.is_ok_and(|variants| !variants.is_empty()), "`{}` makes no component", hostile.name);
        }
    }

    #[test]
    fn every_variant_has_its_expectation_and_every_expectation_its_variant() {
        for hostile in ALL {
            let Expects::Each(each) = hostile.expects else { continue };
            let made: BTreeSet<&str> = (hostile.make)().into_iter().map(|(variant, _)| variant).collect();
            let expected: BTreeSet<&str> = each.iter().map(|(variant, _)| *variant).collect();
            assert_eq!(made, expected, "{}", hostile.name);
            assert_eq!(expected.len(), each.len(), "`{}` expects one twice", hostile.name);
        }
    }
}
