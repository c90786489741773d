//! What clients ask to be changed: the payload of a command entry.

use crate::model::{ByteReader, LogTime, MAX_ENTRY_BYTES, Malformed, PutBytes};

/// The longest key, in bytes. The shortest has one.
pub const MAX_KEY_BYTES: u32 = 4096;

/// The longest name of a session, in bytes. The shortest has one.
pub const MAX_SESSION_NAME_BYTES: u8 = 64;

/// The most that one encoded command may take: 16 KiB below the bound of an entry, so that the
/// entry keeps to it, and so does every answer that holds the command's key and value.
pub const MAX_COMMAND_BYTES: usize = MAX_ENTRY_BYTES - (16 << 10);

/// The bound of a value's length that the encoding knows; nodes hold clients to a lower one.
const VALUE_BOUND: u32 = MAX_COMMAND_BYTES as u32;

const IN_SESSION: u8 = 1;

const PUT: u8 = 1;
const DELETE: u8 = 2;
const COMPARE_AND_SWAP: u8 = 3;
const INCREMENT: u8 = 4;
const OPEN_SESSION: u8 = 16;
const CLOSE_SESSION: u8 = 17;

const EXPECT_ABSENT: u8 = 0;
const EXPECT_VALUE: u8 = 1;
const EXPECT_VERSION: u8 = 2;

/// A change of the replicated state, borrowed from its encoding.
///
/// ```
/// use raft_node::kv::{Command, Operation};
///
/// let command = Command::Change {
///     session: None,
///     operation: Operation::Put { key: b"user:1", value: b"ann" },
/// };
/// let mut bytes = Vec::new();
/// command.encode(&mut bytes);
/// assert_eq!(Command::decode(&bytes).unwrap(), command);
/// assert_eq!(command.name(), "put");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Command<'a> {
    /// Changes a key.
    Change {
        /// By whom, where it is to take effect exactly once however often it is sent.
        session: Option<SessionPart<'a>>,
        /// What is changed.
        operation: Operation<'a>,
    },
    /// Opens a session, in place of an earlier one of the same name. Repeating it keeps the
    /// session alive.
    OpenSession(SessionId<'a>),
    /// Closes a session: nothing that was sent under it takes effect any more.
    CloseSession(SessionId<'a>),
}

/// Which session: its name and when it was opened.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct SessionId<'a> {
    /// A name of the client's choice, 1 to [`MAX_SESSION_NAME_BYTES`] bytes.
    pub name: &'a [u8],
    /// The log time that the client was told when it began. It is the same in every command of
    /// the session, in every retry.
    pub opened_at: LogTime,
}

/// What makes a command take effect exactly once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SessionPart<'a> {
    /// The session.
    pub id: SessionId<'a>,
    /// The number of this command in its session, from 1 to 2^64 - 2; the same in every retry.
    /// Number 1 opens the session.
    pub number: u64,
    /// The lowest number whose answer the client still waits for, at most `number`. The answers
    /// below are forgotten.
    pub lowest: u64,
}

/// A change of one key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operation<'a> {
    /// Gives the key this value.
    Put {
        /// The key.
        key: &'a [u8],
        /// Its new value.
        value: &'a [u8],
    },
    /// Removes the key, if it is there.
    Delete {
        /// The key.
        key: &'a [u8],
    },
    /// Gives the key this value if it is as expected.
    CompareAndSwap {
        /// The key.
        key: &'a [u8],
        /// How the key must be.
        expected: Expected<'a>,
        /// Its new value.
        value: &'a [u8],
    },
    /// Adds to the decimal number that is the key's value; an absent key counts as 0.
    Increment {
        /// The key.
        key: &'a [u8],
        /// What is added; it may be negative.
        by: i64,
    },
}

/// How a key must be to be swapped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expected<'a> {
    /// There is no such key.
    Absent,
    /// It has this value.
    Value(&'a [u8]),
    /// It has this version.
    Version(u64),
}

/// Why bytes from a client aren't let into the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Rejected {
    /// They aren't a command, a query or settings of this version.
    #[error("{0}; nothing was changed")]
    Malformed(#[from] Malformed),
    /// A value or the whole command is too long.
    #[error("{what} has {found} bytes, {bound} are allowed; nothing was changed")]
    TooLarge {
        /// What is too long.
        what: &'static str,
        /// How long it is.
        found: u64,
        /// How long it may be.
        bound: u64,
    },
}

