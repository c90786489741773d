//! The search for an order of the operations on one key in which each was answered right and none
//! lies outside of its time: the algorithm of Wing and Gong with Lowe's memory of what was tried.
//!
//! Calls and returns stand in a list by time. The search takes out the first call that may come
//! next, and begins again at the front; where it meets the return of an operation that it hasn't
//! taken, it takes its last choice back. What was taken and the state that this led to are
//! remembered, so that no situation is looked at twice.

use std::collections::HashSet;
use std::collections::hash_map::DefaultHasher;
use std::hash::BuildHasherDefault;

use super::history::{Change, Told};
use super::model::{self, State};
use super::values::Sight;

/// An operation on the key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub(super) called_us: u64,
    /// When it had taken place for certain; never, if nobody knows whether it did.
    pub(super) ended_us: Option<u64>,
    pub(super) what: What,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum What {
    /// A change and its answer.
    Change(Change, Told),
    /// A change that may have taken place.
    Perhaps(Change),
    /// What was seen.
    Read(Sight),
}

/// What came of a search.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Searched {
    /// There is an order.
    Legal,
    /// There is none. The longest order that was found ends with these steps, and `stuck` can't
    /// stand behind them.
    Illegal { last: Vec<usize>, stuck: usize },
    /// Given up after this many steps.
    Undecided(u64),
}

/// Operations as a set of bits.
type Taken = Box<[u64]>;

/// The front of the list.
const HEAD: usize = 0;

struct Search<'a> {
    steps: &'a [Step],
    /// The identical change before this one of which nobody knows either: which of the two comes
    /// first makes no difference, so it is always that one.
    twins: Vec<Option<usize>>,
    entries: Vec<(usize, bool)>,
    next: Vec<usize>,
    before: Vec<usize>,
    call_at: Vec<usize>,
    return_at: Vec<Option<usize>>,
    taken: Taken,
    /// How many of those that have taken place for certain aren't taken.
    left: usize,
    state: State,
    choices: Vec<(usize, State)>,
    deepest: Option<(usize, Vec<usize>, usize)>,
}

/// How many steps of the longest order are told.
const TOLD: usize = 5;

/// Searches, with at most so many looks at an operation.
pub(super) fn search(steps: &[Step], budget: u64) -> Searched {
    Search::new(steps).run(budget)
}

/// Whether these steps, one behind the other, explain the answers, and none lies outside of its
/// time.
pub(super) fn follows(steps: impl Iterator<Item = Step>) -> bool {
    let mut state = None;
    let mut last_called_us = 0;
    for step in steps {
        if step.ended_us.is_some_and(|ended_us| ended_us < last_called_us) {
            return false;
        }
        last_called_us = last_called_us.max(step.called_us);
        match step.what.after(state) {
            Some(next) => state = next,
            None => return false,
        }
    }
    true
}

impl What {
    /// The state behind it, if it may come next.
    fn after(self, state: State) -> Option<State> {
        match self {
            What::Change(change, told) => model::after(state, change, told),
            What::Perhaps(change) => model::next(state, change),
            What::Read(sight) => model::shows(sight, state).then_some(state),
        }
    }
}

