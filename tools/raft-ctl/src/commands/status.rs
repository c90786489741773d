//! `status`: every node, its role, its log, how far it is behind.

mod table;

use std::thread;
use std::time::{Duration, Instant};

use raft_node::model::{ClusterId, Epoch};
use raft_node::wire::StatusReply;
use serde::Serialize;

use super::health;
use super::nodes::{Node, Nodes};
use crate::cli::StatusArgs;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::{self, BAD, BOLD, GOOD, Output, Seconds, VERSION, WARN, styled};
use table::{matched, round_trip, table};

/// Over how long the rate of commits is measured.
const RATE_TIME: Duration = Duration::from_millis(100);

#[derive(Serialize)]
struct StatusObject {
    v: u32,
    cluster: Option<String>,
    cluster_name: Option<String>,
    epoch: Option<u64>,
    leader: Option<u16>,
    term: Option<u64>,
    commit: Option<u64>,
    healthy: bool,
    nodes: Vec<NodeObject>,
}

/// A node. Of one that is down, everything behind `up` is null but `error`.
#[derive(Default, Serialize)]
struct NodeObject {
    id: Option<u16>,
    label: Option<String>,
    address: String,
    up: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    role: Option<&'static str>,
    term: Option<u64>,
    commit: Option<u64>,
    applied: Option<u64>,
    last: Option<u64>,
    durable: Option<u64>,
    first: Option<u64>,
    behind: Option<u64>,
    behind_seconds: Option<Seconds>,
    snapshot: Option<u64>,
    log_bytes: Option<u64>,
    state_hash: Option<String>,
    state_hash_index: Option<u64>,
    version: Option<String>,
    voter: Option<bool>,
    incarnation: Option<String>,
    boot: Option<u64>,
    disk_ok: Option<bool>,
    sync_p99_seconds: Option<Seconds>,
    feature_level: Option<u32>,
    storage: Option<&'static str>,
    uptime_seconds: Option<Seconds>,
    keys: Option<u64>,
    state_bytes: Option<u64>,
    clients: Option<u32>,
    segments: Option<u32>,
    writes: Option<u64>,
    /// What the leader knows of it, also where it is down.
    matched: Option<u64>,
    round_trip_seconds: Option<Seconds>,
    waits_for: Vec<u16>,
}

pub(crate) fn run(
    args: &StatusArgs,
    context: &Context,
    out: &mut Output,
) -> Result<Exit, CliError> {
    let Some(interval) = args.watch else {
        let nodes = Nodes::ask(context);
        nodes.require_any()?;
        show(&nodes, None, context, out)?;
        return Ok(Exit::Done);
    };
    let mut before: Option<(Instant, u64)> = None;
    let mut asked_before = false;
    loop {
        let start = Instant::now();
        let nodes = Nodes::ask(context);
        if out.is_terminal() {
            out.clear_screen()?;
        } else if asked_before && !out.is_json() {
            out.line("")?;
        }
        asked_before = true;
        let commit = nodes.commit().map(|commit| commit.0);
        let rate = before
            .zip(commit)
            .map(|((at, old), new)| new.saturating_sub(old) as f64 / at.elapsed().as_secs_f64());
        show(&nodes, rate, context, out)?;
        before = commit.map(|commit| (start, commit));
        out.pause(interval.saturating_sub(start.elapsed()))?;
    }
}

fn show(
    nodes: &Nodes,
    rate: Option<f64>,
    context: &Context,
    out: &mut Output,
) -> Result<(), CliError> {
    let reasons = health::reasons(nodes);
    if out.is_json() {
        return out.json(&object(nodes, reasons.is_empty()));
    }
    let rate = rate.or_else(|| measured_rate(nodes, context));
    let (table, version) = table(nodes, out.width());
    for line in heading(nodes, rate, version, reasons.is_empty(), out.width()) {
        out.line(line)?;
    }
    out.table(&table)?;
    for reason in &reasons {
        out.words(&format!("{} {}", styled(WARN, "!"), health::line(reason)), 17)?;
    }
    Ok(())
}

/// How many entries a second are committed just now.
fn measured_rate(nodes: &Nodes, context: &Context) -> Option<f64> {
    let leader = nodes.leader()?;
    let endpoint = nodes.nodes.iter().find(|node| node.id() == Some(leader.node.id))?;
    let mut options = context.options();
    options.endpoints = vec![endpoint.endpoint.clone()];
    options.fixed = true;
    options.timeout = options.timeout.min(Duration::from_secs(1));
    let mut client = raft_node::client::Client::new(options);
    let first = client.status().ok()?;
    let start = Instant::now();
    thread::sleep(RATE_TIME);
    let second = client.status().ok()?;
    let entries = second.commit.0.saturating_sub(first.commit.0);
    Some(entries as f64 / start.elapsed().as_secs_f64())
}

