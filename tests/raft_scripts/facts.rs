//! What is seen of a cluster from outside, and must be so: the properties of the paper (figure 3),
//! the promises of the gates, and that snapshots hold what was committed.

use std::collections::BTreeMap;

use raft_node::model::{
    AppendReply, Body, Index, LogId, Member, Message, PieceReply, Receipt, Round, Seat, SnapshotId,
    Standing, Term,
};
use raft_node::raft::{Event, Output, Refusal, Token};

use super::host::{Disk, Host};

/// What was seen from outside.
#[derive(Default)]
pub(super) struct Facts {
    pub(super) seed: u64,
    pub(super) leaders: BTreeMap<Term, Member>,
    /// Who got the vote of whom.
    pub(super) votes: BTreeMap<(Member, Term), Member>,
    /// The latest round of heartbeats of each leader.
    pub(super) rounds: BTreeMap<(Member, Term), Round>,
    /// What stands where in the log of the leader of a term, as far as it has told.
    pub(super) told: BTreeMap<(Term, Index), LogId>,
    /// What any node has applied, in order from the index behind the base.
    pub(super) committed: Vec<(LogId, Vec<u8>)>,
    pub(super) base: LogId,
    /// The highest commit index that any node knew.
    pub(super) highest_commit: Index,
    /// For each read, the highest commit index when it was asked.
    pub(super) reads: BTreeMap<Token, Index>,
    pub(super) answered_reads: usize,
    pub(super) transferred: usize,
    pub(super) read_from_disk: usize,
    pub(super) busy: usize,
    pub(super) replaced: usize,
    pub(super) seated: usize,
    /// Configurations with two sets of voters that a leader made, and changes that it ended.
    pub(super) joint: usize,
    pub(super) promoted: usize,
    pub(super) refused_changes: usize,
    pub(super) removed_leaders: usize,
    /// What each snapshot is called, by where it ends.
    pub(super) snapshots: BTreeMap<LogId, SnapshotId>,
    pub(super) sent: usize,
    pub(super) resumed: usize,
    pub(super) installed: usize,
    pub(super) compacted: usize,
}

impl Facts {
    /// What a node says is checked at the moment when it leaves.
    pub(super) fn look(&mut self, host: &Host, disks: &BTreeMap<Member, Disk>, output: &Output) {
        let me = host.me();
        match output {
            Output::Send(message) => self.look_at_message(host, message),
            Output::Replicate { term, prev, span, .. } => {
                self.told.insert((*term, prev.index), *prev);
                for index in span.first.0..=span.last.0 {
                    let entry = host.entry(Index(index)).expect("what is sent is in the log");
                    self.told.insert((*term, Index(index)), entry.header.id);
                }
                assert_eq!(
                    host.disk.hard_state.term, *term,
                    "seed {}: {me} sends entries",
                    self.seed
                );
            }
            Output::Apply(span) => {
                for index in span.first.0..=span.last.0 {
                    let entry = host.entry(Index(index)).expect("what is applied is in the log");
                    let id = entry.header.id;
                    let position = (index - self.base.index.0 - 1) as usize;
                    match self.committed.get(position) {
                        Some((known, payload)) => {
                            assert_eq!(
                                (*known, payload),
                                (id, &entry.payload),
                                "seed {}: {me}",
                                self.seed
                            );
                        }
                        None => {
                            assert_eq!(position, self.committed.len());
                            assert!(
                                on_quorum(host, disks, id),
                                "seed {}: {id} was committed without a quorum of disks",
                                self.seed
                            );
                            self.committed.push((id, entry.payload.clone()));
                        }
                    }
                }
            }
            Output::ReadAt { token, index } => {
                let least = self.reads.remove(token).expect("it was asked once");
                assert!(*index >= least, "seed {}: a read at {index} misses {least}", self.seed);
                self.answered_reads += 1;
            }
            Output::Refused { token, reason } => {
                self.reads.remove(token);
                self.busy += usize::from(*reason == Refusal::Busy);
                self.refused_changes += usize::from(matches!(reason, Refusal::Change(_)));
            }
            Output::Transferred(_) => self.transferred += 1,
            Output::Proposed { token, configuration: Some(next), .. } => {
                let of_its_own = usize::from(token.is_none());
                self.joint += usize::from(next.is_joint());
                self.promoted += of_its_own * usize::from(next.is_joint());
                let leaves = next.seat(me).is_none_or(|seat| !seat.standing.votes());
                self.removed_leaders += of_its_own * usize::from(leaves);
            }
            Output::ReadLog { .. } => self.read_from_disk += 1,
            Output::Event(Event::Replaced { .. }) => self.replaced += 1,
            Output::Event(Event::Configuration { .. }) => self.seated += 1,
            Output::Install { begins_anew, .. } => self.look_at_install(host, *begins_anew),
            Output::Compact { .. } => self.compacted += 1,
            Output::Event(Event::Sending { what, .. }) => {
                self.sent += usize::from(*what == "is complete");
                self.resumed += usize::from(*what == "goes on");
            }
            Output::Event(Event::Receiving { what, .. }) => {
                assert!(!what.contains("contradicts"), "seed {}: {me}: {what}", self.seed);
            }
            Output::Event(Event::Dropped { reason, .. }) => {
                let suspicious = ["contradicts", "second leader", "malformed", "claims", "absurd"];
                assert!(
                    !suspicious.iter().any(|word| reason.contains(word)),
                    "seed {}: {me} dropped a message: {reason}",
                    self.seed
                );
            }
            _ => {}
        }
    }

