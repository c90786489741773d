//! The leader's side of log replication (dissertation, chapter 3.5 and 3.6): what it hears of the
//! others, heartbeats, and the commit index.

use std::collections::VecDeque;

use super::core::{Raft, Role};
use super::event::Event;
use super::io::Output;
use super::progress::Progress;
use super::reads::WaitingRead;
use super::timers::Timer;
use super::transfer::Handover;
use crate::model::{AppendReply, Body, Index, LogId, Member, Message, PeerLevel, Round, Time};

/// How many rounds' times are kept to measure round trips.
const TIMED_ROUNDS: usize = 16;

/// What only a leader knows.
#[derive(Clone, Debug)]
pub(super) struct Leading {
    /// All other members, ordered.
    pub(super) peers: Vec<Progress>,
    /// The first entry of this leader's term, its no-op.
    pub(super) term_start: Index,
    /// The latest round of heartbeats.
    pub(super) round: Round,
    /// When the latest rounds began.
    rounds: VecDeque<(Round, Time)>,
    /// Whether a heartbeat is due.
    beat: bool,
    /// Reads that wait for a round, in the order of their rounds.
    pub(super) reads: VecDeque<WaitingRead>,
    pub(super) handover: Option<Handover>,
}

impl Leading {
    pub(super) fn new(others: &[Member], next: Index, now: Time) -> Leading {
        Leading {
            peers: others.iter().map(|peer| Progress::new(*peer, next, now)).collect(),
            term_start: next,
            round: Round::ZERO,
            rounds: VecDeque::new(),
            beat: true,
            reads: VecDeque::new(),
            handover: None,
        }
    }

    pub(super) fn peer(&self, member: Member) -> Option<&Progress> {
        self.peers.iter().find(|progress| progress.member == member)
    }

    pub(super) fn peer_mut(&mut self, member: Member) -> Option<&mut Progress> {
        self.peers.iter_mut().find(|progress| progress.member == member)
    }

    /// Another configuration is in force.
    pub(super) fn keep_peers(&mut self, others: &[Member], next: Index, now: Time) {
        self.peers.retain(|progress| others.contains(&progress.member));
        for peer in others {
            if self.peer(*peer).is_none() {
                self.peers.push(Progress::new(*peer, next, now));
            }
        }
        self.peers.sort_by_key(|progress| progress.member);
    }
}

impl Raft {
    pub(super) fn heartbeat_due(&mut self) {
        self.timers.set(Timer::Heartbeat, self.now + self.config.heartbeat_interval);
        if let Role::Leader(leading) = &mut self.role {
            leading.beat = true;
        }
    }

    /// Starts a round of heartbeats if one is due, or if reads wait for one and none is under
    /// way: those that come in while one is share the next.
    pub(super) fn start_round(&mut self) {
        let Role::Leader(leading) = &self.role else { return };
        let waiting = leading.reads.back().is_some_and(|read| read.round > leading.round);
        let free = waiting && self.confirmed_round(leading) == leading.round;
        let Role::Leader(leading) = &mut self.role else { return };
        if !leading.beat && !free {
            return;
        }
        leading.round = leading.round.next();
        if leading.rounds.len() == TIMED_ROUNDS {
            leading.rounds.pop_front();
        }
        leading.rounds.push_back((leading.round, self.now));
        let beat = std::mem::take(&mut leading.beat);
        let (round, commit) = (leading.round, self.commit);
        // A round between two beats is for reads alone.
        let levels = if beat { self.peer_levels() } else { Vec::new() };
        self.gates.assert_open();
        let Role::Leader(leading) = &self.role else { return };
        for progress in &leading.peers {
            let body = Body::Heartbeat { round, commit, levels: levels.clone() };
            let (from, to, term) = (self.config.me, progress.member, self.gates.term());
            self.outputs.push_back(Output::Send(Message { from, to, term, body }));
        }
    }

    fn peer_levels(&self) -> Vec<PeerLevel> {
        let Role::Leader(leading) = &self.role else { return Vec::new() };
        let own = (self.config.me, self.gates.durable_index(), self.boot);
        let peers = leading.peers.iter().map(|progress| {
            let heard = self.heard.get(&progress.member).copied().unwrap_or_default();
            (progress.member, progress.matched, heard.boot)
        });
        std::iter::once(own)
            .chain(peers)
            .map(|(member, matched, boot)| PeerLevel { member, matched, boot })
            .collect()
    }

