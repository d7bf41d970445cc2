//! What a list of entries finds: in one epoch of the log, or in all that may have entries of the time, or about the
//! decision, that is asked for, one after the other from the oldest on.

use attorn_api::ProblemCode;
use attorn_api::audit::{DamagedEntries, EarlierEpoch, Entry, EntryList, LogEpoch, LogEpochList};
use attorn_core::DecisionId;
use attorn_log::Receipt;

use super::List;
use crate::bar::Bar;
use crate::failure::Failure;
use crate::operator_client::OperatorClient;
use crate::output::Output;

/// Where a list looks.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Where {
    /// None for the epoch that the log is in.
    epoch: Option<u64>,
    /// Its number, as far as it is known.
    number: u64,
    from: u64,
    /// How many entries it has; 0 where that is not known yet.
    size: u64,
}

/// What was found in an epoch.
pub(super) struct Part {
    /// None for the epoch that the log is in.
    pub(super) epoch: Option<u64>,
    pub(super) number: u64,
    pub(super) from: u64,
    pub(super) list: EntryList,
}

impl Part {
    pub(super) fn of(&self) -> String {
        self.epoch.map_or_else(|| "the log".to_owned(), |epoch| format!("epoch {epoch}"))
    }

    /// How many entries were looked at, if all were that could be.
    pub(super) fn looked_at(&self) -> u64 {
        self.list.indexed_through.unwrap_or(self.list.size).saturating_sub(self.from)
    }

    /// The first entry that was not looked at.
    fn next(&self) -> Option<u64> {
        let goes_on = self.list.cursor.is_some() || self.list.next.is_some();
        let after_last = || self.list.entries.last().map_or(self.from, |entry| entry.reference.index + 1);
        goes_on.then(|| self.list.next.unwrap_or_else(after_last))
    }
}

/// What was found.
pub(super) struct Found {
    /// In the order of their epochs.
    pub(super) parts: Vec<Part>,
    /// The epoch that comes next, where the list was full before.
    next_epoch: Option<u64>,
    /// Epochs that may have more, of which nothing is kept.
    pub(super) not_kept: Vec<EarlierEpoch>,
    /// Epochs that were not looked at, as nobody asked for what they may have.
    pub(super) earlier: Vec<EarlierEpoch>,
    walks: bool,
}

impl Found {
    /// Whether other epochs may be among these than the one that was named, or that the log is in.
    pub(super) const fn walks(&self) -> bool {
        self.walks
    }

    /// How many are of each epoch, where there are several.
    pub(super) fn of_each_epoch(&self) -> Option<String> {
        if self.parts.len() < 2 {
            return None;
        }
        let each = self.parts.iter().map(|part| format!("{} of epoch {}", part.list.entries.len(), part.number));
        Some(format!("the log has begun a new epoch in that time: {}", each.collect::<Vec<_>>().join(", ")))
    }

    /// What to give as `--from` for what comes next, where a place of one query would not do.
    pub(super) fn go_on_from(&self, asked: &List) -> Option<String> {
        let last = self.parts.last()?;
        if self.walks {
            let next = last.next().map(|next| format!("{}/{next}", last.number));
            return next.or_else(|| self.next_epoch.map(|epoch| format!("{epoch}/0")));
        }
        // How long ago something was is another time by then, and a place is good for its query alone.
        let by_index =
            asked.epoch().is_none() && asked.filters.since().is_some() && !asked.newest && asked.after.is_none();
        last.next().filter(|_| by_index).map(|next| next.to_string())
    }
}

impl List {
    /// The epoch that is asked for alone.
    fn epoch(&self) -> Option<u64> {
        self.epoch.or(self.from.epoch)
    }

