//! What clients ask.

use bytes::{BufMut, Bytes, BytesMut};

use super::log_part::{self, LogQuestion};
use super::{Frame, Kind, OpenFrame, fields, piece};
use crate::model::{ByteReader, Configuration, Index, Malformed, NodeId, SnapshotId};

const WRITE: u8 = 1;
const READ: u8 = 2;
const STATUS: u8 = 3;
const TRANSFER: u8 = 4;
const PING: u8 = 5;
const TAKE_SNAPSHOT: u8 = 6;
const SNAPSHOTS: u8 = 7;
const SNAPSHOT_PIECE: u8 = 8;
const CHANGE_MEMBERS: u8 = 9;
const LOG: u8 = 10;

/// A request of a client. Many may be under way on one connection; replies come as they are
/// ready.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    /// A number of the client's choice, which comes back in the reply.
    pub id: u64,
    /// How long the client waits, in milliseconds; 0 leaves it to the node.
    pub timeout_ms: u32,
    /// What is asked.
    pub body: RequestBody,
}

/// What a [`Request`] asks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RequestBody {
    /// Change the state: a command in the state machine's encoding.
    Write(Bytes),
    /// Read the state.
    Read {
        /// How new the answer must be.
        consistency: Consistency,
        /// A query in the state machine's encoding.
        query: Bytes,
    },
    /// How does this node stand?
    Status,
    /// Hand leadership over, to this node or to any.
    Transfer(Option<NodeId>),
    /// Is anybody there?
    Ping,
    /// Take a snapshot on every node, at one and the same entry.
    TakeSnapshot,
    /// Which snapshots does this node keep?
    Snapshots,
    /// The bytes of a snapshot's file, at most
    /// [`MAX_PIECE_BYTES`](crate::model::MAX_PIECE_BYTES) from an offset on.
    SnapshotPiece {
        /// Which snapshot.
        snapshot: SnapshotId,
        /// Where in its file; before its end.
        offset: u64,
    },
    /// Make these the members, by a change that the cluster finishes on its own.
    ChangeMembers {
        /// Where the configuration stands that the client has seen. If another one is in force,
        /// the request is refused, unless the members are, or are becoming, the same.
        expected: Index,
        /// The members to be: each seat a voter's or a learner's.
        members: Configuration,
    },
    /// Entries of this node's log, for one that has lost them.
    Log(LogQuestion),
}

/// How new the answer to a read must be.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Consistency {
    /// It shows everything that was done before the read began; the leader asks a quorum.
    Linearizable = 0,
    /// As linearizable, as long as clocks run at nearly the same speed: the leader relies on
    /// its lease.
    Lease = 1,
    /// Whatever this node has, which may be old.
    Stale = 2,
}

impl Consistency {
    /// The name that flags and documentation use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Consistency::Linearizable => "linearizable",
            Consistency::Lease => "lease",
            Consistency::Stale => "stale",
        }
    }
}

impl Request {
    /// Appends its frame to `out`.
    ///
    /// # Panics
    ///
    /// If the command or query is longer than any may be.
    pub fn encode(&self, out: &mut BytesMut) {
        let (id, timeout_ms) = (self.id, self.timeout_ms);
        match &self.body {
            RequestBody::Write(command) => encode_write(id, timeout_ms, command, out),
            RequestBody::Read { consistency, query } => {
                encode_read(id, timeout_ms, *consistency, query, out);
            }
            RequestBody::Status => begin(id, timeout_ms, STATUS, out).seal(out),
            RequestBody::Transfer(to) => {
                let frame = begin(id, timeout_ms, TRANSFER, out);
                fields::put_node_or_none(*to, out);
                frame.seal(out);
            }
            RequestBody::Ping => begin(id, timeout_ms, PING, out).seal(out),
            RequestBody::TakeSnapshot => begin(id, timeout_ms, TAKE_SNAPSHOT, out).seal(out),
            RequestBody::Snapshots => begin(id, timeout_ms, SNAPSHOTS, out).seal(out),
            RequestBody::SnapshotPiece { snapshot, offset } => {
                let frame = begin(id, timeout_ms, SNAPSHOT_PIECE, out);
                snapshot.encode(out);
                out.put_u64_le(*offset);
                frame.seal(out);
            }
            RequestBody::ChangeMembers { expected, members } => {
                let frame = begin(id, timeout_ms, CHANGE_MEMBERS, out);
                out.put_u64_le(expected.0);
                members.encode(out);
                frame.seal(out);
            }
            RequestBody::Log(question) => {
                let frame = begin(id, timeout_ms, LOG, out);
                log_part::put_question(question, out);
                frame.seal(out);
            }
        }
    }
}

/// Appends the frame of a write to `out`, without owning the command.
///
/// # Panics
///
/// If the command is longer than any may be.
pub fn encode_write(id: u64, timeout_ms: u32, command: &[u8], out: &mut BytesMut) {
    let frame = begin(id, timeout_ms, WRITE, out);
    out.put_slice(command);
    frame.seal(out);
}

/// Appends the frame of a read to `out`, without owning the query.
///
/// # Panics
///
/// If the query is longer than any may be.
pub fn encode_read(
    id: u64,
    timeout_ms: u32,
    consistency: Consistency,
    query: &[u8],
    out: &mut BytesMut,
) {
    let frame = begin(id, timeout_ms, READ, out);
    out.put_u8(consistency as u8);
    out.put_slice(query);
    frame.seal(out);
}

fn begin(id: u64, timeout_ms: u32, operation: u8, out: &mut BytesMut) -> OpenFrame {
    let frame = OpenFrame::begin(Kind::Request, out);
    out.put_u64_le(id);
    out.put_u32_le(timeout_ms);
    out.put_u8(operation);
    frame
}

/// Reads the body of a request's frame.
pub(super) fn decode(frame: &Frame) -> Result<Request, Malformed> {
    let mut reader = frame.reader();
    let id = reader.u64("request id")?;
    let timeout_ms = reader.u32("timeout")?;
    let body = match reader.u8("operation")? {
        WRITE => RequestBody::Write(frame.rest(&mut reader)),
        READ => RequestBody::Read {
            consistency: read_consistency(&mut reader)?,
            query: frame.rest(&mut reader),
        },
        STATUS => RequestBody::Status,
        TRANSFER => RequestBody::Transfer(fields::node_or_none(&mut reader, "target")?),
        PING => RequestBody::Ping,
        TAKE_SNAPSHOT => RequestBody::TakeSnapshot,
        SNAPSHOTS => RequestBody::Snapshots,
        SNAPSHOT_PIECE => {
            let snapshot = SnapshotId::decode(&mut reader)?;
            let offset = piece::read_offset(snapshot.bytes, 1, &mut reader)?;
            RequestBody::SnapshotPiece { snapshot, offset }
        }
        CHANGE_MEMBERS => RequestBody::ChangeMembers {
            expected: fields::index(&mut reader, "expected index")?,
            members: Configuration::decode(&mut reader)?,
        },
        LOG => RequestBody::Log(log_part::read_question(&mut reader)?),
        other => return Err(reader.invalid("operation", 1, u64::from(other))),
    };
    reader.finish()?;
    Ok(Request { id, timeout_ms, body })
}

fn read_consistency(reader: &mut ByteReader<'_>) -> Result<Consistency, Malformed> {
    match reader.u8("consistency")? {
        0 => Ok(Consistency::Linearizable),
        1 => Ok(Consistency::Lease),
        2 => Ok(Consistency::Stale),
        other => Err(reader.invalid("consistency", 1, u64::from(other))),
    }
}
