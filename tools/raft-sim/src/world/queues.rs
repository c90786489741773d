//! What waits in a node keeps within its bounds, whatever the others do.

use raft_node::node::Unsent;
use raft_node::wire::MAX_BULK_FRAME_BYTES;

use super::World;
use super::invariants::Broken;

/// The most that waits for another node before all entries, and what may wait for a client before
/// no more is taken of it.
const URGENT_BYTES: usize = 1 << 20;

/// What an answer takes that a client asks for in these worlds, generously.
const ANSWER_BYTES: usize = 64 << 10;

/// What an entry has beside its value, and what the core adds of its own, generously.
const ENTRY_BYTES: u64 = 8 << 10;

/// The most queries that wait, and the most bytes of them.
const QUERIES: usize = 1 << 16;
const QUERY_BYTES: usize = 64 << 20;

/// The most that clients may have asked on one connection and aren't told.
const UNANSWERED: usize = 4096;

impl World {
    /// Looks at what waits in a node after one of its turns.
    pub(super) fn check_queues(&self, machine: usize) -> Result<(), Broken> {
        let Some(server) = self.hosts[machine].server.as_ref() else { return Ok(()) };
        let frame = MAX_BULK_FRAME_BYTES as u64;
        let window = self.scenario.max_inflight_bytes;
        let mut connections = 0;
        for unsent in server.unsent() {
            connections += 1;
            let Unsent { is_node, urgent_bytes, entry_bytes } = unsent;
            let urgent = if is_node { URGENT_BYTES } else { URGENT_BYTES + ANSWER_BYTES };
            bounded("bytes unsent before entries", urgent_bytes as u64, urgent as u64)?;
            let most = if is_node { 2 * window + 2 * frame + ENTRY_BYTES } else { 0 };
            bounded("bytes of entries unsent", entry_bytes as u64, most)?;
        }
        let Some(driver) = server.driver() else { return Ok(()) };
        let memory = driver.raft().memory();
        let unpersisted = self.scenario.max_unpersisted_bytes.max(frame) + ENTRY_BYTES;
        bounded("bytes that aren't durable", memory.unpersisted_bytes, unpersisted)?;
        let needed = memory.unpersisted_bytes.max(memory.unapplied_bytes);
        let recent = self.scenario.recent_bytes.max(needed);
        bounded("bytes of entries in memory", memory.bytes, recent)?;
        let waiting = driver.waiting();
        // Entries that came together leave together.
        let held = recent + unpersisted;
        bounded("bytes of entries held", waiting.entry_bytes as u64, held)?;
        bounded("queries", waiting.queries as u64, QUERIES as u64)?;
        bounded("bytes of queries", waiting.query_bytes as u64, QUERY_BYTES as u64)?;
        let proposals = UNANSWERED * (connections + self.clients.len());
        bounded("proposals", waiting.proposals as u64, proposals as u64)
    }
}

fn bounded(what: &str, count: u64, most: u64) -> Result<(), Broken> {
    if count <= most {
        return Ok(());
    }
    Err(format!("bounded queues: {count} {what}, and no more than {most} are allowed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_within_its_bound_is_no_finding() {
        assert_eq!(bounded("bytes", 7, 7), Ok(()));
        assert!(bounded("bytes", 8, 7).unwrap_err().contains("8 bytes, and no more than 7"));
    }
}
