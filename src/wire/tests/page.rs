//! docs/wire-protocol.md against the code.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::samples::{answers, batch, encoded, frames, hellos};
use crate::wire::*;

const PAGE: &str = include_str!("../../../docs/wire-protocol.md");

/// The blocks of hexadecimal bytes on the page, by name. What stands behind two spaces in a line
/// is said of the bytes.
fn blocks() -> BTreeMap<String, Vec<u8>> {
    let mut blocks = BTreeMap::new();
    let mut lines = PAGE.lines();
    while let Some(line) = lines.next() {
        let Some(name) = line.strip_prefix("```hex ") else { continue };
        let mut bytes = Vec::new();
        for line in lines.by_ref().take_while(|line| *line != "```") {
            let digits = line.split("  ").next().unwrap();
            for digits in digits.split(' ').filter(|digits| !digits.is_empty()) {
                bytes.push(u8::from_str_radix(digits, 16).expect("two hexadecimal digits"));
            }
        }
        assert!(blocks.insert(name.to_owned(), bytes).is_none(), "{name} is there twice");
    }
    blocks
}

/// Everything that the page has to show.
fn samples() -> Vec<(&'static str, Bytes)> {
    let mut samples = vec![("entry", batch(&[(6, 811)]).bytes())];
    for (name, hello) in hellos() {
        samples.push((name, encoded(|out| hello.encode(out))));
    }
    for (name, answer) in answers() {
        samples.push((name, encoded(|out| answer.encode(out))));
    }
    samples.extend(frames().into_iter().map(|(name, _, bytes, _)| (name, bytes)));
    samples
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x} ")).collect()
}

#[test]
fn the_bytes_of_every_message_are_those_of_the_page() {
    let mut blocks = blocks();
    for (name, bytes) in samples() {
        let shown = blocks.remove(name).unwrap_or_else(|| panic!("the page lacks {name}"));
        assert_eq!(hex(&shown), hex(&bytes), "{name}");
    }
    assert!(blocks.is_empty(), "the page shows what there isn't: {:?}", blocks.keys());
}

#[test]
fn every_kind_has_its_bytes_on_the_page() {
    for kind in Kind::ALL {
        let shown = frames().iter().any(|(_, _, bytes, _)| bytes[8] == *kind as u8);
        assert!(shown, "{kind}");
        let (least, most) = kind.bounds();
        assert_row(&[
            &format!("0x{:02x}", *kind as u8),
            &format!("`{kind}`"),
            &least.to_string(),
            &most.to_string(),
            kind.meaning(),
        ]);
    }
    assert_rows_under("| kind | name |", Kind::ALL.len());
}

#[test]
fn every_code_is_on_the_page_as_it_is() {
    let yes_or_no = |yes| if yes { "yes" } else { "no" };
    for code in RefusalCode::ALL {
        let number = (*code as u16).to_string();
        let name = format!("`{}`", code.name());
        assert_row(&[&number, &name, yes_or_no(code.retry_safe()), code.meaning()]);
        assert_eq!(RefusalCode::from_number(*code as u16), Some(*code));
    }
    assert_rows_under("| code | name |", RefusalCode::ALL.len());
    for code in HelloRefusal::ALL {
        let name = format!("`{}`", code.name().unwrap());
        assert_row(&[&code.0.to_string(), &name, yes_or_no(code.is_guard()), code.meaning()]);
    }
    assert_rows_under("| verdict | name |", HelloRefusal::ALL.len());
    for consistency in [Consistency::Linearizable, Consistency::Lease, Consistency::Stale] {
        let row = format!("| {} | `{}` |", consistency as u8, consistency.name());
        assert!(PAGE.contains(&row), "{row}");
    }
}

fn assert_row(cells: &[&str]) {
    let row = format!("| {} |", cells.join(" | "));
    assert!(PAGE.lines().any(|line| line == row), "the page lacks the line\n{row}");
}

/// The table that begins so has this many rows, so none but those of the code.
fn assert_rows_under(head: &str, rows: usize) {
    let mut lines = PAGE.lines().skip_while(|line| !line.starts_with(head));
    assert!(lines.next().is_some() && lines.next().is_some(), "the page lacks {head}");
    assert_eq!(lines.take_while(|line| line.starts_with('|')).count(), rows, "{head}");
}

#[test]
fn names_are_snake_case_and_unique() {
    let codes = RefusalCode::ALL.iter().map(|code| code.name());
    let hellos = HelloRefusal::ALL.iter().filter_map(|code| code.name());
    let kinds = Kind::ALL.iter().map(|kind| kind.name());
    for names in [codes.collect::<Vec<_>>(), hellos.collect(), kinds.collect()] {
        let mut unique = names.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), names.len());
        for name in names {
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
        }
    }
}

#[test]
fn the_figures_of_the_page_are_those_of_the_code() {
    assert_eq!(crc32fast::hash(b"123456789"), 0xcbf4_3926);
    assert_eq!((MAX_TEXT_BYTES, MAX_HELLO_BYTES, MAX_BULK_FRAME_BYTES), (1_024, 8_192, 65_536));
    assert_eq!(MAX_COUNTER, 1 << 62);
    assert_eq!((PROTOCOL.lowest, PROTOCOL.highest), (1, 1));
    assert_eq!(crate::model::MAX_ENTRY_BYTES, 8_388_608);
    assert_eq!(crate::model::MAX_SEATS, 64);
}
