//! Reading: each socket that has something, within a budget, and what becomes of the frames.

use std::mem;

use log::Level;

use super::Server;
use super::life::Life;
use crate::kv::PointReport;
use crate::model::{Body, Member, Message};
use crate::node::Exit;
use crate::node::connection::{Connection, ConnectionId, Stage};
use crate::node::door::Footing;
use crate::node::driver::{ClientId, DriverInput};
use crate::node::outside::Outside;
use crate::wire::{FillEnd, Incoming, WireError};

/// The most that one turn reads of one connection.
const READ_BYTES: usize = 256 << 10;

/// The most that one turn reads of all connections but those of other nodes, beyond one read.
const TURN_BYTES: usize = 4 << 20;

/// The most requests that one turn takes of all clients.
const TURN_REQUESTS: usize = 4096;

/// The most requests that one turn takes of one client.
const CLIENT_REQUESTS: usize = 1024;

/// How much may wait for a client that came before there is a cluster, beyond one reply, before no
/// more is taken of it.
const EARLY_BYTES: usize = 64 << 10;

impl<O: Outside> Server<O> {
    /// Other nodes first: a flood from clients must not keep a leader from its followers. Who
    /// isn't read because the turn has read enough goes first in the next one.
    pub(super) fn read_ready(&mut self) -> Result<(), Exit> {
        let mut ready = mem::take(&mut self.state.ready);
        for id in &ready {
            if self.is_node(*id) {
                self.read(*id, READ_BYTES)?;
            }
        }
        self.state.requests_left = TURN_REQUESTS;
        let mut budget = TURN_BYTES;
        let mut next = 0;
        while budget > 0
            && self.state.requests_left > 0
            && let Some(id) = ready.get(next)
        {
            if !self.is_node(*id) {
                let read = self.read(*id, READ_BYTES.min(budget))?;
                budget = budget.saturating_sub(read);
            }
            next += 1;
        }
        let connections = &self.state.connections;
        let is_left = |id: &ConnectionId| {
            connections.get(id).is_some_and(|connection| !connection.stage.is_node())
        };
        ready.drain(..next);
        ready.retain(is_left);
        // Those that have more come again in the next turn, in the list whose room is kept.
        ready.append(&mut self.state.ready);
        self.state.ready = ready;
        Ok(())
    }

    /// A connection is to be read in the next turn. It stands in the list once: who has much to say
    /// gets no more turns than others.
    pub(super) fn mark_ready(&mut self, id: ConnectionId) {
        let Some(connection) = self.state.connections.get_mut(&id) else { return };
        if !connection.is_ready {
            connection.is_ready = true;
            self.state.ready.push(id);
        }
    }

    fn is_node(&self, id: ConnectionId) -> bool {
        self.state.connections.get(&id).is_some_and(|connection| connection.stage.is_node())
    }

    /// Clients of whom no more was read get another chance.
    pub(super) fn resume_paused(&mut self) {
        let life = &self.life;
        let (ready, connections) = (&mut self.state.ready, &mut self.state.connections);
        self.state.paused.retain(|id| {
            let Some(connection) = connections.get_mut(id) else { return false };
            connection.is_paused = match life {
                Life::Serving(serving) => !serving.driver.has_room(client_id(*id)),
                _ => connection.out.urgent_bytes() >= EARLY_BYTES,
            };
            if !connection.is_paused && !connection.is_ready {
                connection.is_ready = true;
                ready.push(*id);
            }
            connection.is_paused
        });
    }

    /// Reads a connection until it would block, within a budget. Gives how much it has read.
    fn read(&mut self, id: ConnectionId, most: usize) -> Result<usize, Exit> {
        let Some(connection) = self.state.connections.get_mut(&id) else { return Ok(0) };
        connection.is_ready = false;
        self.state.requests_least = self.state.requests_left.saturating_sub(CLIENT_REQUESTS);
        let mut left = most;
        // What was left from the last time goes first.
        while self.take(id)? {
            let Some(connection) = self.state.connections.get_mut(&id) else { break };
            if !connection.is_readable || matches!(connection.stage, Stage::Connecting(_)) {
                break;
            }
            if left == 0 {
                self.mark_ready(id);
                break;
            }
            let filled = match connection.reader.fill(&mut connection.stream, left) {
                Ok(filled) => filled,
                Err(error) => {
                    self.close(id, &error.to_string());
                    break;
                }
            };
            left -= filled.bytes;
            match filled.end {
                FillEnd::Budget => {}
                FillEnd::Blocked => connection.is_readable = false,
                FillEnd::Closed => {
                    // If not all can be taken now, the end is read again when it can.
                    if self.take(id)? {
                        self.closed_by_the_other(id);
                    }
                    break;
                }
            }
        }
        let is_leaving = |connection: &Connection<O::Stream>| connection.stage == Stage::Leaving;
        if self.state.connections.get(&id).is_some_and(is_leaving) {
            left -= self.drop_what_comes(id, left).min(left);
        }
        Ok(most - left)
    }

    fn closed_by_the_other(&mut self, id: ConnectionId) {
        let Some(connection) = self.state.connections.get(&id) else { return };
        let reason = match connection.reader.at_end() {
            Ok(()) => "the other side has closed it".to_owned(),
            Err(error) => error.to_string(),
        };
        self.close(id, &reason);
    }

