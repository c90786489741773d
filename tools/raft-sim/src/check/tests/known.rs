//! Histories written out by hand.

use raft_node::kv::{Answer, Expected, Found, Item, Operation, PageItem, Scan, SessionId};
use raft_node::model::{Index, LogId, LogTime, Term};

use crate::check::{Call, Check, Freshness, History, Number, Request, Verdict};

/// Writes a history down in few words. Keys are `k` unless they are named.
#[derive(Default)]
struct Story(History);

fn entry(index: u64) -> LogId {
    LogId::new(Term(1), Index(index))
}

fn item(value: &[u8], version: u64, index: u64) -> Item<'_> {
    Item { value, version, mod_index: Index(index) }
}

impl Story {
    fn change(&mut self, time_us: u64, client: u32, operation: Operation<'_>) -> Call {
        self.0.call(time_us, client, Request::Change { operation, number: None })
    }

    fn put(&mut self, from: u64, to: u64, value: &str, version: u64, index: u64) {
        let call = self.perhaps(from, value);
        self.0.done(call, to, entry(index), &Answer::Put { version });
    }

    /// A put of which nobody hears.
    fn perhaps(&mut self, from: u64, value: &str) -> Call {
        self.change(from, 1, Operation::Put { key: b"k", value: value.as_bytes() })
    }

    fn delete(&mut self, from: u64, to: u64, existed: bool, index: u64) {
        let call = self.change(from, 3, Operation::Delete { key: b"k" });
        self.0.done(call, to, entry(index), &Answer::Deleted { existed });
    }

    fn add(&mut self, from: u64, to: u64, value: i64, version: u64, index: u64) {
        let call = self.change(from, 4, Operation::Increment { key: b"k", by: 1 });
        self.0.done(call, to, entry(index), &Answer::Incremented { value, version });
    }

    fn get(&mut self, from: u64, to: u64, item: Option<Item<'_>>, index: u64) {
        self.get_as(Freshness::Fresh, from, to, item, index);
    }

