//! What happens when time passes.

use crate::model::Time;

/// Each thing that waits for a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Timer {
    /// No word from a leader, or no answer to a candidate.
    Election,
    /// A leader says that it lives.
    Heartbeat,
    /// A leader looks whether a quorum hears it.
    Quorum,
    /// A handing-over of leadership took too long.
    Handover,
}

const TIMERS: usize = Timer::Handover as usize + 1;

/// When each of them is due.
#[derive(Clone, Debug, Default)]
pub(super) struct Timers([Option<Time>; TIMERS]);

impl Timers {
    pub(super) const fn set(&mut self, timer: Timer, at: Time) {
        self.0[timer as usize] = Some(at);
    }

    pub(super) const fn stop(&mut self, timer: Timer) {
        self.0[timer as usize] = None;
    }

    /// Whether `timer` is due. If so, it is stopped.
    pub(super) fn take(&mut self, timer: Timer, now: Time) -> bool {
        let due = self.0[timer as usize].is_some_and(|at| at <= now);
        if due {
            self.stop(timer);
        }
        due
    }

    /// When the first is due.
    pub(super) fn next(&self) -> Option<Time> {
        self.0.iter().flatten().min().copied()
    }
}
