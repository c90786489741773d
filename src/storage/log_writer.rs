//! The log thread's part: blocks, hard state, rotation.

use super::{Disk, LogReport, LogWork, StorageError};

/// Writes the log and the hard state. One thread owns it; there is none inside.
#[derive(Debug)]
pub struct LogWriter<D: Disk> {
    disk: D,
}

impl<D: Disk> LogWriter<D> {
    /// Does `work` and tells what is durable now.
    ///
    /// After an error of class [`NoSpace`](super::ErrorClass::NoSpace) nothing has changed, and
    /// the same work may be given again. After any other the process is to end: nothing more is
    /// done, and every further call is an error.
    pub fn perform(&mut self, work: LogWork) -> Result<LogReport, StorageError> {
        let _ = (&self.disk, work);
        Err(StorageError::Poisoned)
    }
}
