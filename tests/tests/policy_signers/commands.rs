//! The commands, as operators run them.

use std::fs;
use std::process::Command;

use attorn_tests::process::binary;
use attorn_tests::{Operator, World};
use serde_json::{Value, json};

use super::{Desk, allow};

/// `attorn policy signer` and `attorn policy push` as operators run them.
#[tokio::test(flavor = "multi_thread")]
async fn the_commands_say_what_they_do() {
    let (world, desk) = (World::without_policy().await, Desk::with(&["release", "stranger"]));
    let run = |who: &Operator, line: &str| {
        let mut command = Command::new(binary());
        command.args(["policy"]).args(line.split(' ')).current_dir(desk.0.path());
        command.env("ATTORN_URL", &world.reach.url).env("ATTORN_TOKEN", &who.token);
        let output = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout) + &text(output.stderr))
    };
    let good = |who: &Operator, line: &str, expect: &str| {
        let (code, said) = run(who, line);
        assert!(code == 0 && said.contains(expect), "{line}: {code} {said}");
    };
    let refused = |who: &Operator, line: &str, code: i32, expect: &str, help: &str| {
        let (ended, said) = run(who, line);
        assert!(ended == code && said.contains(expect) && said.contains(help), "{line}: {ended} {said}");
    };
    let staff = &world.staff;
    let (admin, weakener) = (&staff.policy_admin, &staff.policy_weakener);
    fs::write(desk.0.path().join("policy.wasm"), allow()).unwrap();
    let push = "push p --component policy.wasm";
    good(admin, push, "pushed p version 1");
    desk.sign(&allow(), "stranger");
    refused(admin, push, 1, &desk.id("stranger"), "--unsigned");
    good(admin, &format!("{push} --unsigned"), "pushed p version 2");
    refused(weakener, "signer register release --public-key release.key", 1, "No such file", "");
    refused(weakener, "signer register release --public-key release", 2, "secret key", "`.pub` file");
    refused(admin, "signer require on", 1, "no signer is active", "attorn policy signer register");
    good(weakener, "signer register release --public-key release.pub", &desk.id("release"));
    refused(weakener, "signer require on", 1, "policy_admin", "");
    good(admin, "signer require", "do not have to be signed");
    good(admin, "signer require on", "have to be signed by an active signer");
    refused(admin, &format!("{push} --unsigned"), 1, "signature_missing", "attorn policy sign");
    desk.sign(&allow(), "release");
    good(admin, push, &format!("signed by release with the key {}", desk.id("release")));
    fs::rename(desk.0.path().join("policy.wasm.minisig"), desk.0.path().join("elsewhere")).unwrap();
    refused(admin, push, 1, "signature_missing", "");
    refused(admin, &format!("{push} --signature nothing"), 1, "cannot read `nothing`", "");
    refused(admin, &format!("{push} --signature policy.wasm"), 1, "more than 8192 bytes", "");
    good(admin, &format!("{push} --signature elsewhere --activate"), "in force: revision 1");
    good(admin, "signer list", "release");
    good(admin, "signer show release", "public key  RW");
    good(admin, "list", "SIGNED BY");
    good(admin, "signer revoke release --reason lost", "no signer is active");
    good(admin, "list", "release (revoked)");
    good(admin, "show p", "release (revoked)");
    good(admin, "signer list", "in force without a signature of an active signer: 1");
    // As text and as JSON the same is said.
    let (_, listed) = run(admin, "signer list --json");
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let requirement = json!({ "required": true, "signers_active": 0, "in_force_without": 1 });
    assert_eq!((&listed["policy_signers"][0]["id"], &listed["requirement"]), (&json!("release"), &requirement));
    good(weakener, "signer require off --reason away", "do not have to be signed");
}
