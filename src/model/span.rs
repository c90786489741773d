//! Runs of the log, named without holding them.

use super::{Index, Term};

/// Where a run of entries of one term begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TermRun {
    /// The term.
    pub term: Term,
    /// The first index of it.
    pub first: Index,
}

/// Consecutive indexes, both ends included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Span {
    /// The first index.
    pub first: Index,
    /// The last index, not below `first`.
    pub last: Index,
}
