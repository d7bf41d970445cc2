//! The three acts of `attorn demo`, with a real PostgreSQL and a real provider: nothing is left out, and each ends as it
//! is told.

use std::time::Duration;

use attorn_tests::process::binary;
use attorn_tests::{components, postgresql};
use tokio::process::Command;

use crate::steps::Steps;
use crate::tools::{self, Tools};

/// How long an act may take.
const ACT: Duration = Duration::from_mins(5);

/// What each has to say, beside that it came as told.
const ACTS: [(&str, &[&str]); 3] = [
    (
        "1",
        &[
            "Choose \"Forgot password\"",
            "permission denied for table articles",
            "is in pg_roles no more",
            "found 0 times",
        ],
    ),
    ("2", &["17 | shoes; 19 | a hat", "denied_by_policy", "Behind our back", "permission denied to set role"]),
    (
        "3",
        &[
            "approved by user psn_",
            "approval_refused",
            "over_limit",
            "one of staff approves",
            "the page says nothing (HTTP 404)",
            "You have approved this",
            "asks for 1 of group `staff`",
            "of group `staff`\n",
            "outside_delegation",
            "grant_inactive",
            "terminating connection due to administrator command",
            "ms after the revocation",
        ],
    ),
];

/// Play all of them.
pub(crate) async fn play(tools: &Tools, steps: &mut Steps) {
    for (number, says) in ACTS {
        steps.take(&format!("act {number}"), act(tools, number, says)).await;
    }
}

async fn act(tools: &Tools, number: &str, says: &[&str]) {
    let mut command = Command::new(binary());
    command.args(["demo", "--act", number]).env_remove("ATTORN_TOKEN").env_remove("ATTORN_URL");
    if std::env::var_os(postgresql::VARIABLE).is_some() {
        command.arg("--postgresql").arg(postgresql::programs());
    }
    command.arg("--interop").arg(tools.scripts.join("node"));
    for (option, name) in [
        ("--component", "read-only"),
        ("--own-data-component", "own-data"),
        ("--spend-limit-component", "spend-limit"),
        // It is not asked here, and any will do.
        ("--looping-component", "read-only"),
    ] {
        command.arg(option).arg(components::path(name));
    }
    let said = tools::run(command, "", ACT).await.good();
    for part in says.iter().chain(&["All came as told"]) {
        assert!(said.contains(part), "the act does not say `{part}`:\n{said}");
    }
    assert!(!said.contains("eft out"), "{said}");
    // No secret is ever printed.
    assert!(!said.contains("attorn_op_") && !said.contains("\"d\":") && !said.contains("eyJ"), "{said}");
}
