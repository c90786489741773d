//! What nodes say and are told, overheard where it leaves them and where they read it. What a
//! node has only decided on binds nobody: it isn't said before it is durable, and may be
//! forgotten in between.

use raft_node::model::{Boot, Incarnation, Index, LogId, Member, NodeId, PeerLevel, Term};
use raft_node::wire::{FRAME_HEADER_BYTES, FrameReader, HELLO_MAGIC, Kind, Party, Purpose};

use super::journal;

/// The magic of a hello and its length.
const GREETING_BYTES: usize = 12;

/// One level in a heartbeat: node, incarnation, match, boot.
const LEVEL_BYTES: usize = 2 + 16 + 8 + 8;

/// Something that was overheard.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Heard {
    /// The node is told by the process on this machine who that is.
    Greeted { machine: usize, party: Box<Party> },
    /// It lets in who was heard of last.
    LetIn,
    /// It says something in this term to the node `to`, counted from 0.
    Said { to: usize, term: Term, what: Said },
    /// It answers a client.
    Answered(Answered),
    /// It begins to receive a snapshot.
    Receives,
    /// It founds a cluster.
    Founds,
    /// It tells, or is told, what a leader knows of the members.
    Levels { term: Term, commit: Index, levels: Vec<PeerLevel> },
}

/// What a node says to another, as far as it promises something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Said {
    /// It stands for election, and so votes for itself.
    Candidate,
    /// It gives its vote.
    Vote,
    /// It has the leader's log up to here, durably.
    Durable(Index),
    /// It is in its term.
    Nothing,
}

/// What a client is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Answered {
    /// This entry is committed.
    Done(LogId),
    /// What it asks for was so when this entry was applied.
    Read(Index),
}

/// Who is at the other end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Other {
    /// The node of this number, from 0.
    Node(usize),
    /// A client.
    Client,
    /// Whoever runs on this machine; the node is listening to it.
    Machine(usize),
}

/// What listens to one direction of a connection.
#[derive(Debug)]
pub(crate) struct Ear {
    other: Other,
    is_greeted: bool,
    head: Vec<u8>,
    wanted: usize,
    /// How many bytes come before the next frame.
    skip: usize,
}

impl Ear {
    /// Listens to what a node says to another or to a client, or is told by what runs on a machine.
    pub(crate) fn new(other: Other) -> Ear {
        Ear { other, is_greeted: false, head: Vec::new(), wanted: GREETING_BYTES, skip: 0 }
    }

    /// What is told comes from another machine than was called.
    pub(crate) const fn is_told_by(&mut self, machine: usize) {
        if !self.is_greeted {
            self.other = Other::Machine(machine);
        }
    }

    /// What is said goes to another node than was called.
    pub(crate) const fn says_to(&mut self, node: usize) {
        if !self.is_greeted {
            self.other = Other::Node(node);
        }
    }

    const fn is_told(&self) -> bool {
        matches!(self.other, Other::Machine(_))
    }

