//! The votes that a node gives, overheard where they leave it. One that it has only decided on
//! binds nobody: it isn't said before it is durable, and may be forgotten in between.

use raft_node::wire::{FRAME_HEADER_BYTES, Kind};

use super::journal;

/// The header of a frame, the term, and whether the vote is granted.
const VOTE_BYTES: usize = FRAME_HEADER_BYTES + 8 + 1;

/// The magic of a hello and its length.
const GREETING_BYTES: usize = 12;

/// A vote as it was given; machines are counted from 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Vote {
    pub(crate) voter: usize,
    pub(crate) term: u64,
    pub(crate) candidate: usize,
}

/// What listens to all that one node says to another on a connection.
#[derive(Debug)]
pub(crate) struct Ear {
    from: usize,
    to: usize,
    is_greeted: bool,
    head: [u8; VOTE_BYTES],
    known: usize,
    /// How many bytes come before the next frame.
    skip: usize,
}

impl Ear {
    pub(crate) const fn new(from: usize, to: usize) -> Ear {
        Ear { from, to, is_greeted: false, head: [0; VOTE_BYTES], known: 0, skip: 0 }
    }

    pub(crate) fn hear(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let skipped = bytes.len().min(self.skip);
            self.skip -= skipped;
            bytes = &bytes[skipped..];
            let count = bytes.len().min(self.wanted() - self.known);
            self.head[self.known..self.known + count].copy_from_slice(&bytes[..count]);
            self.known += count;
            bytes = &bytes[count..];
            if self.known == self.wanted() {
                self.begins();
            }
        }
    }

    /// How many bytes of what comes now tell what it is.
    fn wanted(&self) -> usize {
        if !self.is_greeted {
            return GREETING_BYTES;
        }
        match self.kind() {
            Some(Kind::Vote | Kind::VoteReply) => VOTE_BYTES,
            _ => FRAME_HEADER_BYTES,
        }
    }

    fn kind(&self) -> Option<Kind> {
        let is_known = self.known >= FRAME_HEADER_BYTES;
        is_known.then(|| Kind::from_number(self.head[8])).flatten()
    }

    /// A hello or a frame begins.
    fn begins(&mut self) {
        let number = |at: usize, bytes: usize| {
            let field = &self.head[at..at + bytes];
            field.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
        };
        let length = number(if self.is_greeted { 0 } else { 8 }, 4) as usize;
        let granted = self.head[VOTE_BYTES - 1] != 0;
        let candidate = match self.kind().filter(|_| self.is_greeted) {
            Some(Kind::Vote) => Some(self.from),
            Some(Kind::VoteReply) if granted => Some(self.to),
            _ => None,
        };
        if let Some(candidate) = candidate {
            let term = number(FRAME_HEADER_BYTES, 8);
            journal::voted(Vote { voter: self.from, term, candidate });
        }
        self.skip = length.saturating_sub(self.known);
        self.known = 0;
        self.is_greeted = true;
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use raft_node::model::{Body, LogId, Term};
    use raft_node::wire::{encode_goodbye, encode_message};

    use super::*;

    #[test]
    fn votes_are_heard_however_the_stream_is_cut() {
        let mut stream = BytesMut::from(&b"\xf7RAFT\r\nH"[..]);
        stream.extend_from_slice(&20_u32.to_le_bytes());
        stream.extend_from_slice(&[0xf7; 8]);
        for (term, granted) in [(3, true), (4, false), (5, true)] {
            encode_message(Term(term), &Body::VoteReply { granted }, &mut stream);
            encode_message(Term(term), &Body::TimeoutNow, &mut stream);
        }
        let body = Body::Vote { last: LogId::ORIGIN, transfer: false };
        encode_message(Term(6), &body, &mut stream);
        encode_goodbye("it is over", &mut stream);
        encode_message(Term(7), &body, &mut stream);
        let vote = |term, candidate| Vote { voter: 0, term, candidate };
        let expected = [vote(3, 1), vote(5, 1), vote(6, 0), vote(7, 0)];
        for piece in 1..stream.len() {
            let mut ear = Ear::new(0, 1);
            stream.chunks(piece).for_each(|bytes| ear.hear(bytes));
            assert_eq!(journal::take_votes(), expected, "in pieces of {piece}");
        }
    }
}
