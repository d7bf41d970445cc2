use std::time::Duration;

use super::*;

/// A shell script in the place of a worker.
fn script(text: &str, wall_s_max: u64) -> Worker {
    let arguments = ["-c", text, "worker"].map(str::to_owned).to_vec();
    let environment = &[("PATH", "/usr/bin:/bin")];
    Worker {
        program: "/bin/sh".into(),
        arguments,
        environment,
        limits: WorkerLimits { wall_s_max, ..WorkerLimits::USUAL },
    }
}

#[track_caller]
fn failed(text: &str, wall_s_max: u64) -> WorkerError {
    script(text, wall_s_max).ask(&[b"x"], &Progress::default(), &Cancel::default()).unwrap_err()
}

#[test]
fn a_frame_comes_back() {
    let answer = script("exec cat", 60).ask(&[b"one", b"two"], &Progress::default(), &Cancel::default()).unwrap();
    assert_eq!((answer.part(0), answer.part(1), answer.part(2)), (Some(&b"one"[..]), Some(&b"two"[..]), None));
}

#[test]
fn a_worker_that_dies_says_how() {
    let error = failed("echo 'last words' >&2; exit 3", 60);
    assert_eq!(error.to_string(), "the compiler failed (exit status: 3): last words");
    let error = failed("kill -XCPU $$", 60);
    assert!(matches!(error, WorkerError::Cpu(120)), "{error}");
    let error = failed("echo 'memory allocation of 99 bytes failed' >&2; kill -ABRT $$", 60);
    assert!(matches!(error, WorkerError::Memory(_)), "{error}");
    let error = failed("echo 'no stack: Cannot allocate memory (os error 12)' >&2; kill -ABRT $$", 60);
    assert!(matches!(error, WorkerError::Memory(_)), "{error}");
    let error = failed("kill -SEGV $$", 60);
    assert!(error.to_string().contains("signal: 11"), "{error}");
}

#[test]
fn a_worker_that_answers_nonsense_or_never_is_no_answer() {
    assert!(matches!(failed("echo nonsense; exit 0", 60), WorkerError::Answer(_)));
    assert!(matches!(failed("exit 0", 60), WorkerError::Answer(_)));
    assert!(matches!(failed("exec sleep 600", 0), WorkerError::Wall(0)));
}

#[test]
fn it_ends_when_nobody_wants_it_any_more() {
    let (progress, cancel) = (Progress::default(), Cancel::default());
    let asking = {
        let (progress, cancel) = (progress.clone(), cancel.clone());
        thread::spawn(move || script("echo step waiting >&2; exec sleep 600", 600).ask(&[], &progress, &cancel))
    };
    while progress.step() != "waiting" {
        thread::sleep(Duration::from_millis(5));
    }
    cancel.cancel();
    assert!(matches!(asking.join().unwrap(), Err(WorkerError::Cancelled)));
}

#[test]
fn a_flood_of_last_words_is_cut() {
    let error = failed("yes 0123456789 | head -c 1000000 >&2; echo end >&2; exit 1", 60);
    let text = error.to_string();
    assert!(text.ends_with("end") && text.len() < 5_000, "{} bytes", text.len());
}

/// Each would hold a pipe, and with it whoever waits for the answer, for ten minutes.
#[test]
fn one_that_answers_and_stays_is_ended_and_so_is_what_it_started() {
    let error = failed("cat; exec 1>&-; exec sleep 600", 600);
    assert!(error.to_string().contains("signal: 9"), "{error}");
    let error = failed("sleep 600 & exec cat", 1);
    assert!(matches!(error, WorkerError::Wall(1)), "{error}");
    let started = script("(sleep 600) >/dev/null & exec cat", 600);
    let answer = started.ask(&[b"x"], &Progress::default(), &Cancel::default()).unwrap();
    assert_eq!(answer.part(0), Some(&b"x"[..]));
}
