//! What stands in the file is bounded, and what was not written by the store stops nothing without a name.

use std::fs;

use tempfile::TempDir;

use super::*;
use crate::fixtures::ours;

fn line(problem: &str, version: u64) -> String {
    let digest = Digest::from_bytes([7; 32]);
    format!(
        "{{\"part\":\"store\",\"by_hand\":true,\"problem\":\"{problem}\",\"version\":{version},\"entries\":0,\"digest\":\"{digest}\"}}\n"
    )
}

#[test]
fn a_problem_that_is_too_long_is_cut_off_and_one_beyond_the_store_is_known() {
    let dir = TempDir::new().unwrap();
    let store = Store::create(dir.path(), ours()).unwrap();
    let path = dir.path().join("store.remade");
    fs::write(&path, line("it failed", 0) + &line(&"ü".repeat(50_000), 7)).unwrap();
    let all = store.remade().unwrap();
    assert_eq!(all.iter().map(|one| store.is_beyond(one).unwrap()).collect::<Vec<_>>(), [false, true]);
    assert_eq!(all[0].problem, "it failed");
    let long = &all[1].problem;
    assert!(long.len() <= PROBLEM_BYTES_MAX && long.starts_with("üü") && long.ends_with("ü … (cut off)"), "{long}");
    // What is written is bounded as well.
    let mut remade = all[0].clone();
    remade.problem = bounded(&"x".repeat(PROBLEM_BYTES_MAX + 1));
    note(&store.places, remade).unwrap();
    assert!(fs::metadata(&path).unwrap().len() < 4 * PROBLEM_BYTES_MAX as u64);
    // More are never given out than are kept.
    fs::write(&path, line("again", 0).repeat(2 * KEPT)).unwrap();
    assert_eq!(store.remade().unwrap().len(), KEPT);
}

#[test]
fn a_file_that_was_not_written_here_is_named() {
    let dir = TempDir::new().unwrap();
    let store = Store::create(dir.path(), ours()).unwrap();
    let path = dir.path().join("store.remade");
    for (text, why) in [
        (line(&"x".repeat(2 << 20), 0), "it is longer than any that is written"),
        ("{}\n".to_owned(), "a line of it is not what is written"),
    ] {
        fs::write(&path, text).unwrap();
        let error = store.remade().unwrap_err();
        assert!(error.is_altered());
        let error = causes(&error);
        assert!(error.contains(&format!("`{}` cannot be relied on: {why}; ", path.display())), "{error}");
    }
}

#[tokio::test]
async fn what_is_not_what_was_written_is_moved_aside_and_said() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("store.remade");
    drop(Store::create(dir.path(), ours()).unwrap());
    assert_eq!(Store::set_remade_aside(dir.path()).unwrap(), None);
    fs::write(&path, line("it failed", 0)).unwrap();
    assert_eq!(Store::set_remade_aside(dir.path()).unwrap(), None);
    let puts: [&dyn Fn(); 4] = [
        &|| fs::write(&path, "{}\n").unwrap(),
        &|| fs::write(&path, [0xff, b'\n']).unwrap(),
        &|| std::os::unix::fs::symlink("/dev/zero", &path).unwrap(),
        &|| fs::create_dir(&path).unwrap(),
    ];
    for (number, put) in (1..).zip(puts) {
        fs::remove_file(&path).ok();
        put();
        let store = Store::open(dir.path(), &ours()).unwrap();
        let said = causes(&store.remade().unwrap_err());
        assert!(said.contains("`attorn repair` moves it aside"), "{said}");
        // Whoever uses the store is not disturbed.
        assert!(matches!(Store::set_remade_aside(dir.path()), Err(OpenError::InUse { .. })));
        drop(store);
        let (problem, aside) = Store::set_remade_aside(dir.path()).unwrap().unwrap();
        assert_eq!((problem, &aside), (said, &dir.path().join(format!("store.remade.broken-{number}"))));
        assert!(fs::symlink_metadata(&aside).is_ok() && fs::symlink_metadata(&path).is_err());
    }
    let store = Store::open(dir.path(), &ours()).unwrap();
    store.note_unknown("it was broken", &store.verify_integrity().await.unwrap()).unwrap();
    let all = store.remade().unwrap();
    assert_eq!((all.len(), all[0].part, all[0].problem.as_str()), (1, Part::Unknown, "it was broken"));
}
