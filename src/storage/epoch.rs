//! A new epoch of the cluster, begun in the directory of one of those who are left when a majority
//! is lost for good.
//!
//! The log gets one more segment, whose head has the new epoch; in the directory that the others
//! follow it holds the epoch's first entry. Giving that segment its name is the one step by which
//! the directory passes to the new epoch: before it, all is as it was but for a term that is
//! higher; after it, a start finishes what is left to do, as it does for a founding.

use std::io::ErrorKind;
use std::path::Path;

use crate::model::{Batch, Boot, ClusterId, EntryKind, Epoch, HardState, LogId, Member, Term};

use super::block::BLOCK_HEAD_BYTES;
use super::hard_state::{self, Floor, HardStateFile, RecordFound};
use super::identity::{self, Identity, IdentityFound, replace_file};
use super::layout::Layout;
use super::open_segment::OpenSegment;
use super::recover::{LogFound, read_log};
use super::segment::{BLOCK_ALIGNMENT, FIRST_BLOCK, SegmentHead, salt};
use super::shared::{Shared, SharedParts};
use super::start::{check_owner, cluster_of, lock, make_durable};
use super::{Access, Disk, DiskFile, StorageError, SyncMode};

/// What a new epoch makes of one directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewEpoch {
    /// Whose directory it is.
    pub member: Member,
    /// The cluster.
    pub cluster: ClusterId,
    /// The epoch that ends.
    pub from: Epoch,
    /// The epoch that begins, a later one.
    pub to: Epoch,
    /// The last entry that the log was seen to hold. It must still be the last one.
    pub last: LogId,
    /// The term of the epoch's first entry, above all that the survivors have seen.
    pub term: Term,
    /// The epoch's first entry, a configuration right behind `last`, where this is the directory
    /// that the others follow.
    pub first: Option<Batch>,
    /// What tells how the epoch was begun: kept in the directory as `recovery-<epoch>.json`.
    pub record: Vec<u8>,
    /// What the salt of the new segment is made from, drawn at random.
    pub seed: u64,
}

/// What came of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EpochBegun {
    /// The directory was in the old epoch before.
    Now,
    /// It was in the new one already.
    Before,
}

/// See [`super::Directory::check_epoch`].
pub(super) fn check<D: Disk>(
    disk: D,
    path: &Path,
    order: &NewEpoch,
) -> Result<EpochBegun, StorageError> {
    Held::take(disk, path)?.judge(order)
}

/// See [`super::Directory::begin_epoch`].
pub(super) fn begin<D: Disk>(
    disk: D,
    path: &Path,
    order: &NewEpoch,
) -> Result<EpochBegun, StorageError> {
    check_order(order);
    let held = Held::take(disk, path)?;
    let begun = held.judge(order)?;
    match begun {
        EpochBegun::Now => held.begin(order)?,
        EpochBegun::Before => held.finish()?,
    }
    Ok(begun)
}

fn check_order(order: &NewEpoch) {
    assert!(order.to > order.from, "epoch {} doesn't follow {}", order.to, order.from);
    let Some(first) = &order.first else { return };
    let entry = first.iter().next().expect("a batch has an entry");
    let id = LogId::new(order.term, order.last.index + 1);
    let well_formed = first.len() == 1 && entry.kind() == EntryKind::CONFIGURATION;
    assert!(well_formed && entry.id() == id, "{first:?} isn't a configuration at {id}");
    assert!(order.term > order.last.term, "term {} isn't above {}", order.term, order.last);
}

/// A directory that is held for this process, and what it says.
#[derive(Debug)]
struct Held<D: Disk> {
    disk: D,
    layout: Layout,
    lock: D::Lock,
    identity: IdentityFound,
    record: RecordFound,
    log: LogFound,
}

impl<D: Disk> Held<D> {
    fn take(disk: D, path: &Path) -> Result<Held<D>, StorageError> {
        let layout = Layout::new(path);
        let missing = || StorageError::NoDirectory { path: path.to_owned() };
        // Nothing is made where there is no directory of a node.
        identity::read(&disk, &layout, Access::Read)?.ok_or_else(missing)?;
        let lock = lock(&disk, &layout)?;
        make_durable(&disk, &layout)?;
        let identity = identity::read(&disk, &layout, Access::ReadDevice)?.ok_or_else(missing)?;
        let record = hard_state::read(&disk, &layout, Access::ReadDevice)?;
        check_owner(&layout, &identity.identity, &record.record.identity)?;
        let log = read_log(&disk, &layout, Access::ReadDevice, &record.record)?;
        match log.damage {
            Some(damage) => Err(damage.into()),
            None => Ok(Held { disk, layout, lock, identity, record, log }),
        }
    }

