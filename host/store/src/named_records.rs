//! Which decision record each entry of the log names, and whether those that are stored are these.
//!
//! Entries are told first, of whichever epoch, and then the rows of records. Of each entry a short keyed hash is kept, of
//! which decision it names and of which record: eight bytes, however long either is, and no place where a row would have to
//! be looked for. A row says itself which entries it was written with, and nobody signed that: so it is right only if one
//! of these names it, and what an entry names must have been met when all rows were.
//!
//! Of entries that nobody can read any more nothing is said, and nothing of rows that say that they are of such.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher as _, RandomState};

use attorn_log::tiles::TILE_WIDTH;
use attorn_log::{Entry, Epoch};

use crate::batch::BATCH_ITEMS_MAX;
use crate::bundled::BUNDLE_ENTRIES;
use crate::decided::Decided;
use crate::head::{Head, LogName};
use crate::key::Key;
use crate::records::RecordError;
use crate::repair::causes;
use crate::trees::Stored;

/// How many decisions are named whose record is another.
const NAMED_MAX: usize = 100;
/// Of how many rows that no entry names it is remembered which they are.
const STRANGERS_MAX: usize = 10_000;

/// How many bundles may be read of which there is hardly an entry, and how many entries there are in each beyond those.
const SCATTERED_MAX: u64 = 1_024;
const SPARSE: u64 = 16;

/// What helps where a record is not what its entry says.
const LOOK_FOR_IT: &str = "somebody wrote to the data directory: the entry is right if the log proves (`attorn audit \
                           verify`), and a backup from before may have the record";

/// Which records the entries of a log name, and which of them were met.
pub(crate) struct NamedRecords {
    /// Its key is of this process: nobody can make two records that pass for one.
    hasher: RandomState,
    /// By epoch and number, of all bundles of which an entry was read.
    bundles: BTreeMap<(u64, u64), Box<[Slot; TILE_WIDTH as usize]>>,
    /// How many entries were read.
    entries: u64,
    /// Whether more were not, because they stand where no log has them.
    is_scattered: bool,
    strangers: Vec<Stranger>,
    /// What is said of rows that cannot be read.
    unreadable: Vec<String>,
    more: u64,
}

/// What an entry names.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Slot {
    /// [`UNREAD`], [`NO_DECISION`], or which decision.
    decision: u32,
    /// [`NO_RECORD`], or which record; that too where it was met.
    record: u32,
}

const UNREAD: u32 = 0;
const NO_DECISION: u32 = 1;
const NO_RECORD: u32 = 0;

/// A row that no entry of those that it is said to be of names.
struct Stranger {
    decision: u32,
    /// [`NO_RECORD`] where it cannot be read.
    record: u32,
    key: Key,
}

/// Where a store stands of which rows are compared.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stand<'a> {
    pub(crate) log: &'a LogName,
    pub(crate) head: &'a Head,
}

/// What is known of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// An entry names it, or it is kept that none does.
    Settled,
    /// Its entries were not read.
    Unknown,
}

impl NamedRecords {
    pub(crate) fn new() -> Self {
        Self {
            hasher: RandomState::new(),
            bundles: BTreeMap::new(),
            entries: 0,
            is_scattered: false,
            strangers: Vec::new(),
            unreadable: Vec::new(),
            more: 0,
        }
    }

    /// Take in what an entry names.
    pub(crate) fn read(&mut self, epoch: Epoch, index: u64, bytes: &[u8]) {
        let decided = Entry::parse(bytes).ok().and_then(|entry| Decided::of(&entry));
        self.take(epoch, index, decided.as_ref());
    }

    /// The same of one that was taken apart.
    pub(crate) fn take(&mut self, epoch: Epoch, index: u64, decided: Option<&Decided>) {
        let slot = match decided {
            None => Slot { decision: NO_DECISION, record: NO_RECORD },
            Some(Decided { id, digest }) => Slot {
                decision: self.decision(&Key::decision(id)),
                record: digest.as_deref().map_or(NO_RECORD, |digest| self.record(digest)),
            },
        };
        let of = (epoch.0, index / BUNDLE_ENTRIES);
        // Nearly all of a bundle is read; whoever scatters entries over a log without an end has no memory of ours for each.
        if !self.bundles.contains_key(&of) && self.bundles.len() as u64 > SCATTERED_MAX + self.entries / SPARSE {
            self.is_scattered = true;
            return;
        }
        self.entries += 1;
        let bundle = self.bundles.entry(of);
        bundle.or_insert_with(|| Box::new([Slot::default(); TILE_WIDTH as usize]))[place(index)] = slot;
    }

    /// Know nothing of an epoch any more: what was read was not what was signed.
    pub(crate) fn forget(&mut self, epoch: Epoch) {
        self.bundles.retain(|(of, _), _| *of != epoch.0);
    }

    /// Whether anything is known of the entries that a row is said to be of.
    pub(crate) fn knows(&self, stand: Stand<'_>, stored: &Stored) -> bool {
        let (epoch, end) = stand.epoch_of(stored.version);
        let entries = || stored.entries.clone().take(BATCH_ITEMS_MAX);
        stored.entries.is_empty() || entries().any(|index| index >= end || self.slot(epoch, index).decision != UNREAD)
    }

