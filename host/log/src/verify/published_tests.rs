//! A published log of 300 entries is damaged in every way, and each damage has to be named. No byte of it may change
//! unnoticed, but those of cosignatures that nobody checks.
// Long because: all damages stand in one place, and share one log.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::sync::LazyLock;
use std::thread;

use super::*;
use crate::fixtures::{Log, body, signer, verifier};
use crate::witness::sign::Witness;
use crate::{CheckpointSigner, Entry, Link, Trust, WitnessPolicy};

const LEN: u64 = 300;
const EARLIER_SIZES: [u64; 2] = [100, 256];
const EARLIER: &str = "checkpoints/0";

type Files = BTreeMap<String, Vec<u8>>;

struct Dir<'a>(&'a Files);

impl PublishedFiles for Dir<'_> {
    fn read(&self, name: &str, bytes_max: usize) -> io::Result<Option<Vec<u8>>> {
        let bytes = self.0.get(name);
        if bytes.is_some_and(|bytes| bytes.len() > bytes_max) {
            return Err(io::Error::other("too long"));
        }
        Ok(bytes.cloned())
    }

    fn lines(&self) -> io::Result<Option<Box<dyn BufRead>>> {
        Ok(self.0.get(LINES).map(|bytes| Box::new(Cursor::new(bytes.clone())) as Box<dyn BufRead>))
    }

    fn names(&self) -> io::Result<Option<Vec<String>>> {
        Ok(Some(self.0.keys().cloned().collect()))
    }
}

static LOG: LazyLock<Log> = LazyLock::new(|| Log::of(LEN));

fn witness() -> Witness {
    Witness::new("example.org/w1", &[7; 32])
}

fn policy() -> WitnessPolicy {
    WitnessPolicy::quorum_of(1, &[witness().key])
}

fn cosigned() -> SignedCheckpoint {
    let checkpoint = LOG.checkpoint();
    let line = witness().cosign(1_700_000_000, &checkpoint.text());
    checkpoint.with_cosignature(&witness().key.read(&checkpoint, line.as_bytes()).unwrap())
}

fn files() -> Files {
    LOG.files(&cosigned(), &EARLIER_SIZES)
}

fn verify_with(files: &Files, checks: &Checks<'_>) -> Result<Verified, VerifyError> {
    verify_published(&Dir(files), checks, NonZeroU64::MAX, |_| {})
}

fn verify(files: &Files) -> Result<Verified, VerifyError> {
    verify_with(files, &Checks { trusted: Some(&verifier()), ..Checks::default() })
}

#[track_caller]
fn refused(files: &Files, message: &str) {
    assert_eq!(verify(files).unwrap_err().to_string(), message);
}

/// The files of a log with these entries, all that is made from them made anew, under the true checkpoint.
fn made_from(entries: Vec<Entry>) -> Files {
    let log = Log::of_entries(entries);
    let mut files = log.files(&cosigned(), &[]);
    files.insert(EARLIER.to_owned(), files_of_earlier());
    files
}

fn files_of_earlier() -> Vec<u8> {
    EARLIER_SIZES.iter().map(|size| LOG.checkpoint_at(*size).note().to_owned()).collect::<String>().into_bytes()
}

/// Every entry with the link of the one before it.
fn relinked(mut entries: Vec<Entry>) -> Vec<Entry> {
    let mut previous = Link::NONE;
    for (index, entry) in (0..).zip(&mut entries) {
        (entry.at.index, entry.previous) = (index, previous);
        previous = entry.link();
    }
    entries
}

