//! Operators, each with one duty, so that no test passes because somebody may do more than it shows.

use attorn_api::operators::RegisteredOperator;
use attorn_core::Duty;
use serde_json::{Value, json};

use crate::http::{Answer, Call, Reach};

/// Somebody who administers.
#[derive(Clone)]
pub struct Operator {
    /// Their id.
    pub id: String,
    /// Their token.
    pub token: String,
    reach: Reach,
}

impl Operator {
    /// Send a request with this operator's token.
    pub async fn send(&self, call: Call) -> Answer {
        self.reach.send(call.bearer(&self.token)).await
    }

    /// A GET.
    pub async fn get(&self, path: impl Into<String>) -> Answer {
        self.send(Call::get(path)).await
    }

    /// A POST of JSON.
    pub async fn post(&self, path: impl Into<String>, body: &Value) -> Answer {
        self.send(Call::post(path, body)).await
    }

    /// A POST without body.
    pub async fn act(&self, path: impl Into<String>) -> Answer {
        self.send(Call::new("POST", path)).await
    }

    /// Register another operator. This one has to be an admin.
    pub async fn hire(&self, id: &str, duties: &[Duty]) -> Self {
        let body = json!({ "id": id, "duties": duties.iter().map(|duty| duty.as_str()).collect::<Vec<_>>() });
        let registered: RegisteredOperator = self.post("/v1/operators", &body).await.expect(201).json();
        Self { id: id.into(), token: registered.token, reach: self.reach.clone() }
    }
}

impl Operator {
    /// Have another operator get a new token. This one is an admin, or the bootstrap token where a restore has ended
    /// theirs.
    pub async fn renew(&self, other: &Self) -> Self {
        let renewed: RegisteredOperator =
            self.act(format!("/v1/operators/{}/renew", other.id)).await.expect(200).json();
        Self { token: renewed.token, ..other.clone() }
    }
}

/// Whoever has the bootstrap token.
pub fn bootstrap(reach: &Reach, token: &str) -> Operator {
    Operator { id: String::new(), token: token.into(), reach: reach.clone() }
}

/// One operator for each duty.
#[derive(Clone)]
pub struct Staff {
    /// Registers operators.
    pub admin: Operator,
    /// Registers agents and resource servers.
    pub registrar: Operator,
    /// Pushes and activates policies.
    pub policy_admin: Operator,
    /// Deactivates them.
    pub policy_weakener: Operator,
    /// Both, for replacing a version.
    pub policy_replacer: Operator,
    /// Reads the audit log.
    pub auditor: Operator,
    /// Pushes policies and reads the audit log, for trying what would be decided.
    pub explainer: Operator,
}

impl Staff {
    /// The same after a restore, with tokens that are good again, the first by the new bootstrap token.
    pub async fn renewed(&self, reach: &Reach, bootstrap_token: &str) -> Self {
        let admin = bootstrap(reach, bootstrap_token).renew(&self.admin).await;
        Self {
            registrar: admin.renew(&self.registrar).await,
            policy_admin: admin.renew(&self.policy_admin).await,
            policy_weakener: admin.renew(&self.policy_weakener).await,
            policy_replacer: admin.renew(&self.policy_replacer).await,
            auditor: admin.renew(&self.auditor).await,
            explainer: admin.renew(&self.explainer).await,
            admin,
        }
    }

    /// Register them, the first with the bootstrap token.
    pub async fn hire(reach: &Reach, bootstrap_token: &str) -> Self {
        let bootstrap = bootstrap(reach, bootstrap_token);
        let admin = bootstrap.hire("admin", &[Duty::Admin]).await;
        Self {
            registrar: admin.hire("registrar", &[Duty::Registrar]).await,
            policy_admin: admin.hire("policy-admin", &[Duty::PolicyAdmin]).await,
            policy_weakener: admin.hire("policy-weakener", &[Duty::PolicyWeakener]).await,
            policy_replacer: admin.hire("policy-replacer", &[Duty::PolicyAdmin, Duty::PolicyWeakener]).await,
            auditor: admin.hire("auditor", &[Duty::Auditor]).await,
            explainer: admin.hire("explainer", &[Duty::PolicyAdmin, Duty::Auditor]).await,
            admin,
        }
    }
}
