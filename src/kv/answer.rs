//! What clients are told.

use super::command::read_key;
use super::query::MAX_KEYS;
use super::refusal::Refusal;
use crate::model::{ByteReader, Index, LogTime, MAX_ENTRY_BYTES, Malformed, PutBytes};

/// A swap that didn't take place tells the value that it found if it has at most so many bytes.
/// Answers are remembered, so their length is bounded.
pub const TOLD_VALUE_BYTES: u32 = 4096;

const REFUSED: u8 = 0;
const PUT: u8 = 1;
const DELETED: u8 = 2;
const SWAPPED: u8 = 3;
const NOT_SWAPPED: u8 = 4;
const INCREMENTED: u8 = 5;
const SESSION_OPENED: u8 = 16;
const SESSION_CLOSED: u8 = 17;
const VALUES: u8 = 32;
const PAGE: u8 = 33;
const SESSION: u8 = 34;

const FOUND_ABSENT: u8 = 0;
const FOUND_TOLD: u8 = 1;
const FOUND_LONGER: u8 = 2;

/// The answer to a command or a query, borrowed from its encoding.
///
/// Which entry carried a command out isn't part of it: that is told beside it, see
/// [`Applied::Answered`](super::Applied::Answered).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer<'a> {
    /// The command wasn't carried out.
    Refused(Refusal),
    /// The key has the value.
    Put {
        /// Its version now.
        version: u64,
    },
    /// The key isn't there.
    Deleted {
        /// Whether it was there.
        existed: bool,
    },
    /// The key was as expected and has the new value.
    Swapped {
        /// Its version now.
        version: u64,
    },
    /// The key wasn't as expected and is as it was.
    NotSwapped(Found<'a>),
    /// The key's number has grown.
    Incremented {
        /// What it is now.
        value: i64,
        /// The key's version now.
        version: u64,
    },
    /// The session is open.
    SessionOpened,
    /// The session is closed.
    SessionClosed,
    /// The values of the first keys that were asked for, in their order.
    Values(Vec<Option<Item<'a>>>),
    /// A page of keys.
    Page {
        /// The keys, in order.
        items: Vec<PageItem<'a>>,
        /// Where the next page begins; `None` behind the last one.
        cursor: Option<&'a [u8]>,
    },
    /// What is remembered of the session, if anything is.
    Session(Option<SessionState>),
}

/// How a key was found that should have been otherwise.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Found<'a> {
    /// It isn't there.
    Absent,
    /// It has this value.
    Value(Item<'a>),
    /// It has a value of more than [`TOLD_VALUE_BYTES`], which isn't told.
    Longer {
        /// The length of the value.
        length: u32,
        /// How often the key was written.
        version: u64,
        /// Which entry wrote it last.
        mod_index: Index,
    },
}

/// The value of a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Item<'a> {
    /// The value.
    pub value: &'a [u8],
    /// How often the key was written since it came to be.
    pub version: u64,
    /// Which entry wrote it last.
    pub mod_index: Index,
}

/// A key of a page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PageItem<'a> {
    /// The key.
    pub key: &'a [u8],
    /// Its value; `None` if only the keys were asked for.
    pub value: Option<&'a [u8]>,
    /// How often the key was written since it came to be.
    pub version: u64,
    /// Which entry wrote it last.
    pub mod_index: Index,
}

/// What is remembered of a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SessionState {
    /// The log time it was opened with.
    pub opened_at: LogTime,
    /// The log time of its last command.
    pub active_at: LogTime,
    /// The lowest number that it still waits for; [`u64::MAX`] in a closed session.
    pub lowest: u64,
    /// How many answers are remembered.
    pub answers: u32,
}

