//! Mapped files: the one place with `unsafe`.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;

use memmap2::{MmapOptions, MmapRaw};
use signal_hook::consts::SIGBUS;

use super::Region;

/// A file's bytes, mapped shared and for writing.
///
/// It is only written through: nothing ever makes a reference to the mapped bytes, so it doesn't
/// matter to the language's rules that the kernel, or a reader of the file, looks at them.
#[derive(Debug)]
pub struct Mapping {
    map: MmapRaw,
    /// The same open file, so that an error of a sync is reported once and here.
    file: File,
}

/// From how many bytes on a store goes through a write of the file instead of the mapping. The
/// cache is the same, but it then takes the bytes in large pieces, which are synced faster than
/// single pages; the figures are in docs/file-formats.md.
const WRITE_FROM_BYTES: usize = 16_384;

impl Mapping {
    /// Maps the first `length` bytes of `file`.
    pub(super) fn new(file: File, length: usize) -> io::Result<Mapping> {
        let map = MmapOptions::new().len(length).map_raw(&file)?;
        Ok(Mapping { map, file })
    }
}

impl Region for Mapping {
    fn store(&mut self, offset: usize, bytes: &[u8]) -> io::Result<()> {
        let end = offset.checked_add(bytes.len()).expect("a region is far smaller than memory");
        assert!(end <= self.map.len(), "{offset}..{end} of {}", self.map.len());
        if bytes.len() >= WRITE_FROM_BYTES {
            return self.file.write_all_at(bytes, offset as u64);
        }
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
        Ok(())
    }

    fn sync(&self, offset: usize, length: usize) -> io::Result<()> {
        self.map.flush_range(offset, length)
    }
}

/// What is said when the disk can't back a mapped page.
const BUS_ERROR: &[u8] = b"error: SIGBUS: the disk can't back a mapped page of the log; what was \
acknowledged is on disk, nothing later is: look at the kernel's log; exit 74\n";

/// The exit code of a disk error.
const EXIT_DISK: i32 = 74;

/// Ends the process with exit code 74 and one line on stderr when a store into a mapping finds
/// that the disk can't back it. Without this the process would end by the signal alone.
///
/// No such signal is expected: room is set aside for every mapped page, what lies in it is only
/// written, and a file is never cut while it is mapped. It takes a device that fails under a page
/// which has to be read back before a part of it is overwritten.
pub fn end_on_bus_error() -> io::Result<()> {
    let stderr = io::stderr().as_fd().try_clone_to_owned()?;
    let action = move || {
        // Whatever becomes of the line, the process ends.
        let _ = rustix::io::write(&stderr, BUS_ERROR);
        signal_hook::low_level::exit(EXIT_DISK);
    };
    // SAFETY: the action runs inside the signal handler, so it may only do what is safe there.
    // It makes two system calls, write(2) on a constant and exit_group(2) by _exit(3), and
    // touches no memory that can change, no lock and no allocator. It never returns, so the
    // store that failed is never taken up again.
    unsafe { signal_hook::low_level::register(SIGBUS, action) }?;
    Ok(())
}
