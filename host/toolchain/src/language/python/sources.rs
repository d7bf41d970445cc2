//! Which modules of a project and of its SDK there are.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::super::copied::Copying;
use super::{Files, MANIFEST};
use crate::project::{ProjectError, file};

/// Where a project has its modules, and the one that there has to be; and where the SDK has its own.
const DIRECTORY: &str = "src";
const POLICY: &str = "policy.py";
const SDK: &str = "src/attorn_policy";
/// What the SDK's are called.
const SDK_NAME: &str = "attorn_policy";
/// The module that says which are the project's, for the SDK to look into, and which version its manifest names.
const INDEX: &str = "_attorn_project";
/// Names that are no project's: the SDK's, and what the interpreter imports by itself.
const TAKEN: [&str; 5] = [SDK_NAME, INDEX, "componentize_py_runtime", "sitecustomize", "usercustomize"];
/// What an interpreter leaves beside modules.
const CACHE: &str = "__pycache__";

/// What lies beside modules, and is for tools alone.
const BESIDE: &[&str] = &["pyi", "typed"];
/// Modules that are machine code.
const NATIVE: &[&str] = &["so", "pyd", "dylib", "dll", "pyc", "whl"];

/// The modules of a project and of the SDK, by their names in the archive.
pub(super) struct Modules {
    own: Files,
    sdk: Files,
}

/// Copy both to a directory, and read them there.
pub(super) fn read(home: &Path, sdk: &Path, to: &Path) -> Result<Modules, ProjectError> {
    if !home.join(DIRECTORY).join(POLICY).is_file() {
        let problem = format!("it has no policy: there is no `{DIRECTORY}/{POLICY}`");
        return Err(ProjectError::Manifest { path: home.join(MANIFEST), problem });
    }
    let own = modules(home, DIRECTORY, &to.join("own"), "")?;
    for name in own.keys() {
        check_name(&home.join(DIRECTORY), name)?;
    }
    Ok(Modules { own, sdk: modules(sdk, SDK, &to.join("sdk"), SDK_NAME)? })
}

/// Put them beside the modules of Python's own library, with the version that the manifest names. A name that stands for
/// one of these would be another to half of them.
pub(super) fn add(home: &Path, files: &mut Files, modules: Modules, version: Option<&str>) -> Result<(), ProjectError> {
    let first = |name: &str| name.split(['/', '.']).next().unwrap_or_default().to_owned();
    let mut taken: BTreeSet<String> = files.keys().map(|name| first(name)).collect();
    taken.extend(TAKEN.map(str::to_owned));
    if let Some(name) = modules.own.keys().find(|name| taken.contains(&first(name))) {
        let problem = format!("`{}` is the name of a module that is there already: give it another one", first(name));
        return Err(ProjectError::Manifest { path: home.join(DIRECTORY).join(name), problem });
    }
    let names: Vec<_> = modules.own.keys().map(|name| format!("    \"{}\",\n", dotted(name))).collect();
    let version = version.map_or_else(|| "None".to_owned(), |version| format!("\"{version}\""));
    let index = format!("VERSION = {version}\nMODULES = [\n{}]\n", names.concat());
    files.insert(format!("{INDEX}.py"), index.into_bytes());
    files.extend(modules.own);
    files.extend(modules.sdk);
    Ok(())
}

/// `a/b.py` as it is imported.
fn dotted(name: &str) -> String {
    let name = name.strip_suffix(".py").unwrap_or(name);
    name.strip_suffix("/__init__").unwrap_or(name).replace('/', ".")
}

fn modules(top: &Path, directory: &str, to: &Path, name: &str) -> Result<Files, ProjectError> {
    let is_cache = |path: &Path| path.file_name().is_some_and(|name| name == CACHE);
    let copied = Copying::of(top, is_cache).copy(&top.join(directory), to, "")?;
    let mut files = Files::new();
    for part in copied {
        let path = top.join(directory).join(&part);
        let refused = |problem: &str| ProjectError::Manifest { path: path.clone(), problem: problem.to_owned() };
        let ending = part.rsplit_once('.').map_or("", |(_, ending)| ending);
        if ending == "py" {
            let copy = to.join(&part);
            let whole = if name.is_empty() { part } else { format!("{name}/{part}") };
            files.insert(whole, fs::read(&copy).map_err(file(&copy))?);
        } else if NATIVE.contains(&ending) {
            return Err(refused("machine code is not taken: a policy is made of modules in Python"));
        } else if !BESIDE.contains(&ending) {
            return Err(refused(
                "it is no module, and there are no files in a sandbox: write what it says in a module",
            ));
        }
    }
    Ok(files)
}

