//! Another node, asked for what this one has lost.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::thread;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};

use crate::model::{Boot, ClusterId, Epoch, LogId, SnapshotId, StartNumber, Term};
use crate::storage::{HeldLog, Holder};
use crate::wire::{
    Addressed, Authentication, FillEnd, FrameReader, Hello, Incoming, LogPart, LogQuestion,
    PROTOCOL, Party, Purpose, Reply, ReplyBody, Request, RequestBody, Verdict, VersionRange,
};

/// How long a connection and a reply may take.
const CONNECT: Duration = Duration::from_secs(2);
const REPLY: Duration = Duration::from_secs(10);

/// How long another disk is given before it is asked again.
const MOMENT: Duration = Duration::from_millis(10);

/// How much is read from the socket at a time.
const READ_BYTES: usize = 1 << 20;

/// A connection to another node, as a client of it: this node takes no part yet.
pub(super) struct Lender {
    name: String,
    stream: TcpStream,
    reader: FrameReader,
    requests: u64,
}

impl Lender {
    /// Connects to the node at `address`, which must be one of this cluster.
    pub(super) fn connect(
        address: &str,
        cluster: (ClusterId, Epoch),
        start: StartNumber,
    ) -> Result<Lender, String> {
        let text = |error: io::Error| error.to_string();
        let mut addresses = address.to_socket_addrs().map_err(text)?;
        let found = addresses.next().ok_or("the name leads nowhere")?;
        let stream = TcpStream::connect_timeout(&found, CONNECT).map_err(text)?;
        stream.set_read_timeout(Some(REPLY)).map_err(text)?;
        stream.set_write_timeout(Some(REPLY)).map_err(text)?;
        stream.set_nodelay(true).map_err(text)?;
        let reader = FrameReader::calling(Purpose::Client);
        let mut lender = Lender { name: address.to_owned(), stream, reader, requests: 0 };
        lender.greet(cluster, start)?;
        Ok(lender)
    }

    fn greet(&mut self, cluster: (ClusterId, Epoch), start: StartNumber) -> Result<(), String> {
        let mut out = BytesMut::new();
        hello(start).encode(&mut out);
        self.stream.write_all(&out).map_err(|error| error.to_string())?;
        let deadline = Instant::now() + REPLY;
        let answer = loop {
            match self.reader.answer().map_err(|error| error.to_string())? {
                Some(answer) => break answer,
                None => self.read_more(deadline)?,
            }
        };
        if let Verdict::Refused { text, .. } = answer.verdict {
            return Err(text);
        }
        if (answer.party.cluster, answer.party.epoch) != (Some(cluster.0), cluster.1) {
            return Err("it isn't in the same cluster and epoch".to_owned());
        }
        Ok(())
    }

    fn ask(&mut self, body: RequestBody) -> Result<ReplyBody, String> {
        self.requests += 1;
        let (id, timeout_ms) = (self.requests, REPLY.as_millis() as u32);
        let mut out = BytesMut::new();
        Request { id, timeout_ms, body }.encode(&mut out);
        self.stream.write_all(&out).map_err(|error| error.to_string())?;
        let deadline = Instant::now() + REPLY;
        loop {
            let Some(frame) = self.reader.frame().map_err(|error| error.to_string())? else {
                self.read_more(deadline)?;
                continue;
            };
            match frame.decode().map_err(|error| error.to_string())? {
                Incoming::Reply(Reply { id: replied, body }) if replied == id => return Ok(body),
                Incoming::Goodbye(text) => return Err(text),
                // A reply that comes too late.
                _ => {}
            }
        }
    }

    fn read_more(&mut self, deadline: Instant) -> Result<(), String> {
        if Instant::now() >= deadline {
            return Err("no answer in time".to_owned());
        }
        let mut once = Once { stream: &self.stream, done: false };
        match self.reader.fill(&mut once, READ_BYTES) {
            Ok(filled) if filled.end == FillEnd::Closed => Err("it has hung up".to_owned()),
            Ok(_) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl Holder for Lender {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn log(&mut self, behind: &[LogId], until: Option<LogId>) -> Result<HeldLog, String> {
        let question = LogQuestion { behind: behind.to_vec(), until };
        match self.ask(RequestBody::Log(question))? {
            ReplyBody::Log(LogPart { term, leads, last, behind, entries, .. }) => {
                Ok(HeldLog { term, leads, last, behind, entries })
            }
            other => Err(unexpected(other)),
        }
    }

    fn newest_snapshot(&mut self) -> Result<Option<SnapshotId>, String> {
        match self.ask(RequestBody::Snapshots)? {
            ReplyBody::Snapshots(kept) => Ok(kept.first().map(|kept| kept.id)),
            other => Err(unexpected(other)),
        }
    }

    fn piece(&mut self, snapshot: SnapshotId, offset: u64) -> Result<Bytes, String> {
        match self.ask(RequestBody::SnapshotPiece { snapshot, offset })? {
            ReplyBody::Piece(bytes) => Ok(bytes),
            other => Err(unexpected(other)),
        }
    }

    fn wait(&mut self) {
        thread::sleep(MOMENT);
    }
}

/// Reads once from a blocking socket: what comes later is left for the next time.
struct Once<'a> {
    stream: &'a TcpStream,
    done: bool,
}

impl Read for Once<'_> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        if self.done {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let read = self.stream.read(room);
        self.done = true;
        match read {
            // The time that a read may take is over.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                Err(io::ErrorKind::TimedOut.into())
            }
            other => other,
        }
    }
}

fn unexpected(reply: ReplyBody) -> String {
    match reply {
        ReplyBody::Refused { text, .. } | ReplyBody::Unknown { text } => text,
        _ => "it answers something else than was asked".to_owned(),
    }
}

fn hello(start: StartNumber) -> Hello {
    let party = Party {
        protocol: PROTOCOL,
        features: VersionRange { lowest: 0, highest: u32::MAX },
        cluster: None,
        epoch: Epoch::ZERO,
        member: None,
        boot: Boot::ZERO,
        start,
        term: Term::ZERO,
        last: LogId::ORIGIN,
        nodes_hash: 0,
        cluster_name: String::new(),
        address: String::new(),
        restores: None,
    };
    Hello {
        party,
        to: Addressed::default(),
        purpose: Purpose::Client,
        authentication: Authentication::default(),
    }
}
