//! `snapshot ls`: which snapshots the nodes keep, and whether they are the same.

use std::collections::BTreeSet;

use raft_node::model::Index;
use raft_node::wire::KeptSnapshot;
use serde::Serialize;

use super::kept::Kept;
use super::object::{SnapshotObject, hash};
use crate::commands::nodes::Node;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::{self, Align, BAD, Column, Output, Seconds, Table, VERSION, styled};

const COLUMNS: &[Column] = &[
    ("NODE", Align::Left),
    ("INDEX", Align::Right),
    ("TERM", Align::Right),
    ("AGE", Align::Right),
    ("SIZE", Align::Right),
    ("HASH", Align::Left),
    ("", Align::Left),
];

/// How many digits of a hash are shown.
const HASH_DIGITS: usize = 12;

#[derive(Serialize)]
struct Listing<'a> {
    v: u32,
    agree: Option<bool>,
    nodes: Vec<NodeObject<'a>>,
}

#[derive(Serialize)]
struct NodeObject<'a> {
    id: Option<u16>,
    label: Option<&'a str>,
    address: String,
    up: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    snapshots: Option<Vec<KeptObject>>,
}

#[derive(Serialize)]
struct KeptObject {
    #[serde(flatten)]
    snapshot: SnapshotObject,
    age_seconds: Seconds,
    differs: bool,
}

pub(super) fn run(context: &Context, out: &mut Output) -> Result<Exit, CliError> {
    let kept = Kept::ask(context)?;
    let (agree, differing) = kept.compare();
    if out.is_json() {
        let nodes =
            kept.by_node().map(|(node, told)| object(node, told, &kept, &differing)).collect();
        out.json(&Listing { v: VERSION, agree, nodes })?;
    } else {
        text(&kept, &differing, out)?;
    }
    Ok(if differing.is_empty() { Exit::Done } else { Exit::Negative })
}

fn object<'a>(
    node: &'a Node,
    told: Result<&[KeptSnapshot], &'a str>,
    kept: &Kept,
    differing: &BTreeSet<Index>,
) -> NodeObject<'a> {
    let snapshot = |snapshot: &KeptSnapshot| KeptObject {
        snapshot: SnapshotObject::new(snapshot.id, snapshot.log_time),
        age_seconds: Seconds(kept.age(snapshot)),
        differs: differing.contains(&snapshot.id.last.index),
    };
    NodeObject {
        id: node.id().map(|id| id.number()),
        label: node.label(),
        address: node.endpoint.address.to_string(),
        up: node.status().is_some(),
        error: told.err(),
        snapshots: told.ok().map(|told| told.iter().map(snapshot).collect()),
    }
}

fn text(kept: &Kept, differing: &BTreeSet<Index>, out: &mut Output) -> Result<(), CliError> {
    let mut table = Table::new(COLUMNS);
    let mut all: Vec<(&Node, KeptSnapshot)> = kept.all().collect();
    // The nodes stand in their order already.
    all.sort_by_key(|(_, snapshot)| std::cmp::Reverse(snapshot.id.last.index));
    for (node, snapshot) in &all {
        let differs = differing.contains(&snapshot.id.last.index);
        let cells = vec![
            cell_of(node),
            output::count(snapshot.id.last.index.0),
            snapshot.id.last.term.to_string(),
            output::ago(kept.age(snapshot)),
            output::bytes(snapshot.id.bytes),
            hash(snapshot.id)[..HASH_DIGITS].to_owned(),
            if differs { "DIFFERENT".to_owned() } else { String::new() },
        ];
        table.row(cells, differs.then_some(BAD));
    }
    for (node, told) in kept.by_node() {
        let (what, style) = match told {
            Ok([]) => ("keeps none", None),
            Ok(_) => continue,
            Err(reason) => (reason, Some(BAD)),
        };
        let mut cells = vec![cell_of(node)];
        cells.extend(["-"; 5].map(str::to_owned));
        cells.push(what.to_owned());
        table.row(cells, style);
    }
    out.table(&table)?;
    for index in differing {
        let text = format!(
            "{} snapshots of entry {}: keep all data directories as they are; `raft-ctl hash` \
             compares the nodes' states",
            styled(BAD, "DIFFERENT"),
            output::count(index.0)
        );
        out.words(&text, 2)?;
    }
    Ok(())
}

/// The number of a node, or its address where that isn't known.
fn cell_of(node: &Node) -> String {
    node.id().map_or_else(|| node.endpoint.address.to_string(), |id| id.to_string())
}