    /// Compare a row with the entries that it is said to be of. `digest` is of its record as it is stored; none where that
    /// cannot be read, which is said elsewhere.
    pub(crate) fn compare(&mut self, stand: Stand<'_>, key: &Key, stored: &Stored, digest: Option<&str>) -> Standing {
        let (epoch, end) = stand.epoch_of(stored.version);
        let decision = self.decision(key);
        let record = digest.map_or(NO_RECORD, |digest| self.record(digest));
        let is_beyond = stored.version > stand.head.version || stored.entries.end > end;
        let (mut is_right, mut is_another, mut is_known) = (false, false, true);
        // A batch has few entries; what is stored may say anything.
        for index in stored.entries.clone().take(BATCH_ITEMS_MAX).take_while(|index| *index < end) {
            let slot = self.slot(epoch, index);
            is_known &= slot.decision != UNREAD;
            if slot.decision != decision {
                continue;
            }
            if slot.record == NO_RECORD {
                is_right = true;
            } else if !is_beyond && (slot.record == record || digest.is_none()) {
                self.met(epoch, index);
                is_right = true;
            } else {
                is_another = true;
            }
        }
        if is_right && !is_another && !is_beyond {
            return Standing::Settled;
        }
        if !is_right && !is_another && !is_beyond && !is_known {
            return Standing::Unknown;
        }
        self.keep_stranger(Stranger { decision, record, key: key.clone() });
        Standing::Settled
    }

    /// Know of a row that cannot be read at all.
    pub(crate) fn cannot_read(&mut self, error: &RecordError) {
        if self.unreadable.len() < NAMED_MAX {
            self.unreadable.push(format!("{}; {LOOK_FOR_IT}", causes(error)));
        } else {
            self.more += 1;
        }
    }

    fn keep_stranger(&mut self, row: Stranger) {
        if self.strangers.len() < STRANGERS_MAX {
            self.strangers.push(row);
        } else {
            self.more += 1;
        }
    }

    /// What is wrong with decision records, where all entries and all rows were told.
    pub(crate) fn into_bad(self, of: Epoch) -> Vec<String> {
        let Self { bundles, strangers, unreadable, is_scattered, mut more, .. } = self;
        let by_decision: HashMap<u32, usize> = strangers.iter().zip(0..).map(|(row, at)| (row.decision, at)).collect();
        let (mut bad, mut is_said) = (Vec::new(), vec![false; strangers.len()]);
        let mut say = |said: String| {
            if bad.len() < NAMED_MAX { bad.push(said) } else { more += 1 }
        };
        for ((epoch, bundle), slots) in bundles {
            for (slot, index) in slots.iter().zip(bundle * BUNDLE_ENTRIES..) {
                if slot.record == NO_RECORD {
                    continue;
                }
                let entry =
                    if epoch == of.0 { format!("entry {index}") } else { format!("entry {index} of epoch {epoch}") };
                let Some(row) = by_decision.get(&slot.decision) else {
                    say(format!("the record is gone that {entry} names; {LOOK_FOR_IT}"));
                    continue;
                };
                is_said[*row] = true;
                let Stranger { record, key, .. } = &strangers[*row];
                say(if *record == slot.record {
                    format!(
                        "the record `{key}` says of itself that it is of other entries than {entry}, which names it; {LOOK_FOR_IT}"
                    )
                } else {
                    format!("the record `{key}` is not the one that {entry} names; {LOOK_FOR_IT}")
                });
            }
        }
        for (row, _) in strangers.iter().zip(is_said).filter(|(_, is_said)| !is_said) {
            say(format!("the record `{}` is of no decision: no entry of the log names it; {MADE_UP}", row.key));
        }
        bad.extend(unreadable);
        bad.extend(is_scattered.then(|| SCATTERED.to_owned()));
        bad.extend((more > 0).then(|| format!("and the records of {more} more decisions")));
        bad
    }

    fn slot(&self, epoch: u64, index: u64) -> Slot {
        self.bundles.get(&(epoch, index / BUNDLE_ENTRIES)).map_or_else(Slot::default, |slots| slots[place(index)])
    }

    fn met(&mut self, epoch: u64, index: u64) {
        if let Some(slots) = self.bundles.get_mut(&(epoch, index / BUNDLE_ENTRIES)) {
            slots[place(index)].record = NO_RECORD;
        }
    }

    fn decision(&self, key: &Key) -> u32 {
        self.hash(key.as_bytes()).max(NO_DECISION + 1)
    }

    fn record(&self, digest: &str) -> u32 {
        self.hash(digest.as_bytes()).max(NO_RECORD + 1)
    }

    fn hash(&self, bytes: &[u8]) -> u32 {
        let [a, b, c, d, ..] = self.hasher.hash_one(bytes).to_be_bytes();
        u32::from_be_bytes([a, b, c, d])
    }
}

/// What is said where not all entries were read.
const SCATTERED: &str = "entries stand where no log has them, so not all decision records could be compared with theirs: \
                         somebody wrote to the data directory";

/// What helps where a row is of no entry.
const MADE_UP: &str = "somebody wrote to the data directory, and nothing that is decided rests on it; `attorn repair` makes \
                       the database anew where base copy and journal do not have it";

impl Stand<'_> {
    /// The epoch that a version was in, and how many entries that has.
    fn epoch_of(self, version: u64) -> (u64, u64) {
        let Self { log, head } = self;
        log.earlier_of(version).map_or((log.epoch.0, head.size), |earlier| (earlier.epoch.0, earlier.size))
    }
}

/// Where in its bundle an entry is.
fn place(index: u64) -> usize {
    // It is below 256.
    usize::try_from(index % BUNDLE_ENTRIES).unwrap_or(0)
}

#[cfg(test)]
#[path = "named_records_tests.rs"]
mod tests;
