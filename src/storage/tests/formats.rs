//! The bytes on disk, as docs/file-formats.md gives them.

use std::ops::Range;
use std::path::Path;

use bytes::Bytes;

use super::harness::{append, commands, founded, id, options, root, vote};
use super::images::{build, path};
use super::losable::LosableDisk;
use crate::model::{SnapshotId, WriteSeq};
use crate::storage::{FileWork, LogWork};

const PAGE: &str = include_str!("../../../docs/file-formats.md");

/// The bytes that the page shows under this heading: lines of an offset and hexadecimal bytes,
/// lines of zeros left out.
fn shown(heading: &str) -> Vec<(usize, Vec<u8>)> {
    let start =
        PAGE.find(&format!("<!-- golden: {heading} -->")).expect("the page has the example");
    let block = PAGE[start..].split("```").nth(1).expect("the example is fenced");
    block
        .lines()
        .filter_map(|line| {
            let (offset, bytes) = line.split_once(": ")?;
            let offset = usize::from_str_radix(offset.trim(), 16).unwrap();
            let bytes = bytes.split("  ").next().unwrap().split_whitespace();
            Some((offset, bytes.map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()))
        })
        .collect()
}

/// The lines of bytes that aren't all zero.
fn lines(bytes: &[u8], from: usize) -> Vec<(usize, Vec<u8>)> {
    bytes
        .chunks(16)
        .enumerate()
        .filter(|(_, line)| line.iter().any(|&byte| byte != 0))
        .map(|(at, line)| (from + at * 16, line.to_vec()))
        .collect()
}

fn print(lines: &[(usize, Vec<u8>)]) -> String {
    lines
        .iter()
        .map(|(at, bytes)| {
            let bytes: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{at:05x}: {}\n", bytes.join(" "))
        })
        .collect()
}

/// The record of another node that has received this snapshot and not loaded it yet.
fn record_of_receipt(file: &[u8], snapshot: SnapshotId) -> Vec<u8> {
    let disk = LosableDisk::new();
    let mut node = founded(&disk, options());
    let bytes = Bytes::copy_from_slice(file);
    node.files.perform(FileWork::StorePiece { snapshot, offset: 0, bytes }).unwrap();
    disk.bytes(&root().join("snapshots/receipt"))
}

#[test]
fn the_bytes_on_disk_are_those_that_the_page_shows() {
    let disk = LosableDisk::new();
    let mut node = founded(&disk, options());
    append(&mut node.writer, id(0, 1), commands(1, 2, 2, 5));
    let (seq, keep) = (WriteSeq(2), id(1, 3));
    let work = LogWork::Write { seq, hard_state: Some(vote(7, 2)), keep, batches: Vec::new() };
    node.writer.perform(work).unwrap();
    node.writer.perform(LogWork::Stop).unwrap();
    let built = build(&mut node.files, id(1, 3), 20).unwrap();
    drop(node);
    let root = root();
    let segment = root.join("log/0000000000000001-00000000000000000001.seg");
    let mut wrong = String::new();
    let mut expect = |heading: &str, path: &Path, range: Range<usize>| {
        let found = lines(&disk.bytes(path)[range.clone()], range.start);
        if shown(heading) != found {
            wrong.push_str(&format!("[{heading}]\n{}", print(&found)));
        }
    };
    expect("identity", &root.join("identity"), 0..8192);
    expect("hard state", &root.join("hardstate"), 0..65_536);
    expect("segment head", &segment, 0..4096);
    expect("block", &segment, 4608..5120);
    expect("mark", &segment, 5120..16_384);
    let snapshot = path(id(1, 3));
    expect("snapshot head", &snapshot, 0..4096);
    expect("snapshot chunk and foot", &snapshot, 4096..built.bytes as usize);
    let record = lines(&record_of_receipt(&disk.bytes(&snapshot), built), 0);
    if shown("receipt") != record {
        wrong.push_str(&format!("[receipt]\n{}", print(&record)));
    }
    assert!(wrong.is_empty(), "the page shows other bytes than these:\n{wrong}");
}
