//! `log dump`: entries, one per line.

use raft_node::model::{Index, LogId};
use raft_node::storage::{Inspection, Meta, RealDisk, StoredEntry};

use super::entry::{EntryObject, Layout};
use super::{failed, note_live, open};
use crate::cli::DumpArgs;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::{DIM, Output, styled};

pub(super) fn run(args: &DumpArgs, out: &mut Output) -> Result<Exit, CliError> {
    if let (Some(from), Some(to)) = (args.from, args.to)
        && from > to
    {
        return Err(CliError::usage(format!("--from {from} is behind --to {to}")));
    }
    let inspection = open(&args.dir)?;
    let meta = inspection.meta().map_err(|error| failed(&error))?;
    let range = inspection.range().map_err(|error| failed(&error))?;
    let snapshots = inspection.snapshots().map_err(|error| failed(&error))?;
    let snapshots: Vec<LogId> = snapshots.iter().map(|stored| stored.last).collect();
    let layout = Layout::of(out, args.full);
    if !out.is_json() {
        out.line(styled(DIM, head(&meta, range, snapshots.first())))?;
        out.line(layout.header())?;
    }
    let from = Index(args.from.unwrap_or(0));
    let to = Index(args.to.unwrap_or(u64::MAX));
    print(&inspection, (from, to), layout, out)?;
    note_live(&inspection, range.map(|range| range.1.0), out)?;
    Ok(Exit::Done)
}

/// `# node 3  cluster 6f1d2c...  term 7  voted_for 2  first 120001  last 883411  snapshot 120000@4`
fn head(meta: &Meta, range: Option<(Index, Index)>, snapshot: Option<&LogId>) -> String {
    let cluster = meta.identity.cluster.map_or_else(
        || "none yet".to_owned(),
        |(cluster, _)| cluster.to_string().chars().take(8).collect(),
    );
    let vote = meta.hard_state.vote.map_or_else(|| "nobody".to_owned(), |vote| vote.to_string());
    let (first, last) = range.map_or(("-".to_owned(), "-".to_owned()), |(first, last)| {
        (first.to_string(), last.to_string())
    });
    let snapshot = snapshot.map_or_else(String::new, |snapshot| format!("  snapshot {snapshot}"));
    format!(
        "# node {}  cluster {cluster}  term {}  voted_for {vote}  first {first}  last {last}\
         {snapshot}",
        meta.identity.node, meta.hard_state.term
    )
}

/// Prints the entries from one index to another; the last index that was printed.
pub(super) fn print(
    inspection: &Inspection<RealDisk>,
    (from, to): (Index, Index),
    layout: Layout,
    out: &mut Output,
) -> Result<Option<Index>, CliError> {
    let mut last = None;
    let mut result = Ok(());
    let mut each = |entry: StoredEntry| {
        result = if out.is_json() {
            out.json(&EntryObject::new(&entry))
        } else {
            out.line(layout.line(&entry))
        };
        last = Some(entry.header.id.index);
        result.is_ok()
    };
    let read = inspection.entries(from, to, &mut each);
    // What was printed before the damage is good.
    out.flush()?;
    result?;
    read.map_err(|error| failed(&error))?;
    Ok(last)
}
