//! Parts of a node's log, for another one that has lost them.

use bytes::{BufMut, Bytes, BytesMut};

use super::{Frame, fields};
use crate::model::{ByteReader, LogId, Malformed, PutBytes, Term};

/// The most places that a request for entries names.
pub const MAX_PLACES: usize = 128;

/// Which entries are asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogQuestion {
    /// The entries are to follow one of these, the first that the node holds; at most
    /// [`MAX_PLACES`].
    pub behind: Vec<LogId>,
    /// Only a node that holds this entry is to give any, and none behind it.
    pub until: Option<LogId>,
}

/// What a node's log holds of what was asked for, and how the node stands, both at one moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogPart {
    /// Its term.
    pub term: Term,
    /// Whether it leads in that term.
    pub leads: bool,
    /// The entry before the first of its log.
    pub base: LogId,
    /// The last entry of its log, durable or not.
    pub last: LogId,
    /// The entry that those given follow; `None` if it holds none of those that were named, or
    /// not the last one.
    pub behind: Option<LogId>,
    /// Entries, one behind the other, as many as are on disk and go into one reply.
    pub entries: Bytes,
}

pub(super) fn put_question(question: &LogQuestion, out: &mut BytesMut) {
    out.put_u32_le(question.behind.len() as u32);
    for place in &question.behind {
        fields::put_log_id(*place, out);
    }
    put_id_or_none(question.until, out);
}

pub(super) fn read_question(reader: &mut ByteReader<'_>) -> Result<LogQuestion, Malformed> {
    let count = reader.count("places", MAX_PLACES as u32, 16)?;
    let mut behind = Vec::with_capacity(count);
    for _ in 0..count {
        behind.push(fields::log_id(reader, ["place term", "place index"])?);
    }
    let until = read_id_or_none(reader, ["until at all", "until term", "until index"])?;
    Ok(LogQuestion { behind, until })
}

pub(super) fn put_part(part: &LogPart, out: &mut BytesMut) {
    out.put_u64_le(part.term.0);
    out.put_bool(part.leads);
    fields::put_log_id(part.base, out);
    fields::put_log_id(part.last, out);
    put_id_or_none(part.behind, out);
    out.put_slice(&part.entries);
}

pub(super) fn read_part(frame: &Frame, reader: &mut ByteReader<'_>) -> Result<LogPart, Malformed> {
    Ok(LogPart {
        term: fields::term(reader, "term")?,
        leads: reader.bool("leads")?,
        base: fields::log_id(reader, ["base term", "base index"])?,
        last: fields::log_id(reader, ["last term", "last index"])?,
        behind: read_id_or_none(reader, ["behind at all", "behind term", "behind index"])?,
        entries: frame.rest(reader),
    })
}

fn put_id_or_none(id: Option<LogId>, out: &mut BytesMut) {
    out.put_bool(id.is_some());
    fields::put_log_id(id.unwrap_or(LogId::ORIGIN), out);
}

fn read_id_or_none(
    reader: &mut ByteReader<'_>,
    [present_field, term_field, index_field]: [&'static str; 3],
) -> Result<Option<LogId>, Malformed> {
    let present = reader.bool(present_field)?;
    let id = fields::log_id(reader, [term_field, index_field])?;
    if !present && id != LogId::ORIGIN {
        return Err(reader.invalid(index_field, 8, id.index.0));
    }
    Ok(present.then_some(id))
}
