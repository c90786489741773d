//! Rare states of a disk, and how often each was reached.

macro_rules! marks {
    ($($(#[$doc:meta])* $mark:ident,)*) => {
        /// A rare state that a disk reached.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        pub enum DiskMark {
            $($(#[$doc])* $mark,)*
        }

        impl DiskMark {
            /// All of them.
            pub const ALL: &[DiskMark] = &[$(DiskMark::$mark,)*];

            /// Its name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(DiskMark::$mark => stringify!($mark),)*
                }
            }
        }
    };
}

marks! {
    /// A process ended with bytes in the cache that the device didn't have.
    CacheSurvivedProcess,
    /// A crash came in the middle of a sync.
    CrashInSync,
    /// A crash came in the middle of a store, of which a part had been done.
    CrashInWrite,
    /// A crash undid operations that were to come.
    OperationsUndone,
    /// A power cut lost a whole page.
    PageLost,
    /// A power cut kept some sectors of a page and lost others.
    PageTorn,
    /// A power cut left a sector neither old nor new.
    SectorGarbled,
    /// A power cut kept a page that wasn't synced.
    PageKept,
    /// A power cut lost a change of names.
    NameLost,
    /// A power cut kept a change of names that wasn't synced.
    NameKept,
    /// A power cut kept a new name and lost bytes of its file.
    NameBeforeData,
    /// A power cut lost a change of a file's length.
    LengthLost,
    /// A dirty page reached the device before it was synced.
    Writeback,
    /// A sync failed and left clean pages that the device doesn't have.
    SyncKeptCache,
    /// A sync failed and took the new bytes out of the cache.
    SyncRevertedCache,
    /// A writeback failed unseen.
    WritebackFailed,
    /// A sync reported the failure of an earlier writeback.
    LateErrorReported,
    /// A sync of a directory failed.
    DirectorySyncFailed,
    /// The file system takes no change any more.
    BecameReadOnly,
    /// A read failed.
    ReadFailed,
    /// A write failed.
    WriteFailed,
    /// An operation on names or lengths failed.
    NameFailed,
    /// There was no room.
    NoSpace,
    /// An operation stalled.
    Stalled,
    /// An operation waited for one of the other thread on the same file or directory.
    Waited,
    /// A clean page that the device doesn't have left the cache.
    StalePageDropped,
    /// A bit flipped.
    Rotted,
    /// A bit flipped under a good copy in the cache.
    RotHidden,
    /// A write went elsewhere.
    Misdirected,
    /// The device lost what it had written.
    WriteLost,
    /// Damaged sectors were read from the device.
    DamageRead,
    /// Damaged sectors were written anew.
    DamageHealed,
}

/// How often each rare state was reached.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DiskMarks {
    counts: [u64; DiskMark::ALL.len()],
}

impl Default for DiskMarks {
    fn default() -> DiskMarks {
        DiskMarks { counts: [0; DiskMark::ALL.len()] }
    }
}

impl DiskMarks {
    /// How often this one was.
    #[must_use]
    pub fn count(&self, mark: DiskMark) -> u64 {
        self.counts[mark as usize]
    }

    /// Each with its count, in the order of [`DiskMark::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = (DiskMark, u64)> + '_ {
        DiskMark::ALL.iter().map(|mark| (*mark, self.count(*mark)))
    }

    /// Adds the counts of another disk.
    pub fn add(&mut self, other: &DiskMarks) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
    }

    pub(super) fn hit(&mut self, mark: DiskMark) {
        self.counts[mark as usize] += 1;
    }
}
