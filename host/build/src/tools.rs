//! Which tools there are on this machine.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The tools that a target may be found or got with.
#[derive(Debug)]
pub(crate) struct Tools {
    /// The compiler that cargo would use: `RUSTC`, or the one on the path.
    pub(crate) rustc: PathBuf,
    /// The compilers of other origin, which may bring the sources of their standard library.
    pub(crate) other_rustcs: Vec<PathBuf>,
    /// `rustup`, if it is on the path.
    pub(crate) rustup: Option<PathBuf>,
    /// `apt-get`, if this process may install packages with it.
    pub(crate) apt_get: Option<PathBuf>,
    /// Linkers for WebAssembly on the path.
    pub(crate) linkers: Vec<PathBuf>,
}

impl Tools {
    pub(crate) fn of_this_machine() -> Self {
        let is_root = fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
        Self {
            rustc: env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()).into(),
            // Debian's compilers for WebAssembly are of the packages `rustc-web` and `rust-web-src`.
            other_rustcs: vec!["rustc".into(), "/usr/bin/rustc".into()],
            rustup: on_path("rustup"),
            apt_get: on_path("apt-get").filter(|_| is_root),
            linkers: ["rust-lld", "wasm-ld"].into_iter().filter_map(on_path).collect(),
        }
    }
}

/// The cargo that runs this, or the one on the path.
pub(crate) fn cargo() -> OsString {
    env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// Where cargo keeps the sources of dependencies.
pub(crate) fn cargo_home() -> Option<PathBuf> {
    let home = || env::var_os("HOME").map(|home| Path::new(&home).join(".cargo"));
    env::var_os("CARGO_HOME").map(PathBuf::from).or_else(home)
}

fn on_path(program: &str) -> Option<PathBuf> {
    let directories = env::var_os("PATH")?;
    env::split_paths(&directories).map(|directory| directory.join(program)).find(|path| path.is_file())
}