    /// The state that is installed is what comes of the committed entries, and is ahead.
    fn look_at_install(&mut self, host: &Host, begins_anew: bool) {
        let loaded = host.files.loaded.as_ref().expect("it was loaded");
        let applied = &loaded.machine.applied;
        assert_eq!(self.committed.get(..applied.len()), Some(&applied[..]), "seed {}", self.seed);
        let held = host.entry(loaded.id.last.index).map(|entry| entry.header.id);
        let holds = held == Some(loaded.id.last);
        assert_eq!(holds, !begins_anew, "seed {}: the log holds {held:?}", self.seed);
        self.installed += 1;
    }

    /// Snapshots of the same entry are the same file.
    pub(super) fn look_at_snapshot(&mut self, snapshot: SnapshotId) {
        let known = self.snapshots.entry(snapshot.last).or_insert(snapshot);
        assert_eq!(*known, snapshot, "seed {}: two snapshots of one entry", self.seed);
    }

    fn look_at_message(&mut self, host: &Host, message: &Message) {
        let (me, hard) = (host.me(), host.disk.hard_state);
        let seed = self.seed;
        assert!(hard.term >= message.term, "seed {seed}: {me} speaks of an undurable term");
        match &message.body {
            Body::Heartbeat { round, .. } => {
                let known = self.rounds.insert((me, message.term), *round);
                assert!(known <= Some(*round), "seed {seed}: {me} goes back to round {round}");
            }
            Body::HeartbeatReply { round, .. } => {
                let begun = self.rounds.get(&(message.to, message.term)).copied();
                assert!(
                    *round <= begun.unwrap_or_default(),
                    "seed {seed}: {me} answers round {round} of {}, which only began {begun:?}",
                    message.term
                );
            }
            _ => {}
        }
        match &message.body {
            Body::Vote { .. } => {
                assert_eq!((hard.term, hard.vote), (message.term, Some(me)), "seed {seed}");
                self.vote(me, message.term, me);
            }
            Body::VoteReply { granted: true } => {
                assert_eq!((hard.term, hard.vote), (message.term, Some(message.to)), "seed {seed}");
                self.vote(me, message.term, message.to);
            }
            Body::PieceReply(PieceReply { snapshot, receipt: Receipt::Done }) => {
                let last = snapshot.last;
                assert!(host.disk.holds(last), "seed {seed}: {me} is done, without {last}");
            }
            Body::Append(append) => {
                self.told.insert((message.term, append.prev.index), append.prev);
            }
            Body::AppendReply(
                AppendReply::Accepted { matched, durable } | AppendReply::Busy { matched, durable },
            )
            | Body::HeartbeatReply { matched, durable, .. } => {
                let own = host.entry(*matched).map(|entry| entry.header.id);
                let told = self.told.get(&(message.term, *matched)).copied();
                assert!(
                    own.is_none() || told.is_none() || own == told,
                    "seed {seed}: {me} says that its {own:?} equals {told:?} of its leader"
                );
                let said = host.entry(*durable).map(|entry| entry.header.id);
                let held = said.is_none_or(|id| host.disk.holds(id));
                assert!(held, "seed {seed}: {me} acknowledged {durable}, which isn't durable");
            }
            _ => {}
        }
    }

    fn vote(&mut self, voter: Member, term: Term, candidate: Member) {
        let known = self.votes.entry((voter, term)).or_insert(candidate);
        assert_eq!(*known, candidate, "seed {}: {voter} voted twice in {term}", self.seed);
    }

    /// Election safety and leader completeness.
    pub(super) fn look_at_leader(&mut self, host: &Host, term: Term) {
        let me = host.me();
        let known = self.leaders.insert(term, me);
        assert!(known.is_none_or(|known| known == me), "seed {}: two lead {term}", self.seed);
        if known.is_some() {
            return;
        }
        for (id, _) in self.committed.iter().filter(|(id, _)| id.index > host.base.index) {
            let own = host.entry(id.index).map(|entry| entry.header.id);
            assert_eq!(own, Some(*id), "seed {}: {me} leads {term} without {id}", self.seed);
        }
    }
}

/// Whether `id` is on the disks of a majority of each set of voters.
fn on_quorum(host: &Host, disks: &BTreeMap<Member, Disk>, id: LogId) -> bool {
    let configuration = &host.in_force;
    let majority = |counts: &dyn Fn(Standing) -> bool| {
        let set = configuration.seats().iter().filter(|seat| counts(seat.standing));
        let holds = |seat: &&Seat| {
            seat.member()
                .is_some_and(|member| disks.get(&member).is_some_and(|disk| disk.holds(id)))
        };
        set.clone().filter(holds).count() * 2 > set.count()
    };
    majority(&Standing::votes_in_outgoing) && majority(&Standing::votes_in_incoming)
}
