//! One entry of the log and its one encoding, which is the same on the wire and on disk.

use bytes::{BufMut, BytesMut};

use super::{ByteReader, Index, LogId, LogTime, Malformed, Term};

/// The most that one encoded entry may take, header included: 8 MiB.
///
/// It is a constant of the protocol, so that every node can store and forward what another
/// accepted. Clients are held to a smaller bound at the door.
pub const MAX_ENTRY_BYTES: usize = 8 << 20;

/// The encoded length of everything before the payload.
pub const ENTRY_HEADER_BYTES: usize = 36;

/// The version of the encoding that this program writes and reads.
pub const ENTRY_FORMAT: u8 = 1;

/// Where the bytes that the checksum covers begin: behind the length and the checksum.
const CHECKED_FROM: usize = 8;

/// What an entry is for. The number is what is stored.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct EntryKind(pub u8);

impl EntryKind {
    /// Nothing: the first entry of a leader's term, by which older ones are committed
    /// (paper, section 8).
    pub const NOOP: EntryKind = EntryKind(0);
    /// The first entry of a cluster: a [`Founding`](super::Founding).
    pub const FOUNDING: EntryKind = EntryKind(1);
    /// A [`Configuration`](super::Configuration), in force from the moment it is stored.
    pub const CONFIGURATION: EntryKind = EntryKind(2);
    /// A command of a client to the state machine.
    pub const COMMAND: EntryKind = EntryKind(3);
    /// A change of the replicated settings.
    pub const SETTINGS: EntryKind = EntryKind(4);
    /// A point: each replica reports its state hash here.
    pub const POINT: EntryKind = EntryKind(5);
    /// The feature level is raised.
    pub const FEATURE_LEVEL: EntryKind = EntryKind(6);

    /// The name that `raft-ctl log` shows, or `None` for a kind of a newer version.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            EntryKind::NOOP => "noop",
            EntryKind::FOUNDING => "founding",
            EntryKind::CONFIGURATION => "configuration",
            EntryKind::COMMAND => "command",
            EntryKind::SETTINGS => "settings",
            EntryKind::POINT => "point",
            EntryKind::FEATURE_LEVEL => "feature_level",
            EntryKind(_) => return None,
        })
    }
}

/// What stands before an entry's payload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EntryHeader {
    /// What the entry is for.
    pub kind: EntryKind,
    /// Its name.
    pub id: LogId,
    /// The leader's log time when it was made.
    pub time: LogTime,
}

impl EntryHeader {
    /// Appends the canonical encoding of the entry with this header and `payload` to `out`.
    ///
    /// | offset | bytes | field |
    /// |---|---|---|
    /// | 0 | 4 | length of the whole entry |
    /// | 4 | 4 | CRC-32 of all that follows |
    /// | 8 | 1 | format, 1 |
    /// | 9 | 1 | flags, 0 |
    /// | 10 | 1 | kind |
    /// | 11 | 1 | 0 |
    /// | 12 | 8 | index |
    /// | 20 | 8 | term |
    /// | 28 | 8 | log time |
    /// | 36 | | payload |
    ///
    /// # Panics
    ///
    /// If the entry would be longer than [`MAX_ENTRY_BYTES`]: the payload was bounded where it
    /// came in.
    pub fn encode(&self, payload: &[u8], out: &mut BytesMut) {
        let length = ENTRY_HEADER_BYTES + payload.len();
        assert!(length <= MAX_ENTRY_BYTES, "an entry of {length} bytes was let in");
        let start = out.len();
        out.reserve(length);
        out.put_u32_le(length as u32);
        out.put_u32_le(0);
        out.put_u8(ENTRY_FORMAT);
        out.put_u8(0);
        out.put_u8(self.kind.0);
        out.put_u8(0);
        out.put_u64_le(self.id.index.0);
        out.put_u64_le(self.id.term.0);
        out.put_u64_le(self.time.0);
        out.put_slice(payload);
        let crc = crc32fast::hash(&out[start + CHECKED_FROM..]);
        out[start + 4..start + CHECKED_FROM].copy_from_slice(&crc.to_le_bytes());
    }
}

/// An entry that can't be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum EntryError {
    /// It doesn't have the layout of an entry.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// Its bytes aren't those that were written.
    #[error("checksum {found:08x} found, {computed:08x} computed")]
    Checksum {
        /// What the entry says.
        found: u32,
        /// What its bytes give.
        computed: u32,
    },
    /// It was written by a newer version.
    #[error("entry format {0} is newer than this program reads ({ENTRY_FORMAT}): use a newer one")]
    Format(u8),
}

/// An encoded entry whose checksum was verified.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EntryRef<'a> {
    header: EntryHeader,
    bytes: &'a [u8],
}

