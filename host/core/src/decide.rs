//! From the outcomes of all policies to one decision. The whole rule stands in [`decide`].

use crate::approval::{Met, can_all_be_met};
use crate::bounds::WithinBounds;
use crate::counter::{Charge, CounterScope, CounterSubject, Unchargeable, charges};
use crate::id::PolicyId;
use crate::reason::HostReason;
use crate::terms::Terms;
use crate::time::TimeMs;
use crate::verdict::{ApprovalRequirement, Failure, Outcome, Reason, Verdict};

/// What came of asking one enforcing policy whose selector matches. Shadow policies are never among
/// these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evaluated {
    /// Which policy.
    pub policy: PolicyId,
    /// Whether its silence denies.
    pub required: bool,
    /// What came of it.
    pub outcome: Outcome,
}

/// A decision as whoever reads it sees it: all that it says, and nothing that anything can be granted from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen<'a> {
    /// What was decided.
    pub kind: DecisionKind,
    /// Why.
    pub reasons: &'a [DecisionReason],
    /// Who has to approve; of a challenge alone.
    pub approvers: &'a [ApprovalRequirement],
    /// The terms of an allow or a challenge.
    pub terms: Option<&'a Terms>,
    /// What an allow charges.
    pub charges: &'a [Charge],
    /// When the grant of an allow ends.
    pub expires_at: Option<TimeMs>,
}

/// Which of the three a decision is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DecisionKind {
    /// Yes.
    Allow,
    /// Only with an approval.
    Challenge,
    /// No.
    Deny,
}

impl DecisionKind {
    /// All of them.
    pub const ALL: &[Self] = &[Self::Allow, Self::Challenge, Self::Deny];

    /// Its name on the wire and in the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Challenge => "challenge",
            Self::Deny => "deny",
        }
    }
}

/// What the bounds and all outcomes come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Yes.
    Allow(Allowed),
    /// Only with an approval.
    Challenge(Challenged),
    /// No.
    Deny(Denied),
}

impl Decision {
    /// All that it says.
    #[must_use]
    pub fn seen(&self) -> Seen<'_> {
        let (kind, reasons, approvers, terms): (_, _, &[_], _) = match self {
            Self::Allow(allowed) => (DecisionKind::Allow, &allowed.reasons, &[], Some(&allowed.terms)),
            Self::Challenge(challenged) => {
                (DecisionKind::Challenge, &challenged.reasons, &challenged.approvers, Some(&challenged.terms))
            }
            Self::Deny(denied) => (DecisionKind::Deny, &denied.reasons, &[], None),
        };
        let (charges, expires_at): (&[_], _) = match self {
            Self::Allow(allowed) => (&allowed.charges, Some(allowed.expires_at)),
            Self::Challenge(_) | Self::Deny(_) => (&[], None),
        };
        Seen { kind, reasons, approvers, terms, charges, expires_at }
    }
}

/// A yes. Only [`decide`] makes one, and a grant is made of nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowed {
    terms: Terms,
    charges: Vec<Charge>,
    expires_at: TimeMs,
    reasons: Vec<DecisionReason>,
}

impl Allowed {
    /// The strictest of all terms.
    #[must_use]
    pub const fn terms(&self) -> &Terms {
        &self.terms
    }

    /// What is charged in the same commit, or there is no allow: one for each counter.
    #[must_use]
    pub fn charges(&self) -> &[Charge] {
        &self.charges
    }

    /// When the grant ends: whole seconds, so that a token's `exp` says the same.
    #[must_use]
    pub const fn expires_at(&self) -> TimeMs {
        self.expires_at
    }

    /// Why.
    #[must_use]
    pub fn reasons(&self) -> &[DecisionReason] {
        &self.reasons
    }
}

/// A yes that waits for somebody else's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenged {
    /// The union of what all policies ask for, also of what was given already: it stays the same from one vote to the
    /// next.
    pub approvers: Vec<ApprovalRequirement>,
    /// The strictest of all terms.
    pub terms: Terms,
    /// Why.
    pub reasons: Vec<DecisionReason>,
}

/// A no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    /// Why; at least one.
    pub reasons: Vec<DecisionReason>,
}

impl Denied {
    /// A no of the host itself.
    #[must_use]
    pub fn by_host(reason: HostReason) -> Self {
        Self { reasons: vec![DecisionReason::Host(reason)] }
    }
}

/// Why a decision is as it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum DecisionReason {
    /// The host says so.
    Host(HostReason),
    /// A policy says so.
    Policy {
        /// Which.
        policy: PolicyId,
        /// Its words.
        reason: Reason,
    },
    /// A policy failed.
    Failed {
        /// Which.
        policy: PolicyId,
        /// How.
        failure: Failure,
    },
}

/// Combine what the policies say. Any deny or failure denies. Else, if a required policy abstains,
/// deny. Else, if the terms ask for what nobody enforces or what can never be charged, or a challenge for whom there
/// cannot be, deny. Else, if nobody allows or challenges, deny. Else, if the terms leave a grant no whole second, deny.
/// Else any challenge challenges. Else allow. The order of `evaluated` makes no difference.
///
/// A challenge that is met counts as an allow on its terms, and nothing else changes by what is met. As long as one is
/// not, the challenge asks for what all of them do.
#[must_use]
pub fn decide(bounds: &WithinBounds<'_>, met: &Met, evaluated: &[Evaluated]) -> Decision {
    combine((bounds.now(), bounds.widest_terms()), |scope| bounds.counter_subject(scope), met, evaluated)
}

