//! What nodes answer to clients.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};

use super::log_part::{self, LogPart};
use super::{Frame, Kind, OpenFrame, RefusalCode, StatusReply, fields, piece, status};
use crate::model::{ByteReader, Index, LogId, LogTime, Malformed, NodeId, SnapshotId, Term};

const DONE: u8 = 1;
const ANSWER: u8 = 2;
const REFUSED: u8 = 3;
const UNKNOWN: u8 = 4;
const STATUS: u8 = 5;
const TRANSFERRED: u8 = 6;
const PONG: u8 = 7;
const SNAPSHOTS: u8 = 8;
const PIECE: u8 = 9;
const MEMBERS: u8 = 10;
const LOG: u8 = 11;

/// The most snapshots that a node tells of.
const MAX_SNAPSHOTS: u32 = 64;

/// The reply to a [`Request`](super::Request).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reply {
    /// The number of the request.
    pub id: u64,
    /// What became of it.
    pub body: ReplyBody,
}

/// What became of a request. A write ends in one of three ways: done, refused, unknown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ReplyBody {
    /// The command was carried out, durably, by the entry `at`.
    Done {
        /// The entry.
        at: LogId,
        /// The state machine's answer, in its own encoding.
        answer: Bytes,
    },
    /// What was read.
    Answer {
        /// The last entry whose effect is seen.
        read_index: Index,
        /// The time that an entry made now would carry, as far as the node knows.
        log_time: LogTime,
        /// How long ago the node last heard from a leader: zero on the leader itself, `None` if
        /// it hasn't since it was started.
        heard_ago: Option<Duration>,
        /// The state machine's answer, in its own encoding.
        answer: Bytes,
    },
    /// The request has no effect, now or later.
    Refused {
        /// Why.
        code: RefusalCode,
        /// Who leads, where the node knows.
        leader: Option<LeaderHint>,
        /// Why, for a person.
        text: String,
    },
    /// The node can't say whether the command is or will be carried out.
    Unknown {
        /// Why, for a person.
        text: String,
    },
    /// How the node stands.
    Status(Box<StatusReply>),
    /// Leadership was handed over.
    Transferred {
        /// Who leads now.
        leader: NodeId,
        /// In which term.
        term: Term,
    },
    /// Somebody is there.
    Pong,
    /// The snapshots that the node keeps, the newest first; or the one that was asked for.
    Snapshots(Vec<KeptSnapshot>),
    /// Bytes of a snapshot's file.
    Piece(Bytes),
    /// The members are, or are becoming, what was asked for. The configuration that says so is
    /// committed; the status tells how far the change is.
    Members {
        /// Where it stands.
        index: Index,
    },
    /// Entries of the node's log.
    Log(LogPart),
}

/// A snapshot, durable and verified.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeptSnapshot {
    /// Its name.
    pub id: SnapshotId,
    /// The log time of its last entry.
    pub log_time: LogTime,
}

/// Who leads, and where it is reached.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LeaderHint {
    /// The leader.
    pub id: NodeId,
    /// In which term.
    pub term: Term,
    /// Its address, as `host:port`.
    pub address: String,
}

impl Reply {
    /// Appends its frame to `out`.
    ///
    /// # Panics
    ///
    /// If an answer is longer than any may be.
    pub fn encode(&self, out: &mut BytesMut) {
        let id = self.id;
        match &self.body {
            ReplyBody::Done { at, answer } => encode_done(id, *at, answer, out),
            ReplyBody::Answer { read_index, log_time, heard_ago, answer } => {
                encode_answer(id, *read_index, *log_time, *heard_ago, answer, out);
            }
            ReplyBody::Refused { code, leader, text } => {
                encode_refused(id, *code, leader.as_ref(), text, out);
            }
            ReplyBody::Unknown { text } => {
                let frame = begin(id, UNKNOWN, out);
                fields::put_text(text, out);
                frame.seal(out);
            }
            ReplyBody::Status(reply) => {
                let frame = begin(id, STATUS, out);
                status::put(reply, out);
                frame.seal(out);
            }
            ReplyBody::Transferred { leader, term } => {
                let frame = begin(id, TRANSFERRED, out);
                out.put_u16_le(leader.number());
                out.put_u64_le(term.0);
                frame.seal(out);
            }
            ReplyBody::Pong => begin(id, PONG, out).seal(out),
            ReplyBody::Snapshots(snapshots) => {
                let frame = begin(id, SNAPSHOTS, out);
                out.put_u32_le(snapshots.len() as u32);
                for snapshot in snapshots {
                    snapshot.id.encode(out);
                    out.put_u64_le(snapshot.log_time.0);
                }
                frame.seal(out);
            }
            ReplyBody::Piece(bytes) => {
                let frame = begin(id, PIECE, out);
                out.put_slice(bytes);
                frame.seal(out);
            }
            ReplyBody::Members { index } => {
                let frame = begin(id, MEMBERS, out);
                out.put_u64_le(index.0);
                frame.seal(out);
            }
            ReplyBody::Log(part) => {
                let frame = begin(id, LOG, out);
                log_part::put_part(part, out);
                frame.seal(out);
            }
        }
    }
}

/// Appends the frame of [`ReplyBody::Done`] to `out`, without owning the answer.
///
/// # Panics
///
/// If the answer is longer than any may be.
pub fn encode_done(id: u64, at: LogId, answer: &[u8], out: &mut BytesMut) {
    let frame = open_done(id, at, out);
    out.put_slice(answer);
    frame.seal(out);
}

