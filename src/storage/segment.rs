//! The head of a segment.

use bytes::BufMut;

use crate::model::{ByteReader, Index, LogId, Term};

use super::identity::Identity;
use super::layout::segment_name;
use super::page::{PAGE_BYTES, PageFault, PageKind, counter};

/// The page's kind.
pub(super) const PAGE: PageKind = PageKind { magic: "RAFTSEGM", format: 1 };

/// Where the first block begins.
pub(super) const FIRST_BLOCK: u64 = PAGE_BYTES as u64;

/// What the blocks of a segment written by this program begin at a multiple of: a sector.
///
/// A sync writes whole sectors. What was acknowledged earlier lies in other sectors than what is
/// written now, so a power cut in the middle of a sector doesn't touch it.
pub(super) const BLOCK_ALIGNMENT: u32 = 512;

/// The page's flag that this segment voids all with lower ordinals.
const RESET: u16 = 2;

/// What the head of a segment says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct SegmentHead {
    /// Whose log it is part of.
    pub(super) identity: Identity,
    /// Its place among the segments.
    pub(super) ordinal: u64,
    /// The last entry of the log when it was made.
    pub(super) before: LogId,
    /// What marks its blocks, drawn for this segment.
    pub(super) salt: u64,
    /// How long the file was made.
    pub(super) file_bytes: u64,
    /// What its blocks begin at a multiple of.
    pub(super) alignment: u32,
    /// Whether it voids all segments with lower ordinals.
    pub(super) reset: bool,
}

impl SegmentHead {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        self.identity.put(&mut body);
        body.put_u64_le(self.ordinal);
        body.put_u64_le(self.before.index.0);
        body.put_u64_le(self.before.term.0);
        body.put_u64_le(self.salt);
        body.put_u64_le(self.file_bytes);
        body.put_u32_le(self.alignment);
        let reset = if self.reset { RESET } else { 0 };
        PAGE.seal(self.identity.flags() | reset, &body)
    }

    pub(super) fn decode(page: &[u8]) -> Result<SegmentHead, PageFault> {
        let (flags, body) = PAGE.open(page)?;
        let mut reader = ByteReader::new(body);
        let identity = Identity::take(flags, &mut reader)?;
        let ordinal = counter(&mut reader, "ordinal")?;
        let index = Index(counter(&mut reader, "index before")?);
        let term = Term(counter(&mut reader, "term before")?);
        let salt = reader.u64("salt")?;
        let file_bytes = reader.u64("file length")?;
        let alignment = reader.u32("alignment")?;
        if !alignment.is_power_of_two() || !(64..=4096).contains(&alignment) {
            return Err(reader.invalid("alignment", 4, u64::from(alignment)).into());
        }
        let before = LogId { term, index };
        let reset = flags & RESET != 0;
        Ok(SegmentHead { identity, ordinal, before, salt, file_bytes, alignment, reset })
    }

    /// The name of the file.
    pub(super) fn file_name(&self) -> String {
        segment_name(self.ordinal, self.before.index + 1)
    }

    /// The first offset at or behind `offset` at which a block may begin.
    pub(super) fn aligned(&self, offset: u64) -> u64 {
        offset.next_multiple_of(u64::from(self.alignment))
    }
}

/// The salt of a segment: a mix of what was drawn for this start and of what tells the segments
/// of it apart.
pub(super) fn salt(seed: u64, boot: u64, ordinal: u64) -> u64 {
    let mut mixed = seed;
    for part in [boot, ordinal] {
        // The finalizer of splitmix64: each input bit changes half of the output bits.
        mixed = mixed.wrapping_add(part.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
    }
    mixed
}
