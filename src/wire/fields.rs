//! Fields that several messages share, each written and read in one place.

use std::time::Duration;

use bytes::{BufMut, BytesMut};

use super::{MAX_COUNTER, MAX_TEXT_BYTES};
use crate::model::{
    ByteReader, Incarnation, Index, LogId, LogTime, Malformed, Member, NodeId, PutBytes, Term,
};

/// A term, index, round or boot: eight bytes, at most [`MAX_COUNTER`].
pub(super) fn counter(reader: &mut ByteReader<'_>, field: &'static str) -> Result<u64, Malformed> {
    let offset = reader.offset();
    match reader.u64(field)? {
        found if found <= MAX_COUNTER => Ok(found),
        found => Err(Malformed::TooLarge { field, offset, found, bound: MAX_COUNTER }),
    }
}

pub(super) fn term(reader: &mut ByteReader<'_>, field: &'static str) -> Result<Term, Malformed> {
    counter(reader, field).map(Term)
}

pub(super) fn index(reader: &mut ByteReader<'_>, field: &'static str) -> Result<Index, Malformed> {
    counter(reader, field).map(Index)
}

/// The name of an entry: its term, then its index.
pub(super) fn log_id(
    reader: &mut ByteReader<'_>,
    [term_field, index_field]: [&'static str; 2],
) -> Result<LogId, Malformed> {
    Ok(LogId { term: term(reader, term_field)?, index: index(reader, index_field)? })
}

/// The name of an entry of the sender's log, whose term can't be above the sender's own.
pub(super) fn log_id_up_to(
    reader: &mut ByteReader<'_>,
    fields: [&'static str; 2],
    own: Term,
) -> Result<LogId, Malformed> {
    let offset = reader.offset();
    let id = log_id(reader, fields)?;
    if id.term > own {
        let (found, bound) = (id.term.0, own.0);
        return Err(Malformed::TooLarge { field: fields[0], offset, found, bound });
    }
    Ok(id)
}

pub(super) fn put_log_id(id: LogId, out: &mut BytesMut) {
    out.put_u64_le(id.term.0);
    out.put_u64_le(id.index.0);
}

/// A node's number, from 1.
pub(super) fn node(reader: &mut ByteReader<'_>, field: &'static str) -> Result<NodeId, Malformed> {
    let number = reader.u16(field)?;
    NodeId::new(number).ok_or_else(|| reader.invalid(field, 2, 0))
}

/// A node's number, where 0 says that there is none.
pub(super) fn node_or_none(
    reader: &mut ByteReader<'_>,
    field: &'static str,
) -> Result<Option<NodeId>, Malformed> {
    reader.u16(field).map(NodeId::new)
}

pub(super) fn put_node_or_none(node: Option<NodeId>, out: &mut BytesMut) {
    out.put_u16_le(node.map_or(0, NodeId::number));
}

/// A node's number and incarnation.
pub(super) fn member(
    reader: &mut ByteReader<'_>,
    [node_field, incarnation_field]: [&'static str; 2],
) -> Result<Member, Malformed> {
    let id = node(reader, node_field)?;
    Ok(Member { id, incarnation: Incarnation(reader.u128(incarnation_field)?) })
}

pub(super) fn put_member(member: Member, out: &mut BytesMut) {
    out.put_u16_le(member.id.number());
    out.put_u128_le(member.incarnation.0);
}

/// A time of the log, in nanoseconds.
pub(super) fn log_time(
    reader: &mut ByteReader<'_>,
    field: &'static str,
) -> Result<LogTime, Malformed> {
    reader.u64(field).map(LogTime)
}

/// A duration, in nanoseconds.
pub(super) fn duration(
    reader: &mut ByteReader<'_>,
    field: &'static str,
) -> Result<Duration, Malformed> {
    reader.u64(field).map(Duration::from_nanos)
}

pub(super) fn put_duration(duration: Duration, out: &mut BytesMut) {
    out.put_u64_le(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
}

/// A byte that says whether there is a duration, then the duration or 0.
pub(super) fn duration_or_none(
    reader: &mut ByteReader<'_>,
    [present_field, field]: [&'static str; 2],
) -> Result<Option<Duration>, Malformed> {
    let present = reader.bool(present_field)?;
    let nanoseconds = reader.u64(field)?;
    if !present && nanoseconds != 0 {
        return Err(reader.invalid(field, 8, nanoseconds));
    }
    Ok(present.then_some(Duration::from_nanos(nanoseconds)))
}

pub(super) fn put_duration_or_none(duration: Option<Duration>, out: &mut BytesMut) {
    out.put_bool(duration.is_some());
    put_duration(duration.unwrap_or_default(), out);
}

/// Bytes behind a two-byte length.
pub(super) fn bytes<'a>(
    reader: &mut ByteReader<'a>,
    field: &'static str,
    bound: usize,
) -> Result<&'a [u8], Malformed> {
    let offset = reader.offset();
    let length = usize::from(reader.u16(field)?);
    if length > bound {
        let (found, bound) = (length as u64, bound as u64);
        return Err(Malformed::TooLarge { field, offset, found, bound });
    }
    reader.take(field, length)
}

/// UTF-8 of at most [`MAX_TEXT_BYTES`] behind a two-byte length.
pub(super) fn text(reader: &mut ByteReader<'_>, field: &'static str) -> Result<String, Malformed> {
    let start = reader.offset() + 2;
    let bytes = bytes(reader, field, MAX_TEXT_BYTES)?;
    printable(bytes, field, start)
}

/// UTF-8 of at most 255 bytes behind a one-byte length.
pub(super) fn short_text(
    reader: &mut ByteReader<'_>,
    field: &'static str,
) -> Result<String, Malformed> {
    let start = reader.offset() + 1;
    let bytes = reader.short_bytes(field, u8::MAX)?;
    printable(bytes, field, start)
}

/// The text of these bytes, which begin at `start`. Texts end up in logs and on terminals, so
/// there are no control characters in them.
fn printable(bytes: &[u8], field: &'static str, start: usize) -> Result<String, Malformed> {
    let invalid = |at: usize, found: u64| Malformed::Invalid { field, offset: start + at, found };
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        invalid(at, u64::from(bytes[at]))
    })?;
    match text.char_indices().find(|(_, character)| character.is_control()) {
        Some((at, character)) => Err(invalid(at, u64::from(character))),
        None => Ok(text.to_owned()),
    }
}

/// Writes what [`text`] reads, cut to [`MAX_TEXT_BYTES`], with spaces for control characters.
pub(super) fn put_text(text: &str, out: &mut BytesMut) {
    let start = out.len();
    out.put_u16_le(0);
    put_printable(cut(text, MAX_TEXT_BYTES), out);
    let length = (out.len() - start - 2) as u16;
    out[start..start + 2].copy_from_slice(&length.to_le_bytes());
}

/// Writes what [`short_text`] reads, cut to 255 bytes, with spaces for control characters.
pub(super) fn put_short_text(text: &str, out: &mut BytesMut) {
    let start = out.len();
    out.put_u8(0);
    put_printable(cut(text, usize::from(u8::MAX)), out);
    out[start] = (out.len() - start - 1) as u8;
}

fn put_printable(text: &str, out: &mut BytesMut) {
    for (number, part) in text.split(char::is_control).enumerate() {
        if number > 0 {
            out.put_u8(b' ');
        }
        out.put_slice(part.as_bytes());
    }
}

/// As much of the front of `text` as fits into `bound` bytes.
fn cut(text: &str, bound: usize) -> &str {
    let end = (0..=bound.min(text.len())).rev().find(|&end| text.is_char_boundary(end));
    &text[..end.unwrap_or(0)]
}

/// Tagged fields up to the end: tag (2 bytes), length (2), that many bytes; tags ascend. Each is
/// given to `take`, which passes over those that it doesn't know.
pub(super) fn tagged(
    reader: &mut ByteReader<'_>,
    mut take: impl FnMut(u16, &[u8]) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    let mut last = None;
    while reader.left() > 0 {
        let tag = reader.u16("tag")?;
        if last.is_some_and(|last| last >= tag) {
            return Err(reader.invalid("tag", 2, u64::from(tag)));
        }
        last = Some(tag);
        let value = bytes(reader, "tagged field", usize::from(u16::MAX))?;
        let start = reader.offset() - value.len();
        take(tag, value).map_err(|error| error.shifted(start))?;
    }
    Ok(())
}