impl<'a> Search<'a> {
    fn new(steps: &'a [Step]) -> Search<'a> {
        let mut order: Vec<(u64, bool, usize)> = Vec::with_capacity(steps.len() * 2);
        for (number, step) in steps.iter().enumerate() {
            order.push((step.called_us, false, number));
            order.extend(step.ended_us.map(|ended_us| (ended_us, true, number)));
        }
        // At one time calls come first: what touches overlaps.
        order.sort_unstable();
        let mut call_at = vec![HEAD; steps.len()];
        let mut return_at = vec![None; steps.len()];
        let mut entries = vec![(0, false)];
        for (_, is_return, number) in order {
            match is_return {
                false => call_at[number] = entries.len(),
                true => return_at[number] = Some(entries.len()),
            }
            entries.push((number, is_return));
        }
        let count = entries.len();
        Search {
            twins: twins(steps),
            entries,
            next: (1..=count).collect(),
            before: (0..=count).map(|place| place.saturating_sub(1)).collect(),
            call_at,
            return_at,
            taken: vec![0; steps.len().div_ceil(64)].into(),
            left: steps.iter().filter(|step| step.ended_us.is_some()).count(),
            state: None,
            choices: Vec::new(),
            deepest: None,
            steps,
        }
    }

    fn run(mut self, budget: u64) -> Searched {
        let mut tried: HashSet<(Taken, State), BuildHasherDefault<DefaultHasher>> =
            HashSet::default();
        let mut looks = 0;
        let mut at = self.next[HEAD];
        while self.left > 0 {
            looks += 1;
            if looks > budget {
                return Searched::Undecided(budget);
            }
            let (number, is_return) = self.entries[at];
            if is_return {
                self.note_stuck(number);
                match self.take_back() {
                    Some(behind) => at = behind,
                    None => return self.illegal(),
                }
                continue;
            }
            at = match self.after(number) {
                Some(state) if self.is_new(&mut tried, number, state) => {
                    self.take(number, state);
                    self.next[HEAD]
                }
                _ => self.next[at],
            };
        }
        Searched::Legal
    }

    /// The state behind a step, if it may come next.
    fn after(&self, number: usize) -> Option<State> {
        if self.twins[number].is_some_and(|twin| !self.has(twin)) {
            return None;
        }
        self.steps[number].what.after(self.state)
    }

    fn has(&self, number: usize) -> bool {
        self.taken[number / 64] >> (number % 64) & 1 == 1
    }

    fn is_new(
        &mut self,
        tried: &mut HashSet<(Taken, State), BuildHasherDefault<DefaultHasher>>,
        number: usize,
        state: State,
    ) -> bool {
        let mut taken = self.taken.clone();
        taken[number / 64] |= 1 << (number % 64);
        tried.insert((taken, state))
    }

    fn take(&mut self, number: usize, state: State) {
        self.taken[number / 64] |= 1 << (number % 64);
        self.choices.push((number, self.state));
        self.state = state;
        self.unlink(self.call_at[number]);
        if let Some(at) = self.return_at[number] {
            self.unlink(at);
            self.left -= 1;
        }
    }

    /// Takes the last choice back, and says where to go on.
    fn take_back(&mut self) -> Option<usize> {
        let (number, state) = self.choices.pop()?;
        self.taken[number / 64] &= !(1 << (number % 64));
        self.state = state;
        if let Some(at) = self.return_at[number] {
            self.link(at);
            self.left += 1;
        }
        self.link(self.call_at[number]);
        Some(self.next[self.call_at[number]])
    }

    fn unlink(&mut self, at: usize) {
        let (before, next) = (self.before[at], self.next[at]);
        self.next[before] = next;
        self.before[next] = before;
    }

    fn link(&mut self, at: usize) {
        let (before, next) = (self.before[at], self.next[at]);
        self.next[before] = at;
        self.before[next] = at;
    }

    fn note_stuck(&mut self, number: usize) {
        let depth = self.choices.len();
        if self.deepest.as_ref().is_none_or(|(deepest, ..)| depth > *deepest) {
            let last = self.choices[depth.saturating_sub(TOLD)..].iter();
            self.deepest = Some((depth, last.map(|(number, _)| *number).collect(), number));
        }
    }

    fn illegal(self) -> Searched {
        let (_, last, stuck) = self.deepest.expect("it was noted before it was taken back");
        Searched::Illegal { last, stuck }
    }
}

fn twins(steps: &[Step]) -> Vec<Option<usize>> {
    let mut perhaps: Vec<usize> = Vec::new();
    let twin = |(number, step): (usize, &Step)| {
        let What::Perhaps(_) = step.what else { return None };
        let twin = perhaps.iter().rev().find(|other| steps[**other].what == step.what).copied();
        perhaps.push(number);
        twin
    };
    steps.iter().enumerate().map(twin).collect()
}
