//! The changes of a history, those of one number put together, and what was seen of each key.

use std::collections::BTreeMap;

use raft_node::model::{Index, LogId};

use super::history::{Asked, Change, End, Freshness, History, Operation, Outcome, Told};
use super::values::{Key, Sight};
use super::{Check, Verdict};

/// A change of one key, however often it was sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Changed {
    pub(super) key: Key,
    pub(super) change: Change,
    pub(super) called_us: u64,
    /// When it had been done for certain, and what it was told.
    pub(super) done: Option<Done>,
    /// The place of the call that tells of it.
    pub(super) place: usize,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Done {
    pub(super) ended_us: u64,
    /// Absent where the state refused it, which tells no entry.
    pub(super) at: Option<LogId>,
    pub(super) told: Told,
}

/// A state of some keys that a client saw.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen<'a> {
    pub(super) place: usize,
    pub(super) operation: &'a Operation,
    pub(super) ended_us: u64,
    pub(super) index: Index,
    pub(super) is_fresh: bool,
    pub(super) is_contents: bool,
}

/// All changes that may have had an effect, in the order of their calls; and what is wrong with
/// those that were sent several times.
pub(super) fn changes(history: &History, verdict: &mut Verdict) -> Vec<Changed> {
    let mut changes: Vec<Changed> = Vec::new();
    let mut numbered: BTreeMap<u32, usize> = BTreeMap::new();
    for (place, operation) in history.operations.iter().enumerate() {
        let Asked::Change { key, change, number } = operation.asked else { continue };
        let done = match operation.outcome {
            Outcome::Unknown => None,
            Outcome::Done { at, told } => {
                let ended_us = operation.ended_us.expect("what is done has returned");
                Some(Done { ended_us, at, told })
            }
            Outcome::Refused | Outcome::Seen { .. } | Outcome::Absurd(_) => continue,
        };
        let changed = Changed { key, change, called_us: operation.called_us, done, place };
        let first = number.and_then(|number| numbered.get(&number).copied());
        let Some(first) = first else {
            if let Some(number) = number {
                numbered.insert(number, changes.len());
            }
            changes.push(changed);
            continue;
        };
        let first = &mut changes[first];
        match (first.done, done) {
            (Some(one), Some(other)) if (one.at, one.told) != (other.at, other.told) => {
                let text = "one number was answered in two ways";
                verdict.found(history, Check::Numbers, Some(key), text, &[first.place, place]);
            }
            (Some(one), Some(other)) if one.ended_us <= other.ended_us => {}
            (_, None) => {}
            (_, Some(_)) => (first.done, first.place) = (done, place),
        }
    }
    changes
}

/// All reads, in the order of their calls.
pub(super) fn reads(history: &History) -> impl Iterator<Item = Seen<'_>> {
    history.operations.iter().enumerate().filter_map(|(place, operation)| {
        let Outcome::Seen { index, .. } = &operation.outcome else { return None };
        let is_fresh = match operation.asked {
            Asked::Get { freshness, .. } | Asked::Scan { freshness, .. } => {
                freshness == Freshness::Fresh
            }
            Asked::Contents => true,
            Asked::Change { .. } => false,
        };
        let ended_us = operation.ended_us.expect("what was seen has returned");
        let is_contents = matches!(operation.asked, Asked::Contents);
        Some(Seen { place, operation, ended_us, index: *index, is_fresh, is_contents })
    })
}

impl Seen<'_> {
    /// What it says of each key: of those that it names, and that there is nothing under the
    /// others that it would have named.
    pub(super) fn sights(&self, history: &History) -> Vec<(Key, Sight)> {
        let Outcome::Seen { sights, end, .. } = &self.operation.outcome else {
            unreachable!("it is a read that was answered")
        };
        let (prefix, from): (&[u8], &[u8]) = match &self.operation.asked {
            Asked::Scan { page, .. } => (&page.prefix, &page.from),
            Asked::Contents => (&[], &[]),
            Asked::Get { .. } | Asked::Change { .. } => return sights.clone(),
        };
        let named: BTreeMap<Key, Sight> = sights.iter().copied().collect();
        let is_inside = |name: &[u8]| match end {
            End::Named => false,
            End::Last => name.starts_with(prefix),
            End::Below(cursor) => name.starts_with(prefix) && name < cursor.as_slice(),
        };
        let start = from.max(prefix);
        let known = history.keys.from(start).filter(|(name, _)| is_inside(name));
        known
            .map(|(_, number)| (Key(number), named.get(&Key(number)).copied()))
            .map(|(key, sight)| (key, sight.unwrap_or(Sight::Absent)))
            .collect()
    }
}
