//! What the host knows of a policy beside its component and settings.

use crate::agent::{Agent, UserPresence};
use crate::permission::{ActionPattern, ResourceType};
use crate::request::Request;

/// Whether a policy's outcome counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicyMode {
    /// It counts.
    Enforce,
    /// It is evaluated after the answer and recorded, and never counts.
    Shadow,
}

/// Which requests a policy is asked about. An empty list leaves that side open.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selector {
    /// Only these actions.
    pub actions: Vec<ActionPattern>,
    /// Only these types of resource.
    pub resource_types: Vec<ResourceType>,
    /// Only agents that have all these labels with these values.
    pub agent_labels: Vec<(crate::id::LabelName, String)>,
    /// Only requests of agents that act for a user, or only of those that act for none.
    pub user: Option<UserPresence>,
}

impl Selector {
    /// Whether the policy is asked about this request.
    #[must_use]
    pub fn matches(&self, agent: &Agent, request: &Request, user: UserPresence) -> bool {
        SelectorSide::ALL.iter().all(|side| self.side_matches(*side, agent, request, user))
    }

    /// The sides that keep the policy from being asked about this request; none if it is asked.
    pub fn mismatches(
        &self,
        agent: &Agent,
        request: &Request,
        user: UserPresence,
    ) -> impl Iterator<Item = SelectorSide> {
        SelectorSide::ALL.iter().copied().filter(move |side| !self.side_matches(*side, agent, request, user))
    }

    fn side_matches(&self, side: SelectorSide, agent: &Agent, request: &Request, user: UserPresence) -> bool {
        match side {
            SelectorSide::Actions => {
                self.actions.is_empty() || self.actions.iter().any(|pattern| pattern.covers(&request.action))
            }
            SelectorSide::ResourceTypes => {
                self.resource_types.is_empty() || self.resource_types.contains(&request.resource.resource_type())
            }
            SelectorSide::AgentLabels => {
                self.agent_labels.iter().all(|(name, value)| agent.labels.get(name) == Some(value))
            }
            SelectorSide::User => self.user.is_none_or(|only| only == user),
        }
    }
}

/// One of the things that a selector looks at. All of them have to match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SelectorSide {
    /// The request's action.
    Actions,
    /// The type of its resource.
    ResourceTypes,
    /// The agent's labels.
    AgentLabels,
    /// Whether it acts for a user.
    User,
}

impl SelectorSide {
    /// All of them.
    pub const ALL: &[Self] = &[Self::Actions, Self::ResourceTypes, Self::AgentLabels, Self::User];

    /// Its name on the wire, which is the selector's member.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Actions => "actions",
            Self::ResourceTypes => "resource_types",
            Self::AgentLabels => "agent_labels",
            Self::User => "user",
        }
    }
}

/// What kind of program a component is, which says what it may use unless its policy says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ComponentClass {
    /// Compiled from a language without a runtime to speak of.
    Native,
    /// An interpreter and its script.
    Script,
    /// A language with a large runtime.
    LargeRuntime,
}

impl ComponentClass {
    /// All of them, from the smallest.
    pub const ALL: &[Self] = &[Self::Native, Self::Script, Self::LargeRuntime];

    /// Its name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Script => "script",
            Self::LargeRuntime => "large_runtime",
        }
    }
}

/// What one evaluation may use. All of it is required: there is no "unlimited".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PolicyLimits {
    /// CPU time of `init` and `evaluate` together, in microseconds.
    pub cpu_us_max: u64,
    /// Wall time of the same, in microseconds; wider, because a busy machine is not the policy's fault.
    pub wall_us_max: u64,
    /// Bytes over all linear memories.
    pub memory_bytes_max: u64,
    /// Elements over all tables.
    pub table_elements_max: u64,
    /// Bytes that the host takes from a policy: its verdict, requirements or description.
    pub output_bytes_max: u64,
    /// Bytes of its log that are kept.
    pub log_bytes_max: u64,
}

impl PolicyLimits {
    /// Enough for a policy in Rust, C or Zig. Such a one takes well under a millisecond; the rest is for machines that
    /// are virtual, where a thread may be charged for 5 ms in which its processor was somebody else's.
    pub const NATIVE: Self = Self {
        cpu_us_max: 20_000,
        wall_us_max: 100_000,
        memory_bytes_max: 16 << 20,
        table_elements_max: 20_000,
        output_bytes_max: 256 << 10,
        log_bytes_max: 16 << 10,
    };
    /// Enough for an interpreter.
    pub const SCRIPT: Self = Self { cpu_us_max: 50_000, memory_bytes_max: 64 << 20, ..Self::NATIVE };
    /// Enough for a language that brings its runtime along.
    pub const LARGE_RUNTIME: Self =
        Self { cpu_us_max: 100_000, wall_us_max: 200_000, memory_bytes_max: 128 << 20, ..Self::NATIVE };

    /// What a component of this class may use unless its policy says otherwise.
    #[must_use]
    pub const fn of_class(class: ComponentClass) -> Self {
        match class {
            ComponentClass::Native => Self::NATIVE,
            ComponentClass::Script => Self::SCRIPT,
            ComponentClass::LargeRuntime => Self::LARGE_RUNTIME,
        }
    }
}
