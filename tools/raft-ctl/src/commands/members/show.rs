//! A change as it is shown: before, after, and how many failures are tolerated.

use raft_node::model::{Index, Seat, Standing};
use serde::Serialize;
use serde_json::Value;

use super::goal::Goal;
use super::tolerated;
use crate::commands::seats::{seats_json, standing_name};
use crate::error::CliError;
use crate::output::{self, Align, Column, GOOD, Output, Table, VERSION, WARN, styled};

const COLUMNS: &[Column] = &[
    ("NODE", Align::Left),
    ("ADDRESS", Align::Left),
    ("BEFORE", Align::Left),
    ("AFTER", Align::Left),
];

/// What came of a change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    /// Only a look was asked for.
    Planned,
    NothingToDo,
    /// It goes on by itself, from the configuration here.
    Begun(Index),
    /// The configuration here is the last one.
    Done(Index),
}

#[derive(Serialize)]
struct ChangeObject<'a> {
    v: u32,
    outcome: &'static str,
    dry_run: bool,
    changed: bool,
    done: bool,
    index: u64,
    before: Value,
    after: Value,
    voters_before: usize,
    voters_after: usize,
    tolerated_before: usize,
    tolerated_after: usize,
    notes: &'a [String],
}

pub(super) fn change(goal: &Goal<'_>, outcome: Outcome, out: &mut Output) -> Result<(), CliError> {
    if out.is_json() {
        return out.json(&object(goal, outcome));
    }
    if outcome != Outcome::NothingToDo {
        out.table(&table(goal))?;
    }
    let (before, after) = (voters(goal.before()), voters(goal.seats()));
    let (word, rest) = match outcome {
        Outcome::Planned => (styled(GOOD, "would change"), String::new()),
        Outcome::NothingToDo => (styled(GOOD, "nothing to do"), String::new()),
        Outcome::Begun(index) => {
            let index = output::count(index.0);
            (styled(GOOD, "begun"), format!("  entry {index}; `raft-ctl members ls` shows how far"))
        }
        Outcome::Done(index) => {
            (styled(GOOD, "done"), format!("  entry {}", output::count(index.0)))
        }
    };
    out.words(&format!("{word}  {}{rest}", tolerance(before, after)), 2)?;
    for note in goal.notes() {
        out.words(&format!("{} {note}", styled(WARN, "note:")), 2)?;
    }
    if after > before && after % 2 == 0 {
        let text = format!(
            "{} {after} voters go on without as many of them as {} do; an odd number is better",
            styled(WARN, "note:"),
            after - 1
        );
        out.words(&text, 2)?;
    }
    Ok(())
}

fn object<'a>(goal: &'a Goal<'_>, outcome: Outcome) -> ChangeObject<'a> {
    let (before, after) = (voters(goal.before()), voters(goal.seats()));
    let index = match outcome {
        Outcome::Planned | Outcome::NothingToDo => goal.expected(),
        Outcome::Begun(index) | Outcome::Done(index) => index,
    };
    ChangeObject {
        v: VERSION,
        outcome: "ok",
        dry_run: outcome == Outcome::Planned,
        changed: !goal.is_reached(),
        done: matches!(outcome, Outcome::Done(_) | Outcome::NothingToDo),
        index: index.0,
        before: seats_json(goal.before()),
        after: seats_json(goal.seats()),
        voters_before: before,
        voters_after: after,
        tolerated_before: tolerated(before),
        tolerated_after: tolerated(after),
        notes: goal.notes(),
    }
}

fn table(goal: &Goal<'_>) -> Table {
    let mut table = Table::new(COLUMNS);
    let mut all: Vec<&Seat> = goal.seats().iter().collect();
    let is_new = |seat: &Seat| !goal.seats().iter().any(|it| it.member() == seat.member());
    all.extend(goal.before().iter().filter(|seat| is_new(seat)));
    all.sort_by_key(|seat| (seat.id, seat.incarnation));
    for seat in all {
        let standing = |seats: &[Seat]| {
            let found = seats.iter().find(|it| it.member() == seat.member());
            found.map_or("-", |it| standing_name(it.standing)).to_owned()
        };
        let (before, after) = (standing(goal.before()), standing(goal.seats()));
        let style = (before != after).then_some(WARN);
        table.row(vec![seat.id.to_string(), seat.address.clone(), before, after], style);
    }
    table
}

fn tolerance(before: usize, after: usize) -> String {
    let goes_on = format!("goes on without {}", tolerated(after));
    match before == after {
        true => format!("{after} voters, {goes_on}"),
        false => {
            format!("{before} voters -> {after}, {goes_on} (before: {})", tolerated(before))
        }
    }
}

/// How many vote, now or once the change is over that brings them in.
pub(super) fn voters(seats: &[Seat]) -> usize {
    seats.iter().filter(|seat| seat.standing.goal() == Some(Standing::Voter)).count()
}
