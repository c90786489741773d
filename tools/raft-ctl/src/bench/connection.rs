//! One connection of the load generator and the requests under way on it.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use raft_node::client::{Channel, ChannelEvent, Greeting};
use raft_node::kv::{Command, Operation, Query};
use raft_node::model::NodeId;
use raft_node::wire::{FillEnd, ReplyBody, Verdict};

use super::plan::{Maker, Plan};

/// How much is read from a connection before the others have their turn.
const READ_BYTES: usize = 256 << 10;

/// How long a connection that failed or was refused is left alone.
const PAUSE: Duration = Duration::from_millis(20);

/// One connection.
pub(super) struct Connection {
    token: Token,
    stream: Option<TcpStream>,
    channel: Channel,
    ready: bool,
    /// When it began to connect.
    begun: Instant,
    /// Nothing is to be sent or connected before.
    resume_at: Instant,
    /// When each request under way began; its place is its number on the wire.
    slots: Vec<Option<Slot>>,
    free: Vec<usize>,
}

/// A request under way.
#[derive(Clone, Copy)]
pub(super) struct Slot {
    pub(super) start: Instant,
    pub(super) is_read: bool,
}

/// What came of a request, or of the connection.
pub(super) enum Happened {
    /// It was carried out.
    Done(Slot),
    /// It was refused, or nobody knows.
    Failed(&'static str),
    /// The leader is another node.
    Moved(raft_node::wire::LeaderHint),
}

impl Connection {
    pub(super) fn new(token: Token, depth: u16, greeting: &Greeting) -> Connection {
        let now = Instant::now();
        Connection {
            token,
            stream: None,
            channel: Channel::new(greeting, None),
            ready: false,
            begun: now,
            resume_at: now,
            slots: vec![None; usize::from(depth)],
            free: (0..usize::from(depth)).rev().collect(),
        }
    }

    pub(super) fn is_connected(&self) -> bool {
        self.stream.is_some()
    }

    pub(super) fn is_ready(&self) -> bool {
        self.ready
    }

    pub(super) fn may_act(&self, now: Instant) -> bool {
        now >= self.resume_at
    }

    /// Whether it has been connecting for longer than this.
    pub(super) fn is_overdue(&self, now: Instant, timeout: Duration) -> bool {
        self.stream.is_some() && !self.ready && now.duration_since(self.begun) > timeout
    }

    pub(super) fn under_way(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(super) fn has_room(&self) -> bool {
        self.ready && !self.free.is_empty()
    }

    pub(super) fn connect(
        &mut self,
        to: (SocketAddr, Option<NodeId>),
        greeting: &Greeting,
        registry: &Registry,
    ) -> io::Result<()> {
        let mut stream = TcpStream::connect(to.0)?;
        stream.set_nodelay(true)?;
        registry.register(&mut stream, self.token, Interest::READABLE | Interest::WRITABLE)?;
        self.stream = Some(stream);
        self.channel = Channel::new(greeting, to.1);
        self.ready = false;
        self.begun = Instant::now();
        Ok(())
    }

    /// Gives the connection up; how many requests were under way on it.
    pub(super) fn drop_stream(&mut self, registry: &Registry) -> usize {
        if let Some(mut stream) = self.stream.take() {
            // Closing takes it out of the poll as well.
            let _ = registry.deregister(&mut stream);
        }
        let lost = self.under_way();
        self.slots.fill(None);
        self.free = (0..self.slots.len()).rev().collect();
        self.ready = false;
        self.pause();
        lost
    }

    /// Leaves the node alone for a moment.
    pub(super) fn pause(&mut self) {
        self.resume_at = Instant::now() + PAUSE;
    }

    /// Gathers a request that counts from `start`.
    ///
    /// # Panics
    ///
    /// Without room.
    pub(super) fn begin(&mut self, number: u64, start: Instant, plan: &Plan, maker: &mut Maker) {
        let slot = self.free.pop().expect("there is room for a request");
        let is_read = maker.chance(plan.read_ratio);
        let (key, value) = maker.record(number);
        if is_read {
            let query = Query::Get { keys: vec![key] };
            self.channel.question(slot as u64, plan.timeout, plan.consistency, &query);
        } else {
            let operation = Operation::Put { key, value };
            let command = Command::Change { session: None, operation };
            self.channel.change(slot as u64, plan.timeout, &command);
        }
        self.slots[slot] = Some(Slot { start, is_read });
    }

    /// Sends what is gathered.
    pub(super) fn write(&mut self) -> io::Result<()> {
        match &mut self.stream {
            Some(stream) if self.channel.has_output() => match self.channel.write_to(stream) {
                // It isn't connected yet; being writable will tell.
                Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
                result => result,
            },
            _ => Ok(()),
        }
    }

    /// Reads what there is and says what happened; false where the connection has ended.
    pub(super) fn read(&mut self, mut each: impl FnMut(Happened)) -> io::Result<bool> {
        loop {
            let Some(stream) = &mut self.stream else { return Ok(false) };
            let end = match self.channel.read_from(stream, READ_BYTES) {
                Err(error) if error.kind() == io::ErrorKind::NotConnected => return Ok(true),
                result => result?,
            };
            loop {
                match self.channel.next_event().map_err(io::Error::other)? {
                    Some(ChannelEvent::Greeted(answer)) => match answer.verdict {
                        Verdict::Accepted { .. } => self.ready = true,
                        Verdict::Refused { .. } => return Ok(false),
                    },
                    Some(ChannelEvent::Reply(reply)) => {
                        let at = usize::try_from(reply.id).unwrap_or(usize::MAX);
                        let Some(slot) = self.slots.get_mut(at).and_then(Option::take) else {
                            return Err(io::Error::other("a reply to no request"));
                        };
                        self.free.push(at);
                        tell(slot, reply.body, &mut each);
                    }
                    Some(ChannelEvent::Goodbye(_)) => return Ok(false),
                    None => break,
                }
            }
            match end {
                FillEnd::Blocked => return Ok(true),
                FillEnd::Closed => return Ok(false),
                FillEnd::Budget => {}
            }
        }
    }
}

fn tell(slot: Slot, body: ReplyBody, each: &mut impl FnMut(Happened)) {
    match body {
        ReplyBody::Done { .. } | ReplyBody::Answer { .. } => each(Happened::Done(slot)),
        ReplyBody::Refused { code, leader, .. } => {
            each(Happened::Failed(code.name()));
            if let Some(leader) = leader {
                each(Happened::Moved(leader));
            }
        }
        _ => each(Happened::Failed("unknown")),
    }
}
