//! Signatures of components, by `attorn policy` and by `minisign`: what one signs, the other verifies, with keys of
//! either.

use std::path::Path;
use std::time::Duration;

use attorn_tests::process::binary;
use attorn_tests::world::read_only_settings;
use attorn_tests::{World, components};
use serde_json::json;
use tempfile::TempDir;
use tokio::process::Command;

use crate::steps::Steps;
use crate::tools::{self, Said, Tools};

/// To open a key of `minisign` takes a GiB of memory, and some seconds.
const COMMAND: Duration = Duration::from_mins(2);

const PASSWORD: &str = "open sesame\n";

struct Stage(TempDir);

/// Play all of it.
pub(crate) async fn play(_: &Tools, steps: &mut Steps) {
    let stage = steps.take("attorn and minisign make keys, with passwords and without", Stage::set()).await;
    steps.take("minisign verifies what attorn signed, with keys of both", stage.signed_by_attorn()).await;
    steps.take("attorn verifies what minisign signed, with keys of both", stage.signed_by_minisign()).await;
    steps.take("a server takes what minisign signed, and nothing else", stage.pushed()).await;
    steps.take("both refuse what is wrong in one thing", stage.wrong()).await;
}

impl Stage {
    async fn set() -> Self {
        let stage = Self(tempfile::tempdir().unwrap());
        std::fs::write(stage.path().join("policy.wasm"), components::bytes("read-only")).unwrap();
        std::fs::write(stage.path().join("password"), PASSWORD).unwrap();
        stage.attorn(&["new-key", "a-open"]).await.good();
        stage.attorn(&["new-key", "a-locked", "--password-file", "password"]).await.good();
        stage.minisign(&["-G", "-W", "-p", "m-open.pub", "-s", "m-open"], "").await.good();
        let twice = PASSWORD.repeat(2);
        stage.minisign(&["-G", "-p", "m-locked.pub", "-s", "m-locked"], &twice).await.good();
        stage
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    async fn attorn(&self, arguments: &[&str]) -> Said {
        let mut command = Command::new(binary());
        command.arg("policy").args(arguments).current_dir(self.path());
        tools::run(command, "", COMMAND).await
    }

    async fn minisign(&self, arguments: &[&str], input: &str) -> Said {
        let mut command = Command::new("minisign");
        command.args(arguments).current_dir(self.path());
        tools::run(command, input, COMMAND).await
    }

    async fn signed_by_attorn(&self) {
        for (key, password) in [("a-open", false), ("a-locked", true), ("m-open", false), ("m-locked", true)] {
            let mut arguments = vec!["sign", "policy.wasm", "--key", key];
            if password {
                arguments.extend(["--password-file", "password"]);
            }
            self.attorn(&arguments).await.good();
            let said = self.minisign(&["-V", "-p", &format!("{key}.pub"), "-m", "policy.wasm"], "").await.good();
            assert!(said.contains("file:policy.wasm"), "{said}");
        }
    }

    async fn signed_by_minisign(&self) {
        for (key, input) in [("a-open", ""), ("a-locked", PASSWORD), ("m-open", ""), ("m-locked", PASSWORD)] {
            self.minisign(&["-S", "-s", key, "-m", "policy.wasm"], input).await.good();
            let public = format!("{key}.pub");
            let said = self.attorn(&["verify", "policy.wasm", "--public-key", &public]).await.good();
            assert!(said.starts_with("verified "), "{said}");
        }
    }

    async fn pushed(&self) {
        let world = World::without_policy().await;
        let read = |name: &str| std::fs::read_to_string(self.path().join(name)).unwrap();
        let signer = json!({ "id": "release", "public_key": read("m-open.pub") });
        world.staff.policy_weakener.post("/v1/policy-signers", &signer).await.expect(201);
        world.staff.policy_admin.post("/v1/policy-signatures/require", &json!({})).await.expect(200);
        let component = || components::bytes("read-only");
        self.minisign(&["-S", "-s", "m-locked", "-m", "policy.wasm"], PASSWORD).await.good();
        let foreign = json!({ "signature": read("policy.wasm.minisig") });
        world.push("p", component(), read_only_settings(), foreign).await.refused(422, "signature_refused");
        self.minisign(&["-S", "-s", "m-open", "-m", "policy.wasm"], "").await.good();
        let good = json!({ "signature": read("policy.wasm.minisig") });
        let other = components::bytes("own-data");
        world.push("p", other, json!({}), good.clone()).await.refused(422, "signature_refused");
        world.push("p", component(), read_only_settings(), good).await.expect(201);
        world.staff.policy_admin.post("/v1/policies/p/activate", &json!({ "version": 1 })).await.expect(200);
        world.server.stop().await;
    }

    async fn wrong(&self) {
        let bytes = std::fs::read(self.path().join("policy.wasm")).unwrap();
        std::fs::write(self.path().join("cut.wasm"), &bytes[..bytes.len() - 1]).unwrap();
        std::fs::copy(self.path().join("policy.wasm.minisig"), self.path().join("cut.wasm.minisig")).unwrap();
        for (file, key) in [("policy.wasm", "a-open.pub"), ("cut.wasm", "m-locked.pub")] {
            assert_eq!(self.attorn(&["verify", file, "--public-key", key]).await.code, Some(5), "{file} {key}");
            assert_eq!(self.minisign(&["-V", "-p", key, "-m", file], "").await.code, Some(1), "{file} {key}");
        }
        // The old way is good for `minisign`, and not here.
        self.minisign(&["-S", "-l", "-s", "m-open", "-m", "policy.wasm"], "").await.good();
        self.minisign(&["-V", "-p", "m-open.pub", "-m", "policy.wasm"], "").await.good();
        let said = self.attorn(&["verify", "policy.wasm", "--public-key", "m-open.pub"]).await;
        assert!(said.code == Some(5) && said.stderr.contains("old way"), "{}", said.stderr);
    }
}
