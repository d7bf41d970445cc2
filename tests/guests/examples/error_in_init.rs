//! Refuses whatever settings it is given, and says what they were, so that a test can read what a policy gets.

use attorn_policy::{Context, Error, Policy, ReasonDeclaration, Requirements, Verdict};
use serde_json::value::RawValue;

#[derive(serde::Deserialize)]
struct ErrorInInit(Box<RawValue>);

impl Policy for ErrorInInit {
    const NAME: &'static str = "error-in-init";
    const VERSION: &'static str = "0.0.0";
    const REASONS: &'static [ReasonDeclaration] = &[];

    fn requirements(&self) -> Result<Requirements, Error> {
        Err(Error::new(format!("refused, as all others: {}", self.0)))
    }

    fn evaluate(&self, _ctx: &Context) -> Result<Verdict, Error> {
        Ok(Verdict::allow().into())
    }
}

attorn_policy::export!(ErrorInInit);