    fn get_as(
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

    fn contents(&mut self, time_us: u64, index: u64, items: &[(&str, Item<'_>)]) {
        let items = items.iter().map(|(key, item)| (key.as_bytes(), *item));
        self.0.contents(time_us, Index(index), items);
    }

    fn verdict(&self) -> Verdict {
        self.0.check()
    }

    fn is_legal(&self) {
        let verdict = self.verdict();
        assert!(verdict.is_legal(), "{verdict}");
    }

    /// Both the order of the indexes and real time alone show that it is wrong.
    fn is_found_twice(&self) {
        let verdict = self.verdict();
        for check in [Check::Indexes, Check::RealTime] {
            assert!(verdict.findings.iter().any(|found| found.check == check), "{verdict}");
        }
    }

    fn is_found_by(&self, check: Check) {
        let verdict = self.verdict();
        assert!(verdict.findings.iter().any(|found| found.check == check), "{verdict}");
    }
}

#[test]
fn nothing_is_legal() {
    Story::default().is_legal();
}

#[test]
fn a_read_behind_a_write_sees_it() {
    let mut story = Story::default();
    story.put(10, 20, "a", 1, 5);
    story.get(30, 40, Some(item(b"a", 1, 5)), 5);
    story.contents(50, 5, &[("k", item(b"a", 1, 5))]);
    story.is_legal();
}

#[test]
fn a_read_beside_a_write_may_see_it_or_not() {
    for (seen, index) in [(None, 4), (Some(item(b"a", 1, 5)), 5)] {
        let mut story = Story::default();
        story.put(10, 40, "a", 1, 5);
        story.get(20, 30, seen, index);
        story.is_legal();
    }
}

#[test]
fn a_stale_read_is_found_unless_it_was_asked_for() {
    let story = |freshness| {
        let mut story = Story::default();
        story.put(10, 20, "a", 1, 5);
        story.put(30, 40, "b", 2, 6);
        story.get_as(freshness, 50, 60, Some(item(b"a", 1, 5)), 5);
        story
    };
    story(Freshness::Fresh).is_found_twice();
    story(Freshness::Stale).is_legal();
}

#[test]
fn two_reads_that_see_a_write_come_and_go_are_found() {
    let mut story = Story::default();
    story.put(10, 100, "a", 1, 5);
    story.get(20, 30, Some(item(b"a", 1, 5)), 5);
    story.get(40, 50, None, 4);
    story.is_found_twice();
}

#[test]
fn a_lost_write_is_found() {
    let mut story = Story::default();
    story.put(10, 20, "a", 1, 5);
    story.get(30, 40, None, 6);
    story.is_found_twice();
    let mut story = Story::default();
    story.put(10, 20, "a", 1, 5);
    story.contents(50, 9, &[]);
    story.is_found_by(Check::Contents);
}

#[test]
fn a_write_that_comes_back_after_it_was_replaced_is_found() {
    let mut story = Story::default();
    story.put(10, 20, "a", 1, 5);
    story.put(30, 40, "b", 2, 6);
    story.get(50, 60, Some(item(b"a", 3, 7)), 7);
    story.is_found_twice();
}

#[test]
fn a_write_in_doubt_may_be_seen_late_or_never_but_not_before_it_was_asked_for() {
    let mut story = Story::default();
    story.perhaps(10, "a");
    story.get(20, 30, None, 4);
    story.get(40, 50, Some(item(b"a", 1, 5)), 5);
    story.is_legal();
    let mut story = Story::default();
    story.perhaps(10, "a");
    story.contents(60, 4, &[]);
    story.is_legal();
    let mut story = Story::default();
    story.get(20, 30, Some(item(b"a", 1, 5)), 5);
    story.perhaps(40, "a");
    story.is_found_twice();
}

#[test]
fn a_write_in_doubt_that_is_done_twice_is_found() {
    let mut story = Story::default();
    story.perhaps(10, "a");
    story.get(20, 30, Some(item(b"a", 1, 5)), 5);
    story.put(40, 50, "b", 3, 7);
    story.is_found_by(Check::RealTime);
}

#[test]
fn a_value_that_nobody_wrote_is_found() {
    let mut story = Story::default();
    story.put(10, 20, "a", 1, 5);
    story.get(30, 40, Some(item(b"c", 2, 6)), 6);
    story.is_found_twice();
}

#[test]
fn a_refused_write_has_no_effect() {
    let mut story = Story::default();
    let call = story.perhaps(10, "a");
    story.0.refused(call, 20, None);
    story.get(30, 40, Some(item(b"a", 1, 5)), 5);
    story.is_found_twice();
}

#[test]
fn a_version_begins_anew_only_where_the_key_was_removed() {
    let mut story = Story::default();
    story.put(10, 20, "a", 1, 5);
    story.delete(30, 40, true, 6);
    story.put(50, 60, "b", 1, 7);
    story.is_legal();
    let mut story = Story::default();
    story.put(10, 20, "a", 1, 5);
    story.put(50, 60, "b", 1, 7);
    story.is_found_twice();
}

#[test]
fn a_removal_of_what_is_there_says_so() {
    let mut story = Story::default();
    story.put(10, 20, "a", 1, 5);
    story.delete(30, 40, false, 6);
    story.is_found_twice();
}

#[test]
fn an_addition_that_is_done_twice_is_found() {
    let mut story = Story::default();
    story.add(10, 20, 1, 1, 5);
    story.add(30, 40, 3, 3, 7);
    story.contents(50, 9, &[("k", item(b"3", 3, 7))]);
    story.is_found_twice();
    story.is_found_by(Check::Sums);
}

#[test]
fn an_addition_that_is_lost_is_found() {
    let mut story = Story::default();
    story.add(10, 20, 1, 1, 5);
    story.add(30, 40, 1, 1, 7);
    story.contents(50, 9, &[("k", item(b"1", 1, 7))]);
    story.is_found_twice();
    story.is_found_by(Check::Sums);
}

#[test]
fn a_swap_tells_what_it_found_and_happens_only_where_that_was_expected() {
    let swap =
        Operation::CompareAndSwap { key: b"k", expected: Expected::Value(b"a"), value: b"b" };
    let mut story = Story::default();
    story.put(10, 20, "a", 1, 5);
    let call = story.change(30, 2, swap);
    story.0.done(call, 40, entry(6), &Answer::Swapped { version: 2 });
    let call = story.change(50, 2, swap);
    let found = Found::Value(item(b"b", 2, 6));
    story.0.done(call, 60, entry(7), &Answer::NotSwapped(found));
    story.is_legal();
    let mut story = Story::default();
    story.put(10, 20, "c", 1, 5);
    let call = story.change(30, 2, swap);
    story.0.done(call, 40, entry(6), &Answer::Swapped { version: 2 });
    story.is_found_twice();
}

#[test]
fn a_write_that_only_a_failed_swap_saw_counts_as_seen() {
    let swap = Operation::CompareAndSwap { key: b"k", expected: Expected::Absent, value: b"b" };
    let mut story = Story::default();
    story.perhaps(10, "a");
    let call = story.change(30, 2, swap);
    let found = Found::Value(item(b"a", 1, 5));
    story.0.done(call, 40, entry(6), &Answer::NotSwapped(found));
    story.is_legal();
}

#[test]
fn one_number_has_one_answer() {
    let number = |number| {
        let session = SessionId { name: b"s", opened_at: LogTime(1) };
        Some(Number { session, number })
    };
    let operation = Operation::Increment { key: b"k", by: 1 };
    let story = |second: LogId, answer: &Answer<'_>| {
        let mut story = Story::default();
        let call = story.0.call(10, 1, Request::Change { operation, number: number(1) });
        story.0.done(call, 20, entry(5), &Answer::Incremented { value: 1, version: 1 });
        let call = story.0.call(30, 1, Request::Change { operation, number: number(1) });
        story.0.done(call, 40, second, answer);
        story
    };
    story(entry(5), &Answer::Incremented { value: 1, version: 1 }).is_legal();
    story(entry(6), &Answer::Incremented { value: 2, version: 2 }).is_found_by(Check::Numbers);
}

#[test]
fn two_changes_at_one_index_are_found() {
    let mut story = Story::default();
    story.put(10, 20, "a", 1, 5);
    story.put(10, 20, "b", 2, 5);
    story.is_found_by(Check::Indexes);
}

#[test]
fn a_later_call_at_a_lower_index_is_found() {
    let mut story = Story::default();
    story.put(10, 20, "a", 1, 7);
    let other = Operation::Put { key: b"other", value: b"x" };
    let call = story.change(30, 2, other);
    story.0.done(call, 40, entry(5), &Answer::Put { version: 1 });
    story.is_found_by(Check::Indexes);
}

#[test]
fn a_scan_shows_every_key_of_its_range_as_of_one_index() {
    let story = |items: Vec<PageItem<'static>>| {
        let mut story = Story::default();
        for (index, key) in [(5, b"k1"), (6, b"k2")] {
            let call = story.change(10, 1, Operation::Put { key, value: b"v" });
            story.0.done(call, 20, entry(index), &Answer::Put { version: 1 });
        }
        let scan = Scan { prefix: b"k", from: b"", limit: 10, max_bytes: 1000, keys_only: false };
        let request = Request::Scan { scan, freshness: Freshness::Fresh };
        let call = story.0.call(30, 2, request);
        story.0.seen(call, 40, Index(6), &Answer::Page { items, cursor: None });
        story
    };
    let shown = |key: &'static [u8], index| PageItem {
        key,
        value: Some(b"v"),
        version: 1,
        mod_index: Index(index),
    };
    story(vec![shown(b"k1", 5), shown(b"k2", 6)]).is_legal();
    story(vec![shown(b"k1", 5)]).is_found_twice();
}

#[test]
fn an_answer_to_something_else_is_found() {
    let mut story = Story::default();
    let call = story.perhaps(10, "a");
    story.0.done(call, 20, entry(5), &Answer::Deleted { existed: true });
    story.is_found_by(Check::Form);
}

#[test]
fn a_finding_tells_a_person_what_can_not_be() {
    let mut story = Story::default();
    story.put(10, 20, "a", 1, 5);
    story.get(30, 40, None, 6);
    let text = story.verdict().to_string();
    for part in ["key \"k\"", "client 1, 0.000010 s to 0.000020 s: put \"k\" \"a\"", "absent"] {
        assert!(text.contains(part), "{text}");
    }
}
