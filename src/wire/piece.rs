//! Pieces of snapshots on their way from the leader to a follower.

use bytes::{BufMut, BytesMut};

use super::{Frame, WireError};
use crate::model::{ByteReader, Malformed, Piece, PieceReply, Receipt, SnapshotId, Term};

/// The body of a piece before its bytes: term, log id, length, hash, offset.
pub(super) const PIECE_HEAD_BYTES: usize = 8 + SNAPSHOT_BYTES + 8;

/// A snapshot's name: log id, length, hash.
pub(super) const SNAPSHOT_BYTES: usize = 16 + 8 + 16;

const HAS: u8 = 1;
const DONE: u8 = 2;

/// Appends a piece, behind the term.
pub(super) fn put_piece(piece: &Piece, out: &mut BytesMut) {
    piece.snapshot.encode(out);
    out.put_u64_le(piece.offset);
    out.put_slice(&piece.bytes);
}

/// Appends a reply, behind the term.
pub(super) fn put_piece_reply(reply: &PieceReply, out: &mut BytesMut) {
    reply.snapshot.encode(out);
    match reply.receipt {
        Receipt::Has(offset) => {
            out.put_u8(HAS);
            out.put_u64_le(offset);
        }
        Receipt::Done => out.put_u8(DONE),
    }
}

/// Reads a piece behind the term; it shares the frame's buffer.
pub(super) fn read_piece(
    frame: &Frame,
    term: Term,
    reader: &mut ByteReader<'_>,
) -> Result<Piece, WireError> {
    let snapshot = frame.body_error(read_snapshot_up_to(term, reader))?;
    let left = (frame.body().len() - PIECE_HEAD_BYTES) as u64;
    let offset = frame.body_error(read_offset(snapshot.bytes, left, reader))?;
    Ok(Piece { snapshot, offset, bytes: frame.rest(reader) })
}

/// Reads a reply behind the term.
pub(super) fn read_piece_reply(
    term: Term,
    reader: &mut ByteReader<'_>,
) -> Result<PieceReply, Malformed> {
    let snapshot = read_snapshot_up_to(term, reader)?;
    let receipt = match reader.u8("receipt")? {
        HAS => Receipt::Has(read_offset(snapshot.bytes, 0, reader)?),
        DONE => Receipt::Done,
        other => return Err(reader.invalid("receipt", 1, u64::from(other))),
    };
    Ok(PieceReply { snapshot, receipt })
}

/// A snapshot whose last entry isn't of a term above the sender's.
fn read_snapshot_up_to(term: Term, reader: &mut ByteReader<'_>) -> Result<SnapshotId, Malformed> {
    let offset = reader.offset();
    let snapshot = SnapshotId::decode(reader)?;
    if snapshot.last.term > term {
        let (found, bound) = (snapshot.last.term.0, term.0);
        return Err(Malformed::TooLarge { field: "snapshot term", offset, found, bound });
    }
    Ok(snapshot)
}

/// Where `length` bytes stand, all of them inside of `bytes`.
pub(super) fn read_offset(
    bytes: u64,
    length: u64,
    reader: &mut ByteReader<'_>,
) -> Result<u64, Malformed> {
    let at = reader.offset();
    let found = reader.u64("offset")?;
    match bytes.checked_sub(length) {
        Some(bound) if found <= bound => Ok(found),
        bound => {
            let bound = bound.unwrap_or(0);
            Err(Malformed::TooLarge { field: "offset", offset: at, found, bound })
        }
    }
}
