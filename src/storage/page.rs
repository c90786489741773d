//! Pages of 4 KiB that say what they are: identity, hard state and the heads of segments.
//!
//! The layout of the first 16 bytes is the same in all formats of all versions, so that a newer
//! format can be told from damage.

use crate::model::{ByteReader, Malformed};

/// The length of a page.
pub(super) const PAGE_BYTES: usize = 4096;

/// Where the fields of the page's own kind begin.
pub(super) const PAGE_BODY: usize = 16;

/// A page that can't be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum PageFault {
    #[error("nothing was written here")]
    Empty,
    #[error("it doesn't begin with {expected:?}")]
    Magic { expected: &'static str },
    #[error("checksum {found:08x} found, {computed:08x} computed")]
    Checksum { found: u32, computed: u32 },
    #[error("its format {found} is newer than {supported}")]
    Newer { found: u16, supported: u16 },
    #[error("it is the head of the segment with the number {ordinal:016x}")]
    OtherSegment { ordinal: u64 },
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

/// The highest number that a counter on disk may have. No living cluster reaches it, and below it
/// nothing overflows that is computed from it.
pub(super) const MAX_COUNTER: u64 = 1 << 62;

/// Reads a number that counts something.
pub(super) fn counter(reader: &mut ByteReader<'_>, field: &'static str) -> Result<u64, Malformed> {
    let offset = reader.offset();
    let found = reader.u64(field)?;
    if found > MAX_COUNTER {
        return Err(Malformed::TooLarge { field, offset, found, bound: MAX_COUNTER });
    }
    Ok(found)
}

/// One kind of page.
#[derive(Clone, Copy, Debug)]
pub(super) struct PageKind {
    /// Its first 8 bytes.
    pub(super) magic: &'static str,
    /// The format that this program writes, and the newest that it reads.
    pub(super) format: u16,
}

impl PageKind {
    /// Makes a page of `flags` and `body`, or several that are sealed as one where the body is
    /// longer.
    pub(super) fn seal(self, flags: u16, body: &[u8]) -> Vec<u8> {
        let mut page = vec![0; (PAGE_BODY + body.len()).next_multiple_of(PAGE_BYTES)];
        page[..8].copy_from_slice(self.magic.as_bytes());
        page[8..10].copy_from_slice(&self.format.to_le_bytes());
        page[10..12].copy_from_slice(&flags.to_le_bytes());
        page[PAGE_BODY..PAGE_BODY + body.len()].copy_from_slice(body);
        let crc = checksum(&page);
        page[12..16].copy_from_slice(&crc.to_le_bytes());
        page
    }

    /// Reads a page, or several that were sealed as one: its flags and its body.
    pub(super) fn open(self, page: &[u8]) -> Result<(u16, &[u8]), PageFault> {
        let is_whole = !page.is_empty() && page.len().is_multiple_of(PAGE_BYTES);
        assert!(is_whole, "pages are read whole, not {} bytes", page.len());
        if page.iter().all(|&byte| byte == 0) {
            return Err(PageFault::Empty);
        }
        if &page[..8] != self.magic.as_bytes() {
            return Err(PageFault::Magic { expected: self.magic });
        }
        let found = u32::from_le_bytes([page[12], page[13], page[14], page[15]]);
        let computed = checksum(page);
        if found != computed {
            return Err(PageFault::Checksum { found, computed });
        }
        let format = u16::from_le_bytes([page[8], page[9]]);
        if format > self.format {
            return Err(PageFault::Newer { found: format, supported: self.format });
        }
        Ok((u16::from_le_bytes([page[10], page[11]]), &page[PAGE_BODY..]))
    }
}

/// The checksum of a page: of all its bytes but those that hold the checksum.
fn checksum(page: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&page[..12]);
    hasher.update(&page[PAGE_BODY..]);
    hasher.finalize()
}
