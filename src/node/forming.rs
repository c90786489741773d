//! How a cluster forms, once.
//!
//! When all nodes of the file are there and empty, the one with the lowest id stores the first
//! entry and offers it to the others; each stores the same bytes before it takes part. Where a
//! quorum is enough, the lowest node that is there founds, and the seats of the others wait for
//! them. A founding in which nothing was committed binds nobody: of two, one gives way.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use crate::config::Address;
use crate::model::{
    ClusterId, Configuration, Epoch, Founding, FoundingEntry, Incarnation, LogId, LogTime, Member,
    NodeId, Seat, SnapshotId, Standing, Term, Time,
};
use crate::wire::Awaited;

/// Where a quorum is enough: how long nobody else has come before it founds. Nodes that are
/// started together shall all be in it.
const LATECOMERS: Duration = Duration::from_secs(1);

/// The first epoch of every cluster. Zero is none.
const FIRST_EPOCH: Epoch = Epoch(1);

/// How a node begins whose directory is empty.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Begin {
    /// It forms a cluster together with all nodes of the file, or with a quorum of them where
    /// nothing is kept over a restart.
    #[default]
    Together,
    /// It forms a cluster as soon as a quorum of the nodes of the file is there.
    Quorum,
    /// It becomes a member of a cluster that is there, which it finds through the nodes of the
    /// file and through this address; it never founds one.
    Join(Option<Address>),
}

/// A node of the file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Founder {
    pub(crate) id: NodeId,
    /// Where it is reached, as `host:port`.
    pub(crate) address: String,
    pub(crate) votes: bool,
}

/// What the file and the command line say about forming.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Plan {
    pub(crate) cluster_name: String,
    /// The id that the cluster must have.
    pub(crate) cluster: Option<ClusterId>,
    /// All nodes of the file, ordered by id.
    pub(crate) founders: Vec<Founder>,
    /// Whether a quorum is enough.
    pub(crate) quorum_is_enough: bool,
    /// Whether the node waits until a cluster takes it in, and never founds one.
    pub(crate) joins: bool,
    /// The state machine's first settings.
    pub(crate) settings: Vec<u8>,
    /// The snapshot with whose state the cluster is to begin.
    pub(crate) restores: Option<SnapshotId>,
}

/// What is known of a node that is there.
#[derive(Clone, Copy, Debug)]
struct Present {
    incarnation: Incarnation,
    /// Whether it is part of a cluster.
    has_formed: bool,
}

/// A node that isn't part of a cluster yet.
#[derive(Debug)]
pub(crate) struct Forming {
    me: Member,
    plan: Plan,
    /// The other nodes that are there.
    present: BTreeMap<NodeId, Present>,
    /// Why the other nodes aren't there.
    absent: BTreeMap<NodeId, String>,
    /// When the last of those that are there came or went.
    changed_at: Time,
}

impl Forming {
    pub(crate) fn new(me: Member, plan: Plan, now: Time) -> Forming {
        let (present, absent) = (BTreeMap::new(), BTreeMap::new());
        Forming { me, plan, present, absent, changed_at: now }
    }

    /// There is a connection to a node.
    pub(crate) fn came(&mut self, member: Member, has_formed: bool, now: Time) {
        self.absent.remove(&member.id);
        self.changed_at = now;
        self.present.insert(member.id, Present { incarnation: member.incarnation, has_formed });
    }

    /// A node isn't there, or can't take part, for this reason.
    pub(crate) fn is_missing(&mut self, id: NodeId, why: String, now: Time) {
        if self.present.remove(&id).is_some() {
            self.changed_at = now;
        }
        self.absent.insert(id, why);
    }

    /// The first entry, if this node is to make it now. `random` is what the cluster's id is made
    /// from, `wall` is the present wall time.
    pub(crate) fn found(&self, now: Time, wall: LogTime, random: u128) -> Option<FoundingEntry> {
        if !self.may_found(now) {
            return None;
        }
        let cluster = self.plan.cluster.unwrap_or(ClusterId(random.max(1)));
        let founding = Founding {
            cluster,
            epoch: FIRST_EPOCH,
            founder: self.me.id,
            name: self.plan.cluster_name.clone(),
            configuration: Configuration::new(self.seats()),
            settings: self.plan.settings.clone(),
            restored: self.plan.restores,
        };
        Some(FoundingEntry::make(founding, wall))
    }

