//! What fuzzers feed: decoders of bytes on disk, before anything was compared with a digest. Nothing else uses it.

use std::ops::Range;

use crate::filed::{self, Filed};
use crate::index;
use crate::key::Key;

/// The keys of the records in a file, and where the value of each is; none if it is no whole file. Of records with one key
/// the last is told.
#[must_use]
pub fn records(bytes: &[u8]) -> Option<Vec<(Vec<u8>, Range<usize>)>> {
    let places = filed::take_apart((1, 0), bytes)?;
    Some(places.iter().map(|(key, filed)| (key.as_bytes().to_vec(), filed.range())).collect())
}

/// The same file as it is written anew from its records; none if it is no whole one, or none has these places.
#[must_use]
pub fn records_again(bytes: &[u8]) -> Option<Vec<u8>> {
    let places = filed::take_apart((1, 0), bytes)?;
    filed::put_where_they_were(places.iter().map(|(key, filed)| (key, *filed, bytes.get(filed.range()))))
}

/// The bytes of the place that stands in the place of a decision's record; none if it is no place.
#[must_use]
pub fn place(bytes: &[u8]) -> Option<Vec<u8>> {
    let key = Key::decision(&"dec_0123456789abcdef0123456789abcdef".parse().ok()?);
    Filed::of(&key, bytes).map(Filed::to_bytes)
}

/// A row of a pack of the index: its term, its chunk, and which entries of that.
pub type Row = ([u8; 16], u8, Vec<u8>);

/// The rows of a pack; none if it is broken.
#[must_use]
pub fn rows(pack: &[u8]) -> Option<Vec<Row>> {
    index::rows(pack)
}

/// A row's entries, as they are written; none if it is broken.
#[must_use]
pub fn row(bytes: &[u8]) -> Option<Vec<u8>> {
    index::row(bytes)
}
