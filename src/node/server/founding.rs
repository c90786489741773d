//! Founding the cluster, passing its first entry on, and giving way to another one.

use std::mem;

use super::Server;
use super::life::{Life, Refounding, Serving};
use crate::model::{EntryKind, HardState, Index, LogId, Member, Term, TermRun};
use crate::node::Exit;
use crate::node::connection::{ConnectionId, Stage};
use crate::node::forming::{gives_way, may_join};
use crate::node::opening::exit_of;
use crate::node::outside::Outside;
use crate::raft::Restored;
use crate::storage::LogWork;
use crate::wire::{FoundingOffer, FoundingReply, Incoming};

impl<O: Outside> Server<O> {
    /// Founds the cluster, if that is this node's part and the time has come.
    pub(super) fn form(&mut self) -> Result<(), Exit> {
        let Life::Forming(early) = &self.life else { return Ok(()) };
        let (wall, random) = (self.outside.wall_time(), self.outside.random());
        let offer = early.forming.found(self.now, wall, random);
        let Some(offer) = offer else {
            let waits = early.forming.waits_for();
            self.journal.waits(self.now, waits);
            return Ok(());
        };
        let text = format!("cluster {}", offer.founding.cluster);
        self.journal.info("founding", &text);
        self.store_founding(offer, true)?;
        let founders: Vec<ConnectionId> = self.nodes().collect();
        for id in founders {
            self.offer_founding(id);
        }
        Ok(())
    }

    /// Stores the first entry, and begins to serve.
    fn store_founding(&mut self, offer: FoundingOffer, is_founder: bool) -> Result<(), Exit> {
        let Life::Forming(early) = mem::replace(&mut self.life, Life::Between) else {
            unreachable!("only a node without a log stores a founding")
        };
        let formed = early.unfounded.found(&offer.batch).map_err(exit_of)?;
        self.serve(formed, is_founder)
    }

    /// Offers the first entry to a node that is of no cluster or of another one.
    pub(super) fn offer_founding(&mut self, id: ConnectionId) {
        let Life::Serving(serving) = &self.life else { return };
        let Some(offer) = &serving.founding else { return };
        offer.encode(&mut self.state.scratch);
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
                self.consider(id, *offer).map(|_| ())
            }
            Incoming::FoundingReply(FoundingReply::Stored { .. }) => {
                self.journal.info("founding_stored", &format!("by node {}", from.id));
                Ok(())
            }
            Incoming::FoundingReply(FoundingReply::Refused { text }) => {
                let reason = format!("it does not store the founding entry: {text}");
                let remote = self.state.connections.get(&id).map(|one| one.remote);
                self.journal.dropped(self.now, remote, Some(from.id), &reason);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn consider(&mut self, id: ConnectionId, offer: FoundingOffer) -> Result<FoundingReply, Exit> {
        let has_more = self.state.connections.get(&id).is_some_and(|connection| {
            matches!(connection.stage, Stage::Node { has_more: true, .. })
        });
        let cluster = offer.founding.cluster;
        match &mut self.life {
            Life::Forming(early) => {
                if let Err(text) = early.forming.accepts(&offer) {
                    return Ok(FoundingReply::Refused { text });
                }
                self.journal.info("founding_accepted", &format!("cluster {cluster}"));
                self.store_founding(offer, false)?;
                self.part_from_founders(id);
                Ok(FoundingReply::Stored { cluster })
            }
            Life::Serving(serving) if serving.cluster == cluster => {
                Ok(FoundingReply::Stored { cluster })
            }
            Life::Serving(serving) => {
                let own = serving.founding.clone();
                let me = self.door.me().member;
                let yields = serving.is_lonely()
                    && own
                        .as_ref()
                        .is_some_and(|own| gives_way(&own.founding, &offer.founding, has_more));
                let may = may_join(me, &self.plan, &offer.founding);
                match (yields, may, own) {
                    (true, Ok(()), _) => {
                        serving.gives_way_to = Some(offer);
                        let text = "the own founding entry gives way to another one; try again";
                        Ok(FoundingReply::Refused { text: text.to_owned() })
                    }
                    (true, Err(text), _) => Ok(FoundingReply::Refused { text }),
                    (false, _, Some(own)) => Ok(FoundingReply::Prefers(Box::new(own))),
                    (false, _, None) => Ok(FoundingReply::Refused {
                        text: "the node is a member of another cluster".to_owned(),
                    }),
                }
            }
            Life::Refounding(_) | Life::Between => Ok(FoundingReply::Refused {
                text: "the node is changing its cluster; try again".to_owned(),
            }),
        }
    }

    /// Gives up the own founding entry for another, once nothing is on its way to the disk.
    pub(super) fn refound(&mut self) {
        let Life::Serving(serving) = &mut self.life else { return };
        if serving.gives_way_to.is_none() {
            return;
        }
        if !serving.is_lonely() {
            serving.gives_way_to = None;
            return;
        }
        if !serving.driver.is_log_idle() || !serving.driver.raft().is_all_durable() {
            return;
        }
        let Life::Serving(serving) = mem::replace(&mut self.life, Life::Between) else {
            unreachable!("it was seen")
        };
        let Serving { driver, gives_way_to, .. } = *serving;
        let offer = gives_way_to.expect("it was seen");
        let status = driver.raft().status();
        let hard_state = HardState { term: status.term, vote: status.vote };
        let text = format!("cluster {}", offer.founding.cluster);
        self.journal.info("founding_given_up_for", &text);
        self.outside.log(LogWork::Refound { founding: offer.batch.clone() });
        self.life = Life::Refounding(Box::new(Refounding { hard_state, offer }));
        let all: Vec<ConnectionId> = self.state.connections.keys().copied().collect();
        for id in all {
            self.close(id, "this node changes its cluster");
        }
    }

    pub(super) fn refounded(&mut self) {
        let Life::Refounding(refounding) = mem::replace(&mut self.life, Life::Between) else {
            unreachable!("only a node that changes its cluster is told so")
        };
        let Refounding { hard_state, offer } = *refounding;
        let entry = offer.batch.entry(Index(1)).expect("a founding is entry 1");
        let restored = Restored {
            hard_state,
            base: LogId::ORIGIN,
            runs: vec![TermRun { term: Term::ZERO, first: Index(1) }],
            last: Index(1),
            last_time: entry.header().time,
            configurations: vec![(Index(1), offer.founding.configuration.clone())],
            applied: Index::ZERO,
            boot: self.door.me().boot,
        };
        debug_assert_eq!(entry.kind(), EntryKind::FOUNDING);
        self.door.forget_levels();
        let (cluster, epoch) = (offer.founding.cluster, offer.founding.epoch);
        let about = self.about(cluster, epoch, restored.boot, (0, 1));
        self.begin(restored, about, Some(offer), false);
    }

    /// All nodes say hello anew, except on the connection `but`, which has an answer to send.
    fn part_from_founders(&mut self, but: ConnectionId) {
        let others: Vec<ConnectionId> = self.nodes().filter(|id| *id != but).collect();
        for id in others {
            self.close(id, "this node has become a member and says hello anew");
        }
    }

    fn nodes(&self) -> impl Iterator<Item = ConnectionId> {
        let connections = self.state.connections.iter();
        connections
            .filter(|(_, connection)| matches!(connection.stage, Stage::Node { .. }))
            .map(|(id, _)| *id)
    }
}