#[test]
fn what_is_published_verifies() {
    for len in [0, 1, 255, 256, 257, 300, 513] {
        let log = Log::of(len);
        let earlier: Vec<u64> = EARLIER_SIZES.into_iter().filter(|size| *size < len).collect();
        let verified = verify(&log.files(&log.checkpoint(), &earlier)).unwrap();
        assert_eq!((verified.entries, verified.earlier), (len, earlier.len() as u64));
        assert_eq!((verified.trust, verified.since, verified.witnessed), (Trust::Given, None, None));
    }
    let (since, policy) = (LOG.checkpoint_at(280), policy());
    let since = [since.note().to_owned(), LOG.checkpoint_at(20).note().to_owned()];
    let checks = Checks { trusted: None, since: &since, witnesses: Some(&policy), bad: &[] };
    let verified = verify_with(&files(), &checks).unwrap();
    assert_eq!((verified.trust, verified.since), (Trust::FromFile, Some(280)));
    assert_eq!(verified.witnessed.unwrap().by[0].0, "example.org/w1");
}

/// Change single bytes of these files, each `step`th, and give those whose change nobody notices.
fn unnoticed(step: impl Fn(&str) -> usize) -> (usize, Vec<String>) {
    let (files, policy, trusted) = (files(), policy(), verifier());
    let places: Vec<(&String, usize)> =
        files.iter().flat_map(|(name, bytes)| (0..bytes.len()).step_by(step(name)).map(move |at| (name, at))).collect();
    let checks = Checks { trusted: Some(&trusted), witnesses: Some(&policy), since: &[], bad: &[] };
    let threads = thread::available_parallelism().map_or(2, usize::from);
    let unnoticed = thread::scope(|scope| {
        let parts = places.chunks(places.len().div_ceil(threads));
        let (files, checks) = (&files, &checks);
        let flip = move |part: &[(&String, usize)]| {
            let mut changed = files.clone();
            let mut unnoticed = Vec::new();
            for (name, at) in part {
                let bit = 1 << (at % 8);
                changed.get_mut(*name).unwrap()[*at] ^= bit;
                if verify_with(&changed, checks).is_ok() {
                    unnoticed.push(format!("byte {at} of {name}"));
                }
                changed.get_mut(*name).unwrap()[*at] ^= bit;
            }
            unnoticed
        };
        let runs: Vec<_> = parts.map(|part| scope.spawn(move || flip(part))).collect();
        runs.into_iter().flat_map(|run| run.join().unwrap()).collect()
    });
    (places.len(), unnoticed)
}

/// Each byte of all but the two long files, of which there is one for each entry, and there every 29th.
#[test]
fn flipped_bytes_of_every_file_are_found() {
    let step = |name: &str| if name.starts_with("tile/entries") || name == LINES { 29 } else { 1 };
    let (tried, unnoticed) = unnoticed(step);
    assert!(tried > 12_000, "{tried}");
    assert_eq!(unnoticed, [""; 0]);
}

#[test]
#[ignore = "it takes two minutes: `cargo test --workspace --lib every_flipped_byte_of_every_file -- --ignored`"]
fn every_flipped_byte_of_every_file_is_found() {
    let (tried, unnoticed) = unnoticed(|_| 1);
    assert!(tried > 100_000, "{tried}");
    assert_eq!(unnoticed, [""; 0]);
}

#[test]
fn without_a_policy_only_cosignatures_may_change_unnoticed() {
    let files = files();
    let note = &files[CHECKPOINT];
    let own = LOG.checkpoint().note().len();
    let flipped = |at: usize| {
        let mut changed = files.clone();
        changed.get_mut(CHECKPOINT).unwrap()[at] ^= 1;
        verify(&changed).is_ok()
    };
    let unnoticed: Vec<usize> = (0..note.len()).filter(|at| flipped(*at)).collect();
    // Its name, and the base64 of key id, time and signature; not the mark, the blank, the padding and the newline.
    let name = own + "\u{2014} ".len()..own + "\u{2014} example.org/w1".len();
    let base64 = name.end + 1..note.len() - 1;
    assert!(unnoticed.iter().all(|at| name.contains(at) || base64.contains(at)), "{unnoticed:?}");
    assert!(name.clone().all(|at| unnoticed.contains(&at)));
}

