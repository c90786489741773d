//! What comes from outside may be anything that can be decoded. It must never end the process.

use std::time::Duration;

use raft_node::model::{
    Append, AppendReply, Body, Boot, Configuration, EntryHeader, EntryKind, Incarnation, Index,
    LogId, LogTime, Member, Message, PeerLevel, Piece, PieceReply, Receipt, Round, SnapshotId,
    Standing, Term,
};
use raft_node::raft::{Config, Event, Input, Output, RoleKind, Token};

use super::fuzz::Chance;
use super::host::{Host, Stored, batch_of, config, encode, founded, member, seat};

struct Stranger<'a> {
    chance: &'a mut Chance,
    host: &'a Host,
}

impl Stranger<'_> {
    /// Numbers at the edges, and around those that mean something to the node.
    fn number(&mut self, meant: u64) -> u64 {
        let near = meant.saturating_add(self.chance.below(4)).saturating_sub(2);
        self.chance.pick(&[0, 1, near, near, near, meant, meant, u64::MAX - 1, u64::MAX])
    }

    fn index(&mut self) -> Index {
        let status = self.host.raft().status();
        let meant = self.chance.pick(&[status.last.index, status.commit, status.durable]);
        Index(self.number(meant.0))
    }

    /// Mostly the node's own, so that what it is in the term gets to matter.
    fn term(&mut self) -> Term {
        let own = self.host.raft().status().term.0;
        match self.chance.below(80) {
            0..=1 => Term(self.number(own)),
            2 => Term(own + (1 << 20)),
            _ => Term(own),
        }
    }

    fn id(&mut self) -> LogId {
        let held = self.index();
        match self.host.entry(held) {
            Some(entry) if !self.chance.one_in(4) => entry.header.id,
            _ => LogId::new(self.term(), held),
        }
    }

    fn member(&mut self) -> Member {
        let known = member(self.chance.pick(&[1, 2, 2, 2, 3, 3, 9]));
        if self.chance.one_in(20) {
            return Member { incarnation: Incarnation(self.number(1).into()), ..known };
        }
        known
    }

    fn entries(&mut self, prev: LogId, term: Term) -> Vec<Stored> {
        let after = if self.chance.one_in(20) { self.index() } else { prev.index };
        let count = self.chance.below(4);
        let indexes = (1..=count).map_while(|behind| after.0.checked_add(behind));
        let first = if self.chance.one_in(2) { prev.term } else { term };
        indexes.map(|index| self.entry(LogId::new(first, Index(index)))).collect()
    }

    fn entry(&mut self, id: LogId) -> Stored {
        let kind = self.chance.pick(&[
            EntryKind::NOOP,
            EntryKind::FOUNDING,
            EntryKind::CONFIGURATION,
            EntryKind::CONFIGURATION,
            EntryKind::COMMAND,
            EntryKind(99),
        ]);
        let payload = match self.chance.below(4) {
            0 => vec![7; self.chance.below(40) as usize],
            _ => encode(&self.configuration()),
        };
        Stored { header: EntryHeader { kind, id, time: LogTime(self.number(5)) }, payload }
    }

    fn reply(&mut self) -> AppendReply {
        let (matched, durable) = (self.index(), self.index());
        match self.chance.below(3) {
            0 => AppendReply::Accepted { matched, durable },
            1 => AppendReply::Busy { matched, durable },
            _ => AppendReply::Conflict { rejected: matched, hint: self.id() },
        }
    }

    fn configuration(&mut self) -> Configuration {
        let seats = (1..=self.chance.below(5) as u16)
            .map(|id| seat(id, self.chance.pick(&Standing::ALL)))
            .collect();
        Configuration::new(seats)
    }

    /// One that the node knows, or one of a few others: what is said of it must meet sometimes.
    fn snapshot(&mut self) -> SnapshotId {
        let status = self.host.raft().status();
        let peers = status.peers.iter().filter_map(|peer| peer.snapshot);
        let underway = status.receiving.into_iter().chain(peers).map(|(snapshot, _)| snapshot);
        let known: Vec<SnapshotId> = status.snapshots.iter().copied().chain(underway).collect();
        if !known.is_empty() && !self.chance.one_in(4) {
            return self.chance.pick(&known);
        }
        let bytes = self.chance.pick(&[0, 1, 50, 50, 90, u64::MAX]);
        SnapshotId { last: self.id(), bytes, hash: self.chance.below(2).into() }
    }

    fn piece(&mut self) -> Piece {
        let snapshot = self.snapshot();
        let receiving = self.host.raft().status().receiving;
        let has = receiving.filter(|(known, _)| *known == snapshot).map_or(0, |(_, has)| has);
        let offset = if self.chance.one_in(8) { self.number(has) } else { has };
        let rest = snapshot.bytes.saturating_sub(offset).min(60);
        let bytes = match self.chance.below(4) {
            0 => 0,
            1 => self.chance.below(60),
            _ => rest,
        };
        Piece { snapshot, offset, bytes: vec![7; bytes as usize].into() }
    }

    fn piece_reply(&mut self) -> PieceReply {
        let receipt = match self.chance.below(8) {
            0 => Receipt::Done,
            _ => Receipt::Has(self.number(50)),
        };
        PieceReply { snapshot: self.snapshot(), receipt }
    }

    fn body(&mut self, term: Term) -> Body {
        let (last, granted) = (self.id(), !self.chance.one_in(4));
        let candidate_term = Term(self.number(term.0.saturating_add(1)));
        let round = Round(self.number(2));
        match self.chance.below(13) {
            0 => Body::PreVote { candidate_term, last },
            1 => Body::PreVoteReply { candidate_term, granted },
            2 => Body::Vote { last, transfer: self.chance.one_in(2) },
            3 => Body::VoteReply { granted },
            4 => {
                let entries = self.entries(last, term);
                let batch = (!entries.is_empty()).then(|| batch_of(&entries));
                Body::Append(Append { prev: last, commit: self.index(), batch })
            }
            5 => Body::AppendReply(self.reply()),
            6 => {
                let boot = Boot(self.number(1));
                let level = PeerLevel { member: self.member(), matched: self.index(), boot };
                Body::Heartbeat { round, commit: self.index(), levels: vec![level] }
            }
            7 => Body::HeartbeatReply { round, matched: self.index(), durable: self.index() },
            8..=9 => Body::Piece(self.piece()),
            10..=11 => Body::PieceReply(self.piece_reply()),
            _ => Body::TimeoutNow,
        }
    }

    fn message(&mut self) -> Message {
        let term = self.term();
        let to = if self.chance.one_in(30) { self.member() } else { self.host.me() };
        Message { from: self.member(), to, term, body: self.body(term) }
    }
}

