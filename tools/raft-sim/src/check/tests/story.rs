//! A way to write a history down.

use raft_node::kv::{Answer, Item, Operation};
use raft_node::model::{Index, LogId, Term};

use crate::check::{Call, Check, Freshness, History, Request, Verdict};

/// Writes a history down in few words. Keys are `k` unless they are named.
#[derive(Default)]
pub(super) struct Story(pub(super) History);

pub(super) fn entry(index: u64) -> LogId {
    LogId::new(Term(1), Index(index))
}

pub(super) fn item(value: &[u8], version: u64, index: u64) -> Item<'_> {
    Item { value, version, mod_index: Index(index) }
}

impl Story {
    pub(super) fn change(&mut self, time_us: u64, client: u32, operation: Operation<'_>) -> Call {
        self.0.call(time_us, client, Request::Change { operation, number: None })
    }

    pub(super) fn put(&mut self, from: u64, to: u64, value: &str, version: u64, index: u64) {
        let call = self.perhaps(from, value);
        self.0.done(call, to, entry(index), &Answer::Put { version });
    }

    /// A put of which nobody hears.
    pub(super) fn perhaps(&mut self, from: u64, value: &str) -> Call {
        self.change(from, 1, Operation::Put { key: b"k", value: value.as_bytes() })
    }

    pub(super) fn delete(&mut self, from: u64, to: u64, existed: bool, index: u64) {
        let call = self.change(from, 3, Operation::Delete { key: b"k" });
        self.0.done(call, to, entry(index), &Answer::Deleted { existed });
    }

    pub(super) fn add(&mut self, from: u64, to: u64, value: i64, version: u64, index: u64) {
        let call = self.change(from, 4, Operation::Increment { key: b"k", by: 1 });
        self.0.done(call, to, entry(index), &Answer::Incremented { value, version });
    }

    pub(super) fn get(&mut self, from: u64, to: u64, item: Option<Item<'_>>, index: u64) {
        self.get_as(Freshness::Fresh, from, to, item, index);
    }

    pub(super) fn get_as(
        &mut self,
        freshness: Freshness,
        from: u64,
        to: u64,
        item: Option<Item<'_>>,
        index: u64,
    ) {
        let call = self.0.call(from, 2, Request::Get { keys: &[b"k"], freshness });
        self.0.seen(call, to, Index(index), &Answer::Values(vec![item]));
    }

    pub(super) fn contents(&mut self, time_us: u64, index: u64, items: &[(&str, Item<'_>)]) {
        let items = items.iter().map(|(key, item)| (key.as_bytes(), *item));
        self.0.contents(time_us, Index(index), items);
    }

    pub(super) fn verdict(&self) -> Verdict {
        self.0.check()
    }

    pub(super) fn is_legal(&self) {
        let verdict = self.verdict();
        assert!(verdict.is_legal(), "{verdict}");
    }

    /// Both the order of the indexes and real time alone show that it is wrong.
    pub(super) fn is_found_twice(&self) {
        let verdict = self.verdict();
        for check in [Check::Indexes, Check::RealTime] {
            assert!(verdict.findings.iter().any(|found| found.check == check), "{verdict}");
        }
    }

    pub(super) fn is_found_by(&self, check: Check) {
        let verdict = self.verdict();
        assert!(verdict.findings.iter().any(|found| found.check == check), "{verdict}");
    }
}
