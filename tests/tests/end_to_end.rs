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

/// A file that is no module here would be no test at all.
#[test]
fn every_file_beside_this_one_is_part_of_it() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let parts = include_str!("end_to_end.rs");
    for entry in fs::read_dir(directory).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let module = name.strip_suffix(".rs").unwrap_or(&name);
        let is_part = parts.lines().any(|line| line == format!("mod {module};"));
        assert!(
            is_part || ["end_to_end", "policy_tools", "tracing"].contains(&module),
            "`tests/tests/{name}` is never run"
        );
    }
}
