//! What the store reads from its files: those with decision records, the places that stand for records, and packs of the
//! index of the log.

use attorn_store::raw;

/// The first byte says what the rest is taken for. What is read lies within what was given, and is written as it was.
pub fn stored(bytes: &[u8]) {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    match kind % 4 {
        0 => records(bytes),
        1 => {
            if let Some(again) = raw::place(bytes) {
                assert_eq!(again, bytes);
            }
        }
        2 => {
            let Some(rows) = raw::rows(bytes) else { return };
            let header = |(term, chunk, row): &([u8; 16], u8, Vec<u8>)| {
                let length = u16::try_from(row.len()).expect("its length has two bytes").to_be_bytes();
                [&term[..], &[*chunk], &length, row].concat()
            };
            assert_eq!(rows.iter().flat_map(header).collect::<Vec<u8>>(), bytes);
            for (_, _, bytes) in &rows {
                row(bytes);
            }
        }
        _ => row(bytes),
    }
}

fn records(bytes: &[u8]) {
    let Some(records) = raw::records(bytes) else { return };
    let mut end = 0;
    let mut ranges: Vec<_> = records.iter().map(|(key, range)| (range.clone(), key)).collect();
    ranges.sort_by_key(|(range, _)| range.start);
    for (range, key) in &ranges {
        assert!(end + 6 + key.len() <= range.start && range.end <= bytes.len(), "{range:?}");
        assert_eq!(&bytes[range.start - key.len()..range.start], &key[..]);
        end = range.end;
    }
    // Written anew it has each record where it was: what is lost of a file is put in its place so.
    let Some(again) = raw::records_again(bytes) else { return };
    assert!(again.len() <= bytes.len());
    let found = raw::records(&again).expect("what was written is read");
    for (key, range) in records {
        assert_eq!(again.get(range.clone()), bytes.get(range.clone()));
        // A record without a key stands for those that are known no more, and the last of these is told.
        assert!(key.is_empty() || found.contains(&(key, range.clone())), "{range:?}");
    }
}

fn row(bytes: &[u8]) {
    let Some(written) = raw::row(bytes) else { return };
    assert_eq!(raw::row(&written).as_deref(), Some(&written[..]));
    assert!(written.len() <= bytes.len());
}
