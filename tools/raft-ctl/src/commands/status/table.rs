//! The table of `status`: a line for each node, in as many columns as the width allows for.

use std::time::Duration;

use raft_node::model::Index;
use raft_node::wire::StatusRole;

use crate::commands::nodes::{Node, Nodes};
use crate::output::{self, Align, BAD, GOOD, Table};

/// A node that is behind by less time than this only waits for the next message.
const SHOWN_LAG: Duration = Duration::from_secs(1);

/// A column of the table: when it can be left out, and what stands in it.
struct Show {
    name: &'static str,
    align: Align,
    cell: fn(&Nodes, &Node) -> String,
}

/// The columns, and in which order they are left out where the width doesn't allow for all.
const COLUMNS: &[Show] = &[
    Show { name: "NODE", align: Align::Left, cell: id_cell },
    Show {
        name: "LABEL",
        align: Align::Left,
        cell: |_, node| node.label().unwrap_or("-").to_owned(),
    },
    Show { name: "ADDRESS", align: Align::Left, cell: |_, node| node.endpoint.address.to_string() },
    Show { name: "ROLE", align: Align::Left, cell: role_cell },
    Show { name: "MATCH", align: Align::Right, cell: match_cell },
    Show { name: "BEHIND", align: Align::Right, cell: behind_cell },
    Show { name: "RTT", align: Align::Right, cell: round_trip_cell },
    Show { name: "LOG", align: Align::Right, cell: log_cell },
    Show { name: "SNAPSHOT", align: Align::Right, cell: snapshot_cell },
    Show { name: "VERSION", align: Align::Left, cell: version_cell },
];

const DISPENSABLE: &[&str] = &["VERSION", "SNAPSHOT", "LABEL", "LOG", "RTT"];

/// The version of all nodes that answer, where it is one.
fn common_version(nodes: &Nodes) -> Option<&str> {
    let mut versions = nodes.up().map(|status| status.version.as_str());
    let first = versions.next()?;
    versions.all(|version| version == first).then_some(first)
}

/// The table and, where there is no room for the column of versions, the version of all nodes.
/// Versions that differ are what one looks for during an upgrade: they always have their column.
pub(super) fn table(nodes: &Nodes, width: usize) -> (Table, Option<&str>) {
    let common = common_version(nodes);
    let mut left_out: Vec<&str> = Vec::new();
    if nodes.up().all(|status| status.snapshot.0 == 0) {
        left_out.push("SNAPSHOT");
    }
    let mut dispensable = DISPENSABLE.iter().filter(|name| common.is_some() || **name != "VERSION");
    loop {
        let shown: Vec<&Show> =
            COLUMNS.iter().filter(|column| !left_out.contains(&column.name)).collect();
        let columns: Vec<_> = shown.iter().map(|column| (column.name, column.align)).collect();
        let mut table = Table::new(&columns);
        for node in &nodes.nodes {
            let cells = shown.iter().map(|column| (column.cell)(nodes, node)).collect();
            let style = match node.status() {
                Some(status) if status.role == StatusRole::Leader => Some(GOOD),
                Some(_) => None,
                None => Some(BAD),
            };
            table.row(cells, style);
        }
        let next = dispensable.next();
        match next.filter(|_| table.width() > width) {
            Some(name) => left_out.push(name),
            None => return (table, common.filter(|_| left_out.contains(&"VERSION"))),
        }
    }
}

fn id_cell(_: &Nodes, node: &Node) -> String {
    node.id().map_or_else(|| "?".to_owned(), |id| id.to_string())
}

fn role_cell(_: &Nodes, node: &Node) -> String {
    match node.status() {
        Some(status) if status.role == StatusRole::Leader => "LEADER".to_owned(),
        Some(status) => status.role.name().to_owned(),
        None => "DOWN".to_owned(),
    }
}

fn match_cell(nodes: &Nodes, node: &Node) -> String {
    let held = matched(nodes, node).or(node.status().map(|status| status.durable));
    held.map_or_else(|| "-".to_owned(), |held| output::count(held.0))
}

/// Up to where the leader knows the node's log to be the same. A new leader doesn't know it of a
/// node that is down.
pub(super) fn matched(nodes: &Nodes, node: &Node) -> Option<Index> {
    let matched = nodes.peer(node.id())?.matched;
    (node.status().is_some() || matched > Index::ZERO).then_some(matched)
}

fn behind_cell(nodes: &Nodes, node: &Node) -> String {
    let Some(status) = node.status() else {
        let commit = nodes.leader().map(|leader| leader.commit.0);
        let behind = matched(nodes, node)
            .zip(commit)
            .map(|(matched, commit)| output::count(commit.saturating_sub(matched.0)));
        return behind.unwrap_or_else(|| "-".to_owned());
    };
    if status.role == StatusRole::Leader {
        return "-".to_owned();
    }
    let (entries, time) = nodes.behind(status);
    match entries {
        0 => "0".to_owned(),
        _ if time < SHOWN_LAG => output::count(entries),
        _ => format!("{} ({})", output::count(entries), output::duration(time)),
    }
}

fn round_trip_cell(nodes: &Nodes, node: &Node) -> String {
    round_trip(nodes, node).map_or_else(|| "-".to_owned(), output::duration)
}

/// What the leader measured last, while the node is up.
pub(super) fn round_trip(nodes: &Nodes, node: &Node) -> Option<Duration> {
    node.status()?;
    nodes.peer(node.id())?.round_trip
}

fn log_cell(_: &Nodes, node: &Node) -> String {
    node.status().map_or_else(|| "-".to_owned(), |status| output::bytes(status.log_bytes))
}

fn snapshot_cell(_: &Nodes, node: &Node) -> String {
    let snapshot = node.status().filter(|status| status.snapshot.0 > 0);
    snapshot.map_or_else(
        || "-".to_owned(),
        |status| {
            let age = status.log_time.0.saturating_sub(status.snapshot_time.0);
            let age = output::ago(Duration::from_nanos(age));
            format!("{} {age}", output::count(status.snapshot.0))
        },
    )
}

fn version_cell(_: &Nodes, node: &Node) -> String {
    node.status().map_or_else(|| "-".to_owned(), |status| status.version.clone())
}
