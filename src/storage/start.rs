//! A start: takes a directory, reads it, puts right what a crash left half done, and opens a
//! fresh segment.
//!
//! Everything is read and judged before anything is changed. Each change can be cut short by a
//! crash, and the next start does it again.

use std::cell::RefCell;
use std::io;
use std::ops::ControlFlow;
use std::path::Path;

use crate::model::{
    Boot, ClusterId, Configuration, Epoch, FoundingEntry, HardState, Index, LogId, LogTime,
};

use super::directory::RecoveredParts;
use super::hard_state::{self, Floor, HardStateFile, Record, RecordFound};
use super::identity::{self, Identity, IdentityFound};
use super::layout::{
    Layout, RECEIPT, RECEIVED, SNAPSHOT, UNFINISHED, parse_segment_name, snapshot_name,
};
use super::log_map::LogMap;
use super::open_segment::OpenSegment;
use super::reader::EntryReader;
use super::recover::{LogFound, read_log_while};
use super::segment::{BLOCK_ALIGNMENT, FIRST_BLOCK, SegmentHead, salt};
use super::shared::{Shared, SharedParts};
use super::snapshot::{self, Chosen, Newest, SnapshotsFound};
use super::{
    Access, Corruption, Disk, DiskFile, ErrorClass, OpenOptions, Opened, RecoveryReport,
    SnapshotSink, StorageError, Unformed,
};

/// See [`super::Directory::open`].
pub(super) fn open<D: Disk>(
    disk: D,
    path: &Path,
    options: OpenOptions,
    sinks: &mut dyn FnMut() -> Box<dyn SnapshotSink>,
) -> Result<Opened<D>, StorageError> {
    let layout = Layout::new(path);
    disk.create_directory(path).map_err(StorageError::disk("make the directory", path))?;
    let lock = lock(&disk, &layout)?;
    let found = settle(&disk, &layout, &options)?;
    let record = hard_state::read(&disk, &layout, Access::ReadDevice)?;
    check_owner(&layout, &found.identity, &record.record.identity)?;
    let snapshots = snapshot::find(&disk, &layout, Access::ReadDevice)?;
    let newest = RefCell::new(Newest::begin(&disk, &layout, &snapshots, sinks)?);
    let load_on = || newest.borrow_mut().step();
    let log = read_log_while(&disk, &layout, Access::ReadDevice, &record.record, &load_on)?;
    if let Some(damage) = log.damage {
        return Err(damage.into());
    }
    check_cluster(&layout, &found.identity, &record.record, &log)?;
    let restored = find_restored(&disk, &layout, &snapshots, &log)?;
    let cluster = cluster_of(&log).or(restored);
    let newest = newest.into_inner();
    let chosen = snapshot::choose(&disk, &layout, &snapshots, newest, cluster, &log.map, sinks)?;
    check_reach(&layout, &chosen, &log)?;
    let parts = SharedParts {
        disk,
        layout,
        lock,
        segment_bytes: options.segment_bytes.next_multiple_of(FIRST_BLOCK).max(2 * FIRST_BLOCK),
        min_free_bytes: options.min_free_bytes,
        sync: options.sync,
        seed: options.seed,
    };
    go_on(parts, Judged { found, record, log, snapshots, chosen })
}

/// Takes the directory for this process.
pub(super) fn lock<D: Disk>(disk: &D, layout: &Layout) -> Result<D::Lock, StorageError> {
    disk.lock(&layout.lock).map_err(|source| match source.kind() {
        io::ErrorKind::WouldBlock => StorageError::InUse { path: layout.root.clone() },
        _ => StorageError::disk("lock", &layout.lock)(source),
    })
}

/// What was read and found good enough to go on with.
struct Judged {
    found: IdentityFound,
    record: RecordFound,
    log: LogFound,
    snapshots: SnapshotsFound,
    chosen: Chosen,
}

