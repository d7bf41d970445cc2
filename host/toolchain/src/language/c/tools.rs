//! The compiler: got once from Python's registry, by its digest, and kept in the user's cache.
//!
//! What runs with the rights of whoever builds: `python3` of the `PATH` with its pip, once, in a directory of its own, and
//! `zig` as the digests here name it. The compiler gets no environment but where its caches are: one of its own in each
//! build, and one that holds what was compiled of its library, in a directory that nobody but the user may enter.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use attorn_build::process::{self, Failed};

use super::super::{kept, pip};
use crate::project::{ProjectError, file};

const REQUIREMENTS: &str = include_str!("requirements.txt");

/// What one call of the compiler may take; the first of all compiles its library.
const RUN_MAX: Duration = Duration::from_mins(5);

/// The compiler, as it is installed.
pub(super) struct Tools {
    zig: PathBuf,
    library: PathBuf,
    cache: PathBuf,
}

impl Tools {
    /// Find it, or get it.
    pub(super) fn get(progress: &mut dyn FnMut(&str)) -> Result<Self, ProjectError> {
        let kept = kept::cache()?;
        let digest = blake3::hash(REQUIREMENTS.as_bytes()).to_hex();
        let home = kept.join(format!("c-{}", &digest[..16]));
        kept::get(&kept, &home, &mut |beside| {
            progress("getting Zig, for its C compiler, from Python's registry, once");
            pip::install(REQUIREMENTS, &[], beside)
        })?;
        // The compiler says where its own headers are by where they are in truth.
        let home = home.canonicalize().map_err(file(&home))?;
        let package = home.join("ziglang");
        let cache = kept.join(format!("c-{}-library", &digest[..16]));
        let cache = kept::private(&cache)?;
        Ok(Self { zig: package.join("zig"), library: package.join("lib"), cache })
    }

    /// Where the headers of the library are.
    pub(super) fn library(&self) -> &Path {
        &self.library
    }

    /// A call of the compiler in a directory. What it says is shown if it does its work, and else in the error alone.
    pub(super) fn run(
        &self,
        arguments: &[&OsStr],
        within: &Path,
        progress: &mut dyn FnMut(&str),
    ) -> Result<(), Failed> {
        let mut zig = Command::new(&self.zig);
        zig.args(arguments).current_dir(within).env_clear();
        zig.env("ZIG_GLOBAL_CACHE_DIR", &self.cache).env("ZIG_LOCAL_CACHE_DIR", within.join("cache"));
        let mut said = Vec::new();
        process::run_reading(&mut zig, Stdio::null(), RUN_MAX, &mut |line| said.push(line.to_owned()))?;
        for line in &said {
            progress(line);
        }
        Ok(())
    }
}
