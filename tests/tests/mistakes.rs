//! What somebody gets wrong at the command line: a file that is not there, another than was meant, a server that is
//! away. Each is told apart from a log that does not verify: it ends with 1 or 2, and with what to do about it.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use attorn_tests::Process;
use attorn_tests::Staff;
use attorn_tests::process::binary;
use attorn_tests::server::Fresh;
use attorn_tests::world::{Cast, ask};

struct Stage {
    fresh: Fresh,
    cast: Cast,
}

/// How a command has to end, and what it has to say.
struct Mistake {
    arguments: String,
    code: i32,
    error: &'static str,
    help: &'static str,
}

fn mistake(arguments: impl Into<String>, code: i32, error: &'static str, help: &'static str) -> Mistake {
    Mistake { arguments: arguments.into(), code, error, help }
}

impl Stage {
    async fn set() -> (Self, Process) {
        let fresh = Fresh::make().await;
        let process = Process::start(&fresh.config, &fresh.reach).await;
        let staff = Staff::hire(&fresh.reach, &fresh.bootstrap_token).await;
        let cast = Cast::register(&fresh.reach, &staff).await;
        (Self { fresh, cast }, process)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.fresh.dir.path().join(name)
    }

    fn command(&self, token: &str, arguments: &[&str]) -> (i32, String, String) {
        let mut command = Command::new(binary());
        command.args(arguments).env("ATTORN_URL", &self.cast.reach.url).env("ATTORN_TOKEN", token);
        command.env("XDG_STATE_HOME", self.path("state")).current_dir(self.fresh.dir.path());
        let output = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }

    /// Each ends as it should, and no plain mistake passes for a log that does not verify.
    #[track_caller]
    fn check(&self, token: &str, mistakes: &[Mistake]) {
        for Mistake { arguments, code, error, help } in mistakes {
            let (ended, _, said) = self.command(token, &arguments.split(' ').collect::<Vec<_>>());
            assert_eq!(ended, *code, "{arguments:?}: {said}");
            assert!(said.contains(error), "{arguments:?}: {said}");
            assert!(said.contains(help), "{arguments:?}: {said}");
            assert!(!said.contains("evidence"), "{arguments:?}: {said}");
        }
    }
}

/// What is not there, or another thing than was meant.
fn about_files() -> Vec<Mistake> {
    let not_there = "No such file or directory";
    vec![
        mistake("audit verify --file nothing", 1, "cannot read `nothing`: No such", ""),
        mistake("audit verify --dir nothing", 1, "cannot read `nothing`: No such", ""),
        mistake("audit verify --receipt nothing --key log.key", 1, not_there, ""),
        mistake("audit verify --receipt receipt --key nothing", 1, not_there, "`attorn audit key`"),
        mistake("audit verify --receipt receipt", 2, "--key", ""),
        mistake(
            "audit verify --receipt notes.txt --key log.key",
            2,
            "is no receipt",
            "`attorn audit receipt` gets one",
        ),
        mistake("audit verify --receipt log.export --key log.key", 2, "is an export, not a receipt", "`--file`"),
        mistake("audit verify --receipt receipt --key notes.txt", 2, "the key is none", "`attorn audit key`"),
        mistake("audit verify --file notes.txt", 2, "this is no export of an audit log", "`attorn audit export --out"),
        mistake("audit verify --file receipt", 2, "is a receipt, not an export", "`--receipt` verifies it"),
        mistake("audit verify --file export", 2, "`export` is a directory", "`--dir` verifies"),
        mistake("audit verify --dir log.export", 2, "`log.export` is no directory", "`--file` verifies"),
        mistake(
            "audit verify --dir empty",
            2,
            "is no export: it has neither `key` nor `checkpoint`",
            "`attorn audit export --dir`",
        ),
        mistake("audit verify --dir other", 2, "is no export: it has neither", "`attorn audit export --dir`"),
        mistake("audit verify --dir attorn/data", 2, "is a data directory, not an export", "`--config` verifies"),
        mistake("audit verify --dir backup", 2, "is a backup, not an export", "`attorn restore`"),
        mistake("audit verify --dir export --since nothing", 1, not_there, ""),
        mistake(
            "audit verify --dir export --since log.key",
            2,
            "`log.key` is no checkpoint of an audit log",
            "`attorn audit checkpoint`",
        ),
        mistake("audit verify --dir export --policy notes.txt", 2, "witness policy", ""),
        mistake("audit verify --dir export --file log.export", 2, "cannot be used with", ""),
        mistake("audit verify --config nothing", 1, not_there, "`attorn init` makes a configuration"),
        mistake(
            "audit verify --config attorn/attorn.toml",
            1,
            "is in use",
            "help: a server runs on it: `attorn audit verify` without `--config` asks that server",
        ),
    ]
}

