//! The disk of a machine.

use raft_node::storage::MemoryDisk;

use super::random::Random;

/// A disk with a time of its own.
pub(crate) struct HostDisk {
    disk: MemoryDisk,
    random: Random,
    sync_us: (u64, u64),
    now: u64,
}

impl HostDisk {
    pub(crate) fn new(random: Random, sync_us: (u64, u64)) -> HostDisk {
        HostDisk { disk: MemoryDisk::default(), random, sync_us, now: 0 }
    }

    pub(crate) fn disk(&self) -> MemoryDisk {
        self.disk.clone()
    }

    /// What is done from now on begins at this time.
    pub(crate) fn begin(&mut self, now: u64) {
        self.now = now;
    }

    /// Whether something was done since then.
    pub(crate) const fn is_used(&self) -> bool {
        false
    }

    /// When what was done since then has ended.
    pub(crate) fn end(&mut self) -> u64 {
        self.now + self.random.between(self.sync_us.0, self.sync_us.1) * 1000
    }

    /// Nothing of it goes wrong any more.
    pub(crate) fn heal(&mut self) {}

    pub(crate) fn process_crash(&mut self, _: u64) {}

    pub(crate) fn power_cut(&mut self, _: u64) {}
}
