//! The hello, in both directions: who may speak with this node.
//!
//! Membership isn't asked for here, because a joining or lagging node must be led by nodes that it
//! doesn't know of. What is refused is what could break a promise: another cluster, another
//! addressee, an earlier start, a copy that runs twice, a disk that was lost or put back.

mod level;

use std::collections::BTreeMap;
use std::time::Duration;

use self::level::Level;
use super::forming::may_be_undecided;
use crate::kv::FEATURE_LEVEL;
use crate::model::{
    Boot, ClusterId, Configuration, Epoch, Index, LogId, Member, NodeId, PeerLevel, SnapshotId,
    StartNumber, Term, Time,
};
use crate::wire::{
    Addressed, Authentication, Hello, HelloAnswer, HelloRefusal, PROTOCOL, Party, Purpose, Verdict,
    VersionRange,
};

/// The feature levels that this program supports; a cluster begins at 0.
const FEATURES: VersionRange = VersionRange { lowest: 0, highest: FEATURE_LEVEL };

/// The founding entry. Until something behind it is committed, it binds nobody.
const FOUNDING: Index = Index(1);

/// How long hellos may come that were said before their sender was told to say them again: as long
/// as calls last.
const OVERTAKEN: Duration = Duration::from_secs(2);

/// How many nodes beside the members are remembered.
const STRANGERS: usize = 16;

/// What this node says of itself in each hello.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Myself {
    pub(crate) member: Member,
    pub(crate) boot: Boot,
    pub(crate) start: StartNumber,
    pub(crate) cluster_name: String,
    pub(crate) nodes_hash: u64,
    /// The snapshot with whose state the cluster is to begin that this node forms.
    pub(crate) restores: Option<SnapshotId>,
    /// Where it is reached, as `host:port`.
    pub(crate) address: String,
    /// Whether the cluster keeps nothing over a restart. Then whoever comes back in another life
    /// is let in: no vote of the one before counts any more, and the leader gives its seat away.
    pub(crate) keeps_nothing: bool,
}

/// What this node is at the moment of a hello.
#[derive(Clone, Debug)]
pub(crate) struct Standpoint<'a> {
    /// Its cluster, once it has formed.
    pub(crate) cluster: Option<(ClusterId, Epoch)>,
    /// Its durable term.
    pub(crate) term: Term,
    /// The last entry of its log that is durable.
    pub(crate) last: LogId,
    /// The members, once the cluster has formed, and where that stands in the log.
    pub(crate) members: Option<(Index, &'a Configuration)>,
    /// The latest configuration that is known to be committed, which says who was removed.
    pub(crate) settled: Option<(Index, &'a Configuration)>,
    /// The cluster's feature level.
    pub(crate) feature_level: u32,
    /// Whether the node is shutting down.
    pub(crate) is_stopping: bool,
}

/// Why a connection doesn't stand.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Refused {
    pub(crate) code: HelloRefusal,
    /// The index of the entry that is the reason, else 0.
    pub(crate) index: Index,
    pub(crate) text: String,
}

/// What a connection that stands is good for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Footing {
    /// Both are of the same cluster.
    Members,
    /// At least one of them is of no cluster, or of another one that nothing binds it to: only
    /// founding entries are spoken of.
    Founders,
}

/// The latest start that was heard of a node.
#[derive(Clone, Copy, Debug)]
struct Heard {
    boot: Boot,
    start: StartNumber,
    /// When it was heard last, counted in hellos.
    at: u64,
}

/// The checks, and what they remember of the others.
#[derive(Debug)]
pub(crate) struct Door {
    me: Myself,
    /// Of the members, and of the strangers that were heard last.
    starts: BTreeMap<Member, Heard>,
    /// Of the members, and of whom a leader last told.
    levels: BTreeMap<Member, Level>,
    /// Starts that are to say hello again, what was known of the member when they were first told
    /// so, and when that was.
    outdated: BTreeMap<Member, (StartNumber, Level, Time)>,
    now: Time,
    /// How many hellos were heard.
    hellos: u64,
}

impl Door {
    pub(crate) fn new(me: Myself) -> Door {
        let (starts, levels, outdated) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Door { me, starts, levels, outdated, now: Time::ZERO, hellos: 0 }
    }

    /// Time passes.
    pub(crate) const fn pass(&mut self, now: Time) {
        self.now = now;
    }

    pub(crate) const fn me(&self) -> &Myself {
        &self.me
    }

