//! When something is due next.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use crate::model::Time;

/// Deadlines by key, at most one of each, in one heap.
///
/// What was set again or cleared stays in the heap until it comes up or too much of it has
/// gathered, so each operation costs a few comparisons.
#[derive(Debug)]
pub(crate) struct Deadlines<K> {
    heap: BinaryHeap<Reverse<(Time, K)>>,
    set: BTreeMap<K, Time>,
}

impl<K: Ord + Copy> Deadlines<K> {
    pub(crate) fn new() -> Deadlines<K> {
        Deadlines { heap: BinaryHeap::new(), set: BTreeMap::new() }
    }

    /// Sets the deadline of `key`, in place of an earlier one.
    pub(crate) fn set(&mut self, key: K, at: Time) {
        if self.set.insert(key, at) == Some(at) {
            return;
        }
        self.heap.push(Reverse((at, key)));
        if self.heap.len() > 2 * self.set.len() + 64 {
            self.heap = self.set.iter().map(|(key, at)| Reverse((*at, *key))).collect();
        }
    }

    /// There is no deadline of `key` any more.
    pub(crate) fn clear(&mut self, key: K) {
        self.set.remove(&key);
    }

    /// The earliest deadline.
    pub(crate) fn next(&mut self) -> Option<Time> {
        self.drop_stale();
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes the key of the earliest deadline that has come.
    pub(crate) fn pop(&mut self, now: Time) -> Option<K> {
        self.drop_stale();
        let Reverse((at, key)) = *self.heap.peek()?;
        if at > now {
            return None;
        }
        self.heap.pop();
        self.set.remove(&key);
        Some(key)
    }

    fn drop_stale(&mut self) {
        while let Some(Reverse((at, key))) = self.heap.peek()
            && self.set.get(key) != Some(at)
        {
            self.heap.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(nanoseconds: u64) -> Time {
        Time::from_nanos(nanoseconds)
    }

    #[test]
    fn deadlines_come_up_in_their_order_and_once() {
        let mut deadlines = Deadlines::new();
        for (key, time) in [("b", 20), ("a", 30), ("c", 10)] {
            deadlines.set(key, at(time));
        }
        assert_eq!(deadlines.next(), Some(at(10)));
        assert_eq!(deadlines.pop(at(9)), None);
        assert_eq!(deadlines.pop(at(25)), Some("c"));
        assert_eq!(deadlines.pop(at(25)), Some("b"));
        assert_eq!(deadlines.pop(at(25)), None);
        assert_eq!(deadlines.next(), Some(at(30)));
    }

    #[test]
    fn a_deadline_that_was_moved_or_cleared_does_not_come_up_at_its_old_time() {
        let mut deadlines = Deadlines::new();
        deadlines.set("a", at(10));
        deadlines.set("a", at(30));
        deadlines.set("b", at(15));
        deadlines.clear("b");
        assert_eq!(deadlines.next(), Some(at(30)));
        assert_eq!(deadlines.pop(at(20)), None);
        deadlines.set("a", at(10));
        assert_eq!(deadlines.pop(at(20)), Some("a"));
        assert_eq!(deadlines.next(), None);
    }

    #[test]
    fn setting_a_deadline_again_and_again_takes_no_more_room() {
        let mut deadlines = Deadlines::new();
        for time in 0..10_000 {
            deadlines.set("a", at(time));
        }
        assert!(deadlines.heap.len() < 100);
        assert_eq!(deadlines.pop(at(20_000)), Some("a"));
    }
}
