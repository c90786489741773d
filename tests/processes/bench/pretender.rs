//! A node that a test plays itself, so that it decides what that node hears and says.

use std::io::{Error, ErrorKind, Read, Write};
use std::net::{IpAddr, TcpListener, TcpStream};

use bytes::BytesMut;
use raft_node::model::{
    Body, Boot, ClusterId, Epoch, FoundingEntry, Index, LogId, Member, StartNumber, Term,
};
use raft_node::wire::{
    Addressed, FoundingReply, Frame, FrameReader, Hello, HelloAnswer, Incoming, Party, Purpose,
    Verdict, encode_message,
};

use super::{PATIENCE, wait_for};

/// A member that listens on the address of a node that doesn't run.
pub(crate) struct Pretender {
    listener: TcpListener,
    member: Member,
    cluster: Option<ClusterId>,
}

impl Pretender {
    pub(crate) fn new(address: (IpAddr, u16), member: Member) -> Pretender {
        let listener = TcpListener::bind(address).expect("the port is free");
        listener.set_nonblocking(true).expect("a socket can be made not to wait");
        Pretender { listener, member, cluster: None }
    }

    /// Waits until an empty node, which is called by another one, is offered a founding; the
    /// other one never hears what became of it.
    pub(crate) fn wait_for_offer(self) -> FoundingEntry {
        loop {
            let mut call = self.answer();
            while let Some(incoming) = call.next() {
                if let Incoming::Founding(offer) = incoming {
                    return offer;
                }
            }
        }
    }

    /// Takes the founding that it is offered and votes for its founder. Gives the connection.
    pub(crate) fn joins_and_votes(mut self) -> impl Drop {
        loop {
            let mut call = self.answer();
            while let Some(incoming) = call.next() {
                match incoming {
                    Incoming::Founding(offer) => {
                        let cluster = offer.founding().cluster;
                        self.cluster = Some(cluster);
                        let mut bytes = BytesMut::new();
                        FoundingReply::Stored { cluster }.encode(&mut bytes);
                        call.say(&bytes);
                        // Both sides say hello anew, as members.
                        break;
                    }
                    Incoming::Message { body: Body::PreVote { candidate_term, .. }, .. } => {
                        let body = Body::PreVoteReply { candidate_term, granted: true };
                        call.send(Term::ZERO, &body);
                    }
                    Incoming::Message { term, body: Body::Vote { .. } } => {
                        call.send(term, &Body::VoteReply { granted: true });
                        return call;
                    }
                    _ => {}
                }
            }
        }
    }

    /// Answers the next call.
    fn answer(&self) -> Call {
        let (stream, _) = wait_for("somebody to call", || self.listener.accept().ok());
        stream.set_nonblocking(false).expect("a socket can be made to wait");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        let mut call = Call { stream, reader: FrameReader::accepting() };
        let hello = loop {
            if let Some(hello) = call.reader.hello().expect("a node speaks the protocol") {
                break hello;
            }
            assert!(call.fill(), "closed before it said hello");
        };
        let mut bytes = BytesMut::new();
        self.accepts(&hello).encode(&mut bytes);
        call.say(&bytes);
        call
    }

    /// The answer of a node of the same file.
    fn accepts(&self, hello: &Hello) -> HelloAnswer {
        let caller = hello.party.member.expect("a node calls");
        let party = Party {
            cluster: self.cluster,
            epoch: self.cluster.map_or(Epoch::ZERO, |_| Epoch(1)),
            member: Some(self.member),
            boot: Boot(1),
            start: StartNumber(7),
            term: Term::ZERO,
            last: LogId::new(Term::ZERO, Index(u64::from(self.cluster.is_some()))),
            ..hello.party.clone()
        };
        HelloAnswer {
            party,
            to: Addressed { id: Some(caller.id), incarnation: Some(caller.incarnation) },
            purpose: Purpose::Peer,
            verdict: Verdict::Accepted {
                protocol: hello.party.protocol.highest,
                feature_level: hello.party.features.highest,
            },
        }
    }
}

/// A connection that another node has made.
struct Call {
    stream: TcpStream,
    reader: FrameReader,
}

impl Call {
    /// What it says next; nothing once it has closed the connection.
    fn next(&mut self) -> Option<Incoming> {
        loop {
            let frame: Option<Frame> = self.reader.frame().expect("a node speaks the protocol");
            if let Some(frame) = frame {
                return Some(frame.decode().expect("a node speaks the protocol"));
            }
            if !self.fill() {
                return None;
            }
        }
    }

    fn send(&mut self, term: Term, body: &Body) {
        let mut bytes = BytesMut::new();
        encode_message(term, body, &mut bytes);
        self.say(&bytes);
    }

    fn say(&mut self, bytes: &[u8]) {
        // It may have closed the connection; then it calls again.
        let _ = self.stream.write_all(bytes);
    }

    /// Waits for some bytes. Says whether there may be more.
    fn fill(&mut self) -> bool {
        let mut once = Once { stream: &self.stream, end: false, is_read: false };
        match self.reader.fill(&mut once, usize::MAX) {
            Ok(_) => !once.end,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
                false
            }
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
    }
}

/// Gives what one read gives, and no more for the moment.
struct Once<'a> {
    stream: &'a TcpStream,
    end: bool,
    is_read: bool,
}

impl Read for Once<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if std::mem::replace(&mut self.is_read, true) {
            return Err(ErrorKind::WouldBlock.into());
        }
        let waited_in_vain = |error: Error| match error.kind() {
            ErrorKind::WouldBlock => ErrorKind::TimedOut.into(),
            _ => error,
        };
        let count = self.stream.read(buffer).map_err(waited_in_vain)?;
        self.end = count == 0;
        Ok(count)
    }
}
