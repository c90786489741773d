//! A log that is made anew as a leader has it.

use bytes::Bytes;

use crate::model::{Batch, HardState, LogId, SnapshotId, Term};
use crate::storage::hard_state::HardStateFile;
use crate::storage::layout::{Layout, parse_segment_name};
use crate::storage::segment::{BLOCK_ALIGNMENT, SegmentHead, salt};
use crate::storage::{Access, Disk, DiskFile, Identity, SnapshotFile, StorageError, snapshot};

use super::written::Written;
use super::{Repair, Repaired, kept};

/// A log that is made anew behind a snapshot or the origin, out of the entries of a leader.
///
/// It is lawful where that leader is one of this node's term or of a later one, and was asked after
/// this node had stopped: then its log holds all that was committed with this node's help. Whatever
/// was committed in earlier terms it held when it was elected, and in its own term this node has
/// acknowledged nothing but what came from it. So the log must be taken up to where it ended when
/// the leader was asked.
#[derive(Debug)]
pub struct Anew<D: Disk> {
    repair: Repair<D>,
    segment: Written<D>,
    head: SegmentHead,
    term: Term,
    last: LogId,
    entries: u64,
}

impl<D: Disk> Repair<D> {
    /// The snapshots whose every byte is good, the newest first. Each is the state behind an entry
    /// that is committed.
    pub fn snapshots(&self) -> Result<Vec<LogId>, StorageError> {
        let found = snapshot::find(&self.disk, &self.layout, Access::ReadDevice)?;
        let mut good = Vec::new();
        for last in found.files {
            let Ok(file) = snapshot::open(&self.disk, &self.layout, last, Access::ReadDevice)?
            else {
                continue;
            };
            let is_own = file.head().is_of(Some(self.cluster()));
            if is_own && file.read(&mut |_| Ok(()))?.is_ok() {
                good.push(last);
            }
        }
        Ok(good)
    }

    /// Stores a snapshot of the leader's, whose bytes `piece` gives from an offset on, and verifies
    /// it: it is then one of [`Repair::snapshots`], and stays if the repair isn't finished.
    ///
    /// # Errors
    ///
    /// The inner one if no more pieces come, or if it isn't good.
    pub fn store_snapshot(
        &self,
        id: SnapshotId,
        piece: &mut dyn FnMut(u64) -> Result<Bytes, String>,
    ) -> Result<Result<(), String>, StorageError> {
        let path = self.layout.snapshot(id.last);
        let unfinished = Layout::unfinished(&path);
        let full = || StorageError::room("write", &unfinished, id.bytes);
        let file = self.disk.open(&unfinished, Access::Create).map_err(full())?;
        let mut at = 0;
        while at < id.bytes {
            let bytes = match piece(at) {
                Ok(bytes) if !bytes.is_empty() => bytes,
                Ok(_) => return Ok(Err("an empty piece came".to_owned())),
                Err(why) => return Ok(Err(why)),
            };
            file.write_at(at, &bytes).map_err(full())?;
            at += bytes.len() as u64;
        }
        file.sync().map_err(StorageError::disk("sync", &unfinished))?;
        file.drop_cache().map_err(StorageError::disk("drop the cache of", &unfinished))?;
        match SnapshotFile::open_with(&self.disk, &unfinished, Access::ReadDevice)? {
            Ok(file) if file.id() == id && file.head().is_of(Some(self.cluster())) => {
                if let Err(fault) = file.read(&mut |_| Ok(()))? {
                    return Ok(Err(fault.to_string()));
                }
            }
            Ok(_) => return Ok(Err("it isn't the one that was asked for".to_owned())),
            Err(fault) => return Ok(Err(fault.to_string())),
        }
        self.disk.rename(&unfinished, &path).map_err(StorageError::disk("rename", &unfinished))?;
        let snapshots = &self.layout.snapshots;
        self.disk.sync_directory(snapshots).map_err(StorageError::disk("sync", snapshots))?;
        Ok(Ok(()))
    }

    /// Begins to make the log anew behind `base`, the last entry of a good snapshot or the origin,
    /// out of the entries of the leader of `term`. Nothing counts before [`Anew::finish`].
    ///
    /// # Panics
    ///
    /// If `term` is below the node's.
    pub fn begin_anew(self, base: LogId, term: Term) -> Result<Anew<D>, StorageError> {
        assert!(term >= self.term(), "a leader of term {term}, and the node's is {}", self.term());
        let record = &self.record.record;
        let log = &self.layout.log;
        let names = self.disk.list(log).map_err(StorageError::disk("list", log))?;
        let ordinals = names.iter().filter_map(|name| parse_segment_name(name));
        let highest = ordinals.map(|(ordinal, _)| ordinal).max().unwrap_or(0);
        let ordinal = highest.max(record.floor.ordinal) + 1;
        let of_log = self.map.segments().back().and_then(|last| last.head.identity.cluster);
        let head = SegmentHead {
            identity: Identity { cluster: of_log.max(record.identity.cluster), ..record.identity },
            ordinal,
            before: base,
            salt: salt(self.seed, record.boot.0, ordinal),
            file_bytes: 0,
            alignment: BLOCK_ALIGNMENT,
            reset: true,
        };
        let segment = Written::create(&self.disk, &self.layout, head)?;
        Ok(Anew { repair: self, segment, head, term, last: base, entries: 0 })
    }
}

impl<D: Disk> Anew<D> {
    /// The last entry that it has by now.
    #[must_use]
    pub fn last(&self) -> LogId {
        self.last
    }

    /// The term of the leader that the entries come from.
    #[must_use]
    pub fn term(&self) -> Term {
        self.term
    }

    /// Takes the next entries.
    ///
    /// # Errors
    ///
    /// The inner one if they can't follow.
    pub fn push(&mut self, batch: &Batch) -> Result<Result<(), String>, StorageError> {
        let (first, last) = (batch.first(), batch.last());
        if first.index != self.last.index + 1 || first.term < self.last.term {
            return Ok(Err(format!("entry {first} can't follow {}", self.last)));
        }
        if last.term > self.term {
            return Ok(Err(format!("entry {last} is of a later term than {}", self.term)));
        }
        let count = u32::try_from(batch.len()).expect("a batch has less than 4 GiB");
        self.segment.push(self.last, count, &batch.bytes())?;
        self.last = last;
        self.entries += u64::from(count);
        Ok(Ok(()))
    }

    /// Makes it the log, durably, and takes over the leader's term; the damaged segment is kept.
    pub fn finish(self) -> Result<Repaired, StorageError> {
        let Anew { repair, mut segment, head, term, last, entries } = self;
        segment.fill_up(last, 0)?;
        let finished = segment.finish(last)?;
        let Repair { disk, layout, record, .. } = &repair;
        let name = repair.damage.file.file_name().and_then(|name| name.to_str());
        let is_segment = |name: &&str| parse_segment_name(name).is_some();
        let kept = name.filter(is_segment).map(|name| kept::keep(disk, layout, name));
        let kept = kept.transpose()?;
        // No entry is in the log before its term is durable.
        if term > repair.term() {
            let mut hard_state = HardStateFile::open(disk, layout, record)?;
            hard_state.save(|record| record.hard_state = HardState { term, vote: None })?;
        }
        finished.publish(layout)?;
        Ok(Repaired { segment: head.file_name(), kept, fetched: entries })
    }
}
