//! What members say to each other, as frames.

use bytes::{BufMut, BytesMut};

use super::append::encode_append_head;
use super::piece::{put_piece, put_piece_reply, read_piece, read_piece_reply};
use super::{Frame, Kind, OpenFrame, WireError, fields};
use crate::model::{
    Append, AppendReply, Batch, BatchError, Body, Boot, ByteReader, ENTRY_HEADER_BYTES, Index,
    MAX_SEATS, Malformed, PeerLevel, PutBytes, Round, Term,
};

/// One level in a heartbeat: node, incarnation, match, boot.
pub(super) const LEVEL_BYTES: usize = 2 + 16 + 8 + 8;

/// Where the term stands in an encoded entry.
const ENTRY_TERM_AT: usize = 20;

const ACCEPTED: u8 = 1;
const CONFLICT: u8 = 2;
const BUSY: u8 = 3;

const LAST: [&str; 2] = ["last term", "last index"];
const PREV: [&str; 2] = ["previous term", "previous index"];

/// Appends the frame of a message to `out`.
///
/// The frame of an [`Append`] is complete only with its entries: `out` gets its head, behind
/// which the bytes of the batch are to be sent, from where they are. A batch that may be longer
/// than one frame is to be split first, see [`split_append`](super::split_append).
pub fn encode_message(term: Term, body: &Body, out: &mut BytesMut) {
    if let Body::Append(append) = body {
        return encode_append_head(term, append, out);
    }
    let frame = OpenFrame::begin(kind(body), out);
    out.put_u64_le(term.0);
    match body {
        Body::PreVote { candidate_term, last } => {
            out.put_u64_le(candidate_term.0);
            fields::put_log_id(*last, out);
        }
        Body::PreVoteReply { candidate_term, granted } => {
            out.put_u64_le(candidate_term.0);
            out.put_bool(*granted);
        }
        Body::Vote { last, transfer } => {
            fields::put_log_id(*last, out);
            out.put_bool(*transfer);
        }
        Body::VoteReply { granted } => out.put_bool(*granted),
        Body::AppendReply(reply) => put_append_reply(reply, out),
        Body::Heartbeat { round, commit, levels } => put_heartbeat(*round, *commit, levels, out),
        Body::HeartbeatReply { round, matched, durable } => {
            out.put_u64_le(round.0);
            out.put_u64_le(matched.0);
            out.put_u64_le(durable.0);
        }
        Body::Piece(piece) => put_piece(piece, out),
        Body::PieceReply(reply) => put_piece_reply(reply, out),
        Body::TimeoutNow | Body::Append(_) => {}
    }
    frame.seal(out);
}

const fn kind(body: &Body) -> Kind {
    match body {
        Body::PreVote { .. } => Kind::PreVote,
        Body::PreVoteReply { .. } => Kind::PreVoteReply,
        Body::Vote { .. } => Kind::Vote,
        Body::VoteReply { .. } => Kind::VoteReply,
        Body::Append(_) => Kind::Append,
        Body::AppendReply(_) => Kind::AppendReply,
        Body::Heartbeat { .. } => Kind::Heartbeat,
        Body::HeartbeatReply { .. } => Kind::HeartbeatReply,
        Body::TimeoutNow => Kind::TimeoutNow,
        Body::Piece(_) => Kind::Piece,
        Body::PieceReply(_) => Kind::PieceReply,
    }
}

fn put_append_reply(reply: &AppendReply, out: &mut BytesMut) {
    match reply {
        AppendReply::Accepted { matched, durable } => put_levels(ACCEPTED, *matched, *durable, out),
        AppendReply::Busy { matched, durable } => put_levels(BUSY, *matched, *durable, out),
        AppendReply::Conflict { rejected, hint } => {
            out.put_u8(CONFLICT);
            out.put_u64_le(rejected.0);
            fields::put_log_id(*hint, out);
        }
    }
}

fn put_levels(result: u8, matched: Index, durable: Index, out: &mut BytesMut) {
    out.put_u8(result);
    out.put_u64_le(matched.0);
    out.put_u64_le(durable.0);
}

fn put_heartbeat(round: Round, commit: Index, levels: &[PeerLevel], out: &mut BytesMut) {
    out.put_u64_le(round.0);
    out.put_u64_le(commit.0);
    out.put_u32_le(levels.len() as u32);
    for level in levels {
        fields::put_member(level.member, out);
        out.put_u64_le(level.matched.0);
        out.put_u64_le(level.boot.0);
    }
}

/// Reads the body of a message's frame.
pub(super) fn decode(frame: &Frame) -> Result<(Term, Body), WireError> {
    let mut reader = frame.reader();
    let term = frame.body_error(fields::term(&mut reader, "term"))?;
    let body = match frame.kind() {
        Kind::Append => Body::Append(read_append(frame, term, &mut reader)?),
        Kind::Piece => Body::Piece(read_piece(frame, term, &mut reader)?),
        kind => frame.body_error(read_body(kind, term, &mut reader))?,
    };
    frame.body_error(reader.finish())?;
    Ok((term, body))
}

