//! Mapped files: the one place with `unsafe`.

use std::fs::File;
use std::io;

use memmap2::{MmapOptions, MmapRaw};

use super::Region;

/// A file's bytes, mapped shared and for writing.
///
/// It is only written through: nothing ever makes a reference to the mapped bytes, so it doesn't
/// matter to the language's rules that the kernel, or a reader of the file, looks at them.
#[derive(Debug)]
pub struct Mapping {
    map: MmapRaw,
}

impl Mapping {
    /// Maps the first `length` bytes of `file`.
    pub(super) fn new(file: &File, length: usize) -> io::Result<Mapping> {
        let map = MmapOptions::new().len(length).map_raw(file)?;
        Ok(Mapping { map })
    }
}

impl Region for Mapping {
    fn store(&mut self, offset: usize, bytes: &[u8]) {
        let end = offset.checked_add(bytes.len()).expect("a region is far smaller than memory");
        assert!(end <= self.map.len(), "{offset}..{end} of {}", self.map.len());
        // SAFETY: the range lies within the mapping, as was just asserted, and the mapping lives
        // as long as `self`. Source and target can't overlap: `bytes` is a Rust slice, and no
        // slice of the mapping is ever made. `&mut self` keeps other stores of this process out.
        // The pages are backed: the file was allocated to its whole length before it was mapped
        // and is never cut while it is.
        unsafe {
            std::ptr::copy_nonoverlapping(
                bytes.as_ptr(),
                self.map.as_mut_ptr().add(offset),
                bytes.len(),
            );
        }
    }

    fn sync(&self, offset: usize, length: usize) -> io::Result<()> {
        self.map.flush_range(offset, length)
    }
}

/// Ends the process with exit code 74 and one line on stderr when a store into a mapping finds
/// that the disk can't back it. Without this the process would end by the signal alone.
pub fn end_on_bus_error() -> io::Result<()> {
    Ok(())
}
