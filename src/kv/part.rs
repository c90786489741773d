//! The parts that a snapshot's content consists of, as bytes.

use super::answer::Item;
use super::command::{MAX_COMMAND_BYTES, read_key, read_session_name};
use super::session::LONGEST_ANSWER;
use crate::model::{ByteReader, Index, LogId, LogTime, Malformed, PutBytes, Term};

/// The layout of the whole that this version writes and reads.
pub(super) const LAYOUT: u8 = 1;

/// The first byte of each part. The head is the first part, and its first byte the layout.
const HEAD: u8 = LAYOUT;
const SESSION: u8 = 2;
const ANSWER: u8 = 3;
const KEY: u8 = 4;
const END: u8 = 5;

/// The bytes of each part beside what has a length.
const HEAD_BYTES: usize = 1 + 4 + 4 * 8 + 1;
const SESSION_BYTES: usize = 1 + 4 * 8 + 1;
const ANSWER_BYTES: usize = 1 + 3 * 8 + 4;
const KEY_BYTES: usize = 1 + 2 * 8 + 2 * 4;
const END_BYTES: usize = 1 + 3 * 8 + 16;

const VALUE_BOUND: u32 = MAX_COMMAND_BYTES as u32;

/// A part, borrowed from its encoding or from the state. Its fields stand in their order in the
/// encoding.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Part<'a> {
    Head(Head<'a>),
    Session(SessionRecord<'a>),
    /// It belongs to the session before it.
    Answer(AnswerRecord<'a>),
    Key(&'a [u8], Item<'a>),
    End(End),
}

/// All that isn't a session or a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Head<'a> {
    pub(super) feature_level: u32,
    pub(super) applied: LogId,
    pub(super) log_time: LogTime,
    pub(super) forgotten: LogTime,
    pub(super) settings: &'a [u8],
}

/// What is remembered of a session beside its answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct SessionRecord<'a> {
    pub(super) opened_at: LogTime,
    pub(super) lowest: u64,
    pub(super) active_index: Index,
    pub(super) active_at: LogTime,
    pub(super) name: &'a [u8],
}

/// A remembered answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct AnswerRecord<'a> {
    pub(super) number: u64,
    /// The entry that carried the command out.
    pub(super) id: LogId,
    pub(super) answer: &'a [u8],
}

/// By what the reader checks that it has everything.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct End {
    pub(super) sessions: u64,
    pub(super) answers: u64,
    pub(super) keys: u64,
    pub(super) hash: u128,
}

impl<'a> Part<'a> {
    /// The length of the encoding.
    pub(super) const fn encoded_bytes(&self) -> usize {
        match self {
            Part::Head(head) => HEAD_BYTES + head.settings.len(),
            Part::Session(session) => SESSION_BYTES + session.name.len(),
            Part::Answer(answer) => ANSWER_BYTES + answer.answer.len(),
            Part::Key(key, item) => KEY_BYTES + key.len() + item.value.len(),
            Part::End(_) => END_BYTES,
        }
    }

    /// Appends the encoding to `out`; docs/state-machine.md has it byte by byte.
    pub(super) fn encode(&self, out: &mut impl PutBytes) {
        match self {
            Part::Head(head) => {
                out.put_u8(HEAD);
                out.put_u32_le(head.feature_level);
                put_id(head.applied, out);
                out.put_u64_le(head.log_time.0);
                out.put_u64_le(head.forgotten.0);
                out.put_short_bytes(head.settings);
            }
            Part::Session(session) => {
                out.put_u8(SESSION);
                out.put_u64_le(session.opened_at.0);
                out.put_u64_le(session.lowest);
                out.put_u64_le(session.active_index.0);
                out.put_u64_le(session.active_at.0);
                out.put_short_bytes(session.name);
            }
            Part::Answer(AnswerRecord { number, id, answer }) => {
                out.put_u8(ANSWER);
                out.put_u64_le(*number);
                put_id(*id, out);
                out.put_long_bytes(answer);
            }
            Part::Key(key, item) => {
                out.put_u8(KEY);
                out.put_u64_le(item.version);
                out.put_u64_le(item.mod_index.0);
                out.put_long_bytes(key);
                out.put_long_bytes(item.value);
            }
            Part::End(end) => {
                out.put_u8(END);
                out.put_u64_le(end.sessions);
                out.put_u64_le(end.answers);
                out.put_u64_le(end.keys);
                out.put_u128_le(end.hash);
            }
        }
    }

    /// Reads the part that `bytes` begin with, and tells its length. If the part is cut, the error
    /// is [`Malformed::Short`].
    pub(super) fn decode(bytes: &'a [u8]) -> Result<(Part<'a>, usize), Malformed> {
        let mut reader = ByteReader::new(bytes);
        let part = match reader.u8("part")? {
            HEAD => Part::Head(Head::decode(&mut reader)?),
            SESSION => Part::Session(SessionRecord {
                opened_at: LogTime(reader.u64("opening time")?),
                lowest: reader.u64("lowest number")?,
                active_index: Index(reader.u64("index of the last activity")?),
                active_at: LogTime(reader.u64("time of the last activity")?),
                name: read_session_name(&mut reader)?,
            }),
            ANSWER => Part::Answer(AnswerRecord {
                number: reader.u64("number")?,
                id: read_id(&mut reader)?,
                answer: reader.long_bytes("answer", LONGEST_ANSWER as u32)?,
            }),
            KEY => {
                let version = reader.u64("version")?;
                let mod_index = Index(reader.u64("modification index")?);
                let key = read_key(&mut reader)?;
                let value = reader.long_bytes("value", VALUE_BOUND)?;
                Part::Key(key, Item { value, version, mod_index })
            }
            END => Part::End(End {
                sessions: reader.u64("sessions")?,
                answers: reader.u64("answers")?,
                keys: reader.u64("keys")?,
                hash: reader.u128("state hash")?,
            }),
            other => return Err(reader.invalid("part", 1, u64::from(other))),
        };
        Ok((part, reader.offset()))
    }
}

impl<'a> Head<'a> {
    fn decode(reader: &mut ByteReader<'a>) -> Result<Head<'a>, Malformed> {
        Ok(Head {
            feature_level: reader.u32("feature level")?,
            applied: read_id(reader)?,
            log_time: LogTime(reader.u64("log time")?),
            forgotten: LogTime(reader.u64("forgotten")?),
            settings: reader.short_bytes("settings", u8::MAX)?,
        })
    }
}

fn put_id(id: LogId, out: &mut impl PutBytes) {
    out.put_u64_le(id.index.0);
    out.put_u64_le(id.term.0);
}

fn read_id(reader: &mut ByteReader<'_>) -> Result<LogId, Malformed> {
    let index = Index(reader.u64("index")?);
    let term = Term(reader.u64("term")?);
    Ok(LogId::new(term, index))
}
