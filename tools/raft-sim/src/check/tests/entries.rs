//! The check of the indexes against one that tries every entry for every change of which no answer
//! tells the entry.

use raft_node::model::LogId;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::small::{self, Records};
use crate::check::history::{Asked, Change, End, Operation, Outcome, Told};
use crate::check::model;
use crate::check::values::{Key, Sight};
use crate::check::{Check, Freshness, History};

/// A change, however often it was sent.
struct One {
    key: Key,
    change: Change,
    called_us: u64,
    done: Option<(u64, Option<LogId>, Told)>,
}

/// The changes that may have had an effect, or `None` if one number was answered in two ways.
fn ones(history: &History) -> Option<Vec<One>> {
    let mut ones: Vec<(Option<u32>, One)> = Vec::new();
    for operation in &history.operations {
        let Asked::Change { key, change, number } = operation.asked else { continue };
        let done = match operation.outcome {
            Outcome::Done { at, told } => Some((operation.ended_us.unwrap(), at, told)),
            Outcome::Unknown => None,
            _ => continue,
        };
        let called_us = operation.called_us;
        let same = ones.iter_mut().find(|(other, _)| number.is_some() && *other == number);
        let Some((_, same)) = same else {
            ones.push((number, One { key, change, called_us, done }));
            continue;
        };
        same.called_us = same.called_us.min(called_us);
        match (same.done, done) {
            (Some((first, at, told)), Some((ended_us, other_at, other_told))) => {
                if (at, told) != (other_at, other_told) {
                    return None;
                }
                same.done = Some((first.min(ended_us), at, told));
            }
            (None, done) => same.done = done,
            (_, None) => {}
        }
    }
    Some(ones.into_iter().map(|(_, one)| one).collect())
}

/// Whether each change can be given an entry, those of which nobody knows also none, such that a
/// store that carries the entries out in their order answers what was answered, and what was called
/// after a return stands behind it.
fn is_explained(history: &History) -> bool {
    let Some(ones) = ones(history) else { return false };
    let known = |one: &One| one.done.and_then(|(_, at, _)| at);
    let mut ids: Vec<LogId> = ones.iter().filter_map(known).collect();
    ids.sort_by_key(|id| id.index);
    let goes_on = |pair: &[LogId]| pair[0].index < pair[1].index && pair[0].term <= pair[1].term;
    if ids.first().is_some_and(|first| first.index.0 == 0) || !ids.windows(2).all(goes_on) {
        return false;
    }
    let reads = history.operations.iter().filter_map(|operation| match operation.outcome {
        Outcome::Seen { index, .. } => Some(index.0),
        _ => None,
    });
    let highest = reads.chain(ids.iter().map(|id| id.index.0)).max().unwrap_or(0);
    let taken: Vec<u64> = ids.iter().map(|id| id.index.0).collect();
    let mut entries: Vec<Option<u64>> =
        ones.iter().map(|one| known(one).map(|id| id.index.0)).collect();
    any_entries(history, &ones, 0, highest + ones.len() as u64, &taken, &mut entries)
}

fn any_entries(
    history: &History,
    ones: &[One],
    number: usize,
    highest: u64,
    taken: &[u64],
    entries: &mut Vec<Option<u64>>,
) -> bool {
    let Some(one) = ones.get(number) else { return are_right(history, ones, entries) };
    if entries[number].is_some() {
        return any_entries(history, ones, number + 1, highest, taken, entries);
    }
    if one.done.is_none() && any_entries(history, ones, number + 1, highest, taken, entries) {
        return true;
    }
    let is_found = (1..=highest).any(|index| {
        let is_free = !taken.contains(&index) && !entries.contains(&Some(index));
        entries[number] = is_free.then_some(index);
        is_free && any_entries(history, ones, number + 1, highest, taken, entries)
    });
    entries[number] = None;
    is_found
}

fn are_right(history: &History, ones: &[One], entries: &[Option<u64>]) -> bool {
    let Some(states) = states(ones, entries) else { return false };
    let state_at = |index: u64| {
        let last = states.iter().rev().find(|(at, _)| *at <= index);
        last.map_or_else(Records::new, |(_, records)| records.clone())
    };
    let shows_all = history.operations.iter().all(|operation| match &operation.outcome {
        Outcome::Seen { index, .. } => shows(history, operation, &state_at(index.0)),
        Outcome::Absurd(_) => false,
        _ => true,
    });
    shows_all && agrees_with_time(history, ones, entries)
}

