//! Lock files: every package comes from the public registry, whatever mirror the last build used.

use super::Finding;
use super::tree::File;

/// Cargo's name of crates.io.
const PUBLIC: &str = r#"source = "registry+https://github.com/rust-lang/crates.io-index""#;

/// What is wrong with this file, if it is a lock file of Cargo's.
pub(crate) fn check(file: &File) -> Vec<Finding> {
    if file.name() != "Cargo.lock" {
        return Vec::new();
    }
    let found = |(line, text): (usize, &str)| {
        let foreign = text.starts_with("source = ") && text != PUBLIC;
        foreign.then(|| Finding::line(&file.path, line, format!("not from crates.io: {text}")))
    };
    file.lines().filter_map(found).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_crates_io_is_a_source() {
        let lock = |text: &str| check(&File { path: "a/Cargo.lock".to_owned(), text: text.to_owned() }).len();
        assert_eq!(lock(&format!("name = \"a\"\n{PUBLIC}\n")), 0);
        assert_eq!(lock("source = \"sparse+https://mirror.example/index/\"\n"), 1);
        assert_eq!(lock("source = \"git+https://github.com/a/b#0123\"\n"), 1);
    }
}
