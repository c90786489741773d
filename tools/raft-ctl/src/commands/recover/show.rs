//! Plans, for people.

use super::plan::{Kept, Plan};
use super::survivor::{SeatObject, Survivor};
use crate::cli::PlanArgs;
use crate::error::CliError;
use crate::output::{self, Align, BAD, BOLD, Column, GOOD, Output, Table, WARN, styled};

const COLUMNS: &[Column] = &[
    ("NODE", Align::Left),
    ("ADDRESS", Align::Left),
    ("LAST ENTRY", Align::Right),
    ("AT", Align::Left),
    ("SNAPSHOT", Align::Right),
    ("TERM", Align::Right),
    ("VOTE", Align::Right),
    ("STARTS", Align::Right),
    ("", Align::Left),
];

pub(super) fn survivor(one: &Survivor, out: &mut Output) -> Result<(), CliError> {
    out.line(styled(BOLD, format!("node {}", one.node)))?;
    out.line(format!("  incarnation  {}", one.incarnation))?;
    out.line(format!("  cluster      {} epoch {}", one.cluster, one.epoch))?;
    let vote = one.voted_for.map_or("nobody".to_owned(), |node| format!("node {node}"));
    out.line(format!("  term         {}, voted for {vote}, {} starts", one.term, one.boot))?;
    let time = output::wall_time(one.last_time_nanoseconds);
    out.line(format!("  last entry   {} at {time}", one.last))?;
    let snapshot = one
        .newest_snapshot()
        .map_or("none".to_owned(), |place| format!("{place}; entries up to there were committed"));
    out.line(format!("  snapshot     {snapshot}"))?;
    out.line(format!("  members      as of entry {}", output::count(one.configuration_index)))?;
    seats(&one.seats, out)
}

fn seats(seats: &[SeatObject], out: &mut Output) -> Result<(), CliError> {
    for seat in seats {
        let absent = if seat.incarnation.is_none() { ", absent" } else { "" };
        out.line(format!("    {:<5}  {}  {}{absent}", seat.id, seat.address, seat.standing))?;
    }
    Ok(())
}

pub(super) fn plan(plan: &Plan, args: &PlanArgs, out: &mut Output) -> Result<(), CliError> {
    let hash = plan.hash();
    out.line(styled(BOLD, format!("plan {hash}")))?;
    out.words(
        &format!(
            "cluster {}: epoch {} ends, epoch {} begins in term {}",
            plan.cluster, plan.epoch_before, plan.epoch, plan.term
        ),
        2,
    )?;
    out.line("")?;
    out.line("go on, as the only voters:")?;
    let mut table = Table::new(COLUMNS);
    for kept in &plan.survivors {
        table.row(row(plan, kept), None);
    }
    out.table(&table)?;
    out.line("")?;
    out.line("are given up for good:")?;
    seats(&plan.given_up, out)?;
    if !plan.left_out.is_empty() {
        let nodes: Vec<String> = plan.left_out.iter().map(u16::to_string).collect();
        out.line(format!(
            "    of these, {} is left out, and its directory given",
            nodes.join(", ")
        ))?;
    }
    out.line("")?;
    for line in consequences(plan) {
        out.words(&line, 8)?;
    }
    out.line("")?;
    out.words(&format!("next: raft-ctl recover apply --plan {hash} {}", rest(args)), 6)
}

fn row(plan: &Plan, kept: &Kept) -> Vec<String> {
    let address = plan.seats.iter().find(|seat| seat.id == kept.node);
    let note = if kept.node == plan.base {
        "the others follow it".to_owned()
    } else if kept.common.is_none() {
        "gets a snapshot and what follows".to_owned()
    } else {
        format!("gets {} entries", output::count(kept.behind(plan)))
    };
    vec![
        kept.node.to_string(),
        address.map(|seat| seat.address.clone()).unwrap_or_default(),
        kept.last.to_string(),
        output::wall_time(kept.last_time_nanoseconds),
        kept.snapshot.map_or("-".to_owned(), |place| place.to_string()),
        kept.term.to_string(),
        kept.voted_for.map_or("-".to_owned(), |node| node.to_string()),
        kept.boot.to_string(),
        note,
    ]
}

