//! `log tail`: the last entries, and those to come.

use std::thread;
use std::time::Duration;

use raft_node::model::Index;

use super::dump::print;
use super::{entry, failed, note_live, open};
use crate::cli::TailArgs;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::Output;

/// How often a followed log is looked at again.
const INTERVAL: Duration = Duration::from_millis(250);

pub(super) fn run(args: &TailArgs, out: &mut Output) -> Result<Exit, CliError> {
    let inspection = open(&args.dir)?;
    let range = inspection.range().map_err(|error| failed(&error))?;
    if !out.is_json() {
        out.line(entry::header())?;
    }
    let last = range.map_or(Index::ZERO, |range| range.1);
    let first = Index(last.0.saturating_sub(args.lines) + 1);
    if range.is_some() && args.lines > 0 {
        print(&inspection, first, last, out)?;
    }
    if !args.follow {
        note_live(&inspection, range.map(|range| range.1.0), out)?;
        return Ok(Exit::Done);
    }
    let mut seen = last;
    loop {
        out.flush()?;
        thread::sleep(INTERVAL);
        // A new look: the files of the one before are those that were there then.
        let inspection = open(&args.dir)?;
        if let Some(last) = print(&inspection, seen.next(), Index(u64::MAX), out)? {
            seen = last;
        }
    }
}
