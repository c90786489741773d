//! A connection that stands: a channel over a blocking socket, every wait with a deadline.

use std::io::{self, Read};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::channel::{Channel, ChannelEvent, Greeting};
use super::dial::{dial, left};
use super::run::{Lost, Unopened};
use super::{AttemptResult, Endpoint};
use crate::wire::{FillEnd, Reply, Verdict, WireError};

/// The most that is read before the replies in it are looked at.
const READ_BYTES: usize = 64 << 10;

/// A connection that stands.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) endpoint: Endpoint,
    pub(super) channel: Channel,
    stream: TcpStream,
    used: Instant,
}

/// Whoever was silent for longer is looked at before something is sent to him.
const FRESH: Duration = Duration::from_millis(100);

/// Why nothing came.
#[derive(Debug)]
pub(super) enum Nothing {
    /// The deadline has passed.
    Silent,
    /// The connection no longer stands.
    Lost(Lost),
}

const CUT: Nothing = Nothing::Lost(Lost::Cut);

impl Link {
    /// Connects and says hello, all before `deadline`.
    pub(super) fn open(
        endpoint: &Endpoint,
        greeting: &Greeting,
        deadline: Instant,
    ) -> Result<Link, Unopened> {
        let stream = dial(&endpoint.address, deadline).map_err(Unopened::Unreachable)?;
        let channel = Channel::new(greeting, endpoint.node);
        let used = Instant::now();
        let mut link = Link { endpoint: endpoint.clone(), channel, stream, used };
        link.flush(deadline).map_err(unopened)?;
        match link.receive(deadline).map_err(unopened)? {
            ChannelEvent::Greeted(answer) => match answer.verdict {
                Verdict::Accepted { .. } => Ok(link),
                Verdict::Refused { code, text, .. } => Err(Unopened::Refused { code, text }),
            },
            ChannelEvent::Reply(_) | ChannelEvent::Goodbye(_) => Err(unopened(CUT)),
        }
    }

    /// Whether the other side is known to have closed it. What is sent into a closed connection
    /// leaves a doubt that can be spared.
    pub(super) fn is_closed(&self) -> bool {
        if self.used.elapsed() < FRESH {
            return false;
        }
        let looked = || {
            self.stream.set_nonblocking(true)?;
            let looked = self.stream.peek(&mut [0]);
            self.stream.set_nonblocking(false)?;
            looked
        };
        match looked() {
            Ok(count) => count == 0,
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        }
    }

    /// Sends what the channel has gathered, with one write where the socket takes it all.
    pub(super) fn flush(&mut self, deadline: Instant) -> Result<(), Nothing> {
        while self.channel.has_output() {
            let left = left(deadline).map_err(|_| Nothing::Silent)?;
            self.stream.set_write_timeout(Some(left)).map_err(|_| CUT)?;
            self.channel.write_to(&mut self.stream).map_err(|_| CUT)?;
        }
        Ok(())
    }

    /// Waits for what comes next.
    pub(super) fn receive(&mut self, deadline: Instant) -> Result<ChannelEvent, Nothing> {
        loop {
            if let Some(event) = self.channel.next_event().map_err(malformed)? {
                self.used = Instant::now();
                return Ok(event);
            }
            let left = left(deadline).map_err(|_| Nothing::Silent)?;
            self.stream.set_read_timeout(Some(left)).map_err(|_| CUT)?;
            let mut once = Once { stream: &self.stream, done: false };
            match self.channel.read_from(&mut once, READ_BYTES) {
                Ok(FillEnd::Closed) => return self.last_event(),
                Ok(FillEnd::Blocked | FillEnd::Budget) => {}
                Err(_) => return self.last_event(),
            }
        }
    }

    /// Waits for a reply.
    pub(super) fn reply(&mut self, deadline: Instant) -> Result<Reply, Nothing> {
        match self.receive(deadline)? {
            ChannelEvent::Reply(reply) => Ok(reply),
            ChannelEvent::Goodbye(text) => Err(Nothing::Lost(Lost::Goodbye(text))),
            ChannelEvent::Greeted(_) => Err(CUT),
        }
    }

    /// What came before the end.
    fn last_event(&mut self) -> Result<ChannelEvent, Nothing> {
        match self.channel.next_event().map_err(malformed)? {
            Some(event) => Ok(event),
            None => Err(CUT),
        }
    }
}

fn malformed(error: WireError) -> Nothing {
    Nothing::Lost(Lost::Malformed(error))
}

fn unopened(nothing: Nothing) -> Unopened {
    match nothing {
        Nothing::Silent => Unopened::Unreachable(io::Error::from(io::ErrorKind::TimedOut)),
        Nothing::Lost(Lost::Cut) => {
            Unopened::Unreachable(io::Error::from(io::ErrorKind::ConnectionReset))
        }
        Nothing::Lost(Lost::Goodbye(text)) => Unopened::Unreachable(io::Error::other(text)),
        Nothing::Lost(Lost::Malformed(error)) => Unopened::Foreign(error),
    }
}

impl Nothing {
    pub(super) fn result(&self) -> AttemptResult {
        match self {
            Nothing::Silent => AttemptResult::Silent,
            Nothing::Lost(lost) => lost.result(),
        }
    }
}

/// A blocking socket that is read once: what comes later is left for the next time, instead of
/// being waited for.
struct Once<'a> {
    stream: &'a TcpStream,
    done: bool,
}

impl Read for Once<'_> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        if self.done {
            return Err(io::Error::from(io::ErrorKind::WouldBlock));
        }
        let result = self.stream.read(room);
        self.done = result.is_ok();
        result
    }
}
