//! Who is in the cluster, and changes of that.

mod confirm;
mod follow;
mod goal;
mod identify;
mod ls;
mod show;

use raft_node::model::{Configuration, Index};

use self::goal::{Goal, View};
use self::show::Outcome;
use crate::cli::{ChangeOptions, MembersCommand};
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::explain;
use crate::output::Output;

pub(super) fn run(
    command: &MembersCommand,
    context: &Context,
    out: &mut Output,
) -> Result<Exit, CliError> {
    type Change<'a> = dyn Fn(&mut Goal<'_>) -> Result<(), CliError> + 'a;
    let (options, change): (&ChangeOptions, Box<Change<'_>>) = match command {
        MembersCommand::Ls => return ls::run(context, out),
        MembersCommand::Add(args) => {
            (&args.options, Box::new(|goal| goal.add(&args.nodes, args.learner_only)))
        }
        MembersCommand::Promote(args) => {
            (&args.options, Box::new(|goal| goal.promote(&args.nodes)))
        }
        MembersCommand::Demote(args) => (&args.options, Box::new(|goal| goal.demote(&args.nodes))),
        MembersCommand::Remove(args) => (&args.options, Box::new(|goal| goal.remove(&args.nodes))),
        MembersCommand::Replace(args) => {
            (&args.options, Box::new(|goal| goal.replace(&args.member, args.with.as_deref())))
        }
        MembersCommand::Set(args) => {
            (&args.options, Box::new(|goal| goal.set(&args.voters, &args.learners)))
        }
    };
    let view = View::ask(context)?;
    let mut goal = Goal::new(&view, context);
    change(&mut goal)?;
    carry_out(&goal, options, context, out)
}

fn carry_out(
    goal: &Goal<'_>,
    options: &ChangeOptions,
    context: &Context,
    out: &mut Output,
) -> Result<Exit, CliError> {
    if context.global.dry_run {
        show::change(goal, Outcome::Planned, out)?;
        return Ok(Exit::Done);
    }
    if goal.is_reached() {
        show::change(goal, Outcome::NothingToDo, out)?;
        return Ok(Exit::Done);
    }
    confirm::ask(goal, context)?;
    let index = match goal.is_under_way() {
        true => goal.expected(),
        false => begin(goal, context)?,
    };
    let outcome = match options.no_wait {
        true => Outcome::Begun(index),
        false => Outcome::Done(follow::until_over(goal, index, context)?),
    };
    show::change(goal, outcome, out)?;
    Ok(Exit::Done)
}

/// Asks for the change; gives where its first configuration stands.
fn begin(goal: &Goal<'_>, context: &Context) -> Result<Index, CliError> {
    let members = Configuration::new(goal.seats().to_vec());
    let changed = context.client().change_members(goal.expected(), members);
    changed.map_err(|failure| explain::failed(&failure, context))
}

/// How many of so many voters may fail before nothing can be decided any more.
fn tolerated(voters: usize) -> usize {
    voters.saturating_sub(1) / 2
}
