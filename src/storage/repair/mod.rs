//! Repair of a damaged log out of what is left of it and of what other nodes hold.
//!
//! The damaged segment is made anew as a whole, and takes the place of the old one by a rename:
//! before it, all is as it was, and behind it, all is good. So a crash at any moment leaves a
//! directory that is still damaged or one that is repaired.
//!
//! Why what is fetched is what was lost: the block behind a hole names the entry before it, and
//! logs that hold the same entry hold the same entries up to it. Whoever holds that entry gives
//! those. Where nothing names the end of what was lost, or nobody holds it, all of the log is made
//! anew as a leader has it: see [`Anew`].

mod anew;
mod holes;
mod kept;
mod procedure;
mod written;

use std::path::Path;

use crate::model::{Batch, ClusterId, Configuration, Epoch, Index, LogId, Member, Term, TermRun};

use super::block::BlockHead;
use super::hard_state::{self, RecordFound};
use super::identity;
use super::layout::Layout;
use super::log_map::{BlockPlace, LogMap};
use super::recover::{LogFound, read_log};
use super::segment::SegmentHead;
use super::snapshot::{self, Newest};
use super::start::{check_owner, check_reach, cluster_of, lock, make_durable};
use super::{Access, Corruption, Disk, DiskFile, OpenOptions, Refusal, SnapshotSink, StorageError};

pub use anew::Anew;
use holes::{Part, Remains};
pub use procedure::{Attempt, HeldLog, Holder};
use written::Written;

/// How many places are named at the most, behind which entries may go on.
const PLACES: usize = 64;

/// A directory whose log is damaged, held for this process.
#[derive(Debug)]
pub struct Repair<D: Disk> {
    disk: D,
    layout: Layout,
    _lock: D::Lock,
    seed: u64,
    record: RecordFound,
    damage: Corruption,
    /// The configurations before the damage.
    configurations: Vec<(Index, Configuration)>,
    /// The log as the new segment leaves it, as far as it is known by now.
    map: LogMap,
    remains: Option<Remains>,
    blocks: Vec<NewBlock>,
}

/// What a repair lacks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Lack {
    /// Nothing: see [`Repair::finish`].
    Nothing,
    /// Entries.
    Entries(Lost),
    /// It isn't known how far the log went, or there is nothing that it could go on behind: see
    /// [`Repair::begin_anew`].
    Everything,
}

/// Entries that are lost. Whoever holds `until` and one of `behind` has those in between.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lost {
    /// Places in what is left behind which they may begin, the latest first.
    pub behind: Vec<LogId>,
    /// The last of them.
    pub until: LogId,
}

/// What a repair has done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Repaired {
    /// The segment that was made anew.
    pub segment: String,
    /// What the damaged one is kept as, if there was one.
    pub kept: Option<String>,
    /// How many entries came from others.
    pub fetched: u64,
}

/// A block of the new segment.
#[derive(Debug)]
enum NewBlock {
    /// One of the old segment, which is whole.
    Old(BlockHead),
    /// Entries from another node.
    Fetched(LogId, Batch),
    /// What stands behind this entry was replaced by a block that is lost, and which is no loss.
    Cut(LogId),
}

impl<D: Disk> Repair<D> {
    /// Takes the directory at `path`, which a start has refused as damaged, and looks for what can
    /// be repaired; `None` if nothing can. Nothing is changed.
    ///
    /// What a node has promised stands in its hard state: where that is lost, or is behind the log,
    /// no other node can make up for it.
    pub fn look(
        disk: D,
        path: &Path,
        options: &OpenOptions,
    ) -> Result<Option<Repair<D>>, StorageError> {
        let layout = Layout::new(path);
        // What was refused may be something else, where there is no directory of a node at all.
        if identity::read(&disk, &layout, Access::Read)?.is_none() {
            return Ok(None);
        }
        let lock = lock(&disk, &layout)?;
        make_durable(&disk, &layout)?;
        let Some(found) = identity::read(&disk, &layout, Access::ReadDevice)? else {
            return Ok(None);
        };
        let record = hard_state::read(&disk, &layout, Access::ReadDevice)?;
        check_owner(&layout, &found.identity, &record.record.identity)?;
        let is_own = found.identity.node == options.node;
        let cluster = record.record.identity.cluster;
        if !is_own || cluster.is_none() || found.identity.cluster != cluster {
            return Ok(None);
        }
        let log = read_log(&disk, &layout, Access::ReadDevice, &record.record)?;
        let (damage, remains) = match (log.damage.clone(), &log.hole) {
            (Some(damage), Some(hole)) => {
                let looked = holes::look(&disk, &layout, &record.record, &log.map, hole)?;
                let Ok(remains) = looked else { return Ok(None) };
                (damage, remains)
            }
            (Some(_), None) => return Ok(None),
            (None, _) => match state_is_lost(&disk, &layout, &log)? {
                Some(damage) => (damage, None),
                None => return Ok(None),
            },
        };
        Ok(Some(Repair {
            disk,
            layout,
            _lock: lock,
            seed: options.seed,
            record,
            damage,
            configurations: log.configurations,
            map: log.map,
            remains,
            blocks: Vec::new(),
        }))
    }