    /// Whether the directory is the one that is meant, and has passed to the new epoch.
    fn judge(&self, order: &NewEpoch) -> Result<EpochBegun, StorageError> {
        let path = &self.layout.root;
        let changed = |what| Err(StorageError::Changed { path: path.clone(), what });
        let identity = &self.identity.identity;
        let (id, life) = (order.member.id, order.member.incarnation);
        if (identity.node, identity.incarnation) != (id, life) {
            let found = identity.node;
            return changed(format!(
                "it is the directory of node {found} in another life or of another node than {id}"
            ));
        }
        let (from, to) = (Some((order.cluster, order.from)), Some((order.cluster, order.to)));
        let of_log = cluster_of(&self.log);
        if of_log == to {
            return match self.was_begun_by(order)? {
                true => Ok(EpochBegun::Before),
                false => changed(format!("epoch {} was begun here by another plan", order.to)),
            };
        }
        if [of_log, identity.cluster, self.record.record.identity.cluster] != [from; 3] {
            return changed(format!(
                "it isn't in epoch {} of cluster {}",
                order.from, order.cluster
            ));
        }
        let last = self.log.map.last();
        if last != order.last {
            return changed(format!(
                "its log ends with entry {last}, and ended with {} when the plan was made: the \
                 node has run since",
                order.last
            ));
        }
        Ok(EpochBegun::Now)
    }

    /// Whether what is kept of how the epoch was begun is what this order has.
    fn was_begun_by(&self, order: &NewEpoch) -> Result<bool, StorageError> {
        let record = self.layout.recovery(order.to);
        match contents(&self.disk, &record) {
            Ok(kept) => Ok(kept == order.record),
            Err(StorageError::Disk { source, .. }) if source.kind() == ErrorKind::NotFound => {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    fn begin(self, order: &NewEpoch) -> Result<(), StorageError> {
        self.keep_copies(order)?;
        let Held { disk, layout, lock, record, log, .. } = self;
        let mut hard_state = HardStateFile::open(&disk, &layout, &record)?;
        if hard_state.record().hard_state.term < order.term {
            // It is nobody's term yet, so no vote was given in it.
            let raised = HardState { term: order.term, vote: None };
            hard_state.save(|record| record.hard_state = raised)?;
        }
        let old = log.segments.last().expect("a log in a cluster has a segment").head;
        let parts = SharedParts {
            disk,
            layout,
            lock,
            segment_bytes: 2 * FIRST_BLOCK,
            min_free_bytes: 0,
            sync: SyncMode::Always,
            seed: order.seed,
        };
        let shared = Shared::new(parts, log.map);
        let open = publish(&shared, &old, order, record.record.boot)?;
        let (identity, ordinal, offset) = (open.head.identity, open.head.ordinal, open.end());
        let floor = Floor { ordinal, offset };
        hard_state.save(|record| (record.identity, record.floor) = (identity, floor))?;
        identity::write(&shared.disk, &shared.layout, &identity)
    }

    /// Does what was left to do where the log has passed to the new epoch already.
    fn finish(self) -> Result<(), StorageError> {
        let last = self.log.segments.last().expect("the log is in a cluster");
        let (identity, ordinal, end) = (last.head.identity, last.head.ordinal, last.end);
        let mut hard_state = HardStateFile::open(&self.disk, &self.layout, &self.record)?;
        if hard_state.record().identity != identity {
            let floor = Floor { ordinal, offset: end };
            hard_state.save(|record| (record.identity, record.floor) = (identity, floor))?;
        }
        if self.identity.identity != identity || self.identity.copies != [true, true] {
            identity::write(&self.disk, &self.layout, &identity)?;
        }
        Ok(())
    }

    /// Keeps the files that are changed as they are, and what tells why they were.
    fn keep_copies(&self, order: &NewEpoch) -> Result<(), StorageError> {
        let (disk, root) = (&self.disk, &self.layout.root);
        let names = disk.list(root).map_err(StorageError::disk("list", root))?;
        for path in [&self.layout.identity, &self.layout.hard_state] {
            let copy = Layout::kept_of_epoch(path, order.from);
            // One that is there was made before anything was changed.
            if !names.iter().any(|name| root.join(name) == copy) {
                replace_file(disk, root, &copy, &contents(disk, path)?)?;
            }
        }
        replace_file(disk, root, &self.layout.recovery(order.to), &order.record)
    }
}

/// Publishes the segment that is of the new epoch, behind the one with the head `old`.
fn publish<D: Disk>(
    shared: &Shared<D>,
    old: &SegmentHead,
    order: &NewEpoch,
    boot: Boot,
) -> Result<OpenSegment<D>, StorageError> {
    let entry_bytes = order.first.as_ref().map_or(0, Batch::bytes_len);
    let bytes = shared.segment_bytes_for((BLOCK_HEAD_BYTES + entry_bytes) as u64);
    let spare = shared.make_spare(bytes)?;
    let ordinal = old.ordinal + 1;
    let head = SegmentHead {
        identity: Identity { cluster: Some((order.cluster, order.to)), ..old.identity },
        ordinal,
        before: shared.map().last(),
        salt: salt(order.seed, boot.0, ordinal),
        file_bytes: spare.bytes,
        alignment: BLOCK_ALIGNMENT,
        reset: false,
    };
    let (open, _) = OpenSegment::publish(shared, spare, head, order.first.as_ref())?;
    Ok(open)
}

fn contents<D: Disk>(disk: &D, path: &Path) -> Result<Vec<u8>, StorageError> {
    let file = disk.open(path, Access::Read).map_err(StorageError::disk("open", path))?;
    let length = file.length().map_err(StorageError::disk("look at", path))?;
    let mut bytes = vec![0; usize::try_from(length).expect("it is a small file")];
    file.read_at(0, &mut bytes).map_err(StorageError::disk("read", path))?;
    Ok(bytes)
}
