//! A server that is not made or does not start says why, and what to do about it.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use attorn_tests::Process;
use attorn_tests::process::binary;
use attorn_tests::server::Fresh;

/// What a command that fails says in its last lines.
#[track_caller]
fn fails(command: &mut Command) -> String {
    fails_with(1, command)
}

/// The same, with this code.
#[track_caller]
fn fails_with(code: i32, command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{said}");
    said[said.find("error: ").unwrap_or_else(|| unreachable!("it gives no error: {said}"))..].to_owned()
}

#[track_caller]
fn serve(config: &Path) -> String {
    fails(Command::new(binary()).arg("serve").arg("--config").arg(config))
}

fn root_key(fresh: &Fresh) -> PathBuf {
    fresh.config.with_file_name("root.key")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_in_use_is_left_to_who_has_it() {
    let fresh = Fresh::make().await;
    let running = Process::start(&fresh.config, &fresh.reach).await;
    let expect = format!(
        "error: cannot start: the store in `{}` is in use\nhelp: another `attorn serve` runs on it: end that one, or \
         name another configuration (`--config`)\n",
        fresh.data_dir().display()
    );
    assert_eq!(serve(&fresh.config), expect);
    running.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_is_said_with_what_to_change() {
    let fresh = Fresh::make().await;
    let address = fresh.reach.url.strip_prefix("http://").unwrap();
    let _taken = TcpListener::bind(address).unwrap();
    let said = serve(&fresh.config);
    assert!(said.starts_with(&format!("error: cannot start: cannot listen on `{address}`: ")), "{said}");
    assert!(said.ends_with("or change `listen` and `public_url` in attorn.toml\n"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_key_that_cannot_be_used_is_named() {
    let (fresh, other) = (Fresh::make().await, Fresh::make().await);
    let key = root_key(&fresh);
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let exposed = format!(
        "error: cannot start: cannot read the root key `{}`: others may read it (mode 644); `chmod 600` it\n",
        key.display()
    );
    assert_eq!(serve(&fresh.config), exposed);
    // The mode comes along, and is right again.
    fs::copy(root_key(&other), &key).unwrap();
    let said = serve(&fresh.config);
    let wrong = format!("error: cannot start: the root key `{}` opens no key of the store in ", key.display());
    assert!(said.starts_with(&wrong) && said.contains("\nhelp: `root_key` in attorn.toml names"), "{said}");
    // Nor is anything copied that it would not open.
    let backup = fresh.dir.path().join("backup");
    let said = fails(Command::new(binary()).arg("backup").arg(&backup).arg("--config").arg(&fresh.config));
    assert!(said.starts_with(&wrong.replace("cannot start: ", "")) && said.contains("\nhelp: `root_key`"), "{said}");
    assert!(!backup.exists());
    fs::remove_file(&key).unwrap();
    let said = serve(&fresh.config);
    assert!(
        said.starts_with("error: cannot start: cannot read the root key ") && said.contains("\nhelp: `root_key`"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistake_in_the_configuration_is_said_with_its_line() {
    let fresh = Fresh::make().await;
    let text = fs::read_to_string(&fresh.config).unwrap();
    let line = text.lines().position(|line| line.starts_with("listen")).unwrap() + 1;
    fs::write(&fresh.config, text.replace("\nlisten = ", "\nlisten_on = ")).unwrap();
    let said = serve(&fresh.config);
    let expect = format!("is no configuration: line {line}: unknown field `listen_on`, expected one of `listen`");
    assert!(said.contains(&expect) && !said.contains("help: ") && !said.contains("\\n"), "{said}");
}

#[test]
fn where_there_is_no_configuration_it_is_said_how_to_get_one() {
    let directory = tempfile::tempdir().unwrap();
    let said = fails(Command::new(binary()).arg("serve").current_dir(&directory));
    assert!(said.starts_with("error: there is no configuration: neither `attorn.toml` nor "), "{said}");
    assert!(said.contains("\nhelp: `attorn init` makes a configuration"), "{said}");
}

#[test]
fn what_could_not_be_served_or_is_in_the_way_is_not_made() {
    let directory = tempfile::tempdir().unwrap();
    let init = |arguments: &[&str]| {
        fails(Command::new(binary()).args(["init", "--dir", "attorn"]).args(arguments).current_dir(&directory))
    };
    let said = init(&["--public-url", "http://attorn.example"]);
    assert!(said.contains("plain http is used only on loopback; use https"), "{said}");
    assert!(!directory.path().join("attorn").exists());
    fs::create_dir(directory.path().join("attorn")).unwrap();
    fs::write(directory.path().join("attorn/notes"), "").unwrap();
    assert!(init(&[]).ends_with("\nhelp: `--dir` names another directory\n"));
    fs::write(directory.path().join("attorn/attorn.toml"), "").unwrap();
    let said = init(&[]);
    assert!(said.contains("\nhelp: `attorn serve --config attorn/attorn.toml` runs what is there; "), "{said}");
}

/// Whoever opens a pipe waits for somebody who writes, and what has no end is never read to it.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_regular_file_is_named_and_neither_waited_for_nor_followed() {
    let fresh = Fresh::make().await;
    let (data, high_water) = (fresh.data_dir(), fresh.config.with_file_name("high-water"));
    Process::start(&fresh.config, &fresh.reach).await.stop().await;
    let seen = fs::read_to_string(&high_water).unwrap();
    let command = |code: i32, arguments: &[&str]| {
        // That it hangs fails the test, with a code of its own.
        let mut command = Command::new("timeout");
        command.arg("60").arg(binary()).args(arguments).arg("--config").arg(&fresh.config);
        fails_with(code, &mut command)
    };
    let pipe = |path: &Path| {
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    };
    let other = fresh.dir.path().join("other");
    let away = |path: &Path| std::os::unix::fs::symlink(&other, path).unwrap();
    let endless = |path: &Path| std::os::unix::fs::symlink("/dev/zero", path).unwrap();
    let puts: [&dyn Fn(&Path); 3] = [&pipe, &away, &endless];

    for put in puts {
        for name in ["store.lock", "store.format", "store.boot"] {
            let (path, aside) = (data.join(name), fresh.dir.path().join("aside"));
            fs::rename(&path, &aside).unwrap();
            put(&path);
            // Whether it is damage that somebody has to look at, the code says.
            for (code, arguments) in [(1, &["serve"][..]), (5, &["repair"]), (5, &["audit", "verify"])] {
                let said = command(code, arguments);
                let due = format!("`{}` could not be used: it is no regular file: move it away, and ", path.display());
                assert!(said.contains(&due), "{name}: {said}");
                assert!(!said.contains("who may use it"), "{name}: {said}");
            }
            fs::rename(&aside, &path).unwrap();
            assert!(!other.exists(), "nothing was made through the link");
        }

        let backup = fresh.dir.path().join("backup");
        let target = fresh.dir.path().join("target").display().to_string();
        let made =
            Command::new(binary()).arg("backup").arg(&backup).arg("--config").arg(&fresh.config).output().unwrap();
        assert!(made.status.success());
        fs::remove_file(backup.join("backup.format")).unwrap();
        put(&backup.join("backup.format"));
        let said = command(5, &["restore", backup.to_str().unwrap(), "--data-dir", &target]);
        assert!(
            said.contains("/backup.format` could not be used: it is no regular file\nhelp: nothing was "),
            "{said}"
        );
        fs::remove_dir_all(backup).unwrap();
    }
    for put in [&pipe as &dyn Fn(&Path), &endless] {
        fs::remove_file(&high_water).unwrap();
        put(&high_water);
        let said = command(1, &["serve"]);
        let due = format!("`{}` cannot be read: it is no regular file\nhelp: ", high_water.display());
        assert!(said.contains(&due), "{said}");
    }
    fs::remove_file(&high_water).unwrap();
    fs::write(&high_water, seen).unwrap();

    // What the file is written beside is not written through.
    fs::write(&other, "another's").unwrap();
    away(&high_water.with_file_name("high-water.new"));
    Process::start(&fresh.config, &fresh.reach).await.stop().await;
    assert_eq!(fs::read_to_string(&other).unwrap(), "another's");
}
