//! Refuses whatever settings it is given.

use attorn_policy::{Context, Error, Policy, ReasonDeclaration, Requirements, Verdict};

#[derive(serde::Deserialize)]
struct ErrorInInit {}

impl Policy for ErrorInInit {
    const NAME: &'static str = "error-in-init";
    const VERSION: &'static str = "0.0.0";
    const REASONS: &'static [ReasonDeclaration] = &[];

    fn requirements(&self) -> Result<Requirements, Error> {
        Err(Error::new("these settings are refused, as all others"))
    }

    fn evaluate(&self, _ctx: &Context) -> Result<Verdict, Error> {
        Ok(Verdict::allow().into())
    }
}

attorn_policy::export!(ErrorInInit);
