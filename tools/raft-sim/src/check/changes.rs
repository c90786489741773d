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
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) place: usize,
    pub(super) called_us: u64,
    pub(super) ended_us: u64,
    pub(super) index: Index,
    /// What it says of each key: of those that it names, and that there is nothing under the
    /// others that it would have named.
    pub(super) sights: Vec<(Key, Sight)>,
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
        first.called_us = first.called_us.min(changed.called_us);
        if (first.key, first.change) != (key, change) {
            let text = "one number was given to two changes";
            verdict.found(history, Check::Numbers, Some(key), text, &[first.place, place]);
            continue;
        }
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
pub(super) fn reads(history: &History) -> Vec<Seen> {
    let operations = history.operations.iter().enumerate();
    operations.filter_map(|(place, operation)| seen(history, place, operation)).collect()
}

fn seen(history: &History, place: usize, operation: &Operation) -> Option<Seen> {
    let Outcome::Seen { index, sights, end } = &operation.outcome else { return None };
    let everything: (&[u8], &[u8]) = (&[], &[]);
    let (freshness, range) = match &operation.asked {
        Asked::Get { freshness, .. } => (*freshness, None),
        Asked::Scan { page, freshness } => (*freshness, Some((&*page.prefix, &*page.from))),
        Asked::Contents => (Freshness::Fresh, Some(everything)),
        Asked::Change { .. } => return None,
    };
    let sights = match range {
        Some((prefix, from)) => all_sights(history, sights, end, prefix, from),
        None => sights.clone(),
    };
    Some(Seen {
        place,
        called_us: operation.called_us,
        ended_us: operation.ended_us.expect("what was seen has returned"),
        index: *index,
        sights,
        is_fresh: freshness == Freshness::Fresh,
        is_contents: matches!(operation.asked, Asked::Contents),
    })
}

/// What is said of every key of a range by one that names those that are there.
fn all_sights(
    history: &History,
    sights: &[(Key, Sight)],
    end: &End,
    prefix: &[u8],
    from: &[u8],
) -> Vec<(Key, Sight)> {
    let named: BTreeMap<Key, Sight> = sights.iter().copied().collect();
    let is_inside = |name: &[u8]| match end {
        End::Named => false,
        End::Last => name.starts_with(prefix),
        End::Below(cursor) => name.starts_with(prefix) && name < cursor.as_slice(),
    };
    let known = history.keys.from(from.max(prefix)).filter(|(name, _)| is_inside(name));
    let sight = |(_, number)| {
        let key = Key(number);
        (key, named.get(&key).copied().unwrap_or(Sight::Absent))
    };
    known.map(sight).collect()
}
