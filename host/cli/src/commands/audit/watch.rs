//! `attorn audit watch`: prints entries as they come, and goes on where it was when the connection breaks.

mod events;

use std::time::Duration;

use attorn_api::ProblemCode;
use attorn_api::audit::{Entry, EntryList, StreamEnd, StreamEnded};
use attorn_core::TimeMs;
use clap::Args;

use super::epochs::{damaged_entries, damaged_first};
use super::filters::Filters;
use super::place::Place;
use super::row;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::operator_client::OperatorClient;
use crate::output::Output;
use crate::parse;
use events::{Event, Events};

/// How long is waited before it is tried again, at first and at most.
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
/// For how long it goes on after the time that `--until` names: what was written just before has yet to come.
const LINGER: Duration = Duration::from_secs(1);

#[derive(Debug, Args)]
#[command(after_help = "With --json each entry is one line of JSON.

With --until it ends when that time has come: `--until 2026-01-02T03:04:05Z`. What was written until a time that is over
is listed by `attorn audit list`.

Examples:
  attorn audit watch --decision deny
  attorn audit watch --agent support-bot --from 0 --json
  attorn audit watch --from 1/12                       entry 12, if the log is in its first epoch")]
pub(crate) struct Watch {
    #[command(flatten)]
    filters: Filters,
    /// Begin with this entry of the epoch that the log is in, instead of the next that comes: its index, also with its
    /// epoch, or as it is printed
    #[arg(long, value_name = "ENTRY")]
    from: Option<Place>,
    /// End after so many entries
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
}

/// How far it is.
struct Progress {
    /// The last entry that was looked at, as the server names it: `EPOCH/INDEX`.
    last: Option<String>,
    printed: u64,
    /// Whether anything ever came.
    connected: bool,
    ended: Option<StreamEnded>,
}

impl Watch {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let left = self.time_left(parse::now_ms())?;
        let client = context.operator()?;
        if let Some(from) = &self.from {
            from.goes_on(&client).await?;
        }
        let watched = self.watched(&client, &context.output);
        match left {
            None => watched.await,
            // That the time is over is how it is to end.
            Some(left) => tokio::time::timeout(left, watched).await.unwrap_or(Ok(Exit::Done)),
        }
    }

    /// How long there is to watch, if it ends at a time. Nothing that is still to come was written until one that is over.
    fn time_left(&self, now_ms: u64) -> Result<Option<Duration>, Failure> {
        let Some(until) = self.filters.until() else { return Ok(None) };
        match until.ms.checked_sub(now_ms).filter(|left| *left > 0) {
            Some(left) => Ok(Some(Duration::from_millis(left).saturating_add(LINGER))),
            None => Err(Failure::usage(format!(
                "`--until` is {}, and that is over: nothing more would come",
                TimeMs(until.ms)
            ))
            .with_help(
                "`attorn audit list --until …` lists what was written until then; to watch for a while, give a time to \
                     come, as `2026-01-02T03:04:05Z`",
            )),
        }
    }

    async fn watched(&self, client: &OperatorClient, output: &Output) -> Result<Exit, Failure> {
        let mut progress = Progress { last: None, printed: 0, connected: false, ended: None };
        let mut pause = PAUSE.0;
        loop {
            let before = progress.last.clone();
            let broke = self.follow(client, output, &mut progress).await;
            if self.is_done(output, &progress) {
                return Ok(Exit::Done);
            }
            let why = match (progress.ended.take(), broke) {
                (Some(StreamEnded { reason: StreamEnd::LogDamaged, resume_after }), _) => {
                    let last = resume_after.as_deref().and_then(|last| last.parse::<Place>().ok());
                    let next = match (last, &self.from) {
                        (Some(Place { epoch, index, .. }), _) => (epoch, index.saturating_add(1)),
                        (None, from) => (None, from.as_ref().map_or(0, |from| from.index)),
                    };
                    return Err(damage(client, next).await);
                }
                (Some(ended), _) => self::ended(&ended)?.to_owned(),
                (None, Ok(())) => "the connection ended".to_owned(),
                (None, Err(failure)) if is_final(&failure, progress.connected) => {
                    return Err(other_log(failure, progress.last.as_deref()));
                }
                (None, Err(failure)) => failure.message,
            };
            pause = if progress.last == before { (pause * 2).min(PAUSE.1) } else { PAUSE.0 };
            output.note(format!("{why}; trying again"));
            tokio::time::sleep(pause).await;
        }
    }

    /// Read one stream until it ends.
    async fn follow(&self, client: &OperatorClient, output: &Output, progress: &mut Progress) -> Result<(), Failure> {
        let (mut events, last) = (Events::default(), progress.last.clone());
        let each = |chunk: &[u8]| {
            progress.connected = true;
            events.push(chunk)?;
            while let Some(event) = events.next()? {
                take(output, progress, &event)?;
                if self.is_done(output, progress) {
                    // It is no failure, and nothing else ends the reading.
                    return Err(Failure::new("enough was printed"));
                }
            }
            Ok(())
        };
        client.follow(&self.path(), last.as_deref(), each).await
    }

    fn is_done(&self, output: &Output, progress: &Progress) -> bool {
        output.is_broken() || self.count.is_some_and(|count| progress.printed >= count)
    }

    fn path(&self) -> String {
        let from = self.from.as_ref().map(|from| format!("&from={}", from.index)).unwrap_or_default();
        let query = format!("{}{from}", self.filters.query());
        match query.strip_prefix('&') {
            Some(query) => format!("/v1/audit/stream?{query}"),
            None => "/v1/audit/stream".into(),
        }
    }
}

