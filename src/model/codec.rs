//! Reading and writing little-endian bytes, with every length checked before it is used.

use byteorder::{ByteOrder, LittleEndian};
use bytes::{BufMut, BytesMut};

/// Bytes that don't have the layout they should have.
///
/// `field` is the name that the format's page in docs/ uses, `offset` counts from the first byte
/// given to the [`ByteReader`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Malformed {
    /// The bytes end inside a field.
    #[error("{field} at offset {offset}: needs {needed} bytes, {left} are left")]
    Short {
        /// The field that is cut.
        field: &'static str,
        /// Where it begins.
        offset: usize,
        /// How long it is.
        needed: usize,
        /// How many bytes there are from `offset`.
        left: usize,
    },
    /// A length or count above its bound.
    #[error("{field} at offset {offset}: {found} is above the bound of {bound}")]
    TooLarge {
        /// The length's field.
        field: &'static str,
        /// Where it stands.
        offset: usize,
        /// What it says.
        found: u64,
        /// The most that is allowed.
        bound: u64,
    },
    /// A value that the field can't have.
    #[error("{field} at offset {offset}: {found} is not a value of this field")]
    Invalid {
        /// The field.
        field: &'static str,
        /// Where it stands.
        offset: usize,
        /// What it says.
        found: u64,
    },
    /// Bytes behind the last field.
    #[error("{left} bytes too many from offset {offset}, behind the last field")]
    Trailing {
        /// Where they begin.
        offset: usize,
        /// How many there are.
        left: usize,
    },
}

impl Malformed {
    /// The same error, with its offset counted from `by` bytes further ahead.
    #[must_use]
    pub const fn shifted(mut self, by: usize) -> Malformed {
        match &mut self {
            Malformed::Short { offset, .. }
            | Malformed::TooLarge { offset, .. }
            | Malformed::Invalid { offset, .. }
            | Malformed::Trailing { offset, .. } => *offset += by,
        }
        self
    }
}

