//! What is left of a damaged segment, and what is missing in it.

use std::collections::VecDeque;

use crate::model::{Index, LogId};
use crate::storage::hard_state::Record;
use crate::storage::layout::{Layout, parse_segment_name};
use crate::storage::log_map::{BlockPlace, LogMap};
use crate::storage::recover::{Headed, Hole, read_heads};
use crate::storage::scan::{Window, look_behind, scan_from};
use crate::storage::segment::{BLOCK_ALIGNMENT, FIRST_BLOCK, SegmentHead};
use crate::storage::{Access, Disk, StorageError};

/// What the new segment is made of.
#[derive(Debug)]
pub(super) struct Remains {
    /// Its head, but for salt and length.
    pub(super) head: SegmentHead,
    /// The old file, if there is one.
    pub(super) name: Option<String>,
    /// Blocks before this offset are in the map that the damaged log was read into.
    pub(super) known_until: u64,
    pub(super) parts: VecDeque<Part>,
    /// Whether something behind the last part is lost, and nothing tells what.
    pub(super) end_is_lost: bool,
}

/// A part of the new segment.
#[derive(Debug)]
pub(super) enum Part {
    /// A block of the old one.
    Block(BlockPlace),
    /// The log goes on behind this entry.
    Until(LogId),
}

/// The damage isn't what a disk does: nothing is to be made of this.
#[derive(Clone, Copy, Debug)]
pub(super) struct Strange;

/// Looks at what is left of the segment with the hole, behind which stands `map`. `None`: nothing
/// can be made out of it.
pub(super) fn look<D: Disk>(
    disk: &D,
    layout: &Layout,
    record: &Record,
    map: &LogMap,
    hole: &Hole,
) -> Result<Result<Option<Remains>, Strange>, StorageError> {
    let heads = read_heads(disk, layout, Access::ReadDevice, record)?;
    let behind: Vec<&Headed> = heads.iter().filter(|next| next.ordinal > hole.ordinal).collect();
    match (hole.head, &hole.name) {
        (Some(head), Some(name)) => {
            let next = behind.first().filter(|next| next.ordinal == hole.ordinal + 1);
            let reaches = next.and_then(|next| next.head.ok()).map(|head| head.before);
            let look = Look { disk, layout, record, head, reaches, is_last: behind.is_empty() };
            look.walk(name, map)
        }
        _ => Ok(Ok(headless(record, map, hole, &behind))),
    }
}

/// What stands in for a segment that is missing, or of whose blocks none can be told.
fn headless(record: &Record, map: &LogMap, hole: &Hole, behind: &[&Headed]) -> Option<Remains> {
    let until = behind.iter().find_map(|next| next.head.ok())?.before;
    let before_it = map.segments().back()?.head;
    // One that is there keeps its name, so that it is replaced at once.
    let first = hole.name.as_deref().and_then(parse_segment_name).map(|(_, first)| first);
    let before = match first {
        Some(first) if first > Index(0) => map.id_at(first.previous())?,
        _ => map.last(),
    };
    if before_it.ordinal + 1 != hole.ordinal || before_it.identity.node != record.identity.node {
        return None;
    }
    let head = SegmentHead {
        ordinal: hole.ordinal,
        before,
        alignment: BLOCK_ALIGNMENT,
        reset: false,
        ..before_it
    };
    let parts = VecDeque::from([Part::Until(until)]);
    let name = hole.name.clone();
    Some(Remains { head, name, known_until: 0, parts, end_is_lost: false })
}

struct Look<'a, D: Disk> {
    disk: &'a D,
    layout: &'a Layout,
    record: &'a Record,
    head: SegmentHead,
    /// The entry that the next head names.
    reaches: Option<LogId>,
    is_last: bool,
}

impl<D: Disk> Look<'_, D> {
    fn walk(
        &self,
        name: &str,
        map: &LogMap,
    ) -> Result<Result<Option<Remains>, Strange>, StorageError> {
        let path = self.layout.log.join(name);
        let file = self.disk.open(&path, Access::ReadDevice);
        let file = file.map_err(StorageError::disk("open", &path))?;
        let mut window = Window::new(&file, path)?;
        let mut parts = VecDeque::new();
        let (mut from, mut known_until) = (FIRST_BLOCK, None);
        let scan = loop {
            let mut scan = scan_from(&mut window, &self.head, from)?;
            look_behind(&mut window, &self.head, &mut scan)?;
            for block in scan.blocks.drain(..) {
                if block.term() > self.record.hard_state.term {
                    return Ok(Err(Strange));
                }
                parts.push_back(Part::Block(block.place));
            }
            // What stands before the first hole was read into the map.
            known_until.get_or_insert(scan.end.max(FIRST_BLOCK));
            let (Some(id), Some(at)) = (scan.resumes_behind, scan.resumes_at) else { break scan };
            push_until(&mut parts, id);
            from = at;
        };
        if let Some(id) = self.reaches {
            cut_behind(&mut parts, id, map);
        }
        let is_short = window.length() < self.head.file_bytes;
        let floor = self.record.floor;
        let end_is_lost = self.is_last && (is_short || scan.is_end_lost(&self.head, floor));
        let (head, name) = (self.head, Some(name.to_owned()));
        let known_until = known_until.unwrap_or(FIRST_BLOCK);
        Ok(Ok(Some(Remains { head, name, known_until, parts, end_is_lost })))
    }
}

/// The next good block builds on `id`, whatever stood before it.
fn push_until(parts: &mut VecDeque<Part>, id: LogId) {
    if let Some(Part::Until(before)) = parts.back_mut() {
        *before = id;
        return;
    }
    parts.push_back(Part::Until(id));
}

/// The next segment's head says that the log ended with `id`: with the last block that does so.
fn cut_behind(parts: &mut VecDeque<Part>, id: LogId, map: &LogMap) {
    let ends = |part: &Part| matches!(part, Part::Block(place) if place.last == id);
    match parts.iter().rposition(ends) {
        Some(at) => parts.truncate(at + 1),
        None if parts.is_empty() && map.last() == id => {}
        None => push_until(parts, id),
    }
}
