//! What came of a verification, for people and for programs.

use std::fmt::Write as _;
use std::io::ErrorKind;
use std::path::Path;

use attorn_log::{
    CheckpointVerifier, EXPORT_MAGIC, Origin, QuorumError, RECEIPT_MAGIC, Receipt, ReceiptError, Trust, Verified,
    VerifyError, WitnessPolicy, Witnessed,
};
use serde_json::json;

use super::earlier::{self, Earlier};
use super::lineage::Continues;
use super::remembered::Compared;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::key_source::read_text;
use crate::output::Output;

/// Why the key is believed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Believed {
    Given,
    /// The one that was given is of an earlier epoch, and named it.
    Followed,
    FromFile,
    FromServer,
    FromStore,
}

impl Believed {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Given => "given",
            Self::Followed => "followed",
            Self::FromFile => "from_file",
            Self::FromServer => "from_server",
            Self::FromStore => "from_store",
        }
    }

    const fn caution(self) -> Option<&'static str> {
        match self {
            Self::Given => None,
            Self::Followed => {
                Some("the key is a later one than the one that was given, which named it: give this one from now on")
            }
            Self::FromFile => {
                Some("the key is the one in the file: this shows that the file is whole, not whose log it is")
            }
            Self::FromServer => {
                Some("the key is the server's own: keep it (`attorn audit key`), and give it with `--key` next time")
            }
            Self::FromStore => Some(
                "the key is the one in the store: this shows that the log is as that key signed it, not whose log it is",
            ),
        }
    }
}

/// What is said where nothing could show that the end was cut.
const NO_ANCHOR: &str = "nothing was kept to compare with: that entries were cut from the end cannot be excluded. Keep \
                         a checkpoint (`attorn audit checkpoint`), and give it with `--since` next time, or name \
                         witnesses with `--policy`";

/// Say what came of it: of the log, of what was seen of an earlier epoch, and of what is kept of earlier epochs. It may
/// have been compared with what is remembered here.
pub(super) fn report(
    output: &Output,
    (done, compared): (Result<Verified, VerifyError>, Option<&Compared>),
    (believed, continues, before): (Believed, Option<&Continues>, &[Earlier]),
) -> Result<Exit, Failure> {
    let verified = match done {
        Ok(verified) => verified,
        // What was read and found damaged does not verify.
        Err(VerifyError::Read(error)) if error.kind() != ErrorKind::InvalidData => {
            return Err(Failure::of(&VerifyError::Read(error)));
        }
        Err(error) => return Err(failed(output, error.index(), unverified(&error, compared))),
    };
    let believed = match (verified.trust, believed) {
        (Trust::Given, believed) => believed,
        (Trust::FromFile, _) => Believed::FromFile,
    };
    let checkpoint = verified.checkpoint.checkpoint();
    let witnesses = witnesses(verified.witnessed.as_ref());
    let unproven = earlier::unproven(before);
    if output.json {
        let mut said = json!({
            "verified": unproven.is_none(),
            "origin": checkpoint.origin.to_string(),
            "entries": verified.entries,
            "root": checkpoint.root.to_string(),
            "key": verified.key.to_string(),
            "key_source": believed.as_str(),
            "earlier_checkpoints": verified.earlier,
            "since_entries": verified.since,
            "since_source": verified.since.map(|_| Compared::source(compared)),
            "continues": continues.map(|one| json!({ "epoch": one.epoch.0, "entries": one.entries })),
            "earlier_epochs": before.iter().map(earlier::in_json).collect::<Vec<_>>(),
            "witnesses": witnesses,
            "truncation_excluded": verified.since.is_some() || !witnesses.is_empty(),
        });
        if let Some(failure) = &unproven {
            said["problem"] = failure.message.as_str().into();
        }
        output.json(&said)?;
        return unproven.map_or(Ok(Exit::Done), Err);
    }
    output.line(format!("verified  {} with {} entries", checkpoint.origin, verified.entries));
    output.line(format!("root      {}", checkpoint.root));
    output.line(format!("key       {}", verified.key));
    if verified.earlier > 0 {
        output.line(format!("earlier   {} checkpoints, each of which it continues", verified.earlier));
    }
    if let Some(since) = verified.since {
        output.line(format!("since     {}", Compared::said(compared, since)));
    }
    if let Some(Continues { epoch, entries, .. }) = continues {
        output.line(format!("continues epoch {epoch}, which still has the {entries} entries that were seen of it"));
    }
    earlier::lines(output, before);
    if !witnesses.is_empty() {
        output.line(format!("witnesses {}", witnesses.join(", ")));
    }
    earlier::notes(output, before);
    if let Some(caution) = believed.caution() {
        output.note(caution);
    }
    if verified.since.is_none() && witnesses.is_empty() && continues.is_none() {
        output.note(NO_ANCHOR);
    }
    unproven.map_or(Ok(Exit::Done), Err)
}

