//! Sessions: by name and number a change takes effect once, however often it is sent.

use super::ask::Ask;
use super::{Doubt, Failure, Reason, Seen};
use crate::kv::{
    Command, MAX_SESSION_NAME_BYTES, Operation, Query, Refusal, SESSION_WINDOW, SessionId,
    SessionPart, SessionState,
};
use crate::model::LogTime;
use crate::wire::Consistency;

/// How the changes of a client are numbered, so that each takes effect once however often it is
/// sent: by a session, by a number that was given for the next one, or not at all.
///
/// ```
/// use raft_node::client::{Numbering, Session};
/// use raft_node::kv::Operation;
/// use raft_node::model::LogTime;
///
/// let put = Operation::Put { key: b"k", value: b"v" };
/// let mut numbering = Numbering::default();
/// assert!(!numbering.change(put)?.is_repeatable());
/// numbering.begin(Session::new(b"me", LogTime(77)));
/// assert!(numbering.change(put)?.is_repeatable());
/// # Ok::<(), raft_node::client::Failure>(())
/// ```
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Numbering {
    session: Option<Session>,
    next: Option<Numbered>,
}

impl Numbering {
    /// Goes on with a session that is open.
    pub fn begin(&mut self, session: Session) {
        self.session = Some(session);
    }

    /// Numbers no further changes; the answer is the session that was open.
    pub fn end(&mut self) -> Option<Session> {
        self.session.take()
    }

    /// Makes the next change the one with this number in the session of this name, of which the
    /// cluster remembers what was `seen`. Number 1 opens the session.
    ///
    /// # Errors
    ///
    /// Unknown, if the session was forgotten, so that nobody can tell what became of the number.
    pub fn number_next(
        &mut self,
        name: &[u8],
        number: u64,
        seen: &Seen<Option<SessionState>>,
    ) -> Result<(), Failure> {
        let (opened_at, remembered) = match seen.answer {
            Some(state) => (state.opened_at, state.lowest),
            None if number == 1 => (seen.log_time, 1),
            None => {
                let doubt = Doubt::Forgotten(Refusal::SessionForgotten);
                return Err(Failure::unknown(doubt, Vec::new()));
            }
        };
        let session = Session::new(name, opened_at);
        let lowest = lowest_kept(remembered, number);
        self.next = Some(Numbered { session, number, lowest });
        Ok(())
    }

    /// A change, with the number that is its turn.
    ///
    /// # Errors
    ///
    /// If it is longer than any node takes.
    pub fn change(&mut self, operation: Operation<'_>) -> Result<Ask, Failure> {
        if let Some(numbered) = self.next.take() {
            let session = Some(numbered.part());
            return Ask::command(&Command::Change { session, operation });
        }
        let Some(session) = &mut self.session else {
            return Ask::command(&Command::Change { session: None, operation });
        };
        // Only this number is waited for: what became of an earlier one was told, or given up.
        let number = session.take();
        let session = Some(session.part(number, number));
        Ask::command(&Command::Change { session, operation })
    }
}

/// Asks what the cluster remembers of the session of this name.
pub(super) fn ask_state(name: &[u8], consistency: Consistency) -> Result<Ask, Failure> {
    if !(1..=usize::from(MAX_SESSION_NAME_BYTES)).contains(&name.len()) {
        return Err(Failure::refused(Reason::SessionName, Vec::new()));
    }
    Ask::query(&Query::Session { name }, consistency)
}

/// A session: a name, and when it was opened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Session {
    name: Vec<u8>,
    opened_at: LogTime,
    /// The number of the next change.
    next: u64,
}

impl Session {
    /// A session that begins at this log time, which the cluster has told.
    #[must_use]
    pub fn new(name: &[u8], opened_at: LogTime) -> Session {
        Session { name: name.to_vec(), opened_at, next: 1 }
    }

    /// Asks the cluster what it remembers of the session of this name, as of now; the answer's
    /// log time is when one may begin.
    ///
    /// # Errors
    ///
    /// If no session can have this name.
    pub fn ask(name: &[u8]) -> Result<Ask, Failure> {
        // Numbers that are based on something older would be wrong.
        ask_state(name, Consistency::Linearizable)
    }

    /// Asks the cluster to open it, in place of an earlier one of the same name.
    ///
    /// # Errors
    ///
    /// If no node would take it.
    pub fn open(&self) -> Result<Ask, Failure> {
        Ask::command(&Command::OpenSession(self.id()))
    }

    /// Asks the cluster to forget it.
    ///
    /// # Errors
    ///
    /// If no node would take it.
    pub fn close(&self) -> Result<Ask, Failure> {
        Ask::command(&Command::CloseSession(self.id()))
    }

    fn id(&self) -> SessionId<'_> {
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
struct Numbered {
    session: Session,
    number: u64,
    lowest: u64,
}

impl Numbered {
    fn part(&self) -> SessionPart<'_> {
        self.session.part(self.number, self.lowest)
    }
}

/// The lowest number that must be remembered so that as many as possible can be asked about.
fn lowest_kept(remembered: u64, number: u64) -> u64 {
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
