//! `snapshot trigger`: every node is to take a snapshot.

use std::time::{Duration, Instant};

use raft_node::client::{Client, Options};
use raft_node::wire::KeptSnapshot;
use serde::Serialize;

use super::object::{SnapshotObject, hash, name};
use crate::codes::Code;
use crate::commands::nodes::Nodes;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::explain;
use crate::output::{self, GOOD, Output, Seconds, VERSION, styled};
use crate::progress::Progress;

/// How long the leader gets, where nobody says: a state of many GiB is written while clients are
/// served.
const USUAL_TIMEOUT: Duration = Duration::from_secs(10 * 60);

#[derive(Serialize)]
struct TriggerObject {
    v: u32,
    outcome: &'static str,
    dry_run: bool,
    #[serde(flatten)]
    snapshot: SnapshotObject,
    seconds: Seconds,
}

#[derive(Serialize)]
struct DryObject {
    v: u32,
    outcome: &'static str,
    dry_run: bool,
    leader: u16,
}

pub(super) fn run(context: &Context, out: &mut Output) -> Result<Exit, CliError> {
    if context.global.dry_run {
        return dry_run(context, out);
    }
    let begun = Instant::now();
    let taken = take(context)?;
    let took = begun.elapsed();
    if out.is_json() {
        out.json(&TriggerObject {
            v: VERSION,
            outcome: "ok",
            dry_run: false,
            snapshot: SnapshotObject::new(taken.id, taken.log_time),
            seconds: Seconds(took),
        })?;
    } else {
        out.line(format!(
            "{} {}  {}  in {}",
            styled(GOOD, "taken"),
            name(taken.id),
            output::bytes(taken.id.bytes),
            output::duration(took)
        ))?;
        out.line(format!("hash {}", hash(taken.id)))?;
    }
    Ok(Exit::Done)
}

/// Has a snapshot taken, and waits until the leader has it.
pub(super) fn take(context: &Context) -> Result<KeptSnapshot, CliError> {
    Nodes::led(context)?;
    let timeout = context.timeout_or(USUAL_TIMEOUT);
    let mut progress = Progress::waiting("the nodes take a snapshot");
    let taken = Client::new(Options { timeout, ..context.options() }).take_snapshot();
    progress.clear();
    taken.map_err(|failure| {
        let failed = explain::failed(&failure, context);
        match failed.code() {
            Code::TimedOut => failed.hint(
                "it may be taken yet: `raft-ctl snapshot ls` shows it; --timeout gives more time",
            ),
            _ => failed,
        }
    })
}

fn dry_run(context: &Context, out: &mut Output) -> Result<Exit, CliError> {
    let leader = Nodes::led(context)?.node.id;
    if out.is_json() {
        let leader = leader.number();
        out.json(&DryObject { v: VERSION, outcome: "ok", dry_run: true, leader })?;
        return Ok(Exit::Done);
    }
    let would = styled(GOOD, "would ask");
    out.line(format!("{would} node {leader} to have every node take a snapshot"))?;
    Ok(Exit::Done)
}
