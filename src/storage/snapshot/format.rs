//! The file of a snapshot: a head, chunks of one length, a foot.

use std::ops::Range;

use byteorder::{ByteOrder, LittleEndian};
use bytes::BufMut;

use crate::model::{
    ByteReader, ClusterId, Configuration, Epoch, Index, LogId, LogTime, MAX_PIECE_BYTES, Term,
};
use crate::storage::page::{PAGE_BODY, PAGE_BYTES, PageFault, PageKind, counter};

/// The head's kind.
pub(in crate::storage) const PAGE: PageKind = PageKind { magic: "RAFTSNAP", format: 1 };

/// The longest head that is read: room for any configuration, and for what newer formats add.
const MAX_HEAD_BYTES: usize = 65_536;

/// The length of a chunk in the file; only the last one is shorter. It is the length of a piece
/// of a transfer, so that each piece can be verified by itself.
pub(in crate::storage) const CHUNK_BYTES: usize = MAX_PIECE_BYTES;

/// What stands before the payload of a chunk: its length and its checksum.
pub(in crate::storage) const CHUNK_HEAD_BYTES: usize = 8;

/// The payload of a whole chunk.
pub(in crate::storage) const CHUNK_PAYLOAD: usize = CHUNK_BYTES - CHUNK_HEAD_BYTES;

/// The length of the foot.
pub(in crate::storage) const FOOT_BYTES: usize = 64;

const FOOT_MAGIC: &[u8; 8] = b"RAFTFOOT";

/// What a snapshot says of itself, the same on every node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SnapshotHead {
    /// The cluster whose state it is.
    pub cluster: ClusterId,
    /// Its generation.
    pub epoch: Epoch,
    /// The last entry whose effects it holds.
    pub last: LogId,
    /// The log time of that entry.
    pub time: LogTime,
    /// The configuration as of that entry, and the index of the entry that holds it, which is
    /// not above that of `last`.
    pub configuration: (Index, Configuration),
}

impl SnapshotHead {
    /// Whether it is a snapshot of this cluster, taken in this epoch or an earlier one: what an
    /// epoch begins with is what those before it have left.
    pub(in crate::storage) fn is_of(&self, cluster: Option<(ClusterId, Epoch)>) -> bool {
        cluster.is_some_and(|(cluster, epoch)| cluster == self.cluster && self.epoch <= epoch)
    }

    pub(in crate::storage) fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        body.put_u32_le(0);
        body.put_u32_le(0);
        body.put_u128_le(self.cluster.0);
        body.put_u64_le(self.epoch.0);
        body.put_u64_le(self.last.index.0);
        body.put_u64_le(self.last.term.0);
        body.put_u64_le(self.time.0);
        body.put_u64_le(self.configuration.0.0);
        self.configuration.1.encode(&mut body);
        let length = (PAGE_BODY + body.len()).next_multiple_of(PAGE_BYTES);
        LittleEndian::write_u32(&mut body[..4], length as u32);
        PAGE.seal(0, &body)
    }

    /// Reads a whole head.
    pub(in crate::storage) fn decode(head: &[u8]) -> Result<SnapshotHead, PageFault> {
        let (_, body) = PAGE.open(head)?;
        let mut reader = ByteReader::new(body);
        let length = reader.u32("length of the head")?;
        if length as usize != head.len() {
            return Err(reader.invalid("length of the head", 4, u64::from(length)).into());
        }
        reader.take("reserved", 4)?;
        let cluster = ClusterId(reader.u128("cluster id")?);
        let epoch = Epoch(reader.u64("epoch")?);
        let index = Index(counter(&mut reader, "last index")?);
        let term = Term(counter(&mut reader, "last term")?);
        let time = LogTime(reader.u64("log time")?);
        let since = Index(counter(&mut reader, "index of the configuration")?);
        if since > index {
            return Err(reader.invalid("index of the configuration", 8, since.0).into());
        }
        let configuration = Configuration::decode(&mut reader)?;
        let last = LogId { term, index };
        Ok(SnapshotHead { cluster, epoch, last, time, configuration: (since, configuration) })
    }
}

/// How long the head is that begins with this page; `None` if the page can't be a head's.
pub(in crate::storage) fn head_length(first_page: &[u8]) -> Option<usize> {
    let length = LittleEndian::read_u32(first_page.get(PAGE_BODY..PAGE_BODY + 4)?) as usize;
    let is_one = (PAGE_BYTES..=MAX_HEAD_BYTES).contains(&length);
    (is_one && length.is_multiple_of(PAGE_BYTES)).then_some(length)
}

/// A part of the file that carries a checksum of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::storage) enum Part {
    Head,
    /// The chunk of this number, from 0.
    Chunk(u64),
    Foot,
}

/// Where the parts of a file lie.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::storage) struct Shape {
    head_bytes: u64,
    bytes: u64,
}

impl Shape {
    /// The shape of a file of `bytes` with such a head; `None` if there is no file so long.
    pub(in crate::storage) fn new(head_bytes: u64, bytes: u64) -> Option<Shape> {
        let chunks = bytes.checked_sub(head_bytes + FOOT_BYTES as u64)?;
        let rest = chunks % CHUNK_BYTES as u64;
        (rest == 0 || rest > CHUNK_HEAD_BYTES as u64).then_some(Shape { head_bytes, bytes })
    }

