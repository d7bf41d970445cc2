//! Providers: tokens that are refused, each with its code; keys that cannot be had; and what a good token gives.
//!
//! Everything goes through `POST /v1/providers/{id}/check`, which uses the very functions that delegations use.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking")]

mod gives;
mod keys;
mod kinds;
mod refusals;
mod registry;
mod samples;

use attorn_api::providers::{CheckResult, TokenCheck, TokenGives};
use attorn_tests::provider::{KeyKind, with};
use attorn_tests::{Provider, World};
use serde_json::{Value, json};

struct Scene {
    world: World,
    provider: Provider,
}

/// What is recorded where a test does not say otherwise.
fn recorded() -> Value {
    json!({
        "clients": { "bot-client": "support-bot" },
        "scopes": {
            "invoices": {
                "purposes": ["serve-customers", "billing"],
                "permissions": [{ "action": "invoice.read", "resource": "invoice/*" }],
            },
            "notes": { "purposes": ["billing"], "permissions": [{ "action": "note.*", "resource": "note/*" }] },
        },
        "authorization_details": {
            "invoice": {
                "purposes": ["billing"],
                "actions": { "read": "invoice.read", "pay": "invoice.pay" },
                "resource_prefix": "invoice/",
            },
        },
        "groups_claim": "groups",
        "claims": ["tier", "region"],
    })
}

impl Scene {
    async fn new(kind: KeyKind) -> Self {
        Self::with(kind, json!({})).await
    }

    /// A provider that is registered as `main`, with these changes.
    async fn with(kind: KeyKind, changes: Value) -> Self {
        let scene = Self { world: World::without_policy().await, provider: Provider::start(kind).await };
        scene.register(&scene.provider, "main", changes).await;
        scene
    }

    async fn register(&self, provider: &Provider, id: &str, changes: Value) {
        let body = with(provider.configuration(id, recorded()), changes);
        self.world.staff.registrar.post("/v1/providers", &body).await.expect(201);
    }

    async fn check_at(&self, id: &str, token: &str, token_use: &str) -> TokenCheck {
        let body = json!({ "token": token, "token_use": token_use });
        let path = format!("/v1/providers/{id}/check");
        self.world.staff.registrar.post(path, &body).await.expect(200).json()
    }

    /// An access token for the bot, with these changes.
    fn token(&self, changes: Value) -> String {
        let right = with(self.provider.claims(), good());
        self.provider.mint(&self.provider.header(), &with(right, changes))
    }

    async fn gives(&self, token: &str, token_use: &str) -> TokenGives {
        let checked = self.check_at("main", token, token_use).await;
        assert!(checked.accepted && checked.code.is_none(), "{checked:?}");
        assert!(checked.checks.iter().all(|step| step.result == CheckResult::Passed), "{checked:?}");
        checked.gives.unwrap()
    }

    /// It is refused with this code, by this check; those before it passed, and those after it were not reached.
    async fn refused_at(&self, id: &str, token: &str, token_use: &str, code: &str, check: &str) -> String {
        let checked = self.check_at(id, token, token_use).await;
        assert_eq!(checked.code.as_deref(), Some(code), "{token}: {checked:?}");
        assert!(!checked.accepted && checked.gives.is_none(), "{checked:?}");
        let at = checked.checks.iter().position(|step| step.check == check).unwrap();
        for (n, step) in checked.checks.iter().enumerate() {
            let expect = match n.cmp(&at) {
                std::cmp::Ordering::Less => CheckResult::Passed,
                std::cmp::Ordering::Equal => CheckResult::Failed,
                std::cmp::Ordering::Greater => CheckResult::NotReached,
            };
            assert_eq!(step.result, expect, "{token}: {checked:?}");
        }
        checked.checks[at].detail.clone().unwrap()
    }

    async fn refused(&self, token: &str, code: &str, check: &str) {
        self.refused_at("main", token, "delegation", code, check).await;
    }
}

/// The claims of a token that is all right.
fn good() -> Value {
    json!({ "client_id": "bot-client", "scope": "invoices" })
}

fn permissions(gives: &TokenGives, purpose: &str) -> Vec<String> {
    let consented = gives.consented.iter().find(|consented| consented.purpose == purpose);
    let permissions = consented.unwrap_or_else(|| panic!("nothing for {purpose}: {gives:?}")).permissions.iter();
    let mut permissions: Vec<_> = permissions.map(|one| format!("{} {}", one.action, one.resource)).collect();
    permissions.sort();
    permissions
}
