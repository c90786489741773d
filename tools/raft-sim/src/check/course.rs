//! The course of one key by the indexes: what is known to have stood where, and what may have
//! taken place between.

use std::collections::BTreeMap;

use super::history::{Change, Told};
use super::model::{self, Held};
use super::values::{Content, Key, Shown, Sight};

/// All that is known of a key.
#[derive(Clone, Debug)]
pub(super) struct Course {
    pub(super) key: Key,
    /// By index, what an entry does before what was seen behind it.
    pub(super) events: Vec<Event>,
    /// The changes of which nobody knows what came of them.
    pub(super) doubts: Vec<Doubts>,
    /// The changes that the state refused, which tells no entry.
    pub(super) refused: Vec<Refused>,
    /// Of each text that changes of which nobody knows were seen to write, by which events.
    pub(super) seen_texts: BTreeMap<Content, Vec<usize>>,
    /// Whether all changes of which nobody knows are additions.
    pub(super) is_only_added_to: bool,
}

/// Something that stood at an index for certain.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) index: u64,
    /// The call that tells of it.
    pub(super) place: usize,
    pub(super) what: What,
}

#[derive(Clone, Debug)]
pub(super) enum What {
    /// A change and its answer.
    Change(Change, Told),
    /// A change of which nobody knows wrote what was seen later, in all these ways.
    Wrote { version: u64, shown: Vec<Shown> },
    /// The key was seen so behind the entry at the index.
    Seen(Sight),
}

/// Changes that differ in nothing but the time of their call, by that time.
#[derive(Clone, Debug)]
pub(super) struct Doubts {
    pub(super) change: Change,
    pub(super) each: Vec<Doubt>,
}

/// A change that may have been done.
#[derive(Clone, Copy, Debug)]
pub(super) struct Doubt {
    pub(super) place: usize,
    pub(super) called_us: u64,
    /// Its entry lies behind this index.
    pub(super) floor: u64,
}

/// A change that had no effect, at an entry that isn't known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refused {
    pub(super) place: usize,
    pub(super) change: Change,
    pub(super) told: Told,
    pub(super) called_us: u64,
    pub(super) ended_us: u64,
    /// Its entry lies behind this index.
    pub(super) floor: u64,
    /// And not behind this one.
    pub(super) ceiling: u64,
}

impl Course {
    /// What is known of a key.
    pub(super) fn new(
        key: Key,
        mut events: Vec<Event>,
        mut doubts: Vec<Doubts>,
        refused: Vec<Refused>,
    ) -> Course {
        events.sort_by_key(|event| (event.index, matches!(event.what, What::Seen(_))));
        for doubts in &mut doubts {
            doubts.each.sort_unstable_by_key(|doubt| doubt.called_us);
        }
        // Additions by what they add, and what can be done at any time last.
        doubts.sort_by_key(|doubts| (matches!(doubts.change, Change::Put(_)), doubts.change));
        let mut seen_texts: BTreeMap<Content, Vec<usize>> = BTreeMap::new();
        for (number, event) in events.iter().enumerate() {
            let What::Wrote { shown, .. } = &event.what else { continue };
            let text = shown.iter().find_map(|shown| match shown {
                Shown::Value(text @ Content::Text { .. }) => Some(*text),
                _ => None,
            });
            if let Some(text) = text {
                seen_texts.entry(text).or_default().push(number);
            }
        }
        let is_only_added_to =
            doubts.iter().all(|doubts| matches!(doubts.change, Change::Increment(_)));
        Course { key, events, doubts, refused, seen_texts, is_only_added_to }
    }
}

/// What must have come before something, where it can't stand behind what is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Needs {
    /// No change helps: what was seen names the entry that wrote it.
    Nothing,
    /// This version, 0 where there is nothing.
    Version(u64),
    /// Any change may help.
    Anything,
}

impl Needs {
    const fn behind(version: u64) -> Needs {
        match version.checked_sub(1) {
            Some(before) => Needs::Version(before),
            None => Needs::Nothing,
        }
    }
}

/// What a key holds, and the index that wrote it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Stood {
    pub(super) held: Held,
    pub(super) written: u64,
}

/// The state behind a change at an index, or `None` if it has no effect.
pub(super) fn next(state: Option<Stood>, change: Change, index: u64) -> Option<Option<Stood>> {
    let next = model::next(state.map(|stood| stood.held), change)?;
    Some(next.map(|held| Stood { held, written: index }))
}

impl Event {
    /// The last index that a change before it can have.
    pub(super) const fn limit(&self) -> u64 {
        match self.what {
            What::Seen(_) => self.index,
            What::Change(..) | What::Wrote { .. } => self.index.saturating_sub(1),
        }
    }

    /// The state behind it, or `None` if it can't stand behind this one.
    pub(super) fn after(&self, state: Option<Stood>) -> Option<Option<Stood>> {
        match &self.what {
            What::Change(change, told) => {
                model::after(state.map(|stood| stood.held), *change, *told)?;
                match told {
                    Told::NotSwapped(sight) if !shows(*sight, state) => None,
                    _ => Some(next(state, *change, self.index).unwrap_or(state)),
                }
            }
            What::Wrote { .. } => None,
            What::Seen(sight) => shows(*sight, state).then_some(state),
        }
    }

