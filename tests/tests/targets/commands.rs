//! `attorn target` and `attorn lease`, as the built binary runs them: what is read and what is not, and what is said.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use attorn_api::targets::TargetList;
use attorn_tests::World;
use attorn_tests::process::binary;
use tempfile::TempDir;
use tokio::process::Command;

use super::PASSWORD;

/// How a command ends, and what it says, with the registrar's token. What stands between two `'` is one word.
pub(super) async fn command(world: &World, line: &str) -> String {
    let mut command = Command::new(binary());
    command.env("ATTORN_URL", &world.reach.url).env("ATTORN_TOKEN", &world.staff.registrar.token);
    let parts = line.split('\'').enumerate();
    let words = parts.flat_map(|(n, part)| if n % 2 == 1 { vec![part] } else { part.split_whitespace().collect() });
    let output = command.args(words).output().await.unwrap();
    let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    format!("{}\n{out}{error}", output.status.code().unwrap())
}

/// A file with these bytes that whoever this mode lets may read.
fn file(directory: &TempDir, name: &str, text: &str, mode: u32) -> PathBuf {
    let path = directory.path().join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    path
}

const DATABASE: &str = "target register shop --host 127.0.0.1 --port 1 --database shop --admin attorn \
                        --resource-type article --role '* *=reader' --password-file";

/// Whoever gives a secret in a file that others may read has given it to them, too.
#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_read_from_a_file_that_others_may_read() {
    let (world, directory) = (World::without_policy().await, TempDir::new().unwrap());
    let proxy = include_str!("../../../host/cli/src/commands/target/example.json");
    let settings = file(&directory, "crm.json", proxy, 0o644);
    let commands = [
        DATABASE.to_owned(),
        format!("target register crm --kind proxy --resource-type contact --file {} --secret-file", settings.display()),
        "target rotate-secret crm --secret-file".into(),
        "provider backchannel set main --client-id attorn --secret-file".into(),
    ];
    for mode in [0o644, 0o640, 0o604, 0o620, 0o602] {
        let secret = file(&directory, "secret", PASSWORD, mode);
        for line in &commands {
            let said = command(&world, &format!("{line} {}", secret.display())).await;
            let path = secret.display();
            let expect = format!(
                "1\nerror: others may read or write `{path}`, which holds a secret: its mode is {mode:03o}\n\
                 help: `chmod 600 {path}`\n"
            );
            assert_eq!(said, expect, "{line}");
        }
    }
    let list: TargetList = world.staff.registrar.get("/v1/targets").await.expect(200).json();
    assert!(list.targets.is_empty());
    // What nobody else may read is read.
    let secret = file(&directory, "secret", "a-password\n", 0o600);
    for (line, expect) in commands.iter().zip(["0\n", "0\n", "0\n", "1\nerror: there is no provider"]) {
        let said = command(&world, &format!("{line} {}", secret.display())).await;
        assert!(said.starts_with(expect), "{line}: {said}");
    }
}

/// All that a machine trusts is more than is kept of a target, and too much for it: whoever gives that is told what to
/// give.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_gives_all_that_a_machine_trusts_is_told_what_to_give() {
    let (world, directory) = (World::without_policy().await, TempDir::new().unwrap());
    let password = file(&directory, "password", PASSWORD, 0o600);
    let roots = file(&directory, "roots.pem", &"-----BEGIN CERTIFICATE-----\n".repeat(2_000), 0o644);
    let said = command(&world, &format!("{DATABASE} {} --tls-roots {}", password.display(), roots.display())).await;
    let expect = format!(
        "1\nerror: `{}` has more than 32768 bytes\n\
         help: give the certificates that sign the target's own alone, and not all that a machine trusts\n",
        roots.display()
    );
    assert_eq!(said, expect);
    let none = command(&world, &format!("{DATABASE} {} --tls-roots /nowhere/roots.pem", password.display())).await;
    assert!(none.starts_with("1\nerror: cannot read `/nowhere/roots.pem`"), "{none}");
}

/// It is the agent's own command: what an operator may is nothing to it, and what is not the agent's is not there.
#[tokio::test(flavor = "multi_thread")]
async fn an_agent_renews_no_lease_but_its_own() {
    let (world, directory) = (World::new().await, TempDir::new().unwrap());
    let key = directory.path().join("bot.key");
    world.bot.key.save(&key).unwrap();
    let line = format!("lease renew lse_{} --key {}", "0".repeat(32), key.display());
    let said = command(&world, &line).await;
    assert!(said.starts_with("1\nerror: there is no lease `lse_0"), "{said}");
    assert!(said.contains("help: only the agent that it was made for renews it"), "{said}");
    let said = command(&world, &format!("lease renew lse_{}", "0".repeat(32))).await;
    assert!(said.starts_with("2\n") && said.contains("--key"), "{said}");
}
