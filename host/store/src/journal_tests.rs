//! What may be wrong with a journal: each is named, or cut off where nobody was told of it.

use tempfile::TempDir;

use super::*;
use crate::redo::{Write, encode};
use crate::trees::TreeName;

const SIZES: SegmentBytes = SegmentBytes { min: 1 << 10, max: 1 << 10 };
const STORE: StoreId = StoreId([7; 16]);

fn redo(to: u64) -> Redo {
    let write = Write { tree: TreeName::State, key: format!("key {to}").into(), value: Some(vec![7; 100]) };
    Redo { from: to - 1, to, writes: vec![write] }
}

fn append(journal: &mut Journal, redo: &Redo) {
    let content = encode(&redo.writes);
    if !journal.has_room(content.len()) {
        journal.begin_segment(content.len()).unwrap();
    }
    journal.append(redo, &content).unwrap();
    journal.sync().unwrap();
}

/// A journal with the groups up to this version, five in each segment.
fn written(to: u64) -> TempDir {
    let dir = TempDir::new().unwrap();
    let mut journal = Journal::create(dir.path(), STORE, 0, SIZES).unwrap();
    (1..=to).for_each(|to| append(&mut journal, &redo(to)));
    dir
}

/// Read all groups after this version; the last version, or what is wrong.
fn read(dir: &Path, after: u64) -> Result<u64, String> {
    let mut due = after;
    let opened = Journal::open(dir, STORE, after, SIZES, |found| {
        due += 1;
        assert_eq!(found, redo(due));
        Ok::<_, JournalError>(())
    });
    let said = |error: JournalError| error.to_string().replace(&format!("{}/", dir.display()), "");
    opened.map(|journal| journal.version()).map_err(said)
}

fn paths(dir: &Path) -> Vec<PathBuf> {
    segments(dir).unwrap().into_iter().map(|segment| segment.path).collect()
}

#[test]
fn what_was_appended_is_read_from_any_version_on() {
    let dir = written(12);
    assert!(paths(dir.path()).len() >= 3);
    for after in 0..=12 {
        assert_eq!(read(dir.path(), after), Ok(12));
    }
    let behind = format!("the journal in `{}` ends with version 12, and the store has 13", dir.path().display());
    assert_eq!(read(dir.path(), 13), Err(behind));
    // It goes on where it ended.
    let mut journal = Journal::open(dir.path(), STORE, 12, SIZES, |_| Ok::<_, JournalError>(())).unwrap();
    (13..=16).for_each(|to| append(&mut journal, &redo(to)));
    assert_eq!(read(dir.path(), 0), Ok(16));
}

#[test]
fn a_group_that_has_no_room_in_a_usual_segment_gets_a_longer_one() {
    let dir = TempDir::new().unwrap();
    let mut journal = Journal::create(dir.path(), STORE, 0, SIZES).unwrap();
    let large = Write { tree: TreeName::State, key: b"key".into(), value: Some(vec![7; 5_000]) };
    let large = Redo { from: 0, to: 1, writes: vec![large] };
    append(&mut journal, &large);
    append(&mut journal, &redo(2));
    let mut found = Vec::new();
    replay(dir.path(), Some(STORE), 0, |redo| {
        found.push(redo);
        Ok::<_, JournalError>(())
    })
    .unwrap();
    assert_eq!(found, [large, redo(2)]);
}

#[test]
fn an_end_that_is_torn_at_any_byte_is_cut_and_the_rest_stands() {
    let dir = written(4);
    let last = paths(dir.path()).pop().unwrap();
    let whole = fs::read(&last).unwrap();
    let end = whole.iter().rposition(|&byte| byte != 0).unwrap() + 1;
    let Ok(version) = read(dir.path(), 0) else { panic!("it was whole") };
    let frame = frame_bytes(encode(&redo(1).writes).len());
    // The last group begins here, and may be on disk in any part: its beginning, its end, its middle.
    let begin = (end - HEADER_BYTES) / frame * frame + HEADER_BYTES;
    for at in begin..end {
        for torn in [begin..at, at..end] {
            let mut bytes = whole.clone();
            bytes[torn.clone()].fill(0);
            fs::write(&last, &bytes).unwrap();
            let expect = if bytes == whole { version } else { version - 1 };
            assert_eq!(read(dir.path(), 0), Ok(expect), "{torn:?}");
            // What was cut is gone, and there is as much room as before.
            assert_eq!(read(dir.path(), 0), Ok(expect), "{torn:?}");
            assert_eq!(fs::metadata(&last).unwrap().len(), whole.len() as u64);
        }
    }
}

#[test]
fn the_end_is_mended_before_anything_is_given_out() {
    let dir = written(4);
    let last = paths(dir.path()).pop().unwrap();
    let mut bytes = fs::read(&last).unwrap();
    let end = bytes.iter().rposition(|&byte| byte != 0).unwrap();
    bytes[end] ^= 1;
    fs::write(&last, &bytes).unwrap();
    let frame = frame_bytes(encode(&redo(1).writes).len());
    let begin = (end - HEADER_BYTES) / frame * frame + HEADER_BYTES;
    let mut found = 0;
    let opened = Journal::open(dir.path(), STORE, 0, SIZES, |_| {
        found += 1;
        assert!(fs::read(&last).unwrap()[begin..].iter().all(|&byte| byte == 0), "what is torn is still there");
        Ok::<_, JournalError>(())
    });
    assert_eq!((opened.unwrap().version(), found), (3, 3));
}