/// Print what came, if it is an entry, and keep how far it is.
fn take(output: &Output, progress: &mut Progress, event: &Event) -> Result<(), Failure> {
    let unclear = |error: serde_json::Error| Failure::new(format!("an event cannot be understood: {error}"));
    if let Some(said) = where_it_is(progress.last.as_deref(), event) {
        output.note(said);
    }
    match event.kind.as_str() {
        "entry" => {
            let entry: Entry = serde_json::from_str(&event.data).map_err(unclear)?;
            if output.json {
                output.json_line(&entry)?;
            } else {
                output.line(row(&entry)?.join("  "));
            }
            progress.printed += 1;
        }
        "ended" => progress.ended = Some(serde_json::from_str(&event.data).map_err(unclear)?),
        // Of a newer server, or a sign of life.
        _ => {}
    }
    if let Some(id) = &event.id {
        progress.last = Some(id.clone());
    }
    Ok(())
}

/// What is said of where it is: at first, and when the log has begun a new epoch.
fn where_it_is(last: Option<&str>, event: &Event) -> Option<String> {
    let (epoch, index) = event.id.as_deref()?.split_once('/')?;
    match last.and_then(|last| last.split_once('/')) {
        None if event.kind == "entry" => None,
        None => Some(format!("watching what comes after entry {index} of epoch {epoch}")),
        Some((before, _)) if before != epoch => Some(format!("the log has begun epoch {epoch}, which counts from 0")),
        Some(_) => None,
    }
}

/// Where the log lacks what was seen of it, to come back is in vain.
fn other_log(failure: Failure, last: Option<&str>) -> Failure {
    let Some(last) = last.filter(|_| failure.code == Some(ProblemCode::InvalidField)) else { return failure };
    Failure::unverified(format!("the entry {last} was seen, and the log does not have it any more: {}", failure.message))
        .with_help(
            "the server was restored from an older backup, or is another one: `attorn audit verify` tells; `attorn audit watch` \
             begins anew",
        )
}

/// What is damaged of the entries from this one on, or not kept: whoever asks for them is told.
async fn damage(client: &OperatorClient, (epoch, from): (Option<u64>, u64)) -> Failure {
    // An epoch that has ended is asked for by its number, and the one that the log is in by none.
    if let Some(epoch) = epoch {
        match client.get::<EntryList>(&format!("/v1/audit/epochs/{epoch}/entries?from={from}&limit=200")).await {
            Ok(EntryList { damaged: Some(found), .. }) => return damaged_entries(epoch, &found),
            Err(failure) if is_of_entries(&failure) => return Failure { exit: Exit::VerificationFailed, ..failure },
            _ => {}
        }
    }
    match client.get::<EntryList>(&format!("/v1/audit/entries?from={from}&limit=200")).await {
        Ok(EntryList { damaged: Some(found), .. }) => damaged_first(found),
        Err(failure) if failure.code == Some(ProblemCode::LogDamaged) => failure,
        _ => damaged(),
    }
}

fn is_of_entries(failure: &Failure) -> bool {
    matches!(failure.code, Some(ProblemCode::LogDamaged | ProblemCode::NotFound))
}

