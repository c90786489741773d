//! One connection to a node, without the socket: bytes in, bytes out.

use std::io::{self, Read, Write};
use std::time::Duration;

use bytes::{Buf, BytesMut};

use crate::kv::{Command, FEATURE_LEVEL, Query};
use crate::model::{Boot, Epoch, LogId, NodeId, StartNumber, Term};
use crate::wire::{
    Addressed, Authentication, Consistency, FillEnd, FrameReader, Hello, HelloAnswer, Incoming,
    PROTOCOL, Party, Purpose, Reply, Request, RequestBody, VersionRange, WireError, encode_read,
    encode_write,
};

/// What a client says when it connects.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Greeting {
    cluster: String,
    start: StartNumber,
}

impl Greeting {
    /// For a cluster of this name; without one, any. The number should be drawn by lot: it tells
    /// the client from others.
    #[must_use]
    pub fn new(cluster: Option<&str>, start: StartNumber) -> Greeting {
        Greeting { cluster: cluster.unwrap_or_default().to_owned(), start }
    }

    fn hello(&self, node: Option<NodeId>) -> Hello {
        Hello {
            party: Party {
                protocol: PROTOCOL,
                features: VersionRange { lowest: 0, highest: FEATURE_LEVEL },
                cluster: None,
                epoch: Epoch::ZERO,
                member: None,
                boot: Boot::ZERO,
                start: self.start,
                term: Term::ZERO,
                last: LogId::ORIGIN,
                nodes_hash: 0,
                cluster_name: self.cluster.clone(),
                address: String::new(),
                restores: None,
            },
            to: Addressed { id: node, incarnation: None },
            purpose: Purpose::Client,
            authentication: Authentication::default(),
        }
    }
}

/// One connection to a node, without the socket. Requests are gathered and sent with one write;
/// replies come in any order and carry the number that the request was given.
///
/// It does no waiting: a loop over many non-blocking sockets drives one channel for each.
///
/// ```
/// # mod lone_node { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lone_node/mod.rs")); }
/// use std::net::TcpStream;
/// use std::time::Duration;
/// use raft_node::client::{Channel, ChannelEvent, Greeting};
/// use raft_node::kv::{Command, Operation};
/// use raft_node::model::StartNumber;
/// use raft_node::wire::FillEnd;
///
/// let address = "127.0.0.1:3111";
/// # let address = lone_node::start().0;
/// let mut stream = TcpStream::connect(address)?;
/// stream.set_nonblocking(true)?;
/// let mut channel = Channel::new(&Greeting::new(None, StartNumber(7)), None);
/// let operation = Operation::Put { key: b"k", value: b"v" };
/// channel.change(1, Duration::from_secs(5), &Command::Change { session: None, operation });
/// let reply = 'replied: loop {
///     // A loop over many sockets waits until one of them is ready.
///     std::thread::sleep(Duration::from_millis(1));
///     channel.write_to(&mut stream)?;
///     assert_ne!(channel.read_from(&mut stream, 64 << 10)?, FillEnd::Closed);
///     while let Some(event) = channel.next_event()? {
///         if let ChannelEvent::Reply(reply) = event {
///             break 'replied reply;
///         }
///     }
/// };
/// assert_eq!(reply.id, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Channel {
    reader: FrameReader,
    greeted: bool,
    output: BytesMut,
    scratch: Vec<u8>,
}

/// What came in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ChannelEvent {
    /// The answer to the hello, which comes first.
    Greeted(Box<HelloAnswer>),
    /// The answer to a request.
    Reply(Reply),
    /// The node closes the connection, for this reason.
    Goodbye(String),
}

impl Channel {
    /// A channel with a hello to be sent, for this node if it is known.
    #[must_use]
    pub fn new(greeting: &Greeting, node: Option<NodeId>) -> Channel {
        let mut output = BytesMut::new();
        greeting.hello(node).encode(&mut output);
        let reader = FrameReader::calling(Purpose::Client);
        Channel { reader, greeted: false, output, scratch: Vec::new() }
    }

    /// Gathers a change.
    ///
    /// # Panics
    ///
    /// If the command is longer than [`MAX_COMMAND_BYTES`](crate::kv::MAX_COMMAND_BYTES) by more
    /// than a little, so that no frame can hold it.
    pub fn change(&mut self, id: u64, timeout: Duration, command: &Command<'_>) {
        self.scratch.clear();
        command.encode(&mut self.scratch);
        encode_write(id, milliseconds(timeout), &self.scratch, &mut self.output);
    }

    /// Gathers a change that is encoded already.
    pub(super) fn encoded_change(&mut self, id: u64, timeout: Duration, command: &[u8]) {
        encode_write(id, milliseconds(timeout), command, &mut self.output);
    }

    /// Gathers a question.
    pub fn question(
        &mut self,
        id: u64,
        timeout: Duration,
        consistency: Consistency,
        query: &Query<'_>,
    ) {
        self.scratch.clear();
        query.encode(&mut self.scratch);
        encode_read(id, milliseconds(timeout), consistency, &self.scratch, &mut self.output);
    }

    /// Gathers a question that is encoded already.
    pub(super) fn encoded_question(
        &mut self,
        id: u64,
        timeout: Duration,
        consistency: Consistency,
        query: &[u8],
    ) {
        encode_read(id, milliseconds(timeout), consistency, query, &mut self.output);
    }

    /// Gathers a request of another kind.
    pub fn request(&mut self, id: u64, timeout: Duration, body: RequestBody) {
        Request { id, timeout_ms: milliseconds(timeout), body }.encode(&mut self.output);
    }

    /// Whether something is gathered and not sent.
    #[must_use]
    pub fn has_output(&self) -> bool {
        !self.output.is_empty()
    }

    /// How many bytes are gathered and not sent.
    #[must_use]
    pub fn output_bytes(&self) -> usize {
        self.output.len()
    }

    /// Sends what is gathered, as far as the socket takes it: [`Channel::has_output`] tells
    /// whether something is left.
    ///
    /// # Errors
    ///
    /// Those of the socket, except that it would block.
    pub fn write_to(&mut self, socket: &mut impl Write) -> io::Result<()> {
        while self.has_output() {
            match socket.write(&self.output) {
                Ok(0) => return Err(io::Error::from(io::ErrorKind::WriteZero)),
                Ok(count) => self.output.advance(count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads until the socket would block, has ended, or has given `budget` bytes.
    ///
    /// # Errors
    ///
    /// Those of the socket, except that it would block.
    pub fn read_from(&mut self, socket: &mut impl Read, budget: usize) -> io::Result<FillEnd> {
        Ok(self.reader.fill(socket, budget)?.end)
    }

    /// What came in next, once it is there as a whole.
    ///
    /// # Errors
    ///
    /// Bytes that no node sends. Nothing more can be read from the connection.
    pub fn next_event(&mut self) -> Result<Option<ChannelEvent>, WireError> {
        if !self.greeted {
            let answer = self.reader.answer()?;
            self.greeted = answer.is_some();
            return Ok(answer.map(|answer| ChannelEvent::Greeted(Box::new(answer))));
        }
        let Some(frame) = self.reader.frame()? else { return Ok(None) };
        Ok(match frame.decode()? {
            Incoming::Reply(reply) => Some(ChannelEvent::Reply(reply)),
            Incoming::Goodbye(text) => Some(ChannelEvent::Goodbye(text)),
            // The reader lets nothing else through where replies are expected.
            _ => None,
        })
    }
}

/// For the wire: at least 1, as 0 leaves it to the node.
fn milliseconds(timeout: Duration) -> u32 {
    u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX).max(1)
}