    /// What the filters take, as much as is wanted.
    pub(super) async fn found(&self, client: &OperatorClient, output: &Output) -> Result<Found, Failure> {
        let walk = self.walk(client).await?;
        let (walks, places) = match walk {
            Some(places) => (true, places),
            None => (false, vec![Where { epoch: self.epoch(), number: 0, from: self.from.index, size: 0 }]),
        };
        let mut found = Found { parts: Vec::new(), next_epoch: None, not_kept: Vec::new(), earlier: Vec::new(), walks };
        let (mut left, bar) = (usize::from(self.limit), Bar::new(output));
        for place in places {
            if left == 0 {
                found.next_epoch = Some(place.number);
                break;
            }
            let list = match self.of(client, &place, (left, &bar)).await {
                // Nobody keeps it any more.
                Err(failure) if walks && place.epoch.is_some() && failure.code == Some(ProblemCode::NotFound) => {
                    found.not_kept.push(EarlierEpoch { epoch: place.number, size: place.size });
                    continue;
                }
                list => list?,
            };
            left = left.saturating_sub(list.entries.len());
            let Where { epoch, number, from, .. } = place;
            found.parts.push(Part { epoch, number, from, list });
        }
        if let ([only], false) = (&found.parts[..], walks) {
            found.earlier.clone_from(&only.list.earlier);
        }
        Ok(found)
    }

    /// Where to look, if it is not in one epoch alone; none if it is, which is so where the log has had no other.
    async fn walk(&self, client: &OperatorClient) -> Result<Option<Vec<Where>>, Failure> {
        let filters = &self.filters;
        let is_from_the_begin = self.from.epoch.is_some() || self.from.index == 0;
        if self.epoch.is_some() || self.newest || self.after.is_some() || !is_from_the_begin {
            return Ok(None);
        }
        if filters.since().is_none() && filters.about().is_none() {
            return Ok(None);
        }
        let all: LogEpochList = client.get("/v1/audit/epochs").await?;
        let is_known = self.from.epoch.is_none_or(|epoch| all.epochs.iter().any(|one| one.epoch == epoch));
        if all.epochs.len() < 2 || !is_known {
            return Ok(None);
        }
        let first = match (filters.about(), self.from.epoch) {
            (Some(id), None) => decided_in(client, id).await?,
            (_, from) => from.unwrap_or(0),
        };
        let times_ms =
            (filters.since().map_or(0, |since| since.ms), filters.until().map_or(u64::MAX, |until| until.ms));
        Ok(Some(places(&all.epochs, (first, self.from.index), times_ms)))
    }

    /// What the filters take in one epoch, as much as is wanted: the server ends a page early when it had to look at much.
    async fn of(
        &self,
        client: &OperatorClient,
        place: &Where,
        (wanted, bar): (usize, &Bar),
    ) -> Result<EntryList, Failure> {
        let (mut entries, mut cursor, mut from) = (Vec::<Entry>::new(), self.after.clone(), place.from);
        let mut damaged: Option<DamagedEntries> = None;
        loop {
            let left = wanted.saturating_sub(entries.len());
            let asked = client.get::<EntryList>(&self.path((place.epoch, from, left), cursor.as_deref())).await;
            let mut page = asked.map_err(|failure| self.in_own_words(failure))?;
            entries.extend(page.entries);
            damaged = match (damaged, page.damaged.take()) {
                (Some(known), Some(more)) => Some(known.and(more)),
                (known, more) => known.or(more),
            };
            // Without a cursor it goes on by its index: a page is short, too, where entries are large or cannot be read.
            let goes_on = page.cursor.is_some() || page.next.is_some();
            if entries.len() >= wanted || !goes_on {
                return Ok(EntryList { entries, damaged, ..page });
            }
            (cursor, from) = (page.cursor, page.next.unwrap_or(from));
            bar.step(from, page.size, "entries");
        }
    }

    fn path(&self, (epoch, from, limit): (Option<u64>, u64, usize), cursor: Option<&str>) -> String {
        let of = epoch.map_or_else(|| "entries".to_owned(), |epoch| format!("epochs/{epoch}/entries"));
        let mut path = format!("/v1/audit/{of}?from={from}&limit={limit}{}", self.filters.query());
        if self.newest {
            path.push_str("&order=newest");
        }
        if let Some(cursor) = cursor {
            path.push_str("&cursor=");
            path.push_str(cursor);
        }
        path
    }
}