/// Reads fields from a slice, in order. Reading past the end is an error, never a panic.
///
/// ```
/// use raft_node::model::ByteReader;
/// let mut reader = ByteReader::new(&[7, 0, 2, b'h', b'i']);
/// assert_eq!(reader.u16("number").unwrap(), 7);
/// assert_eq!(reader.short_bytes("name", 16).unwrap(), b"hi");
/// reader.finish().unwrap();
/// ```
#[derive(Debug)]
pub struct ByteReader<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> ByteReader<'a> {
    /// A reader at the first byte of `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> ByteReader<'a> {
        ByteReader { bytes, offset: 0 }
    }

    /// How many bytes were read.
    #[must_use]
    pub const fn offset(&self) -> usize {
        self.offset
    }

    /// How many bytes are left.
    #[must_use]
    pub const fn left(&self) -> usize {
        self.bytes.len() - self.offset
    }

    /// The next `length` bytes.
    pub fn take(&mut self, field: &'static str, length: usize) -> Result<&'a [u8], Malformed> {
        if length > self.left() {
            return Err(Malformed::Short {
                field,
                offset: self.offset,
                needed: length,
                left: self.left(),
            });
        }
        let taken = &self.bytes[self.offset..self.offset + length];
        self.offset += length;
        Ok(taken)
    }

    /// All bytes that are left.
    pub fn rest(&mut self) -> &'a [u8] {
        let rest = &self.bytes[self.offset..];
        self.offset = self.bytes.len();
        rest
    }

    /// One byte.
    pub fn u8(&mut self, field: &'static str) -> Result<u8, Malformed> {
        Ok(self.take(field, 1)?[0])
    }

    /// Two bytes.
    pub fn u16(&mut self, field: &'static str) -> Result<u16, Malformed> {
        Ok(LittleEndian::read_u16(self.take(field, 2)?))
    }

    /// Four bytes.
    pub fn u32(&mut self, field: &'static str) -> Result<u32, Malformed> {
        Ok(LittleEndian::read_u32(self.take(field, 4)?))
    }

    /// Eight bytes.
    pub fn u64(&mut self, field: &'static str) -> Result<u64, Malformed> {
        Ok(LittleEndian::read_u64(self.take(field, 8)?))
    }

    /// Sixteen bytes.
    pub fn u128(&mut self, field: &'static str) -> Result<u128, Malformed> {
        Ok(LittleEndian::read_u128(self.take(field, 16)?))
    }

    /// One byte, 0 or 1.
    pub fn bool(&mut self, field: &'static str) -> Result<bool, Malformed> {
        match self.u8(field)? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(self.invalid(field, 1, u64::from(other))),
        }
    }

    /// Bytes behind a one-byte length, which must be at most `bound`.
    pub fn short_bytes(&mut self, field: &'static str, bound: u8) -> Result<&'a [u8], Malformed> {
        let length = self.u8(field)?;
        self.bounded(field, 1, u64::from(length), u64::from(bound))?;
        self.take(field, usize::from(length))
    }

    /// Bytes behind a four-byte length, which must be at most `bound`.
    pub fn long_bytes(&mut self, field: &'static str, bound: u32) -> Result<&'a [u8], Malformed> {
        let length = self.u32(field)?;
        self.bounded(field, 4, u64::from(length), u64::from(bound))?;
        self.take(field, length as usize)
    }

    /// A four-byte count of things of at least `least_bytes` each, which must be at most
    /// `bound` and fit in what is left, so that it may be allocated for.
    pub fn count(
        &mut self,
        field: &'static str,
        bound: u32,
        least_bytes: usize,
    ) -> Result<usize, Malformed> {
        let count = self.u32(field)?;
        self.bounded(field, 4, u64::from(count), u64::from(bound))?;
        let needed = (count as usize).saturating_mul(least_bytes);
        if needed > self.left() {
            let (offset, left) = (self.offset, self.left());
            return Err(Malformed::Short { field, offset, needed, left });
        }
        Ok(count as usize)
    }

    /// UTF-8 behind a one-byte length, which must be at most `bound`.
    pub fn short_text(&mut self, field: &'static str, bound: u8) -> Result<&'a str, Malformed> {
        let offset = self.offset;
        let bytes = self.short_bytes(field, bound)?;
        std::str::from_utf8(bytes).map_err(|error| {
            let found = u64::from(bytes[error.valid_up_to()]);
            Malformed::Invalid { field, offset: offset + 1 + error.valid_up_to(), found }
        })
    }

    /// The error for a field of `width` bytes that was just read and can't have the value
    /// `found`.
    #[must_use]
    pub const fn invalid(&self, field: &'static str, width: usize, found: u64) -> Malformed {
        Malformed::Invalid { field, offset: self.offset - width, found }
    }

    /// Ends the reading: bytes behind the last field are an error.
    pub fn finish(self) -> Result<(), Malformed> {
        match self.left() {
            0 => Ok(()),
            left => Err(Malformed::Trailing { offset: self.offset, left }),
        }
    }

    fn bounded(
        &self,
        field: &'static str,
        width: usize,
        found: u64,
        bound: u64,
    ) -> Result<(), Malformed> {
        if found <= bound {
            return Ok(());
        }
        Err(Malformed::TooLarge { field, offset: self.offset - width, found, bound })
    }
}

/// Writes the length-prefixed fields that [`ByteReader`] reads; the plain numbers are written by
/// [`BufMut`]'s `put_u16_le` and its siblings.
pub trait PutBytes: BufMut {
    /// Writes a one-byte length and `bytes`.
    ///
    /// # Panics
    ///
    /// If there are more than 255 bytes: the caller has bounded them.
    fn put_short_bytes(&mut self, bytes: &[u8]) {
        self.put_u8(u8::try_from(bytes.len()).expect("a short field has at most 255 bytes"));
        self.put_slice(bytes);
    }

    /// Writes a four-byte length and `bytes`.
    ///
    /// # Panics
    ///
    /// If there are 4 GiB or more: the caller has bounded them.
    fn put_long_bytes(&mut self, bytes: &[u8]) {
        self.put_u32_le(u32::try_from(bytes.len()).expect("a field has less than 4 GiB"));
        self.put_slice(bytes);
    }

    /// Writes one byte, 0 or 1.
    fn put_bool(&mut self, value: bool) {
        self.put_u8(u8::from(value));
    }
}

impl PutBytes for BytesMut {}
impl PutBytes for Vec<u8> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_field_names_itself_and_its_place() {
        let mut reader = ByteReader::new(&[1, 0, 9]);
        reader.u16("first").unwrap();
        let error = reader.u32("second").unwrap_err();
        assert_eq!(error.to_string(), "second at offset 2: needs 4 bytes, 1 are left");
    }

    #[test]
    fn a_length_above_its_bound_is_refused_before_it_is_used() {
        let mut reader = ByteReader::new(&[255, 255, 255, 255]);
        let error = reader.long_bytes("value", 1 << 20).unwrap_err();
        assert_eq!(
            error.to_string(),
            "value at offset 0: 4294967295 is above the bound of 1048576"
        );
    }

    #[test]
    fn a_count_of_more_things_than_bytes_are_left_is_refused() {
        let mut reader = ByteReader::new(&[200, 0, 0, 0, 1, 2, 3]);
        assert!(matches!(reader.count("entries", 1000, 36), Err(Malformed::Short { .. })));
    }

    #[test]
    fn text_that_is_not_utf8_is_refused_at_its_first_bad_byte() {
        let mut reader = ByteReader::new(&[3, b'a', 0xff, b'b']);
        let error = reader.short_text("name", 10).unwrap_err();
        assert_eq!(error, Malformed::Invalid { field: "name", offset: 2, found: 0xff });
    }

    #[test]
    fn bytes_behind_the_last_field_are_refused() {
        let mut reader = ByteReader::new(&[1, 2]);
        reader.u8("only").unwrap();
        assert_eq!(reader.finish(), Err(Malformed::Trailing { offset: 1, left: 1 }));
    }
}
