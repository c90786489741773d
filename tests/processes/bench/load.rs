//! Clients that write as long as they are let, and remember what was acknowledged.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use super::client::{Client, Outcome};
use super::{Cluster, wait_for};

/// Writers on threads of their own, each with keys of its own.
pub(crate) struct Load {
    shared: Arc<Shared>,
    writers: Vec<JoinHandle<Written>>,
}

#[derive(Default)]
struct Shared {
    acknowledged: AtomicUsize,
    stop: AtomicBool,
}

/// What one writer knows.
#[derive(Default)]
struct Written {
    /// What was acknowledged.
    acknowledged: BTreeMap<String, String>,
    /// How often the shared counter was certainly raised, and how often perhaps.
    raised: u64,
    perhaps_raised: u64,
}

/// The counter that all writers raise.
const COUNTER: &str = "counter";

impl Load {
    pub(crate) fn start(cluster: &Cluster, writers: usize) -> Load {
        let shared = Arc::new(Shared::default());
        let write = |number| {
            let (client, shared) = (cluster.client(), Arc::clone(&shared));
            thread::spawn(move || write(number, client, &shared))
        };
        let writers = (0..writers).map(write).collect();
        Load { shared, writers }
    }

    /// Waits until so many further writes have been acknowledged.
    #[track_caller]
    pub(crate) fn wait_for_writes(&self, count: usize) {
        let acknowledged = || self.shared.acknowledged.load(Ordering::Relaxed);
        let goal = acknowledged() + count;
        wait_for("writes to be acknowledged", || (acknowledged() >= goal).then_some(()));
    }

    /// Ends the load and reads all that was acknowledged from `cluster`.
    #[track_caller]
    pub(crate) fn stop_and_read_back(mut self, cluster: &Cluster) {
        self.shared.stop.store(true, Ordering::Relaxed);
        let join = |writer: JoinHandle<Written>| writer.join().expect("a writer doesn't fail");
        let all_written: Vec<Written> = self.writers.drain(..).map(join).collect();
        let stored = cluster.client().scan();
        let (mut raised, mut perhaps_raised) = (0, 0);
        for written in all_written {
            for (key, value) in &written.acknowledged {
                assert_eq!(stored.get(key), Some(value), "{key} was acknowledged");
            }
            raised += written.raised;
            perhaps_raised += written.perhaps_raised;
        }
        let counter: u64 = stored[COUNTER].parse().expect("the counter is a number");
        let possible = raised..=raised + perhaps_raised;
        assert!(possible.contains(&counter), "the counter is {counter}, not of {possible:?}");
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }
}

fn write(number: usize, mut client: Client, shared: &Shared) -> Written {
    let mut written = Written::default();
    for count in 0.. {
        if shared.stop.load(Ordering::Relaxed) {
            break;
        }
        let (key, value) = (format!("writer-{number}-{count}"), format!("{number}/{count}"));
        if client.put(&key, &value) == Outcome::Done {
            written.acknowledged.insert(key, value);
            shared.acknowledged.fetch_add(1, Ordering::Relaxed);
        }
        match client.increment(COUNTER) {
            Outcome::Done => written.raised += 1,
            Outcome::Refused => {}
            Outcome::Unknown => written.perhaps_raised += 1,
        }
    }
    written
}
