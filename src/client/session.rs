//! Sessions: by name and number a change takes effect once, however often it is sent.

use crate::kv::{SESSION_WINDOW, SessionId, SessionPart};
use crate::model::LogTime;

/// A session that a client has opened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Session {
    name: Vec<u8>,
    opened_at: LogTime,
    /// The number of the next change.
    next: u64,
}

impl Session {
    pub(super) fn new(name: &[u8], opened_at: LogTime) -> Session {
        Session { name: name.to_vec(), opened_at, next: 1 }
    }

    pub(super) fn id(&self) -> SessionId<'_> {
        SessionId { name: &self.name, opened_at: self.opened_at }
    }

    /// The number of the next change.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Takes the next number.
    pub(super) fn take(&mut self) -> u64 {
        let number = self.next;
        self.next += 1;
        number
    }

    /// Whether the next number fits into the window above `lowest`.
    pub(super) fn has_room(&self, lowest: u64) -> bool {
        self.next < lowest.saturating_add(SESSION_WINDOW)
    }

    /// What goes with the change of this number, where `lowest` is still waited for.
    pub(super) fn part(&self, number: u64, lowest: u64) -> SessionPart<'_> {
        SessionPart { id: self.id(), number, lowest: lowest.min(number) }
    }
}

/// A number in a session that other processes may use too.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Numbered {
    pub(super) session: Session,
    pub(super) number: u64,
    pub(super) lowest: u64,
}

impl Numbered {
    pub(super) fn part(&self) -> SessionPart<'_> {
        self.session.part(self.number, self.lowest)
    }
}

/// The lowest number that must be remembered so that as many as possible can be asked about.
pub(super) fn lowest_kept(remembered: u64, number: u64) -> u64 {
    remembered.max(number.saturating_sub(SESSION_WINDOW - 1)).clamp(1, number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_count_up_and_stay_in_the_window() {
        let mut session = Session::new(b"s", LogTime(7));
        assert_eq!(session.take(), 1);
        assert_eq!(session.next(), 2);
        for _ in 2..=SESSION_WINDOW {
            assert!(session.has_room(1));
            session.take();
        }
        assert!(!session.has_room(1));
        assert!(session.has_room(2));
    }

    #[test]
    fn as_many_answers_as_possible_stay_remembered() {
        assert_eq!(lowest_kept(1, 1), 1);
        assert_eq!(lowest_kept(1, SESSION_WINDOW), 1);
        assert_eq!(lowest_kept(1, SESSION_WINDOW + 5), 6);
        assert_eq!(lowest_kept(90, 100), 90);
        // Long forgotten: the node says so.
        assert_eq!(lowest_kept(200, 100), 100);
    }
}
