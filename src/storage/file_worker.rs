//! The file thread's part: spares, reads of older entries, removal of segments.

use super::{Disk, FileReport, FileWork, StorageError};

/// Does what is long. One thread owns it; there is none inside.
#[derive(Debug)]
pub struct FileWorker<D: Disk> {
    disk: D,
}

impl<D: Disk> FileWorker<D> {
    /// Does `work` and tells what came of it. After an error the process is to end.
    pub fn perform(&mut self, work: FileWork) -> Result<FileReport, StorageError> {
        let _ = (&self.disk, work);
        Err(StorageError::Poisoned)
    }
}
