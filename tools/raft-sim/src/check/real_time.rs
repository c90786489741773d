//! Whether some order explains all answers about a key.
//!
//! The order that the indexes tell is tried first, as it comes: it must put everything in its
//! time and explain every answer, whatever indexes those name. Only where it doesn't, an order is
//! searched, and indexes aren't looked at.

use super::changes::{Changed, Seen};
use super::history::History;
use super::indexes::Order;
use super::plain::ToldOf;
use super::search::{Searched, Step, What, follows, search};
use super::values::Key;
use super::{Check, Undecided, Verdict};

/// How often an operation is looked at before a key is given up.
const BUDGET: u64 = 20_000_000;

/// A step, the call that tells of it, and where the indexes put it: a read stands behind the
/// change of its index. A change of which nobody knows and that they don't need has no place.
type Placed = (usize, Option<(u64, bool)>, Step);

pub(super) fn check(
    history: &History,
    changes: &[Changed],
    reads: &[Seen],
    order: &Order,
    verdict: &mut Verdict,
) {
    let mut keys: Vec<Vec<Placed>> = vec![Vec::new(); history.keys.len()];
    let told_of = ToldOf::new(changes, reads);
    for changed in changes {
        let what = match changed.done {
            Some(done) => What::Change(changed.change, done.told),
            None => What::Perhaps(told_of.plain(changed.change)),
        };
        let ended_us = changed.done.map(|done| done.ended_us);
        let step = Step { called_us: changed.called_us, ended_us, what };
        let told = changed.done.and_then(|done| done.at).map(|at| at.index.0);
        let index = told.or_else(|| order.indexes.get(&changed.place).copied());
        let stands = index.map(|index| (index, false));
        keys[changed.key.0 as usize].push((changed.place, stands, step));
    }
    for seen in reads.iter().filter(|seen| seen.is_fresh) {
        for (key, sight) in seen.sights.iter().copied() {
            let (called_us, ended_us) = (seen.called_us, Some(seen.ended_us));
            let step = Step { called_us, ended_us, what: What::Read(sight) };
            keys[key.0 as usize].push((seen.place, Some((seen.index.0, true)), step));
        }
    }
    for (number, steps) in keys.iter_mut().enumerate() {
        let key = Key(u32::try_from(number).expect("keys are numbered so"));
        if order.unexplained.contains(&key) || !is_order(steps) {
            steps.sort_by_key(|(place, _, step)| (step.called_us, *place));
            check_key(history, key, steps, verdict);
        }
    }
}

/// Whether the order that the indexes tell explains the answers.
fn is_order(steps: &mut [Placed]) -> bool {
    steps.sort_by_key(|(_, stands, step)| (*stands, step.called_us));
    let is_left_out = |(_, stands, step): &Placed| stands.is_none() && step.ended_us.is_some();
    let placed = steps.iter().filter(|(_, stands, _)| stands.is_some());
    !steps.iter().any(is_left_out) && follows(placed.map(|(.., step)| *step))
}

fn check_key(history: &History, key: Key, steps: &[Placed], verdict: &mut Verdict) {
    let plain: Vec<Step> = steps.iter().map(|(.., step)| *step).collect();
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