    /// The file's length.
    pub(in crate::storage) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Where the first chunk begins.
    pub(in crate::storage) fn head_bytes(&self) -> u64 {
        self.head_bytes
    }

    /// Where the foot begins.
    pub(in crate::storage) fn foot_at(&self) -> u64 {
        self.bytes - FOOT_BYTES as u64
    }

    /// How many chunks there are.
    pub(in crate::storage) fn chunks(&self) -> u64 {
        (self.foot_at() - self.head_bytes).div_ceil(CHUNK_BYTES as u64)
    }

    /// How many bytes of payload they carry.
    pub(in crate::storage) fn payload_bytes(&self) -> u64 {
        self.foot_at() - self.head_bytes - self.chunks() * CHUNK_HEAD_BYTES as u64
    }

    /// The part that the byte at `offset`, which lies in the file, belongs to.
    pub(in crate::storage) fn part_at(&self, offset: u64) -> (Part, Range<u64>) {
        if offset < self.head_bytes {
            return (Part::Head, 0..self.head_bytes);
        }
        if offset >= self.foot_at() {
            return (Part::Foot, self.foot_at()..self.bytes);
        }
        let number = (offset - self.head_bytes) / CHUNK_BYTES as u64;
        let start = self.head_bytes + number * CHUNK_BYTES as u64;
        (Part::Chunk(number), start..(start + CHUNK_BYTES as u64).min(self.foot_at()))
    }
}

/// What the end of the file says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::storage) struct Foot {
    pub(in crate::storage) chunks: u64,
    pub(in crate::storage) payload_bytes: u64,
    /// The hash of everything before the foot.
    pub(in crate::storage) hash: u128,
}

impl Foot {
    pub(in crate::storage) fn encode(&self) -> [u8; FOOT_BYTES] {
        let mut foot = [0; FOOT_BYTES];
        foot[..8].copy_from_slice(FOOT_MAGIC);
        LittleEndian::write_u64(&mut foot[16..24], self.chunks);
        LittleEndian::write_u64(&mut foot[24..32], self.payload_bytes);
        LittleEndian::write_u128(&mut foot[32..48], self.hash);
        let checksum = foot_checksum(&foot);
        LittleEndian::write_u32(&mut foot[8..12], checksum);
        foot
    }

    /// Reads the foot of a file of this shape, or says what is wrong with it.
    pub(in crate::storage) fn decode(foot: &[u8], shape: &Shape) -> Result<Foot, String> {
        if foot.len() != FOOT_BYTES || &foot[..8] != FOOT_MAGIC {
            return Err("the foot isn't there".to_owned());
        }
        let (found, computed) = (LittleEndian::read_u32(&foot[8..12]), foot_checksum(foot));
        if found != computed {
            return Err(format!("the foot is bad: checksum {found:08x}, {computed:08x} computed"));
        }
        let foot = Foot {
            chunks: LittleEndian::read_u64(&foot[16..24]),
            payload_bytes: LittleEndian::read_u64(&foot[24..32]),
            hash: LittleEndian::read_u128(&foot[32..48]),
        };
        if (foot.chunks, foot.payload_bytes) != (shape.chunks(), shape.payload_bytes()) {
            return Err(format!(
                "the foot counts {} chunks with {} bytes, and the file has {} with {}",
                foot.chunks,
                foot.payload_bytes,
                shape.chunks(),
                shape.payload_bytes()
            ));
        }
        Ok(foot)
    }
}

fn foot_checksum(foot: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&foot[..8]);
    hasher.update(&foot[12..]);
    hasher.finalize()
}

/// Appends the chunk of this number.
pub(in crate::storage) fn put_chunk(out: &mut Vec<u8>, number: u64, payload: &[u8]) {
    out.put_u32_le(payload.len() as u32);
    out.put_u32_le(chunk_checksum(number, payload));
    out.put_slice(payload);
}

/// The payload of the chunk of this number, which takes all of `chunk`; or what is wrong with it.
pub(in crate::storage) fn read_chunk(number: u64, chunk: &[u8]) -> Result<&[u8], String> {
    let (head, payload) = chunk.split_at(CHUNK_HEAD_BYTES);
    let length = LittleEndian::read_u32(&head[..4]);
    if length as usize != payload.len() {
        return Err(format!("chunk {number} says {length} bytes and has {}", payload.len()));
    }
    let (found, computed) = (LittleEndian::read_u32(&head[4..]), chunk_checksum(number, payload));
    if found != computed {
        return Err(format!("chunk {number}: checksum {found:08x} found, {computed:08x} computed"));
    }
    Ok(payload)
}

/// The number is part of it, so that a chunk at another place than its own is a bad one.
fn chunk_checksum(number: u64, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&number.to_le_bytes());
    hasher.update(&(payload.len() as u32).to_le_bytes());
    hasher.update(payload);
    hasher.finalize()
}
