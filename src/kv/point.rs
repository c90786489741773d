//! Points and the feature level: entries that the leader proposes for the machine's sake.

use crate::model::{ByteReader, Index, Malformed, PutBytes};

/// The feature level of this program. An entry that raises the cluster's above it stops the
/// node.
pub const FEATURE_LEVEL: u32 = 1;

/// The longest text that names a version, in bytes.
const MAX_VERSION_BYTES: u8 = 32;

const TAKE_SNAPSHOT: u8 = 1;

/// The payload of a point: an entry at which each replica reports its state hash.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Point {
    /// Whether each replica takes a snapshot at exactly this index.
    pub snapshot: bool,
}

impl Point {
    /// Appends the encoding to `out`: flags (1 byte), of which bit 0 says to take a snapshot.
    pub fn encode(&self, out: &mut impl PutBytes) {
        out.put_u8(if self.snapshot { TAKE_SNAPSHOT } else { 0 });
    }

    /// Reads what [`Point::encode`] wrote; nothing may follow it.
    pub fn decode(payload: &[u8]) -> Result<Point, Malformed> {
        let mut reader = ByteReader::new(payload);
        let flags = reader.u8("flags")?;
        if flags > TAKE_SNAPSHOT {
            return Err(reader.invalid("flags", 1, u64::from(flags)));
        }
        reader.finish()?;
        Ok(Point { snapshot: flags == TAKE_SNAPSHOT })
    }
}

/// The payload of an entry that raises the feature level.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FeatureLevel<'a> {
    /// The new level. One that isn't above the present level changes nothing.
    pub level: u32,
    /// The lowest version of this program that knows the level, for the message of one that
    /// doesn't.
    pub version: &'a str,
}

impl<'a> FeatureLevel<'a> {
    /// Appends the encoding to `out`: level (4 bytes), version (1 + length).
    ///
    /// # Panics
    ///
    /// If the version has more than 255 bytes: no encoding exists.
    pub fn encode(&self, out: &mut impl PutBytes) {
        out.put_u32_le(self.level);
        out.put_short_bytes(self.version.as_bytes());
    }

    /// Reads the level and the version; what stands behind them belongs to a newer program,
    /// which may need it together with the level.
    pub fn decode(payload: &'a [u8]) -> Result<FeatureLevel<'a>, Malformed> {
        let mut reader = ByteReader::new(payload);
        let level = reader.u32("feature level")?;
        let version = reader.short_text("version", MAX_VERSION_BYTES)?;
        if level <= FEATURE_LEVEL {
            reader.finish()?;
        }
        Ok(FeatureLevel { level, version })
    }
}

/// What a replica reports at a point.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PointReport {
    /// The point's index.
    pub index: Index,
    /// The state hash behind it.
    pub hash: u128,
}
