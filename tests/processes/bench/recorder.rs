//! What clients asked and were told, for the check that a correct store could have answered so.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use raft_node::client::{Client, Done, Failure, Page, Reason, Seen, Sum, Swap, Value};
use raft_node::kv::{Answer, Found, Item, Operation, PageItem, Refusal, Scan};
use raft_node::wire::Consistency;
use raft_sim::check::{Call, Freshness, History, Request, Verdict};

/// Writes down what clients on several threads ask and are told, with the time of the machine's
/// monotonic clock.
pub(crate) struct Recorder {
    begin: Instant,
    history: Mutex<History>,
}

impl Recorder {
    pub(crate) fn new() -> Recorder {
        Recorder { begin: Instant::now(), history: Mutex::default() }
    }

    /// How many calls were made so far.
    pub(crate) fn calls(&self) -> usize {
        self.history().len()
    }

    /// Asks for a change, and says whether it was done.
    pub(crate) fn change(&self, by: &mut Client, name: u32, operation: Operation<'_>) -> bool {
        let call = self.call(name, Request::Change { operation, number: None });
        match operation {
            Operation::Put { key, value } => {
                self.changed(call, by.put(key, value), |version| Answer::Put { version: *version })
            }
            Operation::Delete { key } => {
                self.changed(call, by.delete(key), |existed| Answer::Deleted { existed: *existed })
            }
            Operation::CompareAndSwap { key, expected, value } => {
                self.changed(call, by.compare_and_swap(key, expected, value), swap)
            }
            Operation::Increment { key, by: summand } => {
                self.changed(call, by.increment(key, summand), |Sum { value, version }| {
                    Answer::Incremented { value: *value, version: *version }
                })
            }
        }
    }

    /// Asks for the values of these keys, as fresh as the client wants them.
    pub(crate) fn get(&self, by: &mut Client, name: u32, keys: &[&[u8]]) {
        self.get_as(by, name, keys, freshness(by));
    }

    /// The same, with the answer held to be as fresh as this, however the client asked.
    pub(crate) fn get_as(
        &self,
        by: &mut Client,
        name: u32,
        keys: &[&[u8]],
        freshness: Freshness,
    ) -> bool {
        let call = self.call(name, Request::Get { keys, freshness });
        self.seen(call, by.get(keys), |values: &Vec<Option<Value>>| {
            Answer::Values(values.iter().map(|value| value.as_ref().map(item)).collect())
        })
    }

    /// Asks for a page of keys.
    pub(crate) fn scan(&self, by: &mut Client, name: u32, scan: Scan<'_>) {
        let call = self.call(name, Request::Scan { scan, freshness: freshness(by) });
        self.seen(call, by.scan(&scan), page);
    }

    /// Notes all that is stored below `prefix` when all clients are done, and checks everything.
    pub(crate) fn check(&self, by: &mut Client, prefix: &[u8]) -> Verdict {
        let seen = super::wait_for("a scan to be answered", || {
            by.scan(&Scan { prefix, ..Scan::ALL }).ok()
        });
        assert!(seen.answer.cursor.is_none(), "one page holds all keys of a load");
        let Answer::Page { items, .. } = page(&seen.answer) else { unreachable!("a page is one") };
        let items = items.iter().map(|item| {
            let value = item.value.expect("it was asked for");
            (item.key, Item { value, version: item.version, mod_index: item.mod_index })
        });
        let mut history = self.history();
        history.contents(self.now_us(), seen.read_index, items);
        history.check()
    }

    fn call(&self, name: u32, request: Request<'_>) -> Call {
        let mut history = self.history();
        history.call(self.now_us(), name, request)
    }

    fn changed<T>(
        &self,
        call: Call,
        result: Result<Done<T>, Failure>,
        answer: impl FnOnce(&T) -> Answer<'_>,
    ) -> bool {
        let (mut history, now_us) = (self.history(), self.now_us());
        match result {
            Ok(done) => {
                history.done(call, now_us, done.id, &answer(&done.answer));
                return true;
            }
            Err(Failure::Refused(refused)) => {
                history.refused(call, now_us, by_store(&refused.reason));
            }
            Err(Failure::Unknown(_)) => history.unknown(call, now_us),
        }
        false
    }

    fn seen<T>(
        &self,
        call: Call,
        result: Result<Seen<T>, Failure>,
        answer: impl FnOnce(&T) -> Answer<'_>,
    ) -> bool {
        let (mut history, now_us) = (self.history(), self.now_us());
        match result {
            Ok(Seen { read_index, answer: seen, .. }) => {
                history.seen(call, now_us, read_index, &answer(&seen));
                true
            }
            Err(_) => {
                history.refused(call, now_us, None);
                false
            }
        }
    }

    fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now_us(&self) -> u64 {
        u64::try_from(self.begin.elapsed().as_micros()).expect("a test doesn't take that long")
    }
}

fn freshness(client: &Client) -> Freshness {
    match client.options().consistency {
        Consistency::Stale => Freshness::Stale,
        Consistency::Linearizable | Consistency::Lease => Freshness::Fresh,
    }
}

fn by_store(reason: &Reason) -> Option<Refusal> {
    match reason {
        Reason::Store(refusal) => Some(*refusal),
        _ => None,
    }
}

fn item(value: &Value) -> Item<'_> {
    let Value { value, version, mod_index } = value;
    Item { value, version: *version, mod_index: *mod_index }
}

fn swap(swap: &Swap) -> Answer<'_> {
    Answer::NotSwapped(match swap {
        Swap::Swapped { version } => return Answer::Swapped { version: *version },
        Swap::Absent => Found::Absent,
        Swap::Other(value) => Found::Value(item(value)),
        Swap::Longer { length, version, mod_index } => {
            Found::Longer { length: *length, version: *version, mod_index: *mod_index }
        }
    })
}

fn page(page: &Page) -> Answer<'_> {
    let items = page.records.iter().map(|record| PageItem {
        key: &record.key,
        value: record.value.as_deref(),
        version: record.version,
        mod_index: record.mod_index,
    });
    Answer::Page { items: items.collect(), cursor: page.cursor.as_deref() }
}
