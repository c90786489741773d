//! What a node is: one without a cluster, or a member.

use crate::model::{ClusterId, Epoch, HardState, Index, LogId, Member, NodeId, Term, Time};
use crate::node::door::Standpoint;
use crate::node::driver::Driver;
use crate::node::forming::{Claim, Forming};
use crate::node::opening::Unfounded;
use crate::wire::FoundingOffer;

/// What the node does.
pub(in crate::node) enum Life {
    /// It is part of no cluster yet.
    Forming(Box<Early>),
    /// It is a member.
    Serving(Box<Serving>),
    /// It gives up its founding entry for another one.
    Refounding(Box<Refounding>),
    /// It is passing from one to the other.
    Between,
}

/// A node without a cluster.
pub(in crate::node) struct Early {
    pub(in crate::node) forming: Forming,
    pub(in crate::node) unfounded: Unfounded,
}

/// A member of a cluster.
pub(in crate::node) struct Serving {
    pub(super) driver: Driver,
    pub(super) cluster: ClusterId,
    pub(super) epoch: Epoch,
    /// The first entry, for those who haven't got it.
    pub(super) founding: Option<FoundingOffer>,
    /// The term of the last entry, as the other founders were told it.
    pub(super) told: Term,
    /// The term of the last entry behind the founding when this node gave up another for it.
    pub(super) taken_at: Term,
    /// A founding for which this node gives up its own, as soon as its threads are idle.
    pub(super) gives_way_to: Option<Rival>,
    /// Where the configuration stands by which it was last looked who was removed.
    pub(super) settled: Index,
    /// Whether this node has just founded the cluster and stands for election once a quorum is
    /// there.
    pub(super) is_founder: bool,
}

/// The founding of another node.
pub(in crate::node) struct Rival {
    pub(super) offer: FoundingOffer,
    /// The term of the last entry that the other node has behind it.
    pub(super) last_term: Term,
}

/// What is kept while the founding entry is replaced.
pub(in crate::node) struct Refounding {
    pub(super) hard_state: HardState,
    pub(super) rival: Rival,
}

impl Life {
    pub(super) const fn is_forming(&self) -> bool {
        matches!(self, Life::Forming(_))
    }

    pub(super) const fn is_serving(&self) -> bool {
        matches!(self, Life::Serving(_))
    }

    /// Whether it passes from one cluster to another.
    pub(super) const fn is_changing(&self) -> bool {
        matches!(self, Life::Refounding(_) | Life::Between)
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        match self {
            Life::Forming(early) => early.forming.deadline(),
            Life::Serving(serving) => serving.driver.deadline(),
            Life::Refounding(_) | Life::Between => None,
        }
    }

    /// What the node says of itself in a hello, and judges others by.
    pub(super) fn standpoint(&self, is_stopping: bool) -> Standpoint<'_> {
        let Life::Serving(serving) = self else {
            return Standpoint {
                cluster: None,
                term: Term::ZERO,
                last: LogId::ORIGIN,
                members: None,
                settled: None,
                feature_level: 0,
                // One that is changing its cluster speaks with nobody meanwhile.
                is_stopping: is_stopping || !self.is_forming(),
            };
        };
        let raft = serving.driver.raft();
        let (term, last) = raft.written();
        Standpoint {
            cluster: Some((serving.cluster, serving.epoch)),
            term,
            last,
            members: Some(raft.configuration()),
            settled: Some(raft.committed_configuration()),
            feature_level: serving.driver.machine().feature_level(),
            is_stopping,
        }
    }

    pub(super) fn came(&mut self, member: Member, has_formed: bool, now: Time) {
        if let Life::Forming(early) = self {
            early.forming.came(member, has_formed, now);
        }
    }

    pub(super) fn is_missing(&mut self, id: NodeId, why: &str, now: Time) {
        if let Life::Forming(early) = self {
            early.forming.is_missing(id, why.to_owned(), now);
        }
    }
}

impl Serving {
    /// Whether this node gives its founding up for that of another node.
    pub(super) fn gives_way_to(&self, rival: &Rival) -> bool {
        let raft = self.driver.raft();
        let other = Claim { founding: &rival.offer.founding, last_term: rival.last_term };
        let own = self.founding.as_ref().map(|own| Claim {
            founding: &own.founding,
            last_term: raft.last().term.max(self.taken_at),
        });
        raft.is_undecided() && own.is_some_and(|own| own.gives_way_to(&other))
    }
}