/// Formats an empty directory, and makes durable what is there.
fn settle<D: Disk>(
    disk: &D,
    layout: &Layout,
    options: &OpenOptions,
) -> Result<IdentityFound, StorageError> {
    let root = disk.list(&layout.root).map_err(StorageError::disk("list", &layout.root))?;
    if !root.iter().any(|name| name == "identity") {
        format(disk, layout, options, &root)?;
    }
    make_durable(disk, layout)?;
    let found = identity::read(disk, layout, Access::ReadDevice)?;
    let found = found.ok_or_else(|| StorageError::NoDirectory { path: layout.root.clone() })?;
    if found.identity.node != options.node {
        return Err(StorageError::OtherNode {
            path: layout.root.clone(),
            found: found.identity.node,
            incarnation: found.identity.incarnation,
            expected: options.node,
        });
    }
    Ok(found)
}

/// Makes durable all that a killed process may have left in the cache, so that what is read next
/// is what the disk holds.
pub(super) fn make_durable<D: Disk>(disk: &D, layout: &Layout) -> Result<(), StorageError> {
    let mut files = vec![layout.identity.clone(), layout.hard_state.clone()];
    let names = disk.list(&layout.log).map_err(StorageError::disk("list", &layout.log))?;
    let segments = names.iter().filter(|name| parse_segment_name(name).is_some());
    files.extend(segments.map(|name| layout.log.join(name)));
    let names = snapshot_names(disk, layout)?;
    files.extend(names.iter().map(|name| layout.snapshots.join(name)));
    for path in &files {
        let file = match disk.open(path, Access::Write) {
            Ok(file) => file,
            // Its absence is judged when it is read.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(source) => return Err(StorageError::disk("open", path)(source)),
        };
        file.sync().map_err(StorageError::disk("sync", path))?;
        file.drop_cache().map_err(StorageError::disk("drop the cache of", path))?;
    }
    for directory in [&layout.log, &layout.snapshots, &layout.root] {
        disk.sync_directory(directory).map_err(StorageError::disk("sync", directory))?;
    }
    Ok(())
}

/// The files in the directory of snapshots that a start may go on with.
fn snapshot_names<D: Disk>(disk: &D, layout: &Layout) -> Result<Vec<String>, StorageError> {
    let mut names = match disk.list(&layout.snapshots) {
        Ok(names) => names,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(source) => return Err(StorageError::disk("list", &layout.snapshots)(source)),
    };
    names.retain(|name| name == RECEIPT || name.ends_with(SNAPSHOT) || name.ends_with(RECEIVED));
    Ok(names)
}

/// Makes a directory one of this node. The identity comes last: without it, nothing that is
/// there counts.
fn format<D: Disk>(
    disk: &D,
    layout: &Layout,
    options: &OpenOptions,
    root: &[String],
) -> Result<(), StorageError> {
    if let Some(name) = root.iter().find(|name| !Layout::is_own(name)) {
        let (path, name) = (layout.root.clone(), name.clone());
        return Err(StorageError::Foreign { path, name });
    }
    let lost = |what: &str| Corruption {
        directory: layout.root.clone(),
        file: "identity".into(),
        offset: 0,
        what: format!("it isn't there, but {what}"),
        entries: None,
    };
    match disk.list(&layout.log) {
        Ok(names) if names.iter().any(|name| !name.ends_with(UNFINISHED)) => {
            return Err(lost("there is a log").into());
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(StorageError::disk("list", &layout.log)(error));
        }
        _ => {}
    }
    if !snapshot_names(disk, layout)?.is_empty() {
        return Err(lost("there is a snapshot").into());
    }
    if root.iter().any(|name| name == "hardstate") {
        match hard_state::read(disk, layout, Access::Read) {
            Ok(found) if found.record.boot == Boot(0) => {}
            // What can't be read now may be good.
            Err(error) if error.class() == ErrorClass::Disk => return Err(error),
            _ => return Err(lost("the hard state is that of a node that ran").into()),
        }
    }
    let identity = Identity { node: options.node, incarnation: options.incarnation, cluster: None };
    for directory in [&layout.log, &layout.snapshots] {
        disk.create_directory(directory)
            .map_err(StorageError::disk("make the directory", directory))?;
    }
    hard_state::create(disk, layout, &Record::fresh(identity))?;
    identity::write(disk, layout, &identity)
}

