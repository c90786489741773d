//! Writing: each socket once a turn.

use std::mem;

use bytes::Bytes;

use super::life::Life;
use super::{Due, STALLED, Server};
use crate::node::connection::{ConnectionId, Stage};
use crate::node::driver::DriverInput;
use crate::node::outside::Outside;

/// What waits to be written to a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unsent {
    /// Whether another node is at the other end, not a client or somebody unknown.
    pub is_node: bool,
    /// Bytes that go before all entries.
    pub urgent_bytes: usize,
    /// Bytes of entries, and of what stands before them.
    pub entry_bytes: usize,
}

impl<O: Outside> Server<O> {
    /// What waits to be written, for each connection.
    pub fn unsent(&self) -> impl Iterator<Item = Unsent> {
        self.state.connections.values().map(|connection| Unsent {
            is_node: connection.stage.is_node(),
            urgent_bytes: connection.out.urgent_bytes(),
            entry_bytes: connection.out.bulk_bytes(),
        })
    }

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
            self.said_last_words(id);
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
