//! How founders pass on the first entry of their cluster.

use bytes::{BufMut, Bytes, BytesMut};

use super::{Frame, Kind, OpenFrame, WireError, fields};
use crate::model::{
    Batch, BatchError, ByteReader, ClusterId, ENTRY_HEADER_BYTES, EntryKind, Founding, Index,
    LogId, Malformed, Term,
};

/// The longest founding entry: 64 seats with the longest addresses, a name and settings take
/// less.
pub(super) const MAX_FOUNDING_BYTES: usize = 32 << 10;

const STORED: u8 = 1;
const PREFERS: u8 = 2;
const REFUSED: u8 = 3;

/// The name of the first entry: it was made before any election.
const FIRST: LogId = LogId::new(Term::ZERO, Index(1));

/// The first entry of a cluster, as one member passes it on to another. All founders store the
/// same bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FoundingOffer {
    /// The entry, alone in its batch.
    pub batch: Batch,
    /// What it says.
    pub founding: Founding,
}

impl FoundingOffer {
    /// The offer of this entry.
    ///
    /// # Errors
    ///
    /// If it isn't one entry of kind founding at index 1 and term 0, or can't be read.
    pub fn new(batch: Batch) -> Result<FoundingOffer, BatchError> {
        let (first, last) = (batch.first(), batch.last());
        if first != FIRST || last != FIRST {
            let found = if first == FIRST { last } else { first };
            return Err(BatchError::Sequence { offset: 0, previous: LogId::ORIGIN, found });
        }
        let entry = batch.entry(FIRST.index).expect("its only entry has this index");
        let malformed = |error: Malformed| BatchError::Entry { offset: 0, error: error.into() };
        if entry.kind() != EntryKind::FOUNDING {
            let found = u64::from(entry.kind().0);
            return Err(malformed(Malformed::Invalid { field: "kind", offset: 10, found }));
        }
        let founding = Founding::decode(entry.payload())
            .map_err(|error| malformed(shifted(error, ENTRY_HEADER_BYTES)))?;
        Ok(FoundingOffer { batch, founding })
    }

    /// Appends its frame to `out`.
    pub fn encode(&self, out: &mut BytesMut) {
        encode_founding(&self.batch, out);
    }

    pub(super) fn decode(frame: &Frame) -> Result<FoundingOffer, WireError> {
        let mut reader = frame.reader();
        read_offer(frame, &mut reader)
    }
}

/// Appends the frame that offers the founding entry of `batch` to `out`.
///
/// # Panics
///
/// If the entry is longer than any founding is.
pub fn encode_founding(batch: &Batch, out: &mut BytesMut) {
    let frame = OpenFrame::begin(Kind::Founding, out);
    out.put_slice(&batch.bytes());
    frame.seal(out);
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
    Prefers(Box<FoundingOffer>),
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
            FoundingReply::Prefers(offer) => {
                out.put_u8(PREFERS);
                out.put_slice(&offer.batch.bytes());
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
            PREFERS => FoundingReply::Prefers(Box::new(read_offer(frame, &mut reader)?)),
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
fn read_offer(frame: &Frame, reader: &mut ByteReader<'_>) -> Result<FoundingOffer, WireError> {
    let start = reader.offset();
    // Copied, so that the entry, which a node may keep for long, doesn't hold on to a whole
    // buffer of the connection.
    let bytes = Bytes::copy_from_slice(&frame.rest(reader));
    frame.entries_error(start, Batch::parse(bytes).and_then(FoundingOffer::new))
}

/// The same error, with its offset counted from `by` bytes further ahead.
fn shifted(error: Malformed, by: usize) -> Malformed {
    let mut error = error;
    match &mut error {
        Malformed::Short { offset, .. }
        | Malformed::TooLarge { offset, .. }
        | Malformed::Invalid { offset, .. }
        | Malformed::Trailing { offset, .. } => *offset += by,
    }
    error
}
