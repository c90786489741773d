//! The search against one that tries every order.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::answers::{sight, told};
use crate::check::history::{Change, Expected};
use crate::check::model::{self, State};
use crate::check::search::{Searched, Step, What, search};
use crate::check::values::Content;

/// Whether the steps in `rest` can follow on each other from `state`, tried one after the other.
fn any_order(steps: &[Step], rest: &[usize], state: State) -> bool {
    if rest.iter().all(|number| steps[*number].ended_us.is_none()) {
        return true;
    }
    let earliest_end = rest.iter().filter_map(|number| steps[*number].ended_us).min();
    rest.iter().any(|number| {
        let step = steps[*number];
        let next = match step.what {
            What::Change(change, told) => model::after(state, change, told),
            What::Perhaps(change) => Some(model::next(state, change).unwrap_or(state)),
            What::Read(sight) => model::shows(sight, state).then_some(state),
        };
        let others: Vec<usize> = rest.iter().copied().filter(|other| other != number).collect();
        earliest_end.is_none_or(|end| step.called_us <= end)
            && next.is_some_and(|next| any_order(steps, &others, next))
    })
}

fn content(random: &mut StdRng) -> Content {
    match random.random_range(0..4) {
        0 => Content::Number(random.random_range(0..2)),
        1 => Content::Unseen,
        id => Content::Text { id, length: 1 },
    }
}

fn change(random: &mut StdRng) -> Change {
    match random.random_range(0..5) {
        0 => Change::Delete,
        1 => Change::Increment(random.random_range(-1..=1)),
        2 => {
            let expected = match random.random_range(0..3) {
                0 => Expected::Absent,
                1 => Expected::Value(content(random)),
                _ => Expected::Version(random.random_range(1..3)),
            };
            Change::Swap { expected, value: content(random) }
        }
        _ => Change::Put(content(random)),
    }
}

/// What a correct store does, with clients whose calls overlap; `wrong` of a hundred answers are
/// those of another state.
fn steps(random: &mut StdRng, count: usize, wrong: u32) -> Vec<Step> {
    let mut states: Vec<State> = vec![None];
    let mut steps = Vec::new();
    for number in 0..count as u64 {
        let point = 10 * number + 10;
        let called_us = point - random.random_range(0..25).min(point);
        let ended_us = Some(point + random.random_range(0..25));
        let state = *states.last().unwrap();
        let shown = match random.random_range(0..100) < wrong {
            true => states[random.random_range(0..states.len())],
            false => state,
        };
        let change = change(random);
        let step = match random.random_range(0..10) {
            0..4 => Step { called_us, ended_us, what: What::Read(sight(shown, 0)) },
            4..6 => {
                if random.random() {
                    states.push(model::next(state, change).unwrap_or(state));
                }
                Step { called_us, ended_us: None, what: What::Perhaps(change) }
            }
            _ => {
                states.push(model::next(state, change).unwrap_or(state));
                Step { called_us, ended_us, what: What::Change(change, told(shown, change, 0)) }
            }
        };
        steps.push(step);
    }
    steps.sort_by_key(|step| step.called_us);
    steps
}

#[test]
fn the_search_agrees_with_one_that_tries_every_order() {
    let mut random = StdRng::seed_from_u64(1);
    let mut verdicts = [0; 2];
    for _ in 0..100_000 {
        let count = random.random_range(1..=8);
        let wrong = random.random_range(0..60);
        let steps = steps(&mut random, count, wrong);
        let all: Vec<usize> = (0..count).collect();
        let is_legal = any_order(&steps, &all, None);
        let searched = search(&steps, u64::MAX);
        assert_eq!(searched == Searched::Legal, is_legal, "{steps:#?}");
        verdicts[usize::from(is_legal)] += 1;
    }
    assert!(verdicts.iter().all(|count| *count > 10_000), "{verdicts:?}");
}

#[test]
fn what_a_correct_store_answered_is_always_legal() {
    let mut random = StdRng::seed_from_u64(2);
    for _ in 0..300 {
        let steps = steps(&mut random, 300, 0);
        assert_eq!(search(&steps, 50_000_000), Searched::Legal);
    }
}

#[test]
fn a_search_that_takes_too_long_says_so() {
    let mut random = StdRng::seed_from_u64(3);
    let steps = steps(&mut random, 50, 0);
    assert_eq!(search(&steps, 10), Searched::Undecided(10));
}
