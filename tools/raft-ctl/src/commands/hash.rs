//! `hash`: whether the nodes have the same state.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::nodes::Nodes;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::{self, Align, BAD, Column, GOOD, Output, Table, VERSION, WARN, styled};

/// How often nodes are asked until they tell of the same entry.
const INTERVAL: Duration = Duration::from_millis(100);

const COLUMNS: &[Column] =
    &[("NODE", Align::Left), ("ENTRY", Align::Right), ("STATE HASH", Align::Left)];

#[derive(Serialize)]
struct HashObject<'a> {
    v: u32,
    /// Null where the nodes that answer told of no entry in common.
    agree: Option<bool>,
    index: Option<u64>,
    nodes: &'a [NodeObject],
}

#[derive(Serialize)]
struct NodeObject {
    id: Option<u16>,
    up: bool,
    state_hash: Option<String>,
    state_hash_index: Option<u64>,
}

/// What each node has told: its hash by the entry at which it had it.
type Told = BTreeMap<u16, BTreeMap<u64, u128>>;

pub(crate) fn run(context: &Context, out: &mut Output) -> Result<Exit, CliError> {
    let deadline = Instant::now() + context.timeout();
    let mut told = Told::new();
    loop {
        let nodes = Nodes::ask(context);
        nodes.require_any()?;
        for status in nodes.up() {
            let of_node = told.entry(status.node.id.number()).or_default();
            of_node.insert(status.state_hash_index.0, status.state_hash);
        }
        let common = common(&told);
        if common.is_some() || Instant::now() + INTERVAL >= deadline {
            return print(&nodes, &told, common, out);
        }
        thread::sleep(INTERVAL);
    }
}

/// The latest entry of which all nodes have told.
fn common(told: &Told) -> Option<u64> {
    let first = told.values().next()?;
    first.keys().rev().find(|index| told.values().all(|of| of.contains_key(index))).copied()
}

fn print(
    nodes: &Nodes,
    told: &Told,
    common: Option<u64>,
    out: &mut Output,
) -> Result<Exit, CliError> {
    let agree = common.map(|index| {
        let mut hashes = told.values().map(|of| of[&index]);
        let first = hashes.next();
        hashes.all(|hash| Some(hash) == first)
    });
    let objects: Vec<NodeObject> = nodes
        .nodes
        .iter()
        .map(|node| {
            let id = node.id().map(|id| id.number());
            let of_node = id.and_then(|id| told.get(&id));
            let shown = of_node.and_then(|of| match common {
                Some(index) => of.get_key_value(&index),
                None => of.last_key_value(),
            });
            NodeObject {
                id,
                up: node.status().is_some(),
                state_hash: shown.map(|(_, hash)| format!("{hash:032x}")),
                state_hash_index: shown.map(|(index, _)| *index),
            }
        })
        .collect();
    if out.is_json() {
        out.json(&HashObject { v: VERSION, agree, index: common, nodes: &objects })?;
    } else {
        text(&objects, agree, common, out)?;
    }
    Ok(if agree == Some(false) { Exit::Negative } else { Exit::Done })
}

fn text(
    objects: &[NodeObject],
    agree: Option<bool>,
    common: Option<u64>,
    out: &mut Output,
) -> Result<(), CliError> {
    let mut table = Table::new(COLUMNS);
    for object in objects {
        let dash = || "-".to_owned();
        let cells = vec![
            object.id.map_or_else(|| "?".to_owned(), |id| id.to_string()),
            object.state_hash_index.map_or_else(dash, output::count),
            match object.up {
                true => object.state_hash.clone().unwrap_or_else(dash),
                false => "down".to_owned(),
            },
        ];
        table.row(cells, (!object.up).then_some(BAD));
    }
    out.table(&table)?;
    let index = common.map_or_else(String::new, output::count);
    let told = objects.iter().filter(|object| object.state_hash.is_some()).count();
    out.line(match agree {
        Some(true) if told == 1 => {
            format!("{}: only one node answers", styled(WARN, "not compared"))
        }
        Some(true) => format!("{} at entry {index}", styled(GOOD, "equal")),
        Some(false) => format!(
            "{} at entry {index}: keep all data directories as they are",
            styled(BAD, "DIFFERENT")
        ),
        None => format!("{}: the nodes told of no entry in common", styled(WARN, "not compared")),
    })
}
