//! Wants as many operators' yes as a fact says; one if none does.

use attorn_policy::{Context, Error, Policy, ReasonDeclaration, Requirements, Verdict};

const ASKS: ReasonDeclaration = ReasonDeclaration::public("asks", "so many operators have to approve");
const OPERATORS: &str = "agent/{agent.id}/asks";

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct ChallengeAsTold {}

impl Policy for ChallengeAsTold {
    const NAME: &'static str = "challenge-as-told";
    const VERSION: &'static str = "0.0.0";
    const REASONS: &'static [ReasonDeclaration] = &[ASKS];

    fn requirements(&self) -> Result<Requirements, Error> {
        Ok(Requirements::none().fact(OPERATORS))
    }

    fn evaluate(&self, ctx: &Context) -> Result<Verdict, Error> {
        let count = ctx.fact::<u32>(OPERATORS)?.unwrap_or(1);
        Ok(Verdict::challenge(ASKS).approved_by("operator", count).into())
    }
}

attorn_policy::export!(ChallengeAsTold);
