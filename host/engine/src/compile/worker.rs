//! Both ends of the pipe to a compile worker.

use std::sync::Arc;

use attorn_artifact::{Artifact, Cancel, Parts, Progress, Worker, WorkerError, WorkerLimits, serve};
use attorn_core::PolicyLimits;

use super::wire::{AnswerWire, AskWire, DescribedWire, EarlierWire, JobWire};
use super::{Compiled, Job, Reuse, refused, steps};
use crate::load::{LoadError, LoadStep, check_sizes};
use crate::policy::Description;
use crate::v0_1::{self, raw};

/// Let a worker compile.
pub(super) fn ask(worker: &Worker, job: &Job<'_>, progress: &Progress, cancel: &Cancel) -> Result<Compiled, LoadError> {
    // One of the two is begun with.
    let (earlier, artifact) = match job.reuse.as_deref() {
        Some(Reuse { instrumented: Some(artifact), .. }) if !job.without_snapshot => {
            (EarlierWire::Instrumented, Some(artifact))
        }
        Some(Reuse { plain: Some(artifact), .. }) => (EarlierWire::Plain, Some(artifact)),
        _ => (EarlierWire::Nothing, None),
    };
    let Job { limits, metered, without_snapshot, .. } = *job;
    let about = AskWire::Compile(JobWire { limits, metered, without_snapshot, earlier });
    let about = serde_json::to_vec(&about).map_err(|error| damaged(&error))?;
    let functions = job.reuse.as_ref().map_or(&[][..], |reuse| &reuse.functions);
    let mut parts = vec![&about[..], job.component, job.settings.as_bytes(), functions];
    parts.extend(artifact.map(Artifact::as_bytes));
    let answer = worker.ask(&parts, progress, cancel).map_err(|error| refused(&error))?;
    let about = answer.part(0).unwrap_or_default();
    let about = serde_json::from_slice::<AnswerWire>(about).map_err(|error| damaged(&error))?;
    let (artifact, functions) = (answer.artifact(1), answer.part(2));
    let (made, plain) = match (about, artifact) {
        (Ok(about), Some(artifact)) => (Ok((about, artifact)), None),
        (Ok(_), None) => return Err(damaged(&"a part is missing")),
        // Nothing was compiled.
        (Err(error), _) if functions.is_none() => return Err(error),
        (Err(error), artifact) => (Err(error), artifact.filter(|artifact| !artifact.as_bytes().is_empty())),
    };
    let functions = functions.ok_or_else(|| damaged(&"a part is missing"))?.to_vec();
    Ok(Compiled { made, reuse: Reuse { functions, instrumented: answer.artifact(3), plain } })
}

/// What a component says of itself, as [`super::describe_component`], in a process of its own, which is all that a hostile
/// component can end.
///
/// # Errors
///
/// When the component is not fit, up to the step `describe`, or the worker gives no answer.
pub fn describe_component_apart(
    worker: &Worker,
    component: &[u8],
    limits: PolicyLimits,
    cancel: &Cancel,
) -> Result<Description, LoadError> {
    check_sizes(component, "")?;
    let about = serde_json::to_vec(&AskWire::Describe(limits)).map_err(|error| damaged(&error))?;
    let answer = worker.ask(&[&about, component], &Progress::default(), cancel).map_err(|error| refused(&error))?;
    let described = serde_json::from_slice::<DescribedWire>(answer.part(0).unwrap_or_default());
    let (name, version, settings_schema) = described.map_err(|error| damaged(&error))??;
    v0_1::description(raw::Description { name, version, settings_schema })
        .map_err(|problem| LoadError::new(LoadStep::Describe, problem))
}

fn damaged(why: &dyn std::fmt::Display) -> LoadError {
    LoadError::new(LoadStep::Compile, format!("the compile worker's answer is damaged: {why}"))
}

/// Be a compile worker: read one job from the standard input, answer on the standard output, and end.
///
/// # Errors
///
/// When the limits cannot be taken, or input or output break.
pub fn serve_compile_worker(limits: WorkerLimits) -> Result<(), WorkerError> {
    serve(limits, |request, say| match asked(request) {
        Err(error) => vec![answer(&Err(error))],
        Ok(AskWire::Describe(limits)) => vec![answer_of_description(request, limits, say)],
        Ok(AskWire::Compile(about)) => compiled(request, &about, say),
    })
}

fn asked(request: &Parts) -> Result<AskWire, LoadError> {
    serde_json::from_slice(part(request, 0)?).map_err(|error| damaged(&error))
}

fn part(request: &Parts, at: usize) -> Result<&[u8], LoadError> {
    request.part(at).ok_or_else(|| damaged(&"a part is missing"))
}

fn answer_of_description(request: &Parts, limits: PolicyLimits, say: &mut dyn FnMut(&str)) -> Vec<u8> {
    let described = part(request, 1)
        .and_then(|component| steps::described(component, limits, &mut |step| say(step.as_str())))
        .map(|raw::Description { name, version, settings_schema }| (name, version, settings_schema));
    let described: DescribedWire = described;
    // What cannot be written is read as damaged.
    serde_json::to_vec(&described).unwrap_or_default()
}

fn compiled(request: &Parts, about: &JobWire, say: &mut dyn FnMut(&str)) -> Vec<Vec<u8>> {
    match work(request, about, say) {
        Ok(Compiled { made, reuse: Reuse { instrumented, plain, functions } }) => {
            let bytes = |artifact: Artifact| artifact.as_bytes().to_vec();
            let (about, artifact) = match made {
                Ok((about, artifact)) => (Ok(about), bytes(artifact)),
                // What was compiled all the same stands where the other would.
                Err(error) => (Err(error), plain.map(bytes).unwrap_or_default()),
            };
            let mut parts = vec![answer(&about), artifact, functions];
            parts.extend(instrumented.map(bytes));
            parts
        }
        Err(error) => vec![answer(&Err(error))],
    }
}

fn answer(answer: &AnswerWire) -> Vec<u8> {
    // What cannot be written is read as damaged.
    serde_json::to_vec(answer).unwrap_or_default()
}

fn work(request: &Parts, about: &JobWire, say: &mut dyn FnMut(&str)) -> Result<Compiled, LoadError> {
    let settings = std::str::from_utf8(part(request, 2)?).map_err(|error| damaged(&error))?;
    let (instrumented, plain) = match about.earlier {
        EarlierWire::Nothing => (None, None),
        EarlierWire::Instrumented => (request.artifact(4), None),
        EarlierWire::Plain => (None, request.artifact(4)),
    };
    let reuse = Some(Arc::new(Reuse { functions: part(request, 3)?.to_vec(), instrumented, plain }));
    let JobWire { limits, metered, without_snapshot, .. } = *about;
    let job = Job { component: part(request, 1)?, settings, limits, metered, without_snapshot, reuse };
    steps::compile(&job, &mut |step| say(step.as_str()))
}
