//! Whether the order that the indexes tell explains all answers, for all keys at once, and agrees
//! with real time.
//!
//! A done change stands at its entry's index. What a read shows of a key names the index that
//! wrote it, so a read also tells of changes whose own answers were lost. Between these known
//! states of a key there may be changes that nobody knows of; they are given the benefit of the
//! doubt as far as there are enough of them.

use std::collections::BTreeMap;

use super::changes::{Changed, Done, Seen};
use super::history::{Change, Expected, History, Told};
use super::model::{Held, State};
use super::values::{Content, Key, Shown, Sight};
use super::{Check, Verdict};

pub(super) fn check(history: &History, changes: &[Changed], reads: &[Seen], verdict: &mut Verdict) {
    let mut order = Order::new(history, changes);
    order.know_changes(verdict);
    for changed in changes {
        if let Some(Told::NotSwapped(sight)) = changed.done.map(|done| done.told) {
            order.know_sight(Check::Indexes, changed.key, sight, changed.place, verdict);
        }
    }
    for seen in reads {
        for (key, sight) in &seen.sights {
            order.know_sight(check_of(seen), *key, *sight, seen.place, verdict);
        }
    }
    for changed in changes {
        order.check_change(changed, verdict);
    }
    for seen in reads {
        order.check_read(seen, verdict);
    }
    check_real_time(history, changes, reads, verdict);
}

/// A state that an index gave to a key.
#[derive(Clone, Copy, Debug)]
struct Known {
    key: Key,
    /// The version, 0 where the key was removed.
    version: u64,
    content: Option<Content>,
    /// The call that tells of it.
    place: usize,
    /// When that was written at the earliest.
    called_us: u64,
}

struct Order<'a> {
    history: &'a History,
    changes: &'a [Changed],
    /// By index.
    entries: BTreeMap<u64, Known>,
    /// Of each key the known states, by index.
    keys: Vec<BTreeMap<u64, Known>>,
    /// Of each key the changes of which nobody knows what came of them.
    doubtful: Vec<Vec<&'a Changed>>,
}

