//! Never takes its settings.

use attorn_policy::{Context, Error, Policy, ReasonDeclaration, Requirements, Verdict};

#[derive(serde::Deserialize)]
struct LoopInInit {}

impl Policy for LoopInInit {
    const NAME: &'static str = "loop-in-init";
    const VERSION: &'static str = "0.0.0";
    const REASONS: &'static [ReasonDeclaration] = &[];

    fn requirements(&self) -> Result<Requirements, Error> {
        loop {
            std::hint::black_box(());
        }
    }

    fn evaluate(&self, _ctx: &Context) -> Result<Verdict, Error> {
        Ok(Verdict::allow().into())
    }
}

attorn_policy::export!(LoopInInit);
