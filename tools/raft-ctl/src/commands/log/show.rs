//! `log show`: everything about one entry.

use raft_node::model::Index;
use raft_node::storage::StoredEntry;

use super::entry::{EntryObject, Told};
use super::{failed, open};
use crate::cli::ShowArgs;
use crate::codes::Code;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::{self, BOLD, Output, styled};

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
        text(&entry, out)?;
    }
    Ok(Exit::Done)
}

fn text(entry: &StoredEntry, out: &mut Output) -> Result<(), CliError> {
    let told = Told::of(entry);
    out.line(styled(BOLD, format!("entry {}  {}", entry.header.id.index, told.kind)))?;
    out.line(format!("  term      {}", entry.header.id.term))?;
    out.line(format!("  time      {}", output::wall_time(entry.header.time.0)))?;
    out.line(format!("  bytes     {}", entry.encoded_bytes))?;
    out.line(format!("  crc       {:08x}, as computed", entry.checksum))?;
    out.line(format!("  segment   {}", entry.segment))?;
    let end = if entry.ends_block { ", the last of its block" } else { "" };
    out.line(format!("  offset    {:#x}{end}", entry.offset))?;
    for (name, value) in &told.fields {
        let value = match value.as_str() {
            Some(text) => output::quoted_within(text.as_bytes(), out.width().saturating_sub(12)),
            None => value.to_string(),
        };
        out.line(format!("  {name:<9} {value}"))?;
    }
    if entry.payload.is_empty() {
        return Ok(());
    }
    out.line("")?;
    out.line(format!("payload, {} bytes", entry.payload.len()))?;
    for (row, bytes) in entry.payload.chunks(16).take(SHOWN_BYTES / 16).enumerate() {
        out.line(dumped(row * 16, bytes))?;
    }
    if entry.payload.len() > SHOWN_BYTES {
        out.line(format!("  ... {} more; --json has them all", entry.payload.len() - SHOWN_BYTES))?;
    }
    Ok(())
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
