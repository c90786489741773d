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

    pub(crate) fn begin(&mut self, now: u64) {
        self.now = now;
    }

    pub(crate) fn end(&mut self) -> u64 {
        self.now + self.random.between(self.sync_us.0, self.sync_us.1) * 1000
    }
}
