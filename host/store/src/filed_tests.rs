//! What stands in the place of a record, and what a file of them is.

use std::fs;

use tempfile::TempDir;

use super::*;
use crate::fixtures::{decision, meta};

fn key(n: u64) -> Key {
    Key::decision(&decision(n))
}

#[test]
fn a_place_is_read_as_it_was_written_and_nothing_else_is_one() {
    let filed = Filed { epoch: 3, bundle: 70_000, begin: 17, length: 4_000, digest: [9; 32] };
    let bytes = filed.to_bytes();
    let golden = [
        &[0x80][..],
        &[0, 0, 0, 0, 0, 0, 0, 3],
        &[0, 0, 0, 0, 0, 1, 0x11, 0x70],
        &[0, 0, 0, 17],
        &[0, 0, 0x0f, 0xa0],
        &[9; 32],
    ];
    assert_eq!(bytes, golden.concat());
    assert_eq!(Filed::of(&key(1), &bytes), Some(filed));
    assert_eq!(Filed::of(&meta(1), &bytes), None, "nothing else is ever filed");
    for end in 0..bytes.len() {
        assert_eq!(Filed::of(&key(1), &bytes[..end]), None, "{end}");
    }
    assert_eq!(Filed::of(&key(1), &[&bytes[..], &[0]].concat()), None);
    for format in [0, 1, 2, 0x7f, 0x81, 0xff] {
        let mut other = bytes.clone();
        other[0] = format;
        assert_eq!(Filed::of(&key(1), &other), None, "{format}");
    }
}

#[test]
fn a_file_that_is_cut_or_longer_is_no_whole_one() {
    let records: Vec<(Key, Vec<u8>)> = (0..3).map(|n| (key(n), vec![1, b'a', u8::try_from(n).unwrap()])).collect();
    let bytes = put_together(records.iter().map(|(key, value)| (key, value.as_slice())));
    let places = take_apart((1, 2), &bytes).unwrap();
    assert_eq!(places.len(), 3);
    for (key, value) in &records {
        let place = places[key];
        assert_eq!((place.epoch, place.bundle, place.length()), (1, 2, 3));
        assert_eq!(&bytes[place.begin as usize..][..3], value);
        assert_eq!(digest_in(key, &place.to_bytes()), digest_in(key, value));
    }
    let ends: Vec<usize> =
        (0..=3).map(|n| put_together(records[..n].iter().map(|(key, value)| (key, &value[..]))).len()).collect();
    for end in 0..bytes.len() {
        assert_eq!(take_apart((1, 2), &bytes[..end]).is_some(), ends.contains(&end), "{end}");
    }
    assert!(take_apart((1, 2), &[&bytes[..], &[0]].concat()).is_none());
    // Lengths that nobody wrote.
    for at in MAGIC.len()..MAGIC.len() + 6 {
        let mut bad = bytes.clone();
        bad[at] = 0xff;
        assert!(take_apart((1, 2), &bad).is_none(), "{at}");
    }
}

#[test]
fn the_digest_is_of_this_value_under_this_key() {
    assert_eq!(digest_in(&meta(1), b"\x01{}"), None);
    let digests = [(1, &b"\x01{}"[..]), (2, b"\x01{}"), (1, b"\x01[]")].map(|(n, value)| digest_in(&key(n), value));
    assert!(digests.iter().all(Option::is_some));
    assert!(digests[0] != digests[1] && digests[0] != digests[2]);
}

#[test]
fn a_place_that_was_made_up_reads_nothing() {
    let dir = TempDir::new().unwrap();
    let records = RecordFiles::of(dir.path());
    let path = records.path(1, 1_002);
    assert!(path.ends_with("records/1/000001/002"));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, put_together([(&key(1), &b"\x01{}"[..])].into_iter())).unwrap();
    let filed = records.file(1, 1_002).unwrap().unwrap().1[&key(1)];
    assert_eq!(records.read(&key(1), &filed).unwrap(), b"\x01{}");
    let refused = |key: &Key, filed: Filed, expect: &str| {
        let said = records.read(key, &filed).unwrap_err().to_string();
        assert!(said.contains(expect) && said.contains(&path.display().to_string()), "{said}");
        assert!(said.ends_with("and look again with `attorn repair`"), "{said}");
    };
    refused(&key(2), filed, "was changed");
    refused(&key(1), Filed { begin: u32::MAX, ..filed }, "is cut off");
    refused(&key(1), Filed { length: filed.length + 1, ..filed }, "is cut off");
    refused(&key(1), Filed { begin: 0, ..filed }, "was changed");
    refused(&key(1), Filed { length: u32::MAX, ..filed }, "would be longer than any");
    // What is no regular file is neither followed nor waited for.
    let elsewhere = dir.path().join("elsewhere");
    fs::rename(&path, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
    let said = records.read(&key(1), &filed).unwrap_err().to_string();
    assert!(said.contains("cannot be read: it is no regular file; see that it is a file"), "{said}");
    assert!(records.file(1, 1_002).is_err());
}