/// The rule itself, which needs of the bounds only the time, the widest terms, and whom counters count for.
pub(crate) fn combine(
    (now, widest): (TimeMs, Terms),
    subject: impl Fn(CounterScope) -> Option<CounterSubject>,
    met: &Met,
    evaluated: &[Evaluated],
) -> Decision {
    if evaluated.is_empty() {
        return Decision::Deny(Denied::by_host(HostReason::NoApplicablePolicy));
    }
    let mut said = Said::nothing(widest);
    for one in evaluated {
        said.hear(one, met);
    }
    if !said.denials.is_empty() {
        return Decision::Deny(Denied { reasons: sorted(said.denials) });
    }
    // Nobody registers for obligations yet, and some debits can never be charged; terms that ask for
    // either cannot be kept. This comes before challenges, so that a challenge cannot lift it.
    if !said.terms.obligations.is_empty() {
        return Decision::Deny(Denied::by_host(HostReason::ObligationUnenforceable));
    }
    // What nobody can approve is nobody's to wait for.
    let with_user = subject(CounterScope::User).is_some();
    said.approvers.sort();
    said.approvers.dedup();
    if !can_all_be_met(&said.approvers, with_user) {
        return Decision::Deny(Denied::by_host(HostReason::ApprovalImpossible));
    }
    let charges = match charges(&said.terms.debits, &subject) {
        Ok(charges) => charges,
        Err(why) => return Decision::Deny(Denied::by_host(why.into())),
    };
    if said.approvers.is_empty() && !said.allowed {
        return Decision::Deny(Denied::by_host(HostReason::NotAllowed));
    }
    // A grant that is dead on arrival permits nothing, and is not called an allow. Nor does a challenge
    // lift that: nobody is asked to approve what could not be granted.
    let expires_at = TimeMs(now.plus_ms(said.terms.grant_ms_max).0 / 1000 * 1000);
    if expires_at <= now {
        return Decision::Deny(Denied::by_host(HostReason::GrantTooShort));
    }
    if said.waits {
        return Decision::Challenge(Challenged {
            approvers: said.approvers,
            terms: said.terms,
            reasons: sorted(said.challenges),
        });
    }
    // All that was asked for is met.
    said.allows.extend(said.challenges);
    Decision::Allow(Allowed { terms: said.terms, charges, expires_at, reasons: sorted(said.allows) })
}

impl From<Unchargeable> for HostReason {
    fn from(why: Unchargeable) -> Self {
        match why {
            Unchargeable::WithoutSubject => Self::CounterWithoutSubject,
            Unchargeable::OverLimit => Self::LimitExceeded,
        }
    }
}

/// All that was said so far, whoever said it.
struct Said {
    terms: Terms,
    allowed: bool,
    allows: Vec<DecisionReason>,
    challenges: Vec<DecisionReason>,
    approvers: Vec<ApprovalRequirement>,
    /// Whether some challenge is not met.
    waits: bool,
    denials: Vec<DecisionReason>,
}

impl Said {
    const fn nothing(terms: Terms) -> Self {
        Self {
            terms,
            allowed: false,
            allows: Vec::new(),
            challenges: Vec::new(),
            approvers: Vec::new(),
            waits: false,
            denials: Vec::new(),
        }
    }

    fn hear(&mut self, one: &Evaluated, met: &Met) {
        let by_policy = |reason: &Reason| DecisionReason::Policy { policy: one.policy.clone(), reason: reason.clone() };
        match &one.outcome {
            Outcome::Failed(failure) => {
                self.denials.push(DecisionReason::Failed { policy: one.policy.clone(), failure: *failure });
            }
            Outcome::Verdict(Verdict::Deny { reasons }) => {
                // A deny denies, also one that gives no reason.
                if reasons.is_empty() {
                    self.denials.push(DecisionReason::Host(HostReason::DeniedByPolicy));
                }
                self.denials.extend(reasons.iter().map(by_policy));
            }
            Outcome::Verdict(Verdict::Abstain) if one.required => {
                self.denials.push(DecisionReason::Host(HostReason::RequiredPolicyAbstained));
            }
            Outcome::Verdict(Verdict::Abstain) => {}
            Outcome::Verdict(Verdict::Challenge { approvers, terms, reason }) => {
                self.terms = self.terms.strictest(terms);
                // A challenge that asks for nobody could never be told from an allow.
                if approvers.is_empty() {
                    self.denials
                        .push(DecisionReason::Failed { policy: one.policy.clone(), failure: Failure::InvalidVerdict });
                }
                self.waits |= !met.covers(approvers);
                self.approvers.extend(approvers.iter().cloned());
                self.challenges.push(by_policy(reason));
            }
            Outcome::Verdict(Verdict::Allow { terms, reasons }) => {
                self.terms = self.terms.strictest(terms);
                self.allowed = true;
                self.allows.extend(reasons.iter().map(by_policy));
            }
        }
    }
}

fn sorted(mut reasons: Vec<DecisionReason>) -> Vec<DecisionReason> {
    reasons.sort();
    reasons.dedup();
    reasons
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
