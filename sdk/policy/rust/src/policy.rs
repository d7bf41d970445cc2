//! What a policy's author writes.

use serde::de::DeserializeOwned;

use crate::bindings::exports::attorn::policy::policy as wit;
use crate::{Context, CounterDeclaration, Error, Reason, Requirements, Scope, Verdict, Window};

/// A policy: its settings, and what it makes of a request.
///
/// The type is what the settings' JSON text is parsed into, once for each activation. Put
/// `#[serde(deny_unknown_fields)]` on it, so that a misspelt setting is refused and not ignored.
pub trait Policy: DeserializeOwned + 'static {
    /// The policy's name, for people: 1 to 64 characters.
    const NAME: &'static str;

    /// The component's own version, for people: semver. Usually `env!("CARGO_PKG_VERSION")`.
    const VERSION: &'static str;

    /// A JSON Schema (2020-12) of the settings; at most 64 KiB. Usually
    /// `include_str!("../settings.schema.json")`.
    const SETTINGS_SCHEMA: &'static str = r#"{"type":"object"}"#;

    /// The reasons that the policy may give; at most 64. A verdict with any other is a failure, and a
    /// failure denies. Those that depend on the settings are added by [`Requirements::reason`].
    const REASONS: &'static [ReasonDeclaration];

    /// Check the settings as a whole, and say which facts and counters are needed under them. The host
    /// calls it once, when the policy is activated; an error refuses the activation.
    ///
    /// # Errors
    ///
    /// What is wrong with the settings.
    fn requirements(&self) -> Result<Requirements, Error> {
        Ok(Requirements::none())
    }

    /// Decide. It sees nothing but `self` and `ctx`, and nothing that it writes is seen again.
    ///
    /// # Errors
    ///
    /// Why there is no verdict. That is a failure of the policy: it denies.
    fn evaluate(&self, ctx: &Context) -> Result<Verdict, Error>;
}

/// A reason that a policy may give. Declare each as a `const` and list them in [`Policy::REASONS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReasonDeclaration {
    code: &'static str,
    text: &'static str,
    public: bool,
}

impl ReasonDeclaration {
    /// A reason that the agent may read. `code` is `[a-z][a-z0-9_]*` of at most 64 characters, and
    /// stable, because clients match on it; `text` is what it means, at most 256 characters.
    #[must_use]
    pub const fn public(code: &'static str, text: &'static str) -> Self {
        Self { code, text, public: true }
    }

    /// A reason that only operators and auditors may read. The agent reads `denied_by_policy` or
    /// `approval_required` in its place.
    #[must_use]
    pub const fn private(code: &'static str, text: &'static str) -> Self {
        Self { code, text, public: false }
    }

    /// Its code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        self.code
    }

    /// This reason with a text of its own, at most 512 characters, which says what it means here.
    #[must_use]
    pub fn with_text(self, text: impl Into<String>) -> Reason {
        Reason { code: self.code.to_owned(), text: text.into() }
    }
}

impl From<ReasonDeclaration> for Reason {
    fn from(declaration: ReasonDeclaration) -> Self {
        declaration.with_text(declaration.text)
    }
}

impl From<ReasonDeclaration> for wit::ReasonDeclaration {
    fn from(declaration: ReasonDeclaration) -> Self {
        Self { code: declaration.code.to_owned(), text: declaration.text.to_owned(), public: declaration.public }
    }
}

impl Requirements {
    /// No facts and no counters. The reasons are added from [`Policy::REASONS`].
    #[must_use]
    pub const fn none() -> Self {
        Self { facts: Vec::new(), reasons: Vec::new(), counters: Vec::new() }
    }

    /// And this fact: a template over the context, such as
    /// `resource/{request.resource_type}/{request.resource_id}/owner`. Each segment is text or one field, and
    /// `{request.session}` is the delegation's, never what the agent states. At most 32.
    #[must_use]
    pub fn fact(mut self, template: impl Into<String>) -> Self {
        self.facts.push(template.into());
        self
    }

    /// And this reason, whose code comes from the settings. At most 64 with those of [`Policy::REASONS`], no code
    /// twice; `code`, `text` and `public` are as in a [`ReasonDeclaration`].
    #[must_use]
    pub fn reason(mut self, code: impl Into<String>, text: impl Into<String>, public: bool) -> Self {
        self.reasons.push(wit::ReasonDeclaration { code: code.into(), text: text.into(), public });
        self
    }

    /// And this counter, which the policy may debit. At most 16. `name` is `[a-z][a-z0-9_]*` of at most
    /// 64 characters, and `unit` says what one count means: `requests`, `cents`.
    #[must_use]
    pub fn counter(mut self, name: impl Into<String>, unit: impl Into<String>, scope: Scope, window: Window) -> Self {
        self.counters.push(CounterDeclaration { name: name.into(), unit: unit.into(), scope, window });
        self
    }
}
