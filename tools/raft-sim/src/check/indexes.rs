//! Whether the order that the indexes tell explains all answers, for all keys at once, and agrees
//! with real time.
//!
//! A done change stands at its entry's index. What a read shows of a key names the index that
//! wrote it, so a read also tells of changes whose own answers were lost. The others of which
//! nobody knows may have any entry that is free and lies behind all that had returned before their
//! call, or none: what is left open so is searched ([`super::explain`]).

use std::collections::{BTreeMap, BTreeSet};

use raft_node::model::LogId;

use super::changes::{Changed, Done, Seen};
use super::course::{Course, Doubt, Doubts, Event, Occupied, REFUSED_FOR_NOTHING, Refused, What};
use super::explain::{BUDGET, Explained, Placed, Stuck, explain, fit};
use super::history::{Asked, Change, History, Told};
use super::plain::ToldOf;
use super::stands::Stands;
use super::values::{Content, Key, Shown, Sight};
use super::{Check, Undecided, Verdict};

/// The order that explains the answers.
#[derive(Debug, Default)]
pub(super) struct Order {
    /// By the places of their calls, the indexes of the changes whose answers don't tell them. A
    /// change that isn't here isn't needed.
    pub(super) indexes: BTreeMap<usize, u64>,
    /// The keys that it doesn't explain.
    pub(super) unexplained: BTreeSet<Key>,
}

/// Checks the order, and says which it is.
pub(super) fn check(
    history: &History,
    changes: &[Changed],
    reads: &[Seen],
    verdict: &mut Verdict,
) -> Order {
    let stands = Stands::new(changes, reads);
    stands.check(history, verdict);
    let mut entries = Entries::new(history);
    entries.take_changes(changes, verdict);
    for changed in changes {
        if let Some(Told::NotSwapped(sight)) = changed.done.map(|done| done.told) {
            entries.take_sight(changed.key, sight, changed.place, verdict);
        }
    }
    for seen in reads {
        for (key, sight) in &seen.sights {
            entries.take_sight(*key, *sight, seen.place, verdict);
        }
    }
    let occupied = Occupied::new(entries.by_index.keys().copied());
    let broken = std::mem::take(&mut entries.broken);
    let mut courses = courses(history, changes, reads, entries, &stands);
    courses.retain(|course| !broken.contains(&course.key));
    let mut order = explain_all(history, &courses, &occupied, verdict);
    order.unexplained.extend(broken);
    order
}

/// What an index is known to have written.
#[derive(Clone, Debug)]
struct Entry {
    key: Key,
    /// The call that tells of it.
    place: usize,
    wrote: Wrote,
}

#[derive(Clone, Debug)]
enum Wrote {
    /// What the change that is known to stand there left, if it left something.
    Known(Option<(u64, Content)>),
    /// All that was seen of it.
    Seen { version: u64, shown: Vec<Shown> },
}

struct Entries<'a> {
    history: &'a History,
    by_index: BTreeMap<u64, Entry>,
    /// The keys of which is known that they can't be explained.
    broken: BTreeSet<Key>,
}

