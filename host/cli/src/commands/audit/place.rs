//! What names an entry on the command line: every form in which one is printed anywhere.
//!
//! ```text
//! 13            of the epoch that the log is in
//! 1/13          of this epoch
//! log-a1/1/13   of this epoch of this log, and of no other log
//! ```

use std::str::FromStr;

use attorn_api::ProblemCode;
use attorn_api::audit::{Entry, LogEpochList};
use attorn_core::DecisionId;
use attorn_log::{CheckpointVerifier, EntryRef, Epoch, LogId, Origin};

use super::body;
use crate::failure::Failure;
use crate::operator_client::OperatorClient;

/// An entry, as somebody names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    log: Option<LogId>,
    /// None for the epoch that the log is in.
    pub(super) epoch: Option<u64>,
    pub(super) index: u64,
}

/// An entry or a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Asked {
    Entry(Place),
    Decision(DecisionId),
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // All numbers of the log are written in one way, and a whole reference is read by one parser.
        let (log, epoch, whole) = match text.split('/').count() {
            1 => (false, false, format!("log/0/{text}")),
            2 => (false, true, format!("log/{text}")),
            _ => (true, true, text.to_owned()),
        };
        let EntryRef { log_id, epoch: of, index } =
            whole.parse().map_err(|_| "it is no entry: an index, `EPOCH/INDEX` or `LOG/EPOCH/INDEX`".to_owned())?;
        Ok(Self { log: log.then_some(log_id), epoch: epoch.then_some(of.0), index })
    }
}

impl FromStr for Asked {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with("dec_") {
            return crate::parse::id(text).map(Self::Decision);
        }
        let neither =
            |_| "it is neither an entry (an index, `EPOCH/INDEX`, `LOG/EPOCH/INDEX`) nor a decision's id".into();
        text.parse().map(Self::Entry).map_err(neither)
    }
}

impl Place {
    /// The path of the entry in the API of a server that has this log.
    pub(super) async fn path(&self, client: &OperatorClient) -> Result<String, Failure> {
        self.of_this_log(client).await?;
        let Self { epoch, index, .. } = self;
        Ok(match epoch {
            None => format!("/v1/audit/entries/{index}"),
            Some(epoch) => format!("/v1/audit/epochs/{epoch}/entries/{index}"),
        })
    }

    /// Another log has other entries under the same numbers.
    pub(super) async fn of_this_log(&self, client: &OperatorClient) -> Result<(), Failure> {
        match &self.log {
            None => Ok(()),
            Some(log) => is_of(log, &now(client).await?),
        }
    }

    /// To an entry of an epoch that has ended nothing comes any more.
    pub(super) async fn goes_on(&self, client: &OperatorClient) -> Result<(), Failure> {
        if self.epoch.is_none() {
            return Ok(());
        }
        let now = now(client).await?;
        self.log.as_ref().map_or(Ok(()), |log| is_of(log, &now))?;
        self.is_of_epoch(now.epoch)
    }

    fn is_of_epoch(&self, now: Epoch) -> Result<(), Failure> {
        let Self { epoch: Some(epoch), index, .. } = self else { return Ok(()) };
        if *epoch == now.0 {
            return Ok(());
        }
        let failure =
            Failure::usage(format!("the entry `{epoch}/{index}` is of epoch {epoch}, and the log is in epoch {now}"));
        Err(if *epoch < now.0 {
            failure.with_help(format!(
                "nothing comes to an epoch that has ended: `attorn audit list --from {epoch}/{index}` lists it, and `attorn \
                 audit watch --from 0` begins where the log is"
            ))
        } else {
            failure.with_help("is this the server that has it (`--server`)? `attorn audit epochs` lists its epochs")
        })
    }

    /// The entry.
    pub(super) async fn entry(&self, client: &OperatorClient) -> Result<Entry, Failure> {
        match client.get(&self.path(client).await?).await {
            Err(failure) => Err(self.not_found(client, failure).await),
            entry => entry,
        }
    }

    /// A failure, with more to do about it where there is no such entry. An index alone is of the epoch that the log is in:
    /// whoever noted it before that began means an earlier one.
    pub(super) async fn not_found(&self, client: &OperatorClient, failure: Failure) -> Failure {
        if failure.code != Some(ProblemCode::NotFound) {
            return failure;
        }
        if self.epoch.is_some() {
            return failure.with_help("`attorn audit epochs` lists the log's epochs, and how many entries each has");
        }
        let Ok(list) = client.get::<LogEpochList>("/v1/audit/epochs").await else { return failure };
        match self.elsewhere(&list) {
            Some(help) => failure.with_help(help),
            None => failure,
        }
    }

    /// In which epochs there is an entry of this index; none if in no earlier one.
    fn elsewhere(&self, list: &LogEpochList) -> Option<String> {
        let index = self.index;
        let ended: Vec<_> = list.epochs.iter().filter(|one| one.ended.is_some() && index < one.size).collect();
        let newest = ended.last()?.epoch;
        let others = if ended.len() == 1 { "" } else { ", and there are earlier ones" };
        Some(format!(
            "the log has begun a new epoch since, which counts from 0: `{newest}/{index}` is the entry {index} of epoch \
             {newest}{others} (`attorn audit epochs`)"
        ))
    }
}

