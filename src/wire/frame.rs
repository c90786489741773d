//! The frame, in which everything behind the hello travels.

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};

use super::append::APPEND_HEAD_BYTES;
use super::peer;
use super::piece::PIECE_HEAD_BYTES;
use super::{FoundingReply, Reply, Request, WireError, fields, founding};
use super::{reply, request};
use crate::model::{
    BatchError, Body, ByteReader, FoundingEntry, Index, MAX_ENTRY_BYTES, MAX_PIECE_BYTES,
    Malformed, Term,
};

/// The bytes before a frame's body: length (4), CRC-32 (4), kind (1), flags (1).
pub const FRAME_HEADER_BYTES: usize = 10;

/// Where the part of a frame begins that its checksum covers, beside the length.
const CHECKED_FROM: usize = 8;

/// Room for what a request or reply has beside a command, query or answer.
const CLIENT_FIELDS_BYTES: usize = 4096;

/// Declares the kinds of frames: number, name, the least and the most bytes of the body.
macro_rules! kinds {
    ($($variant:ident $number:literal $name:literal $least:expr, $most:expr, $meaning:literal)*) => {
        /// What a frame is for.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(u8)]
        pub enum Kind {
            $(#[doc = $meaning] $variant = $number,)*
        }

        impl Kind {
            /// All of them, by number.
            pub const ALL: &[Kind] = &[$(Kind::$variant),*];

            /// The kind of this number.
            #[must_use]
            pub const fn from_number(number: u8) -> Option<Kind> {
                match number { $($number => Some(Kind::$variant),)* _ => None }
            }

            /// The name that documentation and errors use.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Kind::$variant => $name),* }
            }

            /// The shortest and the longest frame of this kind, header included.
            #[must_use]
            pub const fn bounds(self) -> (usize, usize) {
                let (least, most) = match self { $(Kind::$variant => ($least, $most)),* };
                (FRAME_HEADER_BYTES + least, FRAME_HEADER_BYTES + most)
            }

            /// What docs/wire-protocol.md says of it.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Kind::$variant => $meaning),* }
            }
        }
    };
}

kinds! {
    PreVote 0x01 "pre_vote" 32, 32, "Would the receiver vote for the sender?"
    PreVoteReply 0x02 "pre_vote_reply" 17, 17, "The answer to pre_vote."
    Vote 0x03 "vote" 25, 25, "The sender stands for election."
    VoteReply 0x04 "vote_reply" 9, 9, "The answer to vote."
    Append 0x05 "append" APPEND_HEAD_BYTES, APPEND_HEAD_BYTES + MAX_ENTRY_BYTES,
        "Entries of the leader's log, or a probe without any."
    AppendReply 0x06 "append_reply" 25, 33, "The answer to append, or that a level has risen."
    Heartbeat 0x07 "heartbeat" 28, 28 + 64 * peer::LEVEL_BYTES, "The leader lives."
    HeartbeatReply 0x08 "heartbeat_reply" 32, 32, "The answer to heartbeat."
    TimeoutNow 0x09 "timeout_now" 8, 8, "The receiver is to stand for election at once."
    PointReport 0x0a "point_report" 24, 24, "The sender's state hash at a point."
    Piece 0x0b "piece" PIECE_HEAD_BYTES, PIECE_HEAD_BYTES + MAX_PIECE_BYTES,
        "Bytes of a snapshot, or a question how much of it there is."
    PieceReply 0x0c "piece_reply" 49, 57, "The answer to piece, or that something came of it."
    Founding 0x10 "founding" 36, founding::MAX_FOUNDING_BYTES,
        "The first entry of the cluster, to be stored."
    FoundingReply 0x11 "founding_reply" 1, 1 + founding::MAX_FOUNDING_BYTES,
        "The answer to founding."
    Request 0x20 "request" 13, CLIENT_FIELDS_BYTES + MAX_ENTRY_BYTES, "A client asks."
    Reply 0x21 "reply" 9, CLIENT_FIELDS_BYTES + MAX_ENTRY_BYTES, "The answer to request."
    Goodbye 0x30 "goodbye" 2, 2 + super::MAX_TEXT_BYTES,
        "The last frame of a connection: why the sender closes it."
}

