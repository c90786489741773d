//! How founders pass on the first entry of their cluster.

use bytes::{BufMut, Bytes, BytesMut};

use super::{Frame, Kind, OpenFrame, WireError, fields};
use crate::model::{Batch, ByteReader, ClusterId, FoundingEntry};

/// The longest founding entry: 64 seats with the longest addresses, a name and settings take
/// less.
pub(super) const MAX_FOUNDING_BYTES: usize = 32 << 10;

const STORED: u8 = 1;
const PREFERS: u8 = 2;
const REFUSED: u8 = 3;

/// Appends the frame that offers the first entry of a cluster to `out`.
///
/// # Panics
///
/// If the entry is longer than any founding is.
pub fn encode_founding(entry: &FoundingEntry, out: &mut BytesMut) {
    let frame = OpenFrame::begin(Kind::Founding, out);
    out.put_slice(&entry.batch().bytes());
    frame.seal(out);
}

/// Reads the entry that is offered.
pub(super) fn decode_founding(frame: &Frame) -> Result<FoundingEntry, WireError> {
    let mut reader = frame.reader();
    read_entry(frame, &mut reader)
}

/// What became of a founding entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FoundingReply {
    /// The sender has stored these very bytes, durably.
    Stored {
        /// The cluster of the entry, as a check.
        cluster: ClusterId,
    },
    /// The sender keeps another founding entry, which goes before the one offered; here it is.
    Prefers(FoundingEntry),
    /// The sender doesn't take it, for this reason.
    Refused {
        /// Why.
        text: String,
    },
}

impl FoundingReply {
    /// Appends its frame to `out`.
    pub fn encode(&self, out: &mut BytesMut) {
        let frame = OpenFrame::begin(Kind::FoundingReply, out);
        match self {
            FoundingReply::Stored { cluster } => {
                out.put_u8(STORED);
                out.put_u128_le(cluster.0);
            }
            FoundingReply::Prefers(entry) => {
                out.put_u8(PREFERS);
                out.put_slice(&entry.batch().bytes());
            }
            FoundingReply::Refused { text } => {
                out.put_u8(REFUSED);
                fields::put_text(text, out);
            }
        }
        frame.seal(out);
    }

    pub(super) fn decode(frame: &Frame) -> Result<FoundingReply, WireError> {
        let mut reader = frame.reader();
        let reply = match frame.body_error(reader.u8("result"))? {
            STORED => FoundingReply::Stored {
                cluster: ClusterId(frame.body_error(reader.u128("cluster id"))?),
            },
            PREFERS => FoundingReply::Prefers(read_entry(frame, &mut reader)?),
            REFUSED => FoundingReply::Refused {
                text: frame.body_error(fields::text(&mut reader, "text"))?,
            },
            other => {
                return frame.body_error(Err(reader.invalid("result", 1, u64::from(other))));
            }
        };
        frame.body_error(reader.finish())?;
        Ok(reply)
    }
}

/// Reads the founding entry that fills the rest of a frame.
fn read_entry(frame: &Frame, reader: &mut ByteReader<'_>) -> Result<FoundingEntry, WireError> {
    let start = reader.offset();
    // Copied, so that the entry, which a node may keep for long, doesn't hold on to a whole
    // buffer of the connection.
    let bytes = Bytes::copy_from_slice(&frame.rest(reader));
    frame.entries_error(start, Batch::parse(bytes).and_then(FoundingEntry::new))
}