#[test]
fn every_entry_that_was_changed_in_a_bundle_is_named() {
    for index in 0..LEN {
        let at = usize::try_from(index).unwrap();
        let mut entries = LOG.entries.clone();
        entries[at].body = body(10_000);
        let error = verify(&made_from(entries)).unwrap_err();
        // Between two checkpoints nothing but the next link could tell; where a checkpoint follows, it can.
        let expect = if index == LEN - 1 { "the last, was changed, alone" } else { "was changed" };
        assert!(error.to_string().starts_with(&format!("entry {index}")), "{index}: {error}");
        assert!(error.to_string().contains(expect), "{index}: {error}");
        assert_eq!(error.index(), Some(index), "{error}");
    }
}

#[test]
fn every_deleted_swapped_and_doubled_entry_is_found() {
    let mut named = 0;
    for at in 0..usize::try_from(LEN).unwrap() {
        let index = at as u64;
        let mut damages: Vec<(&str, Vec<Entry>)> = Vec::new();
        let mut entries = LOG.entries.clone();
        entries.remove(at);
        damages.push(("deleted", entries));
        let mut entries = LOG.entries.clone();
        entries.insert(at, entries[at].clone());
        damages.push(("doubled", entries));
        if at + 1 < LOG.entries.len() {
            let mut entries = LOG.entries.clone();
            entries.swap(at, at + 1);
            damages.push(("swapped", entries));
        }
        for (what, entries) in damages {
            let error = verify(&made_from(entries.clone())).unwrap_err();
            let first = if what == "doubled" { index + 1 } else { index };
            // Whoever cuts or adds at the very end changes which files there are.
            let at_end = matches!(error, VerifyError::FileMissing { .. });
            assert!(error.index() == Some(first) || at_end, "{what} {index}: {error}");
            named += 1;
            // And with every link, hash and line made anew, which takes no key.
            let error = verify(&made_from(relinked(entries))).unwrap_err();
            let is_named = error.index().is_some_and(|named| named >= index.saturating_sub(1));
            assert!(is_named || matches!(error, VerifyError::FileMissing { .. }), "{what} {index}: {error}");
            named += 1;
        }
    }
    assert_eq!(named, (300 + 300 + 299) * 2);
}

#[test]
fn a_changed_past_is_placed_by_the_checkpoint_that_follows() {
    for (index, expect) in [
        (
            3,
            "entry 99 was changed, alone or with entries before it that were linked anew: an earlier checkpoint signs another",
        ),
        (
            150,
            "entry 255 was changed, alone or with entries before it that were linked anew: an earlier checkpoint signs another",
        ),
        (299, "entry 299, the last, was changed, alone or with entries before it that were linked anew"),
    ] {
        let mut entries = LOG.entries.clone();
        entries[index].body = body(10_000);
        refused(&made_from(relinked(entries)), expect);
    }
}

#[test]
fn a_cut_tail_is_found_by_whoever_kept_a_checkpoint() {
    for size in [0, 1, 100, 255, 256, 257, 299] {
        let entries = LOG.entries[..usize::try_from(size).unwrap()].to_vec();
        // The newer checkpoint kept: files are missing, and entries where the names are made to fit.
        let cut = made_from(entries.clone());
        assert!(matches!(verify(&cut), Err(VerifyError::FileMissing { .. })), "{size}");
        let mut padded = files();
        for (name, bytes) in made_from(entries.clone()) {
            let of_tile = name.split(".p/").next().unwrap().to_owned();
            let due = padded.keys().find(|due| due.split(".p/").next() == Some(&of_tile)).cloned();
            padded.insert(due.unwrap(), bytes);
        }
        let error = verify(&padded).unwrap_err();
        if size > 256 {
            let message = format!("entry {size} cannot be read from `tile/entries/001.p/44`: it ends within an entry");
            assert_eq!(error.to_string(), message);
        }
        // An older one in its place: nothing in the files tells.
        let log = Log::of_entries(entries);
        let earlier: Vec<u64> = EARLIER_SIZES.into_iter().filter(|earlier| *earlier <= size).collect();
        let old = log.files(&LOG.checkpoint_at(size), &earlier);
        let verified = verify(&old).unwrap();
        assert_eq!((verified.entries, verified.since, verified.witnessed), (size, None, None));
        // Also where a smaller one was kept beside, in whatever order.
        let (kept, trusted) = ([LOG.checkpoint(), LOG.checkpoint_at(7)], verifier());
        let kept = kept.map(|kept| kept.note().to_owned());
        let since = Checks { trusted: Some(&trusted), since: &kept, witnesses: None, bad: &[] };
        let error = verify_with(&old, &since).unwrap_err();
        let expect =
            format!("the log was cut: it has {size} entries, and had 300 when an earlier checkpoint was signed");
        assert_eq!(error.to_string(), expect);
        // Or with the earlier ones left as they were.
        let mut forgotten = old;
        forgotten.insert(EARLIER.to_owned(), files_of_earlier());
        if size < 256 {
            assert!(matches!(verify(&forgotten), Err(VerifyError::RolledBack { seen: 256, .. })), "{size}");
        }
        // And by the witness, who has not cosigned the older one.
        let policy = policy();
        let checks = Checks { trusted: Some(&trusted), since: &[], witnesses: Some(&policy), bad: &[] };
        let error = verify_with(&log.files(&LOG.checkpoint_at(size), &earlier), &checks).unwrap_err();
        assert_eq!(error.to_string(), "the newest checkpoint is not witnessed as it should be");
    }
}

