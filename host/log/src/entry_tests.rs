//! Entries that are almost right, and that there is one way to write each.

use proptest::prelude::*;
use serde_json::json;

use super::*;

const ZEROS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

fn entry() -> Entry {
    let body = EntryBody::of(&json!({ "kind": "decision" })).unwrap();
    Entry { at: "main/1/0".parse().unwrap(), previous: Link::NONE, body }
}

#[track_caller]
fn refused(text: &str, message: &str) {
    assert_eq!(Entry::parse(text.as_bytes()).unwrap_err().to_string(), message, "{text}");
}

#[test]
fn an_envelope_that_is_almost_right_is_refused() {
    let shape = "the entry's first line is not `attorn-entry/v1 <log id> <epoch> <index> <previous link>`";
    for envelope in [
        format!("attorn-entry/v2 main 1 0 {ZEROS}"),
        format!("attorn-entry/v1  main 1 0 {ZEROS}"),
        format!(" attorn-entry/v1 main 1 0 {ZEROS}"),
        format!("attorn-entry/v1 main 1 0 {ZEROS} "),
        format!("attorn-entry/v1\tmain 1 0 {ZEROS}"),
        "attorn-entry/v1 main 1 0".into(),
        String::new(),
    ] {
        refused(&format!("{envelope}\n{{}}\n"), shape);
    }
    let field = "the entry's first line has a field that cannot be read";
    for envelope in [
        format!("attorn-entry/v1 Main 1 0 {ZEROS}"),
        format!("attorn-entry/v1 main 01 0 {ZEROS}"),
        format!("attorn-entry/v1 main +1 0 {ZEROS}"),
        format!("attorn-entry/v1 main 1 00 {ZEROS}"),
        format!("attorn-entry/v1 main 1 -0 {ZEROS}"),
        format!("attorn-entry/v1 main 1 18446744073709551616 {ZEROS}"),
        format!("attorn-entry/v1 main/1 1 0 {ZEROS}"),
        format!("attorn-entry/v1 main 1 0 {ZEROS}\r"),
        format!("attorn-entry/v1 main 1 0 A{}", &ZEROS[1..]),
        format!("attorn-entry/v1 main 1 0 {}", &ZEROS[1..]),
    ] {
        refused(&format!("{envelope}\n{{}}\n"), field);
    }
}

#[test]
fn anything_but_two_lines_is_refused() {
    let envelope = format!("attorn-entry/v1 main 1 0 {ZEROS}");
    for text in [
        String::new(),
        "\n".into(),
        envelope.clone(),
        format!("{envelope}\n"),
        format!("{envelope}\n{{}}"),
        format!("{envelope}\n{{}}\n\n"),
        format!("{envelope}\n{{\n}}\n"),
    ] {
        refused(&text, "the entry is not exactly two lines");
    }
    refused(&format!("{envelope}\n{{}} \n"), "the entry's body cannot be taken");
    refused(&format!("{envelope}\n\n"), "the entry's body cannot be taken");
    refused(&format!("{envelope}\n{}\n", "x".repeat(65_535)), "the entry has 65626 bytes, and 65535 is the most");
    assert!(matches!(Entry::parse(b"\xff\n\n"), Err(EntryError::NotText)));
}

#[test]
fn the_longest_entry_fits() {
    let at = format!("{}/{}/{}", "a".repeat(64), u64::MAX, u64::MAX).parse().unwrap();
    let body = format!("{{\"a\":\"{}\"}}", "x".repeat(EntryBody::BYTES_MAX - 8));
    let longest = Entry { at, previous: Link::NONE, body: EntryBody::parse(&body).unwrap() };
    assert!(longest.to_bytes().len() <= Entry::BYTES_MAX);
    assert_eq!(Entry::parse(&longest.to_bytes()).unwrap(), longest);
}

#[test]
fn the_link_depends_on_every_part() {
    let link = entry().link();
    let changes: [fn(&mut Entry); 5] = [
        |entry| entry.at.log_id = "maim".parse().unwrap(),
        |entry| entry.at.epoch.0 = 2,
        |entry| entry.at.index = 1,
        |entry| entry.previous = Link::from_bytes([1; 32]),
        |entry| entry.body = EntryBody::parse("{}").unwrap(),
    ];
    for change in changes {
        let mut other = entry();
        change(&mut other);
        assert_ne!(other.link(), link, "{other:?}");
        assert_ne!(other.leaf_hash(), entry().leaf_hash(), "{other:?}");
    }
}

proptest! {
    #[test]
    fn an_entry_parses_as_it_was_written(
        log_id in "[a-z0-9-]{1,64}", epoch: u64, index: u64, previous: [u8; 32], text in ".*",
    ) {
        let at = format!("{log_id}/{epoch}/{index}").parse().unwrap();
        let body = EntryBody::of(&json!({ "text": text })).unwrap();
        let entry = Entry { at, previous: Link::from_bytes(previous), body };
        let bytes = entry.to_bytes();
        let parsed = Entry::parse(&bytes).unwrap();
        prop_assert_eq!(parsed.leaf_hash(), leaf_hash(&bytes));
        prop_assert_eq!(&parsed, &entry);
        prop_assert_eq!(parsed.to_bytes(), bytes);
    }

    #[test]
    fn whatever_parses_is_written_the_same(at in 0_usize..118, byte: u8) {
        let mut bytes = entry().to_bytes();
        let at = at % bytes.len();
        bytes[at] = byte;
        if let Ok(parsed) = Entry::parse(&bytes) {
            prop_assert_eq!(parsed.to_bytes(), bytes);
        }
    }
}