/// `cluster 6f1d2c  leader 2 "B" since 3d 4h (term 7)  voters 3/3 up  commit 883,410 (2,114/s)`,
/// in as many lines as the width asks for.
fn heading(
    nodes: &Nodes,
    rate: Option<f64>,
    version: Option<&str>,
    healthy: bool,
    width: usize,
) -> Vec<String> {
    let mut parts = Vec::new();
    let best = nodes.best();
    parts.push(match best.map(|status| (status.cluster, status.epoch)) {
        Some((Some(cluster), epoch)) => named(cluster, epoch),
        Some((None, _)) => "cluster not formed".to_owned(),
        None => styled(BAD, "no node answers"),
    });
    match nodes.leader() {
        Some(leader) => parts.push(format!(
            "leader {} \"{}\" since {} (term {})",
            styled(BOLD, leader.node.id),
            leader.label.escape_debug(),
            output::since(leader.role_for),
            leader.term
        )),
        None => parts.push(styled(BAD, "no leader")),
    }
    let (voters, up) = nodes.voters();
    let up_text = format!("voters {}/{} up", up.len(), voters.len());
    parts.push(if up.len() == voters.len() { up_text } else { styled(WARN, up_text) });
    if let Some(commit) = nodes.commit() {
        let rate = rate.map_or_else(String::new, |rate| {
            format!(" ({}/s)", output::count(rate.round() as u64))
        });
        parts.push(format!("commit {}{rate}", output::count(commit.0)));
    }
    if let Some(storage) = best.map(|status| status.storage)
        && storage != raft_node::wire::StorageKind::Synced
    {
        parts.push(styled(WARN, storage.name()));
    }
    parts.extend(version.map(|version| format!("version {version}")));
    parts.push(if healthy { styled(GOOD, "healthy") } else { styled(BAD, "unhealthy") });
    // Where one line is too short for all, the second begins with the voters.
    match output::flowed(&parts, width) {
        lines if lines.len() == 1 => lines,
        _ => vec![parts[..2].join("  "), parts[2..].join("  ")],
    }
}

/// A cluster, and its epoch where a majority was given up before.
fn named(cluster: ClusterId, epoch: Epoch) -> String {
    let cluster = short(&cluster.to_string());
    match epoch {
        Epoch(0 | 1) => format!("cluster {cluster}"),
        later => format!("cluster {cluster} epoch {later}"),
    }
}

/// The beginning of an id, which is enough for people.
fn short(id: &str) -> String {
    id.chars().take(6).collect()
}

fn object(nodes: &Nodes, healthy: bool) -> StatusObject {
    let best = nodes.best();
    let formed = best.filter(|status| status.cluster.is_some());
    StatusObject {
        v: VERSION,
        cluster: best.and_then(|status| status.cluster).map(|cluster| cluster.to_string()),
        cluster_name: best.map(|status| status.cluster_name.clone()),
        epoch: formed.map(|status| status.epoch.0),
        leader: nodes.leader().map(|leader| leader.node.id.number()),
        term: nodes.up().map(|status| status.term.0).max(),
        commit: nodes.commit().map(|commit| commit.0),
        healthy,
        nodes: nodes.nodes.iter().map(|node| node_object(nodes, node)).collect(),
    }
}

fn node_object(nodes: &Nodes, node: &Node) -> NodeObject {
    let known = NodeObject {
        id: node.id().map(|id| id.number()),
        label: node.label().map(str::to_owned),
        address: node.endpoint.address.to_string(),
        up: node.status().is_some(),
        error: node.reason(),
        matched: matched(nodes, node).map(|matched| matched.0),
        round_trip_seconds: round_trip(nodes, node).map(Seconds),
        ..NodeObject::default()
    };
    match node.status() {
        Some(status) => figures(nodes, status, known),
        None => known,
    }
}

fn figures(nodes: &Nodes, status: &StatusReply, known: NodeObject) -> NodeObject {
    let (behind, behind_time) = nodes.behind(status);
    NodeObject {
        role: Some(status.role.name()),
        term: Some(status.term.0),
        commit: Some(status.commit.0),
        applied: Some(status.applied.0),
        last: Some(status.last.0),
        durable: Some(status.durable.0),
        first: Some(status.first.0),
        behind: Some(behind),
        behind_seconds: Some(Seconds(behind_time)),
        snapshot: Some(status.snapshot.0),
        log_bytes: Some(status.log_bytes),
        state_hash: Some(format!("{:032x}", status.state_hash)),
        state_hash_index: Some(status.state_hash_index.0),
        version: Some(status.version.clone()),
        voter: Some(status.voter),
        incarnation: Some(status.node.incarnation.to_string()),
        boot: Some(status.boot.0),
        disk_ok: Some(status.disk_ok),
        sync_p99_seconds: status.sync_p99.map(Seconds),
        feature_level: Some(status.feature_level),
        storage: Some(status.storage.name()),
        uptime_seconds: Some(Seconds(status.uptime)),
        keys: Some(status.keys),
        state_bytes: Some(status.state_bytes),
        clients: Some(status.clients),
        segments: Some(status.segments),
        writes: Some(status.writes),
        waits_for: status.waits_for.iter().map(|awaited| awaited.id.number()).collect(),
        ..known
    }
}
