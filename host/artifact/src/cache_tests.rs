use std::os::unix::fs::PermissionsExt as _;

use super::*;

fn name(text: &str) -> ArtifactName {
    ArtifactName::of("attorn test", &[text.as_bytes()])
}

fn key(byte: u8) -> CacheKey {
    CacheKey::new(Zeroizing::new([byte; 32]))
}

fn cache_in(directory: &Path, bytes_max: u64) -> Cache {
    Cache::open(directory.join("cache"), key(7), bytes_max).unwrap()
}

#[test]
fn what_was_put_is_found_again_and_only_its_owner_reads_it() {
    let directory = tempfile::tempdir().unwrap();
    let cache = cache_in(directory.path(), 1 << 20);
    assert!(cache.get(&name("a")).is_none());
    cache.put(&name("a"), &[b"about", b"code"]);
    let cached = cache.get(&name("a")).unwrap();
    assert_eq!((cached.part(0), cached.part(1), cached.part(2)), (Some(&b"about"[..]), Some(&b"code"[..]), None));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&cache.directory), mode(&cache.path(&name("a")))), (0o700, 0o600));
}

#[test]
fn every_changed_bit_and_every_cut_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let cache = cache_in(directory.path(), 1 << 20);
    cache.put(&name("a"), &[b"about", b"code"]);
    let (path, whole) = (cache.path(&name("a")), fs::read(cache.path(&name("a"))).unwrap());
    let refused = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        assert!(cache.get(&name("a")).is_none());
        assert!(!path.exists(), "a bad file stays");
    };
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        refused(&changed);
        refused(&whole[..at]);
    }
    refused(&[&whole[..], b"x"].concat());
}

#[test]
fn a_file_of_another_name_or_another_key_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let cache = cache_in(directory.path(), 1 << 20);
    cache.put(&name("a"), &[b"code of a"]);
    fs::rename(cache.path(&name("a")), cache.path(&name("b"))).unwrap();
    assert!(cache.get(&name("b")).is_none());
    cache.put(&name("a"), &[b"code of a"]);
    let other = Cache::open(directory.path().join("cache"), key(8), 1 << 20).unwrap();
    assert!(other.get(&name("a")).is_none());
}

#[test]
fn a_link_is_not_followed() {
    let directory = tempfile::tempdir().unwrap();
    let cache = cache_in(directory.path(), 1 << 20);
    cache.put(&name("a"), &[b"code"]);
    let elsewhere = directory.path().join("elsewhere");
    fs::rename(cache.path(&name("a")), &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, cache.path(&name("a"))).unwrap();
    assert!(cache.get(&name("a")).is_none());
}

/// Whoever opens a pipe to read it waits for somebody who writes.
#[test]
fn a_pipe_is_not_waited_for_and_makes_room() {
    let directory = tempfile::tempdir().unwrap();
    let cache = cache_in(directory.path(), 1 << 20);
    rustix::fs::mknodat(
        rustix::fs::CWD,
        cache.path(&name("a")),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        0,
    )
    .unwrap();
    assert!(cache.get(&name("a")).is_none());
    cache.put(&name("a"), &[b"code"]);
    assert!(cache.get(&name("a")).is_some());
}

#[test]
fn it_stays_within_its_size_and_keeps_what_was_used_last() {
    let directory = tempfile::tempdir().unwrap();
    let cache = cache_in(directory.path(), 2_500);
    let old = |text: &str, seconds: u64| {
        cache.put(&name(text), &[&[7; 1_000]]);
        let file = File::options().append(true).open(cache.path(&name(text))).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds)).unwrap();
    };
    old("first", 1_000);
    old("second", 2_000);
    assert!(cache.get(&name("first")).is_some(), "reading it makes it the one used last");
    old("third", 3_000);
    assert!(cache.get(&name("second")).is_none());
    assert!(cache.get(&name("first")).is_some() && cache.get(&name("third")).is_some());
}

#[test]
fn what_is_in_use_is_not_removed_however_old_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let cache = cache_in(directory.path(), 1_500);
    cache.put(&name("used"), &[&[7; 1_000]]);
    let (one, other) = (cache.pin(name("used")), cache.pin(name("used")));
    drop(one);
    cache.put(&name("second"), &[&[7; 1_000]]);
    cache.put(&name("third"), &[&[7; 1_000]]);
    assert!(cache.get(&name("used")).is_some() && cache.get(&name("second")).is_none());
    drop(other);
    cache.put(&name("fourth"), &[&[7; 1_000]]);
    assert!(cache.get(&name("used")).is_none() && cache.get(&name("fourth")).is_some());
}

#[test]
fn a_cache_that_cannot_be_written_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let cache = cache_in(directory.path(), 1 << 20);
    fs::remove_dir_all(&cache.directory).unwrap();
    cache.put(&name("a"), &[b"code"]);
    assert!(cache.get(&name("a")).is_none());
}

#[test]
fn a_directory_in_which_or_above_which_others_may_write_is_not_of_its_owner_alone() {
    let top = tempfile::tempdir().unwrap();
    let (above, cache) = (top.path().join("above"), top.path().join("above/cache"));
    fs::create_dir_all(&cache).unwrap();
    let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let is_alone = || is_of_its_owner_alone(&cache, &above);
    set(&above, 0o755);
    for (mode, expect) in [(0o720, false), (0o702, false), (0o1777, false), (0o755, true)] {
        set(&cache, mode);
        assert_eq!(is_alone(), expect, "{mode:o}");
    }
    for (mode, expect) in [(0o775, false), (0o757, false), (0o1777, true), (0o755, true)] {
        set(&above, mode);
        assert_eq!(is_alone(), expect, "above {mode:o}");
    }
    // A link is none: whoever asks has followed it.
    fs::rename(&cache, top.path().join("elsewhere")).unwrap();
    std::os::unix::fs::symlink(top.path().join("elsewhere"), &cache).unwrap();
    assert!(!is_alone());
}
