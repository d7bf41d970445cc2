//! Policy components whose every byte is meant: [a kit](kit) that makes them out of WebAssembly text,
//! and a collection of those that try to do harm, one file each in `components/`.
//!
//! What the host has to make of each stands in one table, [`ALL`]. A file without a row fails a test.
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

use attorn_core::Failure;

use Expect::{Fails, Refused, Says};
use components as of;

/// The components of one file: what is different about each, and its bytes.
pub type Variants = Vec<(&'static str, Vec<u8>)>;

/// A file of components, and what comes of all of them.
#[derive(Debug, Clone, Copy)]
pub struct Hostile {
    /// The name of the file.
    pub name: &'static str,
    /// Makes its components.
    pub make: fn() -> Variants,
    /// What comes of each.
    pub expect: Expect,
}

/// What comes of a component, every time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// It is not loaded. One of these steps refuses it.
    Refused(&'static [&'static str]),
    /// It is loaded, and fails in one of these ways when it is asked.
    Fails(&'static [Failure]),
    /// It is loaded, and says this: it tries what has no effect.
    Says(&'static str),
}

const fn row(name: &'static str, make: fn() -> Variants, expect: Expect) -> Hostile {
    Hostile { name, make, expect }
}

/// The steps at which something that is no valid component may be refused.
const INVALID: Expect = Refused(&["parse", "imports", "exports", "compile"]);

/// All of them, sorted by name.
pub const ALL: &[Hostile] = &[
    row("absurd_requirements", of::absurd_requirements::make, Refused(&["requirements"])),
    row("absurd_terms", of::absurd_terms::make, Fails(&[Failure::InvalidVerdict])),
    row("another_world", of::another_world::make, Refused(&["imports", "exports", "link"])),
    row("bad_log", of::bad_log::make, Fails(&[Failure::Trap, Failure::InvalidVerdict])),
    row("bad_pointers", of::bad_pointers::make, Fails(&[Failure::InvalidVerdict])),
    row("bad_realloc", of::bad_realloc::make, Fails(&[Failure::Trap, Failure::InvalidVerdict])),
    row("bad_realloc_at_load", of::bad_realloc_at_load::make, Refused(&["init"])),
    row("deep_output", of::deep_output::make, Fails(&[Failure::InvalidVerdict])),
    row("deep_schema", of::deep_schema::make, Refused(&["describe"])),
    row("forbidden_features", of::forbidden_features::make, INVALID),
    row("greedy_terms", of::greedy_terms::make, Says("allow")),
    row("huge_output", of::huge_output::make, Fails(&[Failure::OutputTooLarge])),
    row("huge_output_at_load", of::huge_output_at_load::make, Refused(&["describe", "init"])),
    row("invalid_utf8_in_describe", of::invalid_utf8_in_describe::make, Refused(&["describe"])),
    row("invalid_utf8_in_evaluate", of::invalid_utf8_in_evaluate::make, Fails(&[Failure::InvalidVerdict])),
    row("invalid_utf8_in_init", of::invalid_utf8_in_init::make, Refused(&["init"])),
    row("large_from_the_start", of::large_from_the_start::make, Refused(&["compile", "resources"])),
    row("leaves_marks", of::leaves_marks::make, Says("abstain")),
    row("log_flood", of::log_flood::make, Says("allow")),
    row("log_on_full_stack", of::log_on_full_stack::make, Fails(&[Failure::Trap])),
    row("loop_in_describe", of::loop_in_describe::make, Refused(&["describe"])),
    row("loop_in_evaluate", of::loop_in_evaluate::make, Fails(&[Failure::Deadline])),
    row("loop_in_init", of::loop_in_init::make, Refused(&["init"])),
    row("loop_in_log", of::loop_in_log::make, Fails(&[Failure::Deadline])),
    row("loop_in_post_return", of::loop_in_post_return::make, Fails(&[Failure::Deadline])),
    row("loop_in_realloc", of::loop_in_realloc::make, Fails(&[Failure::Deadline])),
    row("loop_in_start", of::loop_in_start::make, Refused(&["describe"])),
    row("many_memories", of::many_memories::make, Refused(&["compile", "resources", "link"])),
    row("memory_bomb", of::memory_bomb::make, Fails(&[Failure::Memory])),
    row("memory_bomb_at_load", of::memory_bomb_at_load::make, Refused(&["describe", "init"])),
    row("nested", of::nested::make, INVALID),
    row("odd_cases", of::odd_cases::make, Fails(&[Failure::InvalidVerdict])),
    row("other_imports", of::other_imports::make, Refused(&["imports", "link"])),
    row("overlapping_lists", of::overlapping_lists::make, Fails(&[Failure::OutputTooLarge])),
    row("remembers", of::remembers::make, Says("abstain")),
    row("searches", of::searches::make, Says("abstain")),
    row("stack_bomb", of::stack_bomb::make, Fails(&[Failure::Trap])),
    row("table_bomb", of::table_bomb::make, Fails(&[Failure::Memory])),
    row("thousands_of_exports", of::thousands_of_exports::make, Says("abstain")),
    row("too_large", of::too_large::make, Refused(&["size"])),
    row("too_many_exports", of::too_many_exports::make, INVALID),
    row("trap_in_post_return", of::trap_in_post_return::make, Fails(&[Failure::Trap])),
    row("trap_midway", of::trap_midway::make, Fails(&[Failure::Trap])),
    row("truncated", of::truncated::make, INVALID),
];

#[cfg(test)]
mod tests {
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
}