impl<'a> Answer<'a> {
    /// Appends the encoding to `out`; docs/state-machine.md has it byte by byte.
    ///
    /// # Panics
    ///
    /// If a field has 4 GiB: no encoding exists.
    pub fn encode(&self, out: &mut impl PutBytes) {
        match self {
            Answer::Refused(refusal) => {
                out.put_u8(REFUSED);
                refusal.encode(out);
            }
            Answer::Put { version } => put_version(PUT, *version, out),
            Answer::Deleted { existed } => {
                out.put_u8(DELETED);
                out.put_bool(*existed);
            }
            Answer::Swapped { version } => put_version(SWAPPED, *version, out),
            Answer::NotSwapped(found) => {
                out.put_u8(NOT_SWAPPED);
                found.encode(out);
            }
            Answer::Incremented { value, version } => {
                put_version(INCREMENTED, *version, out);
                out.put_i64_le(*value);
            }
            Answer::SessionOpened => out.put_u8(SESSION_OPENED),
            Answer::SessionClosed => out.put_u8(SESSION_CLOSED),
            Answer::Values(values) => {
                put_values_head(out);
                out.put_u32_le(u32::try_from(values.len()).expect("less than 2^32 values"));
                for value in values {
                    put_value(*value, out);
                }
            }
            Answer::Page { items, cursor } => {
                put_page_head(out);
                for item in items {
                    put_page_item(*item, out);
                }
                put_page_end(*cursor, out);
            }
            Answer::Session(state) => {
                out.put_u8(SESSION);
                out.put_bool(state.is_some());
                if let Some(state) = state {
                    out.put_u64_le(state.opened_at.0);
                    out.put_u64_le(state.active_at.0);
                    out.put_u64_le(state.lowest);
                    out.put_u32_le(state.answers);
                }
            }
        }
    }

    /// Reads what [`Answer::encode`] wrote; nothing may follow it.
    pub fn decode(bytes: &'a [u8]) -> Result<Answer<'a>, Malformed> {
        let mut reader = ByteReader::new(bytes);
        let answer = match reader.u8("answer")? {
            REFUSED => Answer::Refused(Refusal::decode(&mut reader)?),
            PUT => Answer::Put { version: reader.u64("version")? },
            DELETED => Answer::Deleted { existed: reader.bool("existed")? },
            SWAPPED => Answer::Swapped { version: reader.u64("version")? },
            NOT_SWAPPED => Answer::NotSwapped(Found::decode(&mut reader)?),
            INCREMENTED => {
                let version = reader.u64("version")?;
                Answer::Incremented { version, value: reader.u64("value")?.cast_signed() }
            }
            SESSION_OPENED => Answer::SessionOpened,
            SESSION_CLOSED => Answer::SessionClosed,
            VALUES => Answer::Values(read_values(&mut reader)?),
            PAGE => read_page(&mut reader)?,
            SESSION => Answer::Session(SessionState::decode(&mut reader)?),
            other => return Err(reader.invalid("answer", 1, u64::from(other))),
        };
        reader.finish()?;
        Ok(answer)
    }
}

fn put_version(kind: u8, version: u64, out: &mut impl PutBytes) {
    out.put_u8(kind);
    out.put_u64_le(version);
}

/// Begins an answer with values; their count, of 4 bytes, comes next.
pub(super) fn put_values_head(out: &mut impl PutBytes) {
    out.put_u8(VALUES);
}

/// The encoded length of one value of an answer with values.
pub(super) fn value_bytes(item: Option<Item<'_>>) -> usize {
    1 + item.map_or(0, |item| 8 + 8 + 4 + item.value.len())
}

/// One value of an answer with values.
pub(super) fn put_value(item: Option<Item<'_>>, out: &mut impl PutBytes) {
    out.put_bool(item.is_some());
    if let Some(item) = item {
        item.encode(out);
    }
}

/// Begins a page.
pub(super) fn put_page_head(out: &mut impl PutBytes) {
    out.put_u8(PAGE);
}

/// Before an item and behind the last one stands what follows.
const PAGE_KEY: u8 = 1;
const PAGE_ITEM: u8 = 2;
const PAGE_CURSOR: u8 = 3;
const PAGE_LAST: u8 = 0;

/// The encoded length of one key of a page.
pub(super) fn page_item_bytes(item: PageItem<'_>) -> usize {
    1 + 4 + item.key.len() + 8 + 8 + item.value.map_or(0, |value| 4 + value.len())
}

/// One key of a page.
pub(super) fn put_page_item(item: PageItem<'_>, out: &mut impl PutBytes) {
    out.put_u8(if item.value.is_some() { PAGE_ITEM } else { PAGE_KEY });
    out.put_long_bytes(item.key);
    out.put_u64_le(item.version);
    out.put_u64_le(item.mod_index.0);
    if let Some(value) = item.value {
        out.put_long_bytes(value);
    }
}

/// Ends a page.
pub(super) fn put_page_end(cursor: Option<&[u8]>, out: &mut impl PutBytes) {
    match cursor {
        Some(key) => {
            out.put_u8(PAGE_CURSOR);
            out.put_long_bytes(key);
        }
        None => out.put_u8(PAGE_LAST),
    }
}

/// The bound of a value's length that the encoding knows.
const VALUE_BOUND: u32 = MAX_ENTRY_BYTES as u32;

fn read_values<'a>(reader: &mut ByteReader<'a>) -> Result<Vec<Option<Item<'a>>>, Malformed> {
    let count = reader.count("values", MAX_KEYS, 1)?;
    let mut values = Vec::with_capacity(count);
    for _ in 0..count {
        let present = reader.bool("present")?;
        values.push(if present { Some(Item::decode(reader)?) } else { None });
    }
    Ok(values)
}