/// The state behind each entry, or `None` if one was told something else.
fn states(ones: &[One], entries: &[Option<u64>]) -> Option<Vec<(u64, Records)>> {
    let mut order: Vec<(u64, &One)> =
        entries.iter().zip(ones).filter_map(|(entry, one)| entry.map(|at| (at, one))).collect();
    order.sort_by_key(|(index, _)| *index);
    let mut records = Records::new();
    let mut states = Vec::new();
    for (index, one) in order {
        let before = records.get(&one.key).copied();
        let held = before.map(|(held, _)| held);
        let next = model::next(held, one.change);
        if let Some((_, _, told)) = one.done {
            model::after(held, one.change, told)?;
            if let Told::NotSwapped(Sight::Present { written, .. }) = told
                && before.is_some_and(|(_, index)| index != written)
            {
                return None;
            }
        }
        match next {
            Some(Some(held)) => drop(records.insert(one.key, (held, index))),
            Some(None) => drop(records.remove(&one.key)),
            None => {}
        }
        states.push((index, records.clone()));
    }
    Some(states)
}

fn shows(history: &History, operation: &Operation, records: &Records) -> bool {
    let Outcome::Seen { sights, end, .. } = &operation.outcome else { return false };
    let is_right = |(key, sight): &(Key, Sight)| match (records.get(key), sight) {
        (None, Sight::Absent) => true,
        (Some((held, index)), Sight::Present { written, .. }) => {
            written == index && model::shows(*sight, Some(*held))
        }
        _ => false,
    };
    let is_named = |key: &Key| sights.iter().any(|(named, _)| named == key);
    let is_all_named = match (&operation.asked, end) {
        (Asked::Get { .. }, _) => true,
        (Asked::Scan { page, .. }, end) => records.keys().all(|key| {
            let name = history.keys.name(key.0);
            let is_below = match end {
                End::Below(cursor) => name < cursor.as_slice(),
                _ => true,
            };
            let is_inside = name.starts_with(&page.prefix) && name >= page.from.as_slice();
            !(is_inside && is_below) || is_named(key)
        }),
        _ => records.keys().all(is_named),
    };
    is_all_named && sights.iter().all(is_right)
}

/// A moment at which something stood at an index.
struct Stands {
    called_us: u64,
    ended_us: Option<u64>,
    index: u64,
    is_change: bool,
    is_stale: bool,
}

fn agrees_with_time(history: &History, ones: &[One], entries: &[Option<u64>]) -> bool {
    let changes = ones.iter().zip(entries).filter_map(|(one, entry)| {
        let ended_us = one.done.map(|(ended_us, ..)| ended_us);
        let (called_us, is_change, is_stale) = (one.called_us, true, false);
        entry.map(|index| Stands { called_us, ended_us, index, is_change, is_stale })
    });
    let reads = history.operations.iter().filter_map(|operation| {
        let Outcome::Seen { index, .. } = operation.outcome else { return None };
        let is_stale = matches!(
            operation.asked,
            Asked::Get { freshness: Freshness::Stale, .. }
                | Asked::Scan { freshness: Freshness::Stale, .. }
        );
        let (called_us, ended_us) = (operation.called_us, operation.ended_us);
        Some(Stands { called_us, ended_us, index: index.0, is_change: false, is_stale })
    });
    let all: Vec<Stands> = changes.chain(reads).collect();
    all.iter().all(|first| {
        all.iter().all(|then| {
            let is_behind = first.ended_us.is_some_and(|ended_us| ended_us < then.called_us);
            let is_lower = then.index < first.index || then.is_change && then.index == first.index;
            !(is_behind && is_lower && !then.is_stale)
        })
    })
}

/// Compares verdicts on so many histories of at most so many calls, of so many of a hundred of which
/// nobody knows what came of them.
fn compare(seed: u64, count: u32, most: u64, doubtful: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let mut verdicts = [0; 2];
    for _ in 0..count {
        let mut history = small::legal(&mut random, most, doubtful);
        for _ in 0..random.random_range(0..=2) {
            small::spoil(&mut random, &mut history);
        }
        let is_legal = is_explained(&history);
        let verdict = history.check();
        let calls = &history.operations;
        assert_eq!(verdict.is_legal(), is_legal, "{verdict}: {calls:#?}");
        // What real time and sums alone show, the indexes show as well.
        let others = [Check::RealTime, Check::Sums];
        let is_found = verdict.findings.iter().any(|found| !others.contains(&found.check));
        assert_eq!(is_found, !is_legal, "{verdict}: {calls:#?}");
        verdicts[usize::from(is_legal)] += 1;
    }
    assert!(verdicts.iter().all(|verdicts| *verdicts > count / 6), "{verdicts:?}");
}

#[test]
fn the_verdict_on_small_histories_is_that_of_trying_every_entry() {
    compare(1, 60_000, 5, 20);
}

#[test]
fn the_verdict_on_histories_full_of_doubt_is_that_of_trying_every_entry() {
    compare(2, 20_000, 6, 60);
}
