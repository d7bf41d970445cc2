use clap::Parser as _;
use serde_json::Value;

use super::*;
use crate::args::Cli;
use crate::commands::Command;
use crate::commands::target::Target;
use crate::exit::Exit;

const EXAMPLE: &str = include_str!("example.json");

fn read(text: &str) -> Result<Proxy, Failure> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("crm.json");
    std::fs::write(&file, text).unwrap();
    settings(&file)
}

#[test]
fn what_is_missing_in_a_proxys_settings_is_named() {
    let whole: Value = serde_json::from_str(EXAMPLE).unwrap();
    let mut needed = Vec::new();
    for name in whole.as_object().unwrap().keys() {
        let mut less = whole.clone();
        less.as_object_mut().unwrap().remove(name);
        if let Err(failure) = read(&less.to_string()) {
            let named = failure.message.contains(&format!("is no proxy's settings: missing field `{name}`"));
            assert!(named && failure.help.is_some() && failure.exit == Exit::Usage, "{failure}");
            needed.push(name.as_str());
        }
    }
    needed.retain(|name| !name.ends_with("_max"));
    needed.sort_unstable();
    assert_eq!(needed, ["origin", "routes", "secret_header"], "the help says which are needed");
    for name in ["method", "path", "action", "resource"] {
        let mut less = whole.clone();
        less["routes"][0].as_object_mut().unwrap().remove(name);
        let failure = read(&less.to_string()).unwrap_err();
        assert!(failure.message.contains(&format!("missing field `{name}`")), "{failure}");
    }
    let failure = read(r#"{"origin":"https://api.example","header":"x"}"#).unwrap_err();
    assert!(failure.message.contains("unknown field `header`"), "{failure}");
}

#[test]
fn the_example_of_a_proxy_is_whole_and_the_one_of_the_documentation() {
    assert!(read(EXAMPLE).is_ok());
    let documented = include_str!("../../../../PROXY.md");
    assert!(documented.contains(&format!("```json\n{EXAMPLE}```")), "host/PROXY.md has another");
}

/// What comes of `attorn target register` and these arguments, without a server.
fn register(line: &str) -> Result<RegisterTarget, Failure> {
    let words = ["attorn", "target", "register", "one", "--resource-type", "note"].into_iter();
    // What stands between two `'` is one word.
    let parts = line.split('\'').enumerate();
    let rest = parts.flat_map(|(n, part)| if n % 2 == 1 { vec![part] } else { part.split_whitespace().collect() });
    let cli = Cli::try_parse_from(words.chain(rest)).unwrap_or_else(|error| panic!("{error}"));
    match cli.command {
        Command::Target(Target::Register(register)) => register.body(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn which_options_are_needed_goes_by_the_kind() {
    for (line, message) in [
        ("", "a database is not registered without `--host`, `--database`, `--admin`, `--password-file`, `--role`"),
        (
            "--kind postgresql --host db --role 'a.b c/*=reader'",
            "a database is not registered without `--database`, `--admin`, `--password-file`",
        ),
        ("--host db --database shop --admin attorn --password-file p", "a database is not registered without `--role`"),
        ("--kind proxy", "a proxy is not registered without `--file`, `--secret-file`"),
        ("--kind proxy --file crm.json", "a proxy is not registered without `--secret-file`"),
        ("--kind proxy --host db", "`--host` means nothing for a proxy"),
        ("--kind proxy --host db --file crm.json --secret-file -", "`--host` means nothing for a proxy"),
    ] {
        let failure = register(line).unwrap_err();
        assert_eq!((failure.exit, failure.message.as_str()), (Exit::Usage, message), "{line}");
        assert!(failure.help.is_some(), "{line}");
    }
}

#[test]
fn an_option_of_the_other_kind_is_refused_rather_than_ignored() {
    let whole = [
        "--host db",
        "--port 5432",
        "--database shop",
        "--admin attorn",
        "--password-file p",
        "--tls-roots roots.pem",
        "--role 'a.b c/*=reader'",
        "--user-table attorn.logins",
        "--connections-max 2",
        "--leases-max 40",
        "--leases-per-agent-max 20",
        "--lease-max 5m",
    ];
    for option in whole {
        let failure = register(&format!("--kind proxy --file crm.json --secret-file - {option}")).unwrap_err();
        let name = option.split(' ').next().unwrap();
        assert_eq!(failure.message, format!("`{name}` means nothing for a proxy"));
    }
    for option in ["--file crm.json", "--secret-file -"] {
        let failure = register(&format!("{} {option}", whole.join(" "))).unwrap_err();
        let name = option.split(' ').next().unwrap();
        assert_eq!(failure.message, format!("`{name}` means nothing for a database"));
    }
}

#[test]
fn what_is_not_given_of_a_database_is_as_usual() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("password.txt");
    std::fs::write(&file, "secret\n").unwrap();
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let line = format!(
        "--host db --database shop --admin attorn --password-file {} --role 'invoice.read invoice/*=reader'",
        file.display()
    );
    let body = register(&line).unwrap();
    let made = body.postgresql.unwrap();
    assert_eq!((made.port, made.connections_max, made.leases_max, made.leases_per_agent_max), (5432, 2, 40, 20));
    assert_eq!((made.lease_ms_max, body.password.as_deref(), body.proxy), (300_000, Some("secret"), None));
}
