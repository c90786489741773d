//! Histories written out by hand.

use raft_node::kv::{Answer, Expected, Found, Operation, PageItem, Scan, SessionId};
use raft_node::model::{Index, LogId, LogTime, Term};

use super::story::{Story, entry, item};
use crate::check::{Check, Freshness, Number, Request};

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

#[test]
fn an_entry_of_an_earlier_term_behind_one_of_a_later_is_found() {
    let mut story = Story::default();
    let call = story.perhaps(10, "a");
    story.0.done(call, 20, LogId::new(Term(3), Index(5)), &Answer::Put { version: 1 });
    let call = story.perhaps(30, "b");
    story.0.done(call, 40, LogId::new(Term(2), Index(6)), &Answer::Put { version: 2 });
    story.is_found_by(Check::Indexes);
}

#[test]
fn changes_without_effect_have_entries_of_their_own() {
    let mut story = Story::default();
    story.delete(10, 20, false, 5);
    story.delete(10, 20, false, 5);
    story.is_found_by(Check::Indexes);
    let mut story = Story::default();
    story.delete(10, 20, false, 5);
    story.perhaps(10, "a");
    story.get(10, 20, Some(item(b"a", 1, 5)), 5);
    story.is_found_by(Check::Indexes);
}

#[test]
fn index_zero_is_no_entry() {
    let mut story = Story::default();
    story.put(10, 20, "a", 1, 0);
    story.is_found_by(Check::Indexes);
    let mut story = Story::default();
    story.perhaps(10, "a");
    story.get(10, 20, Some(item(b"a", 1, 0)), 5);
    story.is_found_by(Check::Indexes);
}

#[test]
fn what_a_stale_read_has_shown_is_there_for_all_that_is_called_later() {
    let story = |called_us| {
        let mut story = Story::default();
        story.get_as(Freshness::Stale, 10, 20, None, 6);
        story.put(called_us, 40, "a", 1, 5);
        story
    };
    story(30).is_found_by(Check::Indexes);
    let mut story = Story::default();
    story.get_as(Freshness::Stale, 10, 20, None, 6);
    story.get(30, 40, None, 5);
    story.is_found_by(Check::Indexes);
}

#[test]
fn a_swap_that_found_what_it_expected_happens() {
    let swap =
        Operation::CompareAndSwap { key: b"k", expected: Expected::Value(b"a"), value: b"b" };
    let mut story = Story::default();
    story.put(10, 20, "a", 1, 5);
    let call = story.change(30, 2, swap);
    let found = Found::Value(item(b"a", 1, 5));
    story.0.done(call, 40, entry(6), &Answer::NotSwapped(found));
    story.is_found_twice();
}

#[test]
fn a_number_is_for_one_change() {
    let mut story = Story::default();
    for value in [b"a", b"b"] {
        let session = SessionId { name: b"s", opened_at: LogTime(1) };
        let number = Some(Number { session, number: 1 });
        let operation = Operation::Put { key: b"k", value };
        let call = story.0.call(10, 1, Request::Change { operation, number });
        story.0.done(call, 20, entry(5), &Answer::Put { version: 1 });
    }
    story.is_found_by(Check::Numbers);
}

#[test]
fn a_number_too_long_to_be_told_has_the_length_of_its_text() {
    let story = |length| {
        let mut story = Story::default();
        let put = Operation::Put { key: b"k", value: b"1234" };
        let call = story.change(10, 1, put);
        story.0.done(call, 20, entry(5), &Answer::Put { version: 1 });
        let expected = Expected::Absent;
        let swap = Operation::CompareAndSwap { key: b"k", expected, value: b"b" };
        let call = story.change(30, 2, swap);
        let found = Found::Longer { length, version: 1, mod_index: Index(5) };
        story.0.done(call, 40, entry(6), &Answer::NotSwapped(found));
        story
    };
    story(4).is_legal();
    story(3).is_found_by(Check::Indexes);
}