impl Kind {
    /// How many bytes of a body of this length the frame's checksum covers. Entries carry their
    /// own.
    const fn checked(self, body: usize) -> usize {
        match self {
            Kind::Append => APPEND_HEAD_BYTES,
            _ => body,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Which frames the other side of a connection may send.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Traffic {
    /// None yet: the hello's role isn't known, or isn't one of this version.
    Nothing,
    /// What members send each other.
    Peers,
    /// What clients send to a node.
    Requests,
    /// What a node sends to a client.
    Replies,
}

impl Traffic {
    /// Whether a frame of this kind may come.
    #[must_use]
    pub const fn allows(self, kind: Kind) -> bool {
        match kind {
            Kind::Request => matches!(self, Traffic::Requests),
            Kind::Reply => matches!(self, Traffic::Replies),
            Kind::Goodbye => !matches!(self, Traffic::Nothing),
            _ => matches!(self, Traffic::Peers),
        }
    }
}

impl fmt::Display for Traffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Traffic::Nothing => "nothing",
            Traffic::Peers => "messages between members",
            Traffic::Requests => "requests",
            Traffic::Replies => "replies",
        })
    }
}

/// A frame that is being written behind what its buffer holds already.
///
/// Dropping it leaves an unfinished frame in the buffer.
#[must_use]
#[derive(Debug)]
pub struct OpenFrame {
    start: usize,
    kind: Kind,
}

impl OpenFrame {
    /// Begins a frame; its body is to be appended to `out`.
    pub(super) fn begin(kind: Kind, out: &mut BytesMut) -> OpenFrame {
        let start = out.len();
        out.put_u32_le(0);
        out.put_u32_le(0);
        out.put_u8(kind as u8);
        out.put_u8(0);
        OpenFrame { start, kind }
    }

    /// Ends the frame: fills in its length and checksum.
    ///
    /// # Panics
    ///
    /// If the body is longer than its kind allows: commands, queries and answers are bounded
    /// where they are made.
    pub fn seal(self, out: &mut BytesMut) {
        self.seal_before(0, out);
    }

    /// Ends the frame, behind which `bulk` bytes with checksums of their own are to be sent.
    pub(super) fn seal_before(self, bulk: usize, out: &mut BytesMut) {
        let frame = &mut out[self.start..];
        let length = frame.len() + bulk;
        let (least, most) = self.kind.bounds();
        assert!((least..=most).contains(&length), "a {} of {length} bytes was made", self.kind);
        frame[..4].copy_from_slice(&(length as u32).to_le_bytes());
        let crc = checksum(frame, frame.len());
        frame[4..CHECKED_FROM].copy_from_slice(&crc.to_le_bytes());
    }
}

/// The checksum of a frame: of its length, and of what stands behind the checksum up to
/// `covered` bytes from the frame's start.
fn checksum(frame: &[u8], covered: usize) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&frame[..4]);
    hasher.update(&frame[CHECKED_FROM..covered]);
    hasher.finalize()
}

/// What a frame's header says, checked as far as it goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct FrameHeader {
    pub(super) kind: Kind,
    pub(super) length: usize,
}

impl FrameHeader {
    /// Reads the header at the front of `bytes`; `None` if it isn't there as a whole. `offset`
    /// is where the frame begins in the stream.
    pub(super) fn read(
        bytes: &[u8],
        offset: u64,
        traffic: Traffic,
    ) -> Result<Option<FrameHeader>, WireError> {
        let Some(header) = bytes.first_chunk::<FRAME_HEADER_BYTES>() else { return Ok(None) };
        let [l0, l1, l2, l3, _, _, _, _, kind, flags] = *header;
        let found = u32::from_le_bytes([l0, l1, l2, l3]);
        let kind = Kind::from_number(kind).ok_or(WireError::UnknownKind { offset, found: kind })?;
        if !traffic.allows(kind) {
            return Err(WireError::Unexpected { offset, kind, traffic });
        }
        if flags != 0 {
            return Err(WireError::Flags { offset, kind, found: flags });
        }
        let (least, most) = kind.bounds();
        let length = found as usize;
        if !(least..=most).contains(&length) {
            return Err(WireError::Length { offset, kind, found, least, most });
        }
        Ok(Some(FrameHeader { kind, length }))
    }
}

/// A frame whose checksum was verified, sharing the buffer it was read into.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frame {
    kind: Kind,
    offset: u64,
    bytes: Bytes,
}

