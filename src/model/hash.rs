//! The hash by which replicas compare what they hold: elements of the state, files of snapshots.

use byteorder::{ByteOrder, LittleEndian};

const C1: u64 = 0x87c3_7b91_1142_53d5;
const C2: u64 = 0x4cf5_ad43_2745_937f;

/// MurmurHash3_x64_128 with seed 0, fed piece by piece.
///
/// It is fixed forever: replicas of different versions compare what it gives. It finds faults,
/// not forgers.
///
/// ```
/// use raft_node::model::Hash128;
/// let whole = Hash128::new().bytes(b"one and two").finish();
/// assert_eq!(Hash128::new().bytes(b"one and").bytes(b" two").finish(), whole);
/// ```
#[derive(Clone, Debug)]
pub struct Hash128 {
    h1: u64,
    h2: u64,
    block: [u8; 16],
    length: u64,
}

impl Default for Hash128 {
    fn default() -> Hash128 {
        Hash128::new()
    }
}

impl Hash128 {
    /// The hash of nothing yet.
    #[must_use]
    pub const fn new() -> Hash128 {
        Hash128 { h1: 0, h2: 0, block: [0; 16], length: 0 }
    }

    /// An element of the kind that `tag` names: its first byte.
    #[must_use]
    pub const fn element(tag: u8) -> Hash128 {
        let mut block = [0; 16];
        block[0] = tag;
        Hash128 { h1: 0, h2: 0, block, length: 1 }
    }

    /// Feeds a number of 4 bytes.
    #[must_use]
    pub fn u32(self, number: u32) -> Hash128 {
        self.bytes(&number.to_le_bytes())
    }

    /// Feeds a number of 8 bytes.
    #[must_use]
    pub fn u64(self, number: u64) -> Hash128 {
        self.bytes(&number.to_le_bytes())
    }

    /// Feeds bytes.
    #[must_use]
    pub fn bytes(mut self, mut bytes: &[u8]) -> Hash128 {
        let filled = (self.length % 16) as usize;
        self.length += bytes.len() as u64;
        if filled > 0 {
            let taken = bytes.len().min(16 - filled);
            self.block[filled..filled + taken].copy_from_slice(&bytes[..taken]);
            bytes = &bytes[taken..];
            if filled + taken < 16 {
                return self;
            }
            let block = self.block;
            self.mix(&block);
        }
        let (blocks, rest) = bytes.as_chunks::<16>();
        for block in blocks {
            self.mix(block);
        }
        self.block[..rest.len()].copy_from_slice(rest);
        self
    }

    /// The hash: its first 64 bits are the lower ones.
    #[must_use]
    pub fn finish(mut self) -> u128 {
        let filled = (self.length % 16) as usize;
        self.block[filled..].fill(0);
        if filled > 8 {
            self.h2 ^= mix_second(LittleEndian::read_u64(&self.block[8..]));
        }
        if filled > 0 {
            self.h1 ^= mix_first(LittleEndian::read_u64(&self.block[..8]));
        }
        let mut h1 = self.h1 ^ self.length;
        let mut h2 = self.h2 ^ self.length;
        h1 = h1.wrapping_add(h2);
        h2 = h2.wrapping_add(h1);
        h1 = avalanche(h1);
        h2 = avalanche(h2);
        h1 = h1.wrapping_add(h2);
        h2 = h2.wrapping_add(h1);
        u128::from(h1) | u128::from(h2) << 64
    }

    fn mix(&mut self, block: &[u8; 16]) {
        self.h1 ^= mix_first(LittleEndian::read_u64(&block[..8]));
        self.h1 = self.h1.rotate_left(27).wrapping_add(self.h2);
        self.h1 = self.h1.wrapping_mul(5).wrapping_add(0x52dc_e729);
        self.h2 ^= mix_second(LittleEndian::read_u64(&block[8..]));
        self.h2 = self.h2.rotate_left(31).wrapping_add(self.h1);
        self.h2 = self.h2.wrapping_mul(5).wrapping_add(0x3849_5ab5);
    }
}

const fn mix_first(word: u64) -> u64 {
    word.wrapping_mul(C1).rotate_left(31).wrapping_mul(C2)
}

const fn mix_second(word: u64) -> u64 {
    word.wrapping_mul(C2).rotate_left(33).wrapping_mul(C1)
}

const fn avalanche(mut word: u64) -> u64 {
    word ^= word >> 33;
    word = word.wrapping_mul(0xff51_afd7_ed55_8ccd);
    word ^= word >> 33;
    word = word.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    word ^ (word >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The hash as two numbers of 64 bits, the first one first.
    fn shown(text: &str) -> String {
        let (first, rest) = text.as_bytes().split_first().unwrap();
        let hash = Hash128::element(*first).bytes(rest).finish();
        format!("{:016x}{:016x}", hash as u64, (hash >> 64) as u64)
    }

    #[test]
    fn it_gives_the_published_values_of_murmurhash3() {
        assert_eq!(shown("hello"), "cbd8a7b341bd9b025b1e906a48ae1d19");
        assert_eq!(shown("foo"), "e271865701f545617eaf87e42bba7d87");
        assert_eq!(
            shown("The quick brown fox jumps over the lazy dog"),
            "e34bbc7bbc071b6c7a433ca9c49a9347"
        );
    }

    #[test]
    fn how_the_bytes_are_cut_into_pieces_does_not_matter() {
        let bytes: Vec<u8> = (0..100).collect();
        for length in 1..bytes.len() {
            let whole = Hash128::element(bytes[0]).bytes(&bytes[1..length]).finish();
            for cut in 1..length {
                let (first, second) = bytes[1..length].split_at(cut - 1);
                let pieces = Hash128::element(bytes[0]).bytes(first).bytes(second).finish();
                assert_eq!(pieces, whole, "{length} bytes cut at {cut}");
            }
        }
    }
}
