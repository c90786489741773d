//! Founding the cluster, passing its first entry on, and giving way to another one.

use std::mem;

use log::Level;

use super::Server;
use super::life::{Life, Refounding, Rival, Serving};
use crate::kv::Machine;
use crate::model::{Epoch, FoundingEntry, HardState, Index, LogId, Member, Term, TermRun};
use crate::node::Exit;
use crate::node::connection::{ConnectionId, Stage};
use crate::node::door::Footing;
use crate::node::forming::is_founder;
use crate::node::opening::exit_of;
use crate::node::outside::Outside;
use crate::raft::Restored;
use crate::storage::LogWork;
use crate::wire::{FoundingReply, Incoming, encode_founding};

impl<O: Outside> Server<O> {
    /// Founds the cluster, if that is this node's part and the time has come.
    pub(super) fn form(&mut self) -> Result<(), Exit> {
        let Life::Forming(early) = &self.life else { return Ok(()) };
        let (wall, random) = (self.outside.wall_time(), self.outside.random());
        let offer = early.forming.found(self.now, wall, random);
        let Some(offer) = offer else {
            let (waits, joins) = (early.forming.waits_for(), early.forming.joins());
            self.journal.waits(self.now, waits, joins);
            return Ok(());
        };
        let text = format!("cluster {}", offer.founding().cluster);
        self.journal.info("founding", &text);
        self.store_founding(&offer, offer.founding().epoch, true)?;
        let founders: Vec<ConnectionId> = self.nodes().collect();
        for id in founders {
            self.offer_founding(id);
        }
        Ok(())
    }

    /// Stores the first entry, of a cluster that is in this epoch by now, and begins to serve.
    fn store_founding(
        &mut self,
        offer: &FoundingEntry,
        epoch: Epoch,
        is_founder: bool,
    ) -> Result<(), Exit> {
        let Life::Forming(early) = mem::replace(&mut self.life, Life::Between) else {
            unreachable!("only a node without a log stores a founding")
        };
        let formed = early.unfounded.found(offer, epoch).map_err(exit_of)?;
        self.serve(formed, is_founder)
    }

    /// Offers the first entry to a node that is of no cluster or of another one.
    pub(super) fn offer_founding(&mut self, id: ConnectionId) {
        let Life::Serving(serving) = &self.life else { return };
        encode_founding(serving.driver.founding(), &mut self.state.scratch);
        let frames = self.state.scratch.split().freeze();
        self.send(id, frames);
    }

