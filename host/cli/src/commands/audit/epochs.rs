//! `attorn audit epochs`, and how another list speaks of them.

use std::collections::BTreeMap;

use attorn_api::ProblemCode;
use attorn_api::audit::{DamagedEntries, EarlierEpoch, EntryRange, LogEpochEnd, LogEpochList};

use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::operator_client::OperatorClient;
use crate::output::time_or_dash;

pub(super) async fn list(context: &Context) -> Result<Exit, Failure> {
    let list: LogEpochList = context.operator()?.get("/v1/audit/epochs").await?;
    let output = &context.output;
    if output.json {
        return output.json(&list).map(|()| Exit::Done);
    }
    let why = |ended| match ended {
        None => "-",
        Some(LogEpochEnd::Restored) => "restored",
        Some(LogEpochEnd::KeyRotated) => "key rotated",
        Some(LogEpochEnd::KeyCompromised) => "key compromised",
    };
    let rows: Vec<Vec<String>> = (list.epochs.iter())
        .map(|one| {
            let ended = time_or_dash(one.ended_at_ms);
            vec![one.epoch.to_string(), one.size.to_string(), why(one.ended).into(), ended, one.key.clone()]
        })
        .collect();
    output.table(&["EPOCH", "ENTRIES", "ENDED BY", "AT", "KEY"], &rows);
    for one in list.epochs.iter().filter(|one| !one.bad_entries.is_empty()) {
        output.note(format!(
            "{} of epoch {} were bad when it ended, and are not kept",
            said(&one.bad_entries),
            one.epoch
        ));
    }
    Ok(Exit::Done)
}

/// The key of an epoch, as the server says.
pub(super) async fn key(client: &OperatorClient, epoch: u64) -> Result<String, Failure> {
    let list: LogEpochList = client.get("/v1/audit/epochs").await?;
    let found = list.epochs.into_iter().find(|one| one.epoch == epoch);
    found.map(|one| one.key).ok_or_else(|| {
        Failure::new(format!("the log has no epoch {epoch}"))
            .with_help("`attorn audit epochs` lists those that it has, with their keys")
    })
}

/// By epoch, the entries that were bad when it ended, as the server says.
pub(super) async fn bad_entries(client: &OperatorClient) -> Result<BTreeMap<u64, Vec<EntryRange>>, Failure> {
    let list: LogEpochList = client.get("/v1/audit/epochs").await?;
    Ok(list.epochs.into_iter().map(|one| (one.epoch, one.bad_entries)).collect())
}

/// Ranges of entries in words.
pub(crate) fn said(ranges: &[EntryRange]) -> String {
    const SAID_MAX: usize = 16;
    let one = |range: &EntryRange| format!("{} to {}", range.from, range.to);
    let named: Vec<_> = ranges.iter().take(SAID_MAX).map(one).collect();
    let more = ranges.len().saturating_sub(SAID_MAX);
    let more = if more > 0 { format!(" and {more} more ranges") } else { String::new() };
    format!("the entries {}{more}", named.join(", "))
}

/// That entries of an earlier epoch could not be shown.
pub(crate) fn damaged_entries(epoch: u64, damaged: &DamagedEntries) -> Failure {
    damaged_of((&format!("epoch {epoch}"), &format!("{epoch}/{}", damaged.first)), damaged)
}

/// That entries of the epoch that the log is in could not be shown.
pub(super) fn damaged_now(damaged: &DamagedEntries) -> Failure {
    damaged_of(("the log", &damaged.first.to_string()), damaged)
}

fn damaged_of((what, first): (&str, &str), damaged: &DamagedEntries) -> Failure {
    let DamagedEntries { count, why, help, .. } = damaged;
    let are =
        if *count == 1 { "entry of it cannot be read," } else { "entries of it cannot be read, the first of which is" };
    let failure = Failure::new(format!("{what} is damaged: {count} {are} {first}: {why}"));
    let failure = Failure { exit: Exit::VerificationFailed, ..failure };
    match help {
        Some(help) => failure.with_help(help),
        None => failure,
    }
}

/// The same for whoever does not go on without them: as the server answers who asks for the first of them.
pub(super) fn damaged_first(damaged: DamagedEntries) -> Failure {
    let failure = Failure { exit: Exit::VerificationFailed, help: damaged.help, ..Failure::new(damaged.why) };
    Failure { code: Some(ProblemCode::LogDamaged), ..failure }
}

/// What a list of entries says of epochs that are not in it; none if there are none.
pub(super) fn not_among(earlier: &[EarlierEpoch]) -> Option<String> {
    let last = earlier.last()?;
    let each: Vec<_> = earlier.iter().map(|one| format!("{} with {} entries", one.epoch, one.size)).collect();
    let of = if earlier.len() == 1 { "an earlier epoch" } else { "earlier epochs" };
    let option = last.epoch;
    Some(format!("the log has {of} that this is not about ({}): `--epoch {option}` lists one", each.join(", ")))
}

/// What a list says of an epoch that may have more, whose entries nobody keeps here any more.
pub(super) fn not_kept(one: &EarlierEpoch) -> String {
    format!(
        "the {} entries of epoch {} were not looked at, as the server does not keep them any more (`attorn audit epochs`)",
        one.size, one.epoch
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_counted_and_its_first_named() {
        let of = |count| {
            let damaged =
                DamagedEntries { count, first: 14, why: "entry 14 was changed".into(), help: Some("h".into()) };
            let failure = damaged_entries(1, &damaged);
            assert_eq!((failure.exit, failure.help.as_deref()), (Exit::VerificationFailed, Some("h")));
            failure.message
        };
        let one = "epoch 1 is damaged: 1 entry of it cannot be read, 1/14: entry 14 was changed";
        let two =
            "epoch 1 is damaged: 2 entries of it cannot be read, the first of which is 1/14: entry 14 was changed";
        assert_eq!((of(1).as_str(), of(2).as_str()), (one, two));
        let now = DamagedEntries { count: 3, first: 14, why: "it is gone".into(), help: None };
        let expect = "the log is damaged: 3 entries of it cannot be read, the first of which is 14: it is gone";
        assert_eq!(damaged_now(&now).message, expect);
        let range = |from: u64| EntryRange { from, to: from + 255 };
        assert_eq!(said(&[range(0), range(512)]), "the entries 0 to 255, 512 to 767");
        assert!(said(&[range(0); 18]).ends_with("0 to 255 and 2 more ranges"));
    }

    #[test]
    fn earlier_epochs_are_named_with_how_to_search_them() {
        let one = |epoch| EarlierEpoch { epoch, size: epoch * 10 };
        assert_eq!(not_among(&[]), None);
        let said = not_among(&[one(1), one(3)]).unwrap();
        let expect = "the log has earlier epochs that this is not about (1 with 10 entries, 3 with 30 entries): \
                      `--epoch 3` lists one";
        assert_eq!(said, expect);
    }
}