pub(super) fn check_owner(
    layout: &Layout,
    identity: &Identity,
    of_hard_state: &Identity,
) -> Result<(), StorageError> {
    let owner = (identity.node, identity.incarnation);
    if owner == (of_hard_state.node, of_hard_state.incarnation) {
        return Ok(());
    }
    let node = of_hard_state.node;
    let what = format!("it is the hard state of node {node} or of another life than the identity");
    let (directory, file) = (layout.root.clone(), "hardstate".into());
    Err(Corruption { directory, file, offset: 0, what, entries: None }.into())
}

/// Identity, hard state and log must be of one cluster and epoch, except where a crash has cut a
/// founding short: the log then holds its founding entry and nothing else, or nothing at all behind
/// the state that the cluster began with; or the passage to a new epoch, which the log makes first.
fn check_cluster(
    layout: &Layout,
    identity: &Identity,
    record: &Record,
    log: &LogFound,
) -> Result<(), StorageError> {
    let of_log = cluster_of(log);
    if of_log == identity.cluster && of_log == record.identity.cluster {
        return Ok(());
    }
    if identity.cluster != of_log && (is_only_founded(log) || is_only_restored(identity, log)) {
        return Ok(());
    }
    if let (Some(first), Some(second), Some(third)) =
        (identity.cluster, record.identity.cluster, of_log)
        && (first.0, second.0) == (second.0, third.0)
        && first.1 <= second.1
        && second.1 <= third.1
    {
        return Ok(());
    }
    let what = format!(
        "its cluster is {}, that of the hard state {}, that of the log {}",
        show(identity.cluster),
        show(record.identity.cluster),
        show(of_log)
    );
    let (directory, file) = (layout.root.clone(), "identity".into());
    Err(Corruption { directory, file, offset: 0, what, entries: None }.into())
}

fn show(cluster: Option<(ClusterId, Epoch)>) -> String {
    cluster.map_or("none".to_owned(), |(cluster, epoch)| format!("{cluster} (epoch {epoch})"))
}

pub(super) fn cluster_of(log: &LogFound) -> Option<(ClusterId, Epoch)> {
    log.segments.last().and_then(|segment| segment.head.identity.cluster)
}

fn is_only_founded(log: &LogFound) -> bool {
    let founding = log.founding.as_ref().map(FoundingEntry::founding);
    let (Some(founding), Some((cluster, epoch))) = (founding, cluster_of(log)) else {
        return false;
    };
    // Who came in later was founded in the epoch of that time.
    founding.cluster == cluster && founding.epoch <= epoch && log.map.last().index == Index(1)
}

fn is_only_restored(identity: &Identity, log: &LogFound) -> bool {
    let base = log.map.base();
    let is_empty = log.segments.len() == 1 && log.map.last() == base;
    identity.cluster.is_none() && base != LogId::ORIGIN && is_empty
}

/// A node that is part of no cluster has no snapshot, unless a crash has cut short that it was
/// restored from one: then the cluster that it is to be part of.
fn find_restored<D: Disk>(
    disk: &D,
    layout: &Layout,
    snapshots: &SnapshotsFound,
    log: &LogFound,
) -> Result<Option<(ClusterId, Epoch)>, StorageError> {
    let Some(last) = snapshots.files.first().filter(|_| log.segments.is_empty()) else {
        return Ok(None);
    };
    if let Ok(file) = snapshot::open(disk, layout, *last, Access::ReadDevice)?
        && file.head().founding.founding().restored.is_some()
    {
        return Ok(Some((file.head().cluster, file.head().epoch)));
    }
    let what = "there is a snapshot, and no log, and the node is part of no cluster".to_owned();
    let file = Path::new("snapshots").join(snapshot_name(*last, SNAPSHOT));
    let directory = layout.root.clone();
    Err(Corruption { directory, file, offset: 0, what, entries: None }.into())
}

