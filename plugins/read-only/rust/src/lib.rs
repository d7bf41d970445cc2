//! The policy `read-only`: an agent that acts on its own authority may do listed actions on listed
//! types of resources, and nothing else.
//!
//! It does not know which actions only read; whoever writes its settings does. Its settings, reasons
//! and cases are described in the README beside this crate.

mod settings;

use std::time::Duration;

use attorn_policy::{Context, Error, Policy, ReasonDeclaration, Verdict};
use settings::ReadOnly;

const LISTED: ReasonDeclaration = ReasonDeclaration::public("listed", "the action is listed for this type of resource");
const ACTS_FOR_A_USER: ReasonDeclaration =
    ReasonDeclaration::public("acts_for_a_user", "this is only for agents that act on their own authority");
const ACTION_NOT_LISTED: ReasonDeclaration =
    ReasonDeclaration::public("action_not_listed", "the action is not listed for any type of resource");
const RESOURCE_TYPE_NOT_LISTED: ReasonDeclaration =
    ReasonDeclaration::public("resource_type_not_listed", "the action is not listed for this type of resource");

impl Policy for ReadOnly {
    const NAME: &'static str = "read-only";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SETTINGS_SCHEMA: &'static str = include_str!("../../settings.schema.json");
    const REASONS: &'static [ReasonDeclaration] =
        &[LISTED, ACTS_FOR_A_USER, ACTION_NOT_LISTED, RESOURCE_TYPE_NOT_LISTED];

    fn evaluate(&self, ctx: &Context) -> Result<Verdict, Error> {
        if ctx.user.is_some() || !ctx.delegations.is_empty() {
            return Ok(Verdict::deny(ACTS_FOR_A_USER));
        }
        let Some(resource_types) = self.resource_types_by_action.get(&ctx.request.action) else {
            return Ok(Verdict::deny(ACTION_NOT_LISTED));
        };
        if !resource_types.contains(&ctx.request.resource_type) {
            return Ok(Verdict::deny(RESOURCE_TYPE_NOT_LISTED));
        }
        let mut allow = Verdict::allow().because(LISTED);
        if let Some(seconds) = self.grant_seconds_max {
            allow = allow.for_at_most(Duration::from_secs(seconds));
        }
        Ok(allow.into())
    }
}

attorn_policy::export!(ReadOnly);

#[cfg(test)]
mod tests;
