//! The time that a leader stamps on entries.

use crate::model::{LogTime, Time};

/// Log time as this node would go on with it: the last stamped time, and what its own clock has
/// measured since.
#[derive(Clone, Debug)]
pub(super) struct LogClock {
    stamped: LogTime,
    at: Time,
}

impl LogClock {
    pub(super) const fn new(stamped: LogTime, now: Time) -> LogClock {
        LogClock { stamped, at: now }
    }

    /// The time that an entry made now would carry.
    pub(super) fn read(&self, now: Time) -> LogTime {
        self.stamped + now.since(self.at)
    }

    /// The time of an entry that is made now.
    pub(super) fn stamp(&mut self, now: Time) -> LogTime {
        *self = LogClock::new(self.read(now), now);
        self.stamped
    }

    /// An entry that another leader stamped came in.
    pub(super) fn observe(&mut self, stamped: LogTime, now: Time) {
        if stamped >= self.stamped {
            *self = LogClock::new(stamped, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_time_advances_by_the_own_clock_and_never_goes_back() {
        let mut clock = LogClock::new(LogTime(1000), Time::from_nanos(50));
        assert_eq!(clock.stamp(Time::from_nanos(70)), LogTime(1020));
        clock.observe(LogTime(2000), Time::from_nanos(80));
        clock.observe(LogTime(1500), Time::from_nanos(90));
        assert_eq!(clock.read(Time::from_nanos(95)), LogTime(2015));
        assert_eq!(clock.stamp(Time::from_nanos(10)), LogTime(2000));
    }
}
