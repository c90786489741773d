//! Reading: each socket that has something, within a budget, and what becomes of the frames.

use std::mem;

use super::Server;
use super::life::Life;
use crate::kv::PointReport;
use crate::model::{Body, Member, Message};
use crate::node::Exit;
use crate::node::connection::{ConnectionId, Stage};
use crate::node::door::Footing;
use crate::node::driver::{ClientId, DriverInput};
use crate::node::outside::Outside;
use crate::wire::{FillEnd, Incoming, WireError};

/// The most that one turn reads of one connection.
const READ_BYTES: usize = 256 << 10;

impl<O: Outside> Server<O> {
    pub(super) fn read_ready(&mut self) -> Result<(), Exit> {
        let mut ready = mem::take(&mut self.state.ready);
        for id in ready.drain(..) {
            self.read(id)?;
        }
        // Those that have more come again in the next turn, in the list whose room is kept.
        ready.append(&mut self.state.ready);
        self.state.ready = ready;
        Ok(())
    }

    /// Clients of whom no more was read get another chance.
    pub(super) fn resume_paused(&mut self) {
        let Life::Serving(serving) = &self.life else { return };
        let (ready, connections) = (&mut self.state.ready, &mut self.state.connections);
        self.state.paused.retain(|id| {
            let Some(connection) = connections.get_mut(id) else { return false };
            connection.is_paused = !serving.driver.has_room(client_id(*id));
            if !connection.is_paused {
                ready.push(*id);
            }
            connection.is_paused
        });
    }

    /// Reads a connection until it would block, within a budget.
    fn read(&mut self, id: ConnectionId) -> Result<(), Exit> {
        let mut budget = READ_BYTES;
        // What was left from the last time goes first.
        while self.take(id)? {
            let Some(connection) = self.state.connections.get_mut(&id) else { return Ok(()) };
            if !connection.is_readable || matches!(connection.stage, Stage::Connecting(_)) {
                return Ok(());
            }
            if budget == 0 {
                self.state.ready.push(id);
                return Ok(());
            }
            let filled = match connection.reader.fill(&mut connection.stream, budget) {
                Ok(filled) => filled,
                Err(error) => {
                    self.close(id, &error.to_string());
                    return Ok(());
                }
            };
            budget -= filled.bytes;
            match filled.end {
                FillEnd::Budget => {}
                FillEnd::Blocked => connection.is_readable = false,
                FillEnd::Closed => {
                    connection.is_readable = false;
                    if self.take(id)? {
                        self.closed_by_the_other(id);
                    }
                    return Ok(());
                }
            }
        }
        Ok(())
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
                // Nothing more is taken of it, so nothing more may be read: what is there and
                // never taken leaves no room for a read to end in.
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
                        self.greeted(id, &hello);
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
            if let Err(error) = result {
                self.close(id, &error.to_string());
                return Ok(false);
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
                        self.door.learn(term, *commit, levels.iter().copied());
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

    /// Takes a client's frames, as long as it has room. Says whether it has.
    fn take_from_client(&mut self, id: ConnectionId, client: ClientId) -> Result<bool, Closed> {
        let Some(connection) = self.state.connections.get_mut(&id) else { return Ok(false) };
        let Life::Serving(serving) = &mut self.life else {
            return self.take_from_early_client(id);
        };
        while serving.driver.has_room(client) {
            let Some(frame) = connection.reader.frame()? else { return Ok(true) };
            match frame.decode()? {
                Incoming::Request(request) => {
                    serving.driver.handle(self.now, DriverInput::Request { client, request });
                }
                Incoming::Goodbye(text) => return Err(Closed::Goodbye(text)),
                _ => {}
            }
        }
        if !connection.is_paused {
            connection.is_paused = true;
            self.state.paused.push(id);
        }
        Ok(false)
    }

    /// Takes the frames of a client that came before there is a cluster.
    fn take_from_early_client(&mut self, id: ConnectionId) -> Result<bool, Closed> {
        loop {
            let Some(connection) = self.state.connections.get_mut(&id) else { return Ok(false) };
            let Some(frame) = connection.reader.frame()? else { return Ok(true) };
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