#[test]
fn a_log_that_was_written_anew_is_found() {
    let mut entries = LOG.entries.clone();
    entries[7].body = body(10_000);
    let log = Log::of_entries(relinked(entries));
    // By whoever does not have the key.
    let stranger = CheckpointSigner::new(crate::fixtures::origin(), &[1; 32]);
    let checkpoint = stranger.sign(LEN, log.checkpoint().checkpoint().root);
    let mut files = log.files(&checkpoint, &[]);
    refused(&files, "the log's checkpoint cannot be relied on");
    files.insert(KEY.to_owned(), format!("{}\n", stranger.verifier()).into_bytes());
    let message = format!("the log is of the key `{}`, which is not the trusted one", stranger.verifier());
    refused(&files, &message);
    // Without a key that was given it looks like any other log, unless somebody kept a checkpoint.
    assert_eq!(verify_with(&files, &Checks::default()).unwrap().trust, Trust::FromFile);
    let kept = [LOG.checkpoint_at(20).note().to_owned()];
    let checks = Checks { since: &kept, ..Checks::default() };
    let error = verify_with(&files, &checks).unwrap_err();
    assert_eq!(error.to_string(), "the checkpoint that was kept cannot be relied on under the log's key");
    // By whoever has the key: no link, hash or signature is wrong.
    let forged = log.files(&log.checkpoint(), &[]);
    assert!(verify(&forged).is_ok());
    let trusted = verifier();
    let since = Checks { trusted: Some(&trusted), since: &kept, witnesses: None, bad: &[] };
    let message = "the log was forked: an earlier checkpoint signs other 20 first entries than these";
    assert_eq!(verify_with(&forged, &since).unwrap_err().to_string(), message);
    // A kept checkpoint from before the change is continued.
    let before = [LOG.checkpoint_at(7).note().to_owned()];
    let since = Checks { since: &before, ..since };
    assert!(verify_with(&forged, &since).is_ok());
    // And hides no other one, on whichever side of it that stands.
    for beside in [20, 7] {
        let [kept, before] = [&kept[0], &before[0]].map(String::clone);
        let both = if beside == 20 { [kept, before] } else { [before, kept] };
        assert_eq!(verify_with(&forged, &Checks { since: &both, ..since }).unwrap_err().to_string(), message);
    }
}

#[test]
fn files_that_are_missing_or_too_many_are_named() {
    for name in files().keys() {
        let mut fewer = files();
        fewer.remove(name);
        refused(&fewer, &format!("`{name}` is missing"));
    }
    for name in
        ["note.txt", "tile/0/001.p/43", "tile/0/001", "tile/2/000.p/1", "tile/entries/001.p/43", "checkpoints/1"]
    {
        let mut more = files();
        more.insert(name.to_owned(), b"x".to_vec());
        refused(&more, &format!("`{name}` is no part of a log of this size"));
    }
}

