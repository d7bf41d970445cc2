//! Decision records in base copy and journal: whether each is what its entry names.
//!
//! What the journal says of a row counts, whatever the base copy says; what is known of each such row takes memory, and not
//! its value.

use std::collections::HashMap;
use std::path::Path;

use attorn_log::Epoch;

use crate::base::{self, Base};
use crate::error::PartsError;
use crate::head::{self, Head, LogName};
use crate::journal::{self, JournalError};
use crate::key::{Key, KeyKind};
use crate::named_records::Stand;
use crate::record_walk::{RecordWalk, Row, Rows};
use crate::redo::{Redo, Write};
use crate::repair::causes;
use crate::trees::{HEAD_KEY, Stored, TreeName, entry_in};

/// Compare the records that base copy and journal have with the entries that they have; those of files are not read.
pub(super) fn compare(
    dir: &Path,
    (base, journal): (&Base, &Path),
    epoch: Epoch,
    goes_on: &dyn Fn() -> bool,
) -> Result<(), PartsError> {
    let mut records = RecordWalk::within(dir);
    read(base, journal, goes_on, |write| {
        take_entry(&mut records, epoch, write);
        Ok(())
    })?;
    look_at_rows(&mut records, (base, journal), Rows::OfKnown, goes_on)?;
    let (_, bad) = records.into_bad(epoch);
    bad.into_iter().next().map_or(Ok(()), |bad| Err(PartsError::Records(bad)))
}

/// Take in what an entry that is written names, or which records are known to be lost.
pub(crate) fn take_entry(records: &mut RecordWalk, epoch: Epoch, write: &Write) {
    if let Some(entry) = entry_in(write).filter(|entry| !entry.bytes.is_empty()) {
        records.named.read(epoch, entry.index, entry.bytes);
    }
    let Some(value) = write.value.as_ref().filter(|_| write.tree == TreeName::State) else { return };
    let key = Key::from_stored(&write.key);
    if key.kind() == Some(KeyKind::LostRecords)
        && let Ok(stored) = Stored::parse(&key, value)
    {
        records.accept(&key, &stored);
    }
}

/// Look at the rows of records, when all entries that can be read were.
pub(crate) fn look_at_rows(
    records: &mut RecordWalk,
    (base, journal): (&Base, &Path),
    rows: Rows,
    goes_on: &dyn Fn() -> bool,
) -> Result<(), PartsError> {
    let (mut later, mut stand) = (HashMap::<Key, Option<Row>>::new(), None);
    replay(base, journal, goes_on, |write| {
        stand = stand_in(write).transpose()?.or(stand.take());
        if let Some(key) = key_of_record(write) {
            let row = row_in(&key, write)?;
            later.insert(key, row);
        }
        Ok(())
    })?;
    if stand.is_none() {
        // Nothing came after the base copy.
        read_base(base, goes_on, |write| {
            stand = stand_in(write).transpose()?.or(stand.take());
            Ok(())
        })?;
    }
    let Some((log, head)) = stand else { return Ok(()) };
    let stand = Stand { log: &log, head: &head };
    read_base(base, goes_on, |write| {
        if let Some(key) = key_of_record(write)
            && !later.contains_key(&key)
            && let Some(row) = row_in(&key, write)?
        {
            records.look_at_row(stand, &key, &row, rows);
        }
        Ok(())
    })?;
    for (key, row) in later {
        if let Some(row) = row {
            records.look_at_row(stand, &key, &row, rows);
        }
    }
    Ok(())
}

fn key_of_record(write: &Write) -> Option<Key> {
    let is_state = write.tree == TreeName::State;
    is_state.then(|| Key::from_stored(&write.key)).filter(|key| key.kind() == Some(KeyKind::Decision))
}

fn row_in(key: &Key, write: &Write) -> Result<Option<Row>, PartsError> {
    let row = write.value.as_ref().map(|value| Row::of(key, value)).transpose();
    // No engine that is made of it could be read to its end.
    row.map_err(|error| PartsError::Records(causes(&error)))
}

fn stand_in(write: &Write) -> Option<Result<(LogName, Head), PartsError>> {
    let is_head = write.tree == TreeName::Head && write.key == HEAD_KEY;
    let row = write.value.as_ref().filter(|_| is_head)?;
    Some(head::parse(row).map_err(|error| PartsError::Records(causes(&error))))
}

/// Read base copy and journal, in this order.
pub(super) fn read(
    base: &Base,
    journal: &Path,
    goes_on: &dyn Fn() -> bool,
    mut each: impl FnMut(&Write) -> Result<(), PartsError>,
) -> Result<(), PartsError> {
    read_base(base, goes_on, &mut each)?;
    replay(base, journal, goes_on, each)
}

/// Read a base copy, as long as it goes on.
pub(crate) fn read_base(
    base: &Base,
    goes_on: &dyn Fn() -> bool,
    mut each: impl FnMut(&Write) -> Result<(), PartsError>,
) -> Result<(), PartsError> {
    base::read(base, |writes| {
        if !goes_on() {
            return Err(base.given_up().into());
        }
        writes.iter().try_for_each(&mut each)
    })?;
    Ok(())
}

/// Read the journal after a base copy, as long as it goes on.
pub(crate) fn replay(
    base: &Base,
    journal: &Path,
    goes_on: &dyn Fn() -> bool,
    mut each: impl FnMut(&Write) -> Result<(), PartsError>,
) -> Result<(), PartsError> {
    journal::replay(journal, None, base.version, |redo: Redo| {
        if !goes_on() {
            return Err(JournalError::given_up(journal).into());
        }
        redo.writes.iter().try_for_each(&mut each)
    })?;
    Ok(())
}

#[cfg(test)]
#[path = "records_tests.rs"]
mod tests;
