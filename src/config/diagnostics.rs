//! What is wrong with a configuration, said in full and in the place where it stands.

use std::fmt;
use std::io;

/// Whether a node may start all the same.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Severity {
    /// The configuration can't be used.
    Error,
    /// It can be used, but is probably not what was meant.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        })
    }
}

/// Where a finding has its cause.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Place {
    /// The file as a whole.
    File {
        /// Its name, as it was given.
        file: String,
    },
    /// A place in the file.
    Line {
        /// Its name, as it was given.
        file: String,
        /// The line, from 1.
        line: u32,
        /// The column in characters, from 1.
        column: u32,
        /// The line itself, without its end.
        text: String,
    },
    /// A variable of the environment.
    Environment {
        /// Its name.
        name: String,
    },
    /// A flag of the command line.
    Flag {
        /// The flag with its value, as it could be typed.
        text: String,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::File { file } => write!(f, "{}", printable(file)),
            Place::Line { file, line, column, .. } => {
                write!(f, "{}:{line}:{column}", printable(file))
            }
            Place::Environment { name } => write!(f, "environment {}", printable(name)),
            Place::Flag { text } => write!(f, "{}", printable(text)),
        }
    }
}

/// One finding.
///
/// Its text names the place, the key, what was found and what is allowed; a finding in the file
/// shows the line as well:
///
/// ```text
/// raft.ini:31:8: error: Port = 99999: must be 1..65535
///    31 | Port = 99999
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Diagnostic {
    /// Whether it keeps the node from starting.
    pub severity: Severity,
    /// Where its cause stands.
    pub place: Place,
    /// What was found and what is allowed, in one line.
    pub message: String,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.place, self.severity, self.message)?;
        if let Place::Line { line, text, .. } = &self.place {
            write!(f, "\n{line:>5} | {}", printable(text))?;
        }
        Ok(())
    }
}

/// Why a configuration can't be used: all of its mistakes, and the warnings beside them.
///
/// Printing it gives one finding after the other in the order of the file, then the environment
/// and the flags, and at last the count.
#[derive(Debug)]
pub struct Diagnostics {
    findings: Vec<Diagnostic>,
    cause: Option<io::Error>,
}

impl Diagnostics {
    /// The findings, sorted by place.
    #[must_use]
    pub fn findings(&self) -> &[Diagnostic] {
        &self.findings
    }

    /// How many of the findings are errors.
    #[must_use]
    pub fn error_count(&self) -> usize {
        self.findings.iter().filter(|finding| finding.severity == Severity::Error).count()
    }

    /// The findings as text, without the last line that says what came of them.
    #[must_use]
    pub fn listing(&self) -> String {
        let mut lines: Vec<String> =
            self.findings.iter().take(SHOWN).map(Diagnostic::to_string).collect();
        if self.findings.len() > SHOWN {
            lines.push(format!("... and {} more", self.findings.len() - SHOWN));
        }
        lines.join("\n")
    }

    pub(super) fn new(mut findings: Vec<Diagnostic>) -> Diagnostics {
        sort(&mut findings);
        Diagnostics { findings, cause: None }
    }

    pub(super) fn unreadable(file: &str, message: String, cause: Option<io::Error>) -> Diagnostics {
        let place = Place::File { file: file.to_owned() };
        let findings = vec![Diagnostic { severity: Severity::Error, place, message }];
        Diagnostics { findings, cause }
    }
}

/// More findings than these say that this isn't a raft.ini at all.
const SHOWN: usize = 100;

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.error_count();
        let noun = if count == 1 { "error" } else { "errors" };
        write!(f, "{}\n{count} {noun}; nothing was started", self.listing())
    }
}

impl std::error::Error for Diagnostics {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_ref().map(|cause| cause as _)
    }
}

/// Sorts by place; findings of one place stay in the order in which they were made.
pub(super) fn sort(findings: &mut [Diagnostic]) {
    let rank = |place: &Place| match place {
        Place::File { .. } => (0, 0, 0),
        Place::Line { line, column, .. } => (1, *line, *column),
        Place::Environment { .. } => (2, 0, 0),
        Place::Flag { .. } => (3, 0, 0),
    };
    findings.sort_by_key(|finding| rank(&finding.place));
}

/// The most characters of one foreign text in a message.
const LONGEST_TEXT: usize = 200;

/// Foreign text as it may stand in a message: control characters would let a file drive the
/// terminal that it is reported on, and a line of a megabyte would bury the message.
pub(super) fn printable(text: &str) -> String {
    let mut shown = String::new();
    for (count, character) in text.chars().enumerate() {
        if count == LONGEST_TEXT {
            shown.push_str("...");
            break;
        }
        match character {
            '\t' => shown.push('\t'),
            _ if character.is_control() => shown.extend(character.escape_default()),
            _ => shown.push(character),
        }
    }
    shown
}
