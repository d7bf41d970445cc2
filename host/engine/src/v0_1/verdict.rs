//! A verdict, checked against what the policy declared.
//!
//! What breaks the contract is refused whole: a verdict that is half understood could be read as more
//! than the policy said.

use attorn_core::verdict::{ApprovalRequirement, Reason};
use attorn_core::{Debit, Obligation, PolicyId, Terms, Verdict};

use super::{NUMBER_MAX, raw};
use crate::json;
use crate::policy::Requirements;
use crate::text::shown;

const REASONS_MAX: usize = 16;
const TEXT_CHARS_MAX: usize = 512;
const DEBITS_MAX: usize = 16;
const OBLIGATIONS_MAX: usize = 16;
const APPROVALS_MAX: usize = 8;

/// The verdict in the words of the domain, or what is wrong with it.
pub(crate) fn verdict(raw: raw::Verdict, policy: &PolicyId, declared: &Requirements) -> Result<Verdict, String> {
    let reader = Reader { policy, declared };
    match raw {
        raw::Verdict::Allow(allow) => {
            Ok(Verdict::Allow { terms: reader.terms(allow.terms)?, reasons: reader.reasons(allow.reasons)? })
        }
        raw::Verdict::Challenge(challenge) => Ok(Verdict::Challenge {
            approvers: approvals(challenge.approvers)?,
            terms: reader.terms(challenge.terms)?,
            reason: reader.reason(challenge.reason)?,
        }),
        raw::Verdict::Deny(reasons) if reasons.is_empty() => Err("a deny gives no reason".into()),
        raw::Verdict::Deny(reasons) => Ok(Verdict::Deny { reasons: reader.reasons(reasons)? }),
        raw::Verdict::Abstain => Ok(Verdict::Abstain),
    }
}

struct Reader<'a> {
    policy: &'a PolicyId,
    declared: &'a Requirements,
}

impl Reader<'_> {
    fn reasons(&self, reasons: Vec<raw::Reason>) -> Result<Vec<Reason>, String> {
        at_most("reasons", reasons.len(), REASONS_MAX)?;
        reasons.into_iter().map(|reason| self.reason(reason)).collect()
    }

    fn reason(&self, raw: raw::Reason) -> Result<Reason, String> {
        let declared = self.declared.reason(&raw.code);
        let declared = declared.ok_or_else(|| format!("the reason `{}` is not declared", shown(&raw.code)))?;
        let count = raw.text.chars().count();
        if count > TEXT_CHARS_MAX {
            let code = &declared.code;
            return Err(format!(
                "the text of the reason `{code}` has {count} characters, and {TEXT_CHARS_MAX} is the most"
            ));
        }
        Ok(Reason { code: declared.code.clone(), text: raw.text, public: declared.public })
    }

    fn terms(&self, raw: raw::Terms) -> Result<Terms, String> {
        at_most("debits", raw.debits.len(), DEBITS_MAX)?;
        at_most("obligations", raw.obligations.len(), OBLIGATIONS_MAX)?;
        if raw.grant_ms_max == Some(0) {
            return Err("`grant-ms-max` is 0".into());
        }
        number("`grant-ms-max`", raw.grant_ms_max.unwrap_or(0))?;
        if raw.uses_max == Some(0) {
            return Err("`uses-max` is 0".into());
        }
        Ok(Terms {
            // None sets no limit of the policy's own; the host's holds.
            grant_ms_max: raw.grant_ms_max.unwrap_or(u64::MAX),
            uses_max: raw.uses_max.unwrap_or(1),
            debits: raw.debits.into_iter().map(|debit| self.debit(&debit)).collect::<Result<_, _>>()?,
            obligations: raw.obligations.into_iter().map(|raw| obligation(&raw)).collect::<Result<_, _>>()?,
        })
    }

    fn debit(&self, raw: &raw::Debit) -> Result<Debit, String> {
        let declared = self.declared.counter(&raw.counter);
        let declared = declared.ok_or_else(|| format!("the counter `{}` is not declared", shown(&raw.counter)))?;
        if raw.amount == 0 {
            return Err(format!("a debit of the counter `{}` is 0", declared.name));
        }
        number(&format!("a debit of the counter `{}`", declared.name), raw.amount)?;
        number(&format!("the limit of the counter `{}`", declared.name), raw.at_most)?;
        Ok(Debit {
            policy: self.policy.clone(),
            counter: declared.name.clone(),
            scope: declared.scope,
            window: declared.window,
            amount: raw.amount,
            at_most: raw.at_most,
        })
    }
}

fn obligation(raw: &raw::Obligation) -> Result<Obligation, String> {
    let kind = raw.kind.parse().map_err(|error| format!("the kind of an obligation: {error}"))?;
    let parameters = json::canonical_object(&raw.parameters)
        .map_err(|problem| format!("the parameters of the obligation `{kind}`: {problem}"))?;
    Ok(Obligation { kind, parameters })
}

fn approvals(raw: Vec<raw::ApprovalRequirement>) -> Result<Vec<ApprovalRequirement>, String> {
    if raw.is_empty() {
        return Err("a challenge asks for no approval".into());
    }
    at_most("approvals", raw.len(), APPROVALS_MAX)?;
    let approval = |raw: raw::ApprovalRequirement| {
        let role = raw.role.parse().map_err(|error| format!("the role of an approval: {error}"))?;
        if raw.count == 0 {
            return Err(format!("0 approvals of the role `{role}` are asked for"));
        }
        Ok(ApprovalRequirement { role, count: raw.count })
    };
    raw.into_iter().map(approval).collect()
}

fn number(what: &str, number: u64) -> Result<(), String> {
    if number > NUMBER_MAX {
        return Err(format!("{what} is {number}, and {NUMBER_MAX} is the most"));
    }
    Ok(())
}

fn at_most(what: &str, count: usize, max: usize) -> Result<(), String> {
    if count > max {
        return Err(format!("it has {count} {what}, and {max} is the most"));
    }
    Ok(())
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;