    /// Takes what was read as far as it goes. Says whether more may be read.
    fn take(&mut self, id: ConnectionId) -> Result<bool, Exit> {
        loop {
            let Some(connection) = self.state.connections.get_mut(&id) else { return Ok(false) };
            let result: Result<(), Closed> = match connection.stage {
                Stage::Connecting(_) => return Ok(true),
                // Nothing more is taken of it: what comes is dropped.
                Stage::Leaving => return Ok(false),
                Stage::Calling(to) => match connection.reader.answer() {
                    Ok(Some(answer)) => {
                        self.answered(id, to, &answer)?;
                        continue;
                    }
                    Ok(None) => return Ok(true),
                    Err(error) => Err(error.into()),
                },
                Stage::Accepted => match connection.reader.hello() {
                    Ok(Some(hello)) => {
                        self.greeted(id, &hello)?;
                        continue;
                    }
                    Ok(None) => return Ok(true),
                    Err(error) => Err(error.into()),
                },
                Stage::Node { member, footing, .. } => {
                    match self.take_from_node(id, member, footing) {
                        Ok(None) => return Ok(true),
                        Ok(Some(incoming)) => {
                            self.take_founding(id, member, incoming)?;
                            continue;
                        }
                        Err(error) => Err(error),
                    }
                }
                Stage::Client(client) => match self.take_from_client(id, client) {
                    Ok(has_room) => return Ok(has_room),
                    Err(error) => Err(error),
                },
            };
            match result {
                Ok(()) => {}
                Err(Closed::Goodbye(text)) => {
                    self.close_at(Level::Info, id, &Closed::Goodbye(text).to_string());
                    return Ok(false);
                }
                Err(error) => {
                    self.close(id, &error.to_string());
                    return Ok(false);
                }
            }
        }
    }

    /// Takes a node's frames, up to one that has to do with the founding.
    fn take_from_node(
        &mut self,
        id: ConnectionId,
        from: Member,
        footing: Footing,
    ) -> Result<Option<Incoming>, Closed> {
        let to = self.door.me().member;
        let Some(connection) = self.state.connections.get_mut(&id) else { return Ok(None) };
        while let Some(frame) = connection.reader.frame()? {
            let incoming = frame.decode()?;
            let serving = match (&mut self.life, footing) {
                (Life::Serving(serving), Footing::Members) => Some(serving),
                _ => None,
            };
            match (incoming, serving) {
                (Incoming::Message { term, body }, Some(serving)) => {
                    if let Body::Heartbeat { commit, levels, .. } = &body {
                        let (_, members) = serving.driver.raft().configuration();
                        self.door.learn((term, *commit), levels, members);
                    }
                    let message = Message { from, to, term, body };
                    serving.driver.handle(self.now, DriverInput::Message(message));
                }
                (Incoming::PointReport { index, hash }, Some(serving)) => {
                    let report = PointReport { index, hash };
                    serving.driver.handle(self.now, DriverInput::PointReport { from, report });
                }
                (Incoming::Goodbye(text), _) => return Err(Closed::Goodbye(text)),
                (incoming @ (Incoming::Founding(_) | Incoming::FoundingReply(_)), _) => {
                    return Ok(Some(incoming));
                }
                // Of no use where both aren't members of one cluster.
                _ => {}
            }
        }
        Ok(None)
    }

    /// Takes a client's frames, as long as it has room and the turn has. Says whether both have.
    fn take_from_client(&mut self, id: ConnectionId, client: ClientId) -> Result<bool, Closed> {
        let Some(connection) = self.state.connections.get_mut(&id) else { return Ok(false) };
        let Life::Serving(serving) = &mut self.life else {
            return self.take_from_early_client(id);
        };
        while serving.driver.has_room(client) {
            if self.state.requests_left == self.state.requests_least {
                self.mark_ready(id);
                return Ok(false);
            }
            let Some(frame) = connection.reader.frame()? else { return Ok(true) };
            self.state.requests_left -= 1;
            match frame.decode()? {
                Incoming::Request(request) => {
                    serving.driver.handle(self.now, DriverInput::Request { client, request });
                }
                Incoming::Goodbye(text) => return Err(Closed::Goodbye(text)),
                _ => {}
            }
        }
        self.pause(id);
        Ok(false)
    }

    /// No more is taken of this client until it has room again.
    fn pause(&mut self, id: ConnectionId) {
        let Some(connection) = self.state.connections.get_mut(&id) else { return };
        if !connection.is_paused {
            connection.is_paused = true;
            self.state.paused.push(id);
        }
    }

    /// Takes the frames of a client that came before there is a cluster, as long as it takes the
    /// replies and the turn has room.
    fn take_from_early_client(&mut self, id: ConnectionId) -> Result<bool, Closed> {
        loop {
            let Some(connection) = self.state.connections.get_mut(&id) else { return Ok(false) };
            if connection.out.urgent_bytes() >= EARLY_BYTES {
                self.pause(id);
                return Ok(false);
            }
            if self.state.requests_left == self.state.requests_least {
                self.mark_ready(id);
                return Ok(false);
            }
            let Some(frame) = connection.reader.frame()? else { return Ok(true) };
            self.state.requests_left -= 1;
            match frame.decode()? {
                Incoming::Request(request) => {
                    let reply = self.early_reply(&request);
                    reply.encode(&mut self.state.scratch);
                    let frames = self.state.scratch.split().freeze();
                    self.send(id, frames);
                }
                Incoming::Goodbye(text) => return Err(Closed::Goodbye(text)),
                _ => {}
            }
        }
    }
}

/// The name by which the driver knows a client's connection.
pub(super) const fn client_id(id: ConnectionId) -> ClientId {
    ClientId(id.0 as u64)
}

/// Why a connection is closed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Closed {
    /// The other side doesn't speak the protocol.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The other side closes it.
    #[error("the other side says: {0}")]
    Goodbye(String),
}
