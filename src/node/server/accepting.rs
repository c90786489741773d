//! New connections: how many are taken in at a time, and how many may not have said hello.

use std::io;
use std::time::Duration;

use log::Level;

use super::{Due, Server};
use crate::node::connection::{Connection, Stage};
use crate::node::outside::Outside;

/// The most connections that one turn accepts.
const ACCEPTS: usize = 64;

/// The most connections that haven't said hello.
const STRANGERS: usize = 64;

/// For how long nothing is accepted when the process has no file descriptor left.
const NO_DESCRIPTOR: Duration = Duration::from_millis(100);

impl<O: Outside> Server<O> {
    /// Accepts until there is nobody left, or enough came for this turn.
    pub(super) fn accept(&mut self) {
        for _ in 0..ACCEPTS {
            if !self.state.accepts {
                return;
            }
            match self.outside.accept() {
                Ok((stream, remote)) => {
                    let patience = self.patience();
                    if let Err(error) = self.outside.prepare(&stream, patience) {
                        let (level, reason) = (Level::Warn, error.to_string());
                        self.journal.dropped(level, self.now, Some(remote), None, &reason);
                        continue;
                    }
                    self.make_room_for_a_stranger();
                    if let Some(id) = self.register(Connection::accepted(stream, remote)) {
                        self.state.strangers.push_back(id);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.state.accepts = false;
                }
                Err(error) if is_about_one_connection(&error) => {}
                Err(error) => {
                    // Without descriptors or memory the listener stays ready and nothing would
                    // tell when it can go on.
                    self.state.accepts = false;
                    self.state.deadlines.set(Due::Accepting, self.now + NO_DESCRIPTOR);
                    let reason = format!("not accepted: {error}");
                    self.journal.dropped(Level::Warn, self.now, None, None, &reason);
                }
            }
        }
    }

    /// Who hasn't said hello can't keep others out: the oldest of too many has to go.
    fn make_room_for_a_stranger(&mut self) {
        if self.state.strangers.len() < STRANGERS {
            return;
        }
        let connections = &self.state.connections;
        self.state.strangers.retain(|id| {
            connections.get(id).is_some_and(|connection| connection.stage == Stage::Accepted)
        });
        if self.state.strangers.len() >= STRANGERS
            && let Some(oldest) = self.state.strangers.pop_front()
        {
            self.close(oldest, "too many connections have not said hello");
        }
    }
}

/// Whether an error of accept concerns only the connection that was to be accepted.
fn is_about_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
            | io::ErrorKind::TimedOut
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::PermissionDenied
    )
}
