//! The commands about users, what they may do and what they delegated, as the built binary runs them: against a
//! server in this process, with operators' tokens, agents' keys and a user's own token.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::path::PathBuf;
use std::process::{Output, Stdio};

use attorn_core::Duty;
use attorn_tests::process::binary;
use attorn_tests::world::PURPOSE_WITH_USER;
use attorn_tests::{Behalf, Machine};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// A scene with the agents' keys in files, as commands take them.
struct Hands {
    scene: Behalf,
    directory: TempDir,
}

impl Hands {
    async fn new() -> Self {
        let (scene, directory) = (Behalf::new().await, TempDir::new().unwrap());
        for machine in [&scene.bot, &scene.helper] {
            machine.key.save(&directory.path().join(&machine.id)).unwrap();
        }
        Self { scene, directory }
    }

    fn key(&self, machine: &Machine) -> PathBuf {
        self.directory.path().join(&machine.id)
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(binary());
        command.env_remove("ATTORN_TOKEN").env_remove("ATTORN_USER_TOKEN").env("ATTORN_URL", &self.scene.reach.url);
        // A permission is one argument: `+` stands for its space.
        command.args(line.split_whitespace().map(|word| word.replace('+', " ")));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Run it as an operator.
    async fn operator(&self, line: &str) -> Output {
        let token = &self.scene.staff.registrar.token;
        self.command(line).env("ATTORN_TOKEN", token).output().await.unwrap()
    }

    /// Run it as a user.
    async fn user(&self, line: &str) -> Output {
        let token = self.scene.provider.user_token(json!({}));
        self.command(line).env("ATTORN_USER_TOKEN", token).output().await.unwrap()
    }

    /// Run it as an agent, with this text on standard input.
    async fn agent(&self, machine: &Machine, line: &str, input: &str) -> Output {
        let mut child = self.command(line).arg("--key").arg(self.key(machine)).spawn().unwrap();
        // A command that reads none of it has closed it.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes()).await;
        child.wait_with_output().await.unwrap()
    }

    /// What Alice delegates to the bot, by command.
    async fn created(&self, more: &str) -> String {
        let line = format!("--json delegation create --token - --purpose {PURPOSE_WITH_USER} {more}");
        let made = json_of(&self.agent(&self.scene.bot, &line, &self.scene.token(json!({}))).await);
        made["delegation"]["id"].as_str().unwrap().to_owned()
    }
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[track_caller]
fn said(output: &Output, expect: &[&str]) {
    assert_eq!(output.status.code(), Some(0), "{}", text(output));
    for part in expect {
        assert!(text(output).contains(part), "`{part}` is not in {}", text(output));
    }
}

#[track_caller]
fn failed(output: &Output, code: i32, expect: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{}", text(output));
    assert!(said.contains(expect) && said.contains("help: "), "{said}");
    assert!(!said.contains("eyJ"), "{said}");
}

#[track_caller]
fn json_of(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(0), "{}", text(output));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_is_refused_with_a_way_out() {
    let hands = Hands::new().await;
    let scene = &hands.scene;
    let create = format!("delegation create --token - --purpose {PURPOSE_WITH_USER}");
    failed(&hands.agent(&scene.bot, &create, "no token").await, 1, "(subject_token_refused)");
    let token = scene.token(json!({}));
    let wider = format!("{create} --permission *+account/*");
    failed(&hands.agent(&scene.bot, &wider, &token).await, 1, "(consent_missing)");
    failed(&hands.agent(&scene.helper, &create, &token).await, 1, "(subject_token_refused)");
    let gone = format!("delegation create --token {}/none --purpose p", hands.directory.path().display());
    let output = hands.agent(&scene.bot, &gone, "").await;
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    let root = hands.created("").await;
    let offer = format!("delegation offer {root} --to helper --permission account.close+account/*");
    failed(&hands.agent(&scene.bot, &offer, "").await, 1, "(invalid_field)");
    let output = hands.agent(&scene.helper, &format!("delegation give-back {root}"), "").await;
    assert!(text(&output).contains("(not_found)"), "{}", text(&output));
    for (line, help) in [("delegation list", "ATTORN_TOKEN"), ("my delegations", "ATTORN_USER_TOKEN")] {
        failed(&hands.command(line).output().await.unwrap(), 1, help);
    }
    // An operator's token is no user's, and the exchange's token none of the users' own face.
    let as_user = |token: &str| {
        let mut command = hands.command("my delegations");
        command.env("ATTORN_USER_TOKEN", token);
        async move { command.output().await.unwrap() }
    };
    failed(&as_user(&scene.staff.registrar.token).await, 1, "the user's token is not one");
    let refused = as_user(&token).await;
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused));
    failed(&hands.operator("thaw").await, 1, "(missing_duty)");
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_create_offer_accept_look_and_give_back() {
    let hands = Hands::new().await;
    let scene = &hands.scene;
    let root = hands.created("--permission account.read+account/* --for 10m").await;
    let offer = format!("--json delegation offer {root} --to helper --permission account.read+account/* --for 5m");
    let offered = json_of(&hands.agent(&scene.bot, &offer, "").await);
    let child = offered["delegation"]["id"].as_str().unwrap();
    assert_eq!(
        (&offered["delegation"]["parent"], &offered["delegation"]["standing"]),
        (&json!(root), &json!("delegation_not_accepted"))
    );
    let accepted = hands.agent(&scene.helper, &format!("delegation accept {child}"), "").await;
    said(&accepted, &[&format!("{child}  active"), "support-bot", "account.read account/*"]);
    said(&hands.agent(&scene.helper, "delegation own", "").await, &["STANDING", child, "support-bot"]);
    let user = offered["delegation"]["user"].as_str().unwrap();
    let decide = format!(
        "decide --action account.read --resource account/{user}/giro --purpose {PURPOSE_WITH_USER} --delegation {child}"
    );
    said(&hands.agent(&scene.helper, &decide, "").await, &["allow"]);
    said(
        &hands.operator(&format!("delegation tree {root}")).await,
        &[&format!("{root}  {user} → support-bot  active"), &format!("  {child}  support-bot → helper  active")],
    );
    let back = format!("delegation give-back {child} --reason done");
    said(&hands.agent(&scene.helper, &back, "").await, &["delegation_revoked", "revoked "]);
    assert_eq!(hands.agent(&scene.helper, &decide, "").await.status.code(), Some(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_see_and_revoke() {
    let hands = Hands::new().await;
    let issuer = &hands.scene.provider.issuer;
    let root = hands.created("").await;
    let shown = json_of(&hands.operator(&format!("--json delegation show {root}")).await);
    let (user, session) = (&shown["delegation"]["user"], &shown["delegation"]["session"]);
    let (user, session) = (user.as_str().unwrap(), session.as_str().unwrap());
    said(&hands.operator(&format!("delegation show {root}")).await, &["consent at  main", "consented   account.pay"]);
    let found = hands.operator("user find --provider main --subject alice").await;
    said(&found, &[user, "psn_", "MAY THEMSELVES", &format!("account/{user}/*")]);
    let bob = json_of(&hands.operator("--json user register --provider main --subject bob").await);
    let bob = bob["id"].as_str().unwrap();
    said(&hands.operator(&format!("user show {bob}")).await, &["bob", "asserted      never", "any sign-in"]);
    for (line, expect) in [
        (format!("entitlement set --user {bob} --permission account.read+account/all/*"), "account/all/*"),
        (format!("entitlement set --group staff --issuer {issuer} --permission a+account/{{user.id}}"), "group staff"),
        ("entitlement list".into(), "account/{user.id}"),
        (format!("entitlement delete --group staff --issuer {issuer}"), "deleted: group staff"),
        (format!("entitlement delete --user {bob}"), "deleted: usr_"),
        (format!("delegation list --user {user}"), &root),
        ("delegation list --agent support-bot".into(), &root),
        (format!("session revoke {session} --reason gone"), "ended    2"),
        ("delegation list".into(), "session_ended"),
        (format!("delegation revoke {root} --reason odd"), "revoked     2"),
        (format!("user revoke {user} --agent support-bot --reason odd"), "revoked all   0 times"),
        (format!("user revoke {user}"), "sign-ins after 2"),
    ] {
        said(&hands.operator(&line).await, &[expect]);
    }
    let output = hands.operator(&format!("entitlement delete --user {bob}")).await;
    assert!(text(&output).contains("(not_found)"), "{}", text(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_is_erased_only_when_the_id_is_typed() {
    let hands = Hands::new().await;
    let scene = &hands.scene;
    let user = scene.delegated().await.user;
    let erase = async |line: &str, typed: &str| {
        let mut child = hands.command(line).env("ATTORN_TOKEN", &scene.eraser.token).spawn().unwrap();
        // A command that asks nothing has closed it.
        let _ = child.stdin.take().unwrap().write_all(typed.as_bytes()).await;
        child.wait_with_output().await.unwrap()
    };
    let line = format!("user erase {user}");
    for typed in ["", "yes\n", "usr_1\n", &format!("{user}x\n")] {
        failed(&erase(&line, typed).await, 2, "nothing was erased");
    }
    failed(&hands.operator(&format!("{line} --yes")).await, 1, "(missing_duty)");
    scene.alice().await;
    let file = format!("{}/{user}.key", &user[user.len() - 2..]);
    let erased = erase(&line, &format!("{user}\n")).await;
    said(&erased, &[&format!("erased     {user}"), "not reached:", &file, "attorn fact list"]);
    let again = json_of(&erase(&format!("--json {line} --yes --reason again"), "").await);
    assert_eq!(again["id"], user);
    failed(&hands.operator(&format!("user show {user}")).await, 1, "(user_erased)");
    failed(&hands.operator(&format!("delegation list --user {user}")).await, 1, "(user_erased)");
}

#[tokio::test(flavor = "multi_thread")]
async fn users_see_and_revoke_their_own() {
    let hands = Hands::new().await;
    let root = hands.created("").await;
    said(&hands.user("my delegations").await, &[&root, "active", "support-bot"]);
    said(&hands.user(&format!("my revoke {root}")).await, &["delegation_revoked"]);
    let again = hands.user(&format!("my revoke {root}")).await;
    assert!(text(&again).contains("(invalid_state)"), "{}", text(&again));
    let list = json_of(&hands.user("--json my revoke-all --agent support-bot --reason enough").await);
    assert_eq!(list["delegations"][0]["standing"], "delegation_revoked");
}

#[tokio::test(flavor = "multi_thread")]
async fn freezing_is_one_command_and_thawing_another_duty() {
    let hands = Hands::new().await;
    said(&hands.operator("frozen").await, &["not frozen"]);
    said(&hands.operator("freeze --reason test").await, &["everything is denied", "reason  test"]);
    let again = hands.operator("freeze").await;
    assert!(text(&again).contains("(invalid_state)"), "{}", text(&again));
    assert_eq!(json_of(&hands.operator("--json frozen").await)["frozen"], true);
    let thawer = hands.scene.staff.admin.hire("thawer", &[Duty::Thawer]).await;
    said(&hands.command("thaw").env("ATTORN_TOKEN", &thawer.token).output().await.unwrap(), &["not frozen"]);
}
