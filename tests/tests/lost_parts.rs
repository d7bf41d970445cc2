//! Parts of the data directory are lost, put back wrongly, or something else stands in their place: what each command says,
//! and that whoever follows what it says comes out again.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use attorn_tests::files::copy_dir;
use attorn_tests::process::binary;
use attorn_tests::server::Fresh;
use attorn_tests::{Process, Staff};

use serde_json::Value;
use tempfile::TempDir;

/// A server that ran and was stopped, and a backup of it.
struct Stage {
    fresh: Fresh,
    backup: PathBuf,
}

/// What a command ended with, and said.
struct Ended {
    code: i32,
    out: String,
    said: String,
}

impl Stage {
    async fn set() -> Self {
        let fresh = Fresh::make().await;
        let process = Process::start(&fresh.config, &fresh.reach).await;
        Staff::hire(&fresh.reach, &fresh.bootstrap_token).await;
        process.stop().await;
        let stage = Self { backup: fresh.dir.path().join("backup"), fresh };
        stage.ends(0, &["backup", stage.backup.to_str().unwrap()]);
        stage
    }

    fn data(&self, name: &str) -> PathBuf {
        self.fresh.data_dir().join(name)
    }

    fn attorn(&self, arguments: &[&str]) -> Ended {
        // That it hangs fails the test, with a code of its own.
        let mut command = Command::new("timeout");
        command.arg("60").arg(binary()).args(arguments).arg("--config").arg(&self.fresh.config);
        // Nothing is remembered of an earlier test's log.
        let output = command.env("XDG_STATE_HOME", self.fresh.dir.path().join("state")).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ended { code: output.status.code().unwrap_or(-1), out: text(output.stdout), said: text(output.stderr) }
    }

    /// What a command says that ends so.
    #[track_caller]
    fn ends(&self, code: i32, arguments: &[&str]) -> String {
        let Ended { code: ended, out, said } = self.attorn(arguments);
        assert_eq!(ended, code, "{arguments:?}: {out}{said}");
        format!("{out}{said}")
    }

    /// What all commands say of this directory that look at it: a start is refused, and damage has a code of its own.
    #[track_caller]
    fn all_but_repair(&self) -> [String; 3] {
        let elsewhere = self.fresh.dir.path().join("another").display().to_string();
        [self.ends(1, &["serve"]), self.ends(5, &["audit", "verify"]), self.ends(5, &["backup", &elsewhere])]
    }

    async fn runs_again(&self) {
        Process::start(&self.fresh.config, &self.fresh.reach).await.stop().await;
        self.ends(0, &["audit", "verify"]);
        assert!(self.ends(0, &["repair"]).starts_with("everything fits together"));
    }

    /// Move the data directory away, and restore the backup to where it was.
    async fn is_restored(&self, what: &str) {
        fs::rename(self.fresh.data_dir(), self.fresh.dir.path().join(format!("away-{what}"))).unwrap();
        self.ends(0, &["restore", self.backup.to_str().unwrap()]);
        // Of the log that was restored before nothing is left.
        fs::remove_dir_all(self.fresh.dir.path().join("state")).ok();
        self.runs_again().await;
    }
}

fn pipe(path: &Path) {
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
}