fn damaged() -> Failure {
    Failure::unverified("a part of the audit log is damaged that comes next")
        .with_help("`attorn audit verify` names the file")
}

/// Whether to try again would bring the same.
fn is_final(failure: &Failure, connected: bool) -> bool {
    match failure.code {
        Some(ProblemCode::Busy | ProblemCode::NotReady | ProblemCode::Timeout) => false,
        Some(_) => true,
        None => !connected,
    }
}

/// Why to come back; an error where that is in vain.
fn ended(ended: &StreamEnded) -> Result<&'static str, Failure> {
    match ended.reason {
        StreamEnd::Slow => Ok("the server dropped a reader that was too slow"),
        StreamEnd::Stopped => Ok("the server stops"),
        StreamEnd::Failed => Ok("the server failed"),
        StreamEnd::LogDamaged => Err(damaged()),
        StreamEnd::Revoked => Err(Failure::new("the operator's token was revoked")),
        StreamEnd::UserGone => Err(Failure::new("the user was erased, and nothing finds them any more")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch(from: Option<&str>) -> Watch {
        Watch { filters: Filters::default(), from: from.map(|from| from.parse().unwrap()), count: None }
    }

    #[test]
    fn the_server_is_asked_for_what_is_wanted() {
        assert_eq!(watch(None).path(), "/v1/audit/stream");
        for from in ["7", "1/7", "log-a1/1/7"] {
            assert_eq!(watch(Some(from)).path(), "/v1/audit/stream?from=7");
        }
    }

    #[test]
    fn a_time_that_is_over_is_refused_and_one_to_come_ends_it() {
        let now = 1_767_323_045_000;
        let until = |ms| Watch { filters: Filters::written_until(ms), ..watch(None) }.time_left(now);
        for over in [0, now - 3_600_000, now] {
            let failure = until(over).unwrap_err();
            assert_eq!(failure.exit, Exit::Usage);
            assert!(failure.message.contains("that is over") && failure.help.unwrap().contains("attorn audit list"));
        }
        assert_eq!(until(now + 5_000).unwrap(), Some(Duration::from_secs(6)));
        assert_eq!(watch(None).time_left(now).unwrap(), None);
    }

    #[test]
    fn it_says_where_it_is_at_first_and_when_an_epoch_begins() {
        for (last, id, expect) in [
            (None, "1/7", Some("watching what comes after entry 7 of epoch 1")),
            (Some("1/7"), "1/8", None),
            (Some("1/8"), "2/0", Some("the log has begun epoch 2, which counts from 0")),
            (None, "odd", None),
        ] {
            let event = Event { id: Some(id.into()), ..Event::default() };
            assert_eq!(where_it_is(last, &event).as_deref(), expect, "{id}");
        }
        // Whoever begins with an entry that they named knows where that is.
        let entry = Event { id: Some("1/0".into()), kind: "entry".into(), data: String::new() };
        assert_eq!(where_it_is(None, &entry), None);
        let refused = || Failure { code: Some(ProblemCode::InvalidField), ..Failure::new("it has 3 entries") };
        let said = other_log(refused(), Some("1/11"));
        assert!(said.message.starts_with("the entry 1/11 was seen") && said.exit == Exit::VerificationFailed, "{said}");
        assert_eq!(other_log(refused(), None).message, "it has 3 entries");
    }

    #[test]
    fn what_would_fail_again_is_not_tried_again() {
        let of = |code: Option<ProblemCode>| Failure { code, ..Failure::new("x") };
        for (code, connected, expect) in [
            (Some(ProblemCode::Busy), false, false),
            (Some(ProblemCode::MissingDuty), true, true),
            (Some(ProblemCode::Unauthenticated), true, true),
            (None, false, true),
            (None, true, false),
        ] {
            assert_eq!(is_final(&of(code), connected), expect, "{code:?}");
        }
        for (reason, comes_back) in [
            (StreamEnd::Slow, true),
            (StreamEnd::Stopped, true),
            (StreamEnd::Failed, true),
            (StreamEnd::LogDamaged, false),
            (StreamEnd::Revoked, false),
            (StreamEnd::UserGone, false),
        ] {
            assert_eq!(ended(&StreamEnded { reason, resume_after: None }).is_ok(), comes_back);
        }
    }
}
