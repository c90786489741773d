//! How the program ends.

use std::process::ExitCode;

/// The exit codes, which scripts hold on to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Done.
    Done = 0,
    /// A negative answer: no such key, not swapped, unhealthy, damage found.
    Negative = 1,
    /// The command line or the configuration is wrong.
    Usage = 2,
    /// No node could be reached.
    CannotConnect = 3,
    /// Not done, nothing written; may be tried again.
    NotDone = 4,
    /// Whether it was done isn't known.
    Unknown = 5,
    /// Refused by a guard that protects the data.
    Guard = 6,
    /// Data is corrupt.
    Corrupt = 7,
    /// Reading or writing here failed.
    LocalIo = 8,
}

impl Exit {
    pub(crate) const fn number(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.number())
    }
}
