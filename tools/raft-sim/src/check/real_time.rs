//! Whether some order explains all answers about a key. Indexes aren't looked at.

use std::collections::BTreeSet;

use super::changes::{Changed, Seen};
use super::history::{Change, Expected, History, Told};
use super::search::{Searched, Step, What, search};
use super::values::{Content, Key, Shown, Sight};
use super::{Check, Undecided, Verdict};

/// How often an operation is looked at before a key is given up.
const BUDGET: u64 = 20_000_000;

pub(super) fn check(history: &History, changes: &[Changed], reads: &[Seen], verdict: &mut Verdict) {
    let mut keys: Vec<Vec<(usize, Step)>> = vec![Vec::new(); history.keys.len()];
    let shown = Known::new(changes, reads);
    for changed in changes {
        let what = match changed.done {
            Some(done) => What::Change(changed.change, done.told),
            None => What::Perhaps(shown.plain(changed.change)),
        };
        let ended_us = changed.done.map(|done| done.ended_us);
        let step = Step { called_us: changed.called_us, ended_us, what };
        keys[changed.key.0 as usize].push((changed.place, step));
    }
    for seen in reads.iter().filter(|seen| seen.is_fresh) {
        for (key, sight) in seen.sights.iter().copied() {
            let (called_us, ended_us) = (seen.called_us, Some(seen.ended_us));
            let step = Step { called_us, ended_us, what: What::Read(sight) };
            keys[key.0 as usize].push((seen.place, step));
        }
    }
    for (number, mut steps) in keys.into_iter().enumerate() {
        steps.sort_by_key(|(place, step)| (step.called_us, *place));
        let key = Key(u32::try_from(number).expect("keys are numbered so"));
        check_key(history, key, &steps, verdict);
    }
}

fn check_key(history: &History, key: Key, steps: &[(usize, Step)], verdict: &mut Verdict) {
    let plain: Vec<Step> = steps.iter().map(|(_, step)| *step).collect();
    match search(&plain, BUDGET) {
        Searched::Legal => {}
        Searched::Illegal { last, stuck } => {
            let numbers = last.into_iter().chain([stuck]);
            let places: Vec<usize> = numbers.map(|number| steps[number].0).collect();
            let text = "no order of the calls explains the answers; the longest ends so";
            verdict.found(history, Check::RealTime, Some(key), text, &places);
        }
        Searched::Undecided(looks) => {
            let key = history.keys.name(key.0).to_vec();
            verdict.undecided.push(Undecided { check: Check::RealTime, key, steps: looks });
        }
    }
}

/// The texts of which an answer or an expectation tells.
struct Known {
    texts: BTreeSet<u32>,
    lengths: BTreeSet<u32>,
}

impl Known {
    fn new(changes: &[Changed], reads: &[Seen]) -> Known {
        let mut known = Known { texts: BTreeSet::new(), lengths: BTreeSet::new() };
        for changed in changes {
            if let Change::Swap { expected: Expected::Value(content), .. } = changed.change {
                known.content(content);
            }
            if let Some(Told::NotSwapped(sight)) = changed.done.map(|done| done.told) {
                known.sight(sight);
            }
        }
        for (_, sight) in reads.iter().flat_map(|seen| &seen.sights) {
            known.sight(*sight);
        }
        known
    }

    fn sight(&mut self, sight: Sight) {
        match sight {
            Sight::Present { shown: Shown::Value(content), .. } => self.content(content),
            Sight::Present { shown: Shown::Length(length), .. } => {
                self.lengths.insert(length);
            }
            Sight::Present { shown: Shown::Nothing, .. } | Sight::Absent => {}
        }
    }

    fn content(&mut self, content: Content) {
        if let Content::Text { id, .. } = content {
            self.texts.insert(id);
        }
    }

    /// The change with a text that nobody has seen made the same as all such texts.
    fn plain(&self, change: Change) -> Change {
        let plain = |content| match content {
            Content::Text { id, length }
                if !self.texts.contains(&id) && !self.lengths.contains(&length) =>
            {
                Content::Unseen
            }
            content => content,
        };
        match change {
            Change::Put(content) => Change::Put(plain(content)),
            Change::Swap { expected, value } => Change::Swap { expected, value: plain(value) },
            Change::Delete | Change::Increment(_) => change,
        }
    }
}
