//! What is printed.

use std::fmt::Display;
use std::io::{self, BufWriter, ErrorKind, Write as _};

use super::USAGE;

/// Prints lines.
pub(super) fn say<T: Display>(lines: impl IntoIterator<Item = T>) -> io::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    for line in lines {
        writeln!(out, "{line}")?;
    }
    out.flush()
}

/// The exit code of a command whose answer was printed like this. A reader that has gone away, as
/// `head` does, is no failure.
pub(super) fn written(printed: io::Result<()>, code: u8) -> u8 {
    match printed {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            complain(&format!("standard output can't be written: {error}"));
            USAGE
        }
        _ => code,
    }
}

/// Tells a person what is wrong.
pub(super) fn complain(text: &str) {
    // Where this can't be written either, the exit code says it.
    let _ = writeln!(io::stderr(), "raft-sim: {text}");
}

/// A text as JSON has it.
pub(super) fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' => quoted += "\\\"",
            '\\' => quoted += "\\\\",
            letter if letter < ' ' => quoted += &format!("\\u{:04x}", letter as u32),
            letter => quoted.push(letter),
        }
    }
    quoted + "\""
}

/// Texts as a list in JSON.
pub(super) fn quote_all(texts: &[String]) -> String {
    let quoted: Vec<String> = texts.iter().map(|text| quote(text)).collect();
    format!("[{}]", quoted.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::FINDING;

    #[test]
    fn a_reader_that_has_gone_is_no_failure() {
        assert_eq!(written(Err(ErrorKind::BrokenPipe.into()), FINDING), FINDING);
        assert_eq!(written(Err(ErrorKind::StorageFull.into()), FINDING), USAGE);
        assert_eq!(written(Ok(()), FINDING), FINDING);
    }

    #[test]
    fn texts_are_quoted_as_json_has_them() {
        let texts = ["a \"b\"\n".to_owned(), "c\\d".to_owned()];
        let read: Vec<String> = serde_json::from_str(&quote_all(&texts)).unwrap();
        assert_eq!(read, texts);
    }
}
