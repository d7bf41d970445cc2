use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;

use super::*;

fn files() -> (TempDir, Files) {
    let dir = TempDir::new().unwrap();
    let blobs = dir.path().join("blobs");
    make_dir(&blobs).unwrap();
    (dir, Files::new(blobs))
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn what_is_not_there_too_large_or_altered_is_refused() {
    let (_dir, files) = files();
    let absent = digest_of(b"absent");
    assert!(matches!(files.read(absent, 10).await, Err(FileError::NotThere(digest)) if digest == absent));
    assert!(matches!(files.write(vec![0; 11], 10).await, Err(FileError::TooLarge { bytes_max: 10 })));
    let digest = files.write(b"component".to_vec(), 9).await.unwrap();
    assert!(matches!(files.read(digest, 8).await, Err(FileError::TooLarge { bytes_max: 8 })));
    for altered in [&b"componenT"[..], b"component ", b"componen", b""] {
        fs::write(files.0.join(digest.to_string()), altered).unwrap();
        assert!(matches!(files.read(digest, 100).await, Err(FileError::Altered(found)) if found == digest));
    }
    // Writing it again heals it.
    assert_eq!(files.write(b"component".to_vec(), 9).await.unwrap(), digest);
    assert_eq!(files.read(digest, 9).await.unwrap(), b"component");
}

#[tokio::test]
async fn what_was_written_is_read_and_nobody_else_may() {
    let (_dir, files) = files();
    for bytes in [b"".to_vec(), b"component".to_vec(), vec![7; 200_000]] {
        let digest = files.write(bytes.clone(), 1 << 20).await.unwrap();
        assert_eq!(digest, digest_of(&bytes));
        assert_eq!(files.read(digest, 1 << 20).await.unwrap(), bytes);
        assert_eq!(mode(&files.0.join(digest.to_string())), 0o600);
    }
    assert_eq!(mode(&files.0), 0o700);
    assert_eq!(fs::read_dir(&files.0).unwrap().count(), 3);
}

#[tokio::test]
async fn what_a_broken_write_left_is_removed() {
    let (_dir, files) = files();
    let digest = files.write(b"kept".to_vec(), 10).await.unwrap();
    fs::write(files.0.join(temporary_name().unwrap()), b"half").unwrap();
    remove_temporary(&files.0).unwrap();
    assert_eq!(fs::read_dir(&files.0).unwrap().count(), 1);
    assert_eq!(files.read(digest, 10).await.unwrap(), b"kept");
}

#[test]
fn what_stands_where_a_file_is_made_is_not_written_to() {
    let dir = tempfile::tempdir().unwrap();
    let (path, other) = (dir.path().join("x.tmp"), dir.path().join("other"));
    fs::write(&other, "another's").unwrap();
    std::os::unix::fs::symlink(&other, &path).unwrap();
    std::io::Write::write_all(&mut create_beside(&path).unwrap(), b"ours").unwrap();
    assert_eq!(fs::read_to_string(&other).unwrap(), "another's");
    assert_eq!(read_regular_text(&path, 10).unwrap(), "ours");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    create_beside(&path).unwrap_err();
    read_regular(&path, 10).unwrap_err();
}

#[test]
fn what_is_locked_or_written_over_is_a_regular_file() {
    use rustix::fs::{CWD, FileType, Mode, mknodat};

    let dir = tempfile::tempdir().unwrap();
    let (path, other) = (dir.path().join("x.lock"), dir.path().join("other"));
    drop(open_lock(&path).unwrap());
    fs::write(&path, "kept").unwrap();
    drop(open_lock(&path).unwrap());
    assert_eq!(read_regular_text(&path, 3).unwrap(), "kep");
    fs::remove_file(&path).unwrap();
    let pipe = || mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let link = || std::os::unix::fs::symlink(&other, &path).unwrap();
    for put in [&pipe as &dyn Fn(), &link] {
        put();
        let said = open_lock(&path).unwrap_err().to_string();
        assert_eq!(said, "it is no regular file: move it away, and it is made anew");
        assert_eq!(open_regular_to_write(&path).unwrap_err().to_string(), "it is no regular file");
        fs::remove_file(&path).unwrap();
        assert!(!other.exists(), "nothing was made through the link");
    }
}

#[test]
fn what_is_longer_than_it_is_made_is_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("1.journal");
    fs::write(&path, "12345").unwrap();
    assert_eq!(read_regular(&path, 5).unwrap(), b"12345");
    let said = |len: u64| {
        OpenOptions::new().write(true).open(&path).unwrap().set_len(len).unwrap();
        read_regular(&path, 5).unwrap_err().to_string()
    };
    for len in [6, 60 << 20] {
        assert_eq!(said(len), format!("it has {len} bytes, and is made with 5 at most"));
    }
    // Nobody waits for a terabyte of zeros, however much may be read.
    assert!(said(1 << 40).starts_with("of its 1099511627776 bytes "));
}

/// A file that cannot be read just now may be whole: that is for nobody to take for damage.
#[test]
fn what_keeps_a_file_from_being_read_is_not_what_the_file_is() {
    assert_eq!(why_not(irregular("it is a pipe".to_owned())).unwrap(), "it is a pipe");
    for code in [Errno::ACCESS, Errno::IO, Errno::MFILE] {
        let error = why_not(io::Error::from_raw_os_error(code.raw_os_error())).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(code.raw_os_error()));
        assert!(StorageError::from(error).is_of_the_disk);
    }
}
