//! Sources, copied to where they are compiled.
//!
//! A project may be a stranger's: what is no plain file is not opened, nothing is followed out of the project, and names are
//! such that they mean nothing to a compiler but a file.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::project::{ProjectError, file};

/// The most files, the most bytes of them together, and how deep they may lie.
pub(super) const FILES_MAX: usize = 1_000;
const BYTES_MAX: u64 = 16 << 20;
const DEPTH_MAX: usize = 8;

/// What is copied of one directory, all of it together within the limits.
pub(super) struct Copying<'a> {
    top: &'a Path,
    is_none: Box<dyn Fn(&Path) -> bool + 'a>,
    files: usize,
    bytes: u64,
}

impl<'a> Copying<'a> {
    /// Of a project, or an SDK, but for what is said to be no source.
    pub(super) fn of(top: &'a Path, is_none: impl Fn(&Path) -> bool + 'a) -> Self {
        Self { top, is_none: Box::new(is_none), files: FILES_MAX, bytes: BYTES_MAX }
    }

    /// Copy what is below a directory, and give the names of the files, sorted, after this. Hidden files are no sources.
    /// The directory itself has to be one, too, and each above it up to the top: a link may lead out of the project.
    pub(super) fn copy(&mut self, from: &Path, to: &Path, name: &str) -> Result<Vec<String>, ProjectError> {
        let mut above = self.top.to_owned();
        for part in from.strip_prefix(self.top).unwrap_or(from) {
            above.push(part);
            if !fs::symlink_metadata(&above).map_err(file(&above))?.is_dir() {
                return Err(ProjectError::Manifest { path: above, problem: "it is no plain directory".to_owned() });
            }
        }
        self.copy_at(from, to, name, 0)
    }

    fn copy_at(&mut self, from: &Path, to: &Path, name: &str, depth: usize) -> Result<Vec<String>, ProjectError> {
        fs::create_dir_all(to).map_err(file(to))?;
        let mut entries = Vec::new();
        for entry in fs::read_dir(from).map_err(file(from))? {
            entries.push(entry.map_err(file(from))?.file_name());
            if entries.len() > FILES_MAX {
                return Err(self.too_much(&too_many()));
            }
        }
        entries.sort();
        let mut copied = Vec::new();
        for entry in entries {
            let path = from.join(&entry);
            let refused = |problem: &str| ProjectError::Manifest { path: path.clone(), problem: problem.to_owned() };
            let part = entry.to_str().unwrap_or_default();
            if part.starts_with('.') || (self.is_none)(&path) {
                continue;
            }
            let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"._+-".contains(&b);
            if part.is_empty() || part.starts_with('-') || !part.bytes().all(is_plain) {
                return Err(refused("a source is called by letters, digits and `._+-` of ASCII"));
            }
            let name = if name.is_empty() { part.to_owned() } else { format!("{name}/{part}") };
            // Not what a link leads to.
            let kind = fs::symlink_metadata(&path).map_err(file(&path))?.file_type();
            if kind.is_dir() {
                if depth == DEPTH_MAX {
                    return Err(self.too_much(&format!("its sources nest more than {DEPTH_MAX} deep")));
                }
                copied.extend(self.copy_at(&path, &to.join(part), &name, depth + 1)?);
            } else if kind.is_file() {
                self.copy_file(&path, &to.join(part))?;
                copied.push(name);
            } else {
                return Err(refused("it is no plain file"));
            }
        }
        Ok(copied)
    }

    fn copy_file(&mut self, from: &Path, to: &Path) -> Result<(), ProjectError> {
        self.files = self.files.checked_sub(1).ok_or_else(|| self.too_much(&too_many()))?;
        let mut bytes = Vec::new();
        let opened = fs::File::open(from).map_err(file(from))?;
        opened.take(self.bytes + 1).read_to_end(&mut bytes).map_err(file(from))?;
        let too_long = || self.too_much(&format!("its sources have more than {BYTES_MAX} bytes together"));
        self.bytes = self.bytes.checked_sub(bytes.len() as u64).ok_or_else(too_long)?;
        fs::write(to, bytes).map_err(file(to))
    }

    fn too_much(&self, problem: &str) -> ProjectError {
        ProjectError::Manifest { path: PathBuf::from(self.top), problem: problem.to_owned() }
    }
}

fn too_many() -> String {
    format!("it holds more than {FILES_MAX} sources")
}
