//! The system's monotonic clock, counted as the rules count time.

use std::time::Instant;

use crate::model::Time;

/// The system's monotonic clock, from an origin of its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    origin: Instant,
}

impl Clock {
    pub(super) fn start() -> Clock {
        Clock { origin: Instant::now() }
    }

    pub(super) fn now(&self) -> Time {
        Time::ZERO + self.origin.elapsed()
    }

    pub(super) fn instant(&self, time: Time) -> Instant {
        self.origin + time.since(Time::ZERO)
    }
}
