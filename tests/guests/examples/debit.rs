//! Allows ten times a day: charges a counter that it declared.

use attorn_policy::{Context, Error, Policy, ReasonDeclaration, Requirements, Scope, Verdict, Window};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Debit {}

impl Policy for Debit {
    const NAME: &'static str = "debit";
    const VERSION: &'static str = "0.0.0";
    const REASONS: &'static [ReasonDeclaration] = &[];

    fn requirements(&self) -> Result<Requirements, Error> {
        Ok(Requirements::none().counter("requests", "requests", Scope::Agent, Window::Day))
    }

    fn evaluate(&self, _ctx: &Context) -> Result<Verdict, Error> {
        Ok(Verdict::allow().debit("requests", 1, 10).into())
    }
}

attorn_policy::export!(Debit);
