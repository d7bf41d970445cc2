//! Directories as images: what a test puts back, damages, compares or searches.

use std::fs;
use std::path::{Path, PathBuf};

/// Copy a directory with all that is in it. Of a server that runs, what it puts in the place of something else is gone in
/// between.
pub fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            match fs::copy(entry.path(), &target) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound && !entry.path().exists() => {}
                copied => drop(copied.unwrap()),
            }
        }
    }
}

/// The files in which these bytes stand, in whatever case their letters are.
pub fn found_in(directory: &Path, bytes: &[u8]) -> Vec<PathBuf> {
    let finder = |text: &[u8]| text.windows(bytes.len()).any(|window| window.eq_ignore_ascii_case(bytes));
    // A server that runs puts files in the place of others; the one that was written beside is gone then.
    let read = |path: &PathBuf| match fs::read(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        read => read.unwrap(),
    };
    files(directory).into_iter().filter(|path| finder(&read(path))).collect()
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { all.extend(files(&path)) } else { all.push(path) }
    }
    all
}
