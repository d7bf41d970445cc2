//! Allows whom a fact names as the resource's owner.

use attorn_policy::{Context, Error, Policy, ReasonDeclaration, Requirements, Verdict};

const OWNER: &str = "resource/{request.resource_type}/{request.resource_id}/owner";
const OWNER_UNKNOWN: ReasonDeclaration =
    ReasonDeclaration::public("owner_unknown", "nobody said who owns the resource");
const NOT_THE_OWNER: ReasonDeclaration = ReasonDeclaration::public("not_the_owner", "somebody else owns the resource");

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct NeedsFact {}

impl Policy for NeedsFact {
    const NAME: &'static str = "needs-fact";
    const VERSION: &'static str = "0.0.0";
    const REASONS: &'static [ReasonDeclaration] = &[OWNER_UNKNOWN, NOT_THE_OWNER];

    fn requirements(&self) -> Result<Requirements, Error> {
        Ok(Requirements::none().fact(OWNER))
    }

    fn evaluate(&self, ctx: &Context) -> Result<Verdict, Error> {
        Ok(match ctx.fact::<String>(OWNER)? {
            None => Verdict::deny(OWNER_UNKNOWN),
            Some(owner) if owner == ctx.agent.owner => Verdict::allow().into(),
            Some(_) => Verdict::deny(NOT_THE_OWNER),
        })
    }
}

attorn_policy::export!(NeedsFact);
