//! `members ls`: who is in the cluster, and how far a change of that is.

use raft_node::model::{Seat, Standing};
use raft_node::wire::StatusReply;
use serde::Serialize;

use super::follow::describe;
use super::tolerated;
use crate::commands::nodes::{Node, Nodes};
use crate::commands::seats::standing_name;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::{self, Align, BAD, Column, GOOD, Output, Table, VERSION, WARN, styled};

const COLUMNS: &[Column] = &[
    ("NODE", Align::Left),
    ("LABEL", Align::Left),
    ("ADDRESS", Align::Left),
    ("STANDING", Align::Left),
    ("STATE", Align::Left),
    ("BEHIND", Align::Right),
    ("INCARNATION", Align::Left),
];

/// How many digits of an incarnation are shown.
const INCARNATION_DIGITS: usize = 8;

#[derive(Serialize)]
struct Listing<'a> {
    v: u32,
    cluster: Option<String>,
    leader: Option<u16>,
    configuration_index: u64,
    committed: bool,
    change: Option<&'static str>,
    voters: usize,
    voters_up: usize,
    tolerated: usize,
    members: Vec<MemberObject<'a>>,
    removed: Vec<RemovedObject>,
}

#[derive(Serialize)]
struct MemberObject<'a> {
    id: u16,
    label: Option<&'a str>,
    address: &'a str,
    incarnation: Option<String>,
    standing: &'static str,
    goal: Option<&'static str>,
    up: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    matched: Option<u64>,
    behind: Option<u64>,
}

#[derive(Serialize)]
struct RemovedObject {
    id: u16,
    incarnation: String,
}

pub(super) fn run(context: &Context, out: &mut Output) -> Result<Exit, CliError> {
    let nodes = Nodes::ask(context);
    nodes.require_any()?;
    let best = nodes.best().expect("one has answered");
    match out.is_json() {
        true => out.json(&listing(&nodes, best))?,
        false => text(&nodes, best, out)?,
    }
    Ok(Exit::Done)
}

/// How far a change is; `None` if none is under way.
fn change(best: &StatusReply) -> Option<&'static str> {
    let configuration = &best.configuration;
    if configuration.is_joint() {
        Some("joint")
    } else if configuration.is_prepared() {
        Some("prepared")
    } else {
        (best.commit < best.configuration_index).then_some("ending")
    }
}

/// The node that sits there, if it is that one that answers.
fn node_of<'a>(seat: &Seat, nodes: &'a Nodes) -> Option<&'a Node> {
    let is_it = |node: &&Node| match node.status() {
        Some(status) => Some(status.node) == seat.member(),
        None => node.id() == Some(seat.id),
    };
    nodes.nodes.iter().find(is_it)
}

/// How many entries the member lacks, as far as the leader knows.
fn behind(seat: &Seat, nodes: &Nodes) -> Option<(u64, u64)> {
    let leader = nodes.leader()?;
    if seat.member() == Some(leader.node) {
        return Some((leader.last.0, 0));
    }
    let peer = leader.peers.iter().find(|peer| Some(peer.member) == seat.member())?;
    (peer.matched.0 > 0).then(|| (peer.matched.0, leader.last.0.saturating_sub(peer.matched.0)))
}

fn voters(seats: &[Seat], nodes: &Nodes) -> (usize, usize) {
    let voters = || seats.iter().filter(|seat| seat.standing.votes());
    let is_up = |seat: &&Seat| node_of(seat, nodes).is_some_and(|node| node.status().is_some());
    (voters().count(), voters().filter(is_up).count())
}

fn listing<'a>(nodes: &'a Nodes, best: &'a StatusReply) -> Listing<'a> {
    let seats = best.configuration.seats();
    let (voters, voters_up) = voters(seats, nodes);
    let member = |seat: &'a Seat| {
        let node = node_of(seat, nodes);
        let progress = behind(seat, nodes);
        MemberObject {
            id: seat.id.number(),
            label: node.and_then(Node::label),
            address: &seat.address,
            incarnation: seat.incarnation.map(|incarnation| incarnation.to_string()),
            standing: standing_name(seat.standing),
            goal: seat.standing.goal().map(standing_name),
            up: node.is_some_and(|node| node.status().is_some()),
            error: node.and_then(Node::reason),
            matched: progress.map(|(matched, _)| matched),
            behind: progress.map(|(_, behind)| behind),
        }
    };
    let removed = best.configuration.removed().iter().map(|member| RemovedObject {
        id: member.id.number(),
        incarnation: member.incarnation.to_string(),
    });
    Listing {
        v: VERSION,
        cluster: best.cluster.map(|cluster| cluster.to_string()),
        leader: nodes.leader().map(|leader| leader.node.id.number()),
        configuration_index: best.configuration_index.0,
        committed: best.commit >= best.configuration_index,
        change: change(best),
        voters,
        voters_up,
        tolerated: tolerated(voters),
        members: seats.iter().map(member).collect(),
        removed: removed.collect(),
    }
}

fn text(nodes: &Nodes, best: &StatusReply, out: &mut Output) -> Result<(), CliError> {
    let seats = best.configuration.seats();
    let mut table = Table::new(COLUMNS);
    for seat in seats {
        let node = node_of(seat, nodes);
        let (state, style) = state(seat, node, nodes);
        let standing = match seat.standing.goal() {
            Some(goal) if goal == seat.standing => standing_name(goal).to_owned(),
            Some(goal) => format!("{} -> {}", standing_name(seat.standing), standing_name(goal)),
            None => format!("{} -> gone", standing_name(seat.standing)),
        };
        let incarnation = seat.incarnation.map(|incarnation| incarnation.to_string());
        let shown = incarnation.map(|full| full[..INCARNATION_DIGITS].to_owned());
        table.row(
            vec![
                seat.id.to_string(),
                node.and_then(Node::label).unwrap_or("-").to_owned(),
                seat.address.clone(),
                standing,
                state.to_owned(),
                behind(seat, nodes).map_or("-".to_owned(), |(_, behind)| output::count(behind)),
                shown.unwrap_or_else(|| "absent".to_owned()),
            ],
            style,
        );
    }
    out.table(&table)?;
    let (voters, up) = voters(seats, nodes);
    out.words(&format!("{up} of {voters} voters up; goes on without {}", tolerated(voters)), 2)?;
    if let Some(stage) = change(best) {
        let under_way = styled(WARN, format!("a change is under way ({stage}):"));
        out.words(&format!("{under_way} {}", describe(best)), 2)?;
    }
    Ok(())
}

fn state(
    seat: &Seat,
    node: Option<&Node>,
    nodes: &Nodes,
) -> (&'static str, Option<anstyle::Style>) {
    let leads = |leader: &StatusReply| seat.member() == Some(leader.node);
    match node.map(Node::status) {
        Some(Some(_)) if nodes.leader().is_some_and(leads) => ("LEADER", Some(GOOD)),
        Some(Some(_)) => ("up", None),
        _ if seat.standing == Standing::Learner => ("DOWN", Some(WARN)),
        _ => ("DOWN", Some(BAD)),
    }
}