fn one_step(chance: &mut Chance, host: &mut Host, token: Token) {
    match chance.below(24) {
        0..=8 => {
            let message = Stranger { chance, host }.message();
            host.handle(Input::Message(message));
        }
        9..=10 => host.persist(1 + chance.below(3) as usize),
        11 => host.advance(Duration::from_millis(chance.below(60))),
        12 => host.propose(token, vec![0; chance.below(60) as usize]),
        13 => host.handle(Input::Read(token)),
        14 => {
            let peer = Stranger { chance, host }.member();
            let boot = Boot(chance.pick(&[0, 1, u64::MAX]));
            host.handle(match chance.below(4) {
                0 => Input::Connected { peer, boot },
                1 => Input::Disconnected(peer),
                2 => Input::Transfer { token, to: None },
                3 if chance.one_in(2) => {
                    let expected = host.raft().status().configuration.0;
                    let seats = Stranger { chance, host }.configuration().seats().to_vec();
                    Input::ChangeMembers { token, expected, seats }
                }
                _ => Input::Seat { token, member: peer, address: "there:1".to_owned() },
            });
        }
        15 => host.read_log(),
        16 => host.read_piece(chance.one_in(8)),
        17 => host.store_piece(),
        18 if chance.one_in(4) => host.load(Some(chance.below(100))),
        18..=19 => {
            let mut stranger = Stranger { chance, host };
            let configuration = (stranger.index(), stranger.configuration());
            host.load_lie(configuration);
        }
        20..=22 => {
            host.drain(|_, _| {});
            host.take_snapshot();
            host.compact(None);
        }
        _ if chance.one_in(4) => host.handle(Input::Campaign),
        _ => host.handle(Input::Tick),
    }
}

