//! `repair apply`: the damage made good.

use raft_node::storage::{Attempt, RealDisk, Repair, Repaired};
use serde::Serialize;

use super::holder::Other;
use super::{plan, told};
use crate::cli::RepairApplyArgs;
use crate::codes::Code;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::{self, GOOD, Output, VERSION, styled};

/// How many segments are made anew at the most.
const MOST: usize = 64;

#[derive(Serialize)]
struct ApplyObject {
    v: u32,
    outcome: &'static str,
    dry_run: bool,
    node: u16,
    done: Vec<DoneObject>,
}

#[derive(Serialize)]
struct DoneObject {
    segment: String,
    kept: Option<String>,
    fetched: u64,
}

pub(super) fn run(
    args: &RepairApplyArgs,
    context: &Context,
    out: &mut Output,
) -> Result<Exit, CliError> {
    let (plan, repair) = plan::make(&args.dir)?;
    if plan.hash != args.plan {
        let text = format!("the plan has the hash {}, not {}", plan.hash, args.plan);
        return Err(CliError::new(Code::PlanChanged, text).hint(
            "something has changed since: `raft-ctl repair plan` shows the damage as it is now; \
             nothing was changed",
        ));
    }
    let mut done = Vec::new();
    let mut repair = repair;
    while let Some(begun) = repair.filter(|_| !context.global.dry_run) {
        done.push(one(begun, context, &done)?);
        repair = if done.len() < MOST { plan::make(&args.dir)?.1 } else { None };
    }
    print(plan.node, &done, context.global.dry_run, out)?;
    let (left, _) = plan::make(&args.dir)?;
    Ok(if left.damage.is_empty() || context.global.dry_run { Exit::Done } else { Exit::Corrupt })
}

/// Repairs one damage.
fn one(
    repair: Repair<RealDisk>,
    context: &Context,
    done: &[Repaired],
) -> Result<Repaired, CliError> {
    let (mut others, mut said) = Other::all(context, repair.member().id, repair.cluster());
    match repair.attempt(&mut others, &mut said).map_err(|error| told(&error))? {
        Attempt::Done(repaired) => Ok(repaired),
        Attempt::Waits(_) => {
            let text = match done.len() {
                0 => "nobody who is up can give what is lost; nothing was changed".to_owned(),
                count => format!("{count} segments were made anew; nobody can give the rest"),
            };
            Err(CliError::new(Code::NoLeader, text).details(said).hint(
                "start the other nodes, wait for a leader (`raft-ctl wait --leader`), and give \
                 the command again",
            ))
        }
    }
}

fn print(node: u16, done: &[Repaired], dry_run: bool, out: &mut Output) -> Result<(), CliError> {
    if out.is_json() {
        let done = done.iter().map(|one| DoneObject {
            segment: one.segment.clone(),
            kept: one.kept.clone(),
            fetched: one.fetched,
        });
        let done = done.collect();
        return out.json(&ApplyObject { v: VERSION, outcome: "ok", dry_run, node, done });
    }
    for one in done {
        let kept = one.kept.as_ref().map_or(String::new(), |kept| format!("; kept: log/{kept}"));
        let fetched = output::count(one.fetched);
        let made = format!("log/{} was made anew, with {fetched} entries of others", one.segment);
        out.words(&format!("{} {made}{kept}", styled(GOOD, "repaired")), 2)?;
    }
    if done.is_empty() {
        let text = if dry_run { "nothing was changed" } else { "there is nothing to repair" };
        return out.line(text);
    }
    Ok(())
}