impl Rejected {
    /// Whether it is for its size alone.
    #[must_use]
    pub const fn is_too_large(&self) -> bool {
        matches!(self, Rejected::TooLarge { .. } | Rejected::Malformed(Malformed::TooLarge { .. }))
    }
}

/// The door: whether `bytes` from a client may be proposed as a command. What passes is applied
/// by every replica without an error.
///
/// `max_value_size` is the bound that this node holds new values to.
pub fn check_command(bytes: &[u8], max_value_size: u64) -> Result<(), Rejected> {
    bounded("the command", bytes.len(), MAX_COMMAND_BYTES as u64)?;
    let command = Command::decode(bytes)?;
    if let Command::Change { operation, .. } = command {
        match operation {
            Operation::Put { value, .. } | Operation::CompareAndSwap { value, .. } => {
                bounded("the value", value.len(), max_value_size)?;
            }
            Operation::Delete { .. } | Operation::Increment { .. } => {}
        }
    }
    Ok(())
}

fn bounded(what: &'static str, length: usize, bound: u64) -> Result<(), Rejected> {
    let found = length as u64;
    if found > bound {
        return Err(Rejected::TooLarge { what, found, bound });
    }
    Ok(())
}

impl<'a> Command<'a> {
    /// The word for it in the log's listing: `put`, `del`, `cas`, `incr`, `session_open`,
    /// `session_close`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Command::Change { operation, .. } => match operation {
                Operation::Put { .. } => "put",
                Operation::Delete { .. } => "del",
                Operation::CompareAndSwap { .. } => "cas",
                Operation::Increment { .. } => "incr",
            },
            Command::OpenSession(_) => "session_open",
            Command::CloseSession(_) => "session_close",
        }
    }

    /// Appends the encoding to `out`; docs/state-machine.md has it byte by byte.
    ///
    /// What is too long or empty where it mustn't be is encoded as it is and refused at the
    /// door, see [`check_command`].
    ///
    /// # Panics
    ///
    /// If a session's name has more than 255 bytes or another field 4 GiB: no encoding exists.
    pub fn encode(&self, out: &mut impl PutBytes) {
        match self {
            Command::Change { session, operation } => {
                out.put_u8(operation.kind());
                out.put_u8(if session.is_some() { IN_SESSION } else { 0 });
                if let Some(part) = session {
                    part.id.encode(out);
                    out.put_u64_le(part.number);
                    out.put_u64_le(part.lowest);
                }
                operation.encode(out);
            }
            Command::OpenSession(id) => encode_session_command(OPEN_SESSION, id, out),
            Command::CloseSession(id) => encode_session_command(CLOSE_SESSION, id, out),
        }
    }

    /// Reads what [`Command::encode`] wrote; nothing may follow it.
    pub fn decode(bytes: &'a [u8]) -> Result<Command<'a>, Malformed> {
        let mut reader = ByteReader::new(bytes);
        let kind = reader.u8("operation")?;
        if !matches!(kind, PUT..=INCREMENT | OPEN_SESSION | CLOSE_SESSION) {
            return Err(reader.invalid("operation", 1, u64::from(kind)));
        }
        let flags = reader.u8("flags")?;
        let of_session = matches!(kind, OPEN_SESSION | CLOSE_SESSION);
        if flags > IN_SESSION || (of_session && flags != 0) {
            return Err(reader.invalid("flags", 1, u64::from(flags)));
        }
        let command = match kind {
            OPEN_SESSION => Command::OpenSession(SessionId::decode(&mut reader)?),
            CLOSE_SESSION => Command::CloseSession(SessionId::decode(&mut reader)?),
            _ => {
                let session = match flags {
                    IN_SESSION => Some(SessionPart::decode(&mut reader)?),
                    _ => None,
                };
                Command::Change { session, operation: Operation::decode(kind, &mut reader)? }
            }
        };
        reader.finish()?;
        Ok(command)
    }
}

fn encode_session_command(kind: u8, id: &SessionId<'_>, out: &mut impl PutBytes) {
    out.put_u8(kind);
    out.put_u8(0);
    id.encode(out);
}

impl<'a> SessionId<'a> {
    fn encode(&self, out: &mut impl PutBytes) {
        out.put_short_bytes(self.name);
        out.put_u64_le(self.opened_at.0);
    }

