//! Of the directory of before goes what is known, and what is in the new one, too.

use std::collections::BTreeSet;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use tempfile::TempDir;

use super::*;

/// Make these files, each with its own path in it.
fn fill(dir: &Path, files: &[&str]) {
    for file in files {
        let path = dir.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, file).unwrap();
    }
}

/// All that is no directory, by its path within this one.
fn files(dir: &Path) -> BTreeSet<String> {
    let (mut found, mut left) = (BTreeSet::new(), vec![dir.to_owned()]);
    while let Some(at) = left.pop() {
        for entry in fs::read_dir(at).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                left.push(entry.path());
            } else {
                found.insert(entry.path().strip_prefix(dir).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found
}

/// An old directory and a new one, which has what is made anew.
fn both(more: &[&str]) -> (TempDir, PathBuf, PathBuf) {
    let dir = TempDir::new().unwrap();
    let [old, new] = ["old", "new"].map(|name| dir.path().join(name));
    let known = [
        "base/00000000000000000000.base",
        "base/next.new",
        "journal/00000000000000000001.journal",
        "store/db",
        "store/blobs/7",
        "store.cut-off/db",
        "store.boot",
        "store.format",
        "store.keep",
        "store.lock",
        "index/reached",
        "cache/1",
    ];
    fill(&old, &known);
    fill(&old, more);
    fill(&new, &["base/00000000000000000009.base", "journal/00000000000000000009.journal", "store/db", "store.format"]);
    (dir, old, new)
}

#[test]
fn what_is_known_goes_and_what_nobody_knows_goes_over_under_its_name() {
    let unknown = [
        "base/notes.txt",
        "base/mine.base",
        "base/2026.base",
        "base/00000000000000000005.base/x",
        "journal/00000000000000000001.base",
        "journal/00000000000000000001.journal.bak",
        "journal.broken-1/00000000000000000001.journal",
        "journal-new.broken-1/next.tmp",
        "store.broken-9/x",
        "store.remade.broken-1",
        "mine/deep/er.tmp",
        "mine.txt",
    ];
    let (dir, old, new) = both(&unknown);
    fs::create_dir(old.join("empty")).unwrap();
    symlink("nowhere", old.join("link")).unwrap();
    carry_over(&old, &new);
    assert_eq!(files(&new).len(), 4 + unknown.len() + 1, "what is known has no second name: {:?}", files(&new));
    assert_eq!(clear(&old, &new), None);
    assert!(!old.exists());
    for file in unknown {
        assert_eq!(fs::read_to_string(new.join(file)).unwrap(), file);
    }
    assert!(new.join("empty").is_dir() && new.join("cache/1").exists());
    assert_eq!(fs::read_link(new.join("link")).unwrap(), Path::new("nowhere"));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn what_could_not_go_over_stays_in_the_old_directory_and_is_named() {
    for (file, is_carried) in
        [("mine.txt", false), ("mine/deep/er", false), ("blobs/00", false), ("blobs/1.tmp/00", true)]
    {
        let (_dir, old, new) = both(&[file]);
        if is_carried {
            carry_over(&old, &new);
        }
        let problem = clear(&old, &new).unwrap();
        let message = format!("`{}`: it could not go over to the new directory", old.join(file).display());
        assert_eq!(problem, message);
        assert_eq!(files(&old), BTreeSet::from([file.to_owned()]), "what is known went");
        assert_eq!(fs::read_to_string(old.join(file)).unwrap(), file);
    }
}

#[test]
fn nothing_that_is_there_is_written_over() {
    let (_dir, old, new) = both(&["mine.txt", "mine/a", "mine/b"]);
    fill(&new, &["mine/c"]);
    fs::write(new.join("mine.txt"), "other").unwrap();
    carry_over(&old, &new);
    let problem = clear(&old, &new).unwrap();
    assert!(problem.ends_with("it could not go over to the new directory"), "{problem}");
    assert_eq!(files(&old), BTreeSet::from(["mine.txt", "mine/a", "mine/b"].map(str::to_owned)));
    assert_eq!(fs::read_to_string(new.join("mine.txt")).unwrap(), "other");
}

#[test]
fn what_nobody_came_to_the_end_of_writing_goes_where_all_else_went_over() {
    let (_dir, old, new) = both(&["log/1/tile/entries/000", "log/1/tile/entries/001.tmp"]);
    crate::epochs::link_all(&old.join("log"), &new.join("log")).unwrap();
    carry_over(&old, &new);
    assert_eq!(clear(&old, &new), None);
    assert!(!old.exists() && new.join("log/1/tile/entries/000").exists());
    assert!(!new.join("log/1/tile/entries/001.tmp").exists());
}
