//! A stream of server-sent events, read one by one.

use std::time::Duration;

use attorn_api::audit::{Entry, StreamEnded};
use serde_json::Value;

use crate::http::Reach;

/// Longer than anything takes that does come.
const PATIENCE: Duration = Duration::from_mins(1);

/// A stream that was opened.
pub struct Events {
    response: reqwest::Response,
    text: String,
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its id, if it has one.
    pub id: Option<String>,
    /// What kind it is of; nothing for a sign of life.
    pub kind: String,
    /// Its data.
    pub data: String,
}

impl Events {
    /// Open the stream of the audit log, after this entry: the id of its event.
    pub async fn open(reach: &Reach, token: &str, query: &str, after: Option<String>) -> Self {
        let path = format!("/v1/audit/stream?{query}");
        let response = reach.open(&path, token, after).await;
        assert_eq!(response.status().as_u16(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { response, text: String::new() }
    }

    /// The next event; none if the stream has ended.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let event = parse(event);
                self.text = rest.into();
                return Some(event);
            }
            let chunk = tokio::time::timeout(PATIENCE, self.response.chunk()).await.unwrap();
            // A connection that breaks is an end, too.
            self.text.push_str(std::str::from_utf8(&chunk.ok()??).unwrap());
        }
    }

    /// The next entry: its index, and what it says.
    pub async fn entry(&mut self) -> (u64, Value) {
        loop {
            let event = self.next().await.unwrap();
            match event.kind.as_str() {
                "" => {}
                "entry" => {
                    let entry: Entry = serde_json::from_str(&event.data).unwrap();
                    let (epoch, index) = (entry.reference.epoch, entry.reference.index);
                    assert_eq!(event.id, Some(format!("{epoch}/{index}")));
                    return (entry.reference.index, serde_json::from_str(entry.body.get()).unwrap());
                }
                other => panic!("there came `{other}`: {event:?}"),
            }
        }
    }

    /// How it ended, if no further entry comes.
    pub async fn ended(&mut self) -> StreamEnded {
        loop {
            let event = self.next().await.unwrap();
            match event.kind.as_str() {
                "" => {}
                "ended" => {
                    assert_eq!(self.next().await, None);
                    return serde_json::from_str(&event.data).unwrap();
                }
                _ => panic!("there came {event:?}"),
            }
        }
    }
}

fn parse(text: &str) -> Event {
    let mut event = Event { id: None, kind: String::new(), data: String::new() };
    for line in text.lines() {
        match line.split_once(": ") {
            Some(("id", id)) => event.id = Some(id.into()),
            Some(("event", kind)) => event.kind = kind.into(),
            Some(("data", data)) => event.data = data.into(),
            _ => assert!(line.starts_with(':'), "`{line}` is no line of an event"),
        }
    }
    event
}
