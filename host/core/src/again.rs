//! Deciding once more what was decided before, from what was recorded of it.
//!
//! The rule is the one that [`fn@crate::decide`] applies. What was recorded stands in for the bounds: the context that
//! the policies saw, and the widest terms that the bounds left. The bounds themselves are not checked again.
//!
//! INVARIANT: nothing comes of it. What is decided again can be looked at and compared, and no [`crate::Allowed`]
//! leaves this module, so that no grant is ever made of a replay.

use crate::approval::Met;
use crate::context::EvaluationContext;
use crate::decide::{Decision, Denied, Evaluated, Seen, combine};
use crate::reason::HostReason;
use crate::terms::Terms;

/// What is decided again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Again(Decision);

impl Again {
    /// Combine what policies say about a recorded context, under the widest terms that the bounds left then.
    #[must_use]
    pub fn decide(context: &EvaluationContext, widest: Terms, evaluated: &[Evaluated]) -> Self {
        let met = Met::again(context);
        Self(combine((context.time, widest), |scope| scope.subject(context), &met, evaluated))
    }

    /// A no of the host itself.
    #[must_use]
    pub fn deny(reason: HostReason) -> Self {
        Self(Decision::Deny(Denied::by_host(reason)))
    }

    /// All that it says.
    #[must_use]
    pub fn seen(&self) -> Seen<'_> {
        self.0.seen()
    }
}
