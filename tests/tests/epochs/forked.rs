//! A log whose entries are not those that its key signed gets no new epoch: what is signed when one ends is believed.

use std::fs;
use std::path::Path;

use attorn_tests::files::copy_dir;
use attorn_tests::world::ask;

use super::{Stage, epoch_of};

/// Two data directories of one log, each with other entries under the same key: to whoever has the one, the other looks as
/// if somebody had rewritten it.
struct Forked {
    stage: Stage,
    /// What the high-water file has seen of the one, and its newest checkpoint.
    seen: String,
    /// A backup of the other.
    backup: std::path::PathBuf,
}

impl Forked {
    async fn make() -> Self {
        let (stage, process) = Stage::set().await;
        process.stop().await;
        copy_dir(&stage.fresh.data_dir(), &stage.path("other"));
        let mut seen = String::new();
        for name in ["one", "other"] {
            let process = stage.start().await;
            for _ in 0..if name == "one" { 1 } else { 3 } {
                stage.cast.bot.decide(&ask()).await;
            }
            process.stop().await;
            if name == "one" {
                seen = fs::read_to_string(stage.high_water()).unwrap();
                fs::rename(stage.fresh.data_dir(), stage.path("one")).unwrap();
                fs::rename(stage.path("other"), stage.fresh.data_dir()).unwrap();
                // Otherwise the server would not start.
                fs::remove_file(stage.high_water()).unwrap();
            }
        }
        let backup = stage.path("backup");
        stage.done(&["backup", backup.to_str().unwrap()]);
        Self { stage, seen, backup }
    }

    fn size(&self) -> &str {
        self.seen.lines().nth(1).unwrap()
    }

    /// With this in place, what each of them says.
    #[track_caller]
    fn refused(&self, command: &[&str], what: &str, by: &Path) {
        let said = self.stage.fails_with(5, command);
        let due = format!(
            "error: {what} is not the one that its key has signed, and nothing was changed: `{}` signs other {} first entries\n",
            by.display(),
            self.size()
        );
        assert!(said.contains(&due), "{said}");
        assert!(said.contains("\nhelp: somebody rewrote entries that were signed, or "), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_epoch_begins_after_entries_that_are_not_those_that_were_signed() {
    let forked = Forked::make().await;
    let (stage, restored) = (&forked.stage, forked.stage.path("restored"));
    let own = fs::read_to_string(stage.high_water()).unwrap();
    let restore = ["restore", forked.backup.to_str().unwrap(), "--data-dir", restored.to_str().unwrap()];

    // The high-water file has seen other entries than the backup has, of which there are more.
    fs::write(stage.high_water(), &forked.seen).unwrap();
    forked.refused(&restore, "the backup's log", &stage.high_water());
    let said = stage.fails_with(5, &["key", "rotate-log"]);
    assert!(said.contains("entries of the log `attorn/") && said.contains("are not those that `"), "{said}");
    assert!(said.contains("it compares them, and takes no backup of this directory"), "{said}");
    let said = stage.fails(&["serve"]);
    assert!(said.contains("are not those that `") && said.contains("takes no backup of this directory"), "{said}");
    fs::write(stage.high_water(), &own).unwrap();

    // And so have checkpoints that are kept with the entries.
    for name in ["checkpoint", "witnessed", "checkpoints/0"] {
        let shown = Path::new("log/1").join(name);
        for (dir, command, what) in [
            (forked.backup.clone(), &restore[..], "the backup's log"),
            (stage.fresh.data_dir(), &["key", "rotate-log"], "the log"),
        ] {
            let path = dir.join(&shown);
            let before = fs::read_to_string(&path).ok();
            fs::write(&path, &forked.seen).unwrap();
            if what == "the log" && name != "checkpoints/0" {
                // A server does not start with these either, for the same reason.
                let said = stage.fails_with(5, command);
                assert!(said.contains("one signs other ") && said.contains("the log was changed"), "{said}");
            } else {
                forked.refused(command, what, &shown);
            }
            match before {
                Some(before) => fs::write(&path, before).unwrap(),
                None => fs::remove_file(&path).unwrap(),
            }
            assert!(!restored.exists() && !stage.path("restored.restoring").exists());
        }
    }
    // What the key did not sign contradicts nothing, and what is of more entries is only counted.
    fs::write(forked.backup.join("log/1/witnessed"), forked.seen.replacen('\n', "\n9", 1)).unwrap();
    let done = stage.done(&restore);
    assert_eq!((epoch_of(&done["origin"]), done["entries_lost_at_least"].as_u64()), (2, Some(0)));
    assert_eq!(done["entries_confirmed"].to_string(), own.lines().nth(1).unwrap());
    fs::remove_dir_all(&restored).unwrap();

    // Where nothing is known, that is said.
    fs::remove_file(stage.high_water()).unwrap();
    fs::remove_dir_all(forked.backup.join("log")).unwrap();
    let said = stage.attorn(&restore);
    let said = String::from_utf8(said.stderr).unwrap();
    assert!(said.contains("nothing shows that nobody rewrote entries in the\nbackup: compare with one"), "{said}");
    fs::write(stage.high_water(), &own).unwrap();
    assert_eq!(epoch_of(&stage.done(&["key", "rotate-log"])["origin"]), 2);
}
