//! Changes of which nobody knows what came of them.

use raft_node::kv::{Answer, Expected, Found, Operation};

use super::story::{Story, entry, item};
use crate::check::{Check, Freshness};

#[test]
fn a_write_in_doubt_stands_behind_what_had_returned_before_its_call() {
    let mut story = Story::default();
    let other = Operation::Put { key: b"other", value: b"x" };
    let call = story.change(10, 2, other);
    story.0.done(call, 20, entry(7), &Answer::Put { version: 1 });
    story.perhaps(30, "a");
    story.get(25, 50, Some(item(b"a", 1, 5)), 8);
    story.is_found_by(Check::Indexes);
}

#[test]
fn what_was_seen_of_a_write_in_doubt_stays() {
    for (freshness, index) in [(Freshness::Fresh, 6), (Freshness::Stale, 5)] {
        let mut story = Story::default();
        story.put(10, 20, "a", 1, 4);
        story.perhaps(10, "b");
        story.get(30, 40, Some(item(b"b", 2, 5)), 5);
        story.get_as(freshness, 50, 60, Some(item(b"a", 1, 4)), index);
        story.is_found_by(Check::Indexes);
    }
}

#[test]
fn one_change_in_doubt_explains_one_thing() {
    let mut story = Story::default();
    story.change(10, 3, Operation::Delete { key: b"k" });
    story.put(10, 20, "a", 1, 5);
    story.get(30, 40, None, 6);
    story.put(50, 60, "b", 1, 7);
    story.is_legal();
    story.get(70, 80, None, 8);
    story.is_found_by(Check::Indexes);
    let mut story = Story::default();
    story.perhaps(10, "x");
    story.put(10, 20, "a", 2, 5);
    story.put(30, 40, "b", 4, 7);
    story.is_found_by(Check::Indexes);
}

#[test]
fn a_removal_in_doubt_writes_nothing_that_can_be_removed() {
    let mut story = Story::default();
    story.change(10, 3, Operation::Delete { key: b"k" });
    story.delete(20, 30, true, 5);
    story.is_found_by(Check::Indexes);
}

#[test]
fn changes_in_doubt_need_entries_that_are_free() {
    let story = |index| {
        let mut story = Story::default();
        story.put(10, 20, "a", 1, 5);
        story.perhaps(10, "x");
        story.put(30, 40, "b", 3, index);
        story
    };
    story(7).is_legal();
    story(6).is_found_by(Check::Indexes);
}

#[test]
fn one_free_entry_is_not_for_two_keys() {
    let story = |index| {
        let mut story = Story::default();
        for (key, index) in [(b"k1", 2), (b"k2", index)] {
            story.change(10, 1, Operation::Put { key, value: b"x" });
            let call = story.change(10, 2, Operation::Put { key, value: b"y" });
            story.0.done(call, 20, entry(index), &Answer::Put { version: 2 });
        }
        story
    };
    story(4).is_legal();
    story(3).is_found_by(Check::Indexes);
}

#[test]
fn a_swap_in_doubt_happens_only_where_it_found_what_it_expected() {
    let story = |expected: &'static [u8]| {
        let expected = Expected::Value(expected);
        let mut story = Story::default();
        story.change(10, 2, Operation::CompareAndSwap { key: b"k", expected, value: b"b" });
        story.put(10, 20, "a", 1, 5);
        story.put(30, 40, "c", 3, 7);
        story
    };
    story(b"a").is_legal();
    story(b"x").is_found_by(Check::Indexes);
}

#[test]
fn a_sum_with_additions_in_doubt_is_one_of_them() {
    let story = |value| {
        let mut story = Story::default();
        story.add(10, 20, 1, 1, 5);
        story.change(10, 4, Operation::Increment { key: b"k", by: 5 });
        story.add(30, 40, value, 3, 7);
        story
    };
    story(7).is_legal();
    story(6).is_found_by(Check::Indexes);
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
fn a_write_that_only_a_failed_swap_saw_counts_as_seen() {
    let swap = Operation::CompareAndSwap { key: b"k", expected: Expected::Absent, value: b"b" };
    let mut story = Story::default();
    story.perhaps(10, "a");
    let call = story.change(30, 2, swap);
    let found = Found::Value(item(b"a", 1, 5));
    story.0.done(call, 40, entry(6), &Answer::NotSwapped(found));
    story.is_legal();
}
