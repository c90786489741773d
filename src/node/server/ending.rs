//! How connections end: at once, or after their last words; and how loudly that is told.

use std::io::{self, Read};
use std::mem;
use std::time::Duration;

use log::Level;

use super::life::Life;
use super::{Due, Server};
use crate::model::NodeId;
use crate::node::connection::{Callee, ConnectionId, Stage};
use crate::node::door::Footing;
use crate::node::driver::DriverInput;
use crate::node::outside::Outside;

/// For how long last words may take to be sent and read.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The most connections whose last words are being sent.
const LEAVING: usize = 64;

/// The most that is read and dropped of a connection after its last words.
const DROPPED_BYTES: usize = 1 << 20;

impl<O: Outside> Server<O> {
    /// Ends a connection at once. A person is warned if that isn't how connections end.
    pub(super) fn close(&mut self, id: ConnectionId, reason: &str) {
        let level = if self.is_end_expected(id) { Level::Debug } else { Level::Warn };
        self.close_at(level, id, reason);
    }

    /// Whether this is a time at which connections like this one end: the node stops, or the
    /// cluster is just forming. Then it is told by other lines for whom the node waits.
    fn is_end_expected(&self, id: ConnectionId) -> bool {
        let Some(connection) = self.state.connections.get(&id) else { return true };
        let is_about_forming = match connection.stage {
            // Nobody else tells whether the way that the command line names leads to the cluster.
            Stage::Connecting(Callee::Contact) | Stage::Calling(Callee::Contact) => false,
            Stage::Connecting(_) | Stage::Calling(_) => !self.life.is_serving(),
            Stage::Node { footing, .. } => footing == Footing::Founders,
            Stage::Accepted | Stage::Client(_) | Stage::Leaving => false,
        };
        is_about_forming || self.state.is_leaving()
    }

    /// Ends a connection at once, with a line of this level if it was another node's.
    pub(super) fn close_at(&mut self, level: Level, id: ConnectionId, reason: &str) {
        let Some(mut connection) = self.state.connections.remove(&id) else { return };
        self.outside.deregister(&mut connection.stream);
        for due in [Due::Greeting(id), Due::LastWords(id), Due::Stalled(id)] {
            self.state.deadlines.clear(due);
        }
        let remote = connection.remote;
        match connection.stage {
            Stage::Connecting(callee) | Stage::Calling(callee) => {
                self.journal.dropped(level, self.now, Some(remote), callee.node(), reason);
                self.calls.ended(id, self.now);
                self.look_who_is_missing(callee.node(), reason);
            }
            Stage::Accepted => {
                self.journal.dropped(level, self.now, Some(remote), None, reason);
            }
            Stage::Node { member, .. } => {
                self.journal.dropped(level, self.now, Some(remote), Some(member.id), reason);
                self.node_gone(id, member, reason);
            }
            Stage::Client(client) => {
                self.journal.client_gone(remote, reason);
                if let Life::Serving(serving) = &mut self.life {
                    serving.driver.handle(self.now, DriverInput::ClientGone(client));
                }
            }
            Stage::Leaving => {}
        }
    }

    /// A call didn't even become a connection.
    pub(super) fn call_failed(&mut self, callee: Callee, reason: &str) {
        self.calls.failed(callee, self.now);
        let is_known = callee != Callee::Contact;
        let is_expected = self.state.is_leaving() || (is_known && !self.life.is_serving());
        let level = if is_expected { Level::Debug } else { Level::Warn };
        self.journal.dropped(level, self.now, None, callee.node(), reason);
        self.look_who_is_missing(callee.node(), reason);
    }

    /// A call or a connection has ended for this reason. Nobody is missing who has another one.
    pub(super) fn look_who_is_missing(&mut self, id: Option<NodeId>, reason: &str) {
        let Some(id) = id else { return };
        let is_there = self
            .state
            .connections
            .values()
            .any(|other| matches!(other.stage, Stage::Node { member, .. } if member.id == id));
        if !is_there {
            self.life.is_missing(id, reason, self.now);
        }
    }

    /// What was queued are a connection's last words: it is closed when they were read, or when
    /// that takes too long.
    pub(super) fn leave(&mut self, id: ConnectionId) {
        let Some(connection) = self.state.connections.get_mut(&id) else { return };
        let stage = mem::replace(&mut connection.stage, Stage::Leaving);
        if let Stage::Node { member, .. } = stage {
            // Else a node that was called would never be called again.
            self.node_gone(id, member, "its last words are being sent");
        }
        self.state.deadlines.clear(Due::Greeting(id));
        self.state.deadlines.set(Due::LastWords(id), self.now + LAST_WORDS);
        self.mark_ready(id);
        self.mark_dirty(id);
        self.state.leaving.push_back(id);
        if self.state.leaving.len() > LEAVING {
            let connections = &self.state.connections;
            self.state.leaving.retain(|id| connections.contains_key(id));
        }
        if self.state.leaving.len() > LEAVING
            && let Some(oldest) = self.state.leaving.pop_front()
        {
            self.close(oldest, "too many connections are being refused");
        }
    }

    /// The last words are sent. Whoever has sent more than was read of it would get a reset and
    /// might never see them, so the connection stays open until it has.
    pub(super) fn said_last_words(&mut self, id: ConnectionId) {
        let Some(connection) = self.state.connections.get_mut(&id) else { return };
        if self.outside.finish(&mut connection.stream).is_err() {
            return self.close(id, "the last words are sent");
        }
        // It may have closed its end before.
        self.mark_ready(id);
    }

    /// Reads and drops what comes behind the last words. Gives how much that was.
    pub(super) fn drop_what_comes(&mut self, id: ConnectionId, budget: usize) -> usize {
        let mut scratch = [0; 16 << 10];
        let mut dropped = 0;
        while let Some(connection) = self.state.connections.get_mut(&id) {
            if dropped >= budget {
                self.mark_ready(id);
                return dropped;
            }
            match connection.stream.read(&mut scratch) {
                Ok(0) => {
                    connection.is_readable = false;
                    if connection.out.is_empty() {
                        self.close(id, "it has read the last words");
                    }
                    return dropped;
                }
                Ok(count) => {
                    dropped += count;
                    connection.dropped_bytes += count;
                    if connection.dropped_bytes > DROPPED_BYTES {
                        self.close(id, "it goes on talking");
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    connection.is_readable = false;
                    return dropped;
                }
                Err(error) => self.close(id, &error.to_string()),
            }
        }
        dropped
    }
}
