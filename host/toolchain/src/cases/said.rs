//! What a policy said, in the words of a case: what was expected, and what came.

use std::collections::BTreeSet;

use attorn_core::counter::COUNT_MAX;
use attorn_core::verdict::Reason;
use attorn_core::{Failure, Outcome, Terms, Verdict};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::number::Number;
use super::report::Difference;

/// One side of a comparison. What came has exactly one of `verdict`, `failure` and `init_error`, and
/// [`Said::check`] sees to it that so has what is expected.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, expecting = "what is expected: an object with `verdict`, `failure` or `init_error`")]
pub(crate) struct Said {
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<VerdictKind>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    init_error: Option<String>,
    #[serde(default)]
    reasons: BTreeSet<String>,
    #[serde(default)]
    approvers: BTreeSet<RequirementSaid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    grant_ms_max: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uses_max: Option<u32>,
    #[serde(default)]
    debits: Vec<DebitSaid>,
    #[serde(default)]
    obligations: Vec<ObligationSaid>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum VerdictKind {
    Allow,
    Challenge,
    Deny,
    Abstain,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(deny_unknown_fields, expecting = "an approver: an object with `role` and `count`")]
struct RequirementSaid {
    role: String,
    count: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, expecting = "a debit: an object with `counter`, `amount` and `at_most`")]
struct DebitSaid {
    counter: String,
    amount: Number,
    at_most: Number,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, expecting = "an obligation: an object with `kind` and `parameters`")]
struct ObligationSaid {
    kind: String,
    parameters: Value,
}