    pub(crate) fn hear(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let skipped = bytes.len().min(self.skip);
            self.skip -= skipped;
            bytes = &bytes[skipped..];
            let count = bytes.len().min(self.wanted - self.head.len());
            self.head.extend_from_slice(&bytes[..count]);
            bytes = &bytes[count..];
            if self.head.len() == self.wanted {
                self.begins();
            }
        }
    }

    /// As much of a hello or frame is known as was wanted.
    fn begins(&mut self) {
        let wanted = if self.is_greeted { self.of_frame() } else { self.of_greeting() };
        if wanted > self.head.len() {
            self.wanted = wanted;
            return;
        }
        if self.is_greeted {
            self.frame();
            self.skip = self.length().saturating_sub(self.head.len());
        } else {
            self.greeting();
            self.is_greeted = true;
        }
        self.head.clear();
        self.wanted = FRAME_HEADER_BYTES;
    }

    fn of_greeting(&self) -> usize {
        number(&self.head[8..12]) as usize
    }

    fn length(&self) -> usize {
        number(&self.head[..4]) as usize
    }

    fn kind(&self) -> Option<Kind> {
        Kind::from_number(self.head[8])
    }

    /// How many bytes of this frame tell what is to be known of it.
    fn of_frame(&self) -> usize {
        let body = match self.kind() {
            Some(Kind::Heartbeat) => {
                let count = self.head.get(FRAME_HEADER_BYTES + 24..FRAME_HEADER_BYTES + 28);
                28 + count.map_or(0, |count| number(count) as usize * LEVEL_BYTES)
            }
            _ if self.is_told() => 0,
            Some(Kind::Reply | Kind::AppendReply) => 25,
            Some(Kind::HeartbeatReply) => 32,
            Some(Kind::VoteReply) => 9,
            Some(Kind::PieceReply) => 49,
            Some(
                Kind::PreVote
                | Kind::PreVoteReply
                | Kind::Vote
                | Kind::Append
                | Kind::TimeoutNow
                | Kind::Piece,
            ) => 8,
            _ => 0,
        };
        self.length().min(FRAME_HEADER_BYTES + body)
    }

    fn greeting(&self) {
        let Other::Machine(machine) = self.other else { return };
        let is_hello = self.head.starts_with(&HELLO_MAGIC);
        let mut reader = match is_hello {
            true => FrameReader::accepting(),
            false => FrameReader::calling(Purpose::Peer),
        };
        let filled = reader.fill(&mut &self.head[..], self.head.len());
        debug_assert!(filled.is_ok(), "bytes in memory can be read");
        let party = match is_hello {
            true => reader.hello().ok().flatten().map(|hello| hello.party),
            false => reader.answer().ok().flatten().map(|answer| answer.party),
        };
        if let Some(party) = party {
            journal::heard(Heard::Greeted { machine, party: Box::new(party) });
        }
    }

    fn frame(&self) {
        let body = &self.head[FRAME_HEADER_BYTES..];
        let at = |from: usize| number(&body[from..from + 8]);
        if self.kind() == Some(Kind::Heartbeat) {
            let levels = body[28..].chunks_exact(LEVEL_BYTES).filter_map(level).collect();
            let (term, commit) = (Term(at(0)), Index(at(16)));
            journal::heard(Heard::Levels { term, commit, levels });
        }
        match self.other {
            Other::Client if self.kind() == Some(Kind::Reply) && body.len() == 25 => {
                let answered = match body[8] {
                    1 => Answered::Done(LogId::new(Term(at(9)), Index(at(17)))),
                    2 => Answered::Read(Index(at(9))),
                    _ => return,
                };
                journal::heard(Heard::Answered(answered));
            }
            Other::Node(to) => {
                let what = match self.kind() {
                    Some(Kind::Vote) => Said::Candidate,
                    Some(Kind::VoteReply) if body[8] != 0 => Said::Vote,
                    // What is no conflict says how much is durable.
                    Some(Kind::AppendReply) if body[8] != 2 => Said::Durable(Index(at(17))),
                    Some(Kind::HeartbeatReply) => Said::Durable(Index(at(24))),
                    // It has all that a snapshot holds.
                    Some(Kind::PieceReply) if body[48] == 2 => Said::Durable(Index(at(16))),
                    _ if body.len() >= 8 => Said::Nothing,
                    _ => return,
                };
                journal::heard(Heard::Said { to, term: Term(at(0)), what });
            }
            Other::Client | Other::Machine(_) => {}
        }
    }
}

