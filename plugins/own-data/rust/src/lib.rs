//! The policy `own-data`: an agent that acts for a user may do listed actions on what belongs to that
//! user, and nothing else.
//!
//! Whose something is, is a fact that its resource server asserts. What the agent claims, what the
//! provider says of the user, and what the delegation permits make nobody an owner. Its settings,
//! reasons and cases are described in the README beside this crate.

mod settings;

use std::time::Duration;

use attorn_policy::{Context, Error, Policy, ReasonDeclaration, Requirements, Verdict};
use serde_json::Value;
use settings::OwnData;

/// The fact that names the owner: a `user.id`, as a JSON string.
const OWNER: &str = "resource/{request.resource_type}/{request.resource_id}/owner";

const OWN: ReasonDeclaration = ReasonDeclaration::public("own", "it belongs to the user, and the action is listed");
const NO_USER: ReasonDeclaration = ReasonDeclaration::public("no_user", "this is only for agents that act for a user");
const ACTION_NOT_LISTED: ReasonDeclaration =
    ReasonDeclaration::public("action_not_listed", "the action is not listed for any type of resource");
const RESOURCE_TYPE_NOT_LISTED: ReasonDeclaration =
    ReasonDeclaration::public("resource_type_not_listed", "the action is not listed for this type of resource");
// Shown to no agent: it would learn what there is, and whose it is not.
const OWNER_UNKNOWN: ReasonDeclaration =
    ReasonDeclaration::private("owner_unknown", "nobody has asserted whose this is, or that has expired");
const OTHER_OWNER: ReasonDeclaration = ReasonDeclaration::private("other_owner", "it belongs to somebody else");

impl Policy for OwnData {
    const NAME: &'static str = "own-data";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SETTINGS_SCHEMA: &'static str = include_str!("../../settings.schema.json");
    const REASONS: &'static [ReasonDeclaration] =
        &[OWN, NO_USER, ACTION_NOT_LISTED, RESOURCE_TYPE_NOT_LISTED, OWNER_UNKNOWN, OTHER_OWNER];

    fn requirements(&self) -> Result<Requirements, Error> {
        Ok(Requirements::none().fact(OWNER))
    }

    fn evaluate(&self, ctx: &Context) -> Result<Verdict, Error> {
        let Some(user) = &ctx.user else {
            return Ok(Verdict::deny(NO_USER));
        };
        let Some(resource_types) = self.resource_types_by_action.get(&ctx.request.action) else {
            return Ok(Verdict::deny(ACTION_NOT_LISTED));
        };
        if !resource_types.contains(&ctx.request.resource_type) {
            return Ok(Verdict::deny(RESOURCE_TYPE_NOT_LISTED));
        }
        let Some(owner) = ctx.fact::<Value>(OWNER)? else {
            return Ok(Verdict::deny(OWNER_UNKNOWN));
        };
        // Only a whole, equal string is an owner. A list that has the user in it is not.
        if owner.as_str() != Some(&user.id) {
            return Ok(Verdict::deny(OTHER_OWNER));
        }
        let mut allow = Verdict::allow().because(OWN);
        if let Some(seconds) = self.grant_seconds_max {
            allow = allow.for_at_most(Duration::from_secs(seconds));
        }
        Ok(allow.into())
    }
}

attorn_policy::export!(OwnData);

#[cfg(test)]
mod tests;