#[test]
fn no_message_ends_the_process() {
    let mut seen = [0_usize; 4];
    let mut installed = 0;
    for seed in 0..150 {
        let mut chance = Chance(seed);
        let seats = (1..=3).map(|id| seat(id, Standing::Voter));
        let configuration = Configuration::new(seats.collect());
        let mut disk = founded(&configuration);
        if chance.one_in(2) {
            disk.begin_behind(LogId::new(Term(2), Index(7)), configuration);
            disk.hard_state.term = disk.base.term;
        }
        let mut config = config(member(1));
        config.pre_vote = chance.one_in(2);
        config.max_inflight_messages = chance.pick(&[1, 16]);
        config.max_unpersisted_bytes = chance.pick(&[100, 1 << 20]);
        config.recent_bytes = chance.pick(&[100, 1 << 20]);
        let mut host = Host::new(config, disk);
        host.start(seed);
        for step in 0..600 {
            one_step(&mut chance, &mut host, Token(step));
            if chance.one_in(2) {
                host.drain(|_, output| {
                    installed += usize::from(matches!(output, Output::Install { .. }));
                });
                host.outbox.clear();
            }
            seen[host.raft().status().role as usize] += 1;
        }
    }
    for role in [RoleKind::Follower, RoleKind::PreCandidate, RoleKind::Candidate, RoleKind::Leader]
    {
        assert!(seen[role as usize] > 1000, "{role:?} too seldom: {seen:?}");
    }
    assert!(installed > 5, "only {installed} installs");
}

/// A leader whose log begins behind a snapshot.
fn leader(seed: u64) -> Host {
    let configuration = Configuration::new((1..=3).map(|id| seat(id, Standing::Voter)).collect());
    let mut disk = founded(&configuration);
    disk.begin_behind(LogId::new(Term(2), Index(7)), configuration);
    disk.hard_state.term = disk.base.term;
    let mut host = Host::new(Config { max_inflight_bytes: 160, ..config(member(1)) }, disk);
    host.start(seed);
    host.handle(Input::Campaign);
    let from_second = |term, body| {
        Input::Message(Message { from: member(2), to: member(1), term: Term(term), body })
    };
    let body = Body::PreVoteReply { candidate_term: Term(3), granted: true };
    host.handle(from_second(2, body));
    host.drain(|_, _| {});
    host.persist(usize::MAX);
    host.handle(from_second(3, Body::VoteReply { granted: true }));
    host.drain(|_, _| {});
    assert_eq!(host.raft().leads(), Some(Term(3)));
    host
}

#[test]
fn no_answer_about_a_snapshot_ends_the_process_or_the_transfers() {
    let (mut sent, mut lost) = (0, 0);
    for seed in 0..100 {
        let mut chance = Chance(seed);
        let mut host = leader(seed);
        for step in 0..300 {
            let mut stranger = Stranger { chance: &mut chance, host: &host };
            let body = match stranger.chance.below(8) {
                0..=1 => Body::AppendReply(stranger.reply()),
                _ => Body::PieceReply(stranger.piece_reply()),
            };
            let from = member(stranger.chance.pick(&[2, 3]));
            host.handle(Input::Message(Message { from, to: member(1), term: Term(3), body }));
            match chance.below(6) {
                0 => host.propose(Token(step), vec![0; 20]),
                1 => host.advance(Duration::from_millis(chance.below(30))),
                2 => host.persist(usize::MAX),
                3 if chance.one_in(20) => {
                    host.drain(|_, _| {});
                    host.take_snapshot();
                    host.compact(Some(Index(u64::MAX)));
                }
                _ => host.read_piece(chance.one_in(15)),
            }
            host.drain(|_, output| {
                sent += usize::from(matches!(output, Output::SendPiece { .. }));
                lost += usize::from(matches!(output, Output::Event(Event::SnapshotLost(_))));
            });
            host.outbox.clear();
        }
    }
    assert!(sent > 100 && lost > 5, "{sent} pieces were sent, {lost} snapshots lost");
}

#[test]
fn what_waits_for_a_term_to_be_durable_is_bounded() {
    let seats = (1..=3).map(|id| seat(id, Standing::Voter));
    let mut host = Host::new(config(member(1)), founded(&Configuration::new(seats.collect())));
    host.start(1);
    let question = |term, candidate_term| Message {
        from: member(2),
        to: member(1),
        term: Term(term),
        body: Body::PreVote { candidate_term: Term(candidate_term), last: LogId::ORIGIN },
    };
    let body = Body::VoteReply { granted: false };
    host.handle(Input::Message(Message { body, ..question(5, 6) }));
    for _ in 0..10_000 {
        host.handle(Input::Message(question(1, 2)));
        host.drain(|_, _| {});
    }
    assert_eq!(host.outbox.len(), 0, "term 5 isn't durable");
    host.persist(1);
    host.drain(|_, _| {});
    assert!((1..1000).contains(&host.outbox.len()), "{} answers", host.outbox.len());
}
