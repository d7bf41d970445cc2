//! What decides: without a policy nothing is allowed; then `read-only` is put in force.

use attorn_agent::{Decision, Request};
use attorn_api::policies::{Activate, Component, Limits, Mode, PolicyVersion, PushVersion, Selector, SetChanged};
use serde_json::{Value, json};

use super::Stage;
use super::components::Components;
use super::host::Host;
use super::narrator::Narrator;
use super::operators::Operators;
use super::registry::ANSWER_QUESTIONS;
use crate::failure::Failure;

/// More than a policy gets by default: this is played on busy machines, too.
pub(super) const PATIENT_LIMITS: Limits =
    Limits { cpu_us_max: 50_000, wall_us_max: 250_000, memory_bytes_max: 16 << 20 };

/// A policy to be pushed and put in force.
pub(super) struct NewPolicy<'a> {
    pub(super) id: &'a str,
    pub(super) component: &'a [u8],
    pub(super) settings: Value,
    /// Which actions it is asked about.
    pub(super) action: &'a str,
    pub(super) limits: Limits,
}

pub(super) async fn play(stage: &mut Stage<'_>, components: &Components) -> Result<(), Failure> {
    stage.narrator.part("What decides");
    let answer = stage.bot()?.decide(&Request::new("faq.read", "article/42", ANSWER_QUESTIONS)).await;
    let denied = matches!(&answer, Ok(decision @ Decision::Deny { .. }) if decision.has_reason("no_applicable_policy"));
    stage.narrator.answered("before there is any policy, support-bot asks to faq.read article/42", &answer, denied)?;
    let settings = json!({ "allow": [{ "actions": ["faq.read"], "resource_types": ["article"] }] });
    let read_only = NewPolicy {
        id: "read-only",
        component: &components.read_only,
        settings,
        action: "faq.*",
        limits: PATIENT_LIMITS,
    };
    put_in_force(&stage.narrator, (&stage.host, &stage.operators), &read_only).await
}

/// Push a policy and put it in force.
pub(super) async fn put_in_force(
    narrator: &Narrator<'_>,
    (host, operators): (&Host, &Operators),
    policy: &NewPolicy<'_>,
) -> Result<(), Failure> {
    let client = host.client(Some(&operators.policy_admin))?;
    let digest = blake3::hash(policy.component).to_hex().to_string();
    let put: Component = client.put(&format!("/v1/components/{digest}"), policy.component.to_vec()).await?;
    let body = PushVersion {
        component: put.digest,
        settings: policy.settings.clone(),
        selector: Selector { actions: vec![policy.action.into()], ..Selector::default() },
        mode: Mode::Enforce,
        required: false,
        limits: Some(policy.limits),
        signature: None,
    };
    let id = policy.id;
    let version: PolicyVersion = client.post(&format!("/v1/policies/{id}/versions"), &body).await?;
    let activate = Activate { version: version.version };
    let changed: SetChanged = client.post(&format!("/v1/policies/{id}/activate"), &activate).await?;
    let as_told = changed.changes.iter().any(|one| one.policy == id && one.digest.as_ref() == Some(&version.digest));
    let asked = format!(
        "policy-admin pushes the component {}… as `{id}` for {} and puts it in force",
        &digest[..12],
        policy.action
    );
    narrator.step(asked, format!("in force: revision {}", changed.active_set.revision), as_told)
}
