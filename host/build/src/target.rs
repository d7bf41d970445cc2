//! Finding a standard library for `wasm32-unknown-unknown`, or getting one.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::error::BuildError;
use crate::process::{Failed, run};
use crate::tools::Tools;

pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

const ASK_MAX: Duration = Duration::from_secs(30);
/// There may be no network, and there are other ways.
const RUSTUP_MAX: Duration = Duration::from_mins(1);
/// 137 MB to download, 23 s measured.
const APT_MAX: Duration = Duration::from_mins(15);

/// A way to compile to `wasm32-unknown-unknown` on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WasmTarget(pub(crate) StandardLibrary);

/// Where the standard library comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StandardLibrary {
    /// The compiler that cargo would use has it.
    Installed,
    /// It is built from the sources that this compiler brings.
    FromSource {
        /// The compiler.
        rustc: PathBuf,
        /// The linker; the compiler may have none of its own.
        linker: PathBuf,
    },
}

impl WasmTarget {
    /// Find one that is here, without getting anything: the one installed for the active toolchain, or the sources of a
    /// standard library that a compiler here brings.
    ///
    /// # Errors
    ///
    /// [`BuildError::NoTarget`], with what was looked at.
    pub fn find_here() -> Result<Self, BuildError> {
        find_here(&Tools::of_this_machine())
    }

    /// Find one, in this order: the one installed for the active toolchain; the one that rustup can
    /// add; the sources of a standard library that a compiler here brings; those that Debian's packages
    /// bring, which are installed if this process is root. `progress` is told what is done, line by
    /// line.
    ///
    /// # Errors
    ///
    /// [`BuildError::NoTarget`], with what was tried.
    pub fn find(progress: &mut dyn FnMut(&str)) -> Result<Self, BuildError> {
        find(&Tools::of_this_machine(), progress)
    }
}

impl fmt::Display for WasmTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            StandardLibrary::Installed => f.write_str("installed"),
            StandardLibrary::FromSource { rustc, .. } => write!(f, "from the sources of `{}`", rustc.display()),
        }
    }
}

fn find_here(tools: &Tools) -> Result<WasmTarget, BuildError> {
    if is_installed(&tools.rustc) {
        return Ok(WasmTarget(StandardLibrary::Installed));
    }
    let mut tried = vec![format!("`{}` has no standard library for it", tools.rustc.display())];
    from_source(tools, &mut tried).ok_or(BuildError::NoTarget { tried })
}

fn find(tools: &Tools, progress: &mut dyn FnMut(&str)) -> Result<WasmTarget, BuildError> {
    let mut tried = Vec::new();
    if is_installed(&tools.rustc) {
        return Ok(WasmTarget(StandardLibrary::Installed));
    }
    tried.push(format!("`{}` has no standard library for it", tools.rustc.display()));

    match add_by_rustup(tools, progress) {
        Ok(()) if is_installed(&tools.rustc) => return Ok(WasmTarget(StandardLibrary::Installed)),
        Ok(()) => tried.push(format!("rustup has added it, but not to `{}`", tools.rustc.display())),
        Err(problem) => tried.push(problem),
    }
    if let Some(found) = from_source(tools, &mut tried) {
        return Ok(found);
    }
    match install_packages(tools, &["rustc-web", "rust-web-src"], progress) {
        Ok(()) => from_source(tools, &mut tried).ok_or(BuildError::NoTarget { tried }),
        Err(problem) => {
            tried.push(problem);
            Err(BuildError::NoTarget { tried })
        }
    }
}

fn add_by_rustup(tools: &Tools, progress: &mut dyn FnMut(&str)) -> Result<(), String> {
    let rustup = tools.rustup.as_ref().ok_or("rustup is not on the path")?;
    progress(&format!("adding {TARGET} by rustup"));
    // A backtrace of rustup's says nothing to anybody here.
    let mut command = Command::new(rustup);
    command.args(["target", "add", TARGET]).env("RUST_BACKTRACE", "0");
    run(&mut command, RUSTUP_MAX, progress).map(drop).map_err(|failed| failed.to_string())
}

/// Install packages of Debian, where there is `apt-get` and this process may use it. The process's output is told line by
/// line.
///
/// # Errors
///
/// Why they are not installed.
pub fn install_by_apt(packages: &[&str], progress: &mut dyn FnMut(&str)) -> Result<(), String> {
    install_packages(&Tools::of_this_machine(), packages, progress)
}

fn install_packages(tools: &Tools, packages: &[&str], progress: &mut dyn FnMut(&str)) -> Result<(), String> {
    let apt_get = tools.apt_get.as_ref().ok_or("there is no apt-get, or this is not root")?;
    let mut apt_get = |arguments: &[&str]| -> Result<(), Failed> {
        progress(&format!("apt-get {}", arguments.join(" ")));
        let mut command = Command::new(apt_get);
        command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
        run(&mut command, APT_MAX, progress).map(drop)
    };
    let install = [&["install", "-q", "-y", "--no-install-recommends"], packages].concat();
    apt_get(&["update", "-q"]).and_then(|()| apt_get(&install)).map_err(|failed| failed.to_string())
}

/// Whether this compiler has the standard library for the target.
fn is_installed(rustc: &Path) -> bool {
    let Ok(directory) = ask(rustc, &["--print", "target-libdir", "--target", TARGET]) else { return false };
    let Ok(files) = fs::read_dir(directory) else { return false };
    files.flatten().any(|file| {
        let name = file.file_name();
        let name = name.to_string_lossy();
        name.starts_with("libstd-") && name.ends_with(".rlib")
    })
}

fn from_source(tools: &Tools, tried: &mut Vec<String>) -> Option<WasmTarget> {
    let mut rustcs = vec![&tools.rustc];
    rustcs.extend(tools.other_rustcs.iter().filter(|other| **other != tools.rustc));
    let sysroots: Vec<(&PathBuf, PathBuf)> = rustcs
        .into_iter()
        .filter_map(|rustc| Some((rustc, ask(rustc, &["--print", "sysroot"]).ok()?.into())))
        .collect();
    let Some((rustc, _)) =
        sysroots.iter().find(|(_, root)| root.join("lib/rustlib/src/rust/library/std/Cargo.toml").is_file())
    else {
        tried.push("no compiler here brings the sources of its standard library".into());
        return None;
    };
    let own = sysroots.iter().filter_map(|(rustc, root)| {
        Some(root.join("lib/rustlib").join(host(rustc)?).join("bin/rust-lld")).filter(|linker| linker.is_file())
    });
    let Some(linker) = own.chain(tools.linkers.iter().cloned()).next() else {
        tried.push(format!(
            "`{}` brings the sources of its standard library, but there is no rust-lld or wasm-ld (Debian: `lld`)",
            rustc.display()
        ));
        return None;
    };
    Some(WasmTarget(StandardLibrary::FromSource { rustc: (*rustc).clone(), linker }))
}

/// The platform that this compiler runs on.
fn host(rustc: &Path) -> Option<String> {
    let version = ask(rustc, &["-vV"]).ok()?;
    version.lines().find_map(|line| line.strip_prefix("host: ")).map(ToOwned::to_owned)
}

fn ask(rustc: &Path, question: &[&str]) -> Result<String, Failed> {
    let answer = run(Command::new(rustc).args(question), ASK_MAX, &mut |_| {})?;
    Ok(answer.trim().to_owned())
}

#[cfg(test)]
#[path = "target_tests.rs"]
mod tests;