    /// A node offers a first entry, or answers to one.
    pub(super) fn take_founding(
        &mut self,
        id: ConnectionId,
        from: Member,
        incoming: Incoming,
    ) -> Result<(), Exit> {
        match incoming {
            Incoming::Founding(offer) => {
                let reply = self.consider(id, offer)?;
                reply.encode(&mut self.state.scratch);
                let frames = self.state.scratch.split().freeze();
                self.send(id, frames);
                if let FoundingReply::Stored { .. } = reply {
                    // Both sides say hello anew, as members.
                    self.leave(id);
                }
                Ok(())
            }
            Incoming::FoundingReply(FoundingReply::Prefers(offer)) => {
                self.consider(id, offer).map(|_| ())
            }
            Incoming::FoundingReply(FoundingReply::Stored { .. }) => {
                self.journal.info("founding_stored", &format!("by node {}", from.id));
                Ok(())
            }
            Incoming::FoundingReply(FoundingReply::Refused { text }) => {
                let reason = format!("it does not store the founding entry: {text}");
                let remote = self.state.connections.get(&id).map(|one| one.remote);
                self.journal.dropped(Level::Warn, self.now, remote, Some(from.id), &reason);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn consider(&mut self, id: ConnectionId, offer: FoundingEntry) -> Result<FoundingReply, Exit> {
        let stage = self.state.connections.get(&id).map(|connection| connection.stage);
        let Some(Stage::Node { member, epoch, last, .. }) = stage else {
            unreachable!("only a node that has said hello offers")
        };
        let cluster = offer.founding().cluster;
        match &mut self.life {
            Life::Forming(early) => {
                if let Err(text) = early.forming.accepts(offer.founding()) {
                    early.forming.is_missing(member.id, text.clone(), self.now);
                    return Ok(FoundingReply::Refused { text });
                }
                self.journal.info("founding_accepted", &format!("cluster {cluster}"));
                // When it said hello, it may have been in no cluster itself.
                let epoch = epoch.max(offer.founding().epoch);
                self.store_founding(&offer, epoch, false)?;
                self.part_from_founders(id);
                Ok(FoundingReply::Stored { cluster })
            }
            Life::Serving(serving) if serving.cluster == cluster => {
                Ok(FoundingReply::Stored { cluster })
            }
            Life::Serving(serving) => {
                let me = self.door.me().member;
                let may = is_founder(me, &self.plan, offer.founding());
                let rival = Rival { offer, last_term: last.term };
                match (serving.gives_way_to(&rival), may) {
                    (true, Ok(())) => {
                        serving.gives_way_to = Some(rival);
                        let text = "the own founding entry gives way to another one; try again";
                        Ok(FoundingReply::Refused { text: text.to_owned() })
                    }
                    (true, Err(text)) => Ok(FoundingReply::Refused { text }),
                    (false, _) => Ok(FoundingReply::Prefers(serving.driver.founding().clone())),
                }
            }
            Life::Refounding(_) | Life::Between => Ok(FoundingReply::Refused {
                text: "the node is changing its cluster; try again".to_owned(),
            }),
        }
    }

    /// Tells the nodes of other clusters, by a new hello, that a leader of a later term stands
    /// behind the own founding: that is what they may give theirs up for.
    pub(super) fn claim_anew(&mut self) {
        let Life::Serving(serving) = &mut self.life else { return };
        let (_, last) = serving.driver.raft().written();
        if mem::replace(&mut serving.told, last.term) == last.term {
            return;
        }
        let founders: Vec<ConnectionId> = self.nodes_on(Footing::Founders).collect();
        for id in founders {
            self.close(id, "this node's log has grown, and it says hello anew");
        }
    }

    /// Gives up the own founding entry for another, once nothing is with the disk's threads.
    pub(super) fn refound(&mut self) {
        let Life::Serving(serving) = &mut self.life else { return };
        let Some(rival) = serving.gives_way_to.take() else { return };
        if !serving.gives_way_to(&rival) {
            return;
        }
        if !serving.driver.is_idle() {
            serving.gives_way_to = Some(rival);
            return;
        }
        let Life::Serving(serving) = mem::replace(&mut self.life, Life::Between) else {
            unreachable!("it was seen")
        };
        let Serving { driver, .. } = *serving;
        let status = driver.raft().status();
        let hard_state = HardState { term: status.term, vote: status.vote };
        let text = format!("cluster {}", rival.offer.founding().cluster);
        self.journal.info("founding_given_up_for", &text);
        self.outside.log(LogWork::Refound { founding: rival.offer.clone() });
        self.life = Life::Refounding(Box::new(Refounding { hard_state, rival }));
        let all: Vec<ConnectionId> = self.state.connections.keys().copied().collect();
        for id in all {
            self.close_at(Level::Debug, id, "this node changes its cluster");
        }
    }

    pub(super) fn refounded(&mut self) {
        let Life::Refounding(refounding) = mem::replace(&mut self.life, Life::Between) else {
            unreachable!("only a node that changes its cluster is told so")
        };
        let Refounding { hard_state, rival: Rival { offer, last_term } } = *refounding;
        let restored = Restored {
            hard_state,
            base: LogId::ORIGIN,
            runs: vec![TermRun { term: Term::ZERO, first: Index(1) }],
            last: Index(1),
            last_time: offer.time(),
            configurations: vec![(Index(1), offer.founding().configuration.clone())],
            applied: Index::ZERO,
            snapshots: Vec::new(),
            receiving: None,
            boot: self.door.me().boot,
        };
        self.door.forget_levels();
        let (cluster, epoch) = (offer.founding().cluster, offer.founding().epoch);
        let about = self.about(cluster, epoch, restored.boot, (0, 1));
        self.begin(restored, (Machine::new(), Vec::new()), about, offer, false);
        if let Life::Serving(serving) = &mut self.life {
            serving.taken_at = last_term;
        }
    }

    /// All nodes say hello anew, except on the connection `but`, which has an answer to send. Also
    /// those that haven't answered yet: they would answer a node that is no member.
    fn part_from_founders(&mut self, but: ConnectionId) {
        let is_greeted = |stage| matches!(stage, Stage::Calling(_) | Stage::Node { .. });
        let connections = self.state.connections.iter();
        let greeted = connections.filter(|(id, one)| **id != but && is_greeted(one.stage));
        let others: Vec<ConnectionId> = greeted.map(|(id, _)| *id).collect();
        for id in others {
            let reason = "this node has become a member and says hello anew";
            self.close_at(Level::Debug, id, reason);
        }
    }

    fn nodes(&self) -> impl Iterator<Item = ConnectionId> {
        let connections = self.state.connections.iter();
        connections
            .filter(|(_, connection)| matches!(connection.stage, Stage::Node { .. }))
            .map(|(id, _)| *id)
    }

    fn nodes_on(&self, wanted: Footing) -> impl Iterator<Item = ConnectionId> {
        let is_on = move |stage| matches!(stage, Stage::Node { footing, .. } if footing == wanted);
        let connections = self.state.connections.iter();
        connections.filter(move |(_, connection)| is_on(connection.stage)).map(|(id, _)| *id)
    }
}
