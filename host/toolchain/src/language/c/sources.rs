//! Which sources of a project and of its SDK are compiled.

use std::path::Path;

use super::super::copied::Copying;
use super::MANIFEST;
use crate::project::ProjectError;

/// Where a project has its sources, and the one that there has to be.
const DIRECTORY: &str = "src";
const POLICY: &str = "policy.c";
/// Where the SDK is put, beside `src`.
pub(super) const SDK: &str = "sdk";

/// What is compiled, by its name below the directory that everything was copied to.
#[derive(Debug)]
pub(super) struct Sources {
    /// The project's.
    pub(super) own: Vec<String>,
    /// The SDK's, which are no business of whoever writes a policy.
    pub(super) sdk: Vec<String>,
    /// The SDK's bindings, which are for a sandbox alone.
    pub(super) bindings: Vec<String>,
}

/// Copy both.
pub(super) fn copy(home: &Path, sdk: &Path, to: &Path) -> Result<Sources, ProjectError> {
    if !home.join(DIRECTORY).join(POLICY).is_file() {
        let problem = format!("it has no policy: there is no `{DIRECTORY}/{POLICY}`");
        return Err(ProjectError::Manifest { path: home.join(MANIFEST), problem });
    }
    let own = Copying::of(home, |_| false).copy(&home.join(DIRECTORY), &to.join(DIRECTORY), DIRECTORY)?;
    let mut copying = Copying::of(sdk, |_| false);
    let mut of = |name: &str| copying.copy(&sdk.join(name), &to.join(SDK).join(name), &format!("{SDK}/{name}"));
    of("include")?;
    let (sdk, bindings) = (of("src")?, of("wasm")?);
    let is_compiled = |name: &String| Path::new(name).extension().is_some_and(|end| end == "c");
    let compiled = |names: Vec<String>| names.into_iter().filter(is_compiled).collect::<Vec<_>>();
    Ok(Sources { own: compiled(own), sdk: compiled(sdk), bindings: compiled(bindings) })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::super::copied::FILES_MAX;
    use super::*;

    /// A project with these files and an SDK of two.
    fn copied(files: &[(&str, &str)]) -> (tempfile::TempDir, Result<Sources, String>) {
        let (top, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let sdk = [("sdk/include/a.h", ""), ("sdk/src/a.c", ""), ("sdk/src/a.h", ""), ("sdk/wasm/w.c", "")];
        for (name, text) in files.iter().chain(&sdk) {
            let path = top.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let sources = copy(&top.path().join("p"), &top.path().join("sdk"), to.path());
        (to, sources.map_err(|error| error.to_string()))
    }

    #[test]
    fn all_that_is_compiled_is_copied_and_nothing_hidden() {
        let (to, sources) = copied(&[
            ("p/src/policy.c", "x"),
            ("p/src/b/b.c", ""),
            ("p/src/b/b.h", ""),
            ("p/src/.key.c", ""),
            ("p/k.c", ""),
        ]);
        let sources = sources.unwrap();
        assert_eq!(sources.own, ["src/b/b.c", "src/policy.c"]);
        assert_eq!((sources.sdk, sources.bindings), (vec!["sdk/src/a.c".to_owned()], vec!["sdk/wasm/w.c".to_owned()]));
        assert_eq!(fs::read_to_string(to.path().join("src/policy.c")).unwrap(), "x");
        assert!(to.path().join("src/b/b.h").is_file() && to.path().join("sdk/include/a.h").is_file());
        assert!(!to.path().join("src/.key.c").exists());
    }

    #[test]
    fn what_is_no_usual_project_is_refused() {
        for (name, problem) in [
            ("p/src/other.c", "there is no `src/policy.c`"),
            ("p/src/a b.c", "a source is called by"),
            ("p/src/-include.c", "a source is called by"),
            ("p/src/a\\.c", "a source is called by"),
            ("p/src/ä.c", "a source is called by"),
            ("p/src/1/2/3/4/5/6/7/8/9/a.c", "`: its sources nest more than 8 deep"),
        ] {
            let policy = if problem.contains("policy.c") { "p/x" } else { "p/src/policy.c" };
            let (_, sources) = copied(&[(policy, ""), (name, "")]);
            assert!(sources.unwrap_err().contains(problem), "{name}");
        }
        let large = "x".repeat(9 << 20);
        let (_, sources) = copied(&[("p/src/policy.c", &large), ("p/src/a.c", &large)]);
        assert!(sources.unwrap_err().ends_with("`: its sources have more than 16777216 bytes together"));
        let many: Vec<_> = (0..FILES_MAX).map(|at| format!("p/src/{at}.c")).collect();
        let mut files: Vec<_> = many.iter().map(|name| (name.as_str(), "")).collect();
        files.push(("p/src/policy.c", ""));
        assert!(copied(&files).1.unwrap_err().ends_with("`: it holds more than 1000 sources"));
    }

    #[cfg(unix)]
    #[test]
    fn a_directory_that_leads_elsewhere_is_not_copied() {
        use std::os::unix::fs::symlink;

        for link in ["p/src", "sdk/include", "sdk/src", "sdk/wasm"] {
            let (top, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            let at = |name: &str| top.path().join(name);
            for name in ["victim/policy.c", "p/src/policy.c", "sdk/include/a.h", "sdk/src/a.c", "sdk/wasm/w.c"] {
                fs::create_dir_all(at(name).parent().unwrap()).unwrap();
                fs::write(at(name), "").unwrap();
            }
            let copy = || copy(&at("p"), &at("sdk"), to.path()).map(drop).map_err(|error| error.to_string());
            assert_eq!(copy(), Ok(()));
            fs::remove_dir_all(at(link)).unwrap();
            symlink("../victim", at(link)).unwrap();
            let error = copy().unwrap_err();
            assert!(error.ends_with(&format!("{link}`: it is no plain directory")), "{link}: {error}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_plain_file_is_not_opened() {
        use std::os::unix::fs::symlink;

        let (top, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let home = top.path().join("p");
        fs::create_dir_all(home.join("src")).unwrap();
        fs::write(home.join("src/policy.c"), "").unwrap();
        fs::write(top.path().join("secret"), "").unwrap();
        let odd = home.join("src/odd.h");
        let refused = || {
            let error = copy(&home, &home, to.path()).unwrap_err().to_string();
            assert!(error.ends_with("odd.h`: it is no plain file"), "{error}");
            fs::remove_file(&odd).unwrap();
        };
        for target in ["/dev/zero", "../../secret", "policy.c", "."] {
            symlink(target, &odd).unwrap();
            refused();
        }
        // Opened, it would wait for somebody for ever.
        let path = std::ffi::CString::new(odd.to_str().unwrap()).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        refused();
    }
}
