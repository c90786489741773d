//! The seam below all storage: what a disk can do, each operation on its own.
//!
//! The rules that an implementation keeps and the storage relies on:
//!
//! - What is written is seen by later reads of any handle, and is durable only when a sync of that
//!   file, begun after the write, has succeeded. Until then any subset of the written sectors may
//!   survive a power cut.
//! - Making, renaming and removing a name is durable only when a sync of the directory that holds
//!   the name, begun afterwards, has succeeded. A rename replaces what has the new name, at once.
//! - An error of a sync means that nothing written since the last success is known to be durable,
//!   also if a later sync succeeds.
//! - The end of a process loses nothing of that, but the cache may then hold what the disk doesn't.

use std::fmt;
use std::io;
use std::path::Path;

/// How a file is opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// It exists and is read.
    Read,
    /// It exists and is read past the cache where the system can do that, so that what is read
    /// is what the device holds.
    ReadDevice,
    /// It exists and is read and written.
    Write,
    /// It is made, or emptied if it exists, then read and written.
    Create,
}

/// A file system.
pub trait Disk: Clone + fmt::Debug + Send + Sync + 'static {
    /// An open file.
    type File: DiskFile;
    /// What keeps a directory for this process; given back when it is dropped.
    type Lock: fmt::Debug + Send + Sync + 'static;

    /// Makes a directory, and those above it that aren't there, durably. An existing one is no
    /// error.
    fn create_directory(&self, path: &Path) -> io::Result<()>;

    /// The names in a directory, in their order.
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;

    /// Opens a file.
    fn open(&self, path: &Path, access: Access) -> io::Result<Self::File>;

    /// Gives a file another name in the same directory, replacing what has that name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file's name.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable.
    fn sync_directory(&self, path: &Path) -> io::Result<()>;

    /// Takes the lock on the file at `path`, making it if need be; `WouldBlock` if another has it.
    fn lock(&self, path: &Path) -> io::Result<Self::Lock>;

    /// Whether another holds the lock on the file at `path`. Changes nothing.
    fn is_locked(&self, path: &Path) -> io::Result<bool>;

    /// How many bytes are free on the file system that holds `path`.
    fn free_bytes(&self, path: &Path) -> io::Result<u64>;
}

/// An open file.
pub trait DiskFile: fmt::Debug + Send + Sync + 'static {
    /// A mapping of a file for writing.
    type Region: Region;

    /// The file's length in bytes.
    fn length(&self) -> io::Result<u64>;

    /// Fills `buffer` from `offset`. The end of the file before that is `UnexpectedEof`.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;

    /// Writes all of `bytes` at `offset`.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Gives the file `length` bytes of zeros for which the disk has room set aside, so that no
    /// write inside them can fail for want of space.
    fn allocate(&self, length: u64) -> io::Result<()>;

    /// Cuts the file to `length` bytes, which must not be more than it has. This process doesn't
    /// map it.
    fn cut(&self, length: u64) -> io::Result<()>;

    /// Makes the file's contents and length durable.
    fn sync(&self) -> io::Result<()>;

    /// Drops what the cache holds of the file and the disk has, so that the next read comes from
    /// the device.
    fn drop_cache(&self) -> io::Result<()>;

    /// Maps the first `length` bytes, all of them allocated, for writing.
    fn map(&self, length: usize) -> io::Result<Self::Region>;
}

/// A file's bytes, mapped for writing.
pub trait Region: fmt::Debug + Send + 'static {
    /// Stores `bytes` at `offset`.
    ///
    /// # Panics
    ///
    /// If they don't lie within the region.
    fn store(&mut self, offset: usize, bytes: &[u8]) -> io::Result<()>;

    /// Makes what was stored in `length` bytes from `offset` durable, and whatever is needed to
    /// read it back.
    fn sync(&self, offset: usize, length: usize) -> io::Result<()>;
}
