//! `log ls`: the segments.

use raft_node::model::Index;
use raft_node::storage::SegmentSummary;
use serde::Serialize;

use super::{failed, note_live, open};
use crate::cli::LsArgs;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::{self, Align, Column, Output, Table, VERSION};

const COLUMNS: &[Column] = &[
    ("ORDINAL", Align::Left),
    ("FIRST", Align::Right),
    ("LAST", Align::Right),
    ("ENTRIES", Align::Right),
    ("BLOCKS", Align::Right),
    ("USED", Align::Right),
    ("FILE", Align::Right),
    ("", Align::Left),
];

/// A segment, as `--json` prints it.
#[derive(Serialize)]
pub(super) struct SegmentObject<'a> {
    name: &'a str,
    ordinal: u64,
    first: Option<u64>,
    last: Option<u64>,
    entries: u64,
    blocks: u64,
    before_index: u64,
    before_term: u64,
    reset: bool,
    used_bytes: u64,
    file_bytes: u64,
}

impl<'a> From<&'a SegmentSummary> for SegmentObject<'a> {
    fn from(segment: &'a SegmentSummary) -> SegmentObject<'a> {
        SegmentObject {
            name: &segment.name,
            ordinal: segment.ordinal,
            first: segment.entries.map(|entries| entries.0.0),
            last: segment.entries.map(|entries| entries.1.0),
            entries: segment.entry_count,
            blocks: segment.blocks,
            before_index: segment.before.index.0,
            before_term: segment.before.term.0,
            reset: segment.reset,
            used_bytes: segment.end,
            file_bytes: segment.file_bytes,
        }
    }
}

#[derive(Serialize)]
struct Listing<'a> {
    v: u32,
    live: bool,
    segments: Vec<SegmentObject<'a>>,
}

pub(super) fn run(args: &LsArgs, out: &mut Output) -> Result<Exit, CliError> {
    let inspection = open(&args.dir)?;
    let verification = inspection.verify().map_err(|error| failed(&error))?;
    let segments = &verification.segments;
    if out.is_json() {
        let segments = segments.iter().map(SegmentObject::from).collect();
        out.json(&Listing { v: VERSION, live: inspection.is_live(), segments })?;
        return Ok(Exit::Done);
    }
    let mut table = Table::new(COLUMNS);
    for (place, segment) in segments.iter().enumerate() {
        // The first segment of every log begins anew; only a later one replaces something.
        let replaces = segment.reset && (place > 0 || segment.before.index > Index::ZERO);
        table.row(row(segment, replaces), None);
    }
    out.table(&table)?;
    note_live(&inspection, verification.entries.map(|entries| entries.1.0), out)?;
    Ok(Exit::Done)
}

fn row(segment: &SegmentSummary, replaces: bool) -> Vec<String> {
    let index = |index: Option<u64>| index.map_or_else(|| "-".to_owned(), output::count);
    vec![
        format!("{:016x}", segment.ordinal),
        index(segment.entries.map(|entries| entries.0.0)),
        index(segment.entries.map(|entries| entries.1.0)),
        output::count(segment.entry_count),
        output::count(segment.blocks),
        output::bytes(segment.end),
        output::bytes(segment.file_bytes),
        if replaces { "replaces those before".to_owned() } else { String::new() },
    ]
}
