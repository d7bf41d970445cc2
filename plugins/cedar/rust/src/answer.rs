//! From Cedar's answer to a verdict.
//!
//! Cedar leaves out what it cannot evaluate. A `permit` that is left out permits nothing, and is named. A `forbid` that
//! is left out would let something pass, and so denies.

use std::collections::BTreeMap;
use std::time::Duration;

use attorn_policy::{Allow, Reason, ReasonDeclaration, Verdict, log};
use cedar_policy::{AuthorizationError, Decision, PolicyId, Response};

use crate::policies::Policies;
use crate::reasons::{FORBID_FAILED, FORBIDDEN, NO_PERMIT, PERMIT_FAILED, PERMITTED};
use crate::settings::{Cedar, Otherwise};

/// Reasons of one verdict, less the two that may be added to those of policies.
const OWN_REASONS_MAX: usize = 14;
/// Characters of one reason's text.
const TEXT_CHARS_MAX: usize = 512;

impl Cedar {
    /// What this answer comes to.
    pub(crate) fn verdict(&self, response: &Response) -> Verdict {
        let (forbids, permits): (Vec<_>, Vec<_>) =
            response.diagnostics().errors().partition(|error| self.policies.forbids(failed(error)));
        let forbid_failed = told(FORBID_FAILED, &forbids);
        let permit_failed = told(PERMIT_FAILED, &permits);
        for failure in [&forbid_failed, &permit_failed].into_iter().flatten() {
            log::warn(format!("{}: {}", failure.code, failure.text));
        }
        let determining = |otherwise| determining(&self.policies, response, otherwise);
        match response.decision() {
            Decision::Allow if forbid_failed.is_none() => {
                let mut reasons = determining(PERMITTED);
                reasons.extend(permit_failed);
                self.allow(reasons)
            }
            Decision::Deny if response.diagnostics().reason().next().is_some() => {
                let mut reasons = determining(FORBIDDEN);
                reasons.extend(forbid_failed);
                Verdict::Deny(reasons)
            }
            Decision::Allow | Decision::Deny => match forbid_failed {
                Some(failed) => Verdict::deny(failed),
                None if self.otherwise == Otherwise::Abstain => Verdict::Abstain,
                None => Verdict::Deny([Some(NO_PERMIT.into()), permit_failed].into_iter().flatten().collect()),
            },
        }
    }

    fn allow(&self, reasons: Vec<Reason>) -> Verdict {
        let mut allow: Allow = Verdict::allow();
        allow.reasons = reasons;
        if let Some(seconds) = self.grant_seconds_max {
            allow = allow.for_at_most(Duration::from_secs(seconds));
        }
        allow.into()
    }
}

fn failed(error: &AuthorizationError) -> &PolicyId {
    let AuthorizationError::PolicyEvaluationError(error) = error;
    error.policy_id()
}

/// The reasons of the policies that determined the answer, each code once. Policies without a code of their own, and
/// those for whose codes there is no room, have `otherwise`.
fn determining(policies: &Policies, response: &Response, otherwise: ReasonDeclaration) -> Vec<Reason> {
    let mut by_code: BTreeMap<&str, (Vec<&PolicyId>, Option<&str>)> = BTreeMap::new();
    let mut others: Vec<&PolicyId> = Vec::new();
    let mut ids: Vec<&PolicyId> = response.diagnostics().reason().collect();
    ids.sort();
    if !ids.is_empty() {
        // The record keeps it, also where the reason's text is for the agent.
        log::info(format!("determined by {}", listed(&ids)));
    }
    for id in ids {
        match policies.code(id) {
            Some((code, declared)) if by_code.contains_key(code) || by_code.len() < OWN_REASONS_MAX => {
                // What the agent may read does not say how the policies are called.
                let text = Some(declared.text.as_str()).filter(|_| declared.public);
                by_code.entry(code).or_insert((Vec::new(), text)).0.push(id);
            }
            _ => others.push(id),
        }
    }
    let mut reasons: Vec<Reason> = by_code
        .into_iter()
        .map(|(code, (ids, text))| Reason {
            code: code.to_owned(),
            text: bounded(text.map_or_else(|| listed(&ids), str::to_owned)),
        })
        .collect();
    if !others.is_empty() {
        reasons.push(otherwise.with_text(bounded(listed(&others))));
    }
    reasons
}

fn listed(ids: &[&PolicyId]) -> String {
    ids.iter().map(|id| format!("`{id}`")).collect::<Vec<_>>().join(", ")
}

/// That these failed, sorted; none if none did.
fn told(reason: ReasonDeclaration, errors: &[&AuthorizationError]) -> Option<Reason> {
    let mut texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
    texts.sort();
    (!texts.is_empty()).then(|| reason.with_text(bounded(texts.join("; "))))
}

pub(crate) fn bounded(text: String) -> String {
    match text.char_indices().nth(TEXT_CHARS_MAX - 1) {
        Some((at, c)) if at + c.len_utf8() < text.len() => format!("{}…", &text[..at]),
        _ => text,
    }
}
