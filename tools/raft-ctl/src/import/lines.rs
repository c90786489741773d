//! Reading what is to be imported: one JSON object per line.

use std::io::{self, BufRead};

use raft_node::kv::MAX_COMMAND_BYTES;
use serde::Deserialize;

use crate::input;
use crate::output::OwnedBlob;

/// No line is longer: a key and a value of the greatest length, each of their bytes written as
/// `\u00ff`.
const LONGEST_LINE: usize = 6 * MAX_COMMAND_BYTES + (64 << 10);

/// A line that was read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Line {
    /// From 1.
    pub(crate) number: u64,
    pub(crate) key: Vec<u8>,
    pub(crate) value: Vec<u8>,
}

/// A line that can't be imported.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct WrongLine {
    /// From 1.
    pub(crate) number: u64,
    /// What is wrong.
    pub(crate) reason: String,
}

/// Reads lines one by one. Empty ones are passed over.
pub(crate) struct Lines<R> {
    from: R,
    buffer: Vec<u8>,
    number: u64,
    bytes: u64,
    ended: bool,
}

#[derive(Deserialize)]
struct Record {
    key: OwnedBlob,
    value: OwnedBlob,
}

impl<R: BufRead> Lines<R> {
    pub(crate) fn new(from: R) -> Lines<R> {
        Lines { from, buffer: Vec::new(), number: 0, bytes: 0, ended: false }
    }

    /// How many bytes were read.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The number of the line that was read last.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Whether everything was read.
    pub(crate) fn is_at_end(&self) -> bool {
        self.ended
    }

    /// The next line, or `None` at the end. A wrong line doesn't keep the next from being read.
    pub(crate) fn next(&mut self) -> io::Result<Option<Result<Line, WrongLine>>> {
        loop {
            self.buffer.clear();
            if !self.fill()? {
                self.ended = true;
                return Ok(None);
            }
            self.number += 1;
            let text = self.buffer.trim_ascii();
            if self.buffer.len() > LONGEST_LINE {
                let reason = format!("the line has more than {LONGEST_LINE} bytes");
                return Ok(Some(Err(WrongLine { number: self.number, reason })));
            }
            if !text.is_empty() {
                return Ok(Some(parse(text, self.number)));
            }
        }
    }

    /// Reads up to the end of the line; of a line that is too long, only the beginning is kept.
    fn fill(&mut self) -> io::Result<bool> {
        loop {
            let available = match self.from.fill_buf() {
                Ok(available) => available,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if available.is_empty() {
                return Ok(!self.buffer.is_empty());
            }
            let end = available.iter().position(|byte| *byte == b'\n');
            let taken = end.map_or(available.len(), |end| end + 1);
            if self.buffer.len() <= LONGEST_LINE {
                self.buffer.extend_from_slice(&available[..taken]);
            }
            self.from.consume(taken);
            self.bytes += taken as u64;
            if end.is_some() {
                return Ok(true);
            }
        }
    }
}

fn parse(text: &[u8], number: u64) -> Result<Line, WrongLine> {
    let wrong = |reason| WrongLine { number, reason };
    let record: Record = serde_json::from_slice(text).map_err(|error| wrong(explain(&error)))?;
    let Record { key: OwnedBlob(key), value: OwnedBlob(value) } = record;
    input::check_key(&key).map_err(wrong)?;
    Ok(Line { number, key, value })
}

/// The library's words without its line number, which is always 1.
fn explain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" at line 1 column ") {
        Some((what, column)) => format!("{what} (column {column})"),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &[u8]) -> Vec<Result<Line, WrongLine>> {
        // A small buffer, so that lines don't end where reads do.
        let mut lines = Lines::new(io::BufReader::with_capacity(7, text));
        let mut found = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            found.push(line);
        }
        assert_eq!(lines.bytes(), text.len() as u64);
        found
    }

    #[test]
    fn lines_are_numbered_and_other_fields_are_ignored() {
        let text = b"{\"key\":\"a\",\"value\":\"1\"}\n\n  \r\n\
                     {\"key\":{\"b64\":\"/w==\"},\"value\":\"\",\"version\":3,\"mod_index\":9}";
        let lines: Vec<Line> = all(text).into_iter().map(Result::unwrap).collect();
        assert_eq!(lines[0], Line { number: 1, key: b"a".to_vec(), value: b"1".to_vec() });
        assert_eq!(lines[1], Line { number: 4, key: vec![255], value: vec![] });
    }

    #[test]
    fn a_wrong_line_says_what_is_wrong_and_the_next_one_is_read() {
        for (wrong, reason) in [
            ("{\"key\":\"a\"}", "missing field `value`"),
            ("{\"key\":\"\",\"value\":\"\"}", "at least 1 byte"),
            ("{\"key\":1,\"value\":\"\"}", "a string or"),
            ("{\"key\":\"a\",\"value\":null}", "a string or"),
            ("nonsense", "expected"),
            ("{\"key\":\"a\",\"value\":\"1\"} {}", "trailing"),
            ("\u{1}", "column"),
        ] {
            let text = format!("{wrong}\n{{\"key\":\"b\",\"value\":\"2\"}}\n");
            let lines = all(text.as_bytes());
            let error = lines[0].as_ref().unwrap_err();
            assert_eq!(error.number, 1);
            assert!(error.reason.contains(reason), "{wrong}: {}", error.reason);
            assert!(!error.reason.contains("line 1"), "{}", error.reason);
            assert_eq!(lines[1].as_ref().unwrap().key, b"b");
        }
    }

    #[test]
    fn a_line_without_end_takes_no_memory_without_end() {
        let mut text = vec![b'x'; LONGEST_LINE + 1000];
        text.extend_from_slice(b"\n{\"key\":\"b\",\"value\":\"2\"}\n");
        let mut lines = Lines::new(io::BufReader::new(text.as_slice()));
        let error = lines.next().unwrap().unwrap().unwrap_err();
        assert!(error.reason.contains("more than"), "{}", error.reason);
        assert_eq!(lines.next().unwrap().unwrap().unwrap().number, 2);
    }
}