    /// When [`Forming::found`] may give something without anybody coming or going.
    pub(crate) fn deadline(&self) -> Option<Time> {
        let may = self.plan.quorum_is_enough && !self.plan.joins;
        (may && self.has_quorum() && self.is_lowest()).then(|| self.changed_at + LATECOMERS)
    }

    /// For whom this node waits. Nobody: for the lowest of those that are there to found, or, if
    /// it joins a cluster, for a member to take it in.
    pub(crate) fn waits_for(&self) -> Vec<Awaited> {
        let others = self.plan.founders.iter().filter(|founder| founder.id != self.me.id);
        let missing = others.filter(|founder| !self.present.contains_key(&founder.id));
        let lowest = self.plan.founders.iter().filter(|_| self.needs_form()).find(|founder| {
            founder.votes && (founder.id == self.me.id || self.present.contains_key(&founder.id))
        });
        let mut waits: Vec<Awaited> = missing
            .map(|founder| Awaited {
                id: founder.id,
                address: founder.address.clone(),
                why: self.absent.get(&founder.id).map_or("not reached yet", String::as_str).into(),
            })
            .collect();
        waits.extend(lowest.map(|founder| {
            Awaited {
            id: founder.id,
            address: founder.address.clone(),
            why: "is the lowest that is there: without the missing it founds only if it is itself \
                  started with --form, which is safe only where they hold no data"
                .to_owned(),
        }
        }));
        waits
    }

    /// Whether this node stores a founding entry that it is offered.
    ///
    /// It may have no seat in the founding: who offers it has let this node in, and so has a seat
    /// for it in the configuration that is in force there by now.
    pub(crate) fn accepts(&self, founding: &Founding) -> Result<(), String> {
        is_meant(&self.plan, founding)?;
        // Who comes later is brought all that there is by the leader.
        let must_have =
            founding.configuration.has_seat_for(self.me) || self.plan.restores.is_some();
        match must_have && founding.restored != self.plan.restores {
            true => Err(unlike(founding.restored, self.plan.restores)),
            false => Ok(()),
        }
    }

    /// Whether this node never founds a cluster.
    pub(crate) const fn joins(&self) -> bool {
        self.plan.joins
    }

    fn may_found(&self, now: Time) -> bool {
        let nobody_has_formed = self.present.values().all(|present| !present.has_formed);
        if self.plan.joins || !nobody_has_formed || !self.is_lowest() {
            return false;
        }
        let all_are_there = self.present.len() + 1 == self.plan.founders.len();
        let is_settled = self.changed_at + LATECOMERS <= now;
        all_are_there || (self.plan.quorum_is_enough && self.has_quorum() && is_settled)
    }

    /// Whether a quorum is there and the lowest of it may lack the leave to found: this node is
    /// the one and wasn't given it, or was given it and isn't the one.
    fn needs_form(&self) -> bool {
        let nobody_has_formed = self.present.values().all(|present| !present.has_formed);
        let is_one_missing = self.present.len() + 1 < self.plan.founders.len();
        // All are needed for a state to begin with.
        !self.plan.joins
            && self.plan.restores.is_none()
            && nobody_has_formed
            && is_one_missing
            && self.has_quorum()
            && self.is_lowest() != self.plan.quorum_is_enough
    }

    /// Whether no node that is there has a lower id.
    fn is_lowest(&self) -> bool {
        let votes = |id: NodeId| self.plan.founders.iter().any(|node| node.id == id && node.votes);
        votes(self.me.id) && !self.present.keys().any(|id| *id < self.me.id && votes(*id))
    }

    fn has_quorum(&self) -> bool {
        let voters = || self.plan.founders.iter().filter(|founder| founder.votes);
        let is_there = |id| id == self.me.id || self.present.contains_key(&id);
        let there = voters().filter(|founder| is_there(founder.id)).count();
        there > voters().count() / 2
    }

