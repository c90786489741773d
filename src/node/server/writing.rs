//! Writing: each socket once a turn.

use std::mem;

use bytes::Bytes;

use super::life::Life;
use super::{Due, LAST_WORDS, STALLED, Server};
use crate::node::connection::{ConnectionId, Stage};
use crate::node::driver::DriverInput;
use crate::node::outside::Outside;

impl<O: Outside> Server<O> {
    /// Queues whole frames for a connection, before all entries.
    pub(super) fn send(&mut self, id: ConnectionId, frames: Bytes) {
        let Some(connection) = self.state.connections.get_mut(&id) else { return };
        connection.out.push_urgent(frames);
        self.mark_dirty(id);
    }

    pub(super) fn mark_dirty(&mut self, id: ConnectionId) {
        let Some(connection) = self.state.connections.get_mut(&id) else { return };
        if !connection.is_dirty {
            connection.is_dirty = true;
            self.state.dirty.push(id);
        }
    }

    /// What was queued are a connection's last words: it is closed when they are sent.
    pub(super) fn leave(&mut self, id: ConnectionId) {
        let Some(connection) = self.state.connections.get_mut(&id) else { return };
        let stage = mem::replace(&mut connection.stage, Stage::Leaving);
        if let Stage::Node { member, .. } = stage {
            // Else a node that was called would never be called again.
            self.node_gone(id, member, "its last words are being sent");
        }
        self.state.deadlines.clear(Due::Greeting(id));
        self.state.deadlines.set(Due::LastWords(id), self.now + LAST_WORDS);
        self.mark_dirty(id);
    }

    pub(super) fn write_dirty(&mut self) {
        let mut dirty = mem::take(&mut self.state.dirty);
        let mut still_dirty = Vec::new();
        for id in dirty.drain(..) {
            if self.write(id) {
                still_dirty.push(id);
            }
        }
        // What became dirty meanwhile goes behind, into the list whose room is kept.
        dirty.append(&mut still_dirty);
        dirty.append(&mut self.state.dirty);
        self.state.dirty = dirty;
    }

    /// Writes once. Says whether more can be written at once.
    fn write(&mut self, id: ConnectionId) -> bool {
        let Some(connection) = self.state.connections.get_mut(&id) else { return false };
        connection.is_dirty = false;
        if !connection.is_writable || matches!(connection.stage, Stage::Connecting(_)) {
            return false;
        }
        let written = match connection.write() {
            Ok(written) => written,
            Err(error) => {
                self.close(id, &error.to_string());
                return false;
            }
        };
        let is_empty = connection.out.is_empty();
        connection.is_dirty = written.has_more;
        if is_empty && connection.stage == Stage::Leaving {
            self.close(id, "the last words are sent");
            return false;
        }
        let waits = !is_empty && !written.has_more;
        if waits && written.bytes > 0 {
            self.state.deadlines.set(Due::Stalled(id), self.now + STALLED);
        } else if is_empty {
            self.state.deadlines.clear(Due::Stalled(id));
        }
        if let Stage::Client(client) = self.state.connections[&id].stage
            && written.bytes > 0
            && let Life::Serving(serving) = &mut self.life
        {
            let input = DriverInput::ClientSent { client, bytes: written.bytes };
            serving.driver.handle(self.now, input);
        }
        written.has_more
    }
}
