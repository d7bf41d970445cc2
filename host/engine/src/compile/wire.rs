//! What is said about a compiled policy: between a compile worker and its parent, and in the cache. Both
//! ends are the same program, and what is kept carries its version in its name, so this needs none.

use attorn_core::PolicyLimits;
use serde::{Deserialize, Serialize};

use crate::load::LoadError;
use crate::v0_1::raw;

/// What a worker is asked for.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum AskWire {
    /// Machine code.
    Compile(JobWire),
    /// What a component says of itself, and nothing that is kept of it. The component stands beside.
    Describe(#[serde(with = "LimitsWire")] PolicyLimits),
}

/// What it is to be compiled with, beside the component, the settings and what is there to be used again.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct JobWire {
    #[serde(with = "LimitsWire")]
    pub(super) limits: PolicyLimits,
    pub(super) metered: bool,
    pub(super) without_snapshot: bool,
    pub(super) earlier: EarlierWire,
}

/// What machine code is there from before, behind all else that is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum EarlierWire {
    /// None.
    Nothing,
    /// That of the component that can be read from outside.
    Instrumented,
    /// That of the component as it came.
    Plain,
}

/// What a worker answers, beside what it compiled.
pub(super) type AnswerWire = Result<AboutWire, LoadError>;

/// What a worker answers of a component that was to be described: name, version, and the schema of the settings.
pub(super) type DescribedWire = Result<(String, String, String), LoadError>;

/// How a policy starts each evaluation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Activation {
    /// From a snapshot that was taken after `init`.
    Snapshot,
    /// From the component as it came; `init` runs before each `evaluate`, under the same limits.
    InitEachTime {
        /// Why no snapshot could be taken.
        reason: String,
    },
}

/// What a policy said of itself when it was compiled, not checked yet.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct AboutWire {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) settings_schema: String,
    pub(super) facts: Vec<String>,
    /// Code, text, and whether it is public.
    pub(super) reasons: Vec<(String, String, bool)>,
    /// Name, unit, and what the contract numbers scope and window with.
    pub(super) counters: Vec<(String, String, u8, u8)>,
    pub(super) activation: Activation,
    /// CPU time of `init`, in microseconds.
    pub(super) init_cpu_us: u64,
}

const SCOPES: [raw::Scope; 5] =
    [raw::Scope::Agent, raw::Scope::User, raw::Scope::UserAgent, raw::Scope::RootDelegation, raw::Scope::Session];
const WINDOWS: [raw::Window; 5] =
    [raw::Window::Minute, raw::Window::Hour, raw::Window::Day, raw::Window::Month, raw::Window::Total];

impl AboutWire {
    pub(super) fn new(
        description: raw::Description,
        requirements: raw::Requirements,
        activation: Activation,
        init_cpu_us: u64,
    ) -> Self {
        let reason = |reason: raw::ReasonDeclaration| (reason.code, reason.text, reason.public);
        let counter = |counter: raw::CounterDeclaration| {
            (counter.name, counter.unit, at(&SCOPES, &counter.scope), at(&WINDOWS, &counter.window))
        };
        Self {
            name: description.name,
            version: description.version,
            settings_schema: description.settings_schema,
            facts: requirements.facts,
            reasons: requirements.reasons.into_iter().map(reason).collect(),
            counters: requirements.counters.into_iter().map(counter).collect(),
            activation,
            init_cpu_us,
        }
    }

    pub(super) fn description(&self) -> raw::Description {
        raw::Description {
            name: self.name.clone(),
            version: self.version.clone(),
            settings_schema: self.settings_schema.clone(),
        }
    }

    /// None if a number stands for nothing.
    pub(super) fn requirements(&self) -> Option<raw::Requirements> {
        let reason = |(code, text, public): &(String, String, bool)| raw::ReasonDeclaration {
            code: code.clone(),
            text: text.clone(),
            public: *public,
        };
        let counter = |(name, unit, scope, window): &(String, String, u8, u8)| {
            Some(raw::CounterDeclaration {
                name: name.clone(),
                unit: unit.clone(),
                scope: *SCOPES.get(usize::from(*scope))?,
                window: *WINDOWS.get(usize::from(*window))?,
            })
        };
        Some(raw::Requirements {
            facts: self.facts.clone(),
            reasons: self.reasons.iter().map(reason).collect(),
            counters: self.counters.iter().map(counter).collect::<Option<_>>()?,
        })
    }
}

fn at<T: PartialEq>(all: &[T], one: &T) -> u8 {
    let found = all.iter().position(|other| other == one).and_then(|at| u8::try_from(at).ok());
    found.unwrap_or(u8::MAX)
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "PolicyLimits", deny_unknown_fields)]
#[expect(clippy::struct_field_names, reason = "the fields are those of the type that it stands for")]
struct LimitsWire {
    cpu_us_max: u64,
    wall_us_max: u64,
    memory_bytes_max: u64,
    table_elements_max: u64,
    output_bytes_max: u64,
    log_bytes_max: u64,
}
