//! Small histories of a correct store, and what one wrong answer makes of them.

use std::collections::BTreeMap;

use raft_node::kv::{Expected, Operation, Scan, SessionId};
use raft_node::model::{Index, LogId, LogTime, Term};
use rand::RngExt;
use rand::rngs::StdRng;

use super::answers::{sight, told};
use crate::check::history::{Asked, End, Outcome, Told};
use crate::check::model::{self, Held};
use crate::check::values::{Content, Key, Shown, Sight};
use crate::check::{Freshness, History, Number, Request};

/// What the keys hold, and the index that wrote it.
pub(super) type Records = BTreeMap<Key, (Held, u64)>;

const KEYS: [&[u8]; 2] = [b"a", b"b"];
const VALUES: [&[u8]; 5] = [b"x", b"y", b"zz", b"0", b"1"];

/// A change that was numbered, to be sent again: its operation, its number and its outcome.
type Numbered = (Operation<'static>, u64, Outcome);

struct Store {
    history: History,
    states: Vec<Records>,
    term: u64,
    keys: usize,
    doubtful: u64,
    numbers: u64,
    numbered: Vec<Numbered>,
}

/// What a correct store answers to a few calls that overlap; of so many of a hundred changes nobody
/// knows what came of them.
pub(super) fn legal(random: &mut StdRng, most: u64, doubtful: u64) -> History {
    let mut store = Store {
        history: History::new(),
        states: vec![Records::new()],
        term: 1,
        keys: random.random_range(1..=2),
        doubtful,
        numbers: 0,
        numbered: Vec::new(),
    };
    let count = random.random_range(2..=most);
    for number in 0..count {
        store.skip(random);
        let point = 10 * number + 10;
        let called_us = point - random.random_range(0..25).min(point);
        let ended_us = point + random.random_range(0..25);
        let place = match random.random_range(0..10) {
            0..3 => store.reads(random, called_us),
            3 if !store.numbered.is_empty() => store.sends_again(random, called_us),
            _ => store.changes(random, called_us),
        };
        if !matches!(store.history.operations[place].outcome, Outcome::Unknown) {
            store.history.operations[place].ended_us = Some(ended_us);
        }
    }
    if random.random_range(0..3) == 0 {
        store.skip(random);
        let index = Index(store.states.len() as u64 - 1);
        store.history.contents(10 * count + 50, index, []);
        let sights = all_of(store.states.last().unwrap());
        let contents = store.history.operations.last_mut().unwrap();
        contents.outcome = Outcome::Seen { index, sights, end: End::Last };
    }
    store.history
}

impl Store {
    /// Entries that no client asked for, and elections.
    fn skip(&mut self, random: &mut StdRng) {
        if random.random_range(0..3) == 0 {
            self.states.push(self.states.last().unwrap().clone());
            self.term += random.random_range(0..2);
        }
    }

    fn reads(&mut self, random: &mut StdRng, called_us: u64) -> usize {
        let is_stale = random.random_range(0..4) == 0;
        let freshness = if is_stale { Freshness::Stale } else { Freshness::Fresh };
        let last = self.states.len() - 1;
        let index = if is_stale { random.random_range(0..=last) } else { last };
        let scan = Scan { prefix: b"", from: b"", limit: 5, max_bytes: 1000, keys_only: false };
        let request = match random.random_range(0..3) {
            0 => Request::Scan { scan, freshness },
            _ => Request::Get { keys: &KEYS[..self.keys], freshness },
        };
        let place = self.history.call(called_us, 1, request).place();
        let records = &self.states[index];
        let (sights, end) = match &self.history.operations[place].asked {
            Asked::Get { keys, .. } => {
                let shown = |key: &Key| (*key, records.get(key).map_or(Sight::Absent, sight_of));
                (keys.iter().map(shown).collect(), End::Named)
            }
            _ => (all_of(records), End::Last),
        };
        let outcome = Outcome::Seen { index: Index(index as u64), sights, end };
        self.history.operations[place].outcome = outcome;
        place
    }

    fn changes(&mut self, random: &mut StdRng, called_us: u64) -> usize {
        let key = KEYS[random.random_range(0..self.keys)];
        let operation = operation(random, key);
        self.numbers += 1;
        let number = self.numbers;
        let is_numbered = random.random_range(0..3) == 0;
        let place = self.calls(called_us, operation, is_numbered.then_some(number));
        let is_doubtful = random.random_range(0..100) < self.doubtful;
        if !is_doubtful && random.random_range(0..10) == 0 {
            self.history.operations[place].outcome = Outcome::Refused;
            return place;
        }
        let mut outcome = Outcome::Unknown;
        if !is_doubtful || random.random() {
            outcome = self.carries_out(place);
        }
        if is_numbered {
            self.numbered.push((operation, number, outcome.clone()));
        }
        if !is_doubtful {
            self.history.operations[place].outcome = outcome;
        }
        place
    }

    /// What has a number is sent again, and done if it wasn't.
    fn sends_again(&mut self, random: &mut StdRng, called_us: u64) -> usize {
        let which = random.random_range(0..self.numbered.len());
        let (operation, number, known) = self.numbered[which].clone();
        let place = self.calls(called_us, operation, Some(number));
        let outcome = match known {
            Outcome::Unknown => self.carries_out(place),
            known => known,
        };
        self.numbered[which].2 = outcome.clone();
        self.history.operations[place].outcome = outcome;
        place
    }

    fn calls(&mut self, called_us: u64, operation: Operation<'_>, number: Option<u64>) -> usize {
        let session = SessionId { name: b"s", opened_at: LogTime(1) };
        let number = number.map(|number| Number { session, number });
        self.history.call(called_us, 1, Request::Change { operation, number }).place()
    }

    fn carries_out(&mut self, place: usize) -> Outcome {
        let Asked::Change { key, change, .. } = self.history.operations[place].asked else {
            panic!("it is a change")
        };
        let mut records = self.states.last().unwrap().clone();
        let index = self.states.len() as u64;
        let state = records.get(&key).map(|(held, _)| *held);
        let written = records.get(&key).map_or(0, |(_, written)| *written);
        let told = told(state, change, written);
        match model::next(state, change) {
            Some(Some(held)) => drop(records.insert(key, (held, index))),
            Some(None) => drop(records.remove(&key)),
            None => {}
        }
        self.states.push(records);
        let at = LogId::new(Term(self.term), Index(index));
        let tells_entry =
            !matches!(told, Told::NotANumber | Told::Overflow) || index.is_multiple_of(3);
        Outcome::Done { at: tells_entry.then_some(at), told }
    }
}

fn all_of(records: &Records) -> Vec<(Key, Sight)> {
    records.iter().map(|(key, held)| (*key, sight_of(held))).collect()
}

fn sight_of((held, written): &(Held, u64)) -> Sight {
    sight(Some(*held), *written)
}

fn operation(random: &mut StdRng, key: &'static [u8]) -> Operation<'static> {
    let value = VALUES[random.random_range(0..VALUES.len())];
    match random.random_range(0..8) {
        0 | 1 => Operation::Delete { key },
        2 | 3 => Operation::Increment { key, by: random.random_range(-1..=2) },
        4 | 5 => {
            let expected = match random.random_range(0..3) {
                0 => Expected::Absent,
                1 => Expected::Value(VALUES[random.random_range(0..VALUES.len())]),
                _ => Expected::Version(random.random_range(1..3)),
            };
            Operation::CompareAndSwap { key, expected, value }
        }
        _ => Operation::Put { key, value },
    }
}

/// Makes one thing of a history another.
pub(super) fn spoil(random: &mut StdRng, history: &mut History) {
    let place = random.random_range(0..history.operations.len());
    let other = random.random_range(0..history.operations.len());
    let step = random.random_range(1..=2);
    let up = random.random();
    let content = Content::of(VALUES[random.random_range(0..VALUES.len())], &mut history.texts);
    let operations = &mut history.operations;
    let operation = &mut operations[place];
    match random.random_range(0..12) {
        0 => {
            let length = operation.ended_us.map(|ended_us| ended_us - operation.called_us);
            let by = random.random_range(0..30);
            let called_us = operation.called_us;
            operation.called_us = if up { called_us + by } else { called_us.saturating_sub(by) };
            operation.ended_us = length.map(|length| operation.called_us + length);
        }
        1 if matches!(operation.asked, Asked::Change { .. }) => {
            operation.outcome = Outcome::Unknown;
        }
        2 if matches!(operation.asked, Asked::Change { .. }) => {
            operation.outcome = Outcome::Refused;
        }
        3 => {
            let outcome = operations[other].outcome.clone();
            let is_done = matches!(outcome, Outcome::Done { at: Some(_), .. });
            if let (Outcome::Done { at, .. }, true) = (&mut operations[place].outcome, is_done)
                && let Outcome::Done { at: other, .. } = outcome
            {
                *at = other;
            }
        }
        _ => spoil_outcome(random, &mut operation.outcome, step, up, content),
    }
}

fn moved(number: u64, step: u64, up: bool) -> u64 {
    if up { number + step } else { number.saturating_sub(step) }
}

fn spoil_outcome(
    random: &mut StdRng,
    outcome: &mut Outcome,
    step: u64,
    up: bool,
    content: Content,
) {
    match outcome {
        Outcome::Done { at, told } => match random.random_range(0..5) {
            0 | 1 => {
                if let Some(at) = at {
                    at.index.0 = moved(at.index.0, step, up);
                }
            }
            2 => {
                if let Some(at) = at {
                    at.term.0 = moved(at.term.0, 1, up);
                }
            }
            _ => spoil_told(random, told, step, up, content),
        },
        Outcome::Seen { index, sights, .. } => {
            let kind = random.random_range(0..3);
            if kind == 0 {
                index.0 = moved(index.0, step, up);
                return;
            }
            let count = sights.len().max(1);
            if let Some((_, sight)) = sights.get_mut(random.random_range(0..count)) {
                spoil_sight(random, sight, step, up, content);
            }
        }
        Outcome::Unknown | Outcome::Refused | Outcome::Absurd(_) => {}
    }
}

fn spoil_told(random: &mut StdRng, told: &mut Told, step: u64, up: bool, content: Content) {
    match told {
        Told::Put { version } | Told::Swapped { version } => {
            *version = moved(*version, step, up);
        }
        Told::Incremented { value, version } => {
            if random.random() {
                *version = moved(*version, step, up);
                return;
            }
            *value += if up { 1 } else { -1 };
        }
        Told::Deleted { existed } => {
            *existed = !*existed;
        }
        Told::NotSwapped(sight) => spoil_sight(random, sight, step, up, content),
        Told::NotANumber => {
            *told = Told::Overflow;
        }
        Told::Overflow => {}
    }
}

fn spoil_sight(random: &mut StdRng, sight: &mut Sight, step: u64, up: bool, content: Content) {
    match sight {
        Sight::Absent => {
            *sight = Sight::Present { shown: Shown::Value(content), version: 1, written: step };
        }
        Sight::Present { shown, version, written } => match random.random_range(0..5) {
            0 => {
                *written = moved(*written, step, up);
            }
            1 => {
                *version = moved(*version, 1, up);
            }
            2 => {
                *shown = Shown::Value(content);
            }
            3 => {
                *shown = if up { Shown::Nothing } else { Shown::Length(1) };
            }
            _ => {
                *sight = Sight::Absent;
            }
        },
    }
}
