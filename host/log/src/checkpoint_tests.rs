//! Checkpoints that are almost right.

use super::*;
use crate::fixtures::{signer, verifier};

const ROOT: Hash = Hash([7; 32]);

/// A good signature under any text.
fn note_of(text: &str) -> String {
    let signature = signer().key.sign(text.as_bytes()).to_bytes();
    note::render(text, &signer().origin.to_string(), signer().verifier().key_id(), &signature)
}

#[track_caller]
fn refused(note: &str, message: &str) {
    assert_eq!(verifier().verify(note.as_bytes()).unwrap_err().to_string(), message, "{note}");
}

#[test]
fn what_was_signed_verifies() {
    for (size, root) in [(0, Hash::EMPTY_ROOT), (1, ROOT), (u64::MAX, ROOT)] {
        let signed = signer().sign(size, root);
        assert_eq!(verifier().verify(signed.note().as_bytes()).unwrap(), signed);
        assert_eq!(*signed.checkpoint(), Checkpoint { origin: signer().origin, size, root });
    }
}

#[test]
fn a_note_is_taken_apart_and_nobody_is_believed() {
    let signed = signer().sign(12, ROOT);
    let other = format!("{}\u{2014} witness.example/w1 AAAAAAA=\n", signed.note());
    let found = UnverifiedCheckpoint::parse(other.as_bytes()).unwrap();
    assert_eq!(found.checkpoint, *signed.checkpoint());
    assert_eq!(found.signers, [signer().origin.to_string(), "witness.example/w1".to_owned()]);
    // By whomever: that is the point.
    let forged = signed.note().replacen("\n12\n", "\n13\n", 1);
    assert_eq!(UnverifiedCheckpoint::parse(forged.as_bytes()).unwrap().checkpoint.size, 13);
    for (note, message) in [
        ("", "the checkpoint is no signed note"),
        ("x\n\n\u{2014} k AAAAAAA=\n", "the checkpoint is not origin, size and root, one line each"),
        ("x\n1\n2\n\n\u{2014} k AAAAAAA=\n", "the checkpoint's origin cannot be read"),
    ] {
        assert_eq!(UnverifiedCheckpoint::parse(note.as_bytes()).unwrap_err().to_string(), message, "{note}");
    }
}

#[test]
fn a_signed_text_that_is_no_checkpoint_is_refused() {
    let lines = "the checkpoint is not origin, size and root, one line each";
    let size = "the checkpoint's size is no whole number";
    let root = "the checkpoint's root is no base64 of 32 bytes";
    for (text, message) in [
        (String::from("attorn/main/1\n"), lines),
        ("attorn/main/1\n1\n".into(), lines),
        (format!("attorn/main/1\n1\n{ROOT}\n\n"), lines),
        (format!("attorn/main/1\n1\n{ROOT}\n\nextension\n"), lines),
        (format!("example.com/log\n1\n{ROOT}\n"), "the checkpoint's origin cannot be read"),
        (format!("attorn/main/1\n01\n{ROOT}\n"), size),
        (format!("attorn/main/1\n+1\n{ROOT}\n"), size),
        (format!("attorn/main/1\n\n{ROOT}\n"), size),
        (format!("attorn/main/1\n18446744073709551616\n{ROOT}\n"), size),
        ("attorn/main/1\n1\nAAAA\n".into(), root),
        (format!("attorn/main/1\n1\n{ROOT} \n"), root),
        (format!("attorn/main/1\n0\n{ROOT}\n"), "the checkpoint's root is not that of an empty tree, and its size is"),
        (
            format!("attorn/main/2\n1\n{ROOT}\n"),
            "the checkpoint is of `attorn/main/2`, and its key is of `attorn/main/1`",
        ),
    ] {
        refused(&note_of(&text), message);
    }
}

#[test]
fn extension_lines_are_taken() {
    let note = note_of(&format!("attorn/main/1\n1\n{ROOT}\nextension 1\nextension 2\n"));
    let signed = verifier().verify(note.as_bytes()).unwrap();
    assert_eq!(signed.note(), note);
    assert_eq!(signed.checkpoint().size, 1);
}

#[test]
fn signatures_of_others_are_ignored_and_wrong_ones_of_ours_are_not() {
    let signed = signer().sign(1, ROOT);
    let note = signed.note();
    let (text, ours) = note.split_once("\n\n").unwrap();
    let with = |lines: &str| format!("{text}\n\n{lines}");
    let other_id = "\u{2014} attorn/main/1 AAAAAAA=\n";
    let other_name = ours.replace("attorn/main/1", "witness.example");
    for lines in [format!("{other_id}{ours}"), format!("{ours}{other_name}"), format!("{ours}{ours}")] {
        assert_eq!(verifier().verify(with(&lines).as_bytes()).unwrap().checkpoint(), signed.checkpoint());
    }
    let not_signed = format!("the checkpoint is not signed by `{}`", verifier());
    refused(&with(other_id), &not_signed);
    refused(&with(&other_name), &not_signed);
    let wrong = signer().sign(2, ROOT);
    let (_, wrong) = wrong.note().split_once("\n\n").unwrap();
    refused(&with(wrong), "the checkpoint's signature is wrong");
    refused(&with(&format!("{ours}{wrong}")), "the checkpoint's signature is wrong");
    refused(text, "the checkpoint is no signed note");
}

#[test]
fn a_signer_shows_nothing_of_its_key() {
    assert_eq!(format!("{:?}", signer()), format!("CheckpointSigner {{ verifier: {:?}, .. }}", verifier()));
}
