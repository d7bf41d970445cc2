//! What the host has to make of each hostile component: one step that refuses it, one failure, or one
//! verdict.

use attorn_core::Failure::{Deadline, InvalidVerdict, Memory, OutputTooLarge, Trap};

use crate::Expect::{Fails, Refused, Says};
use crate::{Expect, Expects, Hostile, Variants, components as of};

const fn all(name: &'static str, make: fn() -> Variants, expect: Expect) -> Hostile {
    Hostile { name, make, expects: Expects::Same(expect) }
}

const fn each(name: &'static str, make: fn() -> Variants, each: &'static [(&'static str, Expect)]) -> Hostile {
    Hostile { name, make, expects: Expects::Each(each) }
}

const fn refused(step: &'static str, saying: &'static str) -> Expect {
    Refused { step, saying }
}

/// All of them, sorted by name.
pub const ALL: &[Hostile] = &[
    each(
        "absurd_requirements",
        of::absurd_requirements::make,
        &[
            ("33 facts", refused("requirements", "33 facts are declared")),
            ("65 reasons", refused("requirements", "65 reasons are declared")),
            ("17 counters", refused("requirements", "17 counters are declared")),
            ("a fact twice", refused("requirements", "the fact `user/{user.id}` is declared twice")),
            ("a reason twice", refused("requirements", "the reason `a` is declared twice")),
            ("a counter twice", refused("requirements", "the counter `a` is declared twice")),
            ("an open brace", refused("requirements", "the segment `{user.id` is neither text nor one field")),
            (
                "a field within a field",
                refused("requirements", "the segment `{user.{id}}` is neither text nor one field"),
            ),
            (
                "two fields in a segment",
                refused("requirements", "the segment `{user.id}{agent.id}` is neither text nor one field"),
            ),
            ("a line break in a fact", refused("requirements", "is not allowed outside of fields")),
            ("no name of a reason", refused("requirements", "`` is no reason code")),
            ("no name of a counter", refused("requirements", "the name of a counter: ``")),
        ],
    ),
    all("absurd_terms", of::absurd_terms::make, Fails(InvalidVerdict)),
    each(
        "another_world",
        of::another_world::make,
        &[
            ("nothing", refused("exports", "it does not export")),
            ("another interface", refused("exports", "it does not export")),
            ("a newer interface", refused("exports", "in version `0.2.0`")),
            ("a newer policy", refused("imports", "it imports `attorn:policy/log@0.2.0`")),
            ("the right name, without functions", refused("link", "does not have export `describe`")),
        ],
    ),
    all("bad_log", of::bad_log::make, Fails(InvalidVerdict)),
    all("bad_pointers", of::bad_pointers::make, Fails(InvalidVerdict)),
    all("bad_realloc", of::bad_realloc::make, Fails(InvalidVerdict)),
    each(
        "bad_realloc_at_load",
        of::bad_realloc_at_load::make,
        &[
            ("far out", refused("init", "beyond end of memory")),
            ("a trap", refused("init", "it trapped: wasm trap: wasm `unreachable`")),
            ("a loop", refused("init", "of CPU time")),
            ("a call to the host", refused("init", "cannot leave component instance")),
        ],
    ),
    all("deep_output", of::deep_output::make, Fails(InvalidVerdict)),
    each(
        "deep_schema",
        of::deep_schema::make,
        &[
            ("deep", refused("describe", "recursion limit exceeded")),
            ("no JSON", refused("describe", "the settings' schema is no JSON")),
            ("no schema", refused("describe", "the settings' schema is neither a JSON object nor a boolean")),
            ("66 KB", refused("describe", "the settings' schema has 66012 bytes")),
            ("no name", refused("describe", "the name has 0 characters")),
            ("a long name", refused("describe", "the name has 65 characters")),
        ],
    ),
    each(
        "forbidden_features",
        of::forbidden_features::make,
        &[
            ("THREADS", refused("compile", "threads must be enabled")),
            ("MEMORY64", refused("compile", "memory64 must be enabled")),
            ("EXCEPTIONS", refused("compile", "exceptions proposal not enabled")),
            ("LEGACY_EXCEPTIONS", refused("compile", "exceptions proposal not enabled")),
            ("GC", refused("compile", "without the gc feature")),
            ("GC_TYPES", refused("compile", "gc types are disallowed")),
            ("FUNCTION_REFERENCES", refused("compile", "function references required")),
            ("TAIL_CALL", refused("compile", "tail calls support is not enabled")),
            ("RELAXED_SIMD", refused("compile", "relaxed SIMD support is not enabled")),
            ("CUSTOM_PAGE_SIZES", refused("compile", "custom page sizes proposal must be enabled")),
            ("WIDE_ARITHMETIC", refused("compile", "wide arithmetic support is not enabled")),
            ("STACK_SWITCHING", refused("compile", "when stack switching is disabled")),
            ("CM_ASYNC", refused("compile", "`task.cancel` requires the component model async feature")),
            ("CM_ASYNC_BUILTINS", refused("compile", "`subtask.cancel` requires the component model async feature")),
            ("CM_ERROR_CONTEXT", refused("compile", "requires the component model error-context feature")),
            ("CM_FIXED_LENGTH_LISTS", refused("compile", "require the component model fixed-length lists feature")),
        ],
    ),
    all("greedy_terms", of::greedy_terms::make, Says("allow")),
    all("huge_output", of::huge_output::make, Fails(OutputTooLarge)),
    each(
        "huge_output_at_load",
        of::huge_output_at_load::make,
        &[
            ("describe", refused("describe", "it answered more than")),
            ("init", refused("init", "it answered more than")),
            ("an error", refused("init", "it answered more than")),
        ],
    ),
    all("invalid_utf8_in_describe", of::invalid_utf8_in_describe::make, refused("describe", "invalid utf-8 sequence")),
    all("invalid_utf8_in_evaluate", of::invalid_utf8_in_evaluate::make, Fails(InvalidVerdict)),
    all("invalid_utf8_in_init", of::invalid_utf8_in_init::make, refused("init", "invalid utf-8 sequence")),
    each(
        "large_from_the_start",
        of::large_from_the_start::make,
        &[
            ("16 MiB and a page", refused("resources", "a memory begins with 16842752 bytes")),
            ("4 GiB", refused("resources", "a memory begins with 4294967296 bytes")),
            ("a table", refused("resources", "a table begins with 20001 elements")),
            ("a table of 4,294,967,295 elements", refused("resources", "a table begins with 4294967295 elements")),
        ],
    ),
    all("leaves_marks", of::leaves_marks::make, Says("abstain")),
    all("log_flood", of::log_flood::make, Says("allow")),
    all("log_on_full_stack", of::log_on_full_stack::make, Fails(Trap)),
    all("loop_in_describe", of::loop_in_describe::make, refused("describe", "of CPU time")),
    all("loop_in_evaluate", of::loop_in_evaluate::make, Fails(Deadline)),
    all("loop_in_init", of::loop_in_init::make, refused("init", "of CPU time")),
    all("loop_in_log", of::loop_in_log::make, Fails(Deadline)),
    all("loop_in_post_return", of::loop_in_post_return::make, Fails(Deadline)),
    all("loop_in_realloc", of::loop_in_realloc::make, Fails(Deadline)),
    all("loop_in_start", of::loop_in_start::make, refused("describe", "of CPU time")),
    each(
        "many_memories",
        of::many_memories::make,
        &[
            ("5 memories", refused("resources", "it has 5 memories")),
            ("90 tables", refused("resources", "it has 91 tables")),
            ("5 modules with a memory", refused("resources", "it has 5 memories")),
            ("500 modules with a memory", refused("resources", "it has 500 memories")),
            ("20 modules with a table", refused("resources", "it has 20 tables")),
            ("900 instances", refused("describe", "instance count too high at 65")),
        ],
    ),
    all("memory_bomb", of::memory_bomb::make, Fails(Memory)),
    each(
        "memory_bomb_at_load",
        of::memory_bomb_at_load::make,
        &[
            ("describe", refused("describe", "it asked for more than")),
            ("init", refused("init", "it asked for more than")),
            ("start", refused("describe", "it asked for more than")),
        ],
    ),
    each(
        "nested",
        of::nested::make,
        &[
            ("3,000 components", refused("exports", "it does not export")),
            ("types that double", refused("compile", "effective type size exceeds the limit")),
            ("types that deepen", refused("compile", "type nesting is too deep")),
        ],
    ),
    all("odd_cases", of::odd_cases::make, Fails(InvalidVerdict)),
    each(
        "other_imports",
        of::other_imports::make,
        &[
            ("wasi:clocks/wall-clock@0.2.6", refused("imports", "it imports `wasi:clocks/wall-clock@0.2.6`")),
            ("wasi:clocks/monotonic-clock@0.2.6", refused("imports", "it imports `wasi:clocks/monotonic-clock@0.2.6`")),
            ("wasi:cli/environment@0.2.6", refused("imports", "it imports `wasi:cli/environment@0.2.6`")),
            ("wasi:filesystem/preopens@0.2.6", refused("imports", "it imports `wasi:filesystem/preopens@0.2.6`")),
            ("wasi:random/random@0.2.6", refused("imports", "it imports `wasi:random/random@0.2.6`")),
            ("wasi:sockets/tcp@0.2.6", refused("imports", "it imports `wasi:sockets/tcp@0.2.6`")),
            ("wasi:http/outgoing-handler@0.2.6", refused("imports", "it imports `wasi:http/outgoing-handler@0.2.6`")),
            ("wasi:cli/environment@0.3.0", refused("imports", "it imports `wasi:cli/environment@0.3.0`")),
            ("attorn:policy/log@0.2.0", refused("imports", "it imports `attorn:policy/log@0.2.0`")),
            ("attorn:policy/store@0.1.0", refused("imports", "it imports `attorn:policy/store@0.1.0`")),
            ("acme:http/client", refused("imports", "it imports `acme:http/client`")),
            ("a function", refused("imports", "it imports `now`")),
            ("a module", refused("imports", "it imports `module`")),
            ("a component", refused("imports", "it imports `component`")),
            ("the log, to be read", refused("link", "instance export `read` has the wrong type")),
        ],
    ),
    all("overlapping_lists", of::overlapping_lists::make, Fails(OutputTooLarge)),
    all("remembers", of::remembers::make, Says("abstain")),
    all("searches", of::searches::make, Says("abstain")),
    all("stack_bomb", of::stack_bomb::make, Fails(Trap)),
    all("table_bomb", of::table_bomb::make, Fails(Memory)),
    all("thousands_of_exports", of::thousands_of_exports::make, Says("abstain")),
    all("too_large", of::too_large::make, refused("size", "the component has 209715200 bytes")),
    all("too_many_exports", of::too_many_exports::make, refused("compile", "instances count exceeds limit")),
    all("trap_in_post_return", of::trap_in_post_return::make, Fails(Trap)),
    all("trap_midway", of::trap_midway::make, Fails(Trap)),
    each(
        "truncated",
        of::truncated::make,
        &[
            ("cut midway", refused("parse|exports", "")),
            ("cut between sections", refused("exports", "it does not export")),
        ],
    ),
];