    pub(super) fn on_append_reply(&mut self, from: Member, reply: AppendReply) {
        match reply {
            AppendReply::Accepted { matched, durable } => self.hear_levels(from, matched, durable),
            AppendReply::Busy { matched, durable } => {
                self.hear_levels(from, matched, durable);
                let now = self.now;
                if matched <= self.log.last_index()
                    && let Role::Leader(leading) = &mut self.role
                    && let Some(progress) = leading.peer_mut(from)
                {
                    progress.busy(matched, now);
                }
            }
            AppendReply::Conflict { rejected, hint } => self.on_conflict(from, rejected, hint),
        }
    }

    /// The logs meet at or below the last own entry whose term and index aren't above the hint's.
    fn on_conflict(&mut self, from: Member, rejected: Index, hint: LogId) {
        let now = self.now;
        let meeting = self.log.last_within(LogId { index: hint.index.min(rejected), ..hint });
        let below_base = self.log.base().index;
        let Role::Leader(leading) = &mut self.role else { return };
        let Some(progress) = leading.peer_mut(from) else { return };
        progress.hear(now);
        progress.conflict(rejected, meeting.map_or(below_base, |id| id.index.next()));
    }

    pub(super) fn on_heartbeat_reply(
        &mut self,
        from: Member,
        round: Round,
        matched: Index,
        durable: Index,
    ) {
        let now = self.now;
        if let Role::Leader(leading) = &mut self.role
            && round <= leading.round
            && let Some(at) = leading.peers.iter().position(|progress| progress.member == from)
        {
            let progress = &mut leading.peers[at];
            progress.round = progress.round.max(round);
            if let Some((_, begun)) = leading.rounds.iter().find(|(timed, _)| *timed == round) {
                progress.round_trip = Some(now.since(*begun));
            }
            progress.remind(matched);
        }
        self.hear_levels(from, matched, durable);
    }

    pub(super) fn hear_levels(&mut self, from: Member, matched: Index, durable: Index) {
        let (now, last) = (self.now, self.log.last_index());
        let Role::Leader(leading) = &mut self.role else { return };
        let Some(progress) = leading.peer_mut(from) else { return };
        if durable > matched || matched > last {
            return self.dropped(from, "it claims entries that were never sent");
        }
        progress.hear(now);
        let handing = progress.handing();
        let has_risen = progress.levels(matched, durable, now);
        progress.count_laps(last, now);
        if let Some(handing) = handing.filter(|_| progress.handing().is_none()) {
            let snapshot = handing.snapshot;
            let what = "is complete";
            self.event(Event::Sending { to: from, snapshot, has: snapshot.bytes, what });
        }
        if has_risen {
            self.advance_commit();
        }
    }

    /// Commits what a quorum holds durably, once that reaches the own term (paper, 5.4.2).
    /// Counted anew each time.
    pub(super) fn advance_commit(&mut self) {
        let Role::Leader(leading) = &self.role else { return };
        let reached = self.quorum_level(leading);
        if reached > self.commit && reached >= leading.term_start {
            self.commit = reached;
        }
    }

    /// The highest index that a quorum holds durably.
    pub(super) fn quorum_level(&self, leading: &Leading) -> Index {
        let (me, own) = (self.config.me, self.gates.durable_index());
        self.configurations.voters().reached(Index::ZERO, |voter| {
            if voter == me {
                return own;
            }
            leading.peer(voter).map_or(Index::ZERO, |progress| progress.matched)
        })
    }

    /// The latest time at which a quorum was heard.
    pub(super) fn quorum_heard(&self, leading: &Leading) -> Time {
        let (me, now) = (self.config.me, self.now);
        self.configurations.voters().reached(Time::ZERO, |voter| {
            if voter == me {
                return now;
            }
            leading.peer(voter).map_or(Time::ZERO, |progress| progress.heard)
        })
    }

    /// CheckQuorum (dissertation, 6.2): who isn't heard can't lead.
    pub(super) fn check_quorum(&mut self) {
        let Role::Leader(leading) = &self.role else { return };
        let due = self.quorum_heard(leading) + self.config.election_timeout;
        if due <= self.now {
            let term = self.gates.term();
            self.become_follower(term, None, "no quorum was heard for an election timeout");
        } else {
            self.timers.set(Timer::Quorum, due);
        }
    }
}
