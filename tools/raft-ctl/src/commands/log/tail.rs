//! `log tail`: the last entries, and those to come.

use std::time::Duration;

use raft_node::model::Index;

use super::dump::print;
use super::entry::Layout;
use super::{failed, note_live, open};
use crate::cli::TailArgs;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::Output;

/// How often a followed log is looked at again.
const INTERVAL: Duration = Duration::from_millis(250);

pub(super) fn run(args: &TailArgs, out: &mut Output) -> Result<Exit, CliError> {
    let inspection = open(&args.dir)?;
    let range = inspection.range().map_err(|error| failed(&error))?;
    let layout = Layout::of(out, args.full);
    if !out.is_json() {
        out.line(layout.header())?;
    }
    let last = range.map_or(Index::ZERO, |range| range.1);
    let first = Index(last.0.saturating_sub(args.lines) + 1);
    if range.is_some() && args.lines > 0 {
        print(&inspection, (first, last), layout, out)?;
    }
    if !args.follow {
        note_live(&inspection, range.map(|range| range.1.0), out)?;
        return Ok(Exit::Done);
    }
    let mut seen = last;
    loop {
        out.flush()?;
        out.pause(INTERVAL)?;
        // A new look: the files of the one before are those that were there then.
        let inspection = open(&args.dir)?;
        let rest = (seen.next(), Index(u64::MAX));
        if let Some(last) = print(&inspection, rest, layout, out)? {
            seen = last;
        }
    }
}