impl<'a> EntryRef<'a> {
    /// Reads the entry at the start of `bytes` and verifies its checksum. What stands behind it
    /// isn't looked at; [`EntryRef::bytes`] tells how long the entry is.
    pub fn read(bytes: &'a [u8]) -> Result<EntryRef<'a>, EntryError> {
        let entry = EntryRef::read_unchecked(bytes)?;
        let found = entry.checksum();
        let computed = crc32fast::hash(&entry.bytes[CHECKED_FROM..]);
        if found != computed {
            return Err(EntryError::Checksum { found, computed });
        }
        if entry.bytes[8] != ENTRY_FORMAT {
            return Err(EntryError::Format(entry.bytes[8]));
        }
        for (field, offset) in [("flags", 9), ("reserved", 11)] {
            let found = u64::from(entry.bytes[offset]);
            if found != 0 {
                return Err(Malformed::Invalid { field, offset, found }.into());
            }
        }
        Ok(entry)
    }

    /// Reads the entry at the start of `bytes` whose checksum was verified before.
    pub(super) fn read_unchecked(bytes: &'a [u8]) -> Result<EntryRef<'a>, Malformed> {
        let mut reader = ByteReader::new(bytes);
        let length = reader.u32("length")?;
        if (length as usize) < ENTRY_HEADER_BYTES {
            return Err(reader.invalid("length", 4, u64::from(length)));
        }
        if length as usize > MAX_ENTRY_BYTES {
            let (found, bound) = (u64::from(length), MAX_ENTRY_BYTES as u64);
            return Err(Malformed::TooLarge { field: "length", offset: 0, found, bound });
        }
        let bytes = ByteReader::new(bytes).take("entry", length as usize)?;
        reader.u32("checksum")?;
        reader.take("format and flags", 2)?;
        let kind = EntryKind(reader.u8("kind")?);
        reader.u8("reserved")?;
        let index = Index(reader.u64("index")?);
        let term = Term(reader.u64("term")?);
        let time = LogTime(reader.u64("log time")?);
        let id = LogId { term, index };
        Ok(EntryRef { header: EntryHeader { kind, id, time }, bytes })
    }

    /// The entry's kind, name and time.
    #[must_use]
    pub const fn header(&self) -> EntryHeader {
        self.header
    }

    /// The entry's name.
    #[must_use]
    pub const fn id(&self) -> LogId {
        self.header.id
    }

    /// What the entry is for.
    #[must_use]
    pub const fn kind(&self) -> EntryKind {
        self.header.kind
    }

    /// The leader's log time when it was made.
    #[must_use]
    pub const fn time(&self) -> LogTime {
        self.header.time
    }

    /// What stands behind the header.
    #[must_use]
    pub fn payload(&self) -> &'a [u8] {
        &self.bytes[ENTRY_HEADER_BYTES..]
    }

    /// The whole encoding.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The checksum that the entry carries.
    #[must_use]
    pub fn checksum(&self) -> u32 {
        u32::from_le_bytes([self.bytes[4], self.bytes[5], self.bytes[6], self.bytes[7]])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded() -> BytesMut {
        let id = LogId::new(Term(7), Index(812));
        let header = EntryHeader { kind: EntryKind::COMMAND, id, time: LogTime(99) };
        let mut out = BytesMut::new();
        header.encode(b"payload", &mut out);
        out
    }

    #[test]
    fn the_encoding_of_an_entry_is_these_bytes() {
        let golden = [
            43, 0, 0, 0, 0x00, 0x2f, 0x46, 0x68, 1, 0, 3, 0, 0x2c, 3, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0,
            0, 0, 0, 0, 99, 0, 0, 0, 0, 0, 0, 0, b'p', b'a', b'y', b'l', b'o', b'a', b'd',
        ];
        assert_eq!(encoded()[..], golden[..]);
    }

    #[test]
    fn an_entry_reads_back_as_it_was_written() {
        let mut bytes = encoded();
        bytes.put_slice(b"what stands behind it");
        let entry = EntryRef::read(&bytes).unwrap();
        assert_eq!(entry.id(), LogId::new(Term(7), Index(812)));
        assert_eq!(entry.kind(), EntryKind::COMMAND);
        assert_eq!(entry.time(), LogTime(99));
        assert_eq!(entry.payload(), b"payload");
        assert_eq!(entry.bytes().len(), 43);
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let bytes = encoded();
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(EntryRef::read(&damaged).is_err(), "bit {bit}");
        }
        for length in 0..bytes.len() {
            assert!(EntryRef::read(&bytes[..length]).is_err(), "cut at {length}");
        }
    }

    #[test]
    fn a_newer_format_is_named_not_guessed() {
        let mut bytes = encoded();
        bytes[8] = 2;
        let crc = crc32fast::hash(&bytes[8..]);
        bytes[4..8].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(EntryRef::read(&bytes), Err(EntryError::Format(2)));
    }
}