/// The log must reach back to where the state begins that lies elsewhere.
pub(super) fn check_reach(
    layout: &Layout,
    chosen: &Chosen,
    log: &LogFound,
) -> Result<(), StorageError> {
    let base = log.map.base();
    let Some(first) = log.segments.first() else { return Ok(()) };
    let damage = |what: String, last| {
        let file = Path::new("log").join(&first.name);
        let (directory, entries) = (layout.root.clone(), Some((Index(1), last)));
        Err(Corruption { directory, file, offset: 0, what, entries }.into())
    };
    if base == LogId::ORIGIN && log.founding.is_none() {
        return damage("the founding entry isn't there".to_owned(), None);
    }
    let snapshot = chosen.loaded.as_ref().map(|loaded| loaded.id.last.index);
    if base.index > snapshot.unwrap_or(Index(0)) {
        let what = format!("the log begins behind {base}, and no snapshot reaches to there");
        return damage(what, Some(base.index));
    }
    Ok(())
}

/// Puts right what a crash has left, and opens a fresh segment.
fn go_on<D: Disk>(parts: SharedParts<D>, judged: Judged) -> Result<Opened<D>, StorageError> {
    let Judged { found, record, log, snapshots, chosen } = judged;
    let mut report = report(&found, &record, &log, &snapshots, &chosen);
    let mut hard_state = HardStateFile::open(&parts.disk, &parts.layout, &record)?;
    remove_unfinished(&parts.disk, &parts.layout, &log.unfinished)?;
    chosen.put_right(&parts.disk, &parts.layout, &snapshots)?;
    let boot = record.record.boot.next();
    let Some(last) = log.segments.last() else {
        if found.copies != [true, true] {
            identity::write(&parts.disk, &parts.layout, &found.identity)?;
        }
        hard_state.save(|record| {
            record.boot = boot;
            record.clean = false;
        })?;
        let shared = Shared::new(parts, LogMap::new(LogId::ORIGIN));
        let unformed = Unformed { shared, hard_state, report };
        return match chosen.loaded {
            None => Ok(Opened::Unformed(Box::new(unformed))),
            Some(loaded) => Ok(Opened::Formed(Box::new(unformed.go_on_behind(loaded)?))),
        };
    };
    let identity = last.head.identity;
    if identity != hard_state.record().identity {
        hard_state.save(|record| record.identity = identity)?;
    }
    if identity != found.identity || found.copies != [true, true] {
        identity::write(&parts.disk, &parts.layout, &identity)?;
    }
    raise_term(&mut hard_state, &chosen, &mut report)?;
    let left = last.clone();
    let last_time = last_time(&parts.disk, &parts.layout, &log, &chosen)?;
    let configurations = configurations(&log, &chosen);
    let founding = founding(&log, &chosen);
    let LogFound { map, void, .. } = log;
    let shared = Shared::new(parts, map);
    let loaded = chosen.loaded.as_ref().map(|loaded| loaded.id.last);
    let reset = loaded.filter(|last| !shared.map().holds(*last));
    if let Some(base) = reset {
        report.notes.push(format!("the log was begun anew behind the snapshot at {base}"));
    }
    let open = fresh_segment(&shared, &left.head, left.blocks == 0, reset, boot)?;
    hard_state.save(|record| {
        record.boot = boot;
        record.floor = Floor { ordinal: open.head.ordinal, offset: FIRST_BLOCK };
        record.clean = false;
    })?;
    if open.head.ordinal != left.head.ordinal {
        give_back(&shared, &left.head, left.file_bytes, left.end)?;
    }
    remove_void(&shared, void)?;
    chosen.remove_surplus(&shared.disk, &shared.layout)?;
    let receipt = chosen.goes_on(&snapshots);
    let Chosen { loaded: snapshot, kept: snapshots, older_time, .. } = chosen;
    let parts = RecoveredParts {
        shared,
        hard_state,
        open,
        founding,
        last_time,
        configurations,
        snapshot,
        snapshots,
        older_time,
        receipt,
        report,
    };
    Ok(Opened::Formed(Box::new(parts.assemble()?)))
}