/// A name that can be imported: words, of which none begins with a digit.
fn check_name(directory: &Path, name: &str) -> Result<(), ProjectError> {
    let is_word = |part: &str| {
        !part.starts_with(|first: char| first.is_ascii_digit())
            && !part.is_empty()
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    if name.strip_suffix(".py").unwrap_or(name).split('/').all(is_word) {
        return Ok(());
    }
    let problem = "a module is called by letters, digits and `_`, and begins with no digit".to_owned();
    Err(ProjectError::Manifest { path: directory.join(name), problem })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A project with these files and an SDK of two.
    fn archive(files: &[(&str, &str)]) -> Result<Files, String> {
        let (top, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let sdk = [("sdk/src/attorn_policy/__init__.py", "s"), ("sdk/src/attorn_policy/py.typed", "")];
        for (name, text) in files.iter().chain(&sdk) {
            let path = top.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let home = top.path().join("p");
        let modules = read(&home, &top.path().join("sdk"), to.path()).map_err(|error| error.to_string())?;
        let mut all = Files::from([("json/__init__.py".to_owned(), Vec::new())]);
        add(&home, &mut all, modules, Some("1.2")).map_err(|error| error.to_string())?;
        Ok(all)
    }

    #[test]
    fn modules_are_taken_with_an_index_of_the_projects_own() {
        let all = archive(&[
            ("p/src/policy.py", "x"),
            ("p/src/a/__init__.py", ""),
            ("p/src/a/b.py", ""),
            ("p/src/a/b.pyi", ""),
            ("p/src/__pycache__/policy.cpython-311.pyc", ""),
            ("p/src/.hidden.py", ""),
            ("p/test/test_policy.py", ""),
        ]);
        let all = all.unwrap();
        let names: Vec<_> = all.keys().map(String::as_str).collect();
        let expected = [
            "_attorn_project.py",
            "a/__init__.py",
            "a/b.py",
            "attorn_policy/__init__.py",
            "json/__init__.py",
            "policy.py",
        ];
        assert_eq!(names, expected);
        assert_eq!(
            all["_attorn_project.py"],
            b"VERSION = \"1.2\"\nMODULES = [\n    \"a\",\n    \"a.b\",\n    \"policy\",\n]\n"
        );
    }

    #[test]
    fn what_is_no_usual_project_is_refused() {
        const POLICY: &str = "p/src/policy.py";
        for (name, problem) in [
            ("p/src/fast.cpython-314-wasm32-wasi.so", "machine code is not taken"),
            ("p/src/old.pyc", "machine code is not taken"),
            ("p/src/httpx.whl", "machine code is not taken"),
            ("p/src/data.json", "it is no module"),
            ("p/src/README", "it is no module"),
            ("p/src/json.py", "`json` is the name of a module that is there already"),
            ("p/src/json/more.py", "`json` is the name of a module"),
            ("p/src/attorn_policy/more.py", "`attorn_policy` is the name of a module"),
            ("p/src/sitecustomize.py", "`sitecustomize` is the name of a module"),
            ("p/src/_attorn_project.py", "`_attorn_project` is the name of a module"),
            ("p/src/a-b.py", "a module is called by letters"),
            ("p/src/2.py", "a module is called by letters"),
            ("p/src/a.b.py", "a module is called by letters"),
            ("p/src/a b.py", "a source is called by letters"),
        ] {
            let error = archive(&[(POLICY, ""), (name, "")]).unwrap_err();
            assert!(error.contains(problem), "{name}: {error}");
        }
        assert!(archive(&[("p/src/other.py", "")]).unwrap_err().contains("there is no `src/policy.py`"));
    }

    #[cfg(unix)]
    #[test]
    fn a_directory_that_leads_elsewhere_is_not_copied() {
        use std::os::unix::fs::symlink;

        for (link, target) in [("p/src", "../victim"), ("sdk/src", "../victim"), ("sdk/src/attorn_policy", "../..")] {
            let (top, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            let at = |name: &str| top.path().join(name);
            for name in
                ["victim/policy.py", "victim/attorn_policy/a.py", "p/src/policy.py", "sdk/src/attorn_policy/a.py"]
            {
                fs::create_dir_all(at(name).parent().unwrap()).unwrap();
                fs::write(at(name), "").unwrap();
            }
            let read = || read(&at("p"), &at("sdk"), to.path()).err().map(|error| error.to_string());
            assert_eq!(read(), None);
            fs::remove_dir_all(at(link)).unwrap();
            symlink(target, at(link)).unwrap();
            let error = read().unwrap();
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
        fs::write(home.join("src/policy.py"), "").unwrap();
        fs::write(top.path().join("secret"), "").unwrap();
        let odd = home.join("src/odd.py");
        let refused = || {
            let error = read(&home, &home, to.path()).err().unwrap().to_string();
            assert!(error.ends_with("odd.py`: it is no plain file"), "{error}");
            fs::remove_file(&odd).unwrap();
        };
        for target in ["/dev/zero", "../../secret", "policy.py", "."] {
            symlink(target, &odd).unwrap();
            refused();
        }
        // Opened, it would wait for somebody for ever.
        let path = std::ffi::CString::new(odd.to_str().unwrap()).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        refused();
    }
}
