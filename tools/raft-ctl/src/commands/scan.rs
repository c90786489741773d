//! `scan` and `export`: keys in order, page by page.

use std::os::unix::ffi::OsStrExt;

use raft_node::client::{Client, Page, Record, Seen};
use raft_node::kv::{MAX_ANSWER_BYTES, MAX_KEY_BYTES, Scan};
use raft_node::model::Index;
use serde::Serialize;

use crate::cli::{ExportArgs, ScanArgs};
use crate::codes::Code;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::explain;
use crate::output::{self, Blob, DIM, Output, VERSION, styled};
use crate::progress::Progress;

/// A key, as `--json` and `export` print it.
#[derive(Serialize)]
struct RecordObject<'a> {
    key: Blob<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Blob<'a>>,
    version: u64,
    mod_index: u64,
}

/// The last line of `scan --json`.
#[derive(Serialize)]
struct EndObject<'a> {
    v: u32,
    end: bool,
    keys: u64,
    read_index: u64,
    cursor: Option<Blob<'a>>,
}

impl<'a> From<&'a Record> for RecordObject<'a> {
    fn from(record: &'a Record) -> RecordObject<'a> {
        RecordObject {
            key: Blob(&record.key),
            value: record.value.as_deref().map(Blob),
            version: record.version,
            mod_index: record.mod_index.0,
        }
    }
}

pub(crate) fn scan(args: &ScanArgs, context: &Context, out: &mut Output) -> Result<Exit, CliError> {
    let prefix = args.prefix.as_bytes();
    let from = args.from.as_ref().map_or(&b""[..], |from| from.as_bytes());
    for (what, bytes) in [("PREFIX", prefix), ("--from", from)] {
        bounded(what, bytes)?;
    }
    let mut pages = Pages::new(context, prefix, from, args.limit, args.keys_only);
    let mut read_index = 0;
    while let Some(page) = pages.next()? {
        read_index = page.read_index.0;
        for record in &page.answer.records {
            if out.is_json() {
                out.json(&RecordObject::from(record))?;
            } else {
                out.line(line(record, args.full, out))?;
            }
        }
        out.flush()?;
    }
    let cursor = pages.cursor.as_deref();
    if out.is_json() {
        let (keys, cursor) = (pages.told, cursor.map(Blob));
        out.json(&EndObject { v: VERSION, end: true, keys, read_index, cursor })?;
    } else if out.is_terminal() {
        let more = cursor.map_or(String::new(), |cursor| {
            format!("; more follow: --from {}", output::shell_quoted(cursor))
        });
        let keys = if pages.told == 1 { "key" } else { "keys" };
        out.line(styled(DIM, format!("{} {keys}{more}", output::count(pages.told))))?;
    }
    Ok(Exit::Done)
}

fn line(record: &Record, full: bool, out: &Output) -> String {
    let room = match out.is_terminal() && !full {
        true => out.width(),
        false => usize::MAX,
    };
    let key = output::quoted_within(&record.key, room);
    let Some(value) = &record.value else { return key };
    let room = room.saturating_sub(output::columns(&key) + 3).max(24);
    format!("{key} = {}", output::quoted_within(value, room))
}

pub(crate) fn export(
    args: &ExportArgs,
    context: &Context,
    out: &mut Output,
) -> Result<Exit, CliError> {
    let prefix = args.prefix.as_bytes();
    bounded("PREFIX", prefix)?;
    let mut pages = Pages::new(context, prefix, b"", None, false);
    let mut progress = Progress::counting("exported", !out.is_terminal());
    let mut moments: Option<(Index, Index)> = None;
    loop {
        let page = match pages.next() {
            Ok(Some(page)) => page,
            Ok(None) => break,
            Err(error) => {
                progress.clear();
                out.flush()?;
                return Err(pages.stopped(error));
            }
        };
        for record in &page.answer.records {
            out.json(&RecordObject::from(record))?;
        }
        out.flush()?;
        let first = moments.map_or(page.read_index, |(first, _)| first);
        moments = Some((first, page.read_index));
        progress.set(pages.told);
    }
    progress.finish(&format!("{} keys exported", output::count(pages.told)));
    if let Some((first, last)) = moments.filter(|(first, last)| first != last) {
        let (first, last) = (output::count(first.0), output::count(last.0));
        output::note(&format!(
            "note: read between the entries {first} and {last}, so it is no image of one moment: a \
             key that was changed meanwhile is as it was or as it is"
        ));
    }
    Ok(Exit::Done)
}

fn bounded(what: &str, bytes: &[u8]) -> Result<(), CliError> {
    if bytes.len() <= MAX_KEY_BYTES as usize {
        return Ok(());
    }
    let message = format!("{what} has {} bytes, {MAX_KEY_BYTES} are allowed", bytes.len());
    Err(CliError::new(Code::TooLarge, message).hint("nothing was sent"))
}

/// Reads page after page.
struct Pages<'a> {
    context: &'a Context,
    client: Client,
    prefix: &'a [u8],
    limit: Option<u64>,
    keys_only: bool,
    /// Where the next page begins; `None` behind the last one.
    cursor: Option<Vec<u8>>,
    /// How many keys there were so far.
    told: u64,
}

impl<'a> Pages<'a> {
    fn new(
        context: &'a Context,
        prefix: &'a [u8],
        from: &[u8],
        limit: Option<u64>,
        keys_only: bool,
    ) -> Pages<'a> {
        let (client, cursor) = (context.client(), Some(from.to_vec()));
        Pages { context, client, prefix, limit, keys_only, cursor, told: 0 }
    }

    fn next(&mut self) -> Result<Option<Seen<Page>>, CliError> {
        let Some(cursor) = &self.cursor else { return Ok(None) };
        let limit = match self.limit.map(|limit| limit.saturating_sub(self.told)) {
            Some(0) => return Ok(None),
            Some(left) => u32::try_from(left).unwrap_or(u32::MAX),
            None => u32::MAX,
        };
        let scan = Scan {
            prefix: self.prefix,
            from: cursor,
            limit,
            max_bytes: MAX_ANSWER_BYTES,
            keys_only: self.keys_only,
        };
        let mut page =
            self.client.scan(&scan).map_err(|failure| explain::failed(&failure, self.context))?;
        self.told += page.answer.records.len() as u64;
        self.cursor = page.answer.cursor.take();
        Ok(Some(page))
    }

    /// Says how far it came.
    fn stopped(&self, error: CliError) -> CliError {
        let next = self.cursor.as_deref().unwrap_or_default();
        error.detail(format!(
            "{} keys were written; the next one is at or behind {}",
            output::count(self.told),
            output::quoted(next)
        ))
    }
}
