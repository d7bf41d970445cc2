//! Whose signatures of components count: what is refused without one, who may say whose count, and that nothing comes
//! into force that nobody vouches for, where somebody has to.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod commands;
mod forces;
mod pushing;
mod registry;

use std::fs;
use std::process::Command;

use attorn_api::policy_signers::PolicySigner;
use attorn_identity::SignerKey;
use attorn_tests::process::binary;
use attorn_tests::{Answer, World, components};
use serde_json::json;
use tempfile::TempDir;

const SIGNERS: &str = "/v1/policy-signers";
const REQUIREMENT: &str = "/v1/policy-signatures";
const REQUIRE: &str = "/v1/policy-signatures/require";
const LIFT: &str = "/v1/policy-signatures/lift";
const ACTIVATE: &str = "/v1/policies/p/activate";

/// Keys on somebody's disk, outside of any server.
struct Desk(TempDir);

impl Desk {
    fn with(keys: &[&str]) -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        for key in keys {
            desk.attorn(&["new-key", key]);
        }
        desk
    }

    fn attorn(&self, arguments: &[&str]) {
        let mut command = Command::new(binary());
        let said = command.arg("policy").args(arguments).current_dir(self.0.path()).output().unwrap();
        assert!(said.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&said.stderr));
    }

    /// A signature of this component, as it stands in its file.
    fn sign(&self, component: &[u8], key: &str) -> String {
        fs::write(self.0.path().join("policy.wasm"), component).unwrap();
        let _ = fs::remove_file(self.0.path().join("policy.wasm.minisig"));
        self.attorn(&["sign", "policy.wasm", "--key", key]);
        fs::read_to_string(self.0.path().join("policy.wasm.minisig")).unwrap()
    }

    fn public(&self, key: &str) -> String {
        fs::read_to_string(self.0.path().join(format!("{key}.pub"))).unwrap()
    }

    /// What minisign names this key by.
    fn id(&self, key: &str) -> String {
        SignerKey::parse(&self.public(key)).unwrap().id().to_string()
    }

    /// Have its signatures count.
    async fn register(&self, world: &World, key: &str) -> PolicySigner {
        let body = json!({ "id": key, "public_key": self.public(key), "name": format!("whoever has {key}") });
        world.staff.policy_weakener.post(SIGNERS, &body).await.expect(201).json()
    }
}

/// Push a version of `p`.
async fn push(world: &World, component: &[u8], signature: Option<&str>) -> Answer {
    push_as(world, "p", component, signature).await
}

async fn push_as(world: &World, id: &str, component: &[u8], signature: Option<&str>) -> Answer {
    let limits = json!({ "cpu_us_max": 200_000, "wall_us_max": 240_000, "memory_bytes_max": 16 << 20 });
    world.push(id, component.to_vec(), json!({}), json!({ "limits": limits, "signature": signature })).await
}

async fn revoke(world: &World, id: &str) -> Answer {
    world.staff.policy_admin.post(format!("{SIGNERS}/{id}/revoke"), &json!({ "reason": "lost" })).await
}

fn allow() -> Vec<u8> {
    components::bytes("allow_all")
}