impl<'a> Order<'a> {
    fn new(history: &'a History, changes: &'a [Changed]) -> Order<'a> {
        let mut doubtful = vec![Vec::new(); history.keys.len()];
        for changed in changes.iter().filter(|changed| changed.done.is_none()) {
            doubtful[changed.key.0 as usize].push(changed);
        }
        let keys = vec![BTreeMap::new(); history.keys.len()];
        Order { history, changes, entries: BTreeMap::new(), keys, doubtful }
    }

    fn know_changes(&mut self, verdict: &mut Verdict) {
        for changed in self.changes {
            let Some(Done { at: Some(at), told, .. }) = changed.done else { continue };
            let (version, content) = match (told, changed.change) {
                (Told::Put { version }, Change::Put(content)) => (version, Some(content)),
                (Told::Swapped { version }, Change::Swap { value, .. }) => (version, Some(value)),
                (Told::Incremented { value, version }, _) => {
                    (version, Some(Content::Number(value)))
                }
                (Told::Deleted { existed: true }, _) => (0, None),
                _ => continue,
            };
            let (key, place, called_us) = (changed.key, changed.place, changed.called_us);
            let known = Known { key, version, content, place, called_us };
            if let Some(other) = self.entries.get(&at.index.0) {
                let text = format!("two changes at index {}", at.index);
                let places = [other.place, place];
                verdict.found(self.history, Check::Indexes, Some(key), &text, &places);
            }
            self.know(at.index.0, known);
        }
    }

    fn know(&mut self, index: u64, known: Known) {
        self.entries.insert(index, known);
        self.keys[known.key.0 as usize].insert(index, known);
    }

    /// Learns of the change whose work was seen.
    fn know_sight(
        &mut self,
        check: Check,
        key: Key,
        sight: Sight,
        place: usize,
        verdict: &mut Verdict,
    ) {
        let Sight::Present { shown, version, written } = sight else { return };
        let ended_us = self.ended_us(place);
        let content = match shown {
            Shown::Value(content) => Some(content),
            Shown::Length(_) | Shown::Nothing => None,
        };
        let Some(known) = self.entries.get(&written).copied() else {
            match self.writer(key, shown, ended_us) {
                Some(called_us) => {
                    self.know(written, Known { key, version, content, place, called_us });
                }
                None => {
                    let text = "nobody wrote what was seen";
                    verdict.found(self.history, check, Some(key), text, &[place]);
                }
            }
            return;
        };
        let text = if known.key != key {
            "what one entry wrote was seen under another key"
        } else if known.version != version || known.content.is_some_and(|is| !shown.fits(is)) {
            "one entry was seen to write two things"
        } else if known.called_us > ended_us {
            "what was seen had not been asked for"
        } else {
            return self.know(written, Known { content: known.content.or(content), ..known });
        };
        verdict.found(self.history, check, Some(key), text, &[known.place, place]);
    }

    /// When a call had returned.
    fn ended_us(&self, place: usize) -> u64 {
        self.history.operations[place].ended_us.unwrap_or(u64::MAX)
    }

    /// When a change of which nobody knows, and which may have written this, was called.
    fn writer(&self, key: Key, shown: Shown, ended_us: u64) -> Option<u64> {
        let may_have = |changed: &&&Changed| match changed.change {
            Change::Put(content) | Change::Swap { value: content, .. } => shown.fits(content),
            Change::Increment(_) => {
                !matches!(shown, Shown::Value(Content::Text { .. } | Content::Unseen))
            }
            Change::Delete => false,
        };
        self.doubts(key, ended_us).filter(may_have).map(|changed| changed.called_us).min()
    }

    /// The changes of a key that may have taken place by then although nobody knows.
    fn doubts(&self, key: Key, ended_us: u64) -> impl Iterator<Item = &&Changed> {
        let doubtful = self.doubtful[key.0 as usize].iter();
        doubtful.filter(move |changed| changed.called_us <= ended_us)
    }

    /// The last known state of a key at an index, and who tells of it.
    fn last(&self, key: Key, index: u64) -> (u64, Option<Known>) {
        let known = self.keys[key.0 as usize].range(..=index).next_back();
        known.map_or((0, None), |(index, known)| (*index, Some(*known)))
    }

    fn check_read(&self, seen: &Seen, verdict: &mut Verdict) {
        for (key, sight) in &seen.sights {
            self.check_sight(check_of(seen), *key, *sight, seen.index.0, seen.place, verdict);
        }
    }

    /// Whether a key can have been seen so at an index.
    fn check_sight(
        &self,
        check: Check,
        key: Key,
        sight: Sight,
        index: u64,
        place: usize,
        verdict: &mut Verdict,
    ) {
        let (last_index, last) = self.last(key, index);
        let ended_us = self.ended_us(place);
        let is_held = last.is_some_and(|last| last.version > 0);
        let text = match sight {
            Sight::Present { written, .. } if written > index => {
                "what was seen was written behind the index of the read"
            }
            Sight::Present { written, .. } if written != last_index => {
                "what was seen had been replaced"
            }
            Sight::Absent if is_held && !self.may_be_removed(key, ended_us) => {
                "a key was not seen, and nobody removed it"
            }
            _ => return,
        };
        let places: Vec<usize> = last.map(|last| last.place).into_iter().chain([place]).collect();
        verdict.found(self.history, check, Some(key), text, &places);
    }

    fn may_be_removed(&self, key: Key, ended_us: u64) -> bool {
        self.doubts(key, ended_us).any(|changed| matches!(changed.change, Change::Delete))
    }

    /// Whether a change can have been answered so behind the known state before it.
    fn check_change(&self, changed: &Changed, verdict: &mut Verdict) {
        let Some(Done { at: Some(at), told, ended_us }) = changed.done else { return };
        let (key, place, before) = (changed.key, changed.place, at.index.0 - 1);
        if let Told::NotSwapped(sight) = told {
            return self.check_sight(Check::Indexes, key, sight, before, place, verdict);
        }
        let (_, last) = self.last(key, before);
        let state = last.filter(|last| last.version > 0).map(|last| Held {
            content: last.content.unwrap_or(Content::Unseen),
            version: last.version,
        });
        let text = match told {
            Told::Put { version }
            | Told::Swapped { version }
            | Told::Incremented { version, .. } => self
                .version_fault(key, state, version, ended_us)
                .or_else(|| content_fault(state, version, changed.change, told)),
            Told::Deleted { existed: false } if state.is_some() => (!self
                .may_be_removed(key, ended_us))
            .then_some("a key was not there to be removed, and nobody had removed it"),
            Told::Deleted { existed: true } if state.is_none() => {
                (self.doubts(key, ended_us).next().is_none())
                    .then_some("a key was there to be removed, and nobody had written it")
            }
            _ => None,
        };
        if let Some(text) = text {
            let last = last.map(|last| last.place);
            let places: Vec<usize> = last.into_iter().chain([place]).collect();
            verdict.found(self.history, Check::Indexes, Some(key), text, &places);
        }
    }

    /// What is wrong with the version that a change made behind this known state.
    fn version_fault(
        &self,
        key: Key,
        state: State,
        version: u64,
        ended_us: u64,
    ) -> Option<&'static str> {
        let had = state.map_or(0, |held| held.version);
        if version <= had {
            return (!self.may_be_removed(key, ended_us))
                .then_some("a version doesn't go on, and nobody removed the key");
        }
        let unknown = version - had - 1;
        let most = self.doubts(key, ended_us).count() as u64;
        (unknown > most).then_some("a version counts more changes than were asked for")
    }
}

