//! One connection of an import.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError};
use std::sync::{Arc, Mutex, PoisonError};

use raft_node::client::{Failure, Options, Pipeline, Received, Ticket};
use raft_node::kv::Operation;

use super::{Line, WrongLine};

/// What the workers tell while they run.
#[derive(Clone, Default)]
pub(super) struct Shared {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    done: AtomicU64,
    value_bytes: AtomicU64,
    refused: Mutex<Vec<WrongLine>>,
}

impl Shared {
    pub(super) fn done(&self) -> u64 {
        self.inner.done.load(Ordering::Relaxed)
    }

    pub(super) fn value_bytes(&self) -> u64 {
        self.inner.value_bytes.load(Ordering::Relaxed)
    }

    pub(super) fn take_refused(&self) -> Vec<WrongLine> {
        std::mem::take(&mut self.inner.refused.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn refuse(&self, wrong: WrongLine) {
        self.inner.refused.lock().unwrap_or_else(PoisonError::into_inner).push(wrong);
    }
}

/// How a worker ended.
pub(super) struct Ended {
    /// Why it ended before its lines did.
    pub(super) failure: Option<Failure>,
    /// The first of its lines that isn't known to be done.
    pub(super) first_undone: Option<u64>,
    /// How many of them were under way.
    pub(super) unsure: u64,
}

/// One connection, with a session of its own.
pub(super) struct Worker {
    pipeline: Pipeline,
    groups: Receiver<Vec<Line>>,
    shared: Shared,
    /// What was taken from the groups and isn't submitted, the next one last.
    waiting: Vec<Line>,
    /// What is under way.
    under_way: HashMap<Ticket, Line>,
    /// The keys of that: two lines with the same key are never under way together, since they
    /// could take effect in the wrong order.
    keys: HashSet<Vec<u8>>,
    is_over: bool,
}

impl Worker {
    pub(super) fn open(
        options: Options,
        session: &str,
        groups: Receiver<Vec<Line>>,
        shared: Shared,
    ) -> Result<Worker, Failure> {
        Ok(Worker {
            pipeline: Pipeline::open(options, session.as_bytes())?,
            groups,
            shared,
            waiting: Vec::new(),
            under_way: HashMap::new(),
            keys: HashSet::new(),
            is_over: false,
        })
    }

    pub(super) fn run(mut self) -> Ended {
        loop {
            self.submit();
            match self.pipeline.receive() {
                Ok(Some(received)) => {
                    self.settle(received);
                    while let Some(received) = self.pipeline.received() {
                        self.settle(received);
                    }
                }
                Ok(None) => {
                    // A session that isn't closed is forgotten in time; the lines are done.
                    let _ = self.pipeline.close();
                    return Ended { failure: None, first_undone: None, unsure: 0 };
                }
                Err(failure) => return self.stop(failure),
            }
        }
    }

    /// Submits lines for as long as there are any and room for them. Where nothing is under way,
    /// it waits for one.
    fn submit(&mut self) {
        while self.pipeline.has_room() {
            let Some(line) = self.next() else { return };
            if self.keys.contains(&line.key) {
                self.waiting.push(line);
                return;
            }
            let put = Operation::Put { key: &line.key, value: &line.value };
            let Some(ticket) = self.pipeline.submit(&put) else {
                self.waiting.push(line);
                return;
            };
            self.keys.insert(line.key.clone());
            self.under_way.insert(ticket, line);
        }
    }

    fn next(&mut self) -> Option<Line> {
        if self.waiting.is_empty() && !self.is_over {
            let group = match self.under_way.is_empty() {
                true => self.groups.recv().map_err(|_| TryRecvError::Disconnected),
                false => self.groups.try_recv(),
            };
            match group {
                Ok(mut group) => {
                    group.reverse();
                    self.waiting = group;
                }
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => self.is_over = true,
            }
        }
        self.waiting.pop()
    }

    fn settle(&mut self, (ticket, result): Received) {
        let Some(line) = self.under_way.remove(&ticket) else { return };
        self.keys.remove(&line.key);
        match result {
            Ok(_) => {
                self.shared.inner.done.fetch_add(1, Ordering::Relaxed);
                let bytes = line.value.len() as u64;
                self.shared.inner.value_bytes.fetch_add(bytes, Ordering::Relaxed);
            }
            Err(failure) => {
                self.shared.refuse(WrongLine { number: line.number, reason: failure.to_string() });
            }
        }
    }

    fn stop(mut self, failure: Failure) -> Ended {
        let unsure = self.under_way.len() as u64;
        // What was handed out and never taken from the queue isn't done either.
        let mut undone: Vec<u64> = self.under_way.values().map(|line| line.number).collect();
        undone.extend(self.waiting.drain(..).map(|line| line.number));
        undone.extend(self.groups.try_iter().flatten().map(|line| line.number));
        Ended { failure: Some(failure), first_undone: undone.into_iter().min(), unsure }
    }
}
