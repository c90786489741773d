//! Turns a stream of bytes into a hello and frames.

use std::io::{self, Read};

use bytes::BytesMut;

use super::frame::FrameHeader;
use super::greeting::Greeting;
use super::{Foreign, Frame, Hello, HelloAnswer, Purpose, Traffic, WireError};

/// How much room the first read of a connection gets. It doubles while reads fill it.
const FIRST_READ_BYTES: usize = 4 << 10;

/// The most room that is made at a time where clients speak: there may be many of them.
const CLIENT_READ_BYTES: usize = 64 << 10;

/// The most room that is made at a time where members speak, so that several frames of entries
/// are read at once.
const PEER_READ_BYTES: usize = 256 << 10;

/// Below this, what is left of the buffer isn't worth a read of its own.
const LEAST_READ_BYTES: usize = 2 << 10;

/// Reads one side of a connection: first a hello or its answer, then frames.
///
/// Frames share the buffer that the stream was read into. The reader holds at most one unfinished
/// frame and 256 KiB (of a client, 64 KiB), whatever comes. The room for a long frame grows with
/// what has come of it, so a length alone costs nothing.
///
/// ```
/// use bytes::BytesMut;
/// use raft_node::wire::{FillEnd, FrameReader, Incoming, Request, RequestBody, Traffic};
///
/// let mut stream = BytesMut::new();
/// Request { id: 7, timeout_ms: 0, body: RequestBody::Ping }.encode(&mut stream);
///
/// let mut reader = FrameReader::behind_greeting(Traffic::Requests);
/// let filled = reader.fill(&mut &stream[..], 64 << 10).unwrap();
/// assert_eq!((filled.bytes, filled.end), (stream.len(), FillEnd::Closed));
/// let frame = reader.frame().unwrap().unwrap();
/// assert!(matches!(frame.decode().unwrap(), Incoming::Request(Request { id: 7, .. })));
/// assert!(reader.frame().unwrap().is_none());
/// ```
#[derive(Debug)]
pub struct FrameReader {
    /// What was read and not taken, then room that was cleared once. `filled <= buffer.len()`.
    buffer: BytesMut,
    filled: usize,
    /// How many bytes of the stream were taken from the buffer.
    taken: u64,
    /// How much room the next read gets.
    read_bytes: usize,
    /// What must come before frames; `None` once it has.
    greeting: Option<Greeting>,
    traffic: Traffic,
}

/// What a [`FrameReader::fill`] has done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Filled {
    /// How many bytes it has read.
    pub bytes: usize,
    /// Why it stopped.
    pub end: FillEnd,
}

/// Why a [`FrameReader::fill`] stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FillEnd {
    /// The source has nothing more at the moment.
    Blocked,
    /// The budget or the room is used up; there may be more.
    Budget,
    /// The other side has closed its end: see [`FrameReader::at_end`].
    Closed,
}

impl FrameReader {
    /// A reader for the side that was connected to: a hello comes first, and says which frames
    /// may follow.
    #[must_use]
    pub fn accepting() -> FrameReader {
        FrameReader::new(Some(Greeting::Hello), Traffic::Nothing)
    }

    /// A reader for the side that opened the connection for this purpose: an answer comes first.
    #[must_use]
    pub fn calling(purpose: Purpose) -> FrameReader {
        let traffic = match purpose {
            Purpose::Peer => Traffic::Peers,
            Purpose::Client => Traffic::Replies,
            Purpose::Unknown(_) => Traffic::Nothing,
        };
        FrameReader::new(Some(Greeting::Answer), traffic)
    }

    /// A reader for a stream of frames without a hello, as if it had been read.
    #[must_use]
    pub fn behind_greeting(traffic: Traffic) -> FrameReader {
        FrameReader::new(None, traffic)
    }

    fn new(greeting: Option<Greeting>, traffic: Traffic) -> FrameReader {
        let buffer = BytesMut::new();
        FrameReader { buffer, filled: 0, taken: 0, read_bytes: FIRST_READ_BYTES, greeting, traffic }
    }

