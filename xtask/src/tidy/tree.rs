//! The files of the repository.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Directories that hold what programs made.
const MADE: &[&str] =
    &[".git", "target", "node_modules", "dist", "__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache"];

/// A file of text.
#[derive(Debug)]
pub(crate) struct File {
    /// Its path relative to the root, with `/` between its parts.
    pub(crate) path: String,
    /// What it says. Empty for a file that is no UTF-8.
    pub(crate) text: String,
}

impl File {
    /// Its ending, without the dot.
    pub(crate) fn extension(&self) -> &str {
        self.name().rsplit_once('.').map_or("", |(_, extension)| extension)
    }

    /// Its name, without its directory.
    pub(crate) fn name(&self) -> &str {
        self.path.rsplit_once('/').map_or(&self.path, |(_, name)| name)
    }

    /// Its directory; empty for the root.
    pub(crate) fn directory(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(directory, _)| directory)
    }

    /// Its lines, counted from 1.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }
}

/// All files, by path.
pub(crate) struct Tree(BTreeMap<String, File>);

impl Tree {
    /// Everything under `root` that people wrote.
    pub(crate) fn read(root: &Path) -> Result<Self, String> {
        let mut tree = Self(BTreeMap::new());
        tree.read_directory(root, "")?;
        Ok(tree)
    }

    /// A tree of these paths and texts.
    #[cfg(test)]
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let file = |&(path, text): &(&str, &str)| (path.to_owned(), File { path: path.into(), text: text.into() });
        Self(files.iter().map(file).collect())
    }

    /// All files, sorted by path.
    pub(crate) fn files(&self) -> impl Iterator<Item = &File> {
        self.0.values()
    }

    /// The file at this path.
    pub(crate) fn file(&self, path: &str) -> Option<&File> {
        self.0.get(path)
    }

    /// The files below this directory.
    pub(crate) fn below(&self, directory: &str) -> impl Iterator<Item = &File> {
        self.files().filter(move |file| is_below(&file.path, directory))
    }

    /// Whether there is a file or a directory at this path.
    pub(crate) fn has(&self, path: &str) -> bool {
        path.is_empty() || self.0.contains_key(path) || self.below(path).next().is_some()
    }

    fn read_directory(&mut self, directory: &Path, relative: &str) -> Result<(), String> {
        let unreadable = |error: std::io::Error| format!("cannot read `{}`: {error}", directory.display());
        for entry in fs::read_dir(directory).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = if relative.is_empty() { name.clone() } else { format!("{relative}/{name}") };
            let kind = entry.file_type().map_err(unreadable)?;
            if kind.is_dir() && !MADE.contains(&name.as_str()) {
                self.read_directory(&entry.path(), &path)?;
            } else if kind.is_file() {
                let bytes = fs::read(entry.path()).map_err(unreadable)?;
                let text = String::from_utf8(bytes).unwrap_or_default();
                self.0.insert(path.clone(), File { path, text });
            }
        }
        Ok(())
    }
}

fn is_below(path: &str, directory: &str) -> bool {
    path.strip_prefix(directory).is_some_and(|rest| rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_not_a_prefix_of_its_name() {
        let tree = Tree::of(&[("host/core/src/lib.rs", "")]);
        assert!(tree.has("host/core"));
        assert!(tree.has("host/core/src/lib.rs"));
        assert!(!tree.has("host/co"));
        assert!(!tree.has("host/core/src/lib.rs/x"));
    }
}
