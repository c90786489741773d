//! `repair plan`: the damage, and who holds what is lost.

use std::path::Path;

use raft_node::model::{Hash128, LogId};
use raft_node::storage::{
    Corruption, Finding, Holder, Inspection, Lack, OpenOptions, RealDisk, Repair, SyncMode,
};
use serde::Serialize;

use super::holder::Other;
use super::told;
use crate::cli::RepairPlanArgs;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::{self, BAD, GOOD, Output, VERSION, WARN, styled};

/// What is damaged in a directory, and what would be done about it first.
pub(super) struct Plan {
    pub(super) node: u16,
    pub(super) damage: Vec<Corruption>,
    /// `None`: nothing can be repaired.
    pub(super) step: Option<Step>,
    pub(super) hash: String,
}

/// What would be done first.
pub(super) enum Step {
    /// A segment is made anew out of what is whole in it.
    Whole,
    /// A segment is made anew with entries that others hold.
    Entries(LogId),
    /// The log is made anew as a leader has it.
    Everything,
}

#[derive(Serialize)]
struct PlanObject {
    v: u32,
    hash: String,
    node: u16,
    damage: Vec<DamageObject>,
    step: Option<&'static str>,
    until_index: Option<u64>,
    until_term: Option<u64>,
    /// Whether somebody who is up can give what is lost.
    possible: bool,
    nodes: Vec<String>,
}

#[derive(Serialize)]
struct DamageObject {
    file: String,
    offset: u64,
    first: Option<u64>,
    last: Option<u64>,
    message: String,
}

/// How a directory is opened to be repaired. Nothing but the salt of new segments depends on it.
pub(super) fn options(inspection: &Inspection<RealDisk>) -> Result<OpenOptions, CliError> {
    let identity = inspection.meta().map_err(|error| told(&error))?.identity;
    Ok(OpenOptions {
        node: identity.node,
        incarnation: identity.incarnation,
        seed: rand::random(),
        segment_bytes: 0,
        sync: SyncMode::Always,
        min_free_bytes: 0,
    })
}

/// Looks at a directory; the repair that was begun, if something can be repaired.
pub(super) fn make(directory: &Path) -> Result<(Plan, Option<Repair<RealDisk>>), CliError> {
    let inspection = Inspection::open(RealDisk, directory).map_err(|error| told(&error))?;
    let options = options(&inspection)?;
    let mut repair = Repair::look(RealDisk, directory, &options).map_err(|error| told(&error))?;
    let found = inspection.verify().map_err(|error| told(&error))?;
    let mut damage: Vec<Corruption> = found
        .findings
        .into_iter()
        .filter_map(|finding| match finding {
            Finding::Damage(damage) => Some(damage),
            _ => None,
        })
        .collect();
    if let Some(repair) = repair.as_ref().filter(|_| damage.is_empty()) {
        damage.push(repair.damage().clone());
    }
    let step = repair.as_mut().map(|repair| match repair.lack() {
        Lack::Nothing => Step::Whole,
        Lack::Entries(lost) => Step::Entries(lost.until),
        Lack::Everything => Step::Everything,
    });
    let mut hash = Hash128::new().bytes(&options.incarnation.0.to_le_bytes());
    for damage in &damage {
        hash = hash.bytes(damage.to_string().as_bytes());
    }
    let hash = format!("{:016x}", hash.finish() as u64);
    let plan = Plan { node: options.node.number(), damage, step, hash };
    Ok((plan, repair))
}

pub(super) fn run(
    args: &RepairPlanArgs,
    context: &Context,
    out: &mut Output,
) -> Result<Exit, CliError> {
    let (plan, mut repair) = make(&args.dir)?;
    let (possible, nodes) = match &mut repair {
        Some(repair) => ask(&plan, repair, context),
        None => (false, Vec::new()),
    };
    let exit = match plan.damage.is_empty() || possible {
        true => Exit::Done,
        false => Exit::Corrupt,
    };
    match out.is_json() {
        true => out.json(&object(plan, possible, nodes))?,
        false => text(&plan, args, possible, &nodes, out)?,
    }
    Ok(exit)
}

