//! Long histories of a correct store, and what a bug makes of them.

use std::collections::BTreeMap;

use raft_node::kv::{Answer, Item, Operation};
use raft_node::model::{Index, LogId, Term};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::check::{Freshness, History, Request, Verdict};

/// A bug of a store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Bug {
    None,
    /// A read shows a state of some time ago.
    StaleRead,
    /// A write is acknowledged and not done.
    LostWrite,
    /// An addition is done twice.
    Twice,
    /// A replaced value comes back.
    Back,
    /// An answer tells another version.
    Version,
}

#[derive(Clone, Debug)]
struct Record {
    value: String,
    version: u64,
    index: u64,
}

type Records = BTreeMap<String, Record>;

fn item(record: &Record) -> Item<'_> {
    Item { value: record.value.as_bytes(), version: record.version, mod_index: Index(record.index) }
}

fn write(records: &mut Records, key: &str, value: String, index: u64) -> u64 {
    let version = records.get(key).map_or(0, |record| record.version) + 1;
    records.insert(key.to_owned(), Record { value, version, index });
    version
}

/// Gives a key the value back that it had, if it was replaced.
fn brings_back(records: &mut Records, old: &Records, key: &str) -> bool {
    match (records.get_mut(key), old.get(key)) {
        (Some(record), Some(old)) if record.index != old.index => {
            *record = old.clone();
            true
        }
        _ => false,
    }
}

fn answer(number: u64, version: u64, value: i64) -> Answer<'static> {
    match number % 2 {
        0 => Answer::Put { version },
        _ => Answer::Incremented { value, version },
    }
}

/// What an addition of 2 to a key makes of it.
fn sum(records: &Records, key: &str) -> i64 {
    records.get(key).map_or(0, |record| record.value.parse().unwrap_or(0)) + 2
}

/// A run of `count` operations by eight clients over some keys; the bug strikes once, in the
/// middle. Keys with an odd number are counters.
fn run(seed: u64, count: u64, keys: u64, bug: Bug) -> Verdict {
    let mut random = StdRng::seed_from_u64(seed);
    let mut history = History::new();
    let mut records = Records::new();
    let mut old = Records::new();
    // What was done twice might as well be an addition of which nobody knows.
    let has_doubts = bug != Bug::Twice;
    let mut bug = bug;
    for index in 1..=count {
        if index == count / 4 {
            old = records.clone();
        }
        let point = index * 100;
        let from = point - random.random_range(0..100);
        let to = point + random.random_range(0..400);
        let number = random.random_range(0..keys);
        let key = format!("k{number}");
        let name = key.as_bytes();
        let client = random.random_range(1..=8);
        let strikes = index > count / 2;
        if random.random_range(0..3) == 0 {
            let request = Request::Get { keys: &[name], freshness: Freshness::Fresh };
            let call = history.call(from, client, request);
            let is_replaced = old.get(&key).map(|record| record.index)
                != records.get(&key).map(|record| record.index);
            let shown = match bug {
                Bug::StaleRead if strikes && is_replaced => {
                    bug = Bug::None;
                    &old
                }
                _ => &records,
            };
            let seen = Answer::Values(vec![shown.get(&key).map(item)]);
            history.seen(call, to, Index(index), &seen);
            continue;
        }
        if strikes && bug == Bug::Back && brings_back(&mut records, &old, &key) {
            bug = Bug::None;
        }
        let value = format!("v{index}");
        let operation = match number % 2 {
            0 => Operation::Put { key: name, value: value.as_bytes() },
            _ => Operation::Increment { key: name, by: 2 },
        };
        let call = history.call(from, client, Request::Change { operation, number: None });
        let is_unknown = has_doubts && random.random_range(0..50) == 0;
        if is_unknown && random.random() {
            continue;
        }
        let is_lost = strikes && !is_unknown && bug == Bug::LostWrite;
        let mut version = records.get(&key).map_or(1, |record| record.version + 1);
        let added = sum(&records, &key);
        let value = if number % 2 == 0 { value } else { added.to_string() };
        if is_lost {
            bug = Bug::None;
        } else {
            write(&mut records, &key, value, index);
            if strikes && bug == Bug::Twice && number % 2 == 1 {
                bug = Bug::None;
                let again = sum(&records, &key).to_string();
                write(&mut records, &key, again, index);
            }
        }
        if is_unknown {
            continue;
        }
        if strikes && bug == Bug::Version {
            bug = Bug::None;
            version += 1;
        }
        let answer = answer(number, version, added);
        history.done(call, to, LogId::new(Term(1), Index(index)), &answer);
    }
    assert!(bug == Bug::None, "{bug:?} had no occasion");
    let contents = records.iter().map(|(key, record)| (key.as_bytes(), item(record)));
    history.contents(count * 100 + 1000, Index(count), contents);
    history.check()
}

#[test]
fn what_a_correct_store_does_is_legal() {
    for seed in 0..20 {
        let verdict = run(seed, 2000, 10, Bug::None);
        assert!(verdict.is_legal(), "seed {seed}: {verdict}");
    }
}

#[test]
fn a_long_history_over_many_keys_is_decided() {
    let verdict = run(1, 10_000, 50, Bug::None);
    assert!(verdict.is_legal(), "{verdict}");
}

#[test]
fn what_each_bug_does_is_found() {
    for bug in [Bug::StaleRead, Bug::LostWrite, Bug::Twice, Bug::Back, Bug::Version] {
        for seed in 0..20 {
            let verdict = run(seed, 1000, 6, bug);
            assert!(!verdict.findings.is_empty(), "{bug:?}, seed {seed}");
        }
    }
}
