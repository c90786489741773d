//! The head of a block: what one group commit, or one mark, adds to a segment.

use byteorder::{ByteOrder, LittleEndian};

use crate::model::{Index, LogId, Term};

use super::page::MAX_COUNTER;

/// The length of a block's head. Its entries follow at once.
pub(super) const BLOCK_HEAD_BYTES: usize = 64;

/// What the salt of a segment is combined with to mark the head of a block in it.
const MARK: u64 = u64::from_le_bytes(*b"RAFTBLOK");

/// What the head of a block says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct BlockHead {
    /// Where the head begins in the file.
    pub(super) offset: u64,
    /// The last entry that stays of the log as it was; the entries follow it.
    pub(super) before: LogId,
    /// How many entries there are; none in a mark.
    pub(super) count: u32,
    /// How many bytes they take.
    pub(super) length: u32,
    /// Everything in this file before this offset was durable when the block was written.
    pub(super) watermark: u64,
}

impl BlockHead {
    pub(super) fn encode(&self, salt: u64) -> [u8; BLOCK_HEAD_BYTES] {
        let mut head = [0; BLOCK_HEAD_BYTES];
        LittleEndian::write_u64(&mut head[0..8], MARK ^ salt);
        LittleEndian::write_u32(&mut head[12..16], self.count);
        LittleEndian::write_u64(&mut head[16..24], self.offset);
        LittleEndian::write_u64(&mut head[24..32], self.watermark);
        LittleEndian::write_u64(&mut head[32..40], self.before.index.0);
        LittleEndian::write_u64(&mut head[40..48], self.before.term.0);
        LittleEndian::write_u32(&mut head[48..52], self.length);
        let crc = checksum(&head);
        LittleEndian::write_u32(&mut head[8..12], crc);
        head
    }

    /// Reads the head that begins `bytes` and stands at `offset` in the segment with this salt;
    /// `None` if there is no whole one.
    pub(super) fn decode(bytes: &[u8], salt: u64, offset: u64) -> Option<BlockHead> {
        let head = bytes.get(..BLOCK_HEAD_BYTES)?;
        if LittleEndian::read_u64(&head[0..8]) != MARK ^ salt
            || LittleEndian::read_u32(&head[8..12]) != checksum(head)
            || LittleEndian::read_u64(&head[16..24]) != offset
        {
            return None;
        }
        let index = Index(LittleEndian::read_u64(&head[32..40]));
        let term = Term(LittleEndian::read_u64(&head[40..48]));
        if index.0 > MAX_COUNTER {
            return None;
        }
        Some(BlockHead {
            offset,
            before: LogId { term, index },
            count: LittleEndian::read_u32(&head[12..16]),
            length: LittleEndian::read_u32(&head[48..52]),
            watermark: LittleEndian::read_u64(&head[24..32]),
        })
    }

    /// Where the entries begin.
    pub(super) fn entries_at(&self) -> u64 {
        self.offset + BLOCK_HEAD_BYTES as u64
    }

    /// Where the last entry ends.
    pub(super) fn end(&self) -> u64 {
        self.entries_at() + u64::from(self.length)
    }

    /// The last index that the block gives the log.
    pub(super) fn last_index(&self) -> Index {
        self.before.index + u64::from(self.count)
    }
}

fn checksum(head: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&head[..8]);
    hasher.update(&head[12..BLOCK_HEAD_BYTES]);
    hasher.finalize()
}
