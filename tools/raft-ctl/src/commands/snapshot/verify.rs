//! `snapshot verify`: every byte of a file, and what the bytes mean.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use raft_node::kv::{LoadError, Loader, Machine};
use raft_node::storage::{RealDisk, Refusal, SnapshotFault, SnapshotFile, SnapshotHead};
use serde::Serialize;

use super::object::{SnapshotObject, name};
use crate::cli::SnapshotFileArgs;
use crate::codes::Code;
use crate::commands::log::failed;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::{self, BAD, Blob, GOOD, Output, VERSION, styled};
use crate::progress::Progress;

#[derive(Serialize)]
struct VerifyObject<'a> {
    v: u32,
    verdict: &'static str,
    file: Blob<'a>,
    #[serde(flatten)]
    snapshot: SnapshotObject,
    keys: Option<u64>,
    sessions: Option<u64>,
    state_hash: Option<String>,
    findings: Vec<FindingObject<'a>>,
}

#[derive(Serialize)]
struct FindingObject<'a> {
    kind: &'static str,
    file: Blob<'a>,
    offset: Option<u64>,
    message: String,
}

/// What came of reading a file.
#[derive(Default)]
struct Verified {
    snapshot: SnapshotObject,
    /// `120,000@4`, where head and foot could be read.
    name: Option<String>,
    bytes: u64,
    machine: Option<Machine>,
    /// What is wrong, and where in the file, if that is known.
    finding: Option<(Option<u64>, String)>,
}

pub(crate) fn run(args: &SnapshotFileArgs, out: &mut Output) -> Result<Exit, CliError> {
    let verified = read(&args.file)?;
    if out.is_json() {
        out.json(&object(&args.file, &verified))?;
    } else {
        text(&args.file, &verified, out)?;
    }
    Ok(if verified.finding.is_some() { Exit::Corrupt } else { Exit::Done })
}

/// Reads everything. Damage is a finding, not an error.
fn read(path: &Path) -> Result<Verified, CliError> {
    let file = match SnapshotFile::open(&RealDisk, path).map_err(|error| failed(&error))? {
        Ok(file) => file,
        Err(fault) => return Ok(Verified { finding: Some(place(&fault)), ..Verified::default() }),
    };
    let (id, head, content) = (file.id(), file.head().clone(), file.contents().1);
    let mut verified = Verified {
        snapshot: SnapshotObject::new(id, head.time),
        name: Some(name(id)),
        bytes: id.bytes,
        ..Verified::default()
    };
    let mut loader = Loader::new();
    let mut refused = None;
    let mut progress = Progress::bytes(content);
    let mut done = 0;
    let result = file.read(&mut |payload| {
        done += payload.len() as u64;
        progress.set(done);
        loader.take(payload).map_err(|error| {
            refused = Some(error);
            Refusal::Malformed(error.to_string())
        })
    });
    progress.clear();
    if let Some(error) = refused {
        verified.finding = Some((None, judged(&error)?));
        return Ok(verified);
    }
    if let Err(fault) = result.map_err(|error| failed(&error))? {
        verified.finding = Some(place(&fault));
        return Ok(verified);
    }
    match loader.finish() {
        Ok(machine) => {
            verified.finding = unlike(&head, &machine).map(|what| (None, what));
            verified.machine = Some(machine);
        }
        Err(error) => verified.finding = Some((None, judged(&error)?)),
    }
    Ok(verified)
}

/// Content of a newer version isn't damaged; this program can't tell.
fn judged(error: &LoadError) -> Result<String, CliError> {
    match error {
        LoadError::UnknownLayout { .. } | LoadError::NewerLevel { .. } => {
            Err(CliError::usage(error.to_string())
                .hint("verify it with the raft-ctl of that version"))
        }
        _ => Ok(error.to_string()),
    }
}

/// What the head says of the content and isn't so.
fn unlike(head: &SnapshotHead, machine: &Machine) -> Option<String> {
    let told = (head.last, head.time);
    let found = (machine.applied(), machine.log_time());
    (told != found).then(|| {
        format!(
            "the head tells of entry {} at {}, and the content is that of entry {} at {}",
            told.0,
            output::wall_time(told.1.0),
            found.0,
            output::wall_time(found.1.0)
        )
    })
}

fn place(fault: &SnapshotFault) -> (Option<u64>, String) {
    match fault {
        SnapshotFault::Damaged { offset, what } => (Some(*offset), what.clone()),
        SnapshotFault::Refused(refusal) => (None, refusal.to_string()),
    }
}

/// A file whose head or foot is bad can't even be shown.
pub(super) fn damaged(path: &Path, fault: &SnapshotFault) -> CliError {
    CliError::new(Code::Corrupt, format!("{}: {fault}", path.display()))
        .hint("another node's file of the same entry has the same bytes; nothing was changed")
}

fn object<'a>(path: &'a Path, verified: &'a Verified) -> VerifyObject<'a> {
    let file = Blob(path.as_os_str().as_bytes());
    let machine = verified.machine.as_ref();
    let finding = |(offset, message): &(Option<u64>, String)| FindingObject {
        kind: "corrupt",
        file,
        offset: *offset,
        message: message.clone(),
    };
    VerifyObject {
        v: VERSION,
        verdict: if verified.finding.is_some() { "corrupt" } else { "ok" },
        file,
        snapshot: verified.snapshot.clone(),
        keys: machine.map(|machine| machine.keys()),
        sessions: machine.map(|machine| machine.sessions()),
        state_hash: machine.map(|machine| format!("{:032x}", machine.state_hash())),
        findings: verified.finding.iter().map(finding).collect(),
    }
}

fn text(path: &Path, verified: &Verified, out: &mut Output) -> Result<(), CliError> {
    if let Some(name) = &verified.name {
        let verdict = match verified.finding {
            Some(_) => styled(BAD, "damaged"),
            None => styled(GOOD, "ok"),
        };
        out.line(format!("snapshot {name}  {}  {verdict}", output::bytes(verified.bytes)))?;
    }
    if let Some((offset, what)) = &verified.finding {
        let offset = offset.map_or_else(String::new, |offset| format!("  offset {offset:#x}"));
        out.words(&format!("{}  {}{offset}  {what}", styled(BAD, "BAD"), path.display()), 2)?;
        let advice = "don't restore anything from this file; another node's file of the same \
                      entry has the same bytes";
        return out.words(&format!("{}: {advice}", styled(BAD, "damaged")), 2);
    }
    let Some(machine) = &verified.machine else { return Ok(()) };
    let text = format!(
        "{}: {} keys and {} sessions are as they were written, state hash {:032x}",
        styled(GOOD, "ok"),
        output::count(machine.keys()),
        output::count(machine.sessions()),
        machine.state_hash()
    );
    out.words(&text, 2)
}
