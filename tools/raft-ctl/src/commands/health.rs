//! `health`: whether anything needs attention.

use std::collections::BTreeMap;
use std::time::Duration;

use raft_node::model::NodeId;
use raft_node::wire::StatusRole;
use serde::Serialize;

use super::nodes::Nodes;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::{self, BAD, GOOD, Output, VERSION, styled};

/// Syncs that take longer hold every write up, and come near an election timeout.
const SLOW_SYNC: Duration = Duration::from_millis(250);

/// A node that is further behind than both of these isn't only a moment late.
const LAGGING_ENTRIES: u64 = 1000;
const LAGGING_TIME: Duration = Duration::from_secs(5);

/// Something that needs attention.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(super) struct Reason {
    pub(super) code: String,
    pub(super) node: Option<u16>,
    pub(super) message: String,
}

#[derive(Serialize)]
struct HealthObject<'a> {
    v: u32,
    healthy: bool,
    reasons: &'a [Reason],
}

pub(crate) fn run(context: &Context, out: &mut Output) -> Result<Exit, CliError> {
    let nodes = Nodes::ask(context);
    nodes.require_any()?;
    let reasons = reasons(&nodes);
    let healthy = reasons.is_empty();
    if out.is_json() {
        out.json(&HealthObject { v: VERSION, healthy, reasons: &reasons })?;
    } else if healthy {
        let (voters, _) = nodes.voters();
        let voters = voters.len();
        out.line(format!("{}  {voters} voters up, all of them follow", styled(GOOD, "healthy")))?;
    } else {
        out.line(styled(BAD, "unhealthy"))?;
        for reason in &reasons {
            out.words(&format!("  {}", line(reason)), 17)?;
        }
    }
    Ok(if healthy { Exit::Done } else { Exit::Negative })
}

/// A reason as a line of text.
pub(super) fn line(reason: &Reason) -> String {
    format!("{:<14} {}", reason.code, reason.message)
}

/// Everything that needs attention, the worst first.
pub(super) fn reasons(nodes: &Nodes) -> Vec<Reason> {
    let mut found = Vec::new();
    cluster(nodes, &mut found);
    state(nodes, &mut found);
    for node in &nodes.nodes {
        let id = node.id().map(|id| id.number());
        let mut add = |code: &str, message: String| {
            found.push(Reason { code: code.to_owned(), node: id, message });
        };
        let name = node.name();
        let Some(status) = node.status() else {
            // The file may still name who was taken out.
            if !may_be_member(node.id(), nodes) {
                continue;
            }
            let why = node.reason().unwrap_or_default();
            add("node_down", format!("{name} {}: {why}", node.endpoint.address));
            continue;
        };
        if !status.disk_ok {
            add("disk_bad", format!("{name}: its disk doesn't do what it should"));
        }
        if let Some(sync) = status.sync_p99.filter(|sync| *sync > SLOW_SYNC) {
            let sync = output::duration(sync);
            add("slow_sync", format!("{name}: 1 of 100 syncs takes {sync} or longer"));
        }
        let (entries, time) = nodes.behind(status);
        if entries > LAGGING_ENTRIES && time > LAGGING_TIME {
            let (entries, time) = (output::count(entries), output::duration(time));
            add("lagging", format!("{name} is {entries} entries and {time} behind"));
        }
    }
    told_by_nodes(nodes, &mut found);
    found
}

/// Whether the node has a seat, as far as the leader knows; anybody may without one.
fn may_be_member(id: Option<NodeId>, nodes: &Nodes) -> bool {
    let (Some(id), Some(leader)) = (id, nodes.leader()) else { return true };
    leader.configuration.seats().iter().any(|seat| seat.id == id)
}

fn cluster(nodes: &Nodes, found: &mut Vec<Reason>) {
    let mut add = |code: &str, message: String| {
        found.push(Reason { code: code.to_owned(), node: None, message });
    };
    let forming = |role: StatusRole| role == StatusRole::Forming;
    if nodes.up().next().is_some() && nodes.up().all(|status| forming(status.role)) {
        let mut waits: Vec<String> = nodes
            .up()
            .flat_map(|status| &status.waits_for)
            .map(|awaited| format!("node {} ({})", awaited.id, awaited.why))
            .collect();
        waits.sort();
        waits.dedup();
        add("not_formed", format!("the cluster hasn't formed; it waits for {}", waits.join(", ")));
        return;
    }
    let (voters, up) = nodes.voters();
    match nodes.leader() {
        None => add(
            "no_leader",
            format!("nobody leads; {} of {} voters answer", up.len(), voters.len()),
        ),
        Some(leader) if !nodes.has_quorum() => add(
            "no_quorum",
            format!("node {} leads, and no majority of the voters says so", leader.node.id),
        ),
        Some(_) => {}
    }
    let seats = nodes.best().map(|status| status.configuration.seats()).unwrap_or_default();
    for seat in seats.iter().filter(|seat| seat.incarnation.is_none()) {
        add("never_seen", format!("node {} {} has never joined", seat.id, seat.address));
    }
}

/// Nodes that have another state at the same entry.
fn state(nodes: &Nodes, found: &mut Vec<Reason>) {
    let mut hashes: BTreeMap<u64, Vec<(u16, u128)>> = BTreeMap::new();
    for status in nodes.up().filter(|status| status.state_hash_index.0 > 0) {
        let at = hashes.entry(status.state_hash_index.0).or_default();
        at.push((status.node.id.number(), status.state_hash));
    }
    for (index, states) in hashes {
        if states.iter().any(|(_, hash)| *hash != states[0].1) {
            let ids: Vec<String> = states.iter().map(|(id, _)| id.to_string()).collect();
            let message =
                format!("nodes {} have different states at entry {index}", ids.join(", "));
            found.push(Reason { code: "state_differs".to_owned(), node: None, message });
        }
    }
}

/// What the nodes say of themselves and isn't in the list yet.
fn told_by_nodes(nodes: &Nodes, found: &mut Vec<Reason>) {
    for told in nodes.up().flat_map(|status| &status.reasons) {
        let node = told.node.map(|node| node.number());
        let known = |reason: &Reason| {
            reason.code == told.code && (reason.node == node || reason.node.is_none())
        };
        if !found.iter().any(known) {
            let (code, message) = (told.code.clone(), told.message.clone());
            found.push(Reason { code, node, message });
        }
    }
}
