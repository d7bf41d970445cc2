//! Where the next page of a query begins. A cursor goes with the query that gave it, and nobody else makes one: it is
//! an entry's index and a keyed hash of that and the query. It says nothing that its holder has not been shown.

use std::collections::BTreeMap;

use attorn_api::ProblemCode;
use attorn_identity::NamesKey;
use attorn_log::Origin;
use data_encoding::BASE64URL_NOPAD;

use crate::http::failure::Failure;

/// What makes a page another than the next one of the same query.
const OF_A_PAGE: [&str; 2] = ["cursor", "limit"];

/// A query, to which cursors belong.
pub(crate) struct Cursors<'a> {
    names: &'a NamesKey,
    query: String,
}

impl<'a> Cursors<'a> {
    /// Those of this query, about this log and epoch.
    pub(crate) fn of(names: &'a NamesKey, origin: &Origin, query: &BTreeMap<String, String>) -> Self {
        let parts = query.iter().filter(|(name, _)| !OF_A_PAGE.contains(&name.as_str()));
        // No value has a line's end: none would parse.
        let parts: Vec<String> = parts.map(|(name, value)| format!("{name}={value}\n")).collect();
        Self { names, query: format!("{origin}\n{}", parts.concat()) }
    }

    /// The cursor for this place.
    pub(crate) fn make(&self, place: u64) -> String {
        BASE64URL_NOPAD.encode(&[&place.to_be_bytes()[..], self.hash(place).as_bytes()].concat())
    }

    /// The place of a cursor.
    pub(crate) fn read(&self, cursor: &str) -> Result<u64, Failure> {
        self.place(cursor).ok_or_else(|| {
            Failure::of(ProblemCode::InvalidQuery, "`cursor`: it was not given for this query")
                .with_help("begin without one, and go on with what the answer gives as `cursor`, and the same filters")
        })
    }

    fn place(&self, cursor: &str) -> Option<u64> {
        let bytes = BASE64URL_NOPAD.decode(cursor.as_bytes()).ok()?;
        let (place, hash) = bytes.split_first_chunk()?;
        let (place, hash) = (u64::from_be_bytes(*place), blake3::Hash::from_slice(hash).ok()?);
        // Compared in constant time.
        (self.hash(place) == hash).then_some(place)
    }

    fn hash(&self, place: u64) -> blake3::Hash {
        let digest = self.names.hash("audit cursor", &self.query, &place.to_string());
        blake3::Hash::from_bytes(*digest.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;

    fn query(parts: &[(&str, &str)]) -> BTreeMap<String, String> {
        parts.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_cursor_is_read_by_its_query_its_log_and_its_server_alone() {
        let key = |byte| NamesKey::of(Zeroizing::new([byte; 32]));
        let origin = |text: &str| -> Origin {
            let at: attorn_log::EntryRef = format!("{text}/0").parse().unwrap();
            at.origin()
        };
        let (names, own) = (key(1), query(&[("agent", "bot"), ("limit", "5")]));
        let cursors = Cursors::of(&names, &origin("log/1"), &own);
        for place in [0, 1, 4_096, u64::MAX] {
            let cursor = cursors.make(place);
            assert_eq!(cursors.read(&cursor).unwrap(), place);
            let page = query(&[("agent", "bot"), ("limit", "7"), ("cursor", &cursor)]);
            assert_eq!(Cursors::of(&names, &origin("log/1"), &page).read(&cursor).unwrap(), place);
            for other in [query(&[("agent", "bob")]), query(&[]), query(&[("agent", "bot"), ("order", "newest")])] {
                assert!(Cursors::of(&names, &origin("log/1"), &other).read(&cursor).is_err());
            }
            assert!(Cursors::of(&names, &origin("log/2"), &own).read(&cursor).is_err());
            assert!(Cursors::of(&names, &origin("gol/1"), &own).read(&cursor).is_err());
            assert!(Cursors::of(&key(2), &origin("log/1"), &own).read(&cursor).is_err());
            for at in 0..cursor.len() {
                assert!(cursors.read(&cursor[..at]).is_err());
            }
        }
        assert!(cursors.read(&BASE64URL_NOPAD.encode(&[0; 40])).is_err());
        assert!(cursors.read(&"A".repeat(10_000)).is_err());
    }
}
