//! Server-sent events, read as the HTML standard's section 9.2.6 says.

/// The longest event kept while it arrives, in bytes; a longer one is dropped whole.
pub const EVENT_BYTES_MAX: usize = 1 << 20;

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// The last `id` the stream named.
    pub id: Option<String>,
    /// The `event` field; empty stands for `message`.
    pub name: String,
    /// The `data` lines, joined.
    pub data: String,
}

/// Turns bytes, however they are cut, into events.
#[derive(Debug, Default)]
pub struct Parser {
    line: Vec<u8>,
    after_return: bool,
    id: Option<String>,
    name: String,
    data: String,
    any: bool,
    too_long: bool,
}

impl Parser {
    /// Takes the next bytes; returns the events they complete.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Event> {
        let mut events = Vec::new();
        for &byte in bytes {
            match byte {
                b'\n' if self.after_return => self.after_return = false,
                b'\n' | b'\r' => {
                    self.after_return = byte == b'\r';
                    let line = std::mem::take(&mut self.line);
                    events.extend(self.end_line(&String::from_utf8_lossy(&line)));
                }
                _ => {
                    self.after_return = false;
                    if self.line.len() < EVENT_BYTES_MAX {
                        self.line.push(byte);
                    } else {
                        self.too_long = true;
                    }
                }
            }
        }
        events
    }

    fn end_line(&mut self, line: &str) -> Option<Event> {
        if line.is_empty() {
            let name = std::mem::take(&mut self.name);
            let data = std::mem::take(&mut self.data);
            let whole = std::mem::take(&mut self.any) && !std::mem::take(&mut self.too_long);
            return whole.then(|| Event { id: self.id.clone(), name, data });
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.name),
            "id" if !value.contains('\0') => self.id = Some(value.to_owned()),
            "data" => {
                if self.any {
                    self.data.push('\n');
                }
                self.any = true;
                if self.data.len() + value.len() <= EVENT_BYTES_MAX {
                    self.data.push_str(value);
                } else {
                    self.too_long = true;
                }
            }
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(parser: &mut Parser, text: &str) -> Vec<Event> {
        text.as_bytes().chunks(3).flat_map(|chunk| parser.push(chunk)).collect()
    }

    #[test]
    fn events_come_whole_however_the_bytes_are_cut() {
        let mut parser = Parser::default();
        let events = all(
            &mut parser,
            "event: room.created\nid: 7\ndata: {\"a\":1}\n\n: still here\r\n\r\ndata:x\rdata: y\r\r",
        );
        assert_eq!(
            events,
            [
                Event { id: Some("7".into()), name: "room.created".into(), data: "{\"a\":1}".into() },
                Event { id: Some("7".into()), name: String::new(), data: "x\ny".into() },
            ]
        );
    }

    #[test]
    fn an_event_past_the_limit_is_dropped_and_the_next_one_read() {
        let mut parser = Parser::default();
        parser.push(b"data: ");
        parser.push(&vec![b'x'; EVENT_BYTES_MAX + 1]);
        assert_eq!(parser.push(b"\n\n"), []);
        assert_eq!(parser.push(b"data: y\n\n").len(), 1);
    }
}