/// A snapshot that was received may have become durable before the term that it is of did. No
/// vote was given in that term then.
fn raise_term<D: Disk>(
    hard_state: &mut HardStateFile<D>,
    chosen: &Chosen,
    report: &mut RecoveryReport,
) -> Result<(), StorageError> {
    let before = hard_state.record().hard_state.term;
    let Some(term) = chosen.loaded.as_ref().map(|loaded| loaded.id.last.term) else {
        return Ok(());
    };
    if term <= before {
        return Ok(());
    }
    report.notes.push(format!("the term was raised from {before} to {term}, the snapshot's"));
    hard_state.save(|record| record.hard_state = HardState { term, vote: None })
}

/// The configuration as of the snapshot, and those behind it in the log.
fn configurations(log: &LogFound, chosen: &Chosen) -> Vec<(Index, Configuration)> {
    let Some(loaded) = &chosen.loaded else { return log.configurations.clone() };
    let mut found = vec![loaded.head.configuration.clone()];
    if log.map.holds(loaded.id.last) {
        let behind = log.configurations.iter();
        found.extend(behind.filter(|(index, _)| *index > loaded.id.last.index).cloned());
    }
    found
}

/// The cluster's first entry.
fn founding(log: &LogFound, chosen: &Chosen) -> FoundingEntry {
    let of_snapshot = || chosen.loaded.as_ref().map(|loaded| loaded.head.founding.clone());
    let found = log.founding.clone().or_else(of_snapshot);
    found.expect("a log begins with it or behind a snapshot, as was checked")
}

fn report(
    found: &IdentityFound,
    record: &RecordFound,
    log: &LogFound,
    snapshots: &SnapshotsFound,
    chosen: &Chosen,
) -> RecoveryReport {
    let mut notes = Vec::new();
    for (name, copies) in [("identity", found.copies), ("hard state", record.copies)] {
        for (copy, good) in copies.iter().enumerate() {
            if !good {
                let number = copy + 1;
                notes.push(format!("copy {number} of the {name} was bad and is written anew"));
            }
        }
    }
    let made = chosen.loaded.as_ref().map(|loaded| (loaded.head.cluster, loaded.head.epoch));
    if let Some((cluster, epoch)) = cluster_of(log).or(made)
        && found.identity.cluster != Some((cluster, epoch))
    {
        notes.push(match found.identity.cluster {
            Some((before, _)) if before == cluster => {
                format!("the passage to epoch {epoch}, which was cut short, is finished")
            }
            _ => "a founding that was cut short is finished".to_owned(),
        });
    }
    for name in &log.strange {
        notes.push(format!("log/{name} isn't a file of the log and was left alone"));
    }
    for name in &snapshots.strange {
        notes.push(format!("snapshots/{name} isn't a snapshot and was left alone"));
    }
    notes.extend(chosen.notes());
    RecoveryReport {
        clean: record.record.clean,
        segments_read: log.segments.len(),
        entries: log.map.last().index.0 - log.map.base().index.0,
        bytes_read: log.bytes_read,
        snapshot: chosen.loaded.as_ref().map(|loaded| loaded.id),
        torn: log.torn.clone(),
        notes,
    }
}

