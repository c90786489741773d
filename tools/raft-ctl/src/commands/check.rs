//! `check disk`: the disk as a node's log uses it.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{fs, io};

use hdrhistogram::Histogram;
use raft_node::storage::{Access, Disk, DiskFile, RealDisk, Region};
use serde::Serialize;

use crate::bench::limits::{microseconds, quantile_us, record};
use crate::cli::{CheckCommand, CheckDiskArgs};
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::{self, BAD, Blob, GOOD, Output, VERSION, styled};
use crate::progress::Progress;

/// A file of the log, and the least that a node needs: one that is open and two that stand ready.
const SEGMENT_BYTES: u64 = 64 << 20;
const LEAST_FREE_BYTES: u64 = 3 * SEGMENT_BYTES;

/// What blocks are aligned to, as in docs/file-formats.md.
const ALIGNMENT: usize = 512;

/// A group commit with little in it, and one under load.
const BLOCKS: [(&str, usize); 2] = [("small", 320), ("large", 65_536)];

/// The election timeout is at least so many times what 999 of 1,000 syncs stay below, and so many
/// times the longest one: a disk that is only slow must not look like one that stands still.
const QUANTILE_TIMES: u32 = 20;
const LONGEST_TIMES: u32 = 3;
const LEAST_TIMEOUT: Duration = Duration::from_millis(150);
const ROUNDED_TO: Duration = Duration::from_millis(50);

/// The names of what is measured with.
const SCRATCH: &str = ".raft-ctl-check";

#[derive(Serialize)]
struct CheckObject<'a> {
    v: u32,
    fit: bool,
    directory: Blob<'a>,
    free_bytes: u64,
    preallocates: bool,
    syncs: Vec<SyncObject>,
    election_timeout_ms: u64,
    reasons: Vec<String>,
}

/// How long it takes to store a block and to sync it.
#[derive(Serialize)]
struct SyncObject {
    blocks: &'static str,
    bytes: usize,
    count: u64,
    p50_us: f64,
    p99_us: f64,
    p999_us: f64,
    max_us: f64,
}

pub(super) fn run(command: &CheckCommand, out: &mut Output) -> Result<Exit, CliError> {
    let CheckCommand::Disk(args) = command;
    let failed = |error: io::Error| CliError::file(&args.dir, "measured", &error);
    let free_bytes = RealDisk.free_bytes(&args.dir).map_err(failed)?;
    let scratch = Scratch::create(&args.dir).map_err(failed)?;
    let mut progress = Progress::waiting("measuring the disk");
    let measured = measure(&scratch, args.time);
    progress.clear();
    let (preallocates, all) = measured.map_err(failed)?;
    drop(scratch);
    let object = judge(args, free_bytes, preallocates, &all);
    match out.is_json() {
        true => out.json(&object)?,
        false => text(&object, out)?,
    }
    Ok(if object.fit { Exit::Done } else { Exit::Negative })
}

/// A file that is gone when it is dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn create(directory: &Path) -> io::Result<Scratch> {
        let path = directory.join(format!("{SCRATCH}-{}", std::process::id()));
        RealDisk.open(&path, Access::Create)?;
        Ok(Scratch(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A file that can't be removed is found by its name.
        let _ = fs::remove_file(&self.0);
    }
}

/// Whether room can be set aside, and how long each kind of block takes.
fn measure(scratch: &Scratch, time: Duration) -> io::Result<(bool, Vec<Histogram<u64>>)> {
    let file = RealDisk.open(&scratch.0, Access::Write)?;
    file.allocate(SEGMENT_BYTES)?;
    file.sync()?;
    // In units of 512 bytes, whatever the file system's blocks are.
    let preallocates = fs::metadata(&scratch.0)?.blocks() * 512 >= SEGMENT_BYTES;
    let mut region = file.map(SEGMENT_BYTES as usize)?;
    let mut all = Vec::new();
    let mut at = 0;
    for (_, bytes) in BLOCKS {
        let (block, mut took) = (vec![0xa5; bytes], microseconds());
        let begun = Instant::now();
        while begun.elapsed() < time / BLOCKS.len() as u32 {
            if at + bytes > SEGMENT_BYTES as usize {
                at = 0;
            }
            let start = Instant::now();
            region.store(at, &block)?;
            region.sync(at, bytes)?;
            record(&mut took, start.elapsed());
            at = (at + bytes).next_multiple_of(ALIGNMENT);
        }
        all.push(took);
    }
    Ok((preallocates, all))
}

