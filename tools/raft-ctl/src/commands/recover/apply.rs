//! `recover apply`: the plan carried out, directory by directory.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use raft_node::storage::{Directory, EpochBegun, Inspection, NewEpoch, RealDisk};
use serde::Serialize;

use super::plan::{self, Kept, Plan};
use super::survivor::{Survivor, told};
use super::{reach, show};
use crate::cli::ApplyArgs;
use crate::codes::Code;
use crate::commands::log::failed;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::{Blob, GOOD, Output, VERSION, styled};

#[derive(Serialize)]
struct ApplyObject<'a> {
    v: u32,
    outcome: &'static str,
    dry_run: bool,
    plan: String,
    cluster: &'a str,
    epoch: u64,
    nodes: Vec<NodeObject<'a>>,
    /// Those in whose directories the epoch isn't begun by this command.
    missing: Vec<u16>,
}

#[derive(Serialize)]
struct NodeObject<'a> {
    node: u16,
    directory: Blob<'a>,
    /// Whether the directory was in the new epoch before.
    before: bool,
}

/// A directory, and what is to be done in it.
struct Task<'a> {
    directory: &'a Path,
    kept: &'a Kept,
    order: NewEpoch,
}

pub(super) fn run(args: &ApplyArgs, dry_run: bool, out: &mut Output) -> Result<Exit, CliError> {
    let plan = find(args)?;
    let tasks = tasks(args, &plan)?;
    if !args.no_probe {
        reach::require_silence(plan.given_up.iter())?;
    }
    // All are looked at before one is changed.
    let mut begun = Vec::new();
    for task in &tasks {
        let judged = Directory::check_epoch(RealDisk, task.directory, &task.order);
        begun.push(judged.map_err(|error| told(&error))?);
    }
    if !dry_run {
        for (at, task) in tasks.iter().enumerate() {
            let done = Directory::begin_epoch(RealDisk, task.directory, &task.order);
            done.map_err(|error| cut_short(told(&error), at))?;
        }
    }
    print(&plan, &tasks, &begun, dry_run, out)?;
    Ok(Exit::Done)
}

fn cut_short(error: CliError, done: usize) -> CliError {
    match done {
        0 => error,
        _ => error.detail(format!(
            "the new epoch is begun in {done} of the directories, and no other one was changed"
        )),
    }
    .detail("the same command finishes it when this is put right")
}

/// The plan of this hash: from a file, from a directory that has begun with it, or made anew.
fn find(args: &ApplyArgs) -> Result<Plan, CliError> {
    if let Some(path) = &args.from {
        let bytes = fs::read(path).map_err(|error| CliError::file(path, "read", &error))?;
        let plan = Plan::read(&bytes).ok_or_else(|| {
            let text =
                format!("{} isn't what `raft-ctl recover plan --save` writes", path.display());
            CliError::usage(text)
        })?;
        return require(plan, args);
    }
    if let Some(plan) = args.dirs.iter().find_map(|directory| begun_with(directory, &args.plan)) {
        return Ok(plan);
    }
    let survivors = args.dirs.iter().map(|path| Survivor::look_at(path));
    let survivors: Vec<Survivor> = survivors.collect::<Result<_, _>>()?;
    require(plan::make(&survivors, &args.keep)?, args)
}

fn require(plan: Plan, args: &ApplyArgs) -> Result<Plan, CliError> {
    let hash = plan.hash();
    if hash == args.plan {
        return Ok(plan);
    }
    let text = format!("the plan has the hash {hash}, not {}", args.plan);
    let hint = match args.from {
        Some(_) => "give the hash and the file of one plan; nothing was changed",
        None => {
            "something has changed since, or not the same directories are given. `raft-ctl \
             recover plan` shows the plan as it is now; nothing was changed"
        }
    };
    Err(CliError::new(Code::PlanChanged, text).hint(hint))
}

/// The plan of this hash, where the directory keeps it.
fn begun_with(directory: &Path, hash: &str) -> Option<Plan> {
    let names = fs::read_dir(directory).ok()?.flatten().map(|entry| entry.path());
    let is_record = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with("recovery-") && name.ends_with(".json")
    };
    let plans = names.filter(is_record).filter_map(|path| Plan::read(&fs::read(path).ok()?));
    plans.into_iter().find(|plan| plan.hash() == hash)
}

/// What is to be done in each directory, the one that the others follow first.
fn tasks<'a>(args: &'a ApplyArgs, plan: &'a Plan) -> Result<Vec<Task<'a>>, CliError> {
    let mut tasks: Vec<Task<'a>> = Vec::new();
    for directory in &args.dirs {
        let meta = Inspection::open(RealDisk, directory).and_then(|looked| looked.meta());
        let identity = meta.map_err(|error| failed(&error))?.identity;
        let (node, life) = (identity.node.number(), identity.incarnation.to_string());
        let kept = plan.survivors.iter().find(|kept| kept.node == node && kept.incarnation == life);
        let Some(kept) = kept else {
            let text = format!("{}: node {node} isn't kept by this plan", directory.display());
            return Err(CliError::new(Code::PlanChanged, text).hint(
                "leave its directory as it is, and out of the command; nothing was changed",
            ));
        };
        if tasks.iter().any(|task| task.kept.node == node) {
            return Err(CliError::usage(format!("node {node} is given twice")));
        }
        tasks.push(Task { directory, kept, order: plan.order(kept, rand::random()) });
    }
    tasks.sort_by_key(|task| (task.kept.node != plan.base, task.kept.node));
    Ok(tasks)
}

fn print(
    plan: &Plan,
    tasks: &[Task<'_>],
    begun: &[EpochBegun],
    dry_run: bool,
    out: &mut Output,
) -> Result<(), CliError> {
    let is_given = |kept: &&Kept| tasks.iter().any(|task| task.kept.node == kept.node);
    let missing: Vec<u16> =
        plan.survivors.iter().filter(|kept| !is_given(kept)).map(|kept| kept.node).collect();
    if out.is_json() {
        let nodes = tasks.iter().zip(begun).map(|(task, begun)| NodeObject {
            node: task.kept.node,
            directory: Blob(task.directory.as_os_str().as_bytes()),
            before: *begun == EpochBegun::Before,
        });
        return out.json(&ApplyObject {
            v: VERSION,
            outcome: "ok",
            dry_run,
            plan: plan.hash(),
            cluster: &plan.cluster,
            epoch: plan.epoch,
            nodes: nodes.collect(),
            missing,
        });
    }
    for (task, begun) in tasks.iter().zip(begun) {
        let what = match (begun, dry_run) {
            (EpochBegun::Before, _) => "was begun before",
            (EpochBegun::Now, false) => "is begun",
            (EpochBegun::Now, true) => "would begin",
        };
        let what = styled(GOOD, format!("epoch {} {what}", plan.epoch));
        out.words(&format!("node {}  {}  {what}", task.kept.node, task.directory.display()), 2)?;
    }
    if !dry_run {
        show::next(plan, &missing, out)?;
    }
    Ok(())
}
