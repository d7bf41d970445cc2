//! The policy `cedar`: what Cedar's policies, which are its settings, say of a request.
//!
//! The policies are parsed and checked once, when the policy is activated. Each decision makes a request of Cedar's out of
//! ours, always by Cedar's constructors, and a verdict out of Cedar's answer. What cannot be said in Cedar is denied.
//! Settings, mapping, reasons and cases are described in the README beside this crate.

mod answer;
mod context;
mod declared;
mod entities;
mod names;
mod place;
mod policies;
mod reasons;
mod settings;
mod value;

use std::collections::BTreeMap;

use attorn_policy::{Context, Error, Policy, ReasonDeclaration, Requirements, Verdict, log};
use cedar_policy::Request;

pub use settings::Cedar;

use context::NoContext;
use entities::Gathered;
use reasons::{
    CREDENTIAL_NOT_LISTED, FACT_MISSING, NO_USER, NOT_REPRESENTABLE, OUTSIDE_SCHEMA, RESOURCE_TYPE_NOT_MAPPED,
};
use settings::Principal;

impl Policy for Cedar {
    const NAME: &'static str = "cedar";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SETTINGS_SCHEMA: &'static str = include_str!("../../settings.schema.json");
    const REASONS: &'static [ReasonDeclaration] = reasons::OURS;

    fn requirements(&self) -> Result<Requirements, Error> {
        let facts = self.templates().into_iter();
        Ok(self.policies.declare(facts.fold(Requirements::none(), Requirements::fact)))
    }

    fn evaluate(&self, ctx: &Context) -> Result<Verdict, Error> {
        if let Some(wanted) = ctx.wanted_credential()?
            && !self.credentials.contains(&wanted.kind)
        {
            return Ok(Verdict::deny(CREDENTIAL_NOT_LISTED));
        }
        let principal = match (self.principal, &ctx.user) {
            (Principal::Agent, _) => self.names.agent(&ctx.agent.id),
            (Principal::User, Some(user)) => self.names.user(&user.id),
            (Principal::User, None) => return Ok(Verdict::deny(NO_USER)),
        };
        let action = self.names.action(&ctx.request.action);
        let Some(resource) = self.names.resource(&ctx.request.resource_type, &ctx.request.resource_id) else {
            return Ok(Verdict::deny(RESOURCE_TYPE_NOT_MAPPED));
        };
        let nothing = BTreeMap::new();
        let declared = self.declared.as_ref().map(|declared| declared.of(&action).unwrap_or(&nothing));
        let context = match self.context.of(ctx, &self.names, &self.facts, declared) {
            Ok(context) => context,
            Err(NoContext::NotRepresentable { what, of_agent }) => {
                let what = answer::bounded(what.to_string());
                log::warn(&what);
                // The agent may read this, and knows nothing of claims and facts.
                let reason = if of_agent { NOT_REPRESENTABLE.with_text(what) } else { NOT_REPRESENTABLE.into() };
                return Ok(Verdict::deny(reason));
            }
            Err(NoContext::Unreadable(error)) => return Err(error),
        };
        let schema = self.schema.as_ref();
        let request = match Request::new(principal, action, resource, context, schema) {
            Ok(request) => request,
            Err(error) => {
                let what = answer::bounded(place::told("", &error));
                log::warn(format!("outside the schema: {what}"));
                return Ok(Verdict::deny(OUTSIDE_SCHEMA.with_text(what)));
            }
        };
        match self.entities.gather(ctx, &self.names, schema)? {
            Gathered::Missing(template) => Ok(Verdict::deny(FACT_MISSING.with_text(format!("`{template}`")))),
            Gathered::All(entities) => {
                let response = self.authorizer.is_authorized(&request, &self.policies.set, &entities);
                Ok(self.verdict(&response))
            }
        }
    }
}

attorn_policy::export!(Cedar);

#[cfg(test)]
mod documents;
#[cfg(test)]
mod tests;