/// Whether somebody can give what is lost, and what each of the others says.
fn ask(plan: &Plan, repair: &mut Repair<RealDisk>, context: &Context) -> (bool, Vec<String>) {
    let (mut others, mut said) = Other::all(context, repair.member().id, repair.cluster());
    let term = repair.term();
    let mut possible = matches!(plan.step, Some(Step::Whole));
    for other in &mut others {
        let name = other.name();
        let until = match plan.step {
            Some(Step::Entries(until)) => Some(until),
            _ => None,
        };
        let behind = match repair.lack() {
            Lack::Entries(lost) => lost.behind,
            _ => Vec::new(),
        };
        said.push(match other.log(&behind, until) {
            Ok(held) if until.is_some() && held.behind.is_some() => {
                possible = true;
                format!("{name}: holds the lost entries")
            }
            Ok(held) if held.leads && held.term >= term => {
                possible = true;
                format!("{name}: leads, and holds entries up to {}", held.last)
            }
            Ok(held) => format!("{name}: holds entries up to {}", held.last),
            Err(why) => format!("{name}: {why}"),
        });
    }
    (possible, said)
}

fn object(plan: Plan, possible: bool, nodes: Vec<String>) -> PlanObject {
    let until = match plan.step {
        Some(Step::Entries(until)) => Some(until),
        _ => None,
    };
    PlanObject {
        v: VERSION,
        hash: plan.hash,
        node: plan.node,
        damage: plan.damage.iter().map(damage_object).collect(),
        step: plan.step.map(|step| match step {
            Step::Whole => "whole",
            Step::Entries(_) => "entries",
            Step::Everything => "everything",
        }),
        until_index: until.map(|until| until.index.0),
        until_term: until.map(|until| until.term.0),
        possible,
        nodes,
    }
}

fn damage_object(damage: &Corruption) -> DamageObject {
    DamageObject {
        file: damage.file.display().to_string(),
        offset: damage.offset,
        first: damage.entries.map(|entries| entries.0.0),
        last: damage.entries.and_then(|entries| entries.1).map(|last| last.0),
        message: damage.what.clone(),
    }
}

fn text(
    plan: &Plan,
    args: &RepairPlanArgs,
    possible: bool,
    nodes: &[String],
    out: &mut Output,
) -> Result<(), CliError> {
    if plan.damage.is_empty() {
        return out.line(format!("{}: nothing is damaged", styled(GOOD, "ok")));
    }
    for damage in &plan.damage {
        let entries = match damage.entries {
            Some((first, Some(last))) => {
                format!("  entries {}..{}", output::count(first.0), output::count(last.0))
            }
            Some((first, None)) => format!("  entries from {} on", output::count(first.0)),
            None => String::new(),
        };
        let place = format!("{}  offset {:#x}", damage.file.display(), damage.offset);
        out.words(&format!("{}  {place}{entries}  {}", styled(BAD, "BAD"), damage.what), 2)?;
    }
    let step = match plan.step {
        None => "nothing of it can be repaired: put the directory back from a copy, or take the \
                 node out and let it come in anew"
            .to_owned(),
        Some(Step::Whole) => "no entry is lost: the segment is made anew out of itself".to_owned(),
        Some(Step::Entries(until)) => {
            format!("lacking: entries up to {until}, from a node that holds that one")
        }
        Some(Step::Everything) => {
            "lacking: it isn't known how much; the log is made anew as the leader has it".to_owned()
        }
    };
    out.words(&step, 2)?;
    for node in nodes {
        out.words(node, 2)?;
    }
    if possible {
        let next = format!("raft-ctl repair apply --plan {} {}", plan.hash, args.dir.display());
        return out.line(format!("next: {next}"));
    }
    match plan.step {
        Some(_) => out.words(
            &format!("{}: nobody who is up can give it now", styled(WARN, "not possible")),
            2,
        ),
        None => Ok(()),
    }
}
