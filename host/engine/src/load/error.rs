//! Why a policy cannot be loaded.

use std::fmt;

use attorn_core::{Failure, PolicyLimits};
use serde::{Deserialize, Serialize};

use crate::sandbox::Failed;
use crate::text;

/// The most bytes of a problem.
const PROBLEM_BYTES_MAX: usize = 2_048;

/// Why a policy cannot be loaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum LoadError {
    /// The component or its limits are not fit.
    #[error("the component failed the step `{step}`: {problem}")]
    Refused {
        /// How far it got.
        step: LoadStep,
        /// What is wrong.
        problem: String,
        /// What to do about it.
        help: Option<String>,
    },
    /// The component takes more time than it may.
    #[error("the component failed the step `{step}`: {problem}")]
    TooSlow {
        /// How far it got.
        step: LoadStep,
        /// How long it took, and how long it may.
        problem: String,
    },
    /// The component is fit, and does not take these settings.
    #[error("the policy rejects its settings: {problem}")]
    SettingsRejected {
        /// Its own words.
        problem: String,
    },
    /// Nothing is known of the component: nobody got to compile it.
    #[error("the component was not compiled: {problem}")]
    NotCompiled {
        /// Why.
        problem: String,
    },
    /// Somebody cancelled it.
    #[error("loading was cancelled")]
    Cancelled,
}

impl LoadError {
    pub(crate) fn new(step: LoadStep, problem: impl Into<String>) -> Self {
        Self::Refused { step, problem: text::bounded(&problem.into(), PROBLEM_BYTES_MAX), help: None }
    }

    pub(crate) fn too_slow(step: LoadStep, problem: String) -> Self {
        Self::TooSlow { step, problem }
    }

    pub(crate) fn not_compiled(problem: &dyn fmt::Display) -> Self {
        Self::NotCompiled { problem: text::bounded(&problem.to_string(), PROBLEM_BYTES_MAX) }
    }

    pub(crate) fn settings_rejected(problem: &str) -> Self {
        Self::SettingsRejected { problem: text::bounded(problem, PROBLEM_BYTES_MAX) }
    }

    /// A trial run failed.
    pub(crate) fn failed(step: LoadStep, failed: &Failed, limits: &PolicyLimits) -> Self {
        let PolicyLimits { cpu_us_max, memory_bytes_max, table_elements_max, output_bytes_max, .. } = limits;
        let what = match failed.failure {
            Failure::Deadline => {
                return Self::too_slow(step, format!("it used more than {cpu_us_max} us of CPU time"));
            }
            Failure::Memory => {
                format!(
                    "it asked for more than {memory_bytes_max} bytes of memory or {table_elements_max} table elements"
                )
            }
            Failure::OutputTooLarge => format!("it answered more than {output_bytes_max} bytes"),
            Failure::Trap => format!("it trapped: {}", failed.detail),
            Failure::NotRunnable | Failure::Paused => format!("it cannot be instantiated: {}", failed.detail),
            Failure::InvalidVerdict | Failure::PolicyError | Failure::InitFailed => {
                format!("its answer breaks the contract: {}", failed.detail)
            }
        };
        Self::new(step, what)
    }

    /// `init` would take too large a part of each evaluation.
    pub(crate) fn init_time(cpu_us: u64, limits: &PolicyLimits) -> Self {
        let share = limits.cpu_us_max / 2;
        Self::too_slow(LoadStep::InitTime, format!("`init` took {cpu_us} us of CPU time, and {share} is the most"))
    }

    pub(crate) fn with_help(self, help: &str) -> Self {
        match self {
            Self::Refused { step, problem, .. } => Self::Refused { step, problem, help: Some(help.to_owned()) },
            other => other,
        }
    }

    /// How far the component got.
    #[must_use]
    pub const fn step(&self) -> LoadStep {
        match self {
            Self::Refused { step, .. } | Self::TooSlow { step, .. } => *step,
            Self::SettingsRejected { .. } => LoadStep::Init,
            Self::NotCompiled { .. } | Self::Cancelled => LoadStep::Compile,
        }
    }

    /// What to do about it, in one line.
    #[must_use]
    pub fn help(&self) -> Option<&str> {
        match self {
            Self::Refused { help, .. } => help.as_deref(),
            Self::TooSlow { step: LoadStep::InitTime, .. } => Some(
                "no snapshot can be taken of this component, so `init` runs before each evaluation and may use half of \
                 its CPU time",
            ),
            Self::TooSlow { .. } => Some("let it do less, or raise the policy's limit of CPU time"),
            Self::NotCompiled { .. } => Some("try again; if that does not help, see the server's log"),
            Self::Cancelled => None,
            Self::SettingsRejected { .. } => Some("see the policy's README and its settings.schema.json"),
        }
    }

    /// What is wrong, without the step: one line or several.
    #[must_use]
    pub fn problem(&self) -> &str {
        match self {
            Self::Refused { problem, .. }
            | Self::TooSlow { problem, .. }
            | Self::SettingsRejected { problem }
            | Self::NotCompiled { problem } => problem,
            Self::Cancelled => "it was cancelled",
        }
    }

    /// Whether it may load with other settings: it failed in `init`, or because of what `init` asked for.
    #[must_use]
    pub const fn may_load_otherwise(&self) -> bool {
        matches!(self.step(), LoadStep::Init | LoadStep::InitTime | LoadStep::Requirements)
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
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
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
    /// It waits until nothing else is compiled.
    Turn = "turn",
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
    /// The state that `init` left is made the component's own. A component where that cannot be done is
    /// fit nevertheless.
    Snapshot = "snapshot",
    /// What `init` asks for is checked.
    Requirements = "requirements",
    /// What `init` costs is compared with what an evaluation may cost.
    InitTime = "init time",
    /// Its `describe` is called where decisions will run it.
    SelfTest = "self-test",
}

impl fmt::Display for LoadStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