/// What the server does not have, and where nothing can be written.
fn about_entries() -> Vec<Mistake> {
    let not_there = "No such file or directory";
    vec![
        mistake("audit receipt x", 2, "neither an entry (an index", ""),
        mistake("audit receipt 99999", 1, "there is no entry `99999`", "`attorn audit list --newest` shows"),
        mistake("audit show 99999", 1, "there is no entry `99999`", "`attorn audit list --newest` shows"),
        mistake("audit show 9/0", 1, "there is no", "`attorn audit epochs` lists the log"),
        mistake("audit verify --dir nothing", 1, not_there, "`attorn audit export --dir` makes"),
        mistake("audit verify --file nothing", 1, not_there, "`attorn audit export --out FILE` makes"),
        mistake("audit verify --since nothing", 1, not_there, "`attorn audit checkpoint` prints one"),
        mistake("audit list --from 1/2 --epoch 3", 2, "`--epoch` is another", "leave `--epoch` out"),
        mistake("audit export --out nothing/log.export", 1, not_there, "has to be there"),
        mistake(
            "audit receipt dec_0123456789abcdef0123456789abcdef",
            1,
            "there is no decision",
            "\nhelp: `attorn audit list --type decision",
        ),
        mistake(
            "audit replay dec_0123456789abcdef0123456789abcdef",
            1,
            "there is no decision",
            "\nhelp: `attorn audit list --type decision",
        ),
        mistake("audit checkpoint --wait witnessed", 1, "no witnesses are configured", "or wait for `checkpointed`"),
        mistake("audit export --out notes.txt", 1, "File exists", "never overwritten"),
        mistake("audit export --dir other", 1, "`other`", "never overwritten"),
        mistake("audit export --dir notes.txt", 1, "`notes.txt`", "never overwritten"),
        mistake("audit export --out no/where", 1, not_there, ""),
        mistake("audit list --limit 0", 2, "--limit", ""),
        mistake("audit list --after x", 1, "`--after`: it was not given", "begin without it"),
        mistake("audit list --epoch 9", 1, "there is no", ""),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_log_is_told_from_a_log_that_does_not_verify() {
    let (stage, process) = Stage::set().await;
    let auditor = stage.cast.staff.auditor.token.clone();
    let decided = stage.cast.bot.decide(&ask()).await;
    let run = |arguments: &[&str]| {
        let (code, out, said) = stage.command(&auditor, arguments);
        assert_eq!(code, 0, "{arguments:?}: {said}");
        out
    };
    let key = run(&["audit", "key"]);
    for (name, text) in [
        ("log.key", &key),
        ("notes.txt", &"notes\n".to_owned()),
        ("receipt", &run(&["audit", "receipt", &decided.decision_id])),
        ("checkpoint", &run(&["audit", "checkpoint"])),
    ] {
        fs::write(stage.path(name), text).unwrap();
    }
    run(&["audit", "export", "--out", "log.export"]);
    run(&["audit", "export", "--dir", "export"]);
    run(&["backup", "backup"]);
    for name in ["empty", "other"] {
        fs::create_dir(stage.path(name)).unwrap();
    }
    fs::write(stage.path("other/notes.txt"), "x").unwrap();
    stage.check(&auditor, &about_files());
    stage.check(&auditor, &about_entries());
    // With another's token, and with none that counts.
    let agent_admin = stage.cast.staff.registrar.token.clone();
    for arguments in [
        "audit verify --alone",
        "audit receipt 0",
        "audit export --out refused",
        "audit export --dir refused-dir",
        "audit checkpoint",
        "audit list",
    ] {
        stage.check(&agent_admin, &[mistake(arguments, 1, "(missing_duty)", "")]);
        stage.check("attorn_op_x", &[mistake(arguments, 1, "(unauthenticated)", "")]);
    }
    assert!(!stage.path("refused").exists() && !stage.path("refused-dir").exists());

    // What does not verify is said to be that, with what may have been mistaken.
    let other = Fresh::make().await;
    let elsewhere = Process::start(&other.config, &other.reach).await;
    let other_key = other.reach.send(attorn_tests::Call::get("/v1/audit/key")).await.text();
    fs::write(stage.path("other.key"), other_key).unwrap();
    elsewhere.kill().await;
    for (arguments, help) in [
        (&["audit", "verify", "--dir", "export", "--key", "other.key"][..], "help: was the key of another log given?"),
        (&["audit", "verify", "--file", "log.export", "--key", "other.key"], "help: was the key of another log given?"),
        (&["audit", "verify", "--receipt", "receipt", "--key", "other.key"], "help: give the key of the log `log-"),
    ] {
        let (code, _, said) = stage.command(&auditor, arguments);
        assert!(code == 5 && said.contains(help), "{arguments:?}: {code} {said}");
    }
    process.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_is_said_to_be() {
    let (stage, process) = Stage::set().await;
    let auditor = stage.cast.staff.auditor.token.clone();
    process.kill().await;
    for arguments in [
        "audit verify",
        "audit receipt 0",
        "audit export --out away",
        "audit list",
        "audit key",
        "audit show 0",
        "audit epochs",
        "audit checkpoint",
        "audit watch --count 1",
        "audit replay dec_0123456789abcdef0123456789abcdef",
        "user erase usr_0123456789abcdef0123456789abcdef --yes",
        "key rotate",
    ] {
        let away = mistake(arguments, 1, "could not be reached", "is it running (`attorn serve`)?");
        stage.check(&auditor, &[away]);
    }
    assert!(!stage.path("away").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_at_the_data_directory_are_told_with_a_way_out() {
    let (stage, process) = Stage::set().await;
    let config = "attorn/attorn.toml";
    let text = fs::read_to_string(stage.path(config)).unwrap();
    fs::write(stage.path("attorn/lost.toml"), text.replace("data_dir = \"data\"", "data_dir = \"gone\"")).unwrap();
    assert!(fs::read_to_string(stage.path("attorn/lost.toml")).unwrap().contains("\"gone\""), "{text}");
    for name in ["full", "empty"] {
        fs::create_dir(stage.path(name)).unwrap();
    }
    fs::write(stage.path("full/notes.txt"), "x").unwrap();
    let lost = "attorn/lost.toml";
    let running = [
        mistake(format!("backup full --config {config}"), 1, "`full` is not empty", "never overwritten: name another"),
        mistake(format!("backup full/notes.txt --config {config}"), 1, "`full/notes.txt`", "help: "),
        mistake(format!("backup no/where --config {config}"), 1, "`no/where` could not be used", "has to be there"),
        mistake("backup to --config nothing.toml", 1, "nothing.toml", "`attorn init` makes a configuration"),
        mistake(format!("backup to --config {lost}"), 1, "there is no store in", "`attorn init` makes one"),
        mistake(format!("backup to --config {config} --keys empty"), 1, "cannot write `empty`", "never overwritten"),
        mistake(format!("repair --config {config}"), 1, "is in use", "end the server that uses it first"),
        mistake(format!("repair --config {lost}"), 1, "there is no store in", "`attorn restore` makes one"),
        // What is wrong with the backup comes first.
        mistake(
            format!("restore full --config {config}"),
            1,
            "`full` is no backup, or was never",
            "name another backup",
        ),
        mistake("restore nope", 1, "`nope` is no backup, or was never finished", "name another backup"),
        mistake(
            "audit verify --config attorn",
            1,
            "cannot read `attorn`",
            "it is a directory, and `--config` names the file: `--config attorn/attorn.toml`",
        ),
        mistake("backup to --config full", 1, "cannot read `full`", "it is a directory, and `--config` names the file"),
        mistake(format!("key rotate-log --config {config}"), 1, "is in use", "end that one"),
        mistake(format!("key rotate-log --config {lost}"), 1, "there is no store in", "help: "),
        mistake(
            format!("restore full --config {lost}"),
            1,
            "`full` is no backup, or was never finished",
            "name another backup",
        ),
        mistake(
            format!("restore nothing --config {lost}"),
            1,
            "`nothing` is no backup, or was never finished",
            "name another backup",
        ),
        mistake(format!("restore --config {lost}"), 2, "<BACKUP>", ""),
    ];
    stage.check("", &running);
    assert!(!stage.path("to").exists());
    process.kill().await;
    let (code, _, said) = stage.command("", &["backup", "to", "--config", config]);
    assert_eq!(code, 0, "{said}");
    let missing_keys = mistake(
        format!("restore to --config {lost} --keys nothing"),
        1,
        "cannot use `nothing`",
        "see that it is there",
    );
    let in_the_way = mistake(
        format!("restore to --config {config}"),
        1,
        "is there already; nothing was changed",
        "never overwritten",
    );
    stage.check("", &[missing_keys, in_the_way]);
    assert!(!stage.path("attorn/gone").exists() && !stage.path("attorn/gone.restoring").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_about_people_and_keys_are_told_with_a_way_out() {
    let (stage, process) = Stage::set().await;
    let admin = stage.cast.staff.admin.token.clone();
    let nobody = "usr_0123456789abcdef0123456789abcdef";
    stage.check(
        &admin,
        &[
            mistake("user erase some/body --yes", 2, "is no user id", ""),
            mistake(format!("user erase {nobody} --yes"), 1, "(missing_duty)", ""),
            mistake(format!("user erase {nobody}"), 2, "nothing was erased: nobody typed the id", "give `--yes`"),
            mistake("key retire x", 2, "is no", ""),
            mistake("key retire kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k", 1, "there is no", ""),
        ],
    );
    // To retire is for ever as well, so the id is typed once more, and nothing leads back.
    let registrar = stage.cast.staff.registrar.token.clone();
    stage.check(
        &registrar,
        &[
            mistake("agent retire support-bot", 2, "nothing was retired: nobody typed the id", "give `--yes`"),
            mistake("agent show support-bot", 0, "", ""),
            mistake(
                "user register --provider nowhere --subject s",
                1,
                "there is no provider",
                "`attorn provider list`",
            ),
            mistake("user find --provider nowhere --subject s", 1, "there is no provider", "`attorn provider list`"),
            mistake("agent retire nobody --yes", 1, "there is no agent `nobody`", ""),
            mistake("agent retire support-bot --yes", 0, "", ""),
            mistake(
                "agent resume support-bot",
                1,
                "(invalid_state)",
                "\nhelp: that is for ever: register it anew under",
            ),
        ],
    );
    let eraser = stage.cast.staff.admin.hire("eraser", &[attorn_core::Duty::Eraser]).await.token.clone();
    stage.check(&eraser, &[mistake(format!("user erase {nobody} --yes"), 1, "there is no user", "")]);
    process.kill().await;
}
