//! All damage of a log, not only the first: what is behind it can still be told, segment by
//! segment.

use std::path::Path;

use crate::model::{Index, LogId};

use super::hard_state::Record;
use super::inspect::Inspection;
use super::recover::{Headed, LogFound, read_heads};
use super::scan::{Fault, SegmentScan, Window, look_behind, scan_from};
use super::segment::{FIRST_BLOCK, SegmentHead};
use super::{Corruption, Disk, StorageError};

impl<D: Disk> Inspection<D> {
    /// All damage of the log, in order: the first, with which the reading of `log` ended, and what
    /// is found behind it.
    pub(super) fn all_damage(
        &self,
        log: &LogFound,
        record: &Record,
    ) -> Result<Vec<Corruption>, StorageError> {
        let Some(first) = log.damage.clone() else { return Ok(Vec::new()) };
        let Some(hole) = &log.hole else { return Ok(vec![first]) };
        let heads = read_heads(&self.disk, &self.layout, self.access(), record)?;
        let mut found = vec![first.clone()];
        let mut ordinal = hole.ordinal;
        for (at, segment) in heads.iter().enumerate() {
            if segment.ordinal < hole.ordinal {
                continue;
            }
            let next = heads.get(at + 1);
            let damage = |offset, what: String, entries| Corruption {
                directory: self.layout.root.clone(),
                file: Path::new("log").join(&segment.name),
                offset,
                what,
                entries,
            };
            // The gap that is the first damage is in the list.
            while ordinal < segment.ordinal {
                if ordinal > hole.ordinal {
                    let what = format!("the segment with the number {ordinal:016x} is missing");
                    found.push(Corruption { file: "log".into(), ..damage(0, what, None) });
                }
                ordinal += 1;
            }
            ordinal = segment.ordinal + 1;
            match segment.head {
                Ok(head) => {
                    let reaches = next.and_then(|next| next.head.ok()).map(|next| next.before);
                    let holes = self.holes(segment, &head, reaches, next.is_none(), record)?;
                    found.extend(
                        holes.into_iter().map(|hole| damage(hole.offset, hole.what, hole.entries)),
                    );
                }
                Err(fault) => {
                    found.push(damage(0, format!("the segment's head is bad: {fault}"), None));
                }
            }
        }
        let is_first =
            |other: &Corruption| (&other.file, other.offset) == (&first.file, first.offset);
        let again = found.iter().skip(1).position(is_first);
        if let Some(at) = again {
            found.remove(at + 1);
        }
        Ok(found)
    }

    /// The holes in one segment.
    fn holes(
        &self,
        segment: &Headed,
        head: &SegmentHead,
        reaches: Option<LogId>,
        is_last: bool,
        record: &Record,
    ) -> Result<Vec<HoleSeen>, StorageError> {
        let path = self.layout.log.join(&segment.name);
        let file = self.disk.open(&path, self.access());
        let file = file.map_err(StorageError::disk("open", &path))?;
        let mut window = Window::new(&file, path)?;
        let (mut holes, mut last, mut from) = (Vec::new(), head.before, FIRST_BLOCK);
        loop {
            let mut scan = scan_from(&mut window, head, from)?;
            look_behind(&mut window, head, &mut scan)?;
            // What stands behind the end that the next head names doesn't count.
            let ends = |block: &super::scan::BlockFound| Some(block.place.last) == reaches;
            let has_ended = scan.blocks.iter().any(ends);
            if let Some(block) = scan.blocks.last() {
                last = block.place.last;
            }
            let (Some(before), Some(at)) = (scan.resumes_behind, scan.resumes_at) else {
                let is_short = is_last && scan.is_end_lost(head, record.floor);
                let is_cut = reaches.is_some_and(|id| id != last) && !has_ended;
                if is_short || is_cut {
                    holes.push(seen(head, &scan, last, reaches.map(|id| id.index)));
                }
                return Ok(holes);
            };
            if !has_ended {
                holes.push(seen(head, &scan, last, Some(before.index)));
            }
            from = at;
        }
    }
}

/// A hole, as a finding tells it.
struct HoleSeen {
    offset: u64,
    what: String,
    entries: Option<(Index, Option<Index>)>,
}

fn seen(head: &SegmentHead, scan: &SegmentScan, last: LogId, until: Option<Index>) -> HoleSeen {
    let first = last.index + 1;
    let (offset, what) = match &scan.fault {
        Fault::NoHead => (head.aligned(scan.end), "there is no block where one was".to_owned()),
        Fault::Entries { offset, what, .. } => (*offset, what.clone()),
    };
    HoleSeen { offset, what, entries: Some((first, until.filter(|until| *until >= first))) }
}
