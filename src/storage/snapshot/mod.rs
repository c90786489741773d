//! Snapshots: the state up to some entry, in a file of its own that is the same on every node.
//!
//! - `format`: head, chunks and foot;
//! - `build`: written from a [`SnapshotSource`] in short steps, read back, named;
//! - `receipt`: received piece by piece from a peer;
//! - `read`: read forward into a [`SnapshotSink`];
//! - `kept`: all that the file thread does with them;
//! - `opening`: what a start finds.

mod aside;
mod build;
mod format;
mod kept;
mod opening;
mod read;
mod receipt;

use std::any::Any;
use std::fmt::Debug;

use bytes::BytesMut;

pub(super) use aside::set_aside;
pub(super) use build::build;
pub use format::SnapshotHead;
pub(super) use kept::Snapshots;
pub(super) use opening::{Chosen, Newest, SnapshotsFound, choose, find, open};
pub use read::SnapshotFile;
pub(super) use receipt::ReceiptFound;

/// What a snapshot is made from: an image of the state that doesn't change any more.
pub trait SnapshotSource: Send + Debug {
    /// Appends the next bytes of the payload to `out`, about `max_bytes` of them, and tells
    /// whether there are more. The same state gives the same payload, however it is cut.
    fn next(&mut self, out: &mut BytesMut, max_bytes: usize) -> bool;
}

/// What a snapshot is loaded into. Its owner gets it back, by [`Any`], when it is full.
pub trait SnapshotSink: Any + Send + Debug {
    /// Takes the next bytes of the payload; they are cut anywhere.
    ///
    /// # Errors
    ///
    /// If they can't be understood. The sink is then given up.
    fn take(&mut self, payload: &[u8]) -> Result<(), Refusal>;

    /// That was all of it.
    ///
    /// # Errors
    ///
    /// If something is missing or doesn't fit together.
    fn finish(&mut self) -> Result<(), Refusal>;
}

/// Why a sink doesn't take what a snapshot holds.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refusal {
    /// It isn't what it should be.
    #[error("what it holds can't be understood: {0}")]
    Malformed(String),
    /// It was written by a newer version of this program.
    #[error("{what} has format {found}, and this program reads up to {supported}")]
    Newer {
        /// Which part of it.
        what: &'static str,
        /// The format it has.
        found: u16,
        /// The newest that this program reads.
        supported: u16,
    },
}

/// What is wrong with the file of a snapshot.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SnapshotFault {
    /// Its bytes aren't those that were written.
    #[error("offset {offset:#x}: {what}")]
    Damaged {
        /// Where the damage begins; 0 if all that is known is that there is some.
        offset: u64,
        /// What is wrong.
        what: String,
    },
    /// Its bytes are good, and what they hold isn't taken.
    #[error(transparent)]
    Refused(#[from] Refusal),
}
