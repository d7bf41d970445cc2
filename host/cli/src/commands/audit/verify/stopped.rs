//! `attorn audit verify --config`: the log of a server that does not run, and all that its store holds.
//!
//! What is bad is named, and the rest is looked at all the same. Nothing is written to the data directory.

use std::path::Path;

use attorn_log::CheckpointVerifier;
use attorn_server::StoppedLog;
use attorn_server::run::ServeError;

use super::lineage::Exports;
use super::remembered::Memory;
use super::report::Believed;
use super::{Given, Unverified, bad_store, live};
use crate::bar::Bar;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;

const NO_CHECKPOINT: &str = "no checkpoint can be relied on, so the entries are compared with none";

const RUNS_HELP: &str = "a server runs on it: `attorn audit verify` without `--config` asks that server, with an auditor's token; or \
                         end that one first, and all that it has stored is verified, too";

pub(super) async fn stopped(
    output: &Output,
    path: &Path,
    (given, trusted, memory): (Given, Option<CheckpointVerifier>, Option<Memory>),
) -> Result<Exit, Failure> {
    let config = crate::commands::serve::configuration(Some(path.to_owned()))?;
    let mut log = StoppedLog::open(&config).await.map_err(|error| {
        let failure = Failure::of(&error);
        let exit = match &error {
            error if error.is_altered() => Exit::VerificationFailed,
            // That is as it should be, and still nobody can say that it verifies.
            ServeError::NothingSigned(_) => Exit::Undecided,
            _ => failure.exit,
        };
        let help = match &error {
            ServeError::InUse { .. } => Some(RUNS_HELP),
            error => error.help(),
        };
        Failure { help: help.map(str::to_owned), exit, ..failure }
    })?;
    // They show how far the log reached, whatever became of the file that says so in the data directory.
    let remembered =
        memory.as_ref().map(|memory| memory.latest(&log.verifier().origin().log_id)).transpose()?.flatten();
    let kept = given.since.iter().chain(remembered.as_ref().map(|seen| &seen.note));
    log.also_kept(kept.map(String::as_str)).map_err(Failure::new)?;
    let recorded = log.recorded_epochs().await.map_err(Failure::new)?;
    let watched = Bar::watch(output);
    let stored = log.verify_store().await;
    drop(watched);
    let (entries, found) = match stored {
        Ok(stored) => {
            if stored.lost_records > 0 {
                output.note(format!(
                    "{} records of decisions are lost, which was accepted: `attorn audit list --type records_lost` says which",
                    stored.lost_records
                ));
            }
            stored.notes.iter().for_each(|note| output.note(note));
            (stored.entries, stored.bad)
        }
        Err(why) => (0, vec![why]),
    };
    let bad = [log.bad(), &found].concat();
    for note in log.notes() {
        output.note(note);
    }
    let (now, exports) = (log.verifier().clone(), Exports::Store(config.data_dir.clone(), recorded));
    if output.json && !bad.is_empty() {
        // Programs read one value, which says of both.
        let kept = Output::kept();
        let of_log = if log.has_checkpoint() {
            live(&kept, (&log, &exports), (given, trusted, memory), (&now, Believed::FromStore))
                .await
                .err()
                .map(Unverified::into_failure)
        } else {
            Some(Failure::new(NO_CHECKPOINT))
        };
        return Err(bad_store::print_in_json(output, &bad, (of_log, kept.kept_json())));
    }
    let of_store = (!bad.is_empty()).then(|| bad_store::print(output, &bad));
    let of_store = match of_store {
        Some(failure) if !log.has_checkpoint() => {
            output.note(NO_CHECKPOINT);
            return Err(failure);
        }
        of_store => of_store,
    };
    let done = live(output, (&log, &exports), (given, trusted, memory), (&now, Believed::FromStore)).await;
    if let Some(failure) = of_store {
        return Err(worse(failure, done));
    }
    let exit = done.map_err(Unverified::into_failure)?;
    output.note(format!("the store is whole: {entries} entries, those after the checkpoint linked to it"));
    Ok(exit)
}

/// What to end with where something in the store is bad: that, unless more is wrong with the log than that something of it
/// cannot be read, which is named already, by its file.
fn worse(of_store: Failure, of_log: Result<Exit, Unverified>) -> Failure {
    match of_log {
        Err(Unverified::Other(also)) if also.exit == Exit::VerificationFailed => also,
        Err(_) | Ok(_) => of_store,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_the_log_is_worse_unless_it_only_cannot_be_read() {
        let store = || Failure::unverified("the store: a file is bad");
        let log = |exit, message: &str| Failure { exit, ..Failure::new(message) };
        let cases = [
            (Ok(Exit::Done), "the store: a file is bad"),
            (Err(Unverified::Other(log(Exit::VerificationFailed, "entry 3 was changed"))), "entry 3 was changed"),
            // Whatever the words are.
            (Err(Unverified::Unread(log(Exit::VerificationFailed, "no words"))), "the store: a file is bad"),
            (
                Err(Unverified::Other(log(Exit::VerificationFailed, "the log cannot be read as it was signed"))),
                "the log cannot be read as it was signed",
            ),
            // Nothing is known of the log then.
            (Err(Unverified::Other(log(Exit::Error, "the disk is full"))), "the store: a file is bad"),
        ];
        for (of_log, expect) in cases {
            let said = format!("{of_log:?}");
            assert_eq!(worse(store(), of_log).message, expect, "{said}");
        }
    }
}