    /// What is damaged.
    #[must_use]
    pub fn damage(&self) -> &Corruption {
        &self.damage
    }

    /// The node that the directory is of.
    #[must_use]
    pub fn member(&self) -> Member {
        let identity = self.record.record.identity;
        Member { id: identity.node, incarnation: identity.incarnation }
    }

    /// The cluster that the node is part of.
    #[must_use]
    pub fn cluster(&self) -> (ClusterId, Epoch) {
        self.record.record.identity.cluster.expect("that of a node without one isn't repaired")
    }

    /// The node's term. Whatever it has promised, it has promised up to this term.
    #[must_use]
    pub fn term(&self) -> Term {
        self.record.record.hard_state.term
    }

    /// The latest configuration before the damage.
    #[must_use]
    pub fn configuration(&self) -> Option<&Configuration> {
        self.configurations.last().map(|(_, configuration)| configuration)
    }

    /// What is lacking next.
    #[must_use]
    pub fn lack(&mut self) -> Lack {
        let Some(remains) = &mut self.remains else { return Lack::Everything };
        while let Some(part) = remains.parts.front() {
            match part {
                Part::Block(place) => {
                    if place.head.offset >= remains.known_until && !self.map.add_block(place) {
                        return Lack::Everything;
                    }
                    self.blocks.push(NewBlock::Old(place.head));
                }
                Part::Until(id) if self.map.last() == *id => {}
                Part::Until(id) if self.map.holds(*id) => {
                    let id = *id;
                    self.blocks.push(NewBlock::Cut(id));
                    assert!(self.map.add_block(&block_of(id, id, Vec::new())), "it holds {id}");
                }
                Part::Until(id) => {
                    return Lack::Entries(Lost { behind: places(&self.map, *id), until: *id });
                }
            }
            remains.parts.pop_front();
        }
        match remains.end_is_lost {
            true => Lack::Everything,
            false => Lack::Nothing,
        }
    }

    /// Takes entries that were lacking, all of those that follow `behind`.
    ///
    /// # Errors
    ///
    /// If they aren't those. Nothing is changed then.
    pub fn fill(&mut self, behind: LogId, batches: Vec<Batch>) -> Result<(), String> {
        let Lack::Entries(lost) = self.lack() else {
            return Err("no entries are lacking".to_owned());
        };
        if !self.map.holds(behind) {
            return Err(format!("the log doesn't hold {behind}"));
        }
        let mut last = behind;
        let mut runs: Vec<TermRun> = Vec::new();
        for id in batches.iter().flat_map(Batch::iter).map(|entry| entry.id()) {
            if id.index != last.index + 1 || id.term < last.term {
                return Err(format!("entry {id} can't follow {last}"));
            }
            if runs.last().is_none_or(|run| run.term != id.term) {
                runs.push(TermRun { term: id.term, first: id.index });
            }
            last = id;
        }
        if last != lost.until {
            return Err(format!("they end with {last}, and {} is the last", lost.until));
        }
        assert!(self.map.add_block(&block_of(behind, last, runs)), "it holds {behind}");
        let mut before = behind;
        for batch in batches {
            let last = batch.last();
            self.blocks.push(NewBlock::Fetched(before, batch));
            before = last;
        }
        Ok(())
    }

