//! How a world has ended.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// Something that must not be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// When, in simulated time.
    pub at: Duration,
    /// What.
    pub text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at {:.6} s: {}", self.at.as_secs_f64(), self.text)
    }
}

/// How a world has ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Its seed.
    pub seed: u64,
    /// A number that is the same for the same course of events.
    pub hash: u64,
    /// What must not be and was, if there was something.
    pub finding: Option<Finding>,
    /// The checks of the history that were given up, a line each.
    pub undecided: Vec<String>,
    /// How many pieces were delivered, works of disks done and timers run down.
    pub steps: u64,
    /// How much time has passed in it.
    pub simulated: Duration,
    /// How many entries were committed.
    pub commits: u64,
    /// How many calls of clients were answered.
    pub answered: u64,
    /// How often each marker was reached.
    pub markers: BTreeMap<&'static str, u64>,
    /// What happened, a line each, if it was to be kept.
    pub timeline: Vec<String>,
}
