//! Wants an operator's yes, on terms that facts say: how many uses, and what is charged.

use attorn_policy::{Context, Error, Policy, ReasonDeclaration, Requirements, Scope, Verdict, Window};

const ASKS: ReasonDeclaration = ReasonDeclaration::public("asks", "an operator has to approve");
const USES: &str = "agent/{agent.id}/uses";
const AMOUNT: &str = "agent/{agent.id}/amount";

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct ChallengeByFacts {}

impl Policy for ChallengeByFacts {
    const NAME: &'static str = "challenge-by-facts";
    const VERSION: &'static str = "0.0.0";
    const REASONS: &'static [ReasonDeclaration] = &[ASKS];

    fn requirements(&self) -> Result<Requirements, Error> {
        Ok(Requirements::none().fact(USES).fact(AMOUNT).counter("spent", "cents", Scope::Agent, Window::Day))
    }

    fn evaluate(&self, ctx: &Context) -> Result<Verdict, Error> {
        let mut challenge = Verdict::challenge(ASKS).approved_by("operator", 1);
        challenge = challenge.uses(ctx.fact::<u32>(USES)?.unwrap_or(1));
        if let Some(amount) = ctx.fact::<u64>(AMOUNT)? {
            challenge = challenge.debit("spent", amount, 1_000);
        }
        Ok(challenge.into())
    }
}

attorn_policy::export!(ChallengeByFacts);
