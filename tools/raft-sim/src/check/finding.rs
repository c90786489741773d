//! What the checks come to, for people.

use std::fmt;

use super::Call;
use super::values::Quoted;

/// Whether a correct store could have given a history.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[must_use]
pub struct Verdict {
    /// What no correct store could have done, the plainest first.
    pub findings: Vec<Finding>,
    /// What would have taken too long to find out.
    pub undecided: Vec<Undecided>,
}

/// Something that no correct store could have done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// Which check found it.
    pub check: Check,
    /// The key that it is about, if it is about one.
    pub key: Option<Vec<u8>>,
    /// What is wrong.
    pub text: String,
    /// The operations that can't all have been answered so, in the order of their calls.
    pub operations: Vec<Call>,
    /// The same, written out, one a line.
    pub lines: Vec<String>,
}

/// A check that was given up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Undecided {
    /// Which check.
    pub check: Check,
    /// The key that it is about.
    pub key: Vec<u8>,
    /// After so many steps.
    pub steps: u64,
}

/// One of the checks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Check {
    /// Each answer is one to what was asked.
    Form,
    /// What was sent several times under one number was done once.
    Numbers,
    /// A counter is the sum of what was added to it.
    Sums,
    /// What was acknowledged is there in the end.
    Contents,
    /// The order that the indexes tell explains all answers.
    Indexes,
    /// Some order explains all answers about a key.
    RealTime,
}

impl Verdict {
    /// Whether nothing is wrong, and everything could be decided.
    #[must_use]
    pub fn is_legal(&self) -> bool {
        self.findings.is_empty() && self.undecided.is_empty()
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Check::Form => "form",
            Check::Numbers => "numbers",
            Check::Sums => "sums",
            Check::Contents => "contents",
            Check::Indexes => "indexes",
            Check::RealTime => "real time",
        })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.check)?;
        if let Some(key) = &self.key {
            write!(f, ", key {}", Quoted(key))?;
        }
        write!(f, ": {}", self.text)?;
        for line in &self.lines {
            write!(f, "\n  {line}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Undecided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Undecided { check, key, steps } = self;
        write!(f, "{check}, key {}: not decided within {steps} steps", Quoted(key))
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_legal() {
            return f.write_str("the history is one of a correct store");
        }
        let findings = self.findings.iter().map(ToString::to_string);
        let undecided = self.undecided.iter().map(ToString::to_string);
        f.write_str(&findings.chain(undecided).collect::<Vec<_>>().join("\n"))
    }
}
