//! Clients that read and write as long as they are let, and whether a correct store could have
//! answered them so.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use raft_node::client::Client;
use raft_node::kv::{Expected, Operation, Scan};

use super::recorder::Recorder;
use super::{Cluster, wait_for};

/// Clients on threads of their own, all at the same few keys.
pub(crate) struct Load {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<()>>,
}

struct Shared {
    recorder: Recorder,
    /// How many changes were acknowledged.
    acknowledged: AtomicUsize,
    stop: AtomicBool,
}

/// What all keys of a load begin with.
const PREFIX: &[u8] = b"load/";

/// How many keys hold text, and how many numbers.
const TEXTS: u32 = 6;
const COUNTERS: u32 = 2;

impl Load {
    pub(crate) fn start(cluster: &Cluster, clients: u32) -> Load {
        let shared = Arc::new(Shared {
            recorder: Recorder::new(),
            acknowledged: AtomicUsize::default(),
            stop: AtomicBool::default(),
        });
        let begin = |number| {
            let shared = Arc::clone(&shared);
            let (client, stale) =
                (cluster.library_client(), cluster.stale_client_of(cluster.ids()));
            thread::spawn(move || Asking { number, client, stale, shared }.run())
        };
        let clients = (1..=clients).map(begin).collect();
        Load { shared, clients }
    }

    /// Waits until so many further changes have been acknowledged.
    #[track_caller]
    pub(crate) fn wait_for_writes(&self, count: usize) {
        let acknowledged = || self.shared.acknowledged.load(Ordering::Relaxed);
        let goal = acknowledged() + count;
        wait_for("writes to be acknowledged", || (acknowledged() >= goal).then_some(()));
    }

    /// Ends the load, looks at what `cluster` holds now, and checks that all of it is what a
    /// correct store answers. What can't be decided isn't taken for correct.
    #[track_caller]
    pub(crate) fn stop_and_check(mut self, cluster: &Cluster) {
        self.shared.stop.store(true, Ordering::Relaxed);
        for client in self.clients.drain(..) {
            client.join().expect("a client doesn't fail");
        }
        let recorder = &self.shared.recorder;
        let verdict = recorder.check(&mut cluster.library_client(), PREFIX);
        assert!(verdict.is_legal(), "of {} calls:\n{verdict}", recorder.calls());
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }
}

/// One of the clients.
struct Asking {
    number: u32,
    client: Client,
    /// Reads from any node, however old it is.
    stale: Client,
    shared: Arc<Shared>,
}

impl Asking {
    fn run(mut self) {
        if self.number.is_multiple_of(2) {
            let name = format!("load {}", self.number);
            // Without a session its changes are sent once, which is as well.
            let _ = self.client.open_session(name.as_bytes());
        }
        let mut count = 0;
        while !self.shared.stop.load(Ordering::Relaxed) {
            count += 1;
            self.ask(count);
        }
    }

    fn ask(&mut self, count: u64) {
        let text = [PREFIX, format!("text {}", pick(TEXTS)).as_bytes()].concat();
        let counter = [PREFIX, format!("counter {}", pick(COUNTERS)).as_bytes()].concat();
        let value = format!("{}/{count}", self.number);
        let (key, value) = (text.as_slice(), value.as_bytes());
        let recorder = &self.shared.recorder;
        let operation = match pick(100) {
            0..25 => Operation::Put { key, value },
            25..50 => Operation::Increment { key: &counter, by: i64::from(1 + pick(9)) },
            50..55 => Operation::Delete { key },
            55..60 => Operation::CompareAndSwap { key, expected: Expected::Absent, value },
            60..65 => {
                let expected = Expected::Version(u64::from(1 + pick(4)));
                Operation::CompareAndSwap { key, expected, value }
            }
            65..90 => return recorder.get(&mut self.client, self.number, &[key, &counter]),
            90..95 => {
                let scan = Scan { prefix: PREFIX, limit: 3, ..Scan::ALL };
                return recorder.scan(&mut self.client, self.number, scan);
            }
            _ => return recorder.get(&mut self.stale, self.number, &[key, &counter]),
        };
        if recorder.change(&mut self.client, self.number, operation) {
            self.shared.acknowledged.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A number below `bound`.
fn pick(bound: u32) -> u32 {
    rand::random_range(0..bound)
}