impl Frame {
    /// The frame of `header` that `bytes` are, at `offset` of the stream.
    pub(super) fn verify(
        header: FrameHeader,
        bytes: Bytes,
        offset: u64,
    ) -> Result<Frame, WireError> {
        let kind = header.kind;
        let covered = FRAME_HEADER_BYTES + kind.checked(bytes.len() - FRAME_HEADER_BYTES);
        let found = u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
        let computed = checksum(&bytes, covered);
        if found != computed {
            return Err(WireError::Checksum { offset, kind, found, computed });
        }
        Ok(Frame { kind, offset, bytes })
    }

    /// What it is for.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Where it begins, counted from the first byte of the connection.
    #[must_use]
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// What stands behind the header.
    #[must_use]
    pub fn body(&self) -> Bytes {
        self.bytes.slice(FRAME_HEADER_BYTES..)
    }

    /// Reads the body.
    pub fn decode(&self) -> Result<Incoming, WireError> {
        let mut reader = self.reader();
        Ok(match self.kind {
            Kind::Founding => Incoming::Founding(founding::decode_founding(self)?),
            Kind::FoundingReply => Incoming::FoundingReply(FoundingReply::decode(self)?),
            Kind::Request => Incoming::Request(self.body_error(request::decode(self))?),
            Kind::Reply => Incoming::Reply(self.body_error(reply::decode(self))?),
            Kind::PointReport => {
                let index = self.body_error(fields::index(&mut reader, "index"))?;
                let hash = self.body_error(reader.u128("state hash"))?;
                self.body_error(reader.finish())?;
                Incoming::PointReport { index, hash }
            }
            Kind::Goodbye => {
                let text = self.body_error(fields::text(&mut reader, "text"))?;
                self.body_error(reader.finish())?;
                Incoming::Goodbye(text)
            }
            _ => {
                let (term, body) = peer::decode(self)?;
                Incoming::Message { term, body }
            }
        })
    }

    /// A reader at the first field of the body, whose offsets count from the frame's start.
    pub(super) fn reader(&self) -> ByteReader<'_> {
        let mut reader = ByteReader::new(&self.bytes);
        reader.take("header", FRAME_HEADER_BYTES).expect("a frame has a header");
        reader
    }

    /// What is left to `reader`, sharing the frame's buffer.
    pub(super) fn rest(&self, reader: &mut ByteReader<'_>) -> Bytes {
        let start = reader.offset();
        reader.rest();
        self.bytes.slice(start..)
    }

    /// Says where in the stream something is wrong.
    pub(super) fn body_error<T>(&self, result: Result<T, Malformed>) -> Result<T, WireError> {
        let (offset, kind) = (self.offset, self.kind);
        result.map_err(|error| WireError::Body { offset, kind, error })
    }

    /// As [`Frame::body_error`], for the entries that begin at `start` of the frame.
    pub(super) fn entries_error<T>(
        &self,
        start: usize,
        result: Result<T, BatchError>,
    ) -> Result<T, WireError> {
        let (offset, kind) = (self.offset, self.kind);
        result.map_err(|error| WireError::Entries { offset, kind, start, error })
    }
}

/// A decoded frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Incoming {
    /// What a member says. From whom and for whom it is, the connection's hello has said.
    Message {
        /// The sender's term.
        term: Term,
        /// What it says.
        body: Body,
    },
    /// The sender's state hash at a point.
    PointReport {
        /// The index of the point.
        index: Index,
        /// The hash of the state behind it.
        hash: u128,
    },
    /// The first entry of the cluster, to be stored.
    Founding(FoundingEntry),
    /// What became of the first entry.
    FoundingReply(FoundingReply),
    /// A client asks.
    Request(Request),
    /// A node answers.
    Reply(Reply),
    /// The other side closes the connection, for this reason.
    Goodbye(String),
}

/// Appends the frame that tells the state hash at a point.
pub fn encode_point_report(index: Index, hash: u128, out: &mut BytesMut) {
    let frame = OpenFrame::begin(Kind::PointReport, out);
    out.put_u64_le(index.0);
    out.put_u128_le(hash);
    frame.seal(out);
}

/// Appends the last frame of a connection: why it is closed.
pub fn encode_goodbye(text: &str, out: &mut BytesMut) {
    let frame = OpenFrame::begin(Kind::Goodbye, out);
    fields::put_text(text, out);
    frame.seal(out);
}
