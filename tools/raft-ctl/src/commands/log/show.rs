//! `log show`: everything about one entry.

use raft_node::model::Index;
use raft_node::storage::StoredEntry;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::entry::{EntryObject, Told};
use super::{failed, open};
use crate::cli::ShowArgs;
use crate::codes::Code;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::{self, BOLD, Output, OwnedBlob, styled};

/// How much of a payload is shown as bytes.
const SHOWN_BYTES: usize = 512;

pub(super) fn run(args: &ShowArgs, out: &mut Output) -> Result<Exit, CliError> {
    let inspection = open(&args.dir)?;
    let index = Index(args.index);
    let mut found = None;
    let mut each = |entry: StoredEntry| {
        found = Some(entry);
        false
    };
    inspection.entries(index, index, &mut each).map_err(|error| failed(&error))?;
    let Some(entry) = found else {
        let range = inspection.range().map_err(|error| failed(&error))?;
        let holds = range.map_or_else(
            || "the log holds no entry".to_owned(),
            |(first, last)| format!("the log holds {first}..{last}"),
        );
        return Err(CliError::new(Code::NotFound, format!("there is no entry {index}: {holds}")));
    };
    if out.is_json() {
        out.json(&EntryObject::new(&entry))?;
    } else {
        text(&entry, args.full, out)?;
    }
    Ok(Exit::Done)
}

fn text(entry: &StoredEntry, full: bool, out: &mut Output) -> Result<(), CliError> {
    let told = Told::of(entry);
    out.line(styled(BOLD, format!("entry {}  {}", entry.header.id.index, told.kind)))?;
    out.line(format!("  term      {}", entry.header.id.term))?;
    out.line(format!("  time      {}", output::wall_time(entry.header.time.0)))?;
    out.line(format!("  bytes     {}", entry.encoded_bytes))?;
    out.line(format!("  crc       {:08x}, as computed", entry.checksum))?;
    out.line(format!("  segment   {}", entry.segment))?;
    let end = if entry.ends_block { ", the last of its block" } else { "" };
    out.line(format!("  offset    {:#x}{end}", entry.offset))?;
    let name_columns = told.fields.keys().map(String::len).max().unwrap_or(0).max(9);
    let room = match full {
        true => usize::MAX,
        false => out.width().saturating_sub(name_columns + 3),
    };
    for (name, value) in &told.fields {
        let mut name = name.as_str();
        for line in field(value, room) {
            out.line(format!("  {name:<name_columns$} {line}"))?;
            name = "";
        }
    }
    if entry.payload.is_empty() {
        return Ok(());
    }
    out.line("")?;
    out.line(format!("payload, {} bytes", entry.payload.len()))?;
    let shown = if full { usize::MAX } else { SHOWN_BYTES };
    for (row, bytes) in entry.payload.chunks(16).take(shown.div_ceil(16)).enumerate() {
        out.line(dumped(row * 16, bytes))?;
    }
    let more = entry.payload.len().saturating_sub(shown) as u64;
    if more > 0 {
        out.line(format!("  ... {} more; --full shows them all", output::count(more)))?;
    }
    Ok(())
}

/// The lines of one field.
fn field(value: &Value, room: usize) -> Vec<String> {
    let pairs = |fields: &Map<String, Value>| {
        let pairs: Vec<String> = fields
            .iter()
            .map(|(name, value)| match value.as_str() {
                Some(text) => format!("{name} {text}"),
                None => format!("{name} {value}"),
            })
            .collect();
        output::flowed(&pairs, room)
    };
    if let Ok(OwnedBlob(bytes)) = OwnedBlob::deserialize(value) {
        return vec![output::quoted_within(&bytes, room)];
    }
    match value {
        Value::Array(items) => items.iter().filter_map(Value::as_object).flat_map(pairs).collect(),
        Value::Object(fields) => pairs(fields),
        other => vec![other.to_string()],
    }
}

/// `  00000010  75 73 65 72 3a 31                                |user:1|`
fn dumped(offset: usize, bytes: &[u8]) -> String {
    let hexadecimal: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let letters: String = bytes
        .iter()
        .map(|byte| if (0x20..0x7f).contains(byte) { char::from(*byte) } else { '.' })
        .collect();
    format!("  {offset:08x}  {:<47}  |{letters}|", hexadecimal.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_shown_in_hexadecimal_and_as_letters_within_80_columns() {
        let line = dumped(16, b"user:1\x00\xff89abcdef");
        assert_eq!(
            line,
            "  00000010  75 73 65 72 3a 31 00 ff 38 39 61 62 63 64 65 66  |user:1..89abcdef|"
        );
        assert!(line.len() <= 80);
    }
}