fn read_body(kind: Kind, term: Term, reader: &mut ByteReader<'_>) -> Result<Body, Malformed> {
    Ok(match kind {
        Kind::PreVote => Body::PreVote {
            candidate_term: fields::term(reader, "candidate term")?,
            last: fields::log_id_up_to(reader, LAST, term)?,
        },
        Kind::PreVoteReply => Body::PreVoteReply {
            candidate_term: fields::term(reader, "candidate term")?,
            granted: reader.bool("granted")?,
        },
        Kind::Vote => Body::Vote {
            last: fields::log_id_up_to(reader, LAST, term)?,
            transfer: reader.bool("transfer")?,
        },
        Kind::VoteReply => Body::VoteReply { granted: reader.bool("granted")? },
        Kind::AppendReply => Body::AppendReply(read_append_reply(term, reader)?),
        Kind::Heartbeat => Body::Heartbeat {
            round: Round(fields::counter(reader, "round")?),
            commit: fields::index(reader, "commit index")?,
            levels: read_peer_levels(reader)?,
        },
        Kind::HeartbeatReply => {
            let round = Round(fields::counter(reader, "round")?);
            let (matched, durable) = read_levels(reader)?;
            Body::HeartbeatReply { round, matched, durable }
        }
        Kind::TimeoutNow => Body::TimeoutNow,
        Kind::PieceReply => Body::PieceReply(read_piece_reply(term, reader)?),
        other => unreachable!("{other} is no message of a member"),
    })
}

fn read_append_reply(term: Term, reader: &mut ByteReader<'_>) -> Result<AppendReply, Malformed> {
    match reader.u8("result")? {
        ACCEPTED => {
            let (matched, durable) = read_levels(reader)?;
            Ok(AppendReply::Accepted { matched, durable })
        }
        CONFLICT => {
            let rejected = fields::index(reader, "rejected index")?;
            let hint = fields::log_id_up_to(reader, ["hint term", "hint index"], term)?;
            Ok(AppendReply::Conflict { rejected, hint })
        }
        BUSY => {
            let (matched, durable) = read_levels(reader)?;
            Ok(AppendReply::Busy { matched, durable })
        }
        other => Err(reader.invalid("result", 1, u64::from(other))),
    }
}

/// What matches, and how much of it is durable.
fn read_levels(reader: &mut ByteReader<'_>) -> Result<(Index, Index), Malformed> {
    let matched = fields::index(reader, "matched index")?;
    let offset = reader.offset();
    let durable = fields::index(reader, "durable index")?;
    if durable > matched {
        let (found, bound) = (durable.0, matched.0);
        return Err(Malformed::TooLarge { field: "durable index", offset, found, bound });
    }
    Ok((matched, durable))
}

fn read_peer_levels(reader: &mut ByteReader<'_>) -> Result<Vec<PeerLevel>, Malformed> {
    let count = reader.count("levels", MAX_SEATS, LEVEL_BYTES)?;
    let mut levels = Vec::with_capacity(count);
    for _ in 0..count {
        levels.push(PeerLevel {
            member: fields::member(reader, ["level node", "level incarnation"])?,
            matched: fields::index(reader, "level match")?,
            boot: Boot(fields::counter(reader, "level boot")?),
        });
    }
    Ok(levels)
}

fn read_append(
    frame: &Frame,
    term: Term,
    reader: &mut ByteReader<'_>,
) -> Result<Append, WireError> {
    let prev = frame.body_error(fields::log_id_up_to(reader, PREV, term))?;
    let commit = frame.body_error(fields::index(reader, "commit index"))?;
    if reader.left() == 0 {
        return Ok(Append { prev, commit, batch: None });
    }
    let start = reader.offset();
    let batch = frame.entries_error(start, Batch::parse(frame.rest(reader)))?;
    let first = batch.first();
    if first.index != prev.index.next() || first.term < prev.term {
        let error = BatchError::Sequence { offset: 0, previous: prev, found: first };
        return frame.entries_error(start, Err(error));
    }
    let (found, bound) = (batch.last().term.0, term.0);
    if found > bound {
        let last = start + batch.bytes_len() - batch.entry_bytes(batch.len() - 1);
        let (field, offset) = ("entry term", last + ENTRY_TERM_AT);
        return frame.body_error(Err(Malformed::TooLarge { field, offset, found, bound }));
    }
    Ok(Append { prev, commit, batch: Some(batch) })
}

const _: () = assert!(ENTRY_TERM_AT + 8 <= ENTRY_HEADER_BYTES);