#[test]
fn files_of_another_length_are_named() {
    let changed = |name: &str, change: fn(&mut Vec<u8>)| {
        let mut files = files();
        change(files.get_mut(name).unwrap());
        files
    };
    let longer: fn(&mut Vec<u8>) = |bytes| bytes.push(0);
    let shorter: fn(&mut Vec<u8>) = |bytes| bytes.truncate(bytes.len() - 1);
    refused(&changed("tile/0/000", longer), "`tile/0/000` has 8193 bytes instead of 8192");
    refused(&changed("tile/0/001.p/44", shorter), "`tile/0/001.p/44` has 1407 bytes instead of 1408");
    refused(&changed("tile/1/000.p/1", Vec::clear), "`tile/1/000.p/1` has 0 bytes instead of 32");
    let after = "entry 256 cannot be read from `tile/entries/000`: it goes on after its last entry";
    refused(&changed("tile/entries/000", longer), after);
    let within = "entry 299 cannot be read from `tile/entries/001.p/44`: it ends within an entry";
    refused(&changed("tile/entries/001.p/44", shorter), within);
    refused(&changed(LINES, longer), "`entries.jsonl` goes on after its last line");
    refused(&changed(LINES, shorter), "line 300 of `entries.jsonl` is not entry 299");
    refused(&changed(KEY, longer), "`key` is not one line with the log's key");
    refused(&changed(KEY, shorter), "`key` is not one line with the log's key");
    for change in [longer, shorter] {
        refused(&changed(CHECKPOINT, change), "the log's checkpoint cannot be relied on");
        let message = verify(&changed(EARLIER, change)).unwrap_err().to_string();
        assert!(message.ends_with(" in `checkpoints/0` cannot be relied on"), "{message}");
    }
}

#[test]
fn logs_that_were_mixed_are_named() {
    let other = {
        let mut entries = Log::of(LEN).entries;
        for entry in &mut entries {
            entry.at.log_id = "other".parse().unwrap();
        }
        Log::of_entries(relinked(entries)).files(&LOG.checkpoint(), &EARLIER_SIZES)
    };
    let mixed = |name: &str| {
        let mut files = files();
        files.insert(name.to_owned(), other[name].clone());
        files
    };
    refused(&mixed("tile/entries/000"), "entry 0 is of the log `other`");
    refused(&mixed("tile/entries/001.p/44"), "entry 256 is of the log `other`");
    refused(&mixed("tile/0/000"), "hash 0 of `tile/0/000` is not what the entries make it");
    refused(&mixed("tile/1/000.p/1"), "hash 0 of `tile/1/000.p/1` is not what the entries make it");
    refused(&mixed(LINES), "line 1 of `entries.jsonl` is not entry 0");
    let another = CheckpointSigner::new("attorn/other/1".parse().unwrap(), &[0x2a; 32]);
    let mut files = files();
    let note = another.sign(LEN, LOG.checkpoint().checkpoint().root).note().to_owned();
    files.insert(CHECKPOINT.to_owned(), note.clone().into_bytes());
    refused(&files, "the log's checkpoint cannot be relied on");
    let mut files = self::files();
    files.insert(EARLIER.to_owned(), note.into_bytes());
    refused(&files, "number 1 in `checkpoints/0` cannot be relied on");
}

#[test]
fn earlier_checkpoints_grow_and_are_of_this_log() {
    let with = |notes: &[String]| {
        let mut files = files();
        files.insert(EARLIER.to_owned(), notes.concat().into_bytes());
        files
    };
    let note = |size| LOG.checkpoint_at(size).note().to_owned();
    assert_eq!(verify(&with(&[])).unwrap().earlier, 0);
    assert_eq!(verify(&with(&[note(0), note(1), note(300)])).unwrap().earlier, 3);
    let order = "number 2 in `checkpoints/0` does not count more entries than the one before it";
    refused(&with(&[note(100), note(100)]), order);
    refused(&with(&[note(100), note(99)]), order);
    let forged = signer().sign(100, Hash([7; 32])).note().to_owned();
    let message = "the log was forked: an earlier checkpoint signs other 100 first entries than these";
    refused(&with(&[note(5), forged]), message);
    let ahead = Log::of(301).checkpoint().note().to_owned();
    let message = "the log was cut: it has 300 entries, and had 301 when an earlier checkpoint was signed";
    refused(&with(&[ahead]), message);
}

