//! Allows everything, on the terms of its settings: `{"grant_ms_max": 1000, "uses_max": 3}`, both
//! optional.

use std::time::Duration;

use attorn_policy::{Context, Error, Policy, ReasonDeclaration, Verdict};

const EVERYTHING: ReasonDeclaration = ReasonDeclaration::public("everything", "everything is allowed");

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct AllowAll {
    grant_ms_max: Option<u64>,
    uses_max: Option<u32>,
}

impl Policy for AllowAll {
    const NAME: &'static str = "allow-all";
    const VERSION: &'static str = "0.0.0";
    const REASONS: &'static [ReasonDeclaration] = &[EVERYTHING];

    fn evaluate(&self, _ctx: &Context) -> Result<Verdict, Error> {
        let mut allow = Verdict::allow().because(EVERYTHING);
        if let Some(ms) = self.grant_ms_max {
            allow = allow.for_at_most(Duration::from_millis(ms));
        }
        if let Some(uses) = self.uses_max {
            allow = allow.uses(uses);
        }
        Ok(allow.into())
    }
}

attorn_policy::export!(AllowAll);
