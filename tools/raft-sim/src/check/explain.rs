//! The search for entries of the changes of which no answer tells the entry, such that all that
//! was answered about some keys is explained.
//!
//! The course of a key is followed by its indexes. Where all that is known goes on from each other
//! there is nothing to search. Where it doesn't, something must have happened between: changes of
//! which nobody knows are put there, as few as can help. What a key holds behind a known change or
//! a read doesn't depend on what was put before it, so more never explains more, except where a sum
//! was refused: there everything is tried.

use std::cmp::Reverse;
use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeSet, BinaryHeap, HashSet};
use std::hash::BuildHasherDefault;

use super::course::{Course, Event, Needs, Occupied, Stood, next};
use super::history::Change;
use super::model;
use super::values::Content;

/// An entry of a change of which no answer tells the entry.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct Placed {
    pub(super) index: u64,
    /// The last index that would do as well.
    limit: u64,
    /// The call that tells of the change.
    pub(super) place: usize,
    called_us: u64,
    ended_us: Option<u64>,
    which: Which,
}

/// Which of the changes of a key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
enum Which {
    Doubt(usize),
    Refused(usize),
}

/// What came of a search.
pub(super) enum Explained {
    /// These entries explain all answers.
    By(Vec<Placed>),
    /// There are none. This is how far it is explained.
    Not(Stuck),
    /// Given up.
    Undecided,
}

/// Where a course can't go on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stuck {
    /// The number of the course, and of its event: behind the last where a change was refused for
    /// nothing.
    pub(super) at: (usize, usize),
    /// The state there, and the call that tells of it.
    pub(super) state: Option<Stood>,
    pub(super) teller: Option<usize>,
}

/// How far the search is.
#[derive(Clone, Copy, Debug)]
struct At {
    course: usize,
    event: usize,
    state: Option<Stood>,
    /// What is placed next lies behind this index.
    behind: u64,
    /// Nothing was placed since the last event.
    is_first: bool,
    teller: Option<usize>,
}

#[derive(Clone, Copy, Debug)]
enum Choice {
    /// What comes next is right as it is.
    Pass,
    /// A doubtful change takes place.
    Done { class: usize, index: u64 },
    /// A doubtful change wrote what was seen to be written here.
    Writes { class: usize },
    /// A change is refused.
    Refuses { number: usize, index: u64 },
}

/// A choice that was made, and those that are left.
struct Frame {
    at: At,
    placed: usize,
    left: Vec<Choice>,
}

type Situation = (usize, usize, Option<Stood>, u64, bool, Vec<usize>, Vec<Placed>);

/// How many choices are looked at before a search is given up.
pub(super) const BUDGET: u64 = 500_000;

/// Looks for entries that explain these courses.
pub(super) fn explain(courses: &[&Course], occupied: &Occupied) -> Explained {
    Search {
        courses,
        occupied,
        used: courses.iter().map(|course| vec![0; course.doubts.len()]).collect(),
        placed: Vec::new(),
        tried: HashSet::default(),
        deepest: None,
    }
    .run()
}

/// Gives each of these changes an entry of its own, not before the one that it has by itself and
/// not behind its last: each free entry goes to what can wait the least. `None` if that can't be,
/// or where a sum was refused and they would have to move: that may change what stands before it.
pub(super) fn fit(mut placed: Vec<Placed>, occupied: &Occupied) -> Option<Vec<Placed>> {
    placed.sort_unstable();
    if placed.iter().any(|placed| placed.ended_us.is_some()) {
        let mut pairs =
            (0..placed.len()).flat_map(|second| (0..second).map(move |first| (first, second)));
        let do_agree = pairs.all(|(first, second)| agree(&placed[first], &placed[second]));
        return do_agree.then_some(placed);
    }
    let (mut fitted, movable): (Vec<Placed>, Vec<Placed>) =
        placed.into_iter().partition(|placed| placed.index == placed.limit);
    let mut taken: BTreeSet<u64> = fitted.iter().map(|placed| placed.index).collect();
    if taken.len() < fitted.len() {
        return None;
    }
    let mut coming = movable.into_iter().peekable();
    let mut waiting: BinaryHeap<Reverse<(u64, Placed)>> = BinaryHeap::new();
    let mut index = 0;
    loop {
        let first = coming.peek().map_or(u64::MAX, |placed| placed.index);
        index = match waiting.is_empty() {
            true if first == u64::MAX => break,
            true => first,
            false => occupied.free_behind(index),
        };
        while let Some(placed) = coming.next_if(|placed| placed.index <= index) {
            waiting.push(Reverse((placed.limit, placed)));
        }
        if taken.insert(index)
            && let Some(Reverse((limit, placed))) = waiting.pop()
        {
            if limit < index {
                return None;
            }
            fitted.push(Placed { index, ..placed });
        }
    }
    Some(fitted)
}

