//! What the values of rules come to. What is no answer denies.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use attorn_policy::{Allow, Challenge, Reason, ReasonDeclaration, Requirements, Terms, Verdict, log};
use regorus::Value;
use serde::Deserialize;
use serde_json::Value as Json;

use crate::reasons::{ALLOWED, CHALLENGED, DENIED, MALFORMED_ANSWER, NOT_ALLOWED};
use crate::settings::Otherwise;

/// Reasons of one verdict, less the one that stands for those without a code.
const OWN_REASONS_MAX: usize = 15;
/// Characters of one reason's text.
const TEXT_CHARS_MAX: usize = 512;

/// How answers become verdicts.
#[derive(Debug)]
pub(crate) struct Answers {
    pub(crate) otherwise: Otherwise,
    pub(crate) grant_seconds_max: Option<u64>,
    pub(crate) codes: BTreeMap<String, Code>,
    pub(crate) counters: BTreeSet<String>,
}

/// A code that the settings declare.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Code {
    pub(crate) text: String,
    #[serde(default)]
    pub(crate) public: bool,
}

/// The value of a rule `decision`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Decision {
    verdict: Said,
    #[serde(default)]
    reasons: Vec<Json>,
    grant_seconds_max: Option<u64>,
    uses_max: Option<u32>,
    #[serde(default)]
    debits: Vec<Debit>,
    #[serde(default)]
    obligations: Vec<Obligation>,
    #[serde(default)]
    approvers: Vec<Approver>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Said {
    Allow,
    Challenge,
    Deny,
    Abstain,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Debit {
    counter: String,
    amount: u64,
    at_most: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Obligation {
    kind: String,
    #[serde(default)]
    parameters: serde_json::Map<String, Json>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Approver {
    role: String,
    count: u32,
}

impl Answers {
    pub(crate) fn declare(&self, requirements: Requirements) -> Requirements {
        self.codes.iter().fold(requirements, |so_far, (code, about)| so_far.reason(code, &about.text, about.public))
    }

    /// What `allow` and `deny` come to; a rule that there is not is undefined.
    pub(crate) fn of_rules(&self, allow: &Value, deny: &Value) -> Verdict {
        match self.fired(deny, DENIED) {
            Err(why) => return malformed("deny", &why),
            Ok(Some(reasons)) => return Verdict::Deny(reasons),
            Ok(None) => {}
        }
        match self.fired(allow, ALLOWED) {
            Err(why) => malformed("allow", &why),
            Ok(Some(reasons)) => {
                let mut allow: Allow = Verdict::allow();
                allow.reasons = reasons;
                allow.terms.grant_ms_max = self.grant_ms_max(None);
                allow.into()
            }
            Ok(None) => self.silent(),
        }
    }

    /// What a `decision` comes to.
    pub(crate) fn of_decision(&self, decision: &Value) -> Verdict {
        if *decision == Value::Undefined {
            return self.silent();
        }
        let read = json(decision).and_then(|json| serde_json::from_value(json).map_err(|error| error.to_string()));
        let verdict = read.and_then(|decision: Decision| self.verdict(decision));
        verdict.unwrap_or_else(|why| malformed("decision", &why))
    }

    fn verdict(&self, decision: Decision) -> Result<Verdict, String> {
        let terms = self.terms(&decision)?;
        if decision.verdict != Said::Challenge && !decision.approvers.is_empty() {
            return Err("it names `approvers`, and is no `challenge`".into());
        }
        let reasons = |generic| self.reasons(&decision.reasons, generic);
        Ok(match decision.verdict {
            Said::Allow => Allow { terms, reasons: reasons(ALLOWED) }.into(),
            Said::Deny => Verdict::Deny(reasons(DENIED)),
            Said::Abstain => Verdict::Abstain,
            Said::Challenge => {
                let mut reasons = reasons(CHALLENGED);
                if decision.approvers.is_empty() || reasons.len() != 1 {
                    return Err("a `challenge` has `approvers`, and one reason".into());
                }
                let mut challenge: Challenge = Verdict::challenge(reasons.remove(0));
                challenge.terms = terms;
                let approvers = decision.approvers.into_iter();
                approvers.fold(challenge, |so_far, Approver { role, count }| so_far.approved_by(role, count)).into()
            }
        })
    }

    fn terms(&self, decision: &Decision) -> Result<Terms, String> {
        if decision.grant_seconds_max == Some(0) {
            return Err("`grant_seconds_max` is 0, and 1 is the least".into());
        }
        let mut terms = Allow { terms: Terms::none(), reasons: Vec::new() };
        terms.terms.grant_ms_max = self.grant_ms_max(decision.grant_seconds_max);
        terms.terms.uses_max = decision.uses_max;
        for debit in &decision.debits {
            if !self.counters.contains(&debit.counter) {
                return Err(format!("`{}` is none of the counters in the settings", debit.counter));
            }
            terms = terms.debit(&debit.counter, debit.amount, debit.at_most);
        }
        for obligation in &decision.obligations {
            terms = terms.oblige(&obligation.kind, &Json::Object(obligation.parameters.clone()));
        }
        Ok(terms.terms)
    }

    fn grant_ms_max(&self, of_rule: Option<u64>) -> Option<u64> {
        let seconds = [self.grant_seconds_max, of_rule].into_iter().flatten().min()?;
        let ms = Duration::from_secs(seconds).as_millis();
        Some(u64::try_from(ms).unwrap_or(u64::MAX).min(attorn_policy::NUMBER_MAX))
    }

    fn silent(&self) -> Verdict {
        match self.otherwise {
            Otherwise::Deny => Verdict::deny(NOT_ALLOWED),
            Otherwise::Abstain => Verdict::Abstain,
        }
    }

    /// The reasons of a rule that holds; none if it does not.
    fn fired(&self, value: &Value, generic: ReasonDeclaration) -> Result<Option<Vec<Reason>>, String> {
        let items = match value {
            Value::Undefined | Value::Bool(false) => return Ok(None),
            Value::Bool(true) => return Ok(Some(vec![generic.into()])),
            Value::Set(items) => items.iter().map(json).collect::<Result<Vec<_>, _>>()?,
            Value::Array(items) => items.iter().map(json).collect::<Result<Vec<_>, _>>()?,
            Value::String(_) | Value::Object(_) => vec![json(value)?],
            other => return Err(format!("it is {other}, and neither true, false nor reasons")),
        };
        Ok((!items.is_empty()).then(|| self.reasons(&items, generic)))
    }

    /// Each code once, with its texts. What has no declared code has `generic`.
    fn reasons(&self, items: &[Json], generic: ReasonDeclaration) -> Vec<Reason> {
        let mut by_code: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        let mut others = Vec::new();
        for item in items {
            let (code, message) = read(item);
            let declared = code.and_then(|code| self.codes.get_key_value(code));
            match declared {
                Some((code, _)) if by_code.len() < OWN_REASONS_MAX || by_code.contains_key(code.as_str()) => {
                    by_code.entry(code).or_default().extend(message);
                }
                _ => others.push(match (code, message) {
                    (Some(code), Some(message)) => format!("{code}: {message}"),
                    (Some(text), None) => text.to_owned(),
                    (None, Some(message)) => message,
                    (None, None) => item.to_string(),
                }),
            }
        }
        let text = |code: &str, texts: Vec<String>| {
            let declared = || self.codes.get(code).map(|about| about.text.clone()).unwrap_or_default();
            bounded(if texts.is_empty() { declared() } else { texts.join("; ") })
        };
        let own = by_code.into_iter().map(|(code, texts)| Reason { code: code.to_owned(), text: text(code, texts) });
        let mut reasons: Vec<Reason> = own.collect();
        if !others.is_empty() {
            reasons.push(generic.with_text(bounded(others.join("; "))));
        } else if reasons.is_empty() {
            reasons.push(generic.into());
        }
        reasons
    }
}

/// Tell the log why: the record keeps it, and the audit log has codes alone.
pub(crate) fn write_down(verdict: &Verdict) {
    let reasons = match verdict {
        Verdict::Allow(allow) => allow.reasons.as_slice(),
        Verdict::Deny(reasons) => reasons,
        Verdict::Challenge(challenge) => std::slice::from_ref(&challenge.reason),
        Verdict::Abstain => &[],
    };
    for reason in reasons {
        log::info(format!("{}: {}", reason.code, reason.text));
    }
}

/// The code and the message of one reason: a text is a code if there is such a one, and else the message.
fn read(item: &Json) -> (Option<&str>, Option<String>) {
    let Json::Object(members) = item else { return (item.as_str(), None) };
    let text = |names: [&str; 2]| names.iter().find_map(|name| members.get(*name)?.as_str());
    (text(["reason", "code"]), text(["message", "msg"]).map(str::to_owned))
}

fn malformed(rule: &str, why: &str) -> Verdict {
    Verdict::deny(MALFORMED_ANSWER.with_text(bounded(format!("`{rule}`: {why}"))))
}

/// A value as JSON has it: a set is an array.
fn json(value: &Value) -> Result<Json, String> {
    serde_json::to_value(value).map_err(|error| error.to_string())
}

pub(crate) fn bounded(text: String) -> String {
    match text.char_indices().nth(TEXT_CHARS_MAX - 1) {
        Some((at, c)) if at + c.len_utf8() < text.len() => format!("{}…", &text[..at]),
        _ => text,
    }
}
