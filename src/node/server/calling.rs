//! Whom the node calls, and where.

use std::time::Duration;

use log::Level;

use super::life::Life;
use super::{Due, GREETING, Server};
use crate::config::Address;
use crate::model::NodeId;
use crate::node::calls::Source;
use crate::node::connection::{Callee, Connection, ConnectionId, Stage};
use crate::node::forming::Begin;
use crate::node::outside::Outside;

impl<O: Outside> Server<O> {
    /// Calls the nodes of the file, and whoever the command line names: so a cluster forms, or is
    /// found.
    pub(super) fn call_the_file(&mut self) {
        for other in self.config.nodes.iter().filter(|other| other.id != self.me) {
            self.calls.set(Callee::Node(other.id), Source::File, &other.address(), self.now);
        }
        if let Begin::Join(Some(contact)) = &self.begin
            && !self.life.is_serving()
        {
            self.calls.set(Callee::Contact, Source::File, contact, self.now);
        }
    }

    /// Once there is a configuration, its members are called, at the addresses that it has and at
    /// those of the file; the other nodes of the file only as long as this node isn't a member: it
    /// may have been away while all members have changed.
    pub(super) fn call_the_members(&mut self) {
        let Life::Serving(serving) = &self.life else { return };
        let (index, members) = serving.driver.raft().configuration();
        if self.state.called_as_of.replace(index) == Some(index) {
            return;
        }
        let is_member = members.seat(self.door.me().member).is_some();
        let mut seats = members.seats().to_vec();
        // While one life of a node takes the place of another, the new one's address counts.
        seats.sort_by_key(|seat| seat.standing.goal().is_some());
        self.call_the_file();
        for seat in seats.iter().filter(|seat| seat.id != self.me) {
            if let Ok(address) = seat.address.parse::<Address>() {
                self.calls.set(Callee::Node(seat.id), Source::Log, &address, self.now);
            }
        }
        let has_seat = |id: NodeId| seats.iter().any(|seat| seat.id == id);
        self.calls.retain(|callee| callee.node().is_some_and(|id| has_seat(id) || !is_member));
    }

    /// The member `id` says where it is reached.
    pub(super) fn heard_address(&mut self, id: NodeId, address: &str) {
        if let Ok(address) = address.parse()
            && self.calls.address(Callee::Node(id)).is_some()
        {
            self.calls.set(Callee::Node(id), Source::Itself, &address, self.now);
        }
    }

    pub(super) fn call(&mut self, callee: Callee) {
        let Some(address) = self.calls.address(callee).cloned() else { return };
        let found = self.calls.next_address(callee);
        let found = found.or_else(|| {
            self.calls.looking_up(callee);
            self.outside.look_up(callee, &address)
        });
        let Some(found) = found else { return };
        let patience = self.patience();
        match self.outside.connect(found, patience) {
            Ok(stream) => {
                let connection = Connection::called(stream, found, callee);
                if let Some(connection) = self.register(connection) {
                    self.calls.called(callee, connection);
                }
            }
            Err(error) => self.call_failed(callee, &error.to_string()),
        }
    }

    /// For how long what was sent may stay unacknowledged.
    pub(super) fn patience(&self) -> Duration {
        (2 * self.config.cluster.election_timeout)
            .clamp(Duration::from_secs(2), Duration::from_secs(30))
    }

    /// Takes a new connection into the loop. A hello, or its answer, is due in a while.
    pub(super) fn register(
        &mut self,
        mut connection: Connection<O::Stream>,
    ) -> Option<ConnectionId> {
        let id = ConnectionId(self.state.next_id);
        self.state.next_id += 1;
        if let Err(error) = self.outside.register(&mut connection.stream, id) {
            let (remote, node) = (connection.remote, connection.node());
            self.journal.dropped(Level::Warn, self.now, Some(remote), node, &error.to_string());
            if let Stage::Connecting(callee) = connection.stage {
                self.call_failed(callee, &error.to_string());
            }
            return None;
        }
        self.state.connections.insert(id, connection);
        self.state.deadlines.set(Due::Greeting(id), self.now + GREETING);
        Some(id)
    }
}
