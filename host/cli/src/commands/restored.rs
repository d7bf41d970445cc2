//! What `attorn restore` says: what came of it, and what has to be looked at before the server is thawed.

use attorn_server::Config;
use attorn_server::restore::{BackupEnd, Restored};

use super::damage;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;

/// What the backup may have wrong, and the command that lists it.
const LOOK_AT: [(&str, &str); 10] = [
    ("operators who were revoked since, before any other of them gets a token", "attorn operator list"),
    ("agents that were suspended or retired, and their keys and ceilings", "attorn agent list"),
    ("resource servers that were revoked", "attorn resource-server list"),
    ("delegations that were revoked", "attorn delegation list"),
    ("providers, and entitlements", "attorn provider list; attorn entitlement list"),
    ("trust domains, and issuers of workloads", "attorn trust-domain list; attorn workload-issuer list"),
    ("webhooks that were revoked", "attorn approval-webhook list"),
    ("who signs policies, and whether they have to be signed", "attorn policy signer list"),
    ("policies in force, and facts", "attorn policy list; attorn fact list"),
    ("counters that were charged: what was spent since counts for nothing", "attorn audit list --epoch EPOCH"),
];

pub(super) fn print(output: &Output, config: &Config, restored: &Restored) -> Result<Exit, Failure> {
    let exit = damage::exit(&[&restored.bad_files, &restored.bad_user_keys], &restored.bad_named);
    if output.json {
        output.json(&in_json(config, restored))?;
        return Ok(exit);
    }
    let ended = restored.ended;
    let line = |name: &str, what: String| output.line(format!("{name:17}  {what}"));
    line("data", config.data_dir.display().to_string());
    line("audit log", format!("{}, after {} with {} entries", restored.origin, restored.earlier, restored.entries));
    line("earlier log", restored.export.display().to_string());
    line("entries lost", lost(restored.lost));
    line("as signed", confirmed(restored.confirmed));
    line("grants ended", ended.grants.to_string());
    line("sessions ended", ended.sessions.to_string());
    line("operator tokens", format!("{} ended", ended.operator_tokens));
    line("users erased", format!("{}, who were erased after the backup", ended.users));
    if let Some(keys) = restored.user_keys {
        line("user keys", format!("{keys} put back"));
    }
    line("users without key", restored.users_without_key.to_string());
    line("bootstrap token", restored.bootstrap_token.expose().to_owned());
    damage::say_user_keys(output, &restored.bad_user_keys);
    say_what_comes_first(output, restored);
    let way_out = damage::WayOut {
        files: "They are not in the backup either: put them back from another one that has them.",
        blobs: "Push the same component and settings again (`attorn policy push`), and start the server anew; or activate \
                another version.",
    };
    damage::say(output, &[], &restored.bad_named, &way_out);
    damage::say_lost(output, &restored.bad_files, &restored.bad_entries);
    Ok(exit)
}

fn in_json(config: &Config, restored: &Restored) -> serde_json::Value {
    let ended = restored.ended;
    serde_json::json!({
        "data_dir": config.data_dir.display().to_string(),
        "origin": restored.origin.to_string(),
        "earlier_origin": restored.earlier.to_string(),
        "earlier_entries": restored.entries,
        "backup_ended": end(&restored.reached.ended), "backup_came_to": end(&restored.reached.came),
        "earlier_export": restored.export.display().to_string(),
        "entries_lost_at_least": restored.lost,
        "entries_confirmed": restored.confirmed,
        "high_water_problem": restored.high_water_problem,
        "grants_ended": ended.grants,
        "sessions_ended": ended.sessions,
        "operator_tokens_ended": ended.operator_tokens,
        "users_erased": ended.users,
        "user_keys": restored.user_keys, "users_without_key": restored.users_without_key,
        "bad_user_keys": restored.bad_user_keys,
        "bootstrap_token": restored.bootstrap_token.expose(),
        "bad_files": restored.bad_files,
        "bad_entries": damage::entries(&restored.bad_entries),
        "bad_blobs": damage::blobs(&restored.bad_named), "bad_exports": damage::exports(&restored.bad_named),
    })
}

/// Where a backup ended, or how far it came, for programs.
fn end(end: &BackupEnd) -> serde_json::Value {
    serde_json::json!({ "version": end.version, "entries": end.entries, "epoch": end.epoch.0 })
}

/// Nothing works before somebody has done this.
fn say_what_comes_first(output: &Output, restored: &Restored) {
    output.note("");
    if let Some(problem) = &restored.high_water_problem {
        output.note(format!("The high-water file does not tell what was lost: {problem}."));
    }
    if restored.confirmed.is_none() {
        output.note("No checkpoint that the log's key signed is known here, so nothing shows that nobody rewrote entries in the");
        output.note("backup: compare with one that somebody kept (`attorn audit verify --since`).");
    }
    output.note("No token of an operator is good any more. Start the server (`attorn serve`); the bootstrap token, which is shown");
    output.note("this once, lists the operators and makes one admin, and then it is dead:");
    output
        .note("  ATTORN_TOKEN=<bootstrap token> attorn operator list            who they are, as it was in the backup");
    output.note("  ATTORN_TOKEN=<bootstrap token> attorn operator renew NAME      an admin of before, or");
    output.note("  ATTORN_TOKEN=<bootstrap token> attorn operator register NAME --duty admin");
    output.note("With the token that this prints, that admin renews the others (`attorn operator renew NAME`), or registers them.");
    output.note(
        "Everything is denied until somebody with the duty `thawer` says `attorn thaw`. What is here is as it was",
    );
    output
        .note("in the backup. Look first, as operators with the duties `registrar`, `policy_admin` and `auditor`, at");
    let epoch = restored.earlier.epoch.to_string();
    for (what, command) in LOOK_AT {
        output.note(format!("  {what}: {}", command.replace("EPOCH", &epoch)));
    }
}

fn confirmed(confirmed: Option<u64>) -> String {
    match confirmed {
        None => "nothing shows it of any entry".to_owned(),
        Some(size) => format!("the first {size} entries, as checkpoints show that were signed before"),
    }
}

fn lost(lost: Option<u64>) -> String {
    match lost {
        None => "unknown: the high-water file does not tell".to_owned(),
        Some(0) => "none that the high-water file knows of".to_owned(),
        Some(lost) => format!("{lost} at least"),
    }
}