/// Whether two entries can both be those of their changes.
fn agree(one: &Placed, other: &Placed) -> bool {
    let is_behind = |first: &Placed, then: &Placed| {
        first.ended_us.is_some_and(|ended_us| ended_us < then.called_us)
    };
    one.index != other.index
        && !(is_behind(one, other) && one.index > other.index)
        && !(is_behind(other, one) && other.index > one.index)
}

struct Search<'a> {
    courses: &'a [&'a Course],
    occupied: &'a Occupied,
    /// Of each course and class of changes, how many are placed. Those called first are first: a
    /// later one can be wherever the others can't, and never the other way round.
    used: Vec<Vec<usize>>,
    placed: Vec<(usize, Placed)>,
    tried: HashSet<Situation, BuildHasherDefault<DefaultHasher>>,
    deepest: Option<Stuck>,
}

impl Search<'_> {
    fn run(mut self) -> Explained {
        let mut at = self.forward(At::begin(0));
        let mut frames: Vec<Frame> = Vec::new();
        let mut budget = BUDGET;
        loop {
            if at.course == self.courses.len() {
                return Explained::By(self.placed.into_iter().map(|(_, placed)| placed).collect());
            }
            let mut left = if self.is_new(&at) { self.choices(&at) } else { Vec::new() };
            left.reverse();
            frames.push(Frame { at, placed: self.placed.len(), left });
            at = loop {
                budget = match budget.checked_sub(1) {
                    Some(budget) => budget,
                    None => return Explained::Undecided,
                };
                let Some(frame) = frames.last_mut() else {
                    return Explained::Not(self.deepest.expect("it was noted where it got stuck"));
                };
                let (from, placed) = (frame.at, frame.placed);
                let Some(choice) = frame.left.pop() else {
                    frames.pop();
                    continue;
                };
                self.take_back(placed);
                let next = self.take(from, choice);
                break self.forward(next);
            };
        }
    }

    /// Goes on as far as all is explained.
    fn forward(&mut self, mut at: At) -> At {
        while let Some(course) = self.courses.get(at.course) {
            let event = course.events.get(at.event);
            let after = match event {
                Some(event) => event.after(at.state),
                None if self.are_all_refused(at.course) => Some(at.state),
                None => None,
            };
            let Some(state) = after else {
                self.note_stuck(at);
                return at;
            };
            if self.may_refuse(&at) || event.is_some_and(|event| event.needs() == Needs::Anything) {
                return at;
            }
            at = self.passed(at, event, state);
        }
        at
    }

    fn passed(&self, at: At, event: Option<&Event>, state: Option<Stood>) -> At {
        let Some(event) = event else { return At::begin(at.course + 1) };
        let teller = if state == at.state { at.teller } else { Some(event.place) };
        let behind = event.limit().max(at.behind);
        At { event: at.event + 1, state, behind, is_first: true, teller, ..at }
    }

    fn note_stuck(&mut self, at: At) {
        let place = (at.course, at.event);
        if self.deepest.is_none_or(|deepest| deepest.at < place) {
            self.deepest = Some(Stuck { at: place, state: at.state, teller: at.teller });
        }
    }

    /// Whether nothing was begun from here before.
    fn is_new(&mut self, at: &At) -> bool {
        let is_joint = self.courses.len() > 1;
        let mut placed: Vec<Placed> = Vec::new();
        if is_joint || !self.courses[at.course].refused.is_empty() {
            placed.extend(self.placed.iter().map(|(_, placed)| placed));
            placed.sort_unstable();
        }
        let used = self.used[at.course].clone();
        self.tried.insert((at.course, at.event, at.state, at.behind, at.is_first, used, placed))
    }

    /// All that may come next.
    fn choices(&self, at: &At) -> Vec<Choice> {
        let course = self.courses[at.course];
        let event = course.events.get(at.event);
        let limit = event.map_or(u64::MAX, Event::limit);
        let may_refuse = self.may_refuse(at);
        let needs = match event {
            _ if may_refuse => Needs::Anything,
            Some(event) => event.needs(),
            None => Needs::Nothing,
        };
        let mut choices = Vec::new();
        if event.is_some_and(|event| event.after(at.state).is_some()) {
            choices.push(Choice::Pass);
        }
        if let Some(event) = event {
            choices.extend(self.writers(at, event));
        }
        if needs != Needs::Nothing && self.are_enough(at, event, needs, limit) {
            choices.extend(self.doubts(at, needs, limit));
        }
        if may_refuse {
            choices.extend(self.refusals(at, limit));
        }
        choices
    }

    fn writers(&self, at: &At, event: &Event) -> Vec<Choice> {
        let classes = self.courses[at.course].doubts.iter().enumerate();
        let writes = |(class, doubts): (usize, &super::course::Doubts)| {
            event.written_by(at.state, doubts.change)?;
            self.placed_at(at.course, Which::Doubt(class), event.index)?;
            Some(Choice::Writes { class })
        };
        classes.filter_map(writes).collect()
    }

    fn doubts(&self, at: &At, needs: Needs, limit: u64) -> Vec<Choice> {
        let version = at.state.map_or(0, |stood| stood.held.version);
        let mut choices = Vec::new();
        for (class, doubts) in self.courses[at.course].doubts.iter().enumerate() {
            let may_help = match (needs, doubts.change) {
                (Needs::Nothing, _) => false,
                (Needs::Anything, _) => true,
                // What came before a removal makes no difference.
                (Needs::Version(_), Change::Delete) => at.is_first,
                (Needs::Version(needed), _) => version < needed,
            };
            let has_effect = next(at.state, doubts.change, 0).is_some();
            if may_help && has_effect && self.is_spare(at, doubts.change) {
                let indexes = self.free(at, Which::Doubt(class), limit);
                choices.extend(indexes.into_iter().map(|index| Choice::Done { class, index }));
            }
        }
        choices
    }

    /// Whether a change may be done without being seen: there are others for all that was seen of
    /// its text from here on.
    fn is_spare(&self, at: &At, change: Change) -> bool {
        let course = self.courses[at.course];
        let Some(text) = text_of(change) else { return true };
        let seen = course
            .seen_texts
            .get(&text)
            .map_or(0, |events| events.len() - events.partition_point(|event| *event < at.event));
        let same = |class: &usize| text_of(course.doubts[*class].change) == Some(text);
        let left = |class: usize| course.doubts[class].each.len() - self.used[at.course][class];
        let supply: usize = (0..course.doubts.len()).filter(same).map(left).sum();
        supply > seen
    }

    /// Whether there may be as many doubtful changes before this index as are needed, and such
    /// that come to the sum.
    fn are_enough(&self, at: &At, event: Option<&Event>, needs: Needs, limit: u64) -> bool {
        let (Some(event), Needs::Version(needed)) = (event, needs) else { return true };
        let course = self.courses[at.course];
        let version = at.state.map_or(0, |stood| stood.held.version);
        let classes = course.doubts.iter().zip(&self.used[at.course]);
        let left: Vec<(Change, u64)> = classes
            .map(|(doubts, used)| {
                let in_time = doubts.each.partition_point(|doubt| doubt.floor <= limit);
                (doubts.change, in_time.saturating_sub(*used) as u64)
            })
            .collect();
        let missing = if version < needed { needed - version } else { needed + 1 };
        if left.iter().map(|(_, count)| count).sum::<u64>() < missing {
            return false;
        }
        match event.sum_needed(at.state) {
            Some((count, sum)) if course.is_only_added_to => may_add_up(&left, count, sum),
            _ => true,
        }
    }

    fn refusals(&self, at: &At, limit: u64) -> Vec<Choice> {
        let held = at.state.map(|stood| stood.held);
        let mut choices = Vec::new();
        for (number, refused) in self.courses[at.course].refused.iter().enumerate() {
            let which = Which::Refused(number);
            let is_left = !self.is_placed(at.course, which);
            if is_left && model::after(held, refused.change, refused.told).is_some() {
                let indexes = self.free(at, which, limit.min(refused.ceiling));
                choices.extend(indexes.into_iter().map(|index| Choice::Refuses { number, index }));
            }
        }
        choices
    }

    /// The indexes that are worth a try for a change: the first that is free, and where other
    /// courses may need that one, as many as there are others.
    fn free(&self, at: &At, which: Which, limit: u64) -> Vec<u64> {
        let Some(floor) = self.floor(at.course, which) else { return Vec::new() };
        let all = |course: &&Course| {
            let doubts: usize = course.doubts.iter().map(|doubts| doubts.each.len()).sum();
            doubts + course.refused.len()
        };
        let most = if self.courses.len() > 1 { self.courses.iter().map(all).sum() } else { 1 };
        let others = self.placed.iter().map(|(_, placed)| placed.index);
        let highest = others.max().unwrap_or(0);
        let mut indexes = Vec::new();
        let mut index = self.occupied.free_behind(at.behind.max(floor));
        while index <= limit && indexes.len() < most {
            match self.placed_at(at.course, which, index) {
                Some(_) => indexes.push(index),
                None if index > highest => break,
                None => {}
            }
            index = self.occupied.free_behind(index);
        }
        indexes
    }

    fn floor(&self, course: usize, which: Which) -> Option<u64> {
        let from = self.courses[course];
        match which {
            Which::Doubt(class) => {
                Some(from.doubts[class].each.get(self.used[course][class])?.floor)
            }
            Which::Refused(number) => Some(from.refused[number].floor),
        }
    }

    /// A change at this entry, if it can be there.
    fn placed_at(&self, course: usize, which: Which, index: u64) -> Option<Placed> {
        let from = self.courses[course];
        let (place, called_us, ended_us) = match which {
            Which::Doubt(class) => {
                let doubt = from.doubts[class].each.get(self.used[course][class])?;
                (doubt.place, doubt.called_us, None)
            }
            Which::Refused(number) => {
                let refused = from.refused[number];
                (refused.place, refused.called_us, Some(refused.ended_us))
            }
        };
        let limit = index;
        let placed = Placed { index, limit, place, called_us, ended_us, which };
        let mut others = self.placed.iter().map(|(_, other)| other);
        let is_behind = self.floor(course, which).is_some_and(|floor| floor < index);
        (is_behind && others.all(|other| agree(&placed, other))).then_some(placed)
    }

    fn is_placed(&self, course: usize, which: Which) -> bool {
        self.placed.iter().any(|(of, placed)| *of == course && placed.which == which)
    }

    fn are_all_refused(&self, course: usize) -> bool {
        let count = self.courses[course].refused.len();
        (0..count).all(|number| self.is_placed(course, Which::Refused(number)))
    }

    /// Whether a change may have been refused between here and the next event.
    fn may_refuse(&self, at: &At) -> bool {
        let course = self.courses[at.course];
        let limit = course.events.get(at.event).map_or(u64::MAX, Event::limit);
        course.refused.iter().enumerate().any(|(number, refused)| {
            refused.floor < limit
                && refused.ceiling > at.behind
                && !self.is_placed(at.course, Which::Refused(number))
        })
    }

    fn take(&mut self, at: At, choice: Choice) -> At {
        let event = self.courses[at.course].events.get(at.event);
        let (which, index) = match choice {
            Choice::Pass => {
                let state = event.and_then(|event| event.after(at.state));
                return self.passed(at, event, state.expect("it was right as it is"));
            }
            Choice::Done { class, index } => (Which::Doubt(class), index),
            Choice::Writes { class } => {
                (Which::Doubt(class), event.expect("something was written there").index)
            }
            Choice::Refuses { number, index } => (Which::Refused(number), index),
        };
        let placed = self.placed_at(at.course, which, index).expect("it was found to be free");
        let limit = match choice {
            Choice::Pass | Choice::Writes { .. } => index,
            Choice::Done { .. } => event.map_or(u64::MAX, Event::limit),
            Choice::Refuses { number, .. } => {
                let ceiling = self.courses[at.course].refused[number].ceiling;
                event.map_or(u64::MAX, Event::limit).min(ceiling)
            }
        };
        self.placed.push((at.course, Placed { limit, ..placed }));
        let at = At { behind: index, is_first: false, ..at };
        let Which::Doubt(class) = which else { return At { is_first: true, ..at } };
        self.used[at.course][class] += 1;
        let change = self.courses[at.course].doubts[class].change;
        let state = next(at.state, change, index).expect("it has an effect");
        let teller = Some(placed.place);
        match choice {
            Choice::Writes { .. } => {
                At { event: at.event + 1, state, is_first: true, teller, ..at }
            }
            _ => At { state, teller, ..at },
        }
    }

    fn take_back(&mut self, count: usize) {
        for (course, placed) in self.placed.drain(count..) {
            if let Which::Doubt(class) = placed.which {
                self.used[course][class] -= 1;
            }
        }
    }
}

/// The text that a change leaves.
const fn text_of(change: Change) -> Option<Content> {
    match change {
        Change::Put(content @ Content::Text { .. })
        | Change::Swap { value: content @ Content::Text { .. }, .. } => Some(content),
        _ => None,
    }
}

/// Whether so many of these additions, least first, may come to the sum: it lies between that of
/// the least and that of the greatest.
fn may_add_up(left: &[(Change, u64)], count: u64, sum: i128) -> bool {
    let sum_of_first = |additions: &mut dyn Iterator<Item = &(Change, u64)>| {
        let (mut missing, mut sum) = (count, 0);
        for (change, available) in additions {
            let Change::Increment(by) = change else { continue };
            let taken = missing.min(*available);
            sum += i128::from(*by) * i128::from(taken);
            missing -= taken;
        }
        (missing == 0).then_some(sum)
    };
    let least = sum_of_first(&mut left.iter());
    let most = sum_of_first(&mut left.iter().rev());
    least.zip(most).is_some_and(|(least, most)| (least..=most).contains(&sum))
}

impl At {
    const fn begin(course: usize) -> At {
        At { course, event: 0, state: None, behind: 0, is_first: true, teller: None }
    }
}
