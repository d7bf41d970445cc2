//! Both ends of the pipe to a compile worker.

use attorn_artifact::{Cancel, Parts, Progress, Worker, WorkerError, WorkerLimits, serve};

use super::wire::{AnswerWire, JobWire};
use super::{Compiled, Job, Reuse, refused, steps};
use crate::load::{LoadError, LoadStep};

/// Let a worker compile.
pub(super) fn ask(worker: &Worker, job: &Job<'_>, progress: &Progress, cancel: &Cancel) -> Result<Compiled, LoadError> {
    let instrumented = job.reuse.as_ref().and_then(|reuse| reuse.instrumented.as_ref());
    let about = JobWire {
        limits: job.limits,
        metered: job.metered,
        without_snapshot: job.without_snapshot,
        instrumented: instrumented.is_some(),
    };
    let about = serde_json::to_vec(&about).map_err(|error| damaged(&error))?;
    let functions = job.reuse.as_ref().map_or(&[][..], |reuse| &reuse.functions);
    let mut parts = vec![&about[..], job.component, job.settings.as_bytes(), functions];
    parts.extend(instrumented.map(attorn_artifact::Artifact::as_bytes));
    let answer = worker.ask(&parts, progress, cancel).map_err(|error| refused(&error))?;
    let about = answer.part(0).unwrap_or_default();
    let about = serde_json::from_slice::<AnswerWire>(about).map_err(|error| damaged(&error))??;
    let (Some(artifact), Some(functions)) = (answer.artifact(1), answer.part(2)) else {
        return Err(damaged(&"a part is missing"));
    };
    Ok(Compiled { about, artifact, reuse: Reuse { functions: functions.to_vec(), instrumented: answer.artifact(3) } })
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
        Ok(compiled) => {
            let Reuse { instrumented, functions } = compiled.reuse;
            let mut parts = vec![answer(&Ok(compiled.about)), compiled.artifact.as_bytes().to_vec(), functions];
            parts.extend(instrumented.map(|artifact| artifact.as_bytes().to_vec()));
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
    let instrumented = if about.instrumented { request.artifact(4) } else { None };
    let reuse = Some(Reuse { functions: part(3)?.to_vec(), instrumented });
    let JobWire { limits, metered, without_snapshot, .. } = about;
    let job = Job { component: part(1)?, settings, limits, metered, without_snapshot, reuse };
    steps::compile(&job, &mut |step| say(step.as_str()))
}
