//! Two kinds of time that must not be confused.

use std::fmt;
use std::ops::Add;
use std::time::Duration;

/// A point on the monotonic clock of one process, in nanoseconds from an origin of its own.
///
/// Times of two processes can't be compared. The core gets the time as an argument; the shell
/// reads it from the system's monotonic clock, the simulator makes it up.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(u64);

impl Time {
    /// The origin of the clock.
    pub const ZERO: Time = Time(0);

    /// The point `nanoseconds` after the origin.
    #[must_use]
    pub const fn from_nanos(nanoseconds: u64) -> Time {
        Time(nanoseconds)
    }

    /// Nanoseconds since the origin.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// How long `self` is after `earlier`; zero if it isn't after it.
    #[must_use]
    pub const fn since(self, earlier: Time) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Time {
    type Output = Time;

    /// The point `duration` later. It stops at the end of the clock, 584 years after its origin.
    fn add(self, duration: Duration) -> Time {
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Time(self.0.saturating_add(nanoseconds))
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", Duration::from_nanos(self.0))
    }
}

/// The time that the log carries, in nanoseconds since 1970-01-01 UTC.
///
/// It starts as the founder's wall time and is advanced by each leader's monotonic clock, so it
/// never jumps and never goes back, and every replica reads the same one from the same entry.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct LogTime(pub u64);

impl Add<Duration> for LogTime {
    type Output = LogTime;

    fn add(self, duration: Duration) -> LogTime {
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        LogTime(self.0.saturating_add(nanoseconds))
    }
}

impl fmt::Debug for LogTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "t{}", self.0)
    }
}