    /// The hello to the node `id`; `None`: to whoever answers. It names no life: whoever calls may
    /// not have heard yet that another one has taken the place of the one that it knows, and the
    /// answer tells.
    pub(crate) fn hello(&self, id: Option<NodeId>, standpoint: &Standpoint<'_>) -> Hello {
        Hello {
            party: self.party(standpoint),
            to: Addressed { id, incarnation: None },
            purpose: Purpose::Peer,
            authentication: Authentication::default(),
        }
    }

    /// The answer to `hello`.
    pub(crate) fn answer(
        &self,
        hello: &Hello,
        standpoint: &Standpoint<'_>,
        refused: Option<&Refused>,
    ) -> HelloAnswer {
        let verdict = match refused {
            Some(Refused { code, index, text }) => {
                Verdict::Refused { code: *code, index: *index, text: text.clone() }
            }
            None => Verdict::Accepted {
                protocol: PROTOCOL.common(hello.party.protocol).unwrap_or(PROTOCOL.highest),
                feature_level: match standpoint.feature_level {
                    0 => FEATURES.common(hello.party.features).unwrap_or(FEATURES.highest),
                    known => known,
                },
            },
        };
        let member = hello.party.member;
        let to = Addressed {
            id: member.map(|member| member.id),
            incarnation: member.map(|member| member.incarnation),
        };
        HelloAnswer { party: self.party(standpoint), to, purpose: hello.purpose, verdict }
    }

    /// Whether whoever says `hello` may speak with this node.
    pub(crate) fn judge(
        &mut self,
        hello: &Hello,
        standpoint: &Standpoint<'_>,
    ) -> Result<Footing, Refused> {
        let party = &hello.party;
        if party.member == Some(self.me.member) && party.start == self.me.start {
            let text = format!(
                "the address leads to node {} itself: correct the addresses in its raft.ini",
                self.me.member.id
            );
            return Err(refuse(HelloRefusal::SAME_NODE, text));
        }
        self.judge_form(hello, standpoint)?;
        match (hello.purpose, hello.party.member) {
            (Purpose::Peer, Some(member)) => self.judge_party(member, &hello.party, standpoint),
            _ => judge_client(&hello.party, standpoint),
        }
    }

    /// Whether the node that was called as `id` and has accepted is the one that was meant, which
    /// anybody is if there was no `id`.
    pub(crate) fn judge_answer(
        &mut self,
        id: Option<NodeId>,
        answer: &HelloAnswer,
        standpoint: &Standpoint<'_>,
    ) -> Result<(Member, Footing), Refused> {
        let Some(member) = answer.party.member else {
            return Err(refuse(HelloRefusal::ROLE, "it doesn't say which node it is".to_owned()));
        };
        if let Some(id) = id.filter(|id| member.id != *id) {
            let text = format!("node {} answers where node {id} was expected", member.id);
            return Err(refuse(HelloRefusal::WRONG_NODE, text));
        }
        let footing = self.judge_party(member, &answer.party, standpoint)?;
        Ok((member, footing))
    }

    /// Whether the refusal by whoever was called as `id` holds this node back for the data's
    /// sake: a node without a cluster knows nothing that this one could break, and one that
    /// isn't the one meant says nothing about it.
    pub(crate) fn is_held_back(&self, id: Option<NodeId>, answer: &HelloAnswer) -> bool {
        let Verdict::Refused { code, .. } = &answer.verdict else { return false };
        let party = &answer.party;
        code.is_guard()
            && party.cluster.is_some()
            && party.cluster_name == self.me.cluster_name
            && party.member.is_some_and(|member| id.is_none_or(|id| member.id == id))
    }

    /// Whether the node that says this of itself is in a later epoch of this node's own cluster,
    /// and a member as this node knows them: then this node was left behind.
    pub(crate) fn is_left_behind_by(&self, party: &Party, standpoint: &Standpoint<'_>) -> bool {
        let (Some((cluster, epoch)), Some((_, members))) = (standpoint.cluster, standpoint.members)
        else {
            return false;
        };
        party.cluster == Some(cluster)
            && party.epoch > epoch
            && party.cluster_name == self.me.cluster_name
            && party.member.is_some_and(|member| members.seat(member).is_some())
    }

