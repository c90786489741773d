//! Whether each counter is the sum of what was added to it, and each addition was done once.

use std::collections::BTreeMap;

use super::changes::{Changed, Seen};
use super::history::{Change, History, Told};
use super::values::{Content, Key, Shown, Sight};
use super::{Check, Verdict};

/// What was added to a key that is only added to.
#[derive(Default)]
struct Counter {
    done: i128,
    /// The least and the most that additions of which nobody knows come to.
    doubt: (i128, i128),
    times: u64,
    doubtful_times: u64,
    is_other: bool,
}

pub(super) fn check(history: &History, changes: &[Changed], reads: &[Seen], verdict: &mut Verdict) {
    let mut counters: BTreeMap<Key, Counter> = BTreeMap::new();
    for changed in changes {
        let counter = counters.entry(changed.key).or_default();
        match (changed.change, changed.done.map(|done| done.told)) {
            (Change::Increment(by), Some(Told::Incremented { .. })) => {
                counter.done += i128::from(by);
                counter.times += 1;
            }
            (Change::Increment(by), None) => {
                counter.doubt.0 += i128::from(by.min(0));
                counter.doubt.1 += i128::from(by.max(0));
                counter.doubtful_times += 1;
            }
            _ => counter.is_other = true,
        }
    }
    for seen in reads.iter().filter(|seen| seen.is_contents) {
        for (key, sight) in seen.sights.iter().copied() {
            let Some(counter) = counters.get(&key).filter(|counter| !counter.is_other) else {
                continue;
            };
            if let Some(text) = fault(counter, sight) {
                let of_key = changes.iter().filter(|changed| changed.key == key);
                let mut places: Vec<usize> = of_key.map(|changed| changed.place).collect();
                places.push(seen.place);
                verdict.found(history, Check::Sums, Some(key), &text, &places);
            }
        }
    }
}

fn fault(counter: &Counter, sight: Sight) -> Option<String> {
    let Counter { done, doubt, times, doubtful_times, .. } = counter;
    let (shown, version) = match sight {
        Sight::Absent => (Shown::Value(Content::Number(0)), 0),
        Sight::Present { shown, version, .. } => (shown, version),
    };
    match shown {
        Shown::Value(Content::Number(sum)) => {
            if !(done + doubt.0..=done + doubt.1).contains(&i128::from(sum)) {
                return Some(format!("{done} was added, and perhaps {doubt:?}; the sum is {sum}"));
            }
        }
        Shown::Value(_) => return Some("a counter holds no number".to_owned()),
        Shown::Length(_) | Shown::Nothing => {}
    }
    if !(*times..=times + doubtful_times).contains(&version) {
        return Some(format!(
            "it was added to {times} times, and perhaps {doubtful_times} times more; it changed \
             {version} times"
        ));
    }
    None
}