/// The epochs from this entry on that may have entries of these times, the first and the last included.
fn places(epochs: &[LogEpoch], (first, index): (u64, u64), (since, until): (u64, u64)) -> Vec<Where> {
    let (mut places, mut began_ms) = (Vec::new(), 0);
    for one in epochs {
        let is_in_time = one.ended_at_ms.is_none_or(|ended| ended >= since) && began_ms <= until;
        // The one that the log is in is asked in any case: it says what the log has.
        if one.ended.is_none() || (is_in_time && one.epoch >= first) {
            places.push(Where {
                epoch: one.ended.is_some().then_some(one.epoch),
                number: one.epoch,
                from: if one.epoch == first { index } else { 0 },
                size: one.size,
            });
        }
        began_ms = one.ended_at_ms.unwrap_or(began_ms);
    }
    places
}

/// The epoch that a decision was made in, as its receipt says: what came of it is in no earlier one. The first of all where
/// that cannot be told.
async fn decided_in(client: &OperatorClient, id: &DecisionId) -> Result<u64, Failure> {
    match client.text(&format!("/v1/audit/decisions/{id}/receipt")).await {
        Ok(text) => {
            let receipt = Receipt::parse(&text).map_err(|error| Failure::of(&error))?;
            Ok(receipt.entry().map_err(|error| Failure::of(&error))?.at.epoch.0)
        }
        Err(failure) if failure.code.is_some() => Ok(0),
        Err(failure) => Err(failure),
    }
}

#[cfg(test)]
mod tests {
    use attorn_api::audit::LogEpochEnd;

    use super::*;
    use crate::commands::audit::filters::Filters;

    #[test]
    fn the_server_is_asked_for_the_page() {
        let (filters, from) = (Filters::default(), "0".parse().unwrap());
        let mut list = List { filters, from, limit: 50, epoch: None, newest: false, wide: false, after: None };
        assert_eq!(list.path((None, 0, 50), None), "/v1/audit/entries?from=0&limit=50");
        list.newest = true;
        assert_eq!(list.path((None, 0, 7), Some("abc")), "/v1/audit/entries?from=0&limit=7&order=newest&cursor=abc");
        (list.epoch, list.newest) = (Some(3), false);
        assert_eq!(list.path((list.epoch(), 9, 7), None), "/v1/audit/epochs/3/entries?from=9&limit=7");
        (list.epoch, list.from) = (None, "3/9".parse().unwrap());
        assert_eq!(list.epoch(), Some(3));
    }

    #[test]
    fn epochs_that_may_have_entries_of_the_time_are_looked_at_in_their_order() {
        let epoch = |epoch, ended_at_ms: Option<u64>| LogEpoch {
            epoch,
            size: 10,
            key: String::new(),
            checkpoint: None,
            ended: ended_at_ms.map(|_| LogEpochEnd::Restored),
            ended_at_ms,
            bad_entries: Vec::new(),
        };
        let all = [epoch(1, Some(100)), epoch(2, Some(200)), epoch(3, None)];
        let looked_at = |from, times| -> Vec<(Option<u64>, u64, u64)> {
            places(&all, from, times).into_iter().map(|one| (one.epoch, one.number, one.from)).collect()
        };
        let (first, second, now) = ((Some(1), 1, 0), (Some(2), 2, 0), (None, 3, 0));
        assert_eq!(looked_at((0, 0), (0, u64::MAX)), [first, second, now]);
        assert_eq!(looked_at((0, 0), (100, u64::MAX)), [first, second, now]);
        assert_eq!(looked_at((0, 0), (101, u64::MAX)), [second, now]);
        assert_eq!(looked_at((0, 0), (201, u64::MAX)), [now]);
        assert_eq!(looked_at((0, 0), (0, 99)), [first, now]);
        assert_eq!(looked_at((2, 7), (0, u64::MAX)), [(Some(2), 2, 7), now]);
        assert_eq!(looked_at((3, 7), (0, u64::MAX)), [(None, 3, 7)]);
    }
}