impl<'a> Entries<'a> {
    const fn new(history: &'a History) -> Entries<'a> {
        Entries { history, by_index: BTreeMap::new(), broken: BTreeSet::new() }
    }

    fn take_changes(&mut self, changes: &[Changed], verdict: &mut Verdict) {
        let mut ids: Vec<(LogId, usize)> = Vec::new();
        for changed in changes {
            let Some(Done { at: Some(at), told, .. }) = changed.done else { continue };
            let (key, place) = (changed.key, changed.place);
            ids.push((at, place));
            let left = match (told, changed.change) {
                (Told::Put { version }, Change::Put(content)) => Some((version, content)),
                (Told::Swapped { version }, Change::Swap { value, .. }) => Some((version, value)),
                (Told::Incremented { value, version }, _) => {
                    Some((version, Content::Number(value)))
                }
                _ => None,
            };
            let entry = Entry { key, place, wrote: Wrote::Known(left) };
            let index = at.index.0;
            if index == 0 {
                self.found(key, "a change at index 0, where no entry is", &[place], verdict);
            } else if let Some(other) = self.by_index.insert(index, entry) {
                let text = format!("two changes at index {index}");
                self.broken.insert(other.key);
                self.found(key, &text, &[other.place, place], verdict);
            }
        }
        ids.sort_unstable_by_key(|(id, _)| (id.index, id.term));
        for pair in ids.windows(2) {
            if pair[0].0.term > pair[1].0.term {
                let places = [pair[0].1, pair[1].1];
                let text = "a later entry is of an earlier term";
                verdict.found(self.history, Check::Indexes, None, text, &places);
            }
        }
    }

    /// Learns of the change whose work was seen.
    fn take_sight(&mut self, key: Key, sight: Sight, place: usize, verdict: &mut Verdict) {
        let Sight::Present { shown, version, written } = sight else { return };
        let other = self.by_index.get_mut(&written);
        let (text, places) = match other {
            None if written == 0 => ("what was seen was written by no entry", vec![place]),
            None => {
                let wrote = Wrote::Seen { version, shown: vec![shown] };
                self.by_index.insert(written, Entry { key, place, wrote });
                return;
            }
            Some(entry) if entry.key != key => {
                let places = vec![entry.place, place];
                ("what one entry wrote was seen under another key", places)
            }
            Some(entry) if !entry.wrote.fits(shown, version) => {
                ("one entry was seen to write two things", vec![entry.place, place])
            }
            Some(entry) => return entry.wrote.learn(shown),
        };
        self.found(key, text, &places, verdict);
    }

    fn found(&mut self, key: Key, text: &str, places: &[usize], verdict: &mut Verdict) {
        self.broken.insert(key);
        let check = check_of(self.history, places[places.len() - 1]);
        verdict.found(self.history, check, Some(key), text, places);
    }
}

impl Wrote {
    /// Whether this may have been seen of it as well.
    fn fits(&self, seen: Shown, seen_version: u64) -> bool {
        match self {
            Wrote::Known(left) => {
                left.is_some_and(|(version, content)| version == seen_version && seen.fits(content))
            }
            Wrote::Seen { version, shown } => {
                let differs = |other: &Shown| matches!((seen, other), (Shown::Value(one), Shown::Value(other)) if one != *other);
                *version == seen_version && !shown.iter().any(differs)
            }
        }
    }