fn judge<'a>(
    args: &'a CheckDiskArgs,
    free_bytes: u64,
    preallocates: bool,
    all: &[Histogram<u64>],
) -> CheckObject<'a> {
    let mut reasons = Vec::new();
    if !preallocates {
        reasons.push(
            "the file system doesn't set room aside: a disk that fills up would end the node in \
             the middle of a write"
                .to_owned(),
        );
    }
    if free_bytes < LEAST_FREE_BYTES {
        let (free, least) = (output::bytes(free_bytes), output::bytes(LEAST_FREE_BYTES));
        reasons.push(format!("{free} are free, and the log alone takes {least}"));
    }
    let syncs = BLOCKS.iter().zip(all).map(|((blocks, bytes), took)| SyncObject {
        blocks,
        bytes: *bytes,
        count: took.len(),
        p50_us: quantile_us(took, 0.5),
        p99_us: quantile_us(took, 0.99),
        p999_us: quantile_us(took, 0.999),
        max_us: quantile_us(took, 1.0),
    });
    CheckObject {
        v: VERSION,
        fit: reasons.is_empty(),
        directory: Blob(args.dir.as_os_str().as_bytes()),
        free_bytes,
        preallocates,
        syncs: syncs.collect(),
        election_timeout_ms: election_timeout(all).as_millis() as u64,
        reasons,
    }
}

/// The smallest sensible election timeout.
fn election_timeout(all: &[Histogram<u64>]) -> Duration {
    let at = |took: &Histogram<u64>, share| Duration::from_nanos(took.value_at_quantile(share));
    let wanted = all
        .iter()
        .flat_map(|took| [at(took, 0.999) * QUANTILE_TIMES, at(took, 1.0) * LONGEST_TIMES]);
    let wanted = wanted.max().unwrap_or_default().max(LEAST_TIMEOUT);
    let steps = wanted.as_nanos().div_ceil(ROUNDED_TO.as_nanos());
    ROUNDED_TO * u32::try_from(steps).unwrap_or(u32::MAX)
}

fn text(object: &CheckObject<'_>, out: &mut Output) -> Result<(), CliError> {
    for sync in &object.syncs {
        out.line(format!(
            "store and sync of {:>6} bytes  p50 {:.0} us  p99 {:.0} us  p99.9 {:.0} us  longest \
             {:.0} us  ({} of them)",
            output::count(sync.bytes as u64),
            sync.p50_us,
            sync.p99_us,
            sync.p999_us,
            sync.max_us,
            output::count(sync.count),
        ))?;
    }
    let sets = if object.preallocates { "sets room aside" } else { "doesn't set room aside" };
    out.line(format!("{} free, the file system {sets}", output::bytes(object.free_bytes)))?;
    let timeout = object.election_timeout_ms;
    out.words(&format!("ElectionTimeout: {timeout} ms or more, as far as the disk goes"), 2)?;
    for reason in &object.reasons {
        out.words(&format!("{}  {reason}", styled(BAD, "not fit")), 2)?;
    }
    if object.fit {
        out.line(styled(GOOD, "fit").to_string())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn took(milliseconds: &[u64]) -> Histogram<u64> {
        let mut took = microseconds();
        milliseconds.iter().for_each(|one| record(&mut took, Duration::from_millis(*one)));
        took
    }

    #[test]
    fn the_timeout_follows_the_slow_syncs_and_is_never_tiny() {
        assert_eq!(election_timeout(&[took(&[0, 0, 1])]), LEAST_TIMEOUT);
        // Twenty times what nearly all stay below.
        let all = election_timeout(&[took(&[1]), took(&vec![20; 2000])]);
        assert!((400..=450).contains(&all.as_millis()), "{all:?}");
        // One that is far off counts less.
        let mut mostly_fast = vec![1; 5000];
        mostly_fast.push(300);
        let all = election_timeout(&[took(&mostly_fast)]);
        assert!((900..=950).contains(&all.as_millis()), "{all:?}");
    }
}