impl Said {
    /// What came of an evaluation.
    pub(crate) fn outcome(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Failed(failure) => Self { failure: Some(failure.as_str().to_owned()), ..Self::default() },
            Outcome::Verdict(Verdict::Abstain) => Self::verdict(VerdictKind::Abstain, &[]),
            Outcome::Verdict(Verdict::Deny { reasons }) => Self::verdict(VerdictKind::Deny, reasons),
            Outcome::Verdict(Verdict::Allow { terms, reasons }) => Self::verdict(VerdictKind::Allow, reasons).on(terms),
            Outcome::Verdict(Verdict::Challenge { approvers, terms, reason }) => {
                let said = |one: &attorn_core::verdict::ApprovalRequirement| RequirementSaid {
                    role: one.role.to_string(),
                    count: one.count,
                };
                let verdict = Self::verdict(VerdictKind::Challenge, std::slice::from_ref(reason)).on(terms);
                Self { approvers: approvers.iter().map(said).collect(), ..verdict }
            }
        }
    }

    /// The settings were refused.
    pub(crate) fn init_error(text: &str) -> Self {
        Self { init_error: Some(text.to_owned()), ..Self::default() }
    }

    /// The settings were taken, and nothing was asked.
    pub(crate) fn init_accepted() -> Self {
        Self::default()
    }

    /// Whether the settings are to be refused.
    pub(crate) const fn is_init_error(&self) -> bool {
        self.init_error.is_some()
    }

    /// Refuse an expectation that nothing could ever meet, or anything.
    pub(crate) fn check(&self) -> Result<(), String> {
        let of = usize::from(self.verdict.is_some())
            + usize::from(self.failure.is_some())
            + usize::from(self.init_error.is_some());
        if of != 1 {
            return Err("it has to expect one of `verdict`, `failure` and `init_error`".to_owned());
        }
        if let Some(failure) = self.failure.as_deref().filter(|text| !Failure::ALL.iter().any(|f| f.as_str() == *text))
        {
            let known: Vec<&str> = Failure::ALL.iter().map(|failure| failure.as_str()).collect();
            return Err(format!("`{failure}` is no failure; there are {}", known.join(", ")));
        }
        if self.init_error.as_deref() == Some("") {
            return Err("an empty `init_error` is in every text".to_owned());
        }
        let terms = self.grant_ms_max.is_some()
            || self.uses_max.is_some()
            || !self.debits.is_empty()
            || !self.obligations.is_empty();
        let (kind, terms_fit, reasons_fit, approvers_fit) = match self.verdict {
            Some(VerdictKind::Allow) => ("allow", true, true, false),
            Some(VerdictKind::Challenge) => ("challenge", true, true, true),
            Some(VerdictKind::Deny) => ("deny", false, true, false),
            Some(VerdictKind::Abstain) => ("abstain", false, false, false),
            None => ("a failure", false, false, false),
        };
        for (there, fits, what) in [
            (terms, terms_fit, "terms"),
            (!self.reasons.is_empty(), reasons_fit, "reasons"),
            (!self.approvers.is_empty(), approvers_fit, "approvers"),
        ] {
            if there && !fits {
                return Err(format!("`{kind}` has no {what}"));
            }
        }
        Ok(())
    }

    /// Where `got` is not what is expected here.
    pub(crate) fn differences(&self, got: &Self) -> Vec<Difference> {
        let mut got = got.clone();
        // What is not said of the terms is not compared.
        got.grant_ms_max = got.grant_ms_max.filter(|_| self.grant_ms_max.is_some());
        got.uses_max = got.uses_max.filter(|_| self.uses_max.is_some());
        if let (Some(part), Some(whole)) = (&self.init_error, &got.init_error)
            && whole.contains(part.as_str())
        {
            return Vec::new();
        }
        self.differences_exactly(&got)
    }

    /// Where `got` is not this, member by member.
    pub(crate) fn differences_exactly(&self, got: &Self) -> Vec<Difference> {
        let (expected, got) = (self.members(), got.members());
        let names: BTreeSet<&String> = expected.keys().chain(got.keys()).collect();
        let differing = names.into_iter().filter(|name| expected.get(*name) != got.get(*name));
        differing
            .map(|name| Difference {
                member: name.clone(),
                expected: expected.get(name).map(Value::to_string),
                got: got.get(name).map(Value::to_string),
            })
            .collect()
    }

    /// The verdict, if it is one.
    pub(crate) const fn verdict_kind(&self) -> Option<VerdictKind> {
        self.verdict
    }

    /// The failure, if it is one.
    pub(crate) fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// The codes of its reasons.
    pub(crate) const fn reasons(&self) -> &BTreeSet<String> {
        &self.reasons
    }

    /// This as what a case expects, in the format's order and on one line; the terms that `old` does not compare
    /// are left out. None where nothing came, which no case can expect.
    pub(crate) fn as_expectation(&self, old: &Self) -> Option<String> {
        let mut kept = self.clone();
        kept.grant_ms_max = kept.grant_ms_max.filter(|_| old.grant_ms_max.is_some());
        kept.uses_max = kept.uses_max.filter(|_| old.uses_max.is_some());
        kept.in_full()
    }

    /// All of it, as a case would expect it.
    pub(crate) fn in_full(&self) -> Option<String> {
        const ORDER: [&str; 9] = [
            "verdict",
            "failure",
            "init_error",
            "reasons",
            "approvers",
            "grant_ms_max",
            "uses_max",
            "debits",
            "obligations",
        ];
        self.check().ok()?;
        let members = self.members();
        let said = ORDER.iter().filter_map(|name| Some((name, members.get(*name)?)));
        let said = said.filter(|(_, value)| !value.as_array().is_some_and(Vec::is_empty));
        let said: Vec<String> = said.map(|(name, value)| format!("\"{name}\": {value}")).collect();
        Some(format!("{{ {} }}", said.join(", ")))
    }

    fn verdict(kind: VerdictKind, reasons: &[Reason]) -> Self {
        let reasons = reasons.iter().map(|reason| reason.code.to_string()).collect();
        Self { verdict: Some(kind), reasons, ..Self::default() }
    }

    fn on(mut self, terms: &Terms) -> Self {
        // A policy that sets no limit of its own has one that no number in JSON can be.
        self.grant_ms_max = Some(terms.grant_ms_max).filter(|ms| *ms <= COUNT_MAX);
        self.uses_max = Some(terms.uses_max);
        self.debits = terms
            .debits
            .iter()
            .map(|debit| DebitSaid {
                counter: debit.counter.to_string(),
                amount: Number(debit.amount),
                at_most: Number(debit.at_most),
            })
            .collect();
        self.obligations = terms
            .obligations
            .iter()
            .map(|one| ObligationSaid {
                kind: one.kind.to_string(),
                // It was canonical JSON; were it not, it would be shown as the text that it is.
                parameters: serde_json::from_str(one.parameters.as_str())
                    .unwrap_or_else(|_| Value::String(one.parameters.as_str().to_owned())),
            })
            .collect();
        self
    }

    fn members(&self) -> Map<String, Value> {
        match serde_json::to_value(self) {
            Ok(Value::Object(members)) => members,
            // A struct with text for keys is an object; anything else shows up as a difference.
            other => Map::from_iter([("unexpected".to_owned(), Value::String(format!("{other:?}")))]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expect(text: &str) -> Said {
        serde_json::from_str(text).unwrap()
    }

    fn allowed() -> Said {
        let reason = |code: &str| Reason { code: code.parse().unwrap(), text: String::new(), public: true };
        let reasons = vec![reason("listed"), reason("known")];
        Said::outcome(&Outcome::Verdict(Verdict::Allow { terms: Terms::new(30_000, 1), reasons }))
    }

    #[track_caller]
    fn differs(expected: &str, got: &Said, differences: &[&str]) {
        let found: Vec<String> = expect(expected).differences(got).iter().map(ToString::to_string).collect();
        assert_eq!(found, differences);
    }

    #[test]
    fn differences_name_both_sides() {
        let got = allowed();
        differs(r#"{"verdict":"allow","reasons":["known","listed"]}"#, &got, &[]);
        differs(r#"{"verdict":"allow","reasons":["known","listed"],"grant_ms_max":30000,"uses_max":1}"#, &got, &[]);
        differs(
            r#"{"verdict":"deny","reasons":["known","listed"]}"#,
            &got,
            &[r#"verdict: expected "deny", got "allow""#],
        );
        differs(
            r#"{"verdict":"allow","uses_max":2}"#,
            &got,
            &[r#"reasons: expected [], got ["known","listed"]"#, "uses_max: expected 2, got 1"],
        );
        differs(
            r#"{"verdict":"abstain"}"#,
            &Said::outcome(&Outcome::Failed(Failure::Trap)),
            &[r#"failure: expected nothing, got "trap""#, r#"verdict: expected "abstain", got nothing"#],
        );
    }

    #[test]
    fn what_no_case_names_differs_all_the_same() {
        let said = |uses_max| {
            Said::outcome(&Outcome::Verdict(Verdict::Allow {
                terms: Terms::new(30_000, uses_max),
                reasons: Vec::new(),
            }))
        };
        assert!(expect(r#"{"verdict":"allow"}"#).differences(&said(2)).is_empty());
        let found: Vec<String> = said(1).differences_exactly(&said(2)).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["uses_max: expected 1, got 2"]);
        let refused = [Said::init_error("it is empty"), Said::init_error("it is empty: again")];
        assert_eq!(refused[0].differences_exactly(&refused[1]).len(), 1);
    }

    #[test]
    fn what_came_can_be_expected() {
        let text = |old: &str| allowed().as_expectation(&expect(old)).unwrap();
        assert_eq!(text(r#"{"verdict":"deny"}"#), r#"{ "verdict": "allow", "reasons": ["known","listed"] }"#);
        let with_terms = text(r#"{"verdict":"allow","uses_max":9}"#);
        assert_eq!(with_terms, r#"{ "verdict": "allow", "reasons": ["known","listed"], "uses_max": 1 }"#);
        assert!(expect(&with_terms).differences(&allowed()).is_empty());
        let refused = Said::init_error("at `a`: \"b\"");
        assert_eq!(refused.in_full().unwrap(), r#"{ "init_error": "at `a`: \"b\"" }"#);
        // Settings that were taken, with nothing asked, are no expectation.
        assert_eq!(Said::init_accepted().in_full(), None);
    }

    #[test]
    fn a_part_of_what_init_says_is_enough() {
        let refused = Said::init_error("settings: at `allow`: it is empty");
        differs(r#"{"init_error":"at `allow`"}"#, &refused, &[]);
        assert_eq!(expect(r#"{"init_error":"at `deny`"}"#).differences(&refused).len(), 1);
        assert_eq!(expect(r#"{"init_error":"at `allow`"}"#).differences(&Said::init_accepted()).len(), 1);
    }
}
