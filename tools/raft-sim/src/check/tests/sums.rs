//! Sums that were refused, of which no answer tells the entry.

use raft_node::kv::{Answer, Expected, Operation, Refusal};

use super::story::{Story, entry};
use crate::check::Check;

/// A sum that isn't made as no number is there.
fn refused(story: &mut Story, from: u64, to: u64, key: &[u8]) {
    let call = story.change(from, 4, Operation::Increment { key, by: 1 });
    story.0.refused(call, to, Some(Refusal::NotANumber));
}

fn put(story: &mut Story, from: u64, to: u64, key: &[u8], value: &[u8], version: u64, index: u64) {
    let call = story.change(from, 1, Operation::Put { key, value });
    story.0.done(call, to, entry(index), &Answer::Put { version });
}

#[test]
fn a_sum_is_refused_only_while_no_number_is_there() {
    let story = |from, to| {
        let mut story = Story::default();
        story.put(10, 20, "1", 1, 5);
        story.put(30, 60, "text", 2, 7);
        story.put(30, 80, "2", 3, 9);
        refused(&mut story, from, to, b"k");
        story
    };
    story(40, 50).is_legal();
    story(10, 20).is_found_twice();
    story(90, 95).is_found_twice();
}

#[test]
fn what_made_a_sum_be_refused_may_be_in_doubt() {
    let story = |from| {
        let mut story = Story::default();
        story.put(10, 20, "1", 1, 5);
        story.perhaps(from, "text");
        refused(&mut story, 30, 40, b"k");
        story.put(50, 60, "2", 3, 9);
        story
    };
    story(35).is_legal();
    story(45).is_found_twice();
}

#[test]
fn a_refused_sum_needs_an_entry_of_its_own() {
    let story = |index| {
        let mut story = Story::default();
        story.put(10, 90, "text", 1, 5);
        refused(&mut story, 10, 90, b"k");
        story.put(10, 90, "2", 2, index);
        story
    };
    story(7).is_legal();
    story(6).is_found_by(Check::Indexes);
}

#[test]
fn a_sum_that_was_refused_before_another_was_asked_for_stands_before_it() {
    let story = |from| {
        let mut story = Story::default();
        put(&mut story, 1, 5, b"other", b"text", 1, 1);
        put(&mut story, 1, 100, b"other", b"0", 2, 3);
        put(&mut story, 1, 100, b"k", b"text", 1, 5);
        refused(&mut story, 10, 20, b"k");
        refused(&mut story, from, 40, b"other");
        story
    };
    story(20).is_legal();
    story(30).is_found_by(Check::Indexes);
}

#[test]
fn what_a_refused_sum_stood_on_may_be_any_text() {
    let mut story = Story::default();
    story.put(10, 20, "a", 1, 1);
    story.perhaps(10, "b");
    let call = story.change(30, 4, Operation::Increment { key: b"k", by: 1 });
    story.0.done(call, 40, entry(4), &Answer::Refused(Refusal::NotANumber));
    let expected = Expected::Value(b"b");
    let call = story.change(50, 2, Operation::CompareAndSwap { key: b"k", expected, value: b"c" });
    story.0.done(call, 60, entry(5), &Answer::Swapped { version: 3 });
    story.is_legal();
}