    /// Whether a change leads to what was seen to be written here, and to what.
    pub(super) fn written_by(&self, state: Option<Stood>, change: Change) -> Option<Option<Stood>> {
        let What::Wrote { version, shown } = &self.what else { return None };
        let next = next(state, change, self.index)?;
        let Held { content, version: made } = next?.held;
        (made == *version && shown.iter().all(|shown| shown.fits(content))).then_some(next)
    }

    /// What changes of which nobody knows must come to, so that it can stand behind them.
    pub(super) const fn needs(&self) -> Needs {
        match &self.what {
            What::Change(_, told) => match told {
                Told::Put { version }
                | Told::Swapped { version }
                | Told::Incremented { version, .. } => Needs::behind(*version),
                Told::Deleted { existed } => Needs::Version(*existed as u64),
                Told::NotSwapped(Sight::Absent) => Needs::Version(0),
                Told::NotSwapped(Sight::Present { .. }) => Needs::Nothing,
                Told::NotANumber | Told::Overflow => Needs::Anything,
            },
            What::Wrote { version, .. } => Needs::behind(*version),
            What::Seen(Sight::Absent) => Needs::Version(0),
            What::Seen(Sight::Present { .. }) => Needs::Nothing,
        }
    }

    /// How many additions are needed for what it tells of a number, and what they must come to.
    pub(super) fn sum_needed(&self, state: Option<Stood>) -> Option<(u64, i128)> {
        let (had, version) = match state.map(|stood| stood.held) {
            None => (0, 0),
            Some(Held { content: Content::Number(number), version }) => (number, version),
            Some(_) => return None,
        };
        let (made, needed) = match &self.what {
            What::Change(Change::Increment(by), Told::Incremented { value, version }) => {
                (i128::from(*value) - i128::from(*by), version.checked_sub(1)?)
            }
            What::Wrote { version, shown } => {
                let number = shown.iter().find_map(|shown| match shown {
                    Shown::Value(Content::Number(number)) => Some(*number),
                    _ => None,
                });
                (i128::from(number?), *version)
            }
            _ => return None,
        };
        Some((needed.checked_sub(version)?, made - i128::from(had)))
    }

    /// Why it can't stand behind this state.
    pub(super) fn fault(&self, state: Option<Stood>) -> &'static str {
        let had = state.map_or(0, |stood| stood.held.version);
        let told = match &self.what {
            What::Change(_, told) => told,
            What::Wrote { .. } => return "nobody wrote what was seen",
            What::Seen(sight) => return sight_fault(*sight, state, self.index),
        };
        match *told {
            Told::Put { version }
            | Told::Swapped { version }
            | Told::Incremented { version, .. }
                if version <= had =>
            {
                "a version doesn't go on, and nobody removed the key"
            }
            Told::Put { version }
            | Told::Swapped { version }
            | Told::Incremented { version, .. }
                if version > had + 1 =>
            {
                "a version counts more changes than were asked for"
            }
            Told::Put { .. } => "a version isn't that of what was there",
            Told::Swapped { .. } => "a value was swapped that wasn't the expected one",
            Told::Incremented { .. } => "a sum isn't that of what was there and what was added",
            Told::Deleted { existed: false } => {
                "a key was not there to be removed, and nobody had removed it"
            }
            Told::Deleted { existed: true } => {
                "a key was there to be removed, and nobody had written it"
            }
            Told::NotSwapped(sight) if !shows(sight, state) => {
                sight_fault(sight, state, self.index.saturating_sub(1))
            }
            Told::NotSwapped(_) => "a value wasn't swapped, and it was the expected one",
            Told::NotANumber | Told::Overflow => REFUSED_FOR_NOTHING,
        }
    }
}

/// What is wrong with a change that was refused.
pub(super) const REFUSED_FOR_NOTHING: &str = "a sum was refused that could be made";

fn shows(sight: Sight, state: Option<Stood>) -> bool {
    let is_written_so = match (sight, state) {
        (Sight::Present { written, .. }, Some(stood)) => written == stood.written,
        _ => true,
    };
    is_written_so && model::shows(sight, state.map(|stood| stood.held))
}

fn sight_fault(sight: Sight, state: Option<Stood>, index: u64) -> &'static str {
    match sight {
        Sight::Absent => "a key was not seen, and nobody removed it",
        Sight::Present { written, .. } if written > index => {
            "what was seen was written behind the index of the read"
        }
        Sight::Present { written, .. } if state.is_none_or(|stood| stood.written != written) => {
            "what was seen had been replaced"
        }
        Sight::Present { .. } => "what was seen isn't what its entry wrote",
    }
}

/// The indexes at which something stands for certain.
pub(super) struct Occupied {
    /// The first and the last of each run, in order.
    runs: Vec<(u64, u64)>,
}

impl Occupied {
    /// The indexes are in order.
    pub(super) fn new(indexes: impl Iterator<Item = u64>) -> Occupied {
        let mut runs: Vec<(u64, u64)> = Vec::new();
        for index in indexes {
            match runs.last_mut() {
                Some((_, last)) if *last + 1 == index => *last = index,
                _ => runs.push((index, index)),
            }
        }
        Occupied { runs }
    }

    /// The first index behind this one at which nothing stands.
    pub(super) fn free_behind(&self, index: u64) -> u64 {
        let next = index.saturating_add(1);
        let number = self.runs.partition_point(|(_, last)| *last < next);
        match self.runs.get(number) {
            Some((first, last)) if *first <= next => *last + 1,
            _ => next,
        }
    }
}