fn remove_unfinished<D: Disk>(
    disk: &D,
    layout: &Layout,
    in_log: &[String],
) -> Result<(), StorageError> {
    let in_root = disk.list(&layout.root).map_err(StorageError::disk("list", &layout.root))?;
    let in_root = in_root.iter().filter(|name| name.ends_with(UNFINISHED));
    let paths = in_root.map(|name| layout.root.join(name));
    for path in paths.chain(in_log.iter().map(|name| layout.log.join(name))) {
        disk.remove(&path).map_err(StorageError::disk("remove", &path))?;
    }
    Ok(())
}

/// The log time of the last entry, or of the snapshot where the log goes on behind it.
fn last_time<D: Disk>(
    disk: &D,
    layout: &Layout,
    log: &LogFound,
    chosen: &Chosen,
) -> Result<LogTime, StorageError> {
    let last = log.map.last().index;
    if let Some(loaded) = &chosen.loaded
        && (last == loaded.id.last.index || !log.map.holds(loaded.id.last))
    {
        return Ok(loaded.head.time);
    }
    if let Some(time) = log.last_time {
        return Ok(time);
    }
    let mut time = LogTime(0);
    for piece in log.map.pieces_from(last, last, 1) {
        let head = log.map.head(piece.ordinal).expect("a piece lies in a segment of the map");
        let _ = EntryReader::new().read(disk, layout, &head, &piece, &mut |entry, _| {
            time = entry.time();
            ControlFlow::Continue(())
        })?;
    }
    Ok(time)
}

/// Opens the segment that this start writes to. One that holds nothing but its head is replaced.
fn fresh_segment<D: Disk>(
    shared: &Shared<D>,
    left: &SegmentHead,
    left_is_empty: bool,
    reset: Option<LogId>,
    boot: Boot,
) -> Result<OpenSegment<D>, StorageError> {
    let spare = shared.make_spare(shared.segment_bytes)?;
    let replaces = left_is_empty && reset.is_none();
    let ordinal = if replaces { left.ordinal } else { left.ordinal + 1 };
    let last = shared.map().last();
    let head = SegmentHead {
        identity: left.identity,
        ordinal,
        before: reset.unwrap_or(last),
        salt: salt(shared.seed, boot.0, ordinal),
        file_bytes: spare.bytes,
        alignment: BLOCK_ALIGNMENT,
        reset: reset.is_some() || (replaces && left.reset),
    };
    let (open, _) = OpenSegment::publish(shared, spare, head, None)?;
    let mut map = shared.map();
    if reset.is_some() {
        let old = std::mem::replace(&mut *map, LogMap::new(head.before));
        let paths = old.segments().iter().map(|old| shared.layout.log.join(old.head.file_name()));
        shared.void().extend(paths);
    }
    map.add_segment(head);
    drop(map);
    Ok(open)
}

/// Gives back the unused end of the segment that was left.
fn give_back<D: Disk>(
    shared: &Shared<D>,
    left: &SegmentHead,
    file_bytes: u64,
    end: u64,
) -> Result<(), StorageError> {
    if file_bytes <= end {
        return Ok(());
    }
    let path = shared.layout.log.join(left.file_name());
    let file = shared.disk.open(&path, Access::Write).map_err(StorageError::disk("open", &path))?;
    file.cut(end).map_err(StorageError::disk("cut", &path))?;
    file.sync().map_err(StorageError::disk("sync", &path))
}

/// Removes the segments that a reset voids, in the order of their numbers.
fn remove_void<D: Disk>(shared: &Shared<D>, void: Vec<String>) -> Result<(), StorageError> {
    let before = void.into_iter().map(|name| shared.layout.log.join(name));
    let paths: Vec<_> = before.chain(shared.void().drain(..)).collect();
    for path in paths {
        shared.disk.remove(&path).map_err(StorageError::disk("remove", &path))?;
        let log = &shared.layout.log;
        shared.disk.sync_directory(log).map_err(StorageError::disk("sync", log))?;
    }
    Ok(())
}