fn witnesses(witnessed: Option<&Witnessed>) -> Vec<String> {
    let by = witnessed.into_iter().flat_map(|witnessed| &witnessed.by);
    by.map(|(name, _)| name.clone()).collect()
}

pub(super) fn receipt(
    output: &Output,
    path: &Path,
    trusted: &CheckpointVerifier,
    policy: Option<&WitnessPolicy>,
) -> Result<Exit, Failure> {
    let bytes_max = u64::try_from(Receipt::BYTES_MAX).unwrap_or(u64::MAX);
    let text = read_text(path, bytes_max).map_err(|failure| failure.with_help("`attorn audit receipt` gets one"))?;
    if !text.starts_with(RECEIPT_MAGIC) {
        let is_export = text.starts_with(EXPORT_MAGIC);
        let (what, help) = if is_export {
            ("is an export, not a receipt", "`--file` verifies it")
        } else {
            ("is no receipt", "`attorn audit receipt` gets one")
        };
        return Err(Failure::usage(format!("`{}` {what}", path.display())).with_help(help));
    }
    let unproved = |error: &ReceiptError| {
        let help = "keep the file: it is evidence, if the key is this log's; `attorn audit receipt` gets it anew";
        failed(output, None, Failure::verification(error).with_help(help))
    };
    let receipt = Receipt::parse(&text).map_err(|error| unproved(&error))?;
    let logged = receipt.verify(trusted).map_err(|error| match of_another_log(&receipt, trusted) {
        Some(other) => failed(output, None, other),
        None => unproved(&error),
    })?;
    let by = policy.map(|policy| policy.check(&logged.signed)).transpose();
    let by = by.map_err(|error: QuorumError| {
        let help = "a receipt that was got later may have more cosignatures: `attorn audit receipt … --wait witnessed`";
        failed(output, None, Failure::verification(&error).with_help(help))
    })?;
    let witnesses = witnesses(by.as_ref());
    if output.json {
        output.json(&json!({
            "verified": true,
            "entry": logged.entry.at.to_string(),
            "body": serde_json::from_str::<serde_json::Value>(logged.entry.body.as_str()).ok(),
            "size": logged.checkpoint.size,
            "witnesses": witnesses,
        }))?;
        return Ok(Exit::Done);
    }
    output.line(format!("verified  entry {} is in the log of {} entries", logged.entry.at, logged.checkpoint.size));
    if !witnesses.is_empty() {
        output.line(format!("witnesses {}", witnesses.join(", ")));
    }
    output.line(format!("body      {}", logged.entry.body.as_str()));
    Ok(Exit::Done)
}

/// That a receipt says itself that it is of another log or epoch than the key: then the key proves nothing for or
/// against it. None if it says that it is of the key's log.
fn of_another_log(receipt: &Receipt, trusted: &CheckpointVerifier) -> Option<Failure> {
    let (says, of_key) = (receipt.checkpoint().ok()?.checkpoint.origin, trusted.origin());
    if says == *of_key {
        return None;
    }
    let help = if says.log_id == of_key.log_id {
        key_of_epoch(&says)
    } else {
        format!("give the key of the log `{}`: `attorn audit key`, asked of the server that has it", says.log_id)
    };
    Some(proves_nothing("receipt", (&says, of_key)).with_help(help))
}

/// The same of a log whose own key is of another epoch than the one that was given. None of one that says that it is of
/// that epoch, or that it is another log: then it is not the one that it is taken for.
pub(super) fn of_another_epoch(error: &VerifyError, trusted: Option<&CheckpointVerifier>) -> Option<Failure> {
    let (VerifyError::UnknownKey { found }, Some(trusted)) = (error, trusted) else { return None };
    let (says, of_key) = (found.origin(), trusted.origin());
    if says.log_id != of_key.log_id || says.epoch == of_key.epoch {
        return None;
    }
    let mut help = key_of_epoch(says);
    if says.epoch < of_key.epoch {
        let _ = write!(
            help,
            ". With the key of epoch {} the log that goes on is verified, and its earlier epochs with it (`attorn audit \
             verify`, or `--dir` of a whole export)",
            of_key.epoch
        );
    }
    Some(proves_nothing("log", (says, of_key)).with_help(help))
}

fn proves_nothing(what: &str, (says, of_key): (&Origin, &Origin)) -> Failure {
    let message =
        format!("the {what} says that it is of `{says}`, and the key is of `{of_key}`: it proves nothing of it");
    Failure::unverified(message)
}

