//! Who is heard, and what a message does to the term (dissertation, chapter 3.3).

use super::core::{Heard, Raft, Role};
use crate::model::{
    Append, Body, Boot, Index, LogId, MAX_PIECE_BYTES, Member, Message, Piece, Round, Term,
};

/// How far above the own term that of a message may be. A damaged or foreign message must not
/// exhaust the terms, but nobody who is new or was away for long may be shut out: with an election
/// every millisecond a cluster takes 34 years to get so far, and 2^24 such messages would be
/// needed to reach the end.
const MAX_TERM_JUMP: u64 = 1 << 40;

/// The highest index that a snapshot may end with, since the log goes on behind it. With a million
/// entries in a second no log gets there in a hundred thousand years.
const MAX_INDEX: u64 = 1 << 62;

impl Raft {
    pub(super) fn step(&mut self, message: Message) {
        let Message { from, to: _, term, ref body } = message;
        if let Some(reason) = self.unheard(&message) {
            return self.dropped(from, reason);
        }
        match *body {
            // A question about a vote changes no term, whatever the answer.
            Body::PreVote { candidate_term, last } => {
                return self.on_pre_vote(from, candidate_term, last);
            }
            Body::Vote { transfer: false, .. }
                if term > self.gates.term() && self.has_heard_leader() =>
            {
                return self.dropped(from, "asks for a vote while a leader is heard");
            }
            _ => {}
        }
        if term > self.gates.term() {
            self.become_follower(term, None, "heard of a higher term");
        }
        match message.body {
            // The answer may come from a node whose term is lower.
            Body::PreVoteReply { candidate_term, granted } => {
                self.on_pre_vote_reply(from, candidate_term, granted);
            }
            body if term < self.gates.term() => self.step_stale(from, body),
            body => self.step_current(from, body),
        }
    }

    /// Why a message is dropped before its term is looked at.
    fn unheard(&self, message: &Message) -> Option<&'static str> {
        if message.to != self.config.me {
            return Some("addressed to another incarnation");
        }
        if message.from == self.config.me {
            return Some("it claims to come from this node");
        }
        if message.term.0.saturating_sub(self.gates.term().0) > MAX_TERM_JUMP {
            return Some("its term is absurdly high");
        }
        malformed(message)
    }

    /// A message of a lower term counts for nothing. Whoever believes to lead or to stand in it
    /// is told the current one.
    fn step_stale(&mut self, from: Member, body: Body) {
        match body {
            Body::Vote { .. } => self.send(from, Body::VoteReply { granted: false }),
            // The sender may lead the current term by the time the answer comes. Round zero: the
            // round that is asked about is of another term, and the answer must confirm none.
            Body::Heartbeat { .. } => {
                let (round, matched, durable) = (Round::ZERO, Index::ZERO, Index::ZERO);
                self.send(from, Body::HeartbeatReply { round, matched, durable });
            }
            _ => {}
        }
    }

    fn step_current(&mut self, from: Member, body: Body) {
        match body {
            Body::Vote { last, .. } => self.on_vote(from, last),
            Body::VoteReply { granted } => self.on_vote_reply(from, granted),
            Body::Append(append) => self.on_append(from, append),
            Body::AppendReply(reply) => self.on_append_reply(from, reply),
            Body::Heartbeat { round, commit, levels: _ } => self.on_heartbeat(from, round, commit),
            Body::HeartbeatReply { round, matched, durable } => {
                self.on_heartbeat_reply(from, round, matched, durable);
            }
            Body::TimeoutNow => self.on_timeout_now(from),
            Body::Piece(piece) => self.on_piece(from, piece),
            Body::PieceReply(reply) => self.on_piece_reply(from, reply),
            Body::PreVote { .. } | Body::PreVoteReply { .. } => {}
        }
    }

    pub(super) fn connected(&mut self, peer: Member, boot: Boot) {
        let heard = self.heard.entry(peer).or_default();
        *heard = Heard { boot: boot.max(heard.boot), is_connected: true };
        let base = self.log.base().index;
        if let Role::Leader(leading) = &mut self.role {
            if let Some(progress) = leading.peer_mut(peer) {
                progress.reset(base, None);
            }
        } else if peer != self.config.me && self.configurations.current().seat(peer).is_some() {
            self.canvass(peer);
        }
    }

    pub(super) fn disconnected(&mut self, peer: Member) {
        let (base, now) = (self.log.base().index, self.now);
        if let Role::Leader(leading) = &mut self.role
            && let Some(progress) = leading.peer_mut(peer)
        {
            progress.reset(base, Some(now));
            progress.is_gone = true;
        }
        self.successor_gone(peer);
        if let Some(heard) = self.heard.get_mut(&peer) {
            heard.is_connected = false;
        }
        self.forget_strangers();
    }

    /// Who is neither a member nor connected is forgotten.
    pub(super) fn forget_strangers(&mut self) {
        let configuration = self.configurations.current();
        self.heard.retain(|peer, heard| heard.is_connected || configuration.seat(*peer).is_some());
    }
}

/// What is wrong with a message that no member would send.
fn malformed(message: &Message) -> Option<&'static str> {
    let ahead = |id: LogId| id.term > message.term;
    match &message.body {
        Body::PreVote { candidate_term, last } => {
            (candidate_term.0.checked_sub(1) != Some(message.term.0) || ahead(*last))
                .then_some("malformed pre-vote")
        }
        Body::Vote { last, .. } => ahead(*last).then_some("malformed vote"),
        Body::Append(append) => {
            malformed_append(message.term, append).then_some("malformed append")
        }
        Body::Piece(piece) => {
            (ahead(piece.snapshot.last) || malformed_piece(piece)).then_some("malformed piece")
        }
        _ => None,
    }
}

/// A snapshot ends with an entry, and a piece lies within its file.
fn malformed_piece(piece: &Piece) -> bool {
    let Piece { snapshot, offset, bytes } = piece;
    let end = offset.checked_add(bytes.len() as u64);
    snapshot.last.index == Index::ZERO
        || snapshot.last.index.0 > MAX_INDEX
        || snapshot.bytes == 0
        || bytes.len() > MAX_PIECE_BYTES
        || end.is_none_or(|end| end > snapshot.bytes)
}

/// Entries follow the one before them, and none is of a term to come.
fn malformed_append(term: Term, append: &Append) -> bool {
    let follows = append.batch.as_ref().is_none_or(|batch| {
        let first = batch.first();
        append.prev.index.0.checked_add(1) == Some(first.index.0)
            && append.prev.term <= first.term
            && batch.last().term <= term
            && batch.last().index.0 < u64::MAX
    });
    !follows || append.prev.term > term
}
