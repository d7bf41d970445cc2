//! Cosignatures that are good, and all that they may be taken for.

use super::sign::Witness;
use super::*;
use crate::fixtures::Log;

fn witness() -> Witness {
    Witness::new("witness.example/w1", &[7; 32])
}

#[test]
fn a_cosignature_is_of_one_checkpoint_by_one_key() {
    let (one, other) = (witness(), Witness::new("witness.example/w2", &[8; 32]));
    let checkpoint = Log::of(3).checkpoint();
    let line = one.cosign(1_700_000_000, &checkpoint.text());
    let read = one.key.read(&checkpoint, line.as_bytes()).unwrap();
    assert_eq!((read.at_s, format!("{}\n", read.line())), (1_700_000_000, line.clone()));
    assert_eq!(other.key.read(&checkpoint, line.as_bytes()), Err(CosignatureError::NotSigned));
    assert_eq!(one.key.read(&Log::of(4).checkpoint(), line.as_bytes()), Err(CosignatureError::Bad));
    // Beside those of other keys and kinds, also under the same name.
    let noise = "\u{2014} witness.example/w1 AAAAAAA=\n";
    let among = format!("{noise}{line}{}", other.cosign(1, &checkpoint.text()));
    assert_eq!(one.key.read(&checkpoint, among.as_bytes()), Ok(read.clone()));
    let cosigned = checkpoint.with_cosignature(&read);
    assert_eq!(one.key.find(&cosigned), Ok(Some(read)));
    assert_eq!(other.key.find(&cosigned), Ok(None));
    assert_eq!(one.key.find(&checkpoint), Ok(None));
    // A later one takes the place of an earlier one; the log's own stays.
    let later = one.key.read(&checkpoint, one.cosign(1_700_000_001, &checkpoint.text()).as_bytes()).unwrap();
    let again = cosigned.with_cosignature(&later);
    assert_eq!(one.key.find(&again), Ok(Some(later)));
    assert_eq!(again.note().lines().count(), cosigned.note().lines().count());
    assert_eq!(crate::fixtures::verifier().verify(again.note().as_bytes()).unwrap(), again);
}

#[test]
fn every_flipped_bit_of_a_cosignature_is_found() {
    let (witness, checkpoint) = (witness(), Log::of(3).checkpoint());
    let line = witness.cosign(1_700_000_000, &checkpoint.text()).into_bytes();
    for at in 0..line.len() {
        for bit in 0..8 {
            let mut changed = line.clone();
            changed[at] ^= 1 << bit;
            assert!(witness.key.read(&checkpoint, &changed).is_err(), "byte {at}, bit {bit}");
        }
    }
}

#[test]
fn nonsense_is_no_cosignature() {
    let (witness, checkpoint) = (witness(), Log::of(3).checkpoint());
    let line = witness.cosign(1, &checkpoint.text());
    for answer in ["", "\n", "ok\n", "{}", "\u{2014} x\n", line.trim_end(), &format!("\n{line}"), &format!("{line}\n")]
    {
        assert_eq!(witness.key.read(&checkpoint, answer.as_bytes()), Err(CosignatureError::Form), "{answer:?}");
    }
    // One that would put another text under the log's signature.
    let text = format!("more\n\n{line}");
    assert_eq!(witness.key.read(&checkpoint, text.as_bytes()), Err(CosignatureError::Form));
    assert_eq!(witness.key.read(&checkpoint, &[0xff; 8]), Err(CosignatureError::Form));
    assert_eq!(witness.key.read(&checkpoint, line.repeat(17).as_bytes()), Err(CosignatureError::Form));
    assert_eq!(witness.key.read(&checkpoint, &vec![b'x'; 1 << 20]), Err(CosignatureError::Form));
    let short = note::signature_line(witness.key.name(), witness.key.key_id(), &[0; 7]);
    assert_eq!(witness.key.read(&checkpoint, format!("{short}\n").as_bytes()), Err(CosignatureError::Bad));
}

#[test]
fn every_other_key_is_refused() {
    let text = witness().key.to_string();
    let (name, rest) = text.split_once('+').unwrap();
    let (id, key) = rest.split_once('+').unwrap();
    let refused = |text: &str, message: &str| {
        assert_eq!(text.parse::<WitnessKey>().unwrap_err().to_string(), message, "{text}");
    };
    let form = "a verifier key is `<origin>+<key id>+<base64>`";
    refused("", form);
    refused(&format!("+{id}+{key}"), form);
    refused(&format!("a b+{id}+{key}"), form);
    refused(&format!("a\u{1b}b+{id}+{key}"), form);
    refused(&format!("{}+{id}+{key}", "x".repeat(512)), form);
    refused(&format!("{name}+{id}+{key}="), "the verifier key is no ed25519 key");
    // The log's own key is no witness.
    let kind = "the verifier key is no key of a witness that cosigns with ed25519";
    refused(&crate::fixtures::verifier().to_string(), kind);
    refused(
        &format!("{name}+00000000+{key}"),
        &format!("the verifier key's id is not `{id}`, which its name and key give"),
    );
}

#[test]
fn a_request_is_as_the_standard_writes_it() {
    let log = Log::of(3);
    let checkpoint = log.checkpoint();
    let expect = format!("old 0\n\n{}", checkpoint.note());
    assert_eq!(add_checkpoint(0, &[], &checkpoint), expect);
    let hash = Hash::EMPTY_ROOT;
    let expect = format!("old 2\n{hash}\n{hash}\n\n{}", checkpoint.note());
    assert_eq!(add_checkpoint(2, &[hash, hash], &checkpoint), expect);
}

#[test]
fn only_a_size_is_the_body_of_a_conflict() {
    assert_eq!(size_of_conflict(b"20852014\n"), Some(20_852_014));
    for body in ["", "\n", "1", "01\n", "+1\n", "-1\n", "1\n\n", "1 \n", "x\n", "18446744073709551616\n"] {
        assert_eq!(size_of_conflict(body.as_bytes()), None, "{body:?}");
    }
    assert_eq!(size_of_conflict(&[0xff, b'\n']), None);
}
