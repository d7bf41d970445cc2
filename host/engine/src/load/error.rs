//! Why a policy cannot be loaded.

use std::fmt;

use attorn_core::{Failure, PolicyLimits};

use crate::sandbox::Failed;
use crate::text;

/// The most bytes of a problem.
const PROBLEM_BYTES_MAX: usize = 2_048;

/// Why a policy cannot be loaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// The component or its limits are not fit.
    #[error("the component failed the step `{step}`: {problem}")]
    Refused {
        /// How far it got.
        step: LoadStep,
        /// What is wrong.
        problem: String,
        /// What to do about it.
        help: Option<&'static str>,
    },
    /// The component is fit, and does not take these settings.
    #[error("the policy rejects its settings: {problem}")]
    SettingsRejected {
        /// Its own words.
        problem: String,
    },
}

impl LoadError {
    pub(crate) fn new(step: LoadStep, problem: impl Into<String>) -> Self {
        Self::Refused { step, problem: text::bounded(&problem.into(), PROBLEM_BYTES_MAX), help: None }
    }

    pub(crate) fn settings_rejected(problem: &str) -> Self {
        Self::SettingsRejected { problem: text::bounded(problem, PROBLEM_BYTES_MAX) }
    }

    /// A trial run failed.
    pub(crate) fn failed(step: LoadStep, failed: &Failed, limits: &PolicyLimits) -> Self {
        let PolicyLimits { cpu_us_max, memory_bytes_max, table_elements_max, output_bytes_max, .. } = limits;
        let what = match failed.failure {
            Failure::Deadline => format!("it used more than {cpu_us_max} us of CPU time"),
            Failure::Memory => {
                format!(
                    "it asked for more than {memory_bytes_max} bytes of memory or {table_elements_max} table elements"
                )
            }
            Failure::OutputTooLarge => format!("it answered more than {output_bytes_max} bytes"),
            Failure::Trap => format!("it trapped: {}", failed.detail),
            Failure::NotRunnable => format!("it cannot be instantiated: {}", failed.detail),
            Failure::InvalidVerdict | Failure::PolicyError | Failure::InitFailed => {
                format!("its answer breaks the contract: {}", failed.detail)
            }
        };
        Self::new(step, what)
    }

    pub(crate) fn with_help(self, help: &'static str) -> Self {
        match self {
            Self::Refused { step, problem, .. } => Self::Refused { step, problem, help: Some(help) },
            other => other,
        }
    }

    /// How far the component got.
    #[must_use]
    pub const fn step(&self) -> LoadStep {
        match self {
            Self::Refused { step, .. } => *step,
            Self::SettingsRejected { .. } => LoadStep::Init,
        }
    }

    /// What to do about it, in one line.
    #[must_use]
    pub const fn help(&self) -> Option<&str> {
        match self {
            Self::Refused { help, .. } => *help,
            Self::SettingsRejected { .. } => Some("see the policy's README and its settings.schema.json"),
        }
    }

    /// Whether the settings are to blame, and not the component.
    #[must_use]
    pub const fn is_settings(&self) -> bool {
        matches!(self, Self::SettingsRejected { .. })
    }
}

macro_rules! steps {
    ($($(#[$doc:meta])* $step:ident = $name:literal,)*) => {
        /// A step of loading, in the order in which they are taken.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum LoadStep {
            $($(#[$doc])* $step,)*
        }

        impl LoadStep {
            /// Its name in messages.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$step => $name,)*
                }
            }
        }
    };
}

steps! {
    /// The limits are compared with what the engine has.
    Limits = "limits",
    /// The sizes of component and settings are checked.
    Size = "size",
    /// The bytes are read as a component.
    Parse = "parse",
    /// What it imports is compared with the one interface that there is.
    Imports = "imports",
    /// What it exports is compared with the contract.
    Exports = "exports",
    /// It is validated and compiled.
    Compile = "compile",
    /// What it needs from the start is compared with its limits.
    Resources = "resources",
    /// Its imports and exports are connected.
    Link = "link",
    /// `describe` is run in a sandbox.
    Describe = "describe",
    /// `init` is run in a sandbox, with the settings.
    Init = "init",
    /// What `init` asks for is checked.
    Requirements = "requirements",
    /// What `init` costs is compared with what an evaluation may cost.
    InitTime = "init time",
}

impl fmt::Display for LoadStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
