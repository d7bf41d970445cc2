//! The component around a policy: what the host calls.
//!
//! It does not catch panics: a policy is compiled without unwinding, so a panic traps, which the host
//! takes for a failure. The panic's message goes to the log first.

use std::cell::OnceCell;
use std::marker::PhantomData;

use crate::bindings::exports::attorn::policy::policy::{Description, Guest};
use crate::{Context, Error, Policy, Requirements, Verdict, json};

/// The component of the policy `P`. [`export!`](crate::export) makes it the one of a crate.
pub struct Component<P>(PhantomData<P>);

/// A policy with its settings, whatever its type.
trait Evaluate {
    fn evaluate(&self, ctx: &Context) -> Result<Verdict, Error>;
}

impl<P: Policy> Evaluate for P {
    fn evaluate(&self, ctx: &Context) -> Result<Verdict, Error> {
        Policy::evaluate(self, ctx)
    }
}

thread_local! {
    // A sandbox has one thread, runs one policy, and is initialised once.
    static POLICY: OnceCell<Box<dyn Evaluate>> = const { OnceCell::new() };
}

impl<P: Policy> Component<P> {
    #[doc(hidden)]
    pub const fn check() {}
}

/// What `init` does, without keeping the policy.
pub(crate) fn start<P: Policy>(settings: &str) -> Result<(P, Requirements), Error> {
    let policy: P = json::parse("settings", settings)?;
    let mut requirements = policy.requirements()?;
    requirements.reasons.extend(P::REASONS.iter().map(|&reason| reason.into()));
    Ok((policy, requirements))
}

impl<P: Policy> Guest for Component<P> {
    fn describe() -> Description {
        Description {
            name: P::NAME.to_owned(),
            version: P::VERSION.to_owned(),
            settings_schema: P::SETTINGS_SCHEMA.to_owned(),
        }
    }

    fn init(settings: String) -> Result<Requirements, String> {
        log_panics();
        let (policy, requirements) = start::<P>(&settings).map_err(|error| error.to_string())?;
        let kept = POLICY.with(|kept| kept.set(Box::new(policy)));
        kept.map(|()| requirements).map_err(|_| "init was called twice".to_owned())
    }

    fn evaluate(ctx: Context) -> Result<Verdict, String> {
        POLICY.with(|kept| match kept.get() {
            Some(policy) => policy.evaluate(&ctx).map_err(|error| error.to_string()),
            None => Err("evaluate was called before init".to_owned()),
        })
    }
}

#[cfg(target_family = "wasm")]
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| crate::log::error(panic.to_string())));
}

#[cfg(not(target_family = "wasm"))]
const fn log_panics() {}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::{ReasonDeclaration, testing};

    const TOO_MUCH: ReasonDeclaration = ReasonDeclaration::public("too_much", "more than the settings say");

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct AtMost {
        cents: u64,
    }

    impl Policy for AtMost {
        const NAME: &'static str = "at-most";
        const VERSION: &'static str = "1.2.3";
        const REASONS: &'static [ReasonDeclaration] = &[TOO_MUCH];

        fn requirements(&self) -> Result<Requirements, Error> {
            if self.cents == 0 {
                return Err(Error::new("settings: at `cents`: 0 would deny everything"));
            }
            Ok(Requirements::none().fact("user/{user.id}/risk").reason(
                "at_most",
                format!("{} cents", self.cents),
                false,
            ))
        }

        fn evaluate(&self, ctx: &Context) -> Result<Verdict, Error> {
            let asked: Self = ctx.request.arguments_as()?;
            Ok(if asked.cents > self.cents { Verdict::deny(TOO_MUCH) } else { Verdict::allow().into() })
        }
    }

    // Each test is a thread of its own, and so has a sandbox of its own.
    type Exported = Component<AtMost>;

    #[track_caller]
    fn init_refuses(settings: &str, message: &str) {
        assert_eq!(Exported::init(settings.into()).unwrap_err(), message);
        let ctx = testing::context("account.transfer", "account/42");
        assert_eq!(Exported::evaluate(ctx).unwrap_err(), "evaluate was called before init");
    }

    #[test]
    fn settings_that_are_refused_are_not_kept() {
        init_refuses("{}", "settings: missing field `cents` at line 1 column 2");
        init_refuses(
            r#"{"cents":1,"cent":1}"#,
            "settings: at `cent`: unknown field `cent`, expected `cents` at line 1 column 17",
        );
        init_refuses(r#"{"cents":1,"cents":2}"#, "settings: duplicate field `cents` at line 1 column 18");
        init_refuses(r#"{"cents":0}"#, "settings: at `cents`: 0 would deny everything");
    }

    #[test]
    fn a_policy_is_initialised_once_and_keeps_its_settings() {
        let requirements = Exported::init(r#"{"cents":100}"#.into()).unwrap();
        assert_eq!(requirements.facts, ["user/{user.id}/risk"]);
        let reasons = requirements.reasons.iter().map(|reason| (&*reason.code, &*reason.text, reason.public));
        let expected = [("at_most", "100 cents", false), ("too_much", "more than the settings say", true)];
        assert_eq!(reasons.collect::<Vec<_>>(), expected);
        assert_eq!(Exported::init(r#"{"cents":900}"#.into()).unwrap_err(), "init was called twice");

        let mut ctx = testing::context("account.transfer", "account/42");
        ctx.request.arguments = r#"{"cents":100}"#.into();
        assert!(matches!(Exported::evaluate(ctx.clone()).unwrap(), Verdict::Allow(_)));
        ctx.request.arguments = r#"{"cents":101}"#.into();
        assert_eq!(Exported::evaluate(ctx.clone()).unwrap(), Verdict::deny(TOO_MUCH));
        ctx.request.arguments = "{}".into();
        assert!(Exported::evaluate(ctx).unwrap_err().starts_with("arguments: missing field `cents`"));
    }

    #[test]
    fn describes_itself_without_settings() {
        let description = Exported::describe();
        assert_eq!((description.name.as_str(), description.version.as_str()), ("at-most", "1.2.3"));
        assert_eq!(description.settings_schema, r#"{"type":"object"}"#);
    }
}
