//! Exports of whole epochs, above all the lines of their header that say which bundles of entries were bad.

use std::num::NonZeroU64;
use std::ops::Range;

use attorn_log::{CheckpointSigner, Checks, ExportReader, verify_export_with};

/// The seed of the key that signed the seeds.
const SEED: [u8; 32] = [7; 32];

fn signer() -> CheckpointSigner {
    CheckpointSigner::new("attorn/fuzz/1".parse().unwrap(), &SEED)
}

/// The header is written as it was read, bundles that are lacking stand in their order, and none but those that may be
/// lacking passes.
pub fn exports(bytes: &[u8]) {
    let Ok(mut export) = ExportReader::open(bytes) else { return };
    let gaps = export.gaps().to_vec();
    assert!(gaps.is_sorted_by(|one, next| one.bundle < next.bundle && one.entries().end <= next.entries().start));
    let lines = gaps.iter().map(|gap| format!("{gap}\n")).collect::<Vec<_>>().concat();
    let header = format!("attorn-audit-export/v1\nkey {}\n{}{lines}entries\n", export.key(), export.note());
    assert_eq!(export.header_bytes(), header.len() as u64);
    assert!(bytes.starts_with(header.as_bytes()));
    let (mut entry, mut read) = (Vec::new(), header.len());
    while let Ok(true) = export.next_entry(&mut entry) {
        assert!(bytes[read..].starts_with(&entry) && entry.ends_with(b"\n"));
        read += entry.len();
    }

    let bad: Vec<Range<u64>> = gaps.iter().map(attorn_log::Gap::entries).collect();
    let key = signer().verifier();
    let verify = |bad: &[Range<u64>]| {
        let checks = Checks { trusted: Some(&key), since: &[], witnesses: None, bad };
        verify_export_with(bytes, &checks, NonZeroU64::MIN, |_| {})
    };
    if let Ok(verified) = verify(&bad) {
        // Nobody but the key signed, and only for what there is.
        assert_eq!((verified.lacking.len(), verified.entries), (bad.len(), verified.checkpoint.checkpoint().size));
        assert_eq!(verified.lacking, bad);
        assert_eq!(verify(&[]).is_ok(), bad.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use attorn_log::{Entry, EntryBody, EntryRef, Gap, Link, TreeBuilder, export_header_without};

    use super::*;

    /// An export of so many entries, without its first bundle if it was bad.
    fn export(size: u64, is_first_bad: bool) -> Vec<u8> {
        let (mut tree, mut first, mut previous, mut entries) =
            (TreeBuilder::new(), TreeBuilder::new(), Link::NONE, Vec::new());
        for index in 0..size {
            let at: EntryRef = format!("fuzz/1/{index}").parse().unwrap();
            let entry = Entry { at, previous, body: EntryBody::parse(&format!("{{\"n\":{index}}}")).unwrap() };
            tree.push(entry.leaf_hash()).unwrap();
            if index < 256 {
                first.push(entry.leaf_hash()).unwrap();
            }
            previous = entry.link();
            entries.push(entry.to_bytes());
        }
        let gaps = if is_first_bad { vec![Gap { bundle: 0, root: first.root() }] } else { Vec::new() };
        let header = export_header_without(&signer().verifier(), &signer().sign(size, tree.root()), &gaps);
        let left = entries.into_iter().skip(if is_first_bad { 256 } else { 0 });
        [header.into_bytes(), left.collect::<Vec<_>>().concat()].concat()
    }

    /// The seeds verify, so that what is nearly one gets as far as it can.
    #[test]
    fn the_seeds_are_exports_that_verify_where_that_may_be_lacking_which_is() {
        for (name, size, is_first_bad) in [("whole", 3, false), ("lacking", 258, true)] {
            let made = export(size, is_first_bad);
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/exports").join(name);
            let hint = "make the seeds anew: `MAKE_SEEDS=1 cargo test --workspace --lib the_seeds_are_exports`";
            if std::env::var_os("MAKE_SEEDS").is_some() {
                std::fs::write(&path, &made).unwrap();
            }
            assert!(std::fs::read(&path).is_ok_and(|kept| kept == made), "{hint}");
            let (key, bad) =
                (signer().verifier(), if is_first_bad { std::iter::once(0..256).collect() } else { Vec::new() });
            let checks = Checks { trusted: Some(&key), since: &[], witnesses: None, bad: &bad };
            let verified = verify_export_with(&made[..], &checks, NonZeroU64::MIN, |_| {}).unwrap();
            assert_eq!((verified.entries, verified.lacking), (size, bad));
            exports(&made);
        }
    }
}
