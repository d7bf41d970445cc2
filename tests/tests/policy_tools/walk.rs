//! What a README says, done word by word.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use attorn_tests::http::Reach;
use attorn_tests::process::{Process, binary};
use attorn_tests::server::free_address;

pub(super) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// The names of all files below a directory, sorted.
pub(super) fn files(top: &Path) -> Vec<String> {
    let (mut found, mut waiting) = (Vec::new(), vec![top.to_owned()]);
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                waiting.push(entry.path());
            } else {
                found.push(entry.path().strip_prefix(top).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

/// All of what the README says of a first policy, in an empty directory, but for where the server listens. Making it
/// prints these words, and the last request is denied for this reason. Where the section is about several languages, it is
/// done in the one that is named.
pub(super) async fn first_policy(section: &str, language: &str, words: &[&str], denied: &str) {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let (_, section) = readme.split_once(&format!("\n### Your first policy in {section}\n")).unwrap();
    let blocks: Vec<&str> = section.split("```").collect();
    let (_, make) = blocks[1].split_once("$ attorn policy doctor").unwrap();
    assert!(blocks[2].contains("`attorn serve`") && blocks[2].contains("in another terminal"), "{}", blocks[2]);
    let (ask, last) = blocks[3].trim_start_matches("console\n").rsplit_once("\n$ ").unwrap();

    let home = tempfile::tempdir().unwrap();
    let address = free_address();
    let make = format!("attorn policy doctor{make}").replace("--lang cedar", &format!("--lang {language}"));
    assert!(make.contains(&format!("new listed-actions --lang {language} ")), "{make}");
    let make = make.replace("attorn init ", &format!("attorn init --listen {address} "));
    let output = shell(home.path(), &address.to_string(), &make);
    assert!(output.status.success(), "{}", said(&output));
    for word in words {
        assert!(said(&output).contains(word), "{word}: {}", said(&output));
    }

    let reach = Reach::new(format!("http://{address}"));
    let server = Process::start(&home.path().join("attorn/attorn.toml"), &reach).await;
    let ask = format!("{ask}\nset +e\n{last}");
    let address = address.to_string();
    let at = home.path().to_owned();
    let output = tokio::task::spawn_blocking(move || shell(&at, &address, &ask)).await.unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    assert!(said(&output).contains(denied), "{}", said(&output));
    server.stop().await;
}

/// What stands behind `$` in a document, as a shell does it where `attorn` is the program under test.
pub(super) fn shell(home: &Path, address: &str, script: &str) -> Output {
    let script = script.trim_start_matches("$ ").replace("\n$ ", "\n");
    let path = std::env::var_os("PATH").unwrap();
    let paths = std::iter::once(binary().parent().unwrap().to_owned()).chain(std::env::split_paths(&path));
    let mut shell = Command::new("sh");
    shell.args(["-exc", &script]).current_dir(home).env("PATH", std::env::join_paths(paths).unwrap());
    shell.env("ATTORN_URL", format!("http://{address}")).env_remove("ATTORN_TOKEN").output().unwrap()
}

pub(super) fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).concat()
}
