//! What is said of the epochs before the one that a log is in.

use std::ops::Range;

use attorn_api::audit::EntryRange;
use serde_json::{Value, json};

use super::super::super::epochs::said;
use super::{Earlier, Seen};
use crate::failure::Failure;
use crate::output::Output;

/// Those that are proved by the log itself.
pub(in super::super) fn lines(output: &Output, earlier: &[Earlier]) {
    for Earlier { epoch, entries, bad, .. } in earlier.iter().filter(|one| one.seen == Seen::Whole) {
        let but = if bad.is_empty() { "" } else { ", but for those that were bad when it ended" };
        output.line(format!("{:<9} its {entries} entries are as they were signed{but}", format!("epoch {epoch}")));
    }
}

/// What is to be known of the others, and of those that lack entries.
pub(in super::super) fn notes(output: &Output, earlier: &[Earlier]) {
    // Those of which nothing is kept come first.
    let (kept, not_kept): (Vec<_>, Vec<_>) = earlier.iter().partition(|one| one.seen != Seen::NotKept);
    for Earlier { epoch, entries, seen, .. } in not_kept.into_iter().chain(kept) {
        let by = match seen {
            Seen::Whole => continue,
            Seen::NotKept => {
                output.note(format!(
                    "epoch {epoch} was not checked: its {entries} entries are not kept here (`{epoch}.export`), and which \
                     epoch was before it only they tell"
                ));
                continue;
            }
            Seen::Unproven(_) => {
                output.note(format!(
                    "epoch {epoch} is unproven: its {entries} entries are as the key in its own file signed them, to which \
                     no key leads that is known"
                ));
                continue;
            }
            Seen::Recorded => "as what is recorded of it says",
            Seen::Remembered => "as the key signed them that is remembered here",
        };
        output.note(format!(
            "epoch {epoch} is not connected with this log, as what a later one began with is not kept: its {entries} entries \
             are {by}"
        ));
    }
    for Earlier { epoch, bad, .. } in earlier.iter().filter(|one| !one.bad.is_empty() && !one.is_unproven()) {
        output.note(were_bad(epoch.0, bad));
    }
}

/// What does not verify, where what is kept of an earlier epoch is proved by nothing; the latest is named.
pub(in super::super) fn unproven(earlier: &[Earlier]) -> Option<Failure> {
    earlier.iter().find_map(|one| {
        let Seen::Unproven(broken) = one.seen else { return None };
        let (epoch, why) = (one.epoch, broken.why());
        let message = format!("epoch {epoch} is unproven: {why}; anybody could have made `{epoch}.export`");
        Some(Failure::unverified(message).with_help(broken.help()))
    })
}

/// That entries of an earlier epoch are lacking, and were not altered since.
pub(in super::super) fn were_bad(epoch: u64, bad: &[Range<u64>]) -> String {
    let ranges: Vec<_> = bad.iter().map(|range| EntryRange { from: range.start, to: range.end - 1 }).collect();
    format!("{} of epoch {epoch} were bad when it ended, and are not kept", said(&ranges))
}

pub(in super::super) fn in_json(one: &Earlier) -> Value {
    let checked = one.seen == Seen::Whole;
    let mut members = json!({ "epoch": one.epoch.0, "entries": one.entries, "checked": checked });
    let by = match one.seen {
        Seen::Recorded => Some("recorded"),
        Seen::Remembered => Some("remembered"),
        Seen::Unproven(_) => Some("unproven"),
        Seen::Whole | Seen::NotKept => None,
    };
    if let Some(by) = by {
        members[by] = true.into();
    }
    if !one.bad.is_empty() {
        let bad = one.bad.iter().map(|range| json!({ "from": range.start, "to": range.end - 1 }));
        members["bad_entries"] = bad.collect();
    }
    members
}
