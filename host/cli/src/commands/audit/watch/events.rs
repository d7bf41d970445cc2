//! Server-sent events (HTML, section 9.2), as far as the server sends them: one line of data each.

use crate::failure::Failure;

/// The longest event, in bytes: the longest entry, twice over and with what stands around it.
const EVENT_BYTES_MAX: usize = 1 << 20;

/// One event.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) id: Option<String>,
    pub(super) kind: String,
    pub(super) data: String,
}

/// Events, from the bytes as they come.
#[derive(Debug, Default)]
pub(super) struct Events {
    bytes: Vec<u8>,
    /// Up to where no end of an event was found.
    looked: usize,
}

impl Events {
    /// Bytes that came.
    pub(super) fn push(&mut self, chunk: &[u8]) -> Result<(), Failure> {
        if self.bytes.len() > EVENT_BYTES_MAX {
            return Err(Failure::new(format!("an event has more than {EVENT_BYTES_MAX} bytes")));
        }
        self.bytes.extend_from_slice(chunk);
        Ok(())
    }

    /// The next event that came whole.
    pub(super) fn next(&mut self) -> Result<Option<Event>, Failure> {
        let from = self.looked.saturating_sub(1);
        let Some(at) = self.bytes[from..].windows(2).position(|pair| pair == b"\n\n") else {
            self.looked = self.bytes.len();
            return Ok(None);
        };
        let rest = self.bytes.split_off(from + at + 2);
        let whole = std::mem::replace(&mut self.bytes, rest);
        self.looked = 0;
        let text = String::from_utf8(whole).map_err(|_| Failure::new("an event is not UTF-8"))?;
        Ok(Some(event(&text)))
    }
}

fn event(text: &str) -> Event {
    let mut event = Event::default();
    for line in text.lines() {
        // A line that begins with a colon is a comment.
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "id" => event.id = is_place(value).then(|| value.into()),
            "event" => event.kind = value.into(),
            "data" => event.data = value.into(),
            _ => {}
        }
    }
    event
}

/// Whether it names an entry, as `EPOCH/INDEX`: nothing else is given back to a server.
fn is_place(id: &str) -> bool {
    let is_number = |text: &str| text.parse::<u64>().is_ok();
    id.split_once('/').is_some_and(|(epoch, index)| is_number(epoch) && is_number(index))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "id: 1/7\nevent: entry\ndata: {\"a\":\"b: c\"}\n\n:\nid: 1/9\n\n: hello\n\nevent:ended\ndata:x\n\n";

    fn expect() -> Vec<Event> {
        let event = |id: Option<&str>, kind: &str, data: &str| Event {
            id: id.map(Into::into),
            kind: kind.into(),
            data: data.into(),
        };
        vec![
            event(Some("1/7"), "entry", "{\"a\":\"b: c\"}"),
            event(Some("1/9"), "", ""),
            event(None, "", ""),
            event(None, "ended", "x"),
        ]
    }

    #[test]
    fn events_come_whole_wherever_the_bytes_are_cut() {
        for size in 1..=TEXT.len() {
            let (mut events, mut found) = (Events::default(), Vec::new());
            for chunk in TEXT.as_bytes().chunks(size) {
                events.push(chunk).unwrap();
                while let Some(event) = events.next().unwrap() {
                    found.push(event);
                }
            }
            assert_eq!(found, expect(), "{size}");
        }
    }

    #[test]
    fn an_event_without_end_is_not_kept_for_ever() {
        let mut events = Events::default();
        let refused = (0..100).find_map(|_| {
            let pushed = events.push(&vec![b'x'; 64 << 10]);
            pushed.and_then(|()| events.next()).err()
        });
        assert!(refused.unwrap().message.contains("1048576 bytes"));
        assert_eq!(event("id: x\ndata: y\n\n"), Event { id: None, kind: String::new(), data: "y".into() });
        let mut events = Events::default();
        events.push(b"data: \xff\n\n").unwrap();
        assert!(events.next().is_err());
    }
}
