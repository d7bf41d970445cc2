//! All tests of the built server and its commands, but for those of policies without a server (`policy_tools`) and those of
//! what the server's own process says (`tracing`). They are one program: it is linked once, and while some of them wait others
//! run.

mod agent_certificates;
mod approvals;
mod audit_commands;
mod audit_queries;
mod audit_stream;
mod backchannel;
mod backup;
mod bad_input;
mod bad_registrations;
mod behalf_commands;
mod both_ways;
mod cedar;
mod clock;
mod compile_bomb;
mod crash;
mod crowd;
mod damaged_copies;
mod delegations;
mod epochs;
mod erasure;
mod exchange;
mod facts;
mod filed_records;
mod full_queue;
mod grants;
mod hostile;
mod hot_change;
mod identities;
mod known;
mod loads;
mod lost_parts;
mod metrics;
mod mistakes;
mod no_start;
mod oauth;
mod pauses;
mod policy_logs;
mod policy_signers;
mod proofs;
mod providers;
mod proxy;
mod published_log;
mod races;
mod rates;
mod reasons;
mod refusals;
mod registrar_commands;
mod rego;
mod replay;
mod replay_history;
mod resource_server;
mod revocation;
mod revocation_cascade;
mod rotation;
mod routes;
mod shadow;
mod simulations;
mod store_full;
mod story;
mod subtrees;
mod svids;
mod targets;
mod tls;
mod token_keys;
mod users;
mod versions;
mod witnesses;
mod workload_issuers;

use std::fs;
use std::path::Path;

/// A file that nobody names would be no test at all.
#[test]
fn every_file_beside_this_one_is_part_of_a_program() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    every_file_is_part_of(include_str!("end_to_end.rs"), &directory);
}

/// Each is a module of the program or the module that this is the text of, or a program of its own.
#[expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]
fn every_file_is_part_of(text: &str, directory: &Path) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let module = path.file_stem().unwrap().to_str().unwrap();
        let program = [format!("path = \"tests/{module}.rs\""), format!("path = \"tests/{module}/main.rs\"")];
        let is_program = include_str!("../Cargo.toml").lines().any(|line| program.iter().any(|one| line == one));
        let is_part = text.lines().any(|line| line == format!("mod {module};")) || ["mod", "main"].contains(&module);
        assert!(is_part || is_program, "`{}` is never run", path.display());
        if path.is_dir() {
            let text = ["mod.rs", "main.rs"].iter().find_map(|name| fs::read_to_string(path.join(name)).ok());
            let text = text.or_else(|| fs::read_to_string(path.with_extension("rs")).ok());
            every_file_is_part_of(&text.unwrap_or_default(), &path);
        }
    }
}
