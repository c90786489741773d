//! `transfer-leader`: another node is to lead.

use std::thread;
use std::time::Instant;

use raft_node::client::Failure;
use raft_node::model::{NodeId, Standing, Term};
use raft_node::wire::StatusReply;
use serde::Serialize;

use super::nodes::{INTERVAL, LONGEST_ANSWER, Nodes};
use crate::cli::TransferArgs;
use crate::codes::Code;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::explain;
use crate::output::{GOOD, Output, VERSION, styled};

#[derive(Serialize)]
struct TransferObject {
    v: u32,
    outcome: &'static str,
    dry_run: bool,
    leader: Option<u16>,
    term: Option<u64>,
    to: Option<u16>,
}

pub(crate) fn run(
    args: &TransferArgs,
    context: &Context,
    out: &mut Output,
) -> Result<Exit, CliError> {
    let deadline = Instant::now() + context.timeout();
    let to = args.to.as_deref().map(|name| target(name, context)).transpose()?;
    if context.global.dry_run {
        return dry_run(to, context, out);
    }
    let nodes = Nodes::ask(context);
    let before = nodes.leader().map(|leader| leader.node.id);
    let (leader, term) = match context.client().transfer_leadership(to) {
        Ok(leads) => leads,
        // It leads already, and so can't be the other one.
        Err(_) if to.is_some() && to == before => {
            nodes.leader().map(|leader| (leader.node.id, leader.term)).expect("it led before")
        }
        // The old leader has stepped down and doesn't know who came after it; the others do.
        Err(failure @ Failure::Unknown(_)) => {
            let leads = elected(deadline, context).filter(|(leader, _)| match to {
                Some(to) => *leader == to,
                None => Some(*leader) != before,
            });
            leads.ok_or_else(|| explain::failed(&failure, context))?
        }
        Err(failure) => {
            let failed = explain::failed(&failure, context);
            return Err(to.and_then(|to| not_a_member(to, &nodes)).unwrap_or(failed));
        }
    };
    if out.is_json() {
        out.json(&TransferObject {
            v: VERSION,
            outcome: "ok",
            dry_run: false,
            leader: Some(leader.number()),
            term: Some(term.0),
            to: to.map(NodeId::number),
        })?;
    } else {
        out.line(format!("{}  term {term}", styled(GOOD, format!("leader {leader}"))))?;
    }
    Ok(Exit::Done)
}

/// An error where the node isn't one of the cluster at all.
fn not_a_member(to: NodeId, nodes: &Nodes) -> Option<CliError> {
    let seats = nodes.best()?.configuration.seats();
    if seats.is_empty() || seats.iter().any(|seat| seat.id == to) {
        return None;
    }
    let members: Vec<String> = seats.iter().map(|seat| seat.id.to_string()).collect();
    let message = format!("node {to} isn't a member of the cluster");
    Some(
        CliError::usage(message)
            .hint(format!("its members are the nodes {}; nothing was changed", members.join(", "))),
    )
}

/// Who leads a quorum, once anybody does.
fn elected(deadline: Instant, context: &Context) -> Option<(NodeId, Term)> {
    while Instant::now() < deadline {
        let nodes = Nodes::ask_within(context, LONGEST_ANSWER);
        if let (true, Some(leader)) = (nodes.has_quorum(), nodes.leader()) {
            return Some((leader.node.id, leader.term));
        }
        thread::sleep(INTERVAL);
    }
    None
}

/// The node of this number or label.
fn target(name: &str, context: &Context) -> Result<NodeId, CliError> {
    let known = context.config.as_ref().and_then(|config| config.node(name));
    let number = || name.parse().ok().and_then(NodeId::new);
    known.map(|node| node.id).or_else(number).ok_or_else(|| {
        CliError::usage(format!("{name}: there is no such node"))
            .hint("give its number, or its label with --config; nothing was changed")
    })
}

/// Whether the node votes and goes on to.
fn may_lead(to: NodeId, leader: &StatusReply) -> bool {
    let mut seats = leader.configuration.seats().iter().filter(|seat| seat.id == to);
    seats.any(|seat| seat.standing.votes() && seat.standing.goal() == Some(Standing::Voter))
}

fn dry_run(to: Option<NodeId>, context: &Context, out: &mut Output) -> Result<Exit, CliError> {
    let nodes = Nodes::ask(context);
    nodes.require_any()?;
    let leader = nodes.leader().ok_or_else(|| explain::no_leader(context))?;
    if let Some(error) = to.and_then(|to| not_a_member(to, &nodes)) {
        return Err(error);
    }
    if let Some(to) = to.filter(|to| !may_lead(*to, leader)) {
        let message = format!("node {to} doesn't vote, so it can't lead");
        return Err(CliError::new(Code::NoTarget, message)
            .hint("`raft-ctl members ls` shows who votes; nothing was changed"));
    }
    if out.is_json() {
        out.json(&TransferObject {
            v: VERSION,
            outcome: "ok",
            dry_run: true,
            leader: Some(leader.node.id.number()),
            term: Some(leader.term.0),
            to: to.map(NodeId::number),
        })?;
    } else if to == Some(leader.node.id) {
        out.line(format!(
            "{}  node {} leads already",
            styled(GOOD, "nothing to do"),
            leader.node.id
        ))?;
    } else {
        let from = format!("node {}", leader.node.id);
        let to = to.map_or_else(
            || "the most advanced of the others".to_owned(),
            |to| format!("node {to}"),
        );
        out.line(format!("{} {from} to hand leadership to {to}", styled(GOOD, "would ask")))?;
    }
    Ok(Exit::Done)
}