    fn learn(&mut self, seen: Shown) {
        if let Wrote::Seen { shown, .. } = self
            && !shown.contains(&seen)
        {
            shown.push(seen);
        }
    }
}

/// What is known of each key.
fn courses(
    history: &History,
    changes: &[Changed],
    reads: &[Seen],
    entries: Entries<'_>,
    stands: &Stands,
) -> Vec<Course> {
    let mut events: Vec<Vec<Event>> = vec![Vec::new(); history.keys.len()];
    let mut refused: Vec<Vec<Refused>> = vec![Vec::new(); history.keys.len()];
    let mut doubts: Vec<BTreeMap<Change, Vec<Doubt>>> = vec![BTreeMap::new(); history.keys.len()];
    let told_of = ToldOf::new(changes, reads);
    for changed in changes {
        let Changed { key, change, called_us, done, place } = *changed;
        let (key, floor) = (key.0 as usize, stands.floor(called_us));
        match done {
            Some(Done { at: Some(at), told, .. }) => {
                let what = What::Change(change, told);
                events[key].push(Event { index: at.index.0, place, what });
            }
            Some(Done { at: None, told, ended_us }) => {
                let ceiling = stands.ceiling(ended_us);
                refused[key].push(Refused {
                    place,
                    change,
                    told,
                    called_us,
                    ended_us,
                    floor,
                    ceiling,
                });
            }
            None => {
                let same = doubts[key].entry(told_of.plain(change)).or_default();
                same.push(Doubt { place, called_us, floor });
            }
        }
    }
    for (index, Entry { key, place, wrote }) in entries.by_index {
        if let Wrote::Seen { version, shown } = wrote {
            let what = What::Wrote { version, shown };
            events[key.0 as usize].push(Event { index, place, what });
        }
    }
    for seen in reads {
        for (key, sight) in &seen.sights {
            let (index, place, what) = (seen.index.0, seen.place, What::Seen(*sight));
            events[key.0 as usize].push(Event { index, place, what });
        }
    }
    let known = events.into_iter().zip(doubts).zip(refused).enumerate();
    let course = |(number, ((events, doubts), refused))| {
        let key = Key(u32::try_from(number).expect("keys are numbered so"));
        let doubts: BTreeMap<Change, Vec<Doubt>> = doubts;
        let doubts = doubts.into_iter().map(|(change, each)| Doubts { change, each }).collect();
        Course::new(key, events, doubts, refused)
    };
    known.map(course).collect()
}

/// Each key by itself, and where their changes don't fit beside each other, all together.
fn explain_all(
    history: &History,
    courses: &[Course],
    occupied: &Occupied,
    verdict: &mut Verdict,
) -> Order {
    let mut order = Order::default();
    let mut placed: Vec<Placed> = Vec::new();
    for course in courses {
        match explain(&[course], occupied) {
            Explained::By(own) => {
                placed.extend(own);
                continue;
            }
            Explained::Not(stuck) => found_stuck(history, course, &stuck, verdict),
            Explained::Undecided => give_up(history, course.key, verdict),
        }
        order.unexplained.insert(course.key);
    }
    let fitted = fit(placed, occupied).unwrap_or_else(|| {
        let is_open = |course: &&Course| {
            let has_choices = !course.doubts.is_empty() || !course.refused.is_empty();
            has_choices && !order.unexplained.contains(&course.key)
        };
        let open: Vec<&Course> = courses.iter().filter(is_open).collect();
        match explain(&open, occupied) {
            Explained::By(placed) => return placed,
            Explained::Not(stuck) => found_no_room(history, &open, &stuck, verdict),
            Explained::Undecided => give_up(history, open[0].key, verdict),
        }
        order.unexplained.extend(open.iter().map(|course| course.key));
        Vec::new()
    });
    order.indexes = fitted.into_iter().map(|placed| (placed.place, placed.index)).collect();
    order
}

fn found_no_room(history: &History, courses: &[&Course], stuck: &Stuck, verdict: &mut Verdict) {
    let course = courses[stuck.at.0];
    let text = "each key could be explained, but there aren't entries enough for all of them";
    let place = course.events.get(stuck.at.1).map(|event| event.place);
    let places: Vec<usize> = stuck.teller.into_iter().chain(place).collect();
    verdict.found(history, Check::Indexes, Some(course.key), text, &places);
}

fn found_stuck(history: &History, course: &Course, stuck: &Stuck, verdict: &mut Verdict) {
    let (check, text, place) = match course.events.get(stuck.at.1) {
        Some(event) => (check_of(history, event.place), event.fault(stuck.state), event.place),
        None => (Check::Indexes, REFUSED_FOR_NOTHING, course.refused[0].place),
    };
    let places: Vec<usize> = stuck.teller.into_iter().chain([place]).collect();
    verdict.found(history, check, Some(course.key), text, &places);
}

fn give_up(history: &History, key: Key, verdict: &mut Verdict) {
    let key = history.keys.name(key.0).to_vec();
    verdict.undecided.push(Undecided { check: Check::Indexes, key, steps: BUDGET });
}

fn check_of(history: &History, place: usize) -> Check {
    match history.operations[place].asked {
        Asked::Contents => Check::Contents,
        _ => Check::Indexes,
    }
}