    /// What a leader tells of the members in its term, and up to where it has committed.
    /// `members` are those that this node knows.
    pub(crate) fn learn(
        &mut self,
        (term, commit): (Term, Index),
        levels: &[PeerLevel],
        members: &Configuration,
    ) {
        if commit <= FOUNDING {
            // Nobody is bound yet: whoever gives its founding up drops what it acknowledged.
            return;
        }
        if levels.is_empty() {
            // Not every heartbeat tells of the members.
            return;
        }
        let is_told = |one: &Member| levels.iter().any(|level| level.member == *one);
        self.levels.retain(|one, _| is_told(one) || members.seat(*one).is_some());
        self.outdated.retain(|one, _| self.levels.contains_key(one));
        for PeerLevel { member, matched, boot } in levels.iter().copied() {
            let known = self.levels.entry(member).or_default();
            known.boot = known.boot.max(boot);
            known.floor = known.floor.max(matched.min(commit));
            if matched == Index::ZERO {
                // It hasn't been heard in this term; what was known before still holds.
                continue;
            }
            if term > known.term {
                (known.term, known.matched) = (term, matched);
            } else if term == known.term {
                known.matched = known.matched.max(matched);
            }
        }
    }

    /// Forgets what was heard under another cluster.
    pub(crate) fn forget_levels(&mut self) {
        self.levels.clear();
        self.outdated.clear();
    }

    fn party(&self, standpoint: &Standpoint<'_>) -> Party {
        let (cluster, epoch) = standpoint.cluster.unzip();
        Party {
            protocol: PROTOCOL,
            features: FEATURES,
            cluster,
            epoch: epoch.unwrap_or_default(),
            member: Some(self.me.member),
            boot: self.me.boot,
            start: self.me.start,
            term: standpoint.term,
            last: standpoint.last,
            nodes_hash: self.me.nodes_hash,
            cluster_name: self.me.cluster_name.clone(),
            address: self.me.address.clone(),
            restores: self.me.restores.filter(|_| cluster.is_none()),
        }
    }

    /// What can be said without knowing who speaks.
    fn judge_form(&self, hello: &Hello, standpoint: &Standpoint<'_>) -> Result<(), Refused> {
        if standpoint.is_stopping {
            let text = format!("node {} is shutting down", self.me.member.id);
            return Err(refuse(HelloRefusal::STOPPING, text));
        }
        if PROTOCOL.common(hello.party.protocol).is_none() {
            let text = format!(
                "node {} speaks versions {} to {} of the protocol",
                self.me.member.id, PROTOCOL.lowest, PROTOCOL.highest
            );
            return Err(refuse(HelloRefusal::PROTOCOL, text));
        }
        if let Purpose::Unknown(role) = hello.purpose {
            let text = format!("role {role} isn't known to this version");
            return Err(refuse(HelloRefusal::ROLE, text));
        }
        if hello.authentication.method != 0 {
            let method = hello.authentication.method;
            let text = format!("authentication method {method} isn't known to this version");
            return Err(refuse(HelloRefusal::AUTHENTICATION, text));
        }
        let (id, me) = (hello.to.id, self.me.member);
        if let Some(id) = id.filter(|id| *id != me.id) {
            let text = format!("this is node {}, not node {id}", me.id);
            return Err(refuse(HelloRefusal::WRONG_NODE, text));
        }
        if hello.to.incarnation.is_some_and(|addressed| addressed != me.incarnation) {
            let text = format!("node {} has another incarnation than the one addressed", me.id);
            return Err(refuse(HelloRefusal::WRONG_INCARNATION, text));
        }
        Ok(())
    }

    /// Whether `party`, which says that it is `member`, may take part.
    fn judge_party(
        &mut self,
        member: Member,
        party: &Party,
        standpoint: &Standpoint<'_>,
    ) -> Result<Footing, Refused> {
        if party.cluster_name != self.me.cluster_name {
            let text = format!(
                "the name of this cluster is {:?}, not {:?}",
                self.me.cluster_name, party.cluster_name
            );
            return Err(refuse(HelloRefusal::WRONG_NAME, text));
        }
        self.judge_self(member)?;
        // A node that hasn't applied the first entry yet doesn't know the level.
        let is_known = standpoint.feature_level > 0;
        if is_known && !party.features.contains(standpoint.feature_level) {
            let text = format!(
                "the cluster's feature level is {}, and the sender supports {} to {}",
                standpoint.feature_level, party.features.lowest, party.features.highest
            );
            return Err(refuse(HelloRefusal::FEATURE_LEVEL, text));
        }
        let footing = self.judge_cluster(party, standpoint)?;
        self.judge_seat(member, party, standpoint)?;
        if footing == Footing::Members {
            self.judge_level(member, party)?;
        }
        self.judge_start(member, party, standpoint)?;
        Ok(footing)
    }

