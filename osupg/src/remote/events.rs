//! Server-sent events, read from the chunks of an answer.

use crate::error::{Error, Result};

/// Bytes that one event may have: the outcome of a long operation is in one.
const LARGEST: usize = 64 << 20;

/// One event.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Event {
    /// What kind of event it is.
    pub(super) name: String,
    /// Its number, where it has one.
    pub(super) id: Option<String>,
    /// Its data.
    pub(super) data: String,
}

/// Puts events together from chunks that end anywhere.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// Bytes of a line whose end has not come yet.
    rest: Vec<u8>,
    current: Event,
}

impl Reader {
    /// The events that end in this chunk.
    ///
    /// # Errors
    /// When an event is too large.
    pub(super) fn take(&mut self, chunk: &[u8]) -> Result<Vec<Event>> {
        let mut events = Vec::new();
        self.rest.extend_from_slice(chunk);
        let bytes = std::mem::take(&mut self.rest);
        let mut lines = bytes.split(|byte| *byte == b'\n');
        self.rest = lines.next_back().unwrap_or_default().to_vec();
        for line in lines {
            let line = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line));
            if line.is_empty() {
                let event = std::mem::take(&mut self.current);
                if !event.data.is_empty() {
                    events.push(event);
                }
            } else {
                self.field(&line);
            }
        }
        if self.rest.len() + self.current.data.len() > LARGEST {
            return Err(Error::io("the service sends an event without end"));
        }
        Ok(events)
    }

    fn field(&mut self, line: &str) {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "event" => self.current.name = value.to_string(),
            "id" => self.current.id = Some(value.to_string()),
            "data" => {
                if !self.current.data.is_empty() {
                    self.current.data.push('\n');
                }
                self.current.data.push_str(value);
            }
            // A comment (a sign of life), or a field that we have no use for.
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = ": alive\n\nevent: note\nid: 7\ndata: {\"text\":\"é\"}\n\n\
                          event: end\r\ndata: a\r\ndata: b\r\n\r\nretry: 5\n\n";

    #[test]
    fn events_are_the_same_however_they_are_cut() {
        let wanted = vec![
            Event { name: "note".into(), id: Some("7".into()), data: "{\"text\":\"é\"}".into() },
            Event { name: "end".into(), id: None, data: "a\nb".into() },
        ];
        for size in 1..=STREAM.len() {
            let mut reader = Reader::default();
            let mut events = Vec::new();
            for chunk in STREAM.as_bytes().chunks(size) {
                events.extend(reader.take(chunk).unwrap());
            }
            assert_eq!(events, wanted, "chunks of {size}");
        }
    }
}
