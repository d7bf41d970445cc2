//! Testing a policy as plain Rust, without WebAssembly or a host. Only there where the target is not
//! WebAssembly.
//!
//! It checks of a verdict what is easy to get wrong, which is whether its reasons and counters are
//! declared. It bounds neither time nor memory: for that, run the policy's cases through the engine.

#[expect(clippy::expect_used, reason = "an assertion fails by panicking")]
mod documents;

pub use documents::{assert_reasons_have_cases, assert_schema_names_the_fields, assert_settings_are_taken};

use crate::{
    Agent, AuthenticationMethod, Caller, Context, Error, Fact, Phase, Policy, Reason, Request, Requirements, Terms,
    User, Verdict, component,
};

/// A policy under test, with the settings it was given.
#[derive(Debug)]
pub struct Tested<P> {
    policy: P,
    requirements: Requirements,
}

impl<P: Policy> Tested<P> {
    /// What `init` makes of these settings, one JSON text.
    ///
    /// # Errors
    ///
    /// The policy refuses them.
    pub fn new(settings: &str) -> Result<Self, Error> {
        component::start(settings).map(|(policy, requirements)| Self { policy, requirements })
    }

    /// What it needs under these settings.
    #[must_use]
    pub const fn requirements(&self) -> &Requirements {
        &self.requirements
    }

    /// What it says.
    ///
    /// # Errors
    ///
    /// The policy's own, or that the verdict gives a reason or debits a counter that is not declared.
    pub fn evaluate(&self, ctx: &Context) -> Result<Verdict, Error> {
        let verdict = self.policy.evaluate(ctx)?;
        match &verdict {
            Verdict::Allow(allow) => {
                self.check_reasons(&allow.reasons)?;
                self.check_counters(&allow.terms)?;
            }
            Verdict::Challenge(challenge) => {
                self.check_reasons(std::slice::from_ref(&challenge.reason))?;
                self.check_counters(&challenge.terms)?;
            }
            Verdict::Deny(reasons) => self.check_reasons(reasons)?,
            Verdict::Abstain => {}
        }
        Ok(verdict)
    }

    fn check_reasons(&self, reasons: &[Reason]) -> Result<(), Error> {
        let declared = |code: &str| self.requirements.reasons.iter().any(|reason| reason.code == code);
        match reasons.iter().find(|reason| !declared(&reason.code)) {
            Some(reason) => Err(Error::new(format!("reason `{}` is not declared", reason.code))),
            None => Ok(()),
        }
    }

    fn check_counters(&self, terms: &Terms) -> Result<(), Error> {
        let declared = |name: &str| self.requirements.counters.iter().any(|counter| counter.name == name);
        match terms.debits.iter().find(|debit| !declared(&debit.counter)) {
            Some(debit) => Err(Error::new(format!("counter `{}` is not declared", debit.counter))),
            None => Ok(()),
        }
    }
}

/// A context in which the agent `test-agent` wants this, on its own authority and without arguments.
/// Its fields are public: change what the test is about.
#[must_use]
pub fn context(action: &str, resource: &str) -> Context {
    let (resource_type, resource_id) = resource.split_once('/').unwrap_or((resource, ""));
    Context {
        phase: Phase::Decide,
        // Monday, 2026-01-05T09:00:00Z.
        time: 1_767_603_600_000,
        caller: Caller {
            method: AuthenticationMethod::Dpop,
            key_thumbprint: "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".into(),
        },
        agent: Agent { id: "test-agent".into(), instance: "test-1".into(), owner: "tests".into(), labels: Vec::new() },
        user: None,
        delegations: Vec::new(),
        request: Request {
            action: action.into(),
            resource: resource.into(),
            resource_type: resource_type.into(),
            resource_id: resource_id.into(),
            purpose: "test".into(),
            session: None,
            arguments: "{}".into(),
            // SHA-256 of the two bytes `{}`. Whoever changes the arguments need not change it: a
            // policy sees it, and cannot compute it with ease.
            arguments_digest: "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a".into(),
            claimed_properties: "{}".into(),
        },
        facts: Vec::new(),
        approvals: Vec::new(),
        counters: Vec::new(),
        enforcement_point: None,
        extensions: Vec::new(),
    }
}

/// A user with this id, without groups and claims, who authenticated an hour before the time of
/// [`context`].
#[must_use]
pub fn user(id: &str) -> User {
    User {
        id: id.into(),
        issuer: "https://issuer.example".into(),
        authenticated_at_ms: 1_767_600_000_000,
        acr: None,
        groups: Vec::new(),
        claims: "{}".into(),
    }
}

/// A fact of this template: `value` is one JSON text, or missing.
#[must_use]
pub fn fact(template: &str, value: Option<&str>) -> Fact {
    Fact { template: template.into(), name: Some(template.into()), value: value.map(Into::into) }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::ReasonDeclaration;

    const SECRET: ReasonDeclaration = ReasonDeclaration::private("secret", "never declared");

    #[derive(Debug, Deserialize)]
    struct Careless {}

    impl Policy for Careless {
        const NAME: &'static str = "careless";
        const VERSION: &'static str = "0.0.0";
        const REASONS: &'static [ReasonDeclaration] = &[];

        fn evaluate(&self, ctx: &Context) -> Result<Verdict, Error> {
            Ok(match ctx.request.action.as_str() {
                "deny" => Verdict::deny(SECRET),
                "debit" => Verdict::allow().debit("spent", 1, 1).into(),
                _ => Verdict::Abstain,
            })
        }
    }

    #[test]
    fn what_is_not_declared_is_found() {
        let careless = Tested::<Careless>::new("{}").unwrap();
        let said = |action| careless.evaluate(&context(action, "account/42"));
        assert_eq!(said("deny").unwrap_err().to_string(), "reason `secret` is not declared");
        assert_eq!(said("debit").unwrap_err().to_string(), "counter `spent` is not declared");
        assert_eq!(said("abstain").unwrap(), Verdict::Abstain);
    }

    #[test]
    fn the_resource_is_taken_apart_as_the_host_does() {
        let request = context("file.read", "file/team-a/plan.md").request;
        assert_eq!((request.resource_type.as_str(), request.resource_id.as_str()), ("file", "team-a/plan.md"));
    }
}
