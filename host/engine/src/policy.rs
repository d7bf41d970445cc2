//! A policy that is ready to be evaluated, and what it says of itself.

use std::fmt;
use std::sync::Arc;

use attorn_artifact::Pin;
use attorn_core::{
    ComponentClass, CounterScope, CounterWindow, Digest, FactTemplate, PolicyId, PolicyLimits, ReasonCode,
};

use crate::compile::Activation;
use crate::threads::Threads;
use crate::v0_1::Contract;

/// What a component says of itself, without any settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// The policy's name, for people.
    pub name: String,
    /// The component's own version, for people.
    pub version: String,
    /// A JSON Schema of the settings. It is JSON; whether it is a schema nobody checked.
    pub settings_schema: String,
}

/// What a policy needs under its settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirements {
    /// Templates of the names of facts, each once, in the policy's order.
    pub facts: Vec<FactTemplate>,
    /// The reasons that it may give, each code once, sorted by code.
    pub reasons: Vec<ReasonDeclaration>,
    /// The counters that it may debit, each name once, in the policy's order.
    pub counters: Vec<CounterDeclaration>,
}

impl Requirements {
    /// The declaration of a reason.
    #[must_use]
    pub fn reason(&self, code: &str) -> Option<&ReasonDeclaration> {
        let at = self.reasons.binary_search_by(|reason| reason.code.as_str().cmp(code)).ok()?;
        self.reasons.get(at)
    }

    /// The declaration of a counter.
    #[must_use]
    pub fn counter(&self, name: &str) -> Option<&CounterDeclaration> {
        self.counters.iter().find(|counter| counter.name.as_str() == name)
    }
}

/// A reason that a policy may give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReasonDeclaration {
    /// Its code.
    pub code: ReasonCode,
    /// What it means, for people.
    pub text: String,
    /// Whether the agent may be shown it.
    pub public: bool,
}

/// A counter that a policy may debit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CounterDeclaration {
    /// Its name within the policy.
    pub name: ReasonCode,
    /// What one count means, for people.
    pub unit: String,
    /// Whom it counts for.
    pub scope: CounterScope,
    /// Over what time it counts.
    pub window: CounterWindow,
}

/// A component with its settings and limits, compiled and tried. Copies are cheap and share all of it.
#[derive(Clone)]
pub struct LoadedPolicy(Arc<Loaded>);

pub(crate) struct Loaded {
    pub(crate) name: PolicyId,
    pub(crate) component: Digest,
    pub(crate) settings: Box<str>,
    pub(crate) limits: PolicyLimits,
    pub(crate) description: Description,
    pub(crate) requirements: Requirements,
    pub(crate) contract: Contract,
    pub(crate) report: LoadReport,
    pub(crate) threads: Threads,
    #[expect(dead_code, reason = "it is held, not read")]
    pub(crate) pin: Option<Pin>,
}

/// How a policy was made ready, for operators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadReport {
    /// How each evaluation starts.
    pub activation: Activation,
    /// Whether its machine code was there already.
    pub from_cache: bool,
    /// The pool that it runs in; none if it fits none and maps memories of its own each time.
    pub pool: Option<ComponentClass>,
    /// CPU time of `init` when it was compiled, in microseconds.
    pub init_cpu_us: u64,
    /// The bytes of its machine code.
    pub machine_code_bytes: u64,
}

impl LoadedPolicy {
    pub(crate) fn new(loaded: Loaded) -> Self {
        Self(Arc::new(loaded))
    }

    pub(crate) fn loaded(&self) -> &Loaded {
        &self.0
    }

    /// Which policy this is.
    #[must_use]
    pub fn name(&self) -> &PolicyId {
        &self.0.name
    }

    /// The BLAKE3 digest of the component's bytes.
    #[must_use]
    pub fn component(&self) -> Digest {
        self.0.component
    }

    /// What the component says of itself.
    #[must_use]
    pub fn description(&self) -> &Description {
        &self.0.description
    }

    /// What it needs under its settings.
    #[must_use]
    pub fn requirements(&self) -> &Requirements {
        &self.0.requirements
    }

    /// How it was made ready.
    #[must_use]
    pub fn report(&self) -> &LoadReport {
        &self.0.report
    }

    /// What one evaluation may use.
    #[must_use]
    pub fn limits(&self) -> &PolicyLimits {
        &self.0.limits
    }
}

impl fmt::Debug for LoadedPolicy {
    /// Without the settings, which may hold what not everybody should read.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadedPolicy")
            .field("name", &self.0.name)
            .field("component", &self.0.component)
            .finish_non_exhaustive()
    }
}
