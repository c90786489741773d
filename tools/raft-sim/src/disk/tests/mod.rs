//! What a simulated disk promises, seen from outside.

mod faults;
mod model;
mod storage;

use std::path::PathBuf;

use super::SimulatedDisk;
use super::chance::Chance;
use super::faults::DiskFaults;
use raft_node::storage::Disk;

fn path(name: &str) -> PathBuf {
    PathBuf::from("/d").join(name)
}

/// A disk with a durable directory.
fn disk(seed: u64, faults: DiskFaults) -> SimulatedDisk {
    let disk = SimulatedDisk::new(seed, faults);
    disk.create_directory(&PathBuf::from("/d")).unwrap();
    disk
}
