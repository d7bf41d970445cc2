//! Both ends of the pipe to a compile worker.

use std::sync::Arc;

use attorn_artifact::{Artifact, Cancel, Parts, Progress, Worker, WorkerError, WorkerLimits, serve};

use super::wire::{AnswerWire, EarlierWire, JobWire};
use super::{Compiled, Job, Reuse, refused, steps};
use crate::load::{LoadError, LoadStep};

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
    let about = JobWire { limits, metered, without_snapshot, earlier };
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

fn damaged(why: &dyn std::fmt::Display) -> LoadError {
    LoadError::new(LoadStep::Compile, format!("the compile worker's answer is damaged: {why}"))
}

/// Be a compile worker: read one job from the standard input, answer on the standard output, and end.
///
/// # Errors
///
/// When the limits cannot be taken, or input or output break.
pub fn serve_compile_worker(limits: WorkerLimits) -> Result<(), WorkerError> {
    serve(limits, |request, say| match work(request, say) {
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
    })
}

fn answer(answer: &AnswerWire) -> Vec<u8> {
    // What cannot be written is read as damaged.
    serde_json::to_vec(answer).unwrap_or_default()
}

fn work(request: &Parts, say: &mut dyn FnMut(&str)) -> Result<Compiled, LoadError> {
    let part = |at: usize| request.part(at).ok_or_else(|| damaged(&"a part is missing"));
    let about: JobWire = serde_json::from_slice(part(0)?).map_err(|error| damaged(&error))?;
    let settings = std::str::from_utf8(part(2)?).map_err(|error| damaged(&error))?;
    let (instrumented, plain) = match about.earlier {
        EarlierWire::Nothing => (None, None),
        EarlierWire::Instrumented => (request.artifact(4), None),
        EarlierWire::Plain => (None, request.artifact(4)),
    };
    let reuse = Some(Arc::new(Reuse { functions: part(3)?.to_vec(), instrumented, plain }));
    let JobWire { limits, metered, without_snapshot, .. } = about;
    let job = Job { component: part(1)?, settings, limits, metered, without_snapshot, reuse };
    steps::compile(&job, &mut |step| say(step.as_str()))
}
