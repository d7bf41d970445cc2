//! Receipts for every entry, and every way in which they may be false.

use super::*;
use crate::fixtures::{Log, signer, verifier};

#[track_caller]
fn refused(text: &str, message: &str) {
    let error = Receipt::parse(text).and_then(|receipt| receipt.verify(&verifier())).unwrap_err();
    assert_eq!(error.to_string(), message, "{text}");
}

#[test]
fn every_entry_of_every_log_has_a_receipt() {
    for len in 1..=20 {
        let log = Log::of(len);
        for index in 0..len {
            let text = log.receipt(index).to_string();
            let receipt = Receipt::parse(&text).unwrap();
            assert_eq!(receipt.to_string(), text);
            let logged = receipt.verify(&verifier()).unwrap();
            assert_eq!(logged.entry, log.entries[usize::try_from(index).unwrap()]);
            assert_eq!(logged.checkpoint, *log.checkpoint().checkpoint());
        }
    }
}

#[test]
fn a_receipt_that_is_not_whole_is_refused() {
    let text = Log::of(7).receipt(3).to_string();
    let without = |line: usize| {
        let lines = text.split_inclusive('\n').enumerate();
        lines.filter(|&(at, _)| at != line).map(|(_, line)| line).collect::<String>()
    };
    refused("", "this is no receipt: it does not begin with `c2sp.org/tlog-proof@v1`");
    refused(&without(0), "this is no receipt: it does not begin with `c2sp.org/tlog-proof@v1`");
    let extra = "the receipt does not carry its entry: its second line is not `extra <base64>`";
    refused(&without(1), extra);
    refused(&text.replace("extra ", "extra  "), extra);
    let index = "the receipt's third line is not `index <number>`";
    refused(&without(2), index);
    refused(&text.replace("index 3", "index 03"), index);
    refused(&text.replace("index 3", "index +3"), index);
    refused(&without(3), "the entry is not in the log that the checkpoint signs");
    refused(&without(6), "line 4 of the receipt's proof is no hash");
    let cut = text.split_inclusive('\n').take(5).collect::<String>();
    refused(&cut, "the receipt has no checkpoint");
    refused(
        &text.replace("index 3\n", &format!("index 3\n{}", "a\n".repeat(9))),
        "line 1 of the receipt's proof is no hash",
    );
    let hashes = format!("{}\n", Hash::EMPTY_ROOT).repeat(65);
    refused(&text.replace("index 3\n", &format!("index 3\n{hashes}")), "line 65 of the receipt's proof is no hash");
    let long = "x".repeat(Receipt::BYTES_MAX + 1);
    refused(&long, "the receipt has 163841 bytes, and 163840 is the most");
}

type Falsify = fn(&mut Receipt, &Log);

#[test]
fn a_receipt_for_something_else_is_refused() {
    let log = Log::of(7);
    let good = log.receipt(3);
    let not_included = "the entry is not in the log that the checkpoint signs";
    let falsified: [(Falsify, &str); 6] = [
        (|receipt, _| receipt.index = 4, not_included),
        (|receipt, _| receipt.index = 7, not_included),
        (|receipt, log| receipt.entry = log.entries[4].to_bytes(), not_included),
        (|receipt, _| receipt.entry.clear(), not_included),
        (|receipt, _| receipt.note = Log::of(8).checkpoint().note().to_owned(), not_included),
        (|receipt, _| receipt.note.insert(0, 'x'), "the receipt's checkpoint cannot be relied on"),
    ];
    for (falsify, message) in falsified {
        let mut receipt = good.clone();
        falsify(&mut receipt, &log);
        refused(&receipt.to_string(), message);
    }
    let other = crate::CheckpointSigner::new("attorn/main/2".parse().unwrap(), &[0x2a; 32]).verifier();
    assert!(matches!(good.verify(&other), Err(ReceiptError::Checkpoint(CheckpointError::NotSigned { .. }))));
}

/// A log that signs what is none of its entries, in the one place that there is.
#[track_caller]
fn signed_but_wrong(bytes: &[u8], message: &str) {
    let note = signer().sign(1, crate::tree::leaf_hash(bytes)).note().to_owned();
    refused(&Receipt { entry: bytes.to_vec(), index: 0, proof: Vec::new(), note }.to_string(), message);
}

#[test]
fn what_the_log_should_not_have_signed_is_refused_too() {
    let text = String::from_utf8(Log::of(1).entries[0].to_bytes()).unwrap();
    signed_but_wrong(b"rubbish", "the receipt does not carry an entry");
    signed_but_wrong(
        text.replace("v1 main 1 0", "v1 main 2 0").as_bytes(),
        "the entry is of `attorn/main/2`, and the checkpoint is of `attorn/main/1`",
    );
    signed_but_wrong(
        text.replace("v1 main 1 0", "v1 main 1 5").as_bytes(),
        "the entry says that it is number 5, and the receipt is for 0",
    );
}

#[test]
fn a_receipt_fails_whichever_byte_changes() {
    let text = Log::of(11).receipt(6).to_string().into_bytes();
    for at in 0..text.len() {
        for bit in [0, 6] {
            let mut changed = text.clone();
            changed[at] ^= 1 << bit;
            let verified = std::str::from_utf8(&changed)
                .is_ok_and(|text| Receipt::parse(text).is_ok_and(|receipt| receipt.verify(&verifier()).is_ok()));
            assert!(!verified, "byte {at}, bit {bit}");
        }
    }
}
