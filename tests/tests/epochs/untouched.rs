//! `attorn audit verify --config` names what is wrong, and changes nothing: not a byte, a name or a time.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use attorn_tests::components;
use attorn_tests::files::copy_dir;
use attorn_tests::world::{ask, blake3_hex};

use super::Stage;

/// Each file and directory, with when it was changed and what is in it.
fn all_of(dir: &Path) -> BTreeMap<PathBuf, (SystemTime, String)> {
    let mut all = BTreeMap::new();
    let mut directories = vec![dir.to_owned()];
    while let Some(directory) = directories.pop() {
        let changed = fs::symlink_metadata(&directory).unwrap().modified().unwrap();
        all.insert(directory.clone(), (changed, String::new()));
        for entry in fs::read_dir(&directory).unwrap().map(Result::unwrap) {
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                directories.push(entry.path());
                continue;
            }
            let bytes = fs::read(entry.path()).unwrap();
            all.insert(entry.path(), (entry.metadata().unwrap().modified().unwrap(), blake3_hex(&bytes)));
        }
    }
    all
}

fn only_in(dir: &Path) -> PathBuf {
    let mut names: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    names.pop().unwrap()
}

/// Something that is done to a data directory.
type Damage = fn(&Path);

const DAMAGES: [(Damage, &str); 7] = [
    (|data| fs::remove_dir_all(data.join("base")).unwrap(), "base copy and journal are not whole"),
    (
        |data| {
            let mut file = File::options().append(true).open(only_in(&data.join("journal"))).unwrap();
            file.write_all(&[7; 64]).unwrap();
        },
        "ends in what is no whole group, from byte ",
    ),
    (|data| fs::write(only_in(&data.join("base")), "nothing").unwrap(), "base copy and journal are not whole"),
    (
        |data| {
            fs::remove_file(data.join("index/conf")).unwrap();
            symlink("db", data.join("index/conf")).unwrap();
        },
        "the query index could not be relied on: `conf` in it is no regular file",
    ),
    (
        |data| fs::write(data.join("store/db"), "nothing").unwrap(),
        "error: the store's files could not be opened: the database's files are damaged",
    ),
    (|data| fs::remove_file(component_in(data)).unwrap(), "is missing: it is the component of `read-only` version 1"),
    (
        |data| fs::write(component_in(data), "other").unwrap(),
        "has other bytes than its name says: it is the component of `read-only` version 1",
    ),
];

fn component_in(data: &Path) -> PathBuf {
    data.join("blobs").join(blake3_hex(&components::bytes("read-only")))
}

#[tokio::test(flavor = "multi_thread")]
async fn to_verify_changes_nothing_whatever_is_found() {
    let (stage, process) = Stage::set().await;
    stage.cast.bot.decide(&ask()).await;
    process.stop().await;
    let (data, whole) = (stage.fresh.data_dir(), stage.path("whole"));
    copy_dir(&data, &whole);
    let verify = || {
        let before = all_of(&data);
        let config = stage.fresh.config.display().to_string();
        let (code, out, said) = stage.audit(&["verify", "--alone", "--config", &config]);
        assert_eq!(all_of(&data), before, "{out}{said}");
        (code, out + &said)
    };
    let (code, said) = verify();
    assert!(code == Some(0) && said.contains("the store is whole: "), "{said}");
    for (damage, expect) in DAMAGES {
        fs::remove_dir_all(&data).unwrap();
        copy_dir(&whole, &data);
        damage(&data);
        let (code, said) = verify();
        assert!(code == Some(5) && said.contains(expect), "{expect}: {said}");
        assert!(!said.contains("the store is whole: "), "{expect}: {said}");
        // Nobody finds what was copied to be looked at.
        let elsewhere = said.replace(&data.display().to_string(), "");
        assert!(!elsewhere.contains("/.tmp"), "{expect}: {elsewhere}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_server_leaves_is_no_damage_and_is_left() {
    let (stage, process) = Stage::set().await;
    stage.cast.bot.decide(&ask()).await;
    process.kill().await;
    let data = stage.fresh.data_dir();
    let mut file = File::options().append(true).open(only_in(&data.join("journal"))).unwrap();
    file.write_all(&[7; 64]).unwrap();
    drop(file);
    let before = all_of(&data);
    let config = stage.fresh.config.display().to_string();
    let (code, _, said) = stage.audit(&["verify", "--alone", "--config", &config]);
    assert!(code == Some(0) && said.contains("a server that is killed leaves that"), "{said}");
    assert_eq!(all_of(&data), before);
    stage.start().await.kill().await;
}
