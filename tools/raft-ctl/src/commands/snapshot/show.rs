//! `snapshot show`: what the file of a snapshot says of itself.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use raft_node::model::SnapshotId;
use raft_node::storage::{RealDisk, SnapshotFile, SnapshotHead};
use serde::Serialize;
use serde_json::Value;

use super::object::{SnapshotObject, hash, name};
use super::verify::damaged;
use crate::cli::SnapshotFileArgs;
use crate::commands::log::failed;
use crate::commands::seats::{seats_json, standing_name};
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::{self, BOLD, Blob, Output, VERSION, styled};

#[derive(Serialize)]
struct ShowObject<'a> {
    v: u32,
    file: Blob<'a>,
    cluster: String,
    epoch: u64,
    #[serde(flatten)]
    snapshot: SnapshotObject,
    chunks: u64,
    content_bytes: u64,
    configuration_index: u64,
    seats: Value,
}

pub(crate) fn run(args: &SnapshotFileArgs, out: &mut Output) -> Result<Exit, CliError> {
    let opened = SnapshotFile::open(&RealDisk, &args.file).map_err(|error| failed(&error))?;
    let file = opened.map_err(|fault| damaged(&args.file, &fault))?;
    if out.is_json() {
        out.json(&object(&args.file, file.head(), file.id(), file.contents()))?;
    } else {
        text(file.head(), file.id(), file.contents(), out)?;
    }
    Ok(Exit::Done)
}

fn object<'a>(
    path: &'a Path,
    head: &SnapshotHead,
    id: SnapshotId,
    (chunks, content_bytes): (u64, u64),
) -> ShowObject<'a> {
    ShowObject {
        v: VERSION,
        file: Blob(path.as_os_str().as_bytes()),
        cluster: head.cluster.to_string(),
        epoch: head.epoch.0,
        snapshot: SnapshotObject::new(id, head.time),
        chunks,
        content_bytes,
        configuration_index: head.configuration.0.0,
        seats: seats_json(head.configuration.1.seats()),
    }
}

fn text(
    head: &SnapshotHead,
    id: SnapshotId,
    (chunks, content_bytes): (u64, u64),
    out: &mut Output,
) -> Result<(), CliError> {
    out.line(styled(BOLD, format!("snapshot {}", name(id))))?;
    out.line(format!("  cluster  {} epoch {}", head.cluster, head.epoch))?;
    out.line(format!("  time     {}", output::wall_time(head.time.0)))?;
    out.line(format!("  file     {} bytes, hash {}", output::count(id.bytes), hash(id)))?;
    let content = output::bytes(content_bytes);
    out.line(format!("  content  {content} in {} chunks", output::count(chunks)))?;
    let (since, configuration) = &head.configuration;
    out.line(format!("  members  as of entry {}", output::count(since.0)))?;
    for seat in configuration.seats() {
        let absent = if seat.incarnation.is_none() { ", absent" } else { "" };
        let standing = standing_name(seat.standing);
        out.line(format!("    {:<5}  {}  {standing}{absent}", seat.id, seat.address))?;
    }
    Ok(())
}