/// Where a segment stands for one bundle. A log of 700 entries then has three.
const NARROW: Span = Span::of_bundles(1);
const MANY: u64 = 700;
static LONG: LazyLock<Log> = LazyLock::new(|| Log::of(MANY));

fn verify_narrow(files: &Files) -> Result<Verified, VerifyError> {
    let trusted = verifier();
    let checks = Checks { trusted: Some(&trusted), ..Checks::default() };
    verify_spanned(&Dir(files), NARROW, &checks, (NonZeroU64::MAX, |_| {}))
}

#[test]
fn a_history_of_many_segments_is_read_one_after_another() {
    for (len, earlier) in [(700, &[100, 256, 400, 512, 699][..]), (512, &[256, 300, 512]), (256, &[]), (0, &[0])] {
        let log = Log::of(len);
        let files = log.files_in(NARROW, &log.checkpoint(), earlier);
        assert_eq!(files.keys().filter(|name| name.starts_with("checkpoints/")).count() as u64, len / 256 + 1);
        assert_eq!(verify_narrow(&files).unwrap().earlier, earlier.len() as u64, "{len}");
    }
}

#[track_caller]
fn refused_narrow(files: &Files, message: &str) {
    assert_eq!(verify_narrow(files).unwrap_err().to_string(), message);
}

#[test]
fn a_segment_that_is_missing_torn_doubled_or_of_another_log_is_named() {
    let whole = LONG.files_in(NARROW, &LONG.checkpoint(), &[100, 300, 400, 600]);
    for segment in 0..3 {
        let mut files = whole.clone();
        files.remove(&segment_name(segment));
        refused_narrow(&files, &format!("`checkpoints/{segment}` is missing"));
    }
    let with = |segment: u64, bytes: Vec<u8>| {
        let mut files = whole.clone();
        files.insert(segment_name(segment), bytes);
        files
    };
    let middle = &whole["checkpoints/1"];
    refused_narrow(&with(1, middle[..middle.len() - 1].to_vec()), "number 2 in `checkpoints/1` cannot be relied on");
    refused_narrow(&with(1, middle[10..].to_vec()), "number 1 in `checkpoints/1` cannot be relied on");
    let place = "number 1 in `checkpoints/2` counts 300 entries, and belongs to another segment";
    refused_narrow(&with(2, middle.clone()), place);
    let order = "number 3 in `checkpoints/1` does not count more entries than the one before it";
    refused_narrow(&with(1, middle.repeat(2)), order);
    refused_narrow(&with(3, vec![]), "`checkpoints/3` is no part of a log of this size");
    let other = CheckpointSigner::new("attorn/other/1".parse().unwrap(), &[0x2a; 32]);
    let note = other.sign(300, LONG.checkpoint_at(300).checkpoint().root).note().to_owned();
    refused_narrow(&with(1, note.into_bytes()), "number 1 in `checkpoints/1` cannot be relied on");
    let forged = signer().sign(300, Hash([7; 32])).note().to_owned();
    let message = "the log was forked: an earlier checkpoint signs other 300 first entries than these";
    refused_narrow(&with(1, forged.into_bytes()), message);
    let ahead = signer().sign(701, Hash([7; 32])).note().to_owned();
    let message = "the log was cut: it has 700 entries, and had 701 when an earlier checkpoint was signed";
    refused_narrow(&with(2, ahead.into_bytes()), message);
    // Longer than any segment is.
    let error = verify_narrow(&with(1, vec![b'x'; SEGMENT_BYTES_MAX + 1])).unwrap_err();
    assert!(matches!(error, VerifyError::Read(_)), "{error:?}");
}
