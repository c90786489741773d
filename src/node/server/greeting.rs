//! Hellos, in both directions, and what follows from them.

use log::Level;

use super::life::Life;
use super::{Due, Server};
use crate::model::{MAX_SEATS, Member, NodeId};
use crate::node::Exit;
use crate::node::connection::{Callee, ConnectionId, Stage};
use crate::node::door::{Footing, Refused, refuse};
use crate::node::driver::DriverInput;
use crate::node::links::Link;
use crate::node::outside::Outside;
use crate::node::server::reading::client_id;
use crate::wire::{Hello, HelloAnswer, HelloRefusal, Party, Purpose, Verdict};

/// The most connections of other nodes: two for each seat that a cluster may have, and as many
/// again for those that come and go.
const MOST_NODES: usize = 4 * MAX_SEATS as usize;

impl<O: Outside> Server<O> {
    /// A call has come through, or failed: says hello.
    pub(super) fn connected(&mut self, id: ConnectionId) {
        let Some(connection) = self.state.connections.get_mut(&id) else { return };
        let Stage::Connecting(to) = connection.stage else { return };
        match self.outside.has_connected(&connection.stream) {
            Ok(true) => {}
            // Not yet: the event was a spurious one.
            Ok(false) => return,
            Err(error) => return self.close(id, &error.to_string()),
        }
        connection.stage = Stage::Calling(to);
        let hello = self.door.hello(to.node(), &self.life.standpoint(self.state.is_leaving()));
        hello.encode(&mut self.state.scratch);
        let bytes = self.state.scratch.split().freeze();
        self.send(id, bytes);
    }

    /// Somebody has said hello.
    pub(super) fn greeted(&mut self, id: ConnectionId, hello: &Hello) -> Result<(), Exit> {
        let standpoint = self.life.standpoint(self.state.is_leaving());
        let judged = self.door.judge(hello, &standpoint).and_then(|footing| {
            let is_client = hello.purpose == Purpose::Client;
            if is_client && self.count_clients() >= self.config.client.max_connections {
                let most = self.config.client.max_connections;
                let text = format!("this node has {most} clients, as many as it may have");
                return Err(refuse(HelloRefusal::TOO_MANY, text));
            }
            if !is_client && self.count_nodes() >= MOST_NODES {
                let text = format!("this node is connected to {MOST_NODES} others, the most");
                return Err(refuse(HelloRefusal::TOO_MANY, text));
            }
            Ok(footing)
        });
        let answer = self.door.answer(hello, &standpoint, judged.as_ref().err());
        answer.encode(&mut self.state.scratch);
        let bytes = self.state.scratch.split().freeze();
        self.send(id, bytes);
        match judged {
            Ok(footing) => self.let_in(id, hello, footing),
            Err(refused) => {
                self.turn_away(id, hello, &refused);
                if hello.purpose == Purpose::Peer {
                    self.stop_if_left_behind(&hello.party)?;
                }
            }
        }
        Ok(())
    }

    fn let_in(&mut self, id: ConnectionId, hello: &Hello, footing: Footing) {
        self.state.deadlines.clear(Due::Greeting(id));
        match hello.party.member {
            Some(member) if hello.purpose == Purpose::Peer => {
                self.joined(id, member, false, footing, &hello.party);
            }
            _ => {
                let client = client_id(id);
                if let Some(connection) = self.state.connections.get_mut(&id) {
                    connection.stage = Stage::Client(client);
                }
                if let Life::Serving(serving) = &mut self.life {
                    serving.driver.handle(self.now, DriverInput::ClientConnected(client));
                }
            }
        }
    }

    fn turn_away(&mut self, id: ConnectionId, hello: &Hello, refused: &Refused) {
        let node = hello.party.member.map(|member| member.id);
        let remote = self.state.connections.get(&id).map(|connection| connection.remote);
        let name = refused.code.name().unwrap_or("refused");
        let reason = format!("refused, {name}: {}", refused.text);
        let level = refusal_level(refused.code);
        self.journal.dropped(level, self.now, remote, node, &reason);
        if let Some(node) = node {
            self.life.is_missing(node, &refused.text, self.now);
        }
        self.leave(id);
    }

    /// Whoever was called has answered this node's hello.
    pub(super) fn answered(
        &mut self,
        id: ConnectionId,
        to: Callee,
        answer: &HelloAnswer,
    ) -> Result<(), Exit> {
        if let Verdict::Refused { code, text, .. } = &answer.verdict {
            let name = code.name().unwrap_or("refused");
            let reason = format!("the other node refuses this one, {name}: {text}");
            self.close_at(refusal_level(*code), id, &reason);
            self.stop_if_left_behind(&answer.party)?;
            return match answer.party.member {
                Some(by) if self.door.is_held_back(to.node(), answer) => {
                    self.is_held_back(by.id, *code, text)
                }
                _ => Ok(()),
            };
        }
        let standpoint = self.life.standpoint(self.state.is_leaving());
        match self.door.judge_answer(to.node(), answer, &standpoint) {
            Ok((member, footing)) => {
                self.state.deadlines.clear(Due::Greeting(id));
                self.calls.accepted(to);
                self.state.refusals.remove(&member.id);
                self.joined(id, member, true, footing, &answer.party);
            }
            Err(Refused { code, text, .. }) => {
                let name = code.name().unwrap_or("refused");
                let reason = format!("not accepted, {name}: {text}");
                self.close_at(refusal_level(code), id, &reason);
                self.stop_if_left_behind(&answer.party)?;
            }
        }
        Ok(())
    }

