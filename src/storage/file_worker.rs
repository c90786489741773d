//! The file thread's part: spares, reads of older entries, removal of segments.

use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::BytesMut;

use crate::model::{Batch, Index, MAX_ENTRY_BYTES, SnapshotId};

use super::log_map::Piece;
use super::reader::EntryReader;
use super::segment::SegmentHead;
use super::shared::Shared;
use super::snapshot::{ReceiptFound, Snapshots};
use super::{Disk, ErrorClass, FileReport, FileWork, StorageError};

/// How many pieces are looked up at once.
const PIECES: usize = 64;

/// How many segments are removed in one step, if the log can begin behind them.
const REMOVED_AT_ONCE: usize = 4;

/// The most bytes that one read gives, whatever was asked for.
const MAX_READ_BYTES: u64 = 4 * MAX_ENTRY_BYTES as u64;

/// Does what is long. One thread owns it; there is none inside.
#[derive(Debug)]
pub struct FileWorker<D: Disk> {
    shared: Arc<Shared<D>>,
    reader: EntryReader<D>,
    snapshots: Snapshots<D>,
}

impl<D: Disk> FileWorker<D> {
    pub(super) fn new(
        shared: Arc<Shared<D>>,
        kept: Vec<SnapshotId>,
        receipt: Option<&ReceiptFound>,
    ) -> Result<FileWorker<D>, StorageError> {
        let snapshots = Snapshots::new(shared.clone(), kept, receipt)?;
        Ok(FileWorker { shared, reader: EntryReader::new(), snapshots })
    }

    /// Does `work` and tells what came of it. After an error the process is to end.
    ///
    /// # Panics
    ///
    /// If a snapshot is to be gone on with that wasn't begun, if none would be left that reaches
    /// to where the log begins, or if more of the log is to go than the older of the two newest
    /// snapshots covers.
    pub fn perform(&mut self, work: FileWork) -> Result<FileReport, StorageError> {
        match work {
            FileWork::MakeSpare => match self.shared.stock() {
                Ok(()) => Ok(FileReport::SpareReady),
                Err(error) if error.class() == ErrorClass::NoSpace => {
                    Ok(FileReport::NoRoomForSpare(error))
                }
                Err(error) => Err(error),
            },
            FileWork::Read { ticket, first, last, max_bytes } => {
                Ok(match self.read(first, last, max_bytes.min(MAX_READ_BYTES))? {
                    Some(batch) => FileReport::Entries { ticket, batch },
                    None => FileReport::NotHeld { ticket },
                })
            }
            FileWork::BeginSnapshot { head, source } => self.snapshots.begin(head, source),
            FileWork::ContinueSnapshot { budget } => self.snapshots.go_on(budget),
            FileWork::ReadPiece { ticket, snapshot, offset, max_bytes } => {
                Ok(match self.snapshots.piece(snapshot, offset, max_bytes)? {
                    Some(bytes) => FileReport::Piece { ticket, bytes },
                    None => FileReport::PieceLost { ticket },
                })
            }
            FileWork::StorePiece { snapshot, offset, bytes } => {
                self.snapshots.store(snapshot, offset, &bytes)
            }
            FileWork::LoadReceived { snapshot, sink } => self.snapshots.load(snapshot, sink),
            FileWork::ContinueLoad { budget } => self.snapshots.load_on(budget),
            FileWork::DropSnapshots { keep } => {
                let base = self.shared.map().base();
                self.snapshots.drop_others(&keep, base)
            }
            FileWork::Free(something) => {
                drop(something);
                Ok(FileReport::Freed)
            }
            FileWork::RemoveThrough { through, wanted, max_bytes } => {
                self.remove_through(through, wanted, max_bytes)
            }
        }
    }

    fn read(
        &mut self,
        first: Index,
        last: Index,
        max_bytes: u64,
    ) -> Result<Option<Batch>, StorageError> {
        let pieces = self.pieces(first, last);
        if pieces.is_empty() {
            return Ok(None);
        }
        let mut bytes = BytesMut::new();
        for (piece, head) in &pieces {
            let (disk, layout) = (&self.shared.disk, &self.shared.layout);
            let flow = self.reader.read(disk, layout, head, piece, &mut |entry, _| {
                let index = entry.id().index;
                if index < first {
                    return ControlFlow::Continue(());
                }
                let full = (bytes.len() + entry.bytes().len()) as u64 > max_bytes;
                if index > last || (full && !bytes.is_empty()) {
                    return ControlFlow::Break(());
                }
                bytes.extend_from_slice(entry.bytes());
                ControlFlow::Continue(())
            })?;
            if flow.is_break() {
                break;
            }
        }
        let batch = Batch::parse(bytes.freeze());
        Ok(Some(batch.expect("each entry was verified, and the map holds them in order")))
    }

    /// The pieces from `first` on, as they are at one moment, each with its segment's head.
    fn pieces(&self, first: Index, last: Index) -> Vec<(Piece, SegmentHead)> {
        let map = self.shared.map();
        let pieces = map.pieces_from(first, last, PIECES).into_iter();
        pieces
            .map(|piece| {
                let head = map.head(piece.ordinal);
                (piece, head.expect("a piece lies in a segment of the map"))
            })
            .collect()
    }

    /// Removes segments of which nothing is needed, in the order of their numbers, each durably
    /// before the next: what is left never has a gap.
    fn remove_through(
        &mut self,
        through: Index,
        wanted: Index,
        max_bytes: u64,
    ) -> Result<FileReport, StorageError> {
        let base = self.shared.map().base().index;
        let covered = self.snapshots.covered(base);
        assert!(through <= covered, "{through} is to go, and snapshots cover {covered}");
        let mut removed = 0;
        while let Some(path) = self.first_void() {
            self.remove(&path)?;
            self.shared.void().remove(0);
            removed += 1;
        }
        let (heads, more) = {
            // In one go: the log thread may put another map in its place at any time.
            let mut map = self.shared.map();
            let removable = map.removable(through, wanted, max_bytes);
            let now = removable.at_once(REMOVED_AT_ONCE);
            (map.remove_first_segments(now), removable.all() > now)
        };
        for head in &heads {
            self.reader.close(head.ordinal);
            self.remove(&self.shared.layout.log.join(head.file_name()))?;
            removed += 1;
        }
        let map = self.shared.map();
        Ok(FileReport::Removed {
            segments: removed,
            more,
            base: map.base(),
            log_bytes: map.bytes(),
        })
    }

    fn first_void(&self) -> Option<std::path::PathBuf> {
        self.shared.void().first().cloned()
    }

    fn remove(&self, path: &std::path::Path) -> Result<(), StorageError> {
        let (disk, log) = (&self.shared.disk, &self.shared.layout.log);
        disk.remove(path).map_err(StorageError::disk("remove", path))?;
        disk.sync_directory(log).map_err(StorageError::disk("sync", log))
    }
}
