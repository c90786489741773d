//! What clients ask to be told: it changes nothing and is in no log.

use super::command::{MAX_KEY_BYTES, read_key, read_session_name};
use crate::model::{ByteReader, Malformed, PutBytes};

/// The most keys of one [`Query::Get`].
pub const MAX_KEYS: u32 = 1024;

/// What the items of one answer take at most, unless the first alone is longer: 1 MiB.
pub const MAX_ANSWER_BYTES: u32 = 1 << 20;

const GET: u8 = 1;
const SCAN: u8 = 2;
const SESSION: u8 = 3;

const KEYS_ONLY: u8 = 1;

/// A question about the state at one index, borrowed from its encoding.
///
/// ```
/// use raft_node::kv::Query;
///
/// let query = Query::Get { keys: vec![b"user:1", b"user:2"] };
/// let mut bytes = Vec::new();
/// query.encode(&mut bytes);
/// assert_eq!(Query::decode(&bytes).unwrap(), query);
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Query<'a> {
    /// The values of these keys, in this order. The answer holds as many from the first on as
    /// fit into [`MAX_ANSWER_BYTES`], at least one; ask again for the others.
    Get {
        /// The keys, 1 to [`MAX_KEYS`].
        keys: Vec<&'a [u8]>,
    },
    /// A page of the keys with a prefix, in order.
    Scan(Scan<'a>),
    /// What is remembered of a session.
    Session {
        /// Its name.
        name: &'a [u8],
    },
}

/// Which page of the keys in order is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Scan<'a> {
    /// What the keys begin with. Empty: all keys.
    pub prefix: &'a [u8],
    /// The page begins at this key, or at the next one if it isn't there. Empty: at the first.
    /// For the next page it is the cursor that came with the one before.
    pub from: &'a [u8],
    /// The most keys, at least 1.
    pub limit: u32,
    /// The most bytes of the items, unless the first alone is longer; no more than
    /// [`MAX_ANSWER_BYTES`] are given.
    pub max_bytes: u32,
    /// Leave the values out.
    pub keys_only: bool,
}

impl Scan<'_> {
    /// All keys, a full page at a time.
    pub const ALL: Scan<'static> = Scan {
        prefix: &[],
        from: &[],
        limit: u32::MAX,
        max_bytes: MAX_ANSWER_BYTES,
        keys_only: false,
    };
}

impl<'a> Query<'a> {
    /// Appends the encoding to `out`; docs/state-machine.md has it byte by byte.
    ///
    /// # Panics
    ///
    /// If a session's name has more than 255 bytes or another field 4 GiB: no encoding exists.
    pub fn encode(&self, out: &mut impl PutBytes) {
        match self {
            Query::Get { keys } => {
                out.put_u8(GET);
                out.put_u32_le(u32::try_from(keys.len()).expect("there are less than 2^32 keys"));
                for key in keys {
                    out.put_long_bytes(key);
                }
            }
            Query::Scan(scan) => {
                out.put_u8(SCAN);
                out.put_u8(if scan.keys_only { KEYS_ONLY } else { 0 });
                out.put_long_bytes(scan.prefix);
                out.put_long_bytes(scan.from);
                out.put_u32_le(scan.limit);
                out.put_u32_le(scan.max_bytes);
            }
            Query::Session { name } => {
                out.put_u8(SESSION);
                out.put_short_bytes(name);
            }
        }
    }

    /// Reads what [`Query::encode`] wrote; nothing may follow it.
    pub fn decode(bytes: &'a [u8]) -> Result<Query<'a>, Malformed> {
        let mut reader = ByteReader::new(bytes);
        let query = match reader.u8("query")? {
            GET => Query::Get { keys: read_keys(&mut reader)? },
            SCAN => Query::Scan(Scan::decode(&mut reader)?),
            SESSION => Query::Session { name: read_session_name(&mut reader)? },
            other => return Err(reader.invalid("query", 1, u64::from(other))),
        };
        reader.finish()?;
        Ok(query)
    }
}

/// The encoded length of the shortest key.
const KEY_LEAST_BYTES: usize = 4 + 1;

fn read_keys<'a>(reader: &mut ByteReader<'a>) -> Result<Vec<&'a [u8]>, Malformed> {
    let count = reader.count("keys", MAX_KEYS, KEY_LEAST_BYTES)?;
    if count == 0 {
        return Err(reader.invalid("keys", 4, 0));
    }
    let mut keys = Vec::with_capacity(count);
    for _ in 0..count {
        keys.push(read_key(reader)?);
    }
    Ok(keys)
}

impl<'a> Scan<'a> {
    fn decode(reader: &mut ByteReader<'a>) -> Result<Scan<'a>, Malformed> {
        let flags = reader.u8("flags")?;
        if flags > KEYS_ONLY {
            return Err(reader.invalid("flags", 1, u64::from(flags)));
        }
        let prefix = reader.long_bytes("prefix", MAX_KEY_BYTES)?;
        let from = reader.long_bytes("from", MAX_KEY_BYTES)?;
        let limit = reader.u32("limit")?;
        if limit == 0 {
            return Err(reader.invalid("limit", 4, 0));
        }
        let max_bytes = reader.u32("bytes")?;
        Ok(Scan { prefix, from, limit, max_bytes, keys_only: flags == KEYS_ONLY })
    }
}