fn read_page<'a>(reader: &mut ByteReader<'a>) -> Result<Answer<'a>, Malformed> {
    let mut items = Vec::new();
    loop {
        let what = reader.u8("what follows")?;
        match what {
            PAGE_LAST => return Ok(Answer::Page { items, cursor: None }),
            PAGE_CURSOR => return Ok(Answer::Page { items, cursor: Some(read_key(reader)?) }),
            PAGE_KEY | PAGE_ITEM => {
                let key = read_key(reader)?;
                let version = reader.u64("version")?;
                let mod_index = Index(reader.u64("modification index")?);
                let value = match what {
                    PAGE_ITEM => Some(reader.long_bytes("value", VALUE_BOUND)?),
                    _ => None,
                };
                items.push(PageItem { key, value, version, mod_index });
            }
            other => return Err(reader.invalid("what follows", 1, u64::from(other))),
        }
    }
}

impl<'a> Item<'a> {
    fn encode(&self, out: &mut impl PutBytes) {
        out.put_u64_le(self.version);
        out.put_u64_le(self.mod_index.0);
        out.put_long_bytes(self.value);
    }

    fn decode(reader: &mut ByteReader<'a>) -> Result<Item<'a>, Malformed> {
        let version = reader.u64("version")?;
        let mod_index = Index(reader.u64("modification index")?);
        let value = reader.long_bytes("value", VALUE_BOUND)?;
        Ok(Item { value, version, mod_index })
    }
}

impl<'a> Found<'a> {
    fn encode(&self, out: &mut impl PutBytes) {
        match self {
            Found::Absent => out.put_u8(FOUND_ABSENT),
            Found::Value(item) => {
                out.put_u8(FOUND_TOLD);
                item.encode(out);
            }
            Found::Longer { length, version, mod_index } => {
                out.put_u8(FOUND_LONGER);
                out.put_u64_le(*version);
                out.put_u64_le(mod_index.0);
                out.put_u32_le(*length);
            }
        }
    }

    fn decode(reader: &mut ByteReader<'a>) -> Result<Found<'a>, Malformed> {
        Ok(match reader.u8("found")? {
            FOUND_ABSENT => Found::Absent,
            FOUND_TOLD => Found::Value(Item::decode(reader)?),
            FOUND_LONGER => {
                let version = reader.u64("version")?;
                let mod_index = Index(reader.u64("modification index")?);
                Found::Longer { version, mod_index, length: reader.u32("length")? }
            }
            other => return Err(reader.invalid("found", 1, u64::from(other))),
        })
    }
}

impl SessionState {
    fn decode(reader: &mut ByteReader<'_>) -> Result<Option<SessionState>, Malformed> {
        if !reader.bool("present")? {
            return Ok(None);
        }
        Ok(Some(SessionState {
            opened_at: LogTime(reader.u64("opening time")?),
            active_at: LogTime(reader.u64("active time")?),
            lowest: reader.u64("lowest number")?,
            answers: reader.u32("answers")?,
        }))
    }
}
