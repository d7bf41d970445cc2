//! Epochs of the audit log: what a restore ends, backups that are restored twice, logs that are not
//! what was signed, and the log's key when it is rotated.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod checkpoints;
mod entries;
mod forked;
mod lists;
mod lost;
mod records;
mod replays;
mod restore;
mod rotation;
mod unread;
mod untouched;
mod verify;
mod watch;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use attorn_api::audit::EntryList;
use attorn_log::{CheckpointVerifier, Epoch};
use attorn_tests::process::binary;
use attorn_tests::server::Fresh;
use attorn_tests::world::{Cast, read_only_settings};
use attorn_tests::{Call, Process, Staff, components};
use serde_json::Value;

/// A server that has decided something, and what is done to its directories.
struct Stage {
    fresh: Fresh,
    cast: Cast,
}

impl Stage {
    async fn set() -> (Self, Process) {
        Self::set_in(Fresh::make().await).await
    }

    async fn set_in(fresh: Fresh) -> (Self, Process) {
        let process = Process::start(&fresh.config, &fresh.reach).await;
        let staff = Staff::hire(&fresh.reach, &fresh.bootstrap_token).await;
        let cast = Cast::register(&fresh.reach, &staff).await;
        cast.activate("read-only", components::bytes("read-only"), read_only_settings()).await;
        (Self { fresh, cast }, process)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.fresh.dir.path().join(name)
    }

    fn high_water(&self) -> PathBuf {
        self.fresh.config.with_file_name("high-water")
    }

    fn attorn(&self, arguments: &[&str]) -> Output {
        Command::new(binary()).args(arguments).arg("--config").arg(&self.fresh.config).output().unwrap()
    }

    #[track_caller]
    fn done(&self, arguments: &[&str]) -> Value {
        let output = self.attorn(&[arguments, &["--json"]].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    #[track_caller]
    fn fails(&self, arguments: &[&str]) -> String {
        self.fails_with(1, arguments)
    }

    /// The same, with this code: 5 where something is not what was signed or written.
    #[track_caller]
    fn fails_with(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.attorn(arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{said}");
        said
    }

    async fn start(&self) -> Process {
        Process::start(&self.fresh.config, &self.fresh.reach).await
    }

    async fn key(&self) -> CheckpointVerifier {
        self.fresh.reach.send(Call::get("/v1/audit/key")).await.text().trim().parse().unwrap()
    }

    async fn bodies(&self) -> Vec<Value> {
        let list: EntryList = self.cast.staff.auditor.get("/v1/audit/entries?limit=200").await.json();
        list.entries.iter().map(|entry| serde_json::from_str(entry.body.get()).unwrap()).collect()
    }

    /// Back up, stop, and put the directory elsewhere.
    async fn lose(&self, process: Process) -> PathBuf {
        let backup = self.path("backup");
        self.done(&["backup", backup.to_str().unwrap()]);
        process.kill().await;
        fs::rename(self.fresh.data_dir(), self.path("lost")).unwrap();
        backup
    }
}

fn first_of(bodies: &[Value], kind: &str) -> Value {
    bodies.iter().find(|body| body["type"] == kind).unwrap().clone()
}

fn epoch_of(origin: &Value) -> u64 {
    origin.as_str().unwrap().rsplit('/').next().unwrap().parse().unwrap()
}

impl Stage {
    /// `attorn audit` with what an auditor has; how it ended, and what it said on both streams.
    fn audit(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let output = self.cast.audit(&self.path("state"), arguments);
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    }

    /// Whoever knows no more than the old epoch does not go on, however it is asked, and remembers nothing.
    fn believes_no_key(&self, old_key: &str, early: &Path) {
        let early = early.to_str().unwrap();
        let given_up = "was given up, and names no other after it\nhelp: ask whoever";
        for more in [&["--key", old_key][..], &[], &["--alone", "--since", early], &["--since", early], &[]] {
            let (code, _, said) = self.audit(&[&["verify"], more].concat());
            assert_eq!(code, Some(5), "{more:?}: {said}");
            assert!(said.contains(given_up), "{more:?}: {said}");
        }
        let (code, out, said) = self.audit(&["verify", "--json"]);
        assert_eq!(code, Some(5), "{said}");
        assert_eq!(serde_json::from_str::<Value>(&out).unwrap()["verified"], false);
    }

    /// The epoch that the high-water file has seen.
    fn key_epoch(&self) -> Epoch {
        let note = fs::read_to_string(self.high_water()).unwrap();
        note.lines().next().unwrap().rsplit('/').next().unwrap().parse().unwrap()
    }
}
