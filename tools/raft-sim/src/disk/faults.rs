//! What a simulated disk is made to do, and how long things take on it.

/// From how many to how many microseconds something takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Span {
    /// The least.
    pub least_us: u32,
    /// The most.
    pub most_us: u32,
}

impl Span {
    /// From `least_us` to `most_us`.
    #[must_use]
    pub const fn new(least_us: u32, most_us: u32) -> Span {
        Span { least_us, most_us }
    }
}

/// How long each kind of operation takes. What changes something takes a microsecond at least.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Latency {
    /// A read.
    pub read: Span,
    /// A write, or a store into a mapping.
    pub write: Span,
    /// A sync of a file or a directory.
    pub sync: Span,
    /// Anything that concerns names or lengths.
    pub name: Span,
}

/// Which faults there are and how often. Rates are per million operations of their kind. The
/// default is a disk without faults, on which a power cut loses what wasn't synced.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DiskFaults {
    /// How long operations take.
    pub latency: Latency,
    /// Operations that take up to [`DiskFaults::longest_stall_us`] longer, a tenth of a second
    /// at least.
    pub stall: u32,
    /// The longest stall.
    pub longest_stall_us: u64,
    /// Writes after which a dirty page of the file reaches the device on its own.
    pub writeback: u32,
    /// Syncs that fail and leave pages clean: the cache has the new bytes, the device the old.
    pub sync_keeps_cache: u32,
    /// Syncs that fail and leave pages clean with the old bytes in cache and device.
    pub sync_reverts_cache: u32,
    /// Writes after which a page's writeback fails; only the next sync of the file says so, once.
    pub late_error: u32,
    /// Failed syncs after which the file system takes no change until the machine starts again.
    pub read_only_after_error: u32,
    /// Reads that fail.
    pub read_error: u32,
    /// Writes that fail, having written any first part.
    pub write_error: u32,
    /// Operations on names and lengths that fail.
    pub name_error: u32,
    /// Files made or made longer for which there is no room.
    pub no_space: u32,
    /// How many bytes the file system has.
    pub capacity_bytes: u64,
    /// Pages not wholly written at a power cut of which one sector is left neither old nor new.
    pub garble: u32,
    /// Operations at which a bit of a page on the device flips.
    pub rot: u32,
    /// Pages whose write lands at another page of the same file.
    pub misdirect: u32,
    /// Whether reads can go past the cache.
    pub direct_reads: bool,
}

impl Default for DiskFaults {
    fn default() -> DiskFaults {
        DiskFaults {
            latency: Latency {
                read: Span::new(1, 80),
                write: Span::new(1, 3),
                sync: Span::new(60, 400),
                name: Span::new(1, 20),
            },
            stall: 0,
            longest_stall_us: 60_000_000,
            writeback: 50_000,
            sync_keeps_cache: 0,
            sync_reverts_cache: 0,
            late_error: 0,
            read_only_after_error: 0,
            read_error: 0,
            write_error: 0,
            name_error: 0,
            no_space: 0,
            capacity_bytes: u64::MAX,
            garble: 0,
            rot: 0,
            misdirect: 0,
            direct_reads: true,
        }
    }
}

/// What kind of damage was done to what was durable.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum DamageKind {
    /// A bit flipped on the device.
    Rot,
    /// The device reports an error for the sector.
    Unreadable,
    /// A write that was reported as done went elsewhere: the old bytes stand here.
    Unwritten,
    /// A write that was reported as done is undone.
    Lost,
    /// Bytes that were meant for another place stand here.
    Overwritten,
}

/// A fault that damaged what was, or was reported as, durable.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Damage {
    /// What happened.
    pub kind: DamageKind,
    /// To which file, by the first name that it has now; none if it has none any more.
    pub path: Option<std::path::PathBuf>,
    /// Where the damaged sectors begin.
    pub offset: u64,
    /// How many bytes they take.
    pub length: u64,
}