/// What is wrong with a change that follows right behind this known state.
fn content_fault(state: State, version: u64, change: Change, told: Told) -> Option<&'static str> {
    if version != state.map_or(0, |held| held.version) + 1 {
        return None;
    }
    let content = state.map_or(Content::Number(0), |held| held.content);
    match (change, told) {
        (Change::Increment(by), Told::Incremented { value, .. }) => match content {
            Content::Number(number) if number.checked_add(by) == Some(value) => None,
            Content::Unseen => None,
            _ => Some("a sum isn't that of what was there and what was added"),
        },
        (Change::Swap { expected, .. }, Told::Swapped { .. }) => {
            let is_wrong = match expected {
                Expected::Absent => state.is_some(),
                Expected::Version(expected) => state.map(|held| held.version) != Some(expected),
                Expected::Value(expected) => {
                    state.is_none() || content != Content::Unseen && content != expected
                }
            };
            is_wrong.then_some("a value was swapped that wasn't the expected one")
        }
        _ => None,
    }
}

fn check_of(seen: &Seen) -> Check {
    if seen.is_contents { Check::Contents } else { Check::Indexes }
}

/// Whether what was called after another had returned stands behind it.
fn check_real_time(history: &History, changes: &[Changed], reads: &[Seen], verdict: &mut Verdict) {
    // Time, whether it is a return, index, whether it is a change, and the place of the call. At
    // one time calls come first: what touches overlaps.
    let mut moments: Vec<(u64, bool, u64, bool, usize)> = Vec::new();
    for changed in changes {
        let Some(Done { at: Some(at), ended_us, .. }) = changed.done else { continue };
        moments.push((changed.called_us, false, at.index.0, true, changed.place));
        moments.push((ended_us, true, at.index.0, true, changed.place));
    }
    for seen in reads.iter().filter(|seen| seen.is_fresh) {
        moments.push((seen.called_us, false, seen.index.0, false, seen.place));
        moments.push((seen.ended_us, true, seen.index.0, false, seen.place));
    }
    moments.sort_unstable();
    let mut floor: Option<(u64, usize)> = None;
    for (_, is_return, index, is_change, place) in moments {
        match floor {
            Some((highest, _)) if is_return && highest >= index => {}
            _ if is_return => floor = Some((index, place)),
            Some((highest, other)) if index < highest || is_change && index == highest => {
                let text = "what was called later stands at a lower index";
                verdict.found(history, Check::Indexes, None, text, &[other, place]);
            }
            _ => {}
        }
    }
}
