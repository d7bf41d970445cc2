//! Asks for members of the groups of its settings, each by its name and how many; for one of `finance` if there are none.

use std::collections::BTreeMap;

use attorn_policy::{Context, Error, Policy, ReasonDeclaration, Verdict};

const ASKS: ReasonDeclaration = ReasonDeclaration::public("asks", "members of these groups have to approve");

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct ChallengeGroups {
    #[serde(default = "finance")]
    groups: BTreeMap<String, u32>,
    /// Whether an operator has to approve, too.
    #[serde(default)]
    operator: bool,
}

fn finance() -> BTreeMap<String, u32> {
    BTreeMap::from([("finance".into(), 1)])
}

impl Policy for ChallengeGroups {
    const NAME: &'static str = "challenge-groups";
    const VERSION: &'static str = "0.0.0";
    const REASONS: &'static [ReasonDeclaration] = &[ASKS];

    fn evaluate(&self, _: &Context) -> Result<Verdict, Error> {
        let asks = Verdict::challenge(ASKS);
        let asks = if self.operator { asks.approved_by("operator", 1) } else { asks };
        let all = self.groups.iter().fold(asks, |asks, (name, count)| asks.approved_by_group(name, *count));
        Ok(all.into())
    }
}

attorn_policy::export!(ChallengeGroups);
