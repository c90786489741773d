//! A node's clock: it runs a little fast or slow, and its wall time is what it likes.

use std::time::Duration;

use raft_node::model::{LogTime, Time};

/// The wall time at which the world begins.
const EPOCH: u64 = 1_700_000_000_000_000_000;

/// A clock.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Clock {
    /// How much faster than the world's it runs, in millionths; negative: slower.
    pub(crate) drift: i64,
    /// The world's time at which the process was started.
    pub(crate) origin: u64,
    /// How far its wall time is ahead of the world's; negative: behind.
    pub(crate) wall_offset: i64,
}

impl Clock {
    /// The monotonic time of a process with this clock.
    pub(crate) const fn time(&self, now: u64) -> Time {
        let passed = now.saturating_sub(self.origin);
        Time::from_nanos(shift(passed, self.drift))
    }

    pub(crate) const fn wall_time(&self, now: u64) -> LogTime {
        LogTime(
            shift(now, self.drift).saturating_add(EPOCH).saturating_add_signed(self.wall_offset),
        )
    }

    /// The world's time at which so long has passed by this clock from `now` on.
    pub(crate) fn after(&self, now: u64, duration: Duration) -> u64 {
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let fast = i128::from(1_000_000 + self.drift);
        let world = i128::from(nanoseconds) * 1_000_000 / fast + 1;
        now.saturating_add(u64::try_from(world).unwrap_or(u64::MAX))
    }
}

const fn shift(passed: u64, drift: i64) -> u64 {
    let more = passed as i128 * drift as i128 / 1_000_000;
    (passed as i128 + more) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fast_clock_wakes_early_and_never_too_early() {
        for drift in [-100_000, -300, 0, 1, 50_000] {
            let clock = Clock { drift, origin: 77, wall_offset: 0 };
            let begun = clock.time(1_000_000);
            let at = clock.after(1_000_000, Duration::from_millis(150));
            assert!(clock.time(at).since(begun) >= Duration::from_millis(150), "{drift}");
            assert!(clock.time(at).since(begun) < Duration::from_micros(150_010), "{drift}");
        }
    }
}