/// Which log the server has, and in which epoch it is.
async fn now(client: &OperatorClient) -> Result<Origin, Failure> {
    let key = client.text("/v1/audit/key").await?;
    let key: CheckpointVerifier = key.trim_end().parse().map_err(|error| Failure::of(&error))?;
    Ok(key.origin().clone())
}

fn is_of(log: &LogId, now: &Origin) -> Result<(), Failure> {
    if *log == now.log_id {
        return Ok(());
    }
    let here = &now.log_id;
    Err(Failure::new(format!("the entry is of the log `{log}`, and the server's log is `{here}`"))
        .with_help("ask the server that has it (`--server`)"))
}

impl Asked {
    /// The decision: of an entry, the one that it records.
    pub(super) async fn decision(self, client: &OperatorClient) -> Result<DecisionId, Failure> {
        let place = match self {
            Self::Decision(id) => return Ok(id),
            Self::Entry(place) => place,
        };
        let entry = place.entry(client).await?;
        let (said, at) = (body(&entry)?, &entry.reference);
        let kind = said["type"].as_str().unwrap_or_default();
        let id = said["decision_id"].as_str().filter(|_| kind == "decision");
        let none = || {
            Failure::new(format!("the entry {}/{} records no decision: it is `{kind}`", at.epoch, at.index))
                .with_help("`attorn audit list --type decision` lists those that do")
        };
        id.and_then(|id| id.parse().ok()).ok_or_else(none)
    }
}

#[cfg(test)]
mod tests {
    use attorn_api::audit::{LogEpoch, LogEpochEnd};

    use super::*;

    #[test]
    fn an_entry_is_named_in_each_form_that_is_printed() {
        let place = |log: Option<&str>, epoch, index| Place { log: log.map(|log| log.parse().unwrap()), epoch, index };
        for (text, expect) in [
            ("0", place(None, None, 0)),
            ("12", place(None, None, 12)),
            ("1/12", place(None, Some(1), 12)),
            ("log-a1b2/1/12", place(Some("log-a1b2"), Some(1), 12)),
        ] {
            assert_eq!(text.parse(), Ok(expect.clone()), "{text}");
            assert_eq!(text.parse(), Ok(Asked::Entry(expect)), "{text}");
        }
        for text in ["", "-1", "+1", "01", "x", "1.5", "/", "1/", "/1", "1/2/3/4", "main//2", "Main/1/2", "1 ", "1/+2"]
        {
            let neither = "it is neither an entry (an index, `EPOCH/INDEX`, `LOG/EPOCH/INDEX`) nor a decision's id";
            assert_eq!(text.parse::<Asked>(), Err(neither.into()), "{text}");
            assert!(text.parse::<Place>().unwrap_err().starts_with("it is no entry: "), "{text}");
        }
        assert!("grt_0123456789abcdef0123456789abcdef".parse::<Asked>().is_err());
        assert!("dec_1".parse::<Asked>().unwrap_err().contains("is no decision id"));
        assert!(matches!("dec_0123456789abcdef0123456789abcdef".parse(), Ok(Asked::Decision(_))));
    }

    #[test]
    fn whoever_asks_for_an_entry_of_before_is_told_how_it_is_named_now() {
        let epoch = |epoch, size, ended| LogEpoch {
            epoch,
            size,
            key: String::new(),
            checkpoint: None,
            ended,
            ended_at_ms: None,
            bad_entries: Vec::new(),
        };
        let ended = Some(LogEpochEnd::KeyRotated);
        let help =
            |text: &str, epochs: Vec<LogEpoch>| text.parse::<Place>().unwrap().elsewhere(&LogEpochList { epochs });
        let said = help("13", vec![epoch(1, 14, ended), epoch(2, 5, None)]).unwrap();
        assert!(said.contains("`1/13` is the entry 13 of epoch 1 (") && said.contains("audit epochs"), "{said}");
        let said = help("13", vec![epoch(1, 14, ended), epoch(2, 20, ended), epoch(3, 5, None)]).unwrap();
        assert!(said.contains("`2/13`") && said.contains("there are earlier ones"), "{said}");
        // No earlier one has it either.
        assert_eq!(help("14", vec![epoch(1, 14, ended), epoch(2, 5, None)]), None);
        assert_eq!(help("13", vec![epoch(1, 5, None)]), None);
    }

    #[test]
    fn an_entry_of_an_epoch_that_has_ended_is_refused_where_more_has_to_come() {
        let refused = |text: &str| text.parse::<Place>().unwrap().is_of_epoch(Epoch(2));
        assert!(refused("12").is_ok() && refused("2/12").is_ok());
        let ended = refused("1/12").unwrap_err();
        assert_eq!(ended.exit, crate::exit::Exit::Usage);
        assert!(ended.help.unwrap().contains("`attorn audit list --from 1/12`"));
        assert!(refused("3/12").unwrap_err().help.unwrap().contains("attorn audit epochs"));
    }
}