fn segment(stage: &Stage) -> PathBuf {
    let mut segments: Vec<_> =
        fs::read_dir(stage.data("journal")).unwrap().map(|entry| entry.unwrap().path()).collect();
    segments.retain(|path| path.extension().is_some_and(|extension| extension == "journal"));
    segments.sort();
    segments.pop().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_format_that_is_lost_or_wrong_is_written_anew() {
    let stage = Stage::set().await;
    let format = stage.data("store.format");
    for wrong in [None, Some("attorn-store 1\n"), Some("attorn-store 4\n"), Some("attorn-store 0\n"), Some("gone\n")] {
        match wrong {
            None => fs::remove_file(&format).unwrap(),
            Some(text) => fs::write(&format, text).unwrap(),
        }
        for said in [stage.ends(1, &["serve"]), stage.ends(5, &["audit", "verify"])] {
            assert!(said.contains("store.format") && said.contains("attorn repair"), "{wrong:?}: {said}");
            assert!(!said.contains("--with-foreign-state"), "{wrong:?}: {said}");
        }
        let said = stage.ends(0, &["repair"]);
        assert!(said.contains("\nmended   ") && said.contains("store.format"), "{wrong:?}: {said}");
        assert_eq!(fs::read_to_string(&format).unwrap(), "attorn-store 5\n");
        stage.runs_again().await;
    }
    // A newer one is no damage, and what a newer program has written is not written over.
    fs::write(&format, "attorn-store 99\n").unwrap();
    assert!(stage.ends(1, &["repair"]).contains("use a newer one"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_format_and_a_database_that_are_lost_are_made_anew() {
    let stage = Stage::set().await;
    fs::remove_file(stage.data("store.format")).unwrap();
    fs::remove_dir_all(stage.data("store")).unwrap();
    for said in stage.all_but_repair() {
        assert!(said.contains("`attorn repair` writes it anew"), "{said}");
    }
    stage.ends(0, &["repair"]);
    stage.runs_again().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_is_left_that_it_could_be_made_of_every_command_leads_to_a_backup() {
    let stage = Stage::set().await;
    let lost: [(&str, &[&str]); 3] =
        [("all", &["store.format", "base", "journal"]), ("journal", &["journal"]), ("parts", &["base", "journal"])];
    for (what, parts) in lost {
        for part in parts {
            let path = stage.data(part);
            let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
            removed.unwrap();
        }
        let mut all = stage.all_but_repair().to_vec();
        all.push(stage.ends(5, &["repair"]));
        for said in all {
            assert!(said.contains("`attorn restore` a"), "{what}: {said}");
            let leads_back = said.contains("`attorn repair` writes it anew") || said.contains("if all else is there");
            assert!(!leads_back, "{what}: {said}");
        }
        // What is in the way says where it goes.
        let said = stage.ends(1, &["restore", stage.backup.to_str().unwrap()]);
        assert!(said.contains("move it away, or name another `--data-dir`"), "{what}: {said}");
        stage.is_restored(what).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn base_copies_that_are_gone_are_made_anew_by_a_start_and_by_a_repair() {
    let stage = Stage::set().await;
    fs::remove_dir_all(stage.data("base")).unwrap();
    let said = stage.ends(0, &["repair"]);
    assert!(said.contains("\nmended   there is no base copy in "), "{said}");
    stage.runs_again().await;
    fs::remove_dir_all(stage.data("base")).unwrap();
    let said = stage.ends(5, &["audit", "verify"]);
    assert!(said.contains("there is no base copy in "), "{said}");
    let process = Process::start(&stage.fresh.config, &stage.fresh.reach).await;
    while fs::read_dir(stage.data("base"))
        .unwrap()
        .all(|one| one.unwrap().path().extension().is_some_and(|end| end == "new"))
    {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    process.stop().await;
    stage.ends(0, &["audit", "verify"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipe_in_the_place_of_the_journal_is_damage_and_nobody_waits_for_it() {
    let stage = Stage::set().await;
    let (path, aside) = (segment(&stage), stage.fresh.dir.path().join("aside"));
    fs::rename(&path, &aside).unwrap();
    pipe(&path);
    for said in stage.all_but_repair() {
        assert!(said.contains("is no regular file"), "{said}");
    }
    let said = stage.ends(5, &["repair"]);
    assert!(said.contains("is no regular file") && said.contains("`attorn restore` a backup"), "{said}");
    fs::rename(&aside, &path).unwrap();
    stage.runs_again().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_made_anew_and_is_not_in_the_log_keeps_no_server_from_starting_for_ever() {
    let stage = Stage::set().await;
    let remade = stage.data("store.remade");
    fs::write(&remade, "nothing that anybody wrote\n").unwrap();
    let said = stage.ends(1, &["serve"]);
    assert!(
        said.contains("store.remade` cannot be relied on: ") && said.contains("`attorn repair` moves it aside"),
        "{said}"
    );
    let said = stage.ends(0, &["repair", "--json"]);
    let repaired: Value = serde_json::from_str(&said).unwrap();
    let aside = stage.data("store.remade.broken-1");
    assert_eq!(repaired["remade_moved_to"], aside.display().to_string(), "{repaired}");
    assert_eq!(fs::read_to_string(&aside).unwrap(), "nothing that anybody wrote\n");
    stage.runs_again().await;
    assert!(!remade.exists(), "all is in the log");
}

impl Stage {
    fn high_water(&self) -> PathBuf {
        self.fresh.config.with_file_name("high-water")
    }

    /// Put these parts of the data directory back to what they were in a copy of it.
    fn put_back(&self, early: &Path, parts: &[&str]) {
        for part in parts {
            if self.data(part).is_dir() {
                fs::remove_dir_all(self.data(part)).unwrap();
                copy_dir(&early.join(part), &self.data(part));
            } else {
                fs::copy(early.join(part), self.data(part)).unwrap();
            }
        }
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.fresh.data_dir()).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        // Whoever makes a backup holds it.
        names.retain(|name| name != "store.keep");
        names.sort();
        names
    }
}

/// The database cannot be read, base copy and journal are older ones, and of what says how long the log was nothing is
/// left but what was published.
#[tokio::test(flavor = "multi_thread")]
async fn base_copy_and_journal_take_no_place_where_a_checkpoint_counts_more() {
    for is_rotated in [false, true] {
        let (stage, early) = (Stage::set().await, TempDir::new().unwrap());
        copy_dir(&stage.fresh.data_dir(), &early.path().join("data"));
        if is_rotated {
            stage.ends(0, &["key", "rotate-log", "--reason", "each year"]);
        }
        Process::start(&stage.fresh.config, &stage.fresh.reach).await.stop().await;
        let late = early.path().join("late");
        copy_dir(&stage.fresh.data_dir(), &late);
        stage.put_back(&early.path().join("data"), &["base", "journal"]);
        fs::write(stage.data("store/db"), vec![7; 4_096]).unwrap();
        fs::remove_file(stage.data("store.boot")).unwrap();
        fs::rename(stage.high_water(), early.path().join("high-water")).unwrap();
        let before = stage.names();
        for said in stage.all_but_repair().into_iter().chain([stage.ends(5, &["repair"])]) {
            let is_named = said.contains("base copy and journal come to ")
                && (said.contains(" were there") || said.contains("` has seen "));
            assert!(is_named && (said.contains("help: ") || said.contains("bad ")), "{said}");
        }
        assert_eq!(stage.names(), before, "nothing took the place of anything");
        assert_eq!(fs::read(stage.data("store/db")).unwrap(), vec![7; 4_096]);
        // All of it put back goes on.
        stage.put_back(&late, &["base", "journal", "store", "store.boot"]);
        fs::rename(early.path().join("high-water"), stage.high_water()).unwrap();
        stage.runs_again().await;
    }
}

/// The whole store is put back to before a new key of the log, and what was published of the new epoch is there.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_older_than_an_epoch_that_was_published_does_not_start() {
    let (stage, early) = (Stage::set().await, TempDir::new().unwrap());
    copy_dir(&stage.fresh.data_dir(), early.path());
    stage.ends(0, &["key", "rotate-log", "--reason", "each year"]);
    Process::start(&stage.fresh.config, &stage.fresh.reach).await.stop().await;
    stage.put_back(early.path(), &["base", "journal", "store", "store.boot"]);
    fs::remove_file(stage.high_water()).unwrap();
    let said = stage.ends(1, &["serve"]);
    assert!(
        said.contains("log/2` has a checkpoint of `attorn/") && said.contains("help: the store is older"),
        "{said}"
    );
    for command in ["verify", "repair"] {
        let arguments = if command == "verify" { vec!["audit", "verify"] } else { vec![command] };
        let said = stage.ends(5, &arguments);
        assert!(said.contains("log/2` has a checkpoint of `attorn/"), "{said}");
    }
    let said = stage.ends(5, &["backup", stage.fresh.dir.path().join("another").to_str().unwrap()]);
    assert!(said.contains("log/2` has seen "), "{said}");
}

/// The same directory: neither a new key nor a restore of its backup begins an epoch under the number that is gone.
#[tokio::test(flavor = "multi_thread")]
async fn no_epoch_gets_the_number_of_one_that_was_published_and_is_lost() {
    let (stage, early) = (Stage::set().await, TempDir::new().unwrap());
    copy_dir(&stage.fresh.data_dir(), early.path());
    stage.ends(0, &["key", "rotate-log", "--reason", "each year"]);
    Process::start(&stage.fresh.config, &stage.fresh.reach).await.stop().await;
    stage.put_back(early.path(), &["base", "journal", "store", "store.boot"]);
    fs::remove_file(stage.high_water()).unwrap();
    let said = stage.ends(5, &["key", "rotate-log", "--reason", "once more"]);
    assert!(said.contains("log/2` has a checkpoint of `attorn/"), "{said}");
    // What was advised: its backup lacks what came after, and is restored all the same.
    let backup = stage.fresh.dir.path().join("another");
    stage.ends(5, &["backup", backup.to_str().unwrap()]);
    fs::rename(stage.fresh.data_dir(), stage.fresh.dir.path().join("away")).unwrap();
    let said = stage.ends(5, &["restore", backup.to_str().unwrap(), "--json"]);
    let restored: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(restored["bad_exports"][0]["problem"], "no record of the log names it", "{restored}");
    let epoch = |name: &str| restored[name].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    assert_eq!((epoch("origin"), epoch("earlier_origin")), ("3".to_owned(), "1".to_owned()), "{restored}");
    fs::remove_dir_all(stage.fresh.dir.path().join("state")).ok();
    Process::start(&stage.fresh.config, &stage.fresh.reach).await.stop().await;
}

/// That nobody can read how long the log was is not that it was never longer.
#[tokio::test(flavor = "multi_thread")]
async fn a_high_water_file_that_cannot_be_read_is_not_one_that_has_seen_nothing() {
    let stage = Stage::set().await;
    fs::remove_file(stage.high_water()).unwrap();
    fs::create_dir(stage.high_water()).unwrap();
    let backup = stage.fresh.dir.path().join("another");
    for arguments in [vec!["backup", backup.to_str().unwrap()], vec!["repair"], vec!["serve"]] {
        let said = stage.ends(1, &arguments);
        assert!(said.contains("high-water` cannot be read"), "{arguments:?}: {said}");
    }
    assert!(!backup.exists());
    fs::remove_dir(stage.high_water()).unwrap();
    // A plain file is no directory of an epoch.
    fs::write(stage.data("log/9"), "").unwrap();
    stage.runs_again().await;
}

/// The server is killed, and then the end of its journal is gone, which it had synced: the database has more than what is
/// left of it, and may lack what was acknowledged last.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_whose_journal_lost_its_end_goes_on_where_somebody_answers_for_what_is_lost() {
    let stage = Stage::set().await;
    let process = Process::start(&stage.fresh.config, &stage.fresh.reach).await;
    process.stop().await;
    // All is in the database, and it counts as killed: nobody can say what the journal had beyond it.
    let boot = stage.data("store.boot");
    let said = fs::read_to_string(&boot).unwrap();
    fs::write(boot, said.replace(" closed\n", " open\n")).unwrap();
    let segment = segment(&stage);
    let mut bytes = fs::read(&segment).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    bytes[end * 3 / 4..].fill(0);
    fs::write(&segment, bytes).unwrap();

    let lost = "what was acknowledged after batch ";
    assert!(stage.ends(1, &["serve"]).contains("attorn repair"));
    let said = stage.ends(5, &["repair"]);
    assert!(said.contains(lost) && said.contains("help: ") && said.contains("--with-lost-end"), "{said}");
    let said = stage.ends(0, &["repair", "--with-lost-end", "--json"]);
    let said: Value = serde_json::from_str(said.trim()).unwrap();
    assert_eq!((&said["rebuilt"], &said["lost_end_accepted"]), (&"journal".into(), &true.into()), "{said}");
    assert!(said["problem"].as_str().unwrap().starts_with(lost), "{said}");
    stage.runs_again().await;
}

/// Nothing that is decided rests on it, so it is restored, and nobody has to find out later what is lacking.
#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_lacks_what_was_published_is_restored_and_says_so() {
    let stage = Stage::set().await;
    for part in ["log/1/checkpoint", "log/1", "log"] {
        let path = stage.backup.join(part);
        if path.is_dir() {
            fs::remove_dir_all(path).unwrap();
        } else {
            fs::remove_file(path).unwrap();
        }
        fs::remove_dir_all(stage.fresh.data_dir()).unwrap();
        let said = stage.ends(5, &["restore", stage.backup.to_str().unwrap()]);
        assert!(said.contains("/backup/log/1` has no checkpoint: what was published of the log"), "{part}: {said}");
    }
}