#[test]
fn a_byte_that_changed_anywhere_before_the_last_group_is_named_with_its_place() {
    let dir = written(12);
    for path in paths(dir.path()) {
        let whole = fs::read(&path).unwrap();
        let used = whole.iter().rposition(|&byte| byte != 0).unwrap() + 1;
        let (name, frame) = (path.file_name().unwrap().to_str().unwrap(), frame_bytes(encode(&redo(1).writes).len()));
        let is_last = Some(&path) == paths(dir.path()).last();
        let end = if is_last { (used - HEADER_BYTES) / frame * frame + HEADER_BYTES } else { whole.len() };
        for at in 0..end {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            fs::write(&path, bytes).unwrap();
            let begin = at.saturating_sub(HEADER_BYTES) / frame * frame + HEADER_BYTES;
            let expect = match at {
                0..HEADER_BYTES => format!("`{name}` is no segment of the journal"),
                _ => format!("`{name}` is damaged at byte {begin}, and goes on after it"),
            };
            let found = read(dir.path(), 0);
            // After the last group of a segment nothing begins at a multiple of anything.
            let place = format!("`{name}` is damaged at byte ");
            let named = found.as_ref().is_err_and(|said| *said == expect || at >= used && said.starts_with(&place));
            assert!(named, "byte {at}: {found:?}");
        }
        fs::write(&path, whole).unwrap();
    }
    assert_eq!(read(dir.path(), 0), Ok(12));
}

#[test]
fn segments_that_are_gone_strange_or_in_another_place_are_named() {
    let (dir, other) = (written(12), TempDir::new().unwrap());
    drop(Journal::create(other.path(), StoreId([8; 16]), 0, SIZES).unwrap());
    let segments = paths(dir.path());
    let name = |index: usize| segments[index].file_name().unwrap().to_str().unwrap();
    let first = |index: usize| name(index).trim_end_matches(SUFFIX).parse::<u64>().unwrap();
    let whole: Vec<_> = segments.iter().map(|path| fs::read(path).unwrap()).collect();
    let mend = || segments.iter().zip(&whole).for_each(|(path, bytes)| fs::write(path, bytes).unwrap());

    fs::remove_file(&segments[1]).unwrap();
    let hole = format!("`{}` goes on with version {} at byte 0, where {} is due", name(2), first(2), first(1));
    assert_eq!(read(dir.path(), 0), Err(hole));
    assert_eq!(read(dir.path(), first(2)), Ok(12));
    mend();
    fs::remove_file(&segments[0]).unwrap();
    let missing = format!("the journal in `{}` does not go back to version 0", dir.path().display());
    assert_eq!(read(dir.path(), 0), Err(missing));
    mend();
    // Under the name of another one.
    fs::copy(&segments[0], &segments[1]).unwrap();
    assert_eq!(read(dir.path(), 0), Err(format!("`{}` is no segment of the journal", name(1))));
    mend();
    fs::copy(other.path().join(name(0)), &segments[0]).unwrap();
    assert_eq!(read(dir.path(), 0), Err(format!("`{}` belongs to another store", name(0))));
    mend();
    // A group of one segment in the place of one in another.
    let mut bytes = whole[1].clone();
    bytes[HEADER_BYTES..].copy_from_slice(&whole[0][HEADER_BYTES..]);
    fs::write(&segments[1], bytes).unwrap();
    assert_eq!(read(dir.path(), 0), Err(format!("`{}` is damaged at byte 64, and goes on after it", name(1))));
    mend();
    // The end of one that is not the last.
    let mut bytes = whole[0].clone();
    bytes.truncate(HEADER_BYTES + frame_bytes(encode(&redo(1).writes).len()));
    fs::write(&segments[0], bytes).unwrap();
    let hole = format!("`{}` goes on with version {} at byte 0, where 1 is due", name(1), first(1));
    assert_eq!(read(dir.path(), 0), Err(hole));
    mend();
    fs::write(dir.path().join("x.journal"), "").unwrap();
    assert_eq!(read(dir.path(), 0), Err("`x.journal` is no segment of the journal".to_owned()));
}

#[test]
fn only_what_nobody_needs_is_trimmed() {
    let dir = written(12);
    let all = segments(dir.path()).unwrap();
    assert_eq!(trim(dir.path(), 0).unwrap(), 0);
    assert_eq!(trim(dir.path(), all[1].first - 1).unwrap(), 0);
    assert_eq!(trim(dir.path(), all[1].first).unwrap(), 1);
    assert_eq!(read(dir.path(), all[1].first), Ok(12));
    assert_eq!(trim(dir.path(), u64::MAX).unwrap(), all.len() - 2);
    assert_eq!(read(dir.path(), 12), Ok(12));
}

#[test]
fn what_is_no_segment_does_not_stand_for_what_comes_after_the_one_before_it() {
    let dir = TempDir::new().unwrap();
    drop(Journal::create(dir.path(), STORE, 0, SIZES).unwrap());
    fs::write(dir.path().join(segment_name(3)), "").unwrap();
    assert_eq!(trim(dir.path(), 9).unwrap(), 0);
    fs::remove_file(dir.path().join(segment_name(3))).unwrap();
    drop(Journal::create(dir.path(), STORE, 3, SIZES).unwrap());
    assert_eq!(trim(dir.path(), 9).unwrap(), 1);
}
