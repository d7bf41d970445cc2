//! What is signed, for programs: a key, a checkpoint and a receipt, each as it stands and taken apart.
//!
//! Nothing is verified here: `attorn audit verify` does that, from the text.

use std::path::Path;

use attorn_log::{Checkpoint, CheckpointVerifier, Receipt, UnverifiedCheckpoint};
use serde_json::{Value, json};

use crate::failure::Failure;

/// A key.
pub(super) fn key(text: &str) -> Result<Value, Failure> {
    let vkey = text.trim_end();
    let key: CheckpointVerifier = vkey.parse().map_err(|error: attorn_log::KeyError| not_understood(&error))?;
    let origin = key.origin();
    // It was parsed, so it has three parts.
    let id = vkey.split('+').nth(1).unwrap_or_default();
    Ok(json!({
        "id": id, "name": origin.to_string(), "log_id": origin.log_id.to_string(), "epoch": origin.epoch.0, "vkey": vkey,
    }))
}

/// A checkpoint, and the names under it beside the log's own.
pub(super) fn checkpoint(note: &str) -> Result<Value, Failure> {
    let parsed = UnverifiedCheckpoint::parse(note.as_bytes()).map_err(|error| not_understood(&error))?;
    let Checkpoint { origin, size, root } = parsed.checkpoint;
    let name = origin.to_string();
    let cosigners: Vec<_> = parsed.signers.into_iter().filter(|one| *one != name).collect();
    Ok(json!({
        "origin": name, "log_id": origin.log_id.to_string(), "epoch": origin.epoch.0, "size": size,
        "root": root.to_string(),
        "note": note, "cosigners": cosigners,
    }))
}

/// An export that was written: where, and what it ends with. Epochs that the server does not keep are not in it.
pub(super) fn exported((what, path): (&str, &Path), note: &str, not_kept: &[u64]) -> Result<Value, Failure> {
    let checkpoint = checkpoint(note)?;
    Ok(json!({
        what: path.display().to_string(), "entries": checkpoint["size"], "origin": checkpoint["origin"],
        "checkpoint": checkpoint, "not_kept": not_kept,
    }))
}

/// A receipt.
pub(super) fn receipt(text: &str) -> Result<Value, Failure> {
    let parsed = Receipt::parse(text).map_err(|error| not_understood(&error))?;
    let entry = parsed.entry().map_err(|error| not_understood(&error))?;
    let body: Value = serde_json::from_str(entry.body.as_str()).map_err(|error| Failure::of(&error))?;
    Ok(json!({
        "entry": entry.at.to_string(), "log_id": entry.at.log_id.to_string(), "epoch": entry.at.epoch.0,
        "index": entry.at.index, "body": body, "proof": parsed.proof().iter().map(ToString::to_string).collect::<Vec<_>>(),
        "checkpoint": checkpoint(parsed.note())?, "receipt": text,
    }))
}

fn not_understood(error: &dyn std::error::Error) -> Failure {
    let Failure { message, .. } = Failure::of(error);
    Failure::new(format!("the server's answer cannot be understood: {message}"))
        .with_help("is the server of another version than this command (`attorn --version`)?")
}

#[cfg(test)]
mod tests {
    use attorn_log::{CheckpointSigner, Entry, EntryBody, EntryRef, Epoch, Hash, Link};

    use super::*;

    fn signer() -> CheckpointSigner {
        CheckpointSigner::new("attorn/main/3".parse().unwrap(), &[7; 32])
    }

    #[test]
    fn a_key_is_taken_apart() {
        let vkey = signer().verifier().to_string();
        let shown = key(&format!("{vkey}\n")).unwrap();
        let id = vkey.split('+').nth(1).unwrap();
        let expect = json!({ "id": id, "name": "attorn/main/3", "log_id": "main", "epoch": 3, "vkey": vkey });
        assert_eq!(shown, expect);
        assert!(key("attorn/main/3+0+x").unwrap_err().message.contains("cannot be understood"));
    }

    #[test]
    fn a_checkpoint_is_taken_apart_with_who_cosigned_it() {
        let note = signer().sign(12, Hash([1; 32])).note().to_owned();
        let cosigned = format!("{note}\u{2014} witness.example/w1 AAAAAAA=\n");
        for (note, cosigners) in [(note, json!([])), (cosigned, json!(["witness.example/w1"]))] {
            let shown = checkpoint(&note).unwrap();
            assert_eq!(
                (&shown["size"], &shown["origin"], &shown["epoch"]),
                (&json!(12), &json!("attorn/main/3"), &json!(3))
            );
            assert_eq!((&shown["cosigners"], &shown["note"]), (&cosigners, &json!(note)));
            assert_eq!(shown["root"], Hash([1; 32]).to_string());
        }
        for (text, why) in
            [("", "the note has no signatures"), ("x\n\n\u{2014} k AAAAAAA=\n", "is not origin, size and root")]
        {
            let said = checkpoint(text).unwrap_err().message;
            assert!(said.contains("cannot be understood: the checkpoint ") && said.contains(why), "{said}");
        }
    }

    #[test]
    fn a_receipt_is_shown_as_it_is_stored_and_taken_apart() {
        let at = EntryRef { log_id: "main".parse().unwrap(), epoch: Epoch(3), index: 0 };
        let body = EntryBody::of_value(&json!({ "type": "decision" })).unwrap();
        let entry = Entry { at, previous: Link::NONE, body };
        let head = signer().sign(1, entry.leaf_hash());
        let text = Receipt::new(&entry, Vec::new(), &head).to_string();
        let shown = receipt(&text).unwrap();
        assert_eq!((&shown["entry"], &shown["index"]), (&json!("main/3/0"), &json!(0)));
        assert_eq!((&shown["body"]["type"], &shown["proof"]), (&json!("decision"), &json!([])));
        assert_eq!((&shown["checkpoint"]["size"], &shown["receipt"]), (&json!(1), &json!(text)));
        assert!(receipt("nothing").unwrap_err().message.contains("cannot be understood"));
    }
}