    fn seats(&self) -> Vec<Seat> {
        let incarnation = |id| match id == self.me.id {
            true => Some(self.me.incarnation),
            false => self.present.get(&id).map(|present| present.incarnation),
        };
        let seat = |founder: &Founder| Seat {
            id: founder.id,
            incarnation: incarnation(founder.id),
            standing: if founder.votes { Standing::Voter } else { Standing::Learner },
            address: founder.address.clone(),
        };
        self.plan.founders.iter().map(seat).collect()
    }
}

/// Whether the cluster that `founding` begins is one that the file means.
fn is_meant(plan: &Plan, founding: &Founding) -> Result<(), String> {
    if founding.name != plan.cluster_name {
        return Err(format!(
            "the offered cluster is named {:?}, this node's file says {:?}",
            founding.name, plan.cluster_name
        ));
    }
    if let Some(wanted) = plan.cluster.filter(|wanted| *wanted != founding.cluster) {
        return Err(format!(
            "the offered cluster is {}, this node's file says ClusterId = {wanted}",
            founding.cluster
        ));
    }
    Ok(())
}

/// Whether `me` is one of the founders of the cluster that `founding` begins.
pub(crate) fn is_founder(me: Member, plan: &Plan, founding: &Founding) -> Result<(), String> {
    is_meant(plan, founding)?;
    if founding.restored != plan.restores {
        return Err(unlike(founding.restored, plan.restores));
    }
    let members = &founding.configuration;
    if members.has_seat_for(me) {
        return Ok(());
    }
    Err(match members.seats().iter().any(|seat| seat.id == me.id) {
        true => format!("node {} is a member of the offered cluster in another life", me.id),
        false => format!("node {} is no member of the offered cluster", me.id),
    })
}

/// Why a founder takes part only with the state that the cluster begins with: of founders without
/// it a majority could lead an empty cluster.
fn unlike(founding: Option<SnapshotId>, own: Option<SnapshotId>) -> String {
    match (founding, own) {
        (Some(restored), None) => format!(
            "the cluster was restored from the snapshot up to {restored}: start this node with \
             --restore and the same file"
        ),
        (None, Some(_)) => "the cluster is there already, and wasn't restored from a snapshot: \
                            --restore makes a new cluster. Start this node without it, or stop \
                            the others and give all of them empty directories"
            .to_owned(),
        (restored, own) => {
            let show = |id: Option<SnapshotId>| id.map_or("none".to_owned(), |id| id.to_string());
            format!(
                "the cluster was restored from the snapshot up to {}, this node has the one up to \
                 {}: give all nodes the same file",
                show(restored),
                show(own)
            )
        }
    }
}

/// A founding entry as a node holds it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claim<'a> {
    pub(crate) founding: &'a Founding,
    /// The term of the last entry behind it.
    pub(crate) last_term: Term,
}

impl Claim<'_> {
    /// Whether a node that nothing binds to its own founding, this one, gives it up for another
    /// node's: for one with a later election behind it, as a log gives way to that of a later
    /// leader, else for that of the lower founder.
    pub(crate) fn gives_way_to(&self, other: &Claim<'_>) -> bool {
        let rank = |claim: &Claim<'_>| {
            let Founding { founder, cluster, .. } = claim.founding;
            (Reverse(claim.last_term), *founder, *cluster)
        };
        let voters = |claim: &Claim<'_>| -> Vec<NodeId> {
            let seats = claim.founding.configuration.seats().iter();
            seats.filter(|seat| seat.standing.votes()).map(|seat| seat.id).collect()
        };
        // All nodes were there for one that restores, with the state that it begins with.
        let is_restored = |claim: &Claim<'_>| claim.founding.restored.is_some();
        if is_restored(self) || is_restored(other) {
            return false;
        }
        // Of the majorities of other sets of voters two may have nobody in common.
        self.founding.cluster != other.founding.cluster
            && voters(self) == voters(other)
            && rank(other) < rank(self)
    }
}

/// Whether a node with this last entry may be one that nothing binds to its founding: behind the
/// founding entry, each entry would then be of a term of its own.
pub(crate) const fn may_be_undecided(last: LogId) -> bool {
    last.index.0 <= last.term.0.saturating_add(1)
}

#[cfg(test)]
mod tests;