    fn decode(reader: &mut ByteReader<'a>) -> Result<SessionId<'a>, Malformed> {
        let name = read_session_name(reader)?;
        Ok(SessionId { name, opened_at: LogTime(reader.u64("opening time")?) })
    }
}

impl<'a> SessionPart<'a> {
    fn decode(reader: &mut ByteReader<'a>) -> Result<SessionPart<'a>, Malformed> {
        let id = SessionId::decode(reader)?;
        let number = reader.u64("number")?;
        if number == 0 || number == u64::MAX {
            return Err(reader.invalid("number", 8, number));
        }
        let lowest = reader.u64("lowest number")?;
        if lowest == 0 || lowest > number {
            return Err(reader.invalid("lowest number", 8, lowest));
        }
        Ok(SessionPart { id, number, lowest })
    }
}

impl<'a> Operation<'a> {
    /// The key that is changed.
    #[must_use]
    pub const fn key(&self) -> &'a [u8] {
        match self {
            Operation::Put { key, .. }
            | Operation::Delete { key }
            | Operation::CompareAndSwap { key, .. }
            | Operation::Increment { key, .. } => key,
        }
    }

    const fn kind(&self) -> u8 {
        match self {
            Operation::Put { .. } => PUT,
            Operation::Delete { .. } => DELETE,
            Operation::CompareAndSwap { .. } => COMPARE_AND_SWAP,
            Operation::Increment { .. } => INCREMENT,
        }
    }

    fn encode(&self, out: &mut impl PutBytes) {
        out.put_long_bytes(self.key());
        match self {
            Operation::Put { value, .. } => out.put_long_bytes(value),
            Operation::Delete { .. } => {}
            Operation::CompareAndSwap { expected, value, .. } => {
                match expected {
                    Expected::Absent => out.put_u8(EXPECT_ABSENT),
                    Expected::Value(value) => {
                        out.put_u8(EXPECT_VALUE);
                        out.put_long_bytes(value);
                    }
                    Expected::Version(version) => {
                        out.put_u8(EXPECT_VERSION);
                        out.put_u64_le(*version);
                    }
                }
                out.put_long_bytes(value);
            }
            Operation::Increment { by, .. } => out.put_i64_le(*by),
        }
    }

    fn decode(kind: u8, reader: &mut ByteReader<'a>) -> Result<Operation<'a>, Malformed> {
        let key = read_key(reader)?;
        Ok(match kind {
            PUT => Operation::Put { key, value: reader.long_bytes("value", VALUE_BOUND)? },
            DELETE => Operation::Delete { key },
            COMPARE_AND_SWAP => {
                let expected = Expected::decode(reader)?;
                let value = reader.long_bytes("value", VALUE_BOUND)?;
                Operation::CompareAndSwap { key, expected, value }
            }
            _ => Operation::Increment { key, by: reader.u64("by")?.cast_signed() },
        })
    }
}

impl<'a> Expected<'a> {
    fn decode(reader: &mut ByteReader<'a>) -> Result<Expected<'a>, Malformed> {
        Ok(match reader.u8("expected")? {
            EXPECT_ABSENT => Expected::Absent,
            EXPECT_VALUE => Expected::Value(reader.long_bytes("expected value", VALUE_BOUND)?),
            EXPECT_VERSION => Expected::Version(reader.u64("expected version")?),
            other => return Err(reader.invalid("expected", 1, u64::from(other))),
        })
    }
}

/// A key: 1 to [`MAX_KEY_BYTES`] bytes behind a four-byte length.
pub(super) fn read_key<'a>(reader: &mut ByteReader<'a>) -> Result<&'a [u8], Malformed> {
    let key = reader.long_bytes("key", MAX_KEY_BYTES)?;
    if key.is_empty() {
        return Err(reader.invalid("key", 4, 0));
    }
    Ok(key)
}

/// A session's name: 1 to [`MAX_SESSION_NAME_BYTES`] bytes behind a one-byte length.
pub(super) fn read_session_name<'a>(reader: &mut ByteReader<'a>) -> Result<&'a [u8], Malformed> {
    let name = reader.short_bytes("session name", MAX_SESSION_NAME_BYTES)?;
    if name.is_empty() {
        return Err(reader.invalid("session name", 1, 0));
    }
    Ok(name)
}
