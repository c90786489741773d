//! A question before a change that takes something away.

use std::io::{self, BufRead, IsTerminal, Write};

use raft_node::model::Seat;

use super::goal::Goal;
use super::show::voters;
use super::tolerated;
use crate::context::Context;
use crate::error::CliError;
use crate::output::note;

/// Asks a person whether members are to leave or fewer failures to be tolerated. Programs aren't
/// asked.
pub(super) fn ask(goal: &Goal<'_>, context: &Context) -> Result<(), CliError> {
    let (stdin, stderr) = (io::stdin(), io::stderr());
    if context.global.yes || !stdin.is_terminal() || !stderr.is_terminal() {
        return Ok(());
    }
    let Some(what) = loss(goal) else { return Ok(()) };
    note(&what);
    write!(stderr.lock(), "go on? [y/N] ").map_err(CliError::output)?;
    let mut answer = String::new();
    stdin.lock().read_line(&mut answer).map_err(CliError::output)?;
    match answer.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => Err(CliError::usage("not confirmed").hint("nothing was changed; -y answers yes")),
    }
}

/// What is taken away, if anything is.
fn loss(goal: &Goal<'_>) -> Option<String> {
    let (before, after) = (tolerated(voters(goal.before())), tolerated(voters(goal.seats())));
    let stays = |seat: &&Seat| goal.seats().iter().any(|it| it.member() == seat.member());
    let gone: Vec<String> = goal
        .before()
        .iter()
        .filter(|seat| !stays(seat))
        .map(|seat| format!("node {} at {} leaves for good", seat.id, seat.address))
        .collect();
    let fewer = (after < before)
        .then(|| format!("the cluster will go on without {after} of its voters, not {before}"));
    let all: Vec<String> = gone.into_iter().chain(fewer).collect();
    (!all.is_empty()).then(|| all.join("; "))
}
