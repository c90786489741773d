//! `log stat`: entries counted by what they do.

use std::collections::BTreeMap;

use raft_node::model::Index;
use raft_node::storage::StoredEntry;
use serde::Serialize;

use super::entry::{KINDS, Told};
use super::{failed, note_live, open};
use crate::cli::StatArgs;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::{self, Output, Table, VERSION};

#[derive(Default, Serialize)]
struct Statistics {
    v: u32,
    live: bool,
    first: Option<u64>,
    last: Option<u64>,
    entries: u64,
    bytes: u64,
    blocks: u64,
    first_term: Option<u64>,
    last_term: Option<u64>,
    first_time: Option<String>,
    last_time: Option<String>,
    seconds: f64,
    types: BTreeMap<String, Kind>,
}

#[derive(Default, Serialize)]
struct Kind {
    entries: u64,
    bytes: u64,
    largest_bytes: u32,
}

pub(super) fn run(args: &StatArgs, out: &mut Output) -> Result<Exit, CliError> {
    let inspection = open(&args.dir)?;
    let mut statistics =
        Statistics { v: VERSION, live: inspection.is_live(), ..Statistics::default() };
    let mut times = None;
    let mut each = |entry: StoredEntry| {
        let time = entry.header.time.0;
        times = Some((times.map_or(time, |(first, _)| first), time));
        statistics.add(&entry);
        true
    };
    inspection.entries(Index(0), Index(u64::MAX), &mut each).map_err(|error| failed(&error))?;
    if let Some((first, last)) = times {
        statistics.first_time = Some(output::wall_time(first));
        statistics.last_time = Some(output::wall_time(last));
        statistics.seconds = last.saturating_sub(first) as f64 / 1e9;
    }
    if out.is_json() {
        out.json(&statistics)?;
    } else {
        statistics.text(out)?;
        note_live(&inspection, statistics.last, out)?;
    }
    Ok(Exit::Done)
}

impl Statistics {
    fn add(&mut self, entry: &StoredEntry) {
        let id = entry.header.id;
        self.first.get_or_insert(id.index.0);
        self.last = Some(id.index.0);
        self.first_term.get_or_insert(id.term.0);
        self.last_term = Some(id.term.0);
        self.entries += 1;
        self.bytes += u64::from(entry.encoded_bytes);
        self.blocks += u64::from(entry.ends_block);
        let kind = self.types.entry(Told::of(entry).kind).or_default();
        kind.entries += 1;
        kind.bytes += u64::from(entry.encoded_bytes);
        kind.largest_bytes = kind.largest_bytes.max(entry.encoded_bytes);
    }

    fn text(&self, out: &mut Output) -> Result<(), CliError> {
        let (Some(first), Some(last)) = (self.first, self.last) else {
            return out.line("the log holds no entry");
        };
        out.line(format!(
            "entries {}..{}  {}  {} blocks, {:.1} entries each",
            output::count(first),
            output::count(last),
            output::bytes(self.bytes),
            output::count(self.blocks),
            self.entries as f64 / self.blocks.max(1) as f64
        ))?;
        out.line(format!(
            "terms {}..{}  {} .. {}",
            self.first_term.unwrap_or_default(),
            self.last_term.unwrap_or_default(),
            self.first_time.as_deref().unwrap_or("-"),
            self.last_time.as_deref().unwrap_or("-")
        ))?;
        out.line("")?;
        let mut kinds: Vec<_> = self.types.iter().collect();
        kinds.sort_by_key(|(_, kind)| std::cmp::Reverse(kind.entries));
        let mut table = Table::new(KINDS);
        for (name, kind) in kinds {
            let share = 100.0 * kind.entries as f64 / self.entries as f64;
            let cells = vec![
                name.clone(),
                output::count(kind.entries),
                format!("{share:.1} %"),
                output::bytes(kind.bytes),
                output::bytes(kind.bytes / kind.entries.max(1)),
                output::bytes(u64::from(kind.largest_bytes)),
            ];
            table.row(cells, None);
        }
        out.table(&table)
    }
}
