//! Asking one policy.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use attorn_core::{Failure, Known, Outcome, Verdict};

use crate::compile::Activation;
use crate::engine::Question;
use crate::evaluation::Evaluation;
use crate::policy::Loaded;
use crate::sandbox::{Failed, Sandbox};
use crate::v0_1::{self, Instance, Prepared};

/// What a policy says to a context. By `deadline` it has said it, or failed.
pub(crate) fn evaluate(question: &Question, context: &Prepared<'_>, deadline: Instant) -> Evaluation {
    if Instant::now() >= deadline {
        return Evaluation::not_run(Failure::Deadline, "the request's time was used up before this policy was asked");
    }
    // Nothing that the closure touches is looked at again after a panic.
    let evaluation = catch_unwind(AssertUnwindSafe(|| run(question, context, deadline)));
    evaluation.unwrap_or_else(|_| {
        tracing::error!(policy = %question.policy.name(), "a panic in the engine ended an evaluation, which denies");
        Evaluation::not_run(Failure::NotRunnable, "the engine panicked")
    })
}

fn run(question: &Question, context: &Prepared<'_>, deadline: Instant) -> Evaluation {
    let policy = question.policy.loaded();
    let mut sandbox = Sandbox::new(policy.contract.runtime(), &policy.limits, deadline);
    let verdict = ask(policy, context, &question.known, &mut sandbox);
    let (verdict, usage, log) = sandbox.finish(verdict);
    match verdict {
        Ok(verdict) => Evaluation { outcome: Outcome::Verdict(verdict), usage, log, failure_detail: None },
        Err(Failed { failure, detail }) => {
            Evaluation { outcome: Outcome::Failed(failure), usage, log, failure_detail: Some(detail) }
        }
    }
}

/// `evaluate`, in an instance that stands as `init` left it: a snapshot of it, or a fresh one in which
/// `init` runs first, under the same limits.
fn ask(policy: &Loaded, context: &Prepared<'_>, known: &Known, sandbox: &mut Sandbox) -> Result<Verdict, Failed> {
    let verdict = match policy.report.activation {
        Activation::Snapshot => {
            let instance = policy.contract.instantiate_initialised(&mut sandbox.store);
            let instance = instance.map_err(|error| sandbox.failed(&error, Failure::NotRunnable))?;
            instance.evaluate(&policy.contract, &mut sandbox.store, context, known)
        }
        Activation::InitEachTime { .. } => {
            let instance = initialised(policy, sandbox)?;
            instance.evaluate(&mut sandbox.store, context, known)
        }
    };
    let verdict = verdict
        .map_err(|error| sandbox.failed(&error, Failure::InvalidVerdict))?
        .map_err(|problem| Failed::new(Failure::PolicyError, &problem))?;
    v0_1::verdict(verdict, &policy.name, &policy.requirements)
        .map_err(|problem| Failed::new(Failure::InvalidVerdict, &problem))
}

/// An instance in which `init` has run.
fn initialised(policy: &Loaded, sandbox: &mut Sandbox) -> Result<Instance, Failed> {
    let instance = policy.contract.instantiate(&mut sandbox.store);
    let (instance, _) = instance.map_err(|error| sandbox.failed(&error, Failure::NotRunnable))?;
    let init = instance.init(&mut sandbox.store, &policy.settings);
    // The requirements are the same as at load: `init` has nothing else to go by.
    init.map_err(|error| sandbox.failed(&error, Failure::InitFailed))?
        .map_err(|problem| Failed::new(Failure::InitFailed, &problem))?;
    // A snapshot has forgotten what was logged, too.
    sandbox.initialised(&policy.limits);
    Ok(instance)
}