    /// Another process that says it is this node.
    fn judge_self(&self, member: Member) -> Result<(), Refused> {
        let me = self.me.member;
        if member == me {
            let text = format!(
                "the directory of node {} is used twice: one of the two is a copy, or both have \
                 the same number in their addresses. Stop the copy",
                me.id
            );
            return Err(refuse(HelloRefusal::CLONE, text));
        }
        if member.id == me.id {
            let text = format!("both sides say that they are node {}", me.id);
            return Err(refuse(HelloRefusal::SAME_NODE, text));
        }
        Ok(())
    }

    fn judge_cluster(
        &self,
        party: &Party,
        standpoint: &Standpoint<'_>,
    ) -> Result<Footing, Refused> {
        let (Some((cluster, epoch)), Some(theirs)) = (standpoint.cluster, party.cluster) else {
            if standpoint.cluster.is_none() && party.cluster.is_none() {
                self.judge_plan(party)?;
            }
            return Ok(Footing::Founders);
        };
        if cluster != theirs {
            if may_be_undecided(standpoint.last) || may_be_undecided(party.last) {
                return Ok(Footing::Founders);
            }
            let text = format!("this is cluster {cluster}, not {theirs}");
            return Err(refuse(HelloRefusal::WRONG_CLUSTER, text));
        }
        if epoch != party.epoch {
            return Err(refuse(HelloRefusal::WRONG_EPOCH, epochs_differ(epoch, party)));
        }
        Ok(Footing::Members)
    }

    /// Whether the members have a seat for `member`.
    fn judge_seat(
        &self,
        member: Member,
        party: &Party,
        standpoint: &Standpoint<'_>,
    ) -> Result<(), Refused> {
        let Some((index, members)) = standpoint.members else { return Ok(()) };
        // What is founded and not followed by anything binds nobody.
        if party.cluster.is_some()
            && Some(party.cluster) != standpoint.cluster.map(|(id, _)| Some(id))
        {
            return Ok(());
        }
        if let Some((index, settled)) = standpoint.settled
            && settled.was_removed(member)
        {
            let text = format!(
                "node {} was removed from this cluster. To have it back, empty its data directory \
                 and add it as a new member",
                member.id
            );
            return Err(Refused { code: HelloRefusal::REMOVED, index, text });
        }
        if members.has_seat_for(member) {
            return Ok(());
        }
        // Whoever holds more of the log than this node may be a member by a later configuration.
        let is_ahead = party.cluster.is_some() && party.last > standpoint.last;
        let has_seat = members.seats().iter().any(|seat| seat.id == member.id);
        if is_ahead || (has_seat && self.me.keeps_nothing) {
            return Ok(());
        }
        if has_seat {
            let text = format!(
                "node {} is a member in another life: its data directory was lost or replaced, and a \
                 node that has forgotten its votes must not vote again. Put the data directory back \
                 and start the node again, or have it taken in as a new member: start it with --join \
                 and run `raft-ctl members replace {}`",
                member.id, member.id
            );
            return Err(Refused { code: HelloRefusal::WIPED, index, text });
        }
        if party.cluster.is_none() {
            let text = format!(
                "node {} is no member of this cluster. To have it taken in, start it with --join and \
                 run `raft-ctl members add {}`",
                member.id, party.address
            );
            return Err(Refused { code: HelloRefusal::REMOVED, index, text });
        }
        Ok(())
    }

    /// Whether two nodes that are to form a cluster want to form the same one.
    fn judge_plan(&self, party: &Party) -> Result<(), Refused> {
        if party.nodes_hash != self.me.nodes_hash {
            let text = "the cluster hasn't formed, and the two files list other nodes, addresses \
                        or roles: they must be the same on all nodes";
            return Err(refuse(HelloRefusal::WRONG_NODES, text.to_owned()));
        }
        if party.restores == self.me.restores {
            return Ok(());
        }
        let show = |restores: Option<SnapshotId>| match restores {
            Some(id) => format!("restores the snapshot up to {id}, hash {:032x}", id.hash),
            None => "restores none".to_owned(),
        };
        let text = format!(
            "the cluster hasn't formed; node {} {}, and the other one {}: start all nodes with \
             --restore and the same file, or all without",
            self.me.member.id,
            show(self.me.restores),
            show(party.restores)
        );
        Err(refuse(HelloRefusal::WRONG_SNAPSHOT, text))
    }

