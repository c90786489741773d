//! Gathers findings and remembers which keys are already known to be wrong.

use std::collections::{BTreeMap, BTreeSet};

use super::diagnostics::{self, Diagnostic, Diagnostics, Place, Severity};
use super::ini::Position;

/// Where a value comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Origin {
    /// It holds because the key isn't given.
    Default,
    /// A place in the file.
    File(Position),
    /// A variable of the environment, by name.
    Environment(String),
    /// A flag, as it could be typed.
    Flag(String),
}

/// Which value comes from where, by section and key. What isn't in it is a default.
pub(super) type Origins = BTreeMap<(String, &'static str), Origin>;

/// The findings so far.
pub(super) struct Report<'a> {
    file: &'a str,
    lines: Vec<String>,
    findings: Vec<Diagnostic>,
    broken: BTreeSet<(String, &'static str)>,
}

impl<'a> Report<'a> {
    pub(super) fn new(file: &'a str, lines: Vec<String>) -> Report<'a> {
        Report { file, lines, findings: Vec::new(), broken: BTreeSet::new() }
    }

    pub(super) fn file(&self) -> &str {
        self.file
    }

    pub(super) fn error(&mut self, origin: &Origin, message: String) {
        let place = self.place(origin);
        self.findings.push(Diagnostic { severity: Severity::Error, place, message });
    }

    pub(super) fn error_at(&mut self, at: Position, message: String) {
        self.error(&Origin::File(at), message);
    }

    pub(super) fn warning(&mut self, origin: &Origin, message: String) {
        let place = self.place(origin);
        self.findings.push(Diagnostic { severity: Severity::Warning, place, message });
    }

    /// Notes that the key's value is wrong, so that nothing further is concluded from it.
    pub(super) fn mark_broken(&mut self, section: &str, key: &'static str) {
        self.broken.insert((section.to_owned(), key));
    }

    pub(super) fn is_broken(&self, section: &str, key: &'static str) -> bool {
        self.broken.contains(&(section.to_owned(), key))
    }

    /// The warnings, if there is nothing worse.
    pub(super) fn finish(self) -> Result<Vec<Diagnostic>, Diagnostics> {
        let mut findings = self.findings;
        if findings.iter().any(|finding| finding.severity == Severity::Error) {
            return Err(Diagnostics::new(findings));
        }
        diagnostics::sort(&mut findings);
        Ok(findings)
    }

    fn place(&self, origin: &Origin) -> Place {
        match origin {
            Origin::Default => Place::File { file: self.file.to_owned() },
            Origin::File(at) => Place::Line {
                file: self.file.to_owned(),
                line: at.line,
                column: at.column,
                text: self.line(at.line).to_owned(),
            },
            Origin::Environment(name) => Place::Environment { name: name.clone() },
            Origin::Flag(text) => Place::Flag { text: text.clone() },
        }
    }

    fn line(&self, number: u32) -> &str {
        let index = usize::try_from(number).unwrap_or(usize::MAX).wrapping_sub(1);
        self.lines.get(index).map_or("", String::as_str)
    }
}
