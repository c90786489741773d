//! `wait`: until there is a leader, or an entry is applied.

use std::thread;
use std::time::Instant;

use serde::Serialize;

use super::nodes::{INTERVAL, LONGEST_ANSWER, Nodes};
use crate::cli::WaitArgs;
use crate::codes::Code;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::{self, Output, VERSION};

#[derive(Serialize)]
struct WaitObject {
    v: u32,
    outcome: &'static str,
    leader: Option<u16>,
    term: Option<u64>,
    /// The least that is applied on any of the nodes.
    applied: Option<u64>,
}

pub(crate) fn run(args: &WaitArgs, context: &Context, out: &mut Output) -> Result<Exit, CliError> {
    let deadline = Instant::now() + context.timeout();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let nodes = Nodes::ask_within(context, left.min(LONGEST_ANSWER).max(INTERVAL));
        let applied = applied_everywhere(&nodes);
        let done = match args.applied {
            Some(index) => applied.is_some_and(|applied| applied >= index),
            None => has_leader(&nodes, context),
        };
        if done {
            return print(&nodes, applied, args, out);
        }
        if Instant::now() + INTERVAL >= deadline {
            nodes.require_any()?;
            return Err(too_long(&nodes, args, context));
        }
        thread::sleep(INTERVAL);
    }
}

/// The least that is applied on any node; `None` where one doesn't say.
fn applied_everywhere(nodes: &Nodes) -> Option<u64> {
    let applied = nodes.nodes.iter().map(|node| Some(node.status()?.applied.0));
    applied.collect::<Option<Vec<u64>>>()?.into_iter().min()
}

fn has_leader(nodes: &Nodes, context: &Context) -> bool {
    // A single node can only tell whom it follows.
    match context.fixed {
        true => nodes.up().all(|status| status.leader.is_some()) && nodes.up().next().is_some(),
        false => nodes.has_quorum(),
    }
}

fn print(
    nodes: &Nodes,
    applied: Option<u64>,
    args: &WaitArgs,
    out: &mut Output,
) -> Result<Exit, CliError> {
    let told = nodes.up().find_map(|status| Some((status.leader?, status.term)));
    let leader = nodes.leader().map(|leader| (leader.node.id, leader.term)).or(told);
    if out.is_json() {
        out.json(&WaitObject {
            v: VERSION,
            outcome: "ok",
            leader: leader.map(|(id, _)| id.number()),
            term: leader.map(|(_, term)| term.0),
            applied,
        })?;
    } else if let (true, Some((id, term))) = (args.leader, leader) {
        out.line(format!("leader {id}  term {term}"))?;
    } else if let Some(applied) = applied {
        out.line(format!("applied {}", output::count(applied)))?;
    }
    Ok(Exit::Done)
}

fn too_long(nodes: &Nodes, args: &WaitArgs, context: &Context) -> CliError {
    let within = output::seconds(context.timeout());
    let lines = nodes.nodes.iter().map(|node| match node.status() {
        Some(status) => format!(
            "{}  {}, term {}, applied {}",
            node.name(),
            status.role.name(),
            status.term,
            status.applied
        ),
        None => format!("{}  {}", node.name(), node.reason().unwrap_or_default()),
    });
    let message = match args.applied {
        Some(index) => format!("entry {index} isn't applied everywhere within {within}"),
        None => format!("no leader within {within}"),
    };
    CliError::new(Code::TimedOut, message)
        .details(lines)
        .hint("`raft-ctl health` tells what is wrong; --timeout gives more time")
}