    /// Whether the member still has what it was known to have.
    fn judge_level(&mut self, member: Member, party: &Party) -> Result<(), Refused> {
        let Some(known) = self.levels.get(&member).copied() else { return Ok(()) };
        if party.boot != known.boot {
            return known.judge(member, party);
        }
        // What is known may be news of this very start that has overtaken its hello. A start that
        // was let in can't have lost anything, and another one of the same boot is a copy.
        if self.starts.get(&member).is_some_and(|heard| heard.boot == party.boot) {
            return Ok(());
        }
        let outdated = self.outdated.get(&member).filter(|(start, ..)| *start == party.start);
        let (_, before, since) = outdated.copied().unwrap_or((party.start, known, self.now));
        before.judge(member, party).map_err(|regressed| {
            if self.now >= since + OVERTAKEN {
                return regressed;
            }
            self.outdated.insert(member, (party.start, before, since));
            let text = format!(
                "node {} may have lost durable state, or this hello was long on its way: say it \
                 again",
                member.id
            );
            refuse(HelloRefusal::OUTDATED, text)
        })
    }

    /// Whether it is the latest start of the member, and the only one.
    fn judge_start(
        &mut self,
        member: Member,
        party: &Party,
        standpoint: &Standpoint<'_>,
    ) -> Result<(), Refused> {
        if let Some(Heard { boot, start, .. }) = self.starts.get(&member) {
            if party.boot < *boot {
                let text = format!(
                    "node {} has lost durable state: start {boot} of it was heard, and it says \
                     {}. An older copy of its directory was put back. Stop it and put the latest \
                     one back, if there is one",
                    member.id, party.boot
                );
                return Err(refuse(HelloRefusal::REGRESSED, text));
            }
            if party.boot == *boot && party.start != *start {
                let text = format!(
                    "two processes say that they are start {boot} of node {}: one of them runs on \
                     a copy of its directory, beside the other or put back in its place. Stop the \
                     copy, and never start it again",
                    member.id
                );
                return Err(refuse(HelloRefusal::CLONE, text));
            }
        }
        self.hellos += 1;
        let heard = Heard { boot: party.boot, start: party.start, at: self.hellos };
        self.starts.insert(member, heard);
        self.outdated.remove(&member);
        self.forget_strangers(standpoint);
        Ok(())
    }

    /// Of those who aren't members, only the latest are remembered: a stranger may be a member
    /// that this node hasn't heard of yet.
    fn forget_strangers(&mut self, standpoint: &Standpoint<'_>) {
        let is_stranger = |one: &Member| {
            standpoint.members.is_none_or(|(_, members)| members.seat(*one).is_none())
        };
        while self.starts.keys().filter(|one| is_stranger(one)).count() > STRANGERS {
            let strangers = self.starts.iter().filter(|(one, _)| is_stranger(one));
            let oldest = strangers.min_by_key(|(_, heard)| heard.at).map(|(one, _)| *one);
            self.starts.remove(&oldest.expect("there are several"));
        }
    }
}

fn epochs_differ(epoch: Epoch, party: &Party) -> String {
    let who = party.member.map_or("the sender".to_owned(), |member| format!("node {}", member.id));
    let theirs = party.epoch;
    if theirs > epoch {
        return format!(
            "{who} is in epoch {theirs} of the cluster, and this node in epoch {epoch}"
        );
    }
    format!(
        "epoch {epoch} of the cluster was begun without {who}, which is still in epoch {theirs}: \
         what it holds doesn't count any more. Keep its directory aside, and let it come in anew \
         with an empty one; if it is one of those that epoch {epoch} was planned for, run `raft-ctl \
         recover apply` on its directory"
    )
}

fn judge_client(party: &Party, standpoint: &Standpoint<'_>) -> Result<Footing, Refused> {
    if let (Some((cluster, _)), Some(theirs)) = (standpoint.cluster, party.cluster)
        && cluster != theirs
    {
        let text = format!("this is cluster {cluster}, not {theirs}");
        return Err(refuse(HelloRefusal::WRONG_CLUSTER, text));
    }
    Ok(Footing::Members)
}

pub(crate) fn refuse(code: HelloRefusal, text: String) -> Refused {
    Refused { code, index: Index::ZERO, text }
}

#[cfg(test)]
mod tests;
