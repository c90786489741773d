//! `ping`: the round trip to each node.

use std::thread;
use std::time::Duration;

use raft_node::client::{Client, Endpoint, Failure, Options};
use serde::Serialize;

use crate::cli::PingArgs;
use crate::codes::Code;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::explain::one_reason;
use crate::output::{self, Align, BAD, Column, Output, Seconds, Table, VERSION};

const COLUMNS: &[Column] = &[
    ("NODE", Align::Left),
    ("LABEL", Align::Left),
    ("ADDRESS", Align::Left),
    ("MIN", Align::Right),
    ("MEDIAN", Align::Right),
    ("MAX", Align::Right),
    ("", Align::Left),
];

#[derive(Serialize)]
struct PingObject {
    v: u32,
    count: u32,
    nodes: Vec<NodeObject>,
}

#[derive(Serialize)]
struct NodeObject {
    id: Option<u16>,
    label: Option<String>,
    address: String,
    up: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    min_seconds: Option<Seconds>,
    median_seconds: Option<Seconds>,
    max_seconds: Option<Seconds>,
}

pub(crate) fn run(args: &PingArgs, context: &Context, out: &mut Output) -> Result<Exit, CliError> {
    let options = context.options();
    let (options, count) = (&options, args.count);
    let results = thread::scope(|scope| {
        let threads: Vec<_> = context
            .endpoints
            .iter()
            .map(|endpoint| scope.spawn(move || (endpoint, measure(endpoint, options, count))))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("a client's thread doesn't panic"))
            .collect::<Vec<_>>()
    });
    if results.iter().all(|(_, result)| result.is_err()) {
        let reasons = results.iter().filter_map(|(endpoint, result)| {
            let failure = result.as_ref().err()?;
            Some(format!("{endpoint}  {}", one_reason(failure)))
        });
        return Err(CliError::new(Code::CannotConnect, "no node answers")
            .details(reasons)
            .hint("start raft on them, or see --config and --endpoints"));
    }
    if out.is_json() {
        let nodes = results.iter().map(|(endpoint, result)| object(endpoint, result)).collect();
        out.json(&PingObject { v: VERSION, count: args.count, nodes })?;
    } else {
        let mut table = Table::new(COLUMNS);
        for (endpoint, result) in &results {
            let style = result.is_err().then_some(BAD);
            table.row(row(endpoint, result), style);
        }
        out.table(&table)?;
    }
    Ok(Exit::Done)
}

/// The round trips, from the shortest to the longest.
fn measure(endpoint: &Endpoint, options: &Options, count: u32) -> Result<Vec<Duration>, Failure> {
    let endpoints = vec![endpoint.clone()];
    let alone = Options { endpoints, fixed: true, patient: false, ..options.clone() };
    let mut client = Client::new(alone);
    let mut times = Vec::with_capacity(count as usize);
    for _ in 0..count {
        times.push(client.ping()?);
    }
    times.sort();
    Ok(times)
}

fn row(endpoint: &Endpoint, result: &Result<Vec<Duration>, Failure>) -> Vec<String> {
    let mut cells = vec![
        endpoint.node.map_or_else(|| "?".to_owned(), |node| node.to_string()),
        endpoint.label.clone().unwrap_or_else(|| "-".to_owned()),
        endpoint.address.to_string(),
    ];
    match result {
        Ok(times) => {
            let figures = [times[0], times[times.len() / 2], times[times.len() - 1]];
            cells.extend(figures.map(output::duration));
            cells.push(String::new());
        }
        Err(failure) => {
            cells.extend(["-", "-", "-"].map(str::to_owned));
            cells.push(one_reason(failure));
        }
    }
    cells
}

fn object(endpoint: &Endpoint, result: &Result<Vec<Duration>, Failure>) -> NodeObject {
    let times = result.as_ref().ok();
    NodeObject {
        id: endpoint.node.map(|node| node.number()),
        label: endpoint.label.clone(),
        address: endpoint.address.to_string(),
        up: result.is_ok(),
        error: result.as_ref().err().map(one_reason),
        min_seconds: times.map(|times| Seconds(times[0])),
        median_seconds: times.map(|times| Seconds(times[times.len() / 2])),
        max_seconds: times.map(|times| Seconds(times[times.len() - 1])),
    }
}
