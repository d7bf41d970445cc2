//! What a repair does only where somebody answers for it.

use crate::imprint::ForeignState;

/// What somebody answers for who asks for a repair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// A state that somebody else may have written.
    pub foreign: ForeignState,
    /// That what was acknowledged last may be lost.
    pub lost_end: LostEnd,
}

impl Accepted {
    /// Nothing that anybody would have to answer for.
    pub const NOTHING: Self = Self { foreign: ForeignState::Refused, lost_end: LostEnd::Refused };
    #[cfg(test)]
    pub(crate) const FOREIGN: Self = Self { foreign: ForeignState::Accepted, ..Self::NOTHING };
    #[cfg(test)]
    pub(crate) const LOST_END: Self = Self { lost_end: LostEnd::Accepted, ..Self::NOTHING };
}

/// What becomes of an engine that was in use when it ended, where base copy and journal have less than it: what the journal
/// had beyond the engine is lost then, and nobody can say whether it had anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LostEnd {
    /// Nothing is begun with it.
    Refused,
    /// It is gone on with.
    Accepted,
}