fn key_of_epoch(origin: &Origin) -> String {
    format!(
        "give the key of epoch {}: `attorn audit epochs` lists the key of each, and `attorn audit verify --key` with the \
         one that you trust sees whether it leads there",
        origin.epoch
    )
}

/// What the server itself says is not as it was signed does not verify.
pub(super) fn of_server(output: &Output, failure: Failure) -> Failure {
    failed(output, None, failure)
}

/// A log that does not verify, and what to do where it may be that something else was given than belongs to it.
fn unverified(error: &VerifyError, compared: Option<&Compared>) -> Failure {
    let failure = Failure::verification(error);
    // Which checkpoint it is follows from how many entries it counts.
    let size = match error {
        VerifyError::RolledBack { seen, .. } => Some(Some(*seen)),
        VerifyError::Forked { size } => Some(Some(*size)),
        VerifyError::Since(_) => Some(None),
        _ => None,
    };
    if let Some(help) = size.zip(compared).and_then(|(size, compared)| compared.help(size)) {
        return failure.with_help(help);
    }
    match error {
        VerifyError::UnknownKey { .. } => failure.with_help(
            "was the key of another log given? If not, this is not the log that it says it is: ask whoever runs the \
             server, by another way than this connection",
        ),
        VerifyError::Since(_) => failure.with_help(
            "was the checkpoint of another log given? If not, and it is as it was kept, this is not the log that you \
             have seen: keep both, they are evidence",
        ),
        VerifyError::Lacking { .. } => failure.with_help(
            "the first entry of the next epoch says which entries were bad: verify the log that goes on from this one (`attorn \
             audit verify`, or `--dir` of a whole export), which verifies this file with it",
        ),
        VerifyError::Witnesses(QuorumError::NotMet { .. }) => failure.with_help(
            "does the policy name the witnesses of this log? If so, ask whoever runs it why they did not cosign it: a \
             log that was forked gets no cosignatures",
        ),
        _ => failure,
    }
}

/// Programs read on standard output what people read on standard error.
pub(super) fn failed(output: &Output, entry: Option<u64>, failure: Failure) -> Failure {
    if failure.exit != Exit::VerificationFailed {
        // Nothing is known of the log then.
        return failure;
    }
    if output.json {
        // That it could not be written is no worse than that it does not verify.
        let _ = output.json(&json!({ "verified": false, "entry": entry, "problem": failure.message }));
    }
    if failure.help.is_some() {
        return failure;
    }
    failure.with_help("keep what was verified: it is evidence; `attorn audit export` gets the log anew")
}

#[cfg(test)]
mod tests {
    use super::super::remembered::Anchor;
    use super::*;

    #[test]
    fn what_does_not_verify_ends_with_its_own_exit_code_and_names_the_entry() {
        let (output, given) = (Output::new(false), (Believed::Given, None, &[][..]));
        let failure = report(&output, (Err(VerifyError::Changed { index: 12 }), None), given).unwrap_err();
        assert_eq!((failure.exit, failure.message.as_str()), (Exit::VerificationFailed, "entry 12 was changed"));
        let unread = VerifyError::Read(std::io::Error::other("disk on fire"));
        assert_eq!(report(&output, (Err(unread), None), given).unwrap_err().exit, Exit::Error);
        let damaged = VerifyError::Read(std::io::Error::new(ErrorKind::InvalidData, "not what the tree says"));
        assert_eq!(report(&output, (Err(damaged), None), given).unwrap_err().exit, Exit::VerificationFailed);
    }
    #[test]
    fn where_a_log_was_cut_the_remembered_file_is_named_and_no_other_checkpoint_is_taken_for_it() {
        let note = "attorn/main/1\n12\nroot\n".to_owned();
        let origin = "attorn/main/1".parse().unwrap();
        let anchor = Anchor { origin, key: None, note, path: Some("/state/main.1".into()) };
        let compared = Compared::of(&anchor, true).unwrap();
        for (error, is_named) in [
            (VerifyError::RolledBack { seen: 12, size: 7 }, true),
            (VerifyError::Forked { size: 12 }, true),
            (VerifyError::RolledBack { seen: 256, size: 7 }, false),
            (VerifyError::Forked { size: 256 }, false),
            (VerifyError::Changed { index: 12 }, false),
        ] {
            let failure = unverified(&error, Some(&compared));
            assert_eq!(failure.exit, Exit::VerificationFailed);
            let help = failure.help.unwrap_or_default();
            assert_eq!(help.contains("`/state/main.1`") && help.contains("verify anew"), is_named, "{error}: {help}");
            assert!(unverified(&error, None).help.is_none(), "{error}");
        }
        assert!(Compared::of(&Anchor { path: None, ..anchor }, true).is_none());
    }
}
