//! What a hello and its answer have in common around their fields: magic, length and checksum.

use bytes::{BufMut, BytesMut};

use super::{ANSWER_MAGIC, Foreign, HELLO_MAGIC, MAX_HELLO_BYTES, WireError};
use crate::model::ByteReader;

const MAGIC_BYTES: usize = 8;

/// Magic, length and checksum.
pub(super) const HEADER_BYTES: usize = 16;

/// What a greeting has at least: header, the party's fixed fields, two empty texts, and an
/// authentication without a proof.
const LEAST_BYTES: usize = HEADER_BYTES + PARTY_BYTES + 2 + 3;

/// Everything from the versions to the hash of the nodes.
const PARTY_BYTES: usize = 16 + 16 + 8 + 18 + 8 + 8 + 8 + 16 + 18 + 1 + 8;

pub(super) fn begin(magic: [u8; 8], out: &mut BytesMut) -> usize {
    let start = out.len();
    out.put_slice(&magic);
    out.put_u64_le(0);
    start
}

pub(super) fn seal(start: usize, out: &mut BytesMut) {
    let hello = &mut out[start..];
    let length = hello.len() as u32;
    hello[8..12].copy_from_slice(&length.to_le_bytes());
    let crc = checksum(hello);
    hello[12..HEADER_BYTES].copy_from_slice(&crc.to_le_bytes());
}

/// Of everything but the checksum itself.
fn checksum(hello: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&hello[..12]);
    hasher.update(&hello[HEADER_BYTES..]);
    hasher.finalize()
}

pub(super) fn behind_header(bytes: &[u8]) -> ByteReader<'_> {
    let mut reader = ByteReader::new(bytes);
    reader.take("header", HEADER_BYTES).expect("the reader has verified the header");
    reader
}

/// Which of the two is expected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Greeting {
    Hello,
    Answer,
}

impl Greeting {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Greeting::Hello => "hello",
            Greeting::Answer => "answer to the hello",
        }
    }

    const fn with_article(self) -> &'static str {
        match self {
            Greeting::Hello => "a hello",
            Greeting::Answer => "an answer to the hello",
        }
    }

    const fn magic(self) -> [u8; 8] {
        match self {
            Greeting::Hello => HELLO_MAGIC,
            Greeting::Answer => ANSWER_MAGIC,
        }
    }

    /// Whether a stream with these first bytes may still become the greeting.
    pub(super) fn may_begin(self, stream: &[u8]) -> bool {
        let known = stream.len().min(MAGIC_BYTES);
        stream[..known] == self.magic()[..known]
    }

    /// How long the greeting at the front of `stream` is, once it is there as a whole and its
    /// checksum was verified.
    pub(super) fn measure(self, stream: &[u8]) -> Result<Option<usize>, WireError> {
        if stream.len() >= MAGIC_BYTES && !self.may_begin(stream) {
            return Err(self.not_magic(stream));
        }
        let Some(header) = stream.first_chunk::<HEADER_BYTES>() else { return Ok(None) };
        let what = self.name();
        let found = u32::from_le_bytes([header[8], header[9], header[10], header[11]]);
        let length = found as usize;
        if !(LEAST_BYTES..=MAX_HELLO_BYTES).contains(&length) {
            let (least, most) = (LEAST_BYTES, MAX_HELLO_BYTES);
            return Err(WireError::HelloLength { what, found, least, most });
        }
        let Some(greeting) = stream.get(..length) else { return Ok(None) };
        let found = u32::from_le_bytes([header[12], header[13], header[14], header[15]]);
        let computed = checksum(greeting);
        if found != computed {
            return Err(WireError::HelloChecksum { what, found, computed });
        }
        Ok(Some(length))
    }

    fn not_magic(self, stream: &[u8]) -> WireError {
        let other = match self {
            Greeting::Hello => Greeting::Answer,
            Greeting::Answer => Greeting::Hello,
        };
        if other.may_begin(stream) {
            let (expected, found) = (self.with_article(), other.with_article());
            return WireError::Crossed { expected, found };
        }
        WireError::Foreign(Foreign::recognise(stream))
    }
}