    /// Reads from `source` until it would block, has ended, has given `budget` bytes, or the room
    /// is used up and something is there to be taken. What is there is to be taken before the
    /// next call, which else may read nothing.
    ///
    /// # Errors
    ///
    /// Those of the source; an interrupted read is repeated. What was read before stays.
    pub fn fill(&mut self, source: &mut impl Read, budget: usize) -> io::Result<Filled> {
        let mut bytes = 0;
        while bytes < budget && self.make_room() {
            let room = &mut self.buffer[self.filled..];
            let most = room.len().min(budget - bytes);
            match source.read(&mut room[..most]) {
                Ok(0) => return Ok(Filled { bytes, end: FillEnd::Closed }),
                Ok(count) => {
                    assert!(count <= most, "a source has read more than it had room for");
                    bytes += count;
                    self.filled += count;
                    if self.filled == self.buffer.len() {
                        self.read_bytes = (self.read_bytes * 2).min(self.most_read_bytes());
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(Filled { bytes, end: FillEnd::Blocked });
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Filled { bytes, end: FillEnd::Budget })
    }

    /// The hello, once it is there as a whole. Afterwards come the frames that its purpose
    /// allows.
    pub fn hello(&mut self) -> Result<Option<Hello>, WireError> {
        let Some(bytes) = self.take_greeting(Greeting::Hello)? else { return Ok(None) };
        let what = Greeting::Hello.name();
        let hello = Hello::decode(&bytes).map_err(|error| WireError::Hello { what, error })?;
        self.traffic = match hello.purpose {
            Purpose::Peer => Traffic::Peers,
            Purpose::Client => Traffic::Requests,
            Purpose::Unknown(_) => Traffic::Nothing,
        };
        Ok(Some(hello))
    }

    /// The answer to the hello, once it is there as a whole.
    pub fn answer(&mut self) -> Result<Option<HelloAnswer>, WireError> {
        let Some(bytes) = self.take_greeting(Greeting::Answer)? else { return Ok(None) };
        let what = Greeting::Answer.name();
        HelloAnswer::decode(&bytes).map(Some).map_err(|error| WireError::Hello { what, error })
    }

    /// The next frame, once it is there as a whole; its checksum was verified.
    ///
    /// # Panics
    ///
    /// If the hello or its answer wasn't taken.
    pub fn frame(&mut self) -> Result<Option<Frame>, WireError> {
        assert!(self.greeting.is_none(), "frames come behind the hello");
        let offset = self.taken;
        let Some(header) = FrameHeader::read(&self.buffer[..self.filled], offset, self.traffic)?
        else {
            return Ok(None);
        };
        if self.filled < header.length {
            return Ok(None);
        }
        let bytes = self.take(header.length).freeze();
        Frame::verify(header, bytes, offset).map(Some)
    }

    /// Which frames may come.
    #[must_use]
    pub const fn traffic(&self) -> Traffic {
        self.traffic
    }

    /// How many bytes were read and not taken.
    #[must_use]
    pub const fn pending_bytes(&self) -> usize {
        self.filled
    }

    /// Whether the other side may close its end here, or leaves something unfinished.
    pub fn at_end(&self) -> Result<(), WireError> {
        let (offset, have) = (self.taken, self.filled);
        match self.greeting {
            _ if have == 0 => Ok(()),
            None => Err(WireError::Cut { what: "a frame", offset, have }),
            Some(greeting) => {
                let begun = &self.buffer[..have];
                if !greeting.may_begin(begun) {
                    return Err(WireError::Foreign(Foreign::recognise(begun)));
                }
                Err(WireError::Cut { what: greeting.name(), offset, have })
            }
        }
    }

    fn take_greeting(&mut self, expected: Greeting) -> Result<Option<BytesMut>, WireError> {
        assert_eq!(self.greeting, Some(expected), "this greeting isn't what comes next");
        let Some(length) = expected.measure(&self.buffer[..self.filled])? else {
            return Ok(None);
        };
        self.greeting = None;
        Ok(Some(self.take(length)))
    }

    fn take(&mut self, length: usize) -> BytesMut {
        self.filled -= length;
        self.taken += length as u64;
        let taken = self.buffer.split_to(length);
        if length > self.most_read_bytes() {
            // What is left would keep the long frame's memory for as long as the connection
            // lasts.
            self.buffer = BytesMut::from(&self.buffer[..self.filled]);
        }
        taken
    }

    /// Sees to it that there is room for a read, and says whether there is. No room is made
    /// while something is there to be taken: making it would copy that. Room is cleared once,
    /// when it is made.
    fn make_room(&mut self) -> bool {
        let room = self.buffer.len() - self.filled;
        let Some(missing) = self.missing() else { return room >= LEAST_READ_BYTES };
        // Where little would be copied, a read gets half of its room at least, so that what is
        // ready comes in one.
        let little = self.filled <= LEAST_READ_BYTES;
        let needed = if little { self.read_bytes / 2 } else { missing.min(LEAST_READ_BYTES) };
        if room < needed {
            // A frame that is longer than one read gets room for as much again as has come of
            // it.
            let wanted = self.read_bytes.max(missing.min(self.filled));
            self.buffer.truncate(self.filled);
            self.buffer.reserve(wanted);
            self.buffer.resize(self.filled + wanted, 0);
        }
        true
    }

    /// How many bytes what comes next lacks, as far as is known; `None` if it is there, or is
    /// known to be wrong.
    fn missing(&self) -> Option<usize> {
        let begun = &self.buffer[..self.filled];
        if let Some(greeting) = self.greeting {
            return matches!(greeting.measure(begun), Ok(None)).then_some(LEAST_READ_BYTES);
        }
        match FrameHeader::read(begun, self.taken, self.traffic) {
            Ok(Some(header)) => header.length.checked_sub(self.filled).filter(|&left| left > 0),
            Ok(None) => Some(LEAST_READ_BYTES),
            Err(_) => None,
        }
    }

    const fn most_read_bytes(&self) -> usize {
        match self.traffic {
            Traffic::Peers => PEER_READ_BYTES,
            Traffic::Nothing => FIRST_READ_BYTES,
            Traffic::Requests | Traffic::Replies => CLIENT_READ_BYTES,
        }
    }
}