/// What becomes of the data, a sentence each.
fn consequences(plan: &Plan) -> Vec<String> {
    let mut lines = Vec::new();
    let last = output::count(plan.last.index);
    lines.push(format!(
        "{}  all entries of node {}, up to {last}, count as committed from now on",
        styled(GOOD, "kept  "),
        plan.base
    ));
    if plan.committed < plan.last.index {
        lines.push(format!(
            "{}  entries {}..{last} may have been committed or not; that isn't noted on disk. A \
             request that was answered with \"unknown\" may turn out as done",
            styled(WARN, "unsure"),
            output::count(plan.committed + 1),
        ));
    }
    for kept in &plan.survivors {
        if let Some((first, last)) = kept.replaced() {
            lines.push(format!(
                "{}  entries {}..{} of node {} are replaced by those of node {}; they were never \
                 committed",
                styled(WARN, "gone  "),
                output::count(first),
                output::count(last),
                kept.node,
                plan.base
            ));
        }
        if kept.torn_bytes > 0 {
            lines.push(format!(
                "{}  {} bytes of an unfinished block at the end of node {}'s log; they were never \
                 acknowledged",
                styled(WARN, "gone  "),
                output::count(kept.torn_bytes),
                kept.node
            ));
        }
    }
    let time = output::wall_time(plan.last_time_nanoseconds);
    lines.push(match plan.may_lose {
        true => format!(
            "{}  whatever was acknowledged behind entry {last} (log time {time}): those that are \
             given up could do that without the others, and nothing here can tell",
            styled(BAD, "lost  ")
        ),
        false => format!(
            "{}  nothing that was acknowledged: each majority had one of those that are left in it",
            styled(GOOD, "lost  ")
        ),
    });
    let voters = plan.seats.len();
    lines.push(format!(
        "then    {voters} {}, of which {} may fail; add members as soon as you can",
        if voters == 1 { "voter" } else { "voters" },
        (voters - 1) / 2
    ));
    lines
}

/// What the next command is to be given.
fn rest(args: &PlanArgs) -> String {
    let quoted = |path: &std::path::Path| output::shell_quoted(path.as_os_str().as_encoded_bytes());
    if args.survivors.iter().all(|path| path.is_dir()) {
        let keep: Vec<String> = args.keep.iter().map(u16::to_string).collect();
        let keep =
            if keep.is_empty() { String::new() } else { format!("--keep {} ", keep.join(",")) };
        let dirs: Vec<String> = args.survivors.iter().map(|path| quoted(path)).collect();
        return format!("{keep}{}", dirs.join(" "));
    }
    match &args.save {
        Some(path) => format!("--from {} DIR, on the host of each", quoted(path)),
        None => "--from FILE DIR, on the host of each; --save FILE writes that file".to_owned(),
    }
}

/// What is left to do when the plan is carried out here.
pub(super) fn next(plan: &Plan, missing: &[u16], out: &mut Output) -> Result<(), CliError> {
    if missing.is_empty() {
        let nodes: Vec<String> = plan.seats.iter().map(|seat| seat.id.to_string()).collect();
        return out
            .words(&format!("next: start raft on {}, then `raft-ctl status`", listed(&nodes)), 6);
    }
    let nodes: Vec<String> = missing.iter().map(u16::to_string).collect();
    out.words(
        &format!(
            "next: the same with --from, on {}; start the nodes when all are done",
            listed(&nodes)
        ),
        6,
    )
}

fn listed(nodes: &[String]) -> String {
    let word = if nodes.len() == 1 { "node" } else { "nodes" };
    format!("{word} {}", nodes.join(" and "))
}
