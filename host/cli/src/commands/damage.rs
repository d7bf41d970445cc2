//! What `backup`, `restore`, `repair` and `key rotate-log` say of files that are damaged or missing, which the rest
//! does not depend on: entries of the audit log, decision records, components and settings of policies, exports of earlier epochs.

use std::ops::Range;

use attorn_api::audit::EntryRange;
use attorn_server::data::{BadBlob, BadExport, BadNamed};
use serde_json::{Value, json};

use super::audit::epochs::said;
use crate::exit::Exit;
use crate::output::Output;

/// How a command ends that did all that it could. A component or settings that no policy needs are named, and nothing is
/// lost with them.
pub(super) fn exit(bad_files: &[&[String]], bad_named: &BadNamed) -> Exit {
    if bad_files.iter().all(|bad| bad.is_empty()) && !bad_named.has_needed() {
        Exit::Done
    } else {
        Exit::VerificationFailed
    }
}

/// How what is bad comes back.
pub(super) struct WayOut {
    /// Entries, records and exports.
    pub(super) files: &'static str,
    /// Components and settings.
    pub(super) blobs: &'static str,
}

/// Name each.
pub(super) fn say(output: &Output, bad_files: &[String], bad_named: &BadNamed, way_out: &WayOut) {
    let (needed, spare): (Vec<_>, Vec<_>) = bad_named.blobs.iter().partition(|bad| bad.is_needed());
    let blobs = needed.iter().map(ToString::to_string);
    let exports = bad_named.exports.iter().map(BadExport::to_string);
    for bad in bad_files.iter().cloned().chain(exports).chain(blobs) {
        output.line(format!("bad      {bad}"));
    }
    for bad in &spare {
        output.line(format!("spare    {bad}"));
    }
    let mut notes = Vec::new();
    if !bad_files.is_empty() || !bad_named.exports.is_empty() {
        notes.push(
            "Nothing but the audit log and records of decisions depends on these files, of which something cannot be read \
             there.",
        );
        notes.push(way_out.files);
    }
    if !needed.is_empty() {
        notes.push("A policy is not loaded without its component and settings, and denies whatever it is asked about.");
        notes.push(way_out.blobs);
    }
    if !spare.is_empty() {
        notes.push(BadBlob::SPARE);
    }
    if !notes.is_empty() {
        output.note("");
    }
    for note in notes {
        output.note(note);
    }
}

/// Name files of an epoch that ended without what was in them.
pub(super) fn say_lost(output: &Output, bad_files: &[String], entries: &[Range<u64>]) {
    for bad in bad_files {
        output.line(format!("bad      {bad}"));
    }
    if !entries.is_empty() {
        let ranges: Vec<_> = entries.iter().map(|range| EntryRange { from: range.start, to: range.end - 1 }).collect();
        output.note("");
        output.note(format!(
            "{} of the earlier log are not in its export, and its new key's first entry says so. All others are, and \
             can be proved.",
            said(&ranges).replacen("the", "The", 1)
        ));
    }
}

/// Ranges of entries, for programs.
pub(super) fn entries(entries: &[Range<u64>]) -> Value {
    entries.iter().map(|range| json!({ "from": range.start, "to": range.end - 1 })).collect()
}

/// Name files that hold no key of a user's.
pub(super) fn say_user_keys(output: &Output, bad: &[String]) {
    for bad in bad {
        output.line(format!("bad      {bad}"));
    }
    if !bad.is_empty() {
        output.note(
            "Nothing about these users can be read, until `attorn restore --keys` or somebody by hand puts their keys \
             back from a copy in which they are whole.",
        );
    }
}

/// Components and settings, for programs.
pub(super) fn blobs(bad: &BadNamed) -> Value {
    let one = |bad: &BadBlob| {
        let needed_by = bad.needed_by.iter().map(|needed| {
            json!({ "policy": needed.policy.as_str(), "version": needed.version, "part": needed.part.as_str() })
        });
        json!({
            "path": bad.path.display().to_string(),
            "problem": bad.problem,
            "needed_by": needed_by.collect::<Vec<_>>(),
        })
    };
    bad.blobs.iter().map(one).collect()
}

/// Exports of earlier epochs, for programs.
pub(super) fn exports(bad: &BadNamed) -> Value {
    let one = |bad: &BadExport| {
        let path = bad.path.display().to_string();
        json!({ "path": path, "epoch": bad.epoch.0, "problem": bad.problem })
    };
    bad.exports.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use attorn_server::data::{NeededBy, PolicyPart};

    use super::*;

    #[test]
    fn what_nobody_needs_is_named_and_is_no_damage() {
        let path = "blobs/00".into();
        let mut blob =
            BadBlob { path, problem: "has other bytes than its name says".to_owned(), needed_by: Vec::new() };
        let none: [&[String]; 1] = [&[]];
        let of = |blob: &BadBlob| BadNamed { blobs: vec![blob.clone()], exports: Vec::new() };
        assert_eq!(exit(&none, &of(&blob)), Exit::Done);
        assert!(blobs(&of(&blob)).to_string().contains("blobs/00"));
        let policy = "p".parse().unwrap();
        blob.needed_by = vec![NeededBy { policy, version: 1, part: PolicyPart::Component }];
        assert_eq!(exit(&none, &of(&blob)), Exit::VerificationFailed);
    }

    #[test]
    fn whatever_is_bad_ends_with_its_own_exit_code() {
        let (bad, none) = (["`usr_1.key` holds no key".to_owned()], BadNamed::default());
        assert_eq!(exit(&[&[], &[]], &none), Exit::Done);
        // Files with entries, and files with keys of users.
        assert_eq!(exit(&[&bad, &[]], &none), Exit::VerificationFailed);
        assert_eq!(exit(&[&[], &bad], &none), Exit::VerificationFailed);
    }
}