    /// Makes the segment anew, durably; the damaged one is kept.
    ///
    /// # Panics
    ///
    /// If something is lacking.
    pub fn finish(mut self) -> Result<Repaired, StorageError> {
        assert_eq!(self.lack(), Lack::Nothing, "a repair is finished when nothing is lacking");
        let remains = self.remains.take().expect("else everything is lacking");
        let head = self.head(&remains);
        let mut new = Written::create(&self.disk, &self.layout, head)?;
        let old = remains.name.as_ref().map(|name| self.layout.log.join(name));
        let mut fetched = 0;
        for block in &self.blocks {
            match block {
                NewBlock::Old(block) => {
                    let path = old.as_ref().expect("its blocks lie in it");
                    let entries = read_entries(&self.disk, path, block)?;
                    new.push(block.before, block.count, &entries)?;
                }
                NewBlock::Fetched(before, batch) => {
                    let count = u32::try_from(batch.len()).expect("a batch has less than 4 GiB");
                    new.push(*before, count, &batch.bytes())?;
                    fetched += u64::from(count);
                }
                NewBlock::Cut(id) => new.push(*id, 0, &[])?,
            }
        }
        let floor = self.record.record.floor;
        let floor = if floor.ordinal == head.ordinal { floor.offset } else { 0 };
        let last = self.map.last();
        new.fill_up(last, floor)?;
        let finished = new.finish(last)?;
        let kept = remains.name.as_ref().map(|name| kept::keep(&self.disk, &self.layout, name));
        let kept = kept.transpose()?;
        finished.publish(&self.layout)?;
        Ok(Repaired { segment: head.file_name(), kept, fetched })
    }

    /// The head of the new segment: that of the old one, where it is good.
    fn head(&self, remains: &Remains) -> SegmentHead {
        let record = &self.record.record;
        let made = remains.head;
        SegmentHead { salt: super::segment::salt(self.seed, record.boot.0, made.ordinal), ..made }
    }
}

/// What is damaged where the log is whole: the state that it goes on behind.
fn state_is_lost<D: Disk>(
    disk: &D,
    layout: &Layout,
    log: &LogFound,
) -> Result<Option<Corruption>, StorageError> {
    let snapshots = snapshot::find(disk, layout, Access::ReadDevice)?;
    let (cluster, mut sinks) = (cluster_of(log), || Box::new(Heedless) as Box<dyn SnapshotSink>);
    let newest = Newest::begin(disk, layout, &snapshots, &mut sinks)?;
    let chosen = snapshot::choose(disk, layout, &snapshots, newest, cluster, &log.map, &mut sinks);
    let judged = chosen.and_then(|chosen| check_reach(layout, &chosen, log));
    match judged {
        Ok(()) => Ok(None),
        Err(StorageError::Corrupt(damage)) => Ok(Some(*damage)),
        Err(error) => Err(error),
    }
}

/// Takes any state: only the bytes of the file are verified.
#[derive(Debug)]
struct Heedless;

impl SnapshotSink for Heedless {
    fn take(&mut self, _: &[u8]) -> Result<(), Refusal> {
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Refusal> {
        Ok(())
    }
}

/// The entries of a block that was found whole.
fn read_entries<D: Disk>(
    disk: &D,
    path: &Path,
    block: &BlockHead,
) -> Result<Vec<u8>, StorageError> {
    let file = disk.open(path, Access::Read).map_err(StorageError::disk("open", path))?;
    let mut entries = vec![0; block.length as usize];
    file.read_at(block.entries_at(), &mut entries).map_err(StorageError::disk("read", path))?;
    Ok(entries)
}

/// A block as the map is told of it, where only ids matter.
fn block_of(before: LogId, last: LogId, runs: Vec<TermRun>) -> BlockPlace {
    let head = BlockHead { offset: 0, before, count: 0, length: 0, watermark: 0 };
    BlockPlace { head, last, runs, pieces: Vec::new() }
}

/// The places of the log behind which the entries up to `until` may go on, the latest first: where
/// it ends, or just before `until`, and where the terms before that end.
fn places(map: &LogMap, until: LogId) -> Vec<LogId> {
    let latest = map.last().index.min(until.index.previous());
    let ends = map.runs().iter().rev().map(|run| run.first.previous());
    let ends = ends.filter(|index| *index < latest);
    let indexes = std::iter::once(latest).chain(ends).take(PLACES).chain([map.base().index]);
    let mut places: Vec<LogId> = indexes.filter_map(|index| map.id_at(index)).collect();
    places.dedup();
    places
}