/// Begins a frame of [`ReplyBody::Done`]: the answer is to be appended to `out` before the
/// frame is sealed.
///
/// ```
/// use bytes::{BufMut, BytesMut};
/// use raft_node::model::{Index, LogId, Term};
/// use raft_node::wire::{encode_done, open_done};
///
/// let at = LogId::new(Term(7), Index(812));
/// let mut out = BytesMut::new();
/// let frame = open_done(1, at, &mut out);
/// out.put_slice(b"made in place");
/// frame.seal(&mut out);
///
/// let mut same = BytesMut::new();
/// encode_done(1, at, b"made in place", &mut same);
/// assert_eq!(out, same);
/// ```
pub fn open_done(id: u64, at: LogId, out: &mut BytesMut) -> OpenFrame {
    let frame = begin(id, DONE, out);
    fields::put_log_id(at, out);
    frame
}

/// Appends the frame of [`ReplyBody::Answer`] to `out`, without owning the answer.
///
/// # Panics
///
/// If the answer is longer than any may be.
pub fn encode_answer(
    id: u64,
    read_index: Index,
    log_time: LogTime,
    heard_ago: Option<Duration>,
    answer: &[u8],
    out: &mut BytesMut,
) {
    let frame = open_answer(id, read_index, log_time, heard_ago, out);
    out.put_slice(answer);
    frame.seal(out);
}

/// Begins a frame of [`ReplyBody::Answer`], as [`open_done`] does.
pub fn open_answer(
    id: u64,
    read_index: Index,
    log_time: LogTime,
    heard_ago: Option<Duration>,
    out: &mut BytesMut,
) -> OpenFrame {
    let frame = begin(id, ANSWER, out);
    out.put_u64_le(read_index.0);
    out.put_u64_le(log_time.0);
    fields::put_duration_or_none(heard_ago, out);
    frame
}

/// Appends the frame of [`ReplyBody::Refused`] to `out`.
pub fn encode_refused(
    id: u64,
    code: RefusalCode,
    leader: Option<&LeaderHint>,
    text: &str,
    out: &mut BytesMut,
) {
    let frame = begin(id, REFUSED, out);
    out.put_u16_le(code as u16);
    fields::put_node_or_none(leader.map(|leader| leader.id), out);
    out.put_u64_le(leader.map_or(0, |leader| leader.term.0));
    fields::put_short_text(leader.map_or("", |leader| &leader.address), out);
    fields::put_text(text, out);
    frame.seal(out);
}

fn begin(id: u64, outcome: u8, out: &mut BytesMut) -> OpenFrame {
    let frame = OpenFrame::begin(Kind::Reply, out);
    out.put_u64_le(id);
    out.put_u8(outcome);
    frame
}

/// Reads the body of a reply's frame.
pub(super) fn decode(frame: &Frame) -> Result<Reply, Malformed> {
    let mut reader = frame.reader();
    let id = reader.u64("request id")?;
    let body = match reader.u8("outcome")? {
        DONE => ReplyBody::Done {
            at: fields::log_id(&mut reader, ["entry term", "entry index"])?,
            answer: frame.rest(&mut reader),
        },
        ANSWER => ReplyBody::Answer {
            read_index: fields::index(&mut reader, "read index")?,
            log_time: fields::log_time(&mut reader, "log time")?,
            heard_ago: fields::duration_or_none(&mut reader, ["heard at all", "heard ago"])?,
            answer: frame.rest(&mut reader),
        },
        REFUSED => read_refused(&mut reader)?,
        UNKNOWN => ReplyBody::Unknown { text: fields::text(&mut reader, "text")? },
        STATUS => ReplyBody::Status(Box::new(status::read(&mut reader)?)),
        TRANSFERRED => ReplyBody::Transferred {
            leader: fields::node(&mut reader, "leader")?,
            term: fields::term(&mut reader, "leader term")?,
        },
        PONG => ReplyBody::Pong,
        SNAPSHOTS => ReplyBody::Snapshots(read_snapshots(&mut reader)?),
        PIECE => ReplyBody::Piece(frame.rest(&mut reader)),
        MEMBERS => ReplyBody::Members { index: fields::index(&mut reader, "configuration index")? },
        LOG => ReplyBody::Log(log_part::read_part(frame, &mut reader)?),
        other => return Err(reader.invalid("outcome", 1, u64::from(other))),
    };
    reader.finish()?;
    Ok(Reply { id, body })
}

fn read_snapshots(reader: &mut ByteReader<'_>) -> Result<Vec<KeptSnapshot>, Malformed> {
    let count = reader.count("snapshots", MAX_SNAPSHOTS, piece::SNAPSHOT_BYTES + 8)?;
    let mut snapshots = Vec::with_capacity(count);
    for _ in 0..count {
        let id = SnapshotId::decode(reader)?;
        let log_time = fields::log_time(reader, "snapshot time")?;
        snapshots.push(KeptSnapshot { id, log_time });
    }
    Ok(snapshots)
}

fn read_refused(reader: &mut ByteReader<'_>) -> Result<ReplyBody, Malformed> {
    let number = reader.u16("refusal code")?;
    let code = RefusalCode::from_number(number)
        .ok_or_else(|| reader.invalid("refusal code", 2, u64::from(number)))?;
    let leader = fields::node_or_none(reader, "leader")?;
    let term = fields::term(reader, "leader term")?;
    if leader.is_none() && term != Term::ZERO {
        return Err(reader.invalid("leader term", 8, term.0));
    }
    let address = fields::short_text(reader, "leader address")?;
    if leader.is_none() && !address.is_empty() {
        return Err(reader.invalid("leader address", address.len(), 0));
    }
    let text = fields::text(reader, "text")?;
    Ok(ReplyBody::Refused { code, leader: leader.map(|id| LeaderHint { id, term, address }), text })
}
