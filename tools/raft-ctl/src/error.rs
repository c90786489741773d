//! What a failed command says: the cause, what happened to the data, and what to do next.

use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;

use crate::codes::Code;
use crate::exit::Exit;
use crate::output::{BAD, BOLD, VERSION, error_width, styled, wrapped};

/// A failed command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct CliError {
    code: Code,
    exit: Exit,
    message: String,
    details: Vec<String>,
    hint: Option<String>,
    /// Nobody is left to read: nothing is said, and it counts as done.
    silent: bool,
}

/// The object that `--json` prints for a failed command.
#[derive(Serialize)]
struct Failure<'a> {
    v: u32,
    outcome: &'static str,
    exit: u8,
    error: ErrorObject<'a>,
}

#[derive(Serialize)]
struct ErrorObject<'a> {
    code: &'static str,
    message: &'a str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    details: &'a [String],
    hint: Option<&'a str>,
    retry_safe: bool,
}

impl CliError {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> CliError {
        CliError {
            code,
            exit: code.exit(),
            message: message.into(),
            details: Vec::new(),
            hint: None,
            silent: false,
        }
    }

    /// The command line is wrong.
    pub(crate) fn usage(message: impl Into<String>) -> CliError {
        CliError::new(Code::Usage, message)
    }

    /// A file here can't be read or written.
    pub(crate) fn file(path: &Path, doing: &str, error: &io::Error) -> CliError {
        CliError::new(Code::LocalIo, format!("{} can't be {doing}: {error}", path.display()))
    }

    /// The answer couldn't be written. Where the reader has gone away, as `head` does, that is
    /// no failure.
    pub(crate) fn output(error: io::Error) -> CliError {
        let silent = error.kind() == io::ErrorKind::BrokenPipe;
        let mut made =
            CliError::new(Code::LocalIo, format!("standard output can't be written: {error}"))
                .hint("the command itself was carried out; only its answer is lost");
        if silent {
            made.silent = true;
            made.exit = Exit::Done;
        }
        made
    }

    /// What to do next, and what happened to the data.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> CliError {
        self.hint = Some(hint.into());
        self
    }

    /// One more line below the message.
    pub(crate) fn detail(mut self, detail: impl Into<String>) -> CliError {
        self.details.push(detail.into());
        self
    }

    pub(crate) fn details(mut self, details: impl IntoIterator<Item = String>) -> CliError {
        self.details.extend(details);
        self
    }

    pub(crate) fn code(&self) -> Code {
        self.code
    }

    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }

    /// Prints it on standard error for people and, with `json`, as one object on standard output
    /// for programs.
    pub(crate) fn report(&self, json: bool) {
        if self.silent {
            return;
        }
        let mut lines = vec![format!("{} {}", styled(BAD, "error:"), self.message)];
        lines.extend(self.details.iter().map(|detail| format!("  {detail}")));
        if let Some(hint) = &self.hint {
            lines.push(format!("  {} {hint}", styled(BOLD, "hint:")));
        }
        let mut text = String::new();
        for line in lines {
            match error_width() {
                Some(width) => text.push_str(&wrapped(&line, 4, width)),
                None => text.push_str(&line),
            }
            text.push('\n');
        }
        // Nothing is left to be done where even this can't be said.
        let _ = anstream::stderr().write_all(text.as_bytes());
        if json {
            let _ = writeln!(io::stdout(), "{}", self.json());
        }
    }

    /// The object that `--json` prints.
    pub(crate) fn json(&self) -> String {
        let object = Failure {
            v: VERSION,
            outcome: self.code.outcome(),
            exit: self.exit.number(),
            error: ErrorObject {
                code: self.code.name(),
                message: &self.message,
                details: &self.details,
                hint: self.hint.as_deref(),
                retry_safe: self.code.retry_safe(),
            },
        };
        serde_json::to_string(&object).expect("texts and numbers have a JSON form")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_has_the_documented_object() {
        let error = CliError::new(Code::NoLeader, "no leader: 1 of 3 voters answered")
            .hint("start raft on nodes 2 or 3");
        assert_eq!(
            error.json(),
            "{\"v\":1,\"outcome\":\"refused\",\"exit\":4,\"error\":{\"code\":\"no_leader\",\
             \"message\":\"no leader: 1 of 3 voters answered\",\
             \"hint\":\"start raft on nodes 2 or 3\",\"retry_safe\":true}}"
        );
    }

    #[test]
    fn a_reader_that_has_gone_is_no_failure() {
        let gone = CliError::output(io::Error::from(io::ErrorKind::BrokenPipe));
        assert!(gone.silent);
        assert_eq!(gone.exit(), Exit::Done);
        let full = CliError::output(io::Error::from(io::ErrorKind::StorageFull));
        assert_eq!(full.exit(), Exit::LocalIo);
    }
}
