//! Entries in files that are damaged or missing when their epoch ends: whether it may end without them, and how they are
//! named. Decision records in such files are not of an epoch, but what they could be made anew of may go with it.
//!
//! What is wrong with a file the store's walk finds ([`attorn_store::Walked`]); nothing is read or mended here.

use std::ops::Range;

use attorn_log::Gap;
use attorn_store::{BadBundle, BadRecords, Walked};
use serde_json::{Value, json};

use super::EpochError;

/// How many ranges of bad entries one entry of the log can name.
const BAD_RANGES_MAX: usize = 1_000;
/// How many bad files a message names.
const FILES_NAMED_MAX: usize = 16;

/// What to do where entries of the epoch that ends are in files that are damaged or missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadEntries {
    /// End no epoch.
    Refused,
    /// Go on without them, and say so in the log.
    Accepted,
}

impl BadEntries {
    /// See whether an epoch may end whose entries these files should have.
    pub(crate) fn allow(self, bad: &[BadBundle]) -> Result<(), EpochError> {
        let ranges = ranges(bad);
        if ranges.len() > BAD_RANGES_MAX || bad.len() > Gap::COUNT_MAX {
            return Err(EpochError::TooManyBad { files: bad.len(), ranges: ranges.len() });
        }
        if self == Self::Accepted || bad.is_empty() {
            return Ok(());
        }
        let files = listed(bad.iter().map(BadBundle::what));
        Err(EpochError::BadEntries { entries: said(&ranges), files })
    }

    /// See whether an epoch may end whose base copies and journal go with it: they may be all that still has the decision
    /// records that this walk has missed.
    pub(crate) fn allow_without_copies(self, walked: &Walked) -> Result<(), EpochError> {
        let in_files = walked.bad_records.iter().map(BadRecords::what);
        let records = listed(in_files.chain(walked.bad_decisions.iter().map(String::as_str)));
        match self.allow(&walked.bad_bundles) {
            // Whoever accepts one accepts the other, and has read of both.
            Err(EpochError::BadEntries { entries, files }) if !records.is_empty() => {
                Err(EpochError::BadEntries { entries, files: format!("{files}; {records}") })
            }
            Ok(()) if self == Self::Refused && !records.is_empty() => Err(EpochError::BadRecords(records)),
            allowed => allowed,
        }
    }
}

/// What is wrong with each of these; of many, with some, and how many more there are.
fn listed<'a>(bad: impl Iterator<Item = &'a str>) -> String {
    let all: Vec<_> = bad.collect();
    let (named, more) = all.split_at(all.len().min(FILES_NAMED_MAX));
    let more = if more.is_empty() { String::new() } else { format!("; and {} more", more.len()) };
    format!("{}{more}", named.join("; "))
}

/// Which entries these files should have.
pub(crate) fn ranges(bad: &[BadBundle]) -> Vec<Range<u64>> {
    let mut ranges = Vec::<Range<u64>>::new();
    for Range { start, end } in bad.iter().map(|bad| bad.entries.clone()) {
        match ranges.last_mut().filter(|last| last.end == start) {
            Some(last) => last.end = end,
            None => ranges.push(start..end),
        }
    }
    ranges
}

/// Ranges of entries in words.
fn said(ranges: &[Range<u64>]) -> String {
    let one = |range: &Range<u64>| format!("{} to {}", range.start, range.end.saturating_sub(1));
    let named: Vec<_> = ranges.iter().take(FILES_NAMED_MAX).map(one).collect();
    let more = if ranges.len() > FILES_NAMED_MAX { " and others" } else { "" };
    format!("{}{more}", named.join(", "))
}

/// Ranges of entries, as an entry of the log says them.
pub(super) fn in_entry(ranges: &[Range<u64>]) -> Value {
    let one = |range: &Range<u64>| {
        let last = range.end.saturating_sub(1);
        json!({ "from": range.start.to_string(), "to": last.to_string() })
    };
    ranges.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_said_and_written() {
        let all = [0..256, 512..768];
        assert_eq!(said(&all), "0 to 255, 512 to 767");
        assert_eq!(in_entry(&all), json!([{ "from": "0", "to": "255" }, { "from": "512", "to": "767" }]));
        let many: Vec<_> = (0..20).map(|n| n * 512..n * 512 + 256).collect();
        assert!(said(&many).ends_with("7680 to 7935 and others"), "{}", said(&many));
        // Even the most of them fit into one entry.
        let most: Vec<_> = (0..BAD_RANGES_MAX as u64).map(|n| (1 << 40) + n * 512..(1 << 40) + n * 512 + 256).collect();
        assert!(in_entry(&most).to_string().len() < 58 << 10);
    }
}
