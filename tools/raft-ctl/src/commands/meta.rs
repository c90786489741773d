//! `meta show`: what a node must never forget.

use raft_node::model::LogId;
use raft_node::storage::Meta;
use serde::Serialize;

use super::log::{failed, open};
use crate::cli::{MetaCommand, MetaShowArgs};
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::{BOLD, GOOD, Output, VERSION, WARN, styled};

#[derive(Serialize)]
struct MetaObject {
    v: u32,
    live: bool,
    node: u16,
    incarnation: String,
    cluster: Option<String>,
    epoch: Option<u64>,
    term: u64,
    voted_for: Option<u16>,
    voted_for_incarnation: Option<String>,
    boot: u64,
    clean: bool,
    floor_ordinal: u64,
    floor_offset: u64,
    hard_state_copies_ok: [bool; 2],
    identity_copies_ok: [bool; 2],
    snapshots: Vec<SnapshotName>,
}

/// The last entry of a snapshot.
#[derive(Serialize)]
struct SnapshotName {
    index: u64,
    term: u64,
}

pub(crate) fn run(command: &MetaCommand, out: &mut Output) -> Result<Exit, CliError> {
    match command {
        MetaCommand::Show(args) => show(args, out),
    }
}

fn show(args: &MetaShowArgs, out: &mut Output) -> Result<Exit, CliError> {
    let inspection = open(&args.dir)?;
    let meta = inspection.meta().map_err(|error| failed(&error))?;
    let snapshots = inspection.snapshots().map_err(|error| failed(&error))?;
    let snapshots: Vec<LogId> = snapshots.iter().map(|stored| stored.last).collect();
    let live = inspection.is_live();
    if out.is_json() {
        out.json(&object(&meta, &snapshots, live))?;
    } else {
        text(&meta, &snapshots, live, out)?;
    }
    Ok(Exit::Done)
}

fn object(meta: &Meta, snapshots: &[LogId], live: bool) -> MetaObject {
    let vote = meta.hard_state.vote;
    MetaObject {
        v: VERSION,
        live,
        node: meta.identity.node.number(),
        incarnation: meta.identity.incarnation.to_string(),
        cluster: meta.identity.cluster.map(|(cluster, _)| cluster.to_string()),
        epoch: meta.identity.cluster.map(|(_, epoch)| epoch.0),
        term: meta.hard_state.term.0,
        voted_for: vote.map(|vote| vote.id.number()),
        voted_for_incarnation: vote.map(|vote| vote.incarnation.to_string()),
        boot: meta.boot.0,
        clean: meta.clean,
        floor_ordinal: meta.floor.ordinal,
        floor_offset: meta.floor.offset,
        hard_state_copies_ok: meta.hard_state_copies,
        identity_copies_ok: meta.identity_copies,
        snapshots: snapshots
            .iter()
            .map(|last| SnapshotName { index: last.index.0, term: last.term.0 })
            .collect(),
    }
}

fn text(meta: &Meta, snapshots: &[LogId], live: bool, out: &mut Output) -> Result<(), CliError> {
    let state = if live { "  in use" } else { "" };
    out.line(styled(BOLD, format!("node {}{state}", meta.identity.node)))?;
    out.line(format!("  incarnation  {}", meta.identity.incarnation))?;
    match meta.identity.cluster {
        Some((cluster, epoch)) => {
            out.line(format!("  cluster      {cluster} epoch {epoch}"))?;
        }
        None => out.line("  cluster      none yet")?,
    }
    out.line(format!("  term         {}", meta.hard_state.term))?;
    match meta.hard_state.vote {
        Some(vote) => {
            out.line(format!("  voted for    node {} ({})", vote.id, vote.incarnation))?;
        }
        None => out.line("  voted for    nobody in this term")?,
    }
    let stop = match (live, meta.clean) {
        (true, _) => "",
        (false, true) => ", the last one stopped in good order",
        (false, false) => ", the last one didn't stop in good order",
    };
    out.line(format!("  starts       {}{stop}", meta.boot))?;
    let names: Vec<String> = snapshots.iter().map(LogId::to_string).collect();
    let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    out.line(format!("  snapshots    {names}"))?;
    let floor = meta.floor;
    out.line(format!(
        "  floor        segment {:016x} is durable up to {:#x}",
        floor.ordinal, floor.offset
    ))?;
    out.line(format!("  hard state   {}", copies(meta.hard_state_copies)))?;
    out.line(format!("  identity     {}", copies(meta.identity_copies)))
}

fn copies(good: [bool; 2]) -> String {
    match good {
        [true, true] => styled(GOOD, "both copies good"),
        [true, false] => styled(WARN, "second copy bad; the next start puts it right"),
        [false, true] => styled(WARN, "first copy bad; the next start puts it right"),
        [false, false] => styled(WARN, "both copies bad"),
    }
}