fn number(field: &[u8]) -> u64 {
    field.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

fn level(field: &[u8]) -> Option<PeerLevel> {
    let id = NodeId::new(number(&field[..2]) as u16)?;
    let incarnation = u128::from(number(&field[10..18])) << 64 | u128::from(number(&field[2..10]));
    let member = Member { id, incarnation: Incarnation(incarnation) };
    let (matched, boot) = (Index(number(&field[18..26])), Boot(number(&field[26..34])));
    Some(PeerLevel { member, matched, boot })
}

#[cfg(test)]
mod tests {
    use std::slice;

    use bytes::{Bytes, BytesMut};
    use raft_node::model::{AppendReply, Body, Round};
    use raft_node::wire::{encode_done, encode_goodbye, encode_message};

    use super::*;

    /// A hello that nobody understands: its bytes only have to be passed over.
    fn greeting() -> BytesMut {
        let mut stream = BytesMut::from(&b"\xf7RAFT\r\nH"[..]);
        stream.extend_from_slice(&20_u32.to_le_bytes());
        stream.extend_from_slice(&[0xf7; 8]);
        stream
    }

    fn heard_in_any_pieces(stream: &Bytes, other: Other, expected: &[Heard]) {
        for piece in 1..stream.len() {
            let mut ear = Ear::new(other);
            stream.chunks(piece).for_each(|bytes| ear.hear(bytes));
            assert_eq!(journal::take_heard(), expected, "in pieces of {piece}");
        }
    }

    #[test]
    fn promises_are_heard_however_the_stream_is_cut() {
        let mut stream = greeting();
        for (term, granted) in [(3, true), (4, false), (5, true)] {
            encode_message(Term(term), &Body::VoteReply { granted }, &mut stream);
        }
        let body = Body::Vote { last: LogId::ORIGIN, transfer: false };
        encode_message(Term(6), &body, &mut stream);
        encode_goodbye("it is over", &mut stream);
        let accepted = AppendReply::Accepted { matched: Index(9), durable: Index(8) };
        encode_message(Term(7), &Body::AppendReply(accepted), &mut stream);
        let conflict = AppendReply::Conflict { rejected: Index(9), hint: LogId::ORIGIN };
        encode_message(Term(7), &Body::AppendReply(conflict), &mut stream);
        let body = Body::HeartbeatReply { round: Round(2), matched: Index(9), durable: Index(9) };
        encode_message(Term(7), &body, &mut stream);
        let said = |term, what| Heard::Said { to: 1, term: Term(term), what };
        let expected = [
            said(3, Said::Vote),
            said(4, Said::Nothing),
            said(5, Said::Vote),
            said(6, Said::Candidate),
            said(7, Said::Durable(Index(8))),
            said(7, Said::Nothing),
            said(7, Said::Durable(Index(9))),
        ];
        heard_in_any_pieces(&stream.freeze(), Other::Node(1), &expected);
    }

    #[test]
    fn levels_are_heard_where_they_are_told_and_where_they_are_read() {
        let mut stream = greeting();
        let member =
            Member { id: NodeId::new(3).unwrap(), incarnation: Incarnation(u128::MAX - 5) };
        let levels = vec![PeerLevel { member, matched: Index(7), boot: Boot(2) }; 2];
        let body = Body::Heartbeat { round: Round(1), commit: Index(6), levels: levels.clone() };
        encode_message(Term(4), &body, &mut stream);
        let mut ear = Ear::new(Other::Machine(1));
        ear.hear(&stream);
        let told = Heard::Levels { term: Term(4), commit: Index(6), levels };
        assert_eq!(journal::take_heard(), slice::from_ref(&told));
        let said = Heard::Said { to: 1, term: Term(4), what: Said::Nothing };
        heard_in_any_pieces(&stream.freeze(), Other::Node(1), &[told, said]);
    }

    #[test]
    fn what_clients_are_told_is_heard() {
        let mut stream = greeting();
        let at = LogId::new(Term(2), Index(11));
        encode_done(5, at, b"a long answer", &mut stream);
        encode_goodbye("it is over", &mut stream);
        encode_done(6, at, b"", &mut stream);
        let done = Heard::Answered(Answered::Done(at));
        heard_in_any_pieces(&stream.freeze(), Other::Client, &[done.clone(), done]);
    }
}