    /// Who was left behind when a new epoch was begun must not go on: with others who were it
    /// could be a majority of the old one. As long as it has a leader it goes on serving, since
    /// then the majority wasn't lost, and only a person can tell which side is to stay.
    fn stop_if_left_behind(&mut self, by: &Party) -> Result<(), Exit> {
        let standpoint = self.life.standpoint(self.state.is_leaving());
        let Life::Serving(serving) = &self.life else { return Ok(()) };
        let has_leader = serving.driver.raft().status().leader.is_some();
        if has_leader || !self.door.is_left_behind_by(by, &standpoint) {
            return Ok(());
        }
        let (epoch, own) = (by.epoch, serving.epoch);
        let who = by.member.map(|member| format!(" (node {})", member.id)).unwrap_or_default();
        Err(Exit::Refused(format!(
            "epoch {epoch} of this cluster was begun without this node{who}, whose directory is \
             of epoch {own}: its majority was given up as lost. Nothing was changed here. If this \
             is one of the nodes that epoch {epoch} was planned for, run `raft-ctl recover apply` \
             with that plan on its directory. Else keep the directory aside, and let the node come \
             in anew with an empty one"
        )))
    }

    /// Another node won't speak with this one. Whom a quorum holds back for the data's sake must
    /// not go on; one that has no log yet must not even begin. That a member was removed is
    /// committed, and is never taken back: whoever says so is enough, since most of those that
    /// this node takes for voters may be gone themselves.
    fn is_held_back(&mut self, by: NodeId, code: HelloRefusal, text: &str) -> Result<(), Exit> {
        if code != HelloRefusal::REMOVED && self.is_being_taken_in() {
            return Ok(());
        }
        self.state.refusals.insert(by);
        let is_enough = match &self.life {
            // It waits until the others take it in.
            Life::Forming(early) if early.forming.joins() => {
                self.life.is_missing(by, text, self.now);
                false
            }
            Life::Forming(_) => true,
            Life::Serving(_) if code == HelloRefusal::REMOVED => true,
            Life::Serving(serving) => {
                let (_, members) = serving.driver.raft().configuration();
                let voters = || members.seats().iter().filter(|seat| seat.standing.votes());
                let refusing = voters().filter(|seat| self.state.refusals.contains(&seat.id));
                refusing.count() > voters().count() / 2
            }
            Life::Refounding { .. } | Life::Between => false,
        };
        if is_enough {
            let refused = format!("node {by} refuses this node: {text}. Nothing was changed here");
            return Err(Exit::Refused(refused));
        }
        Ok(())
    }

    /// Whether this node follows in a cluster without knowing of a seat of its own: somebody has
    /// one for it, of which the others may not have heard yet. Until then they may know its number
    /// by an earlier life; and those whom it takes for members may have left long ago, and not know
    /// of it. Who still refuses it when it knows its seat says so again.
    fn is_being_taken_in(&self) -> bool {
        let Life::Serving(serving) = &self.life else { return false };
        let (_, members) = serving.driver.raft().configuration();
        let me = self.door.me().member;
        members.seat(me).is_none() && !members.was_removed(me)
    }

    /// There is a connection to another node.
    fn joined(
        &mut self,
        id: ConnectionId,
        member: Member,
        is_called: bool,
        footing: Footing,
        party: &Party,
    ) {
        let Some(connection) = self.state.connections.get_mut(&id) else { return };
        let (epoch, last) = (party.epoch, party.last);
        connection.stage = Stage::Node { member, is_called, footing, epoch, last };
        self.journal.connected(member, connection.remote, is_called);
        if footing == Footing::Founders {
            self.life.came(member, party.cluster.is_some(), self.now);
            return self.offer_founding(id);
        }
        self.heard_address(member.id, &party.address);
        let (boot, address, supports) = (party.boot, party.address.clone(), party.features.highest);
        let link = Link { connection: id, is_called, boot, address: address.clone(), supports };
        for old in self.state.links.add(member, link) {
            let reason = "a newer connection of the same node takes its place";
            self.close_at(Level::Debug, old, reason);
        }
        if let Life::Serving(serving) = &mut self.life {
            let input = DriverInput::PeerConnected { peer: member, boot, address, supports };
            serving.driver.handle(self.now, input);
        }
        self.campaign_if_founder();
    }

    /// A connection to another node has ended.
    pub(super) fn node_gone(&mut self, id: ConnectionId, member: Member, reason: &str) {
        self.calls.ended(id, self.now);
        self.look_who_is_missing(Some(member.id), reason);
        let Some(next) = self.state.links.remove(member, id) else { return };
        let Life::Serving(serving) = &mut self.life else { return };
        let input = match next {
            Some(Link { boot, address, supports, .. }) => {
                DriverInput::PeerConnected { peer: member, boot, address, supports }
            }
            None => DriverInput::PeerDisconnected(member),
        };
        serving.driver.handle(self.now, input);
    }

    fn count_nodes(&self) -> usize {
        let connections = self.state.connections.values();
        connections.filter(|one| matches!(one.stage, Stage::Node { .. })).count()
    }

    fn count_clients(&self) -> u64 {
        let connections = self.state.connections.values();
        connections.filter(|one| matches!(one.stage, Stage::Client(_))).count() as u64
    }
}

/// A node that is just leaving is no reason to worry, nor is a hello that is said again.
fn refusal_level(code: HelloRefusal) -> Level {
    match code {
        HelloRefusal::STOPPING => Level::Info,
        HelloRefusal::OUTDATED => Level::Debug,
        _ => Level::Warn,
    }
}
