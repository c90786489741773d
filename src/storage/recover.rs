//! Reads the whole log and decides what of it counts. It changes nothing.
//!
//! The decision table is in `docs/file-formats.md`, under "What a start finds".

use std::io;
use std::path::{Path, PathBuf};

use crate::model::{Configuration, FoundingEntry, Index, LogId, LogTime};

use super::hard_state::Record;
use super::layout::{BAD, Layout, UNFINISHED, parse_segment_name};
use super::log_map::LogMap;
use super::page::{PAGE_BYTES, PageFault};
use super::scan::{BlockFound, Fault, Meanwhile, NOTHING, SegmentScan, Window, look_behind, scan};
use super::segment::SegmentHead;
use super::{Access, Corruption, Disk, DiskFile, StorageError, TornTail};

/// What the log was found to hold, up to the first damage.
#[derive(Debug)]
pub(super) struct LogFound {
    pub(super) map: LogMap,
    /// The log time of the last entry, where reading has told it.
    pub(super) last_time: Option<LogTime>,
    pub(super) configurations: Vec<(Index, Configuration)>,
    /// The founding entry, if the log begins with it.
    pub(super) founding: Option<FoundingEntry>,
    /// The segments that were read, in order.
    pub(super) segments: Vec<SegmentRead>,
    /// Segments that a later one voids, in order.
    pub(super) void: Vec<String>,
    /// Files that were never finished.
    pub(super) unfinished: Vec<String>,
    /// Names in the log's directory that aren't the log's.
    pub(super) strange: Vec<String>,
    pub(super) torn: Option<TornTail>,
    pub(super) damage: Option<Corruption>,
    /// The segment that has the damage, where that is the work of a disk: then nothing speaks
    /// against making it anew.
    pub(super) hole: Option<Hole>,
    /// Damaged segments that a repair has kept.
    pub(super) kept: Vec<String>,
    pub(super) bytes_read: u64,
}

/// The segment that is damaged or missing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Hole {
    pub(super) ordinal: u64,
    /// The file's name, if it is there.
    pub(super) name: Option<String>,
    /// Its head, if that is good.
    pub(super) head: Option<SegmentHead>,
}

impl LogFound {
    const fn nothing() -> LogFound {
        LogFound {
            map: LogMap::new(LogId::ORIGIN),
            last_time: None,
            configurations: Vec::new(),
            founding: None,
            segments: Vec::new(),
            void: Vec::new(),
            unfinished: Vec::new(),
            strange: Vec::new(),
            torn: None,
            damage: None,
            hole: None,
            kept: Vec::new(),
            bytes_read: 0,
        }
    }
}

/// One segment that was read.
#[derive(Clone, Debug)]
pub(super) struct SegmentRead {
    pub(super) name: String,
    pub(super) head: SegmentHead,
    pub(super) file_bytes: u64,
    /// Where its last block that counts ends.
    pub(super) end: u64,
    /// Its blocks that count.
    pub(super) blocks: u64,
    /// How many entries they have, and the lowest and highest index of them.
    pub(super) entry_count: u64,
    pub(super) entries: Option<(Index, Index)>,
}

/// A segment's name and head.
#[derive(Debug)]
pub(super) struct Headed {
    pub(super) name: String,
    pub(super) ordinal: u64,
    pub(super) first: Index,
    pub(super) head: Result<SegmentHead, PageFault>,
}

/// Reads the log of the directory whose hard state is `record`.
pub(super) fn read_log<D: Disk>(
    disk: &D,
    layout: &Layout,
    access: Access,
    record: &Record,
) -> Result<LogFound, StorageError> {
    read_log_while(disk, layout, access, record, NOTHING)
}

/// The same, doing something else in between: once for each read of a MiB or less.
pub(super) fn read_log_while<D: Disk>(
    disk: &D,
    layout: &Layout,
    access: Access,
    record: &Record,
    meanwhile: &Meanwhile<'_>,
) -> Result<LogFound, StorageError> {
    let found = LogFound::nothing();
    let mut walk = Walk { disk, layout, access, record, meanwhile, found };
    let mut segments = walk.heads()?;
    let begin =
        segments.iter().rposition(|segment| segment.head.is_ok_and(|head| head.reset)).unwrap_or(0);
    walk.found.void = segments.drain(..begin).map(|segment| segment.name).collect();
    match walk.segments(&segments)? {
        Ok(()) => walk.found.hole = None,
        Err(damage) => walk.found.damage = Some(damage),
    }
    Ok(walk.found)
}

/// The segments of a directory, in the order of their ordinals, each with its head.
pub(super) fn read_heads<D: Disk>(
    disk: &D,
    layout: &Layout,
    access: Access,
    record: &Record,
) -> Result<Vec<Headed>, StorageError> {
    let (meanwhile, found) = (NOTHING, LogFound::nothing());
    Walk { disk, layout, access, record, meanwhile, found }.heads()
}

impl Hole {
    const fn missing(ordinal: u64) -> Hole {
        Hole { ordinal, name: None, head: None }
    }
}

impl Headed {
    fn hole(&self) -> Option<Hole> {
        let (ordinal, name, head) = (self.ordinal, Some(self.name.clone()), self.head.ok());
        Some(Hole { ordinal, name, head })
    }
}

/// Whether a segment is of the same cluster as the one before it. Its epoch may be a later one.
fn goes_on(before: &SegmentHead, head: &SegmentHead) -> bool {
    match (before.identity.cluster, head.identity.cluster) {
        (Some((before, ended)), Some((cluster, begun))) => cluster == before && begun >= ended,
        (before, after) => before == after,
    }
}

struct Walk<'a, D: Disk> {
    disk: &'a D,
    layout: &'a Layout,
    access: Access,
    record: &'a Record,
    meanwhile: &'a Meanwhile<'a>,
    found: LogFound,
}

/// Reading can fail, or find damage.
type Outcome<T> = Result<Result<T, Corruption>, StorageError>;

impl<D: Disk> Walk<'_, D> {
    /// The heads of all segments, in the order of their ordinals.
    fn heads(&mut self) -> Result<Vec<Headed>, StorageError> {
        let log = &self.layout.log;
        let names = match self.disk.list(log) {
            Ok(names) => names,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(source) => return Err(StorageError::disk("list", log)(source)),
        };
        let mut segments = Vec::new();
        for name in names {
            if let Some((ordinal, first)) = parse_segment_name(&name) {
                let head = self.head(&name)?;
                segments.push(Headed { name, ordinal, first, head });
            } else if name.ends_with(UNFINISHED) {
                self.found.unfinished.push(name);
            } else if name.ends_with(BAD) {
                self.found.kept.push(name);
            } else {
                self.found.strange.push(name);
            }
        }
        segments.sort_by_key(|segment| (segment.ordinal, segment.first));
        Ok(segments)
    }

    fn head(&self, name: &str) -> Result<Result<SegmentHead, PageFault>, StorageError> {
        let (file, path) = self.open(name)?;
        let length = file.length().map_err(StorageError::disk("look at", &path))?;
        if length < PAGE_BYTES as u64 {
            return Ok(Err(PageFault::Empty));
        }
        let mut page = vec![0; PAGE_BYTES];
        file.read_at(0, &mut page).map_err(StorageError::disk("read", &path))?;
        let head = SegmentHead::decode(&page);
        if let Err(PageFault::Newer { found, supported }) = head {
            return Err(StorageError::Newer { path, what: "a segment", found, supported });
        }
        // A file under the name of another is not even asked what it voids.
        let own = |head: SegmentHead| match head.file_name() == name {
            true => Ok(head),
            false => Err(PageFault::OtherSegment { ordinal: head.ordinal }),
        };
        Ok(head.and_then(own))
    }

    fn open(&self, name: &str) -> Result<(D::File, PathBuf), StorageError> {
        let path = self.layout.log.join(name);
        let file = self.disk.open(&path, self.access).map_err(StorageError::disk("open", &path))?;
        Ok((file, path))
    }

    /// Walks all segments that count.
    fn segments(&mut self, segments: &[Headed]) -> Outcome<()> {
        let floor = self.record.floor;
        let Some(last) = segments.last() else {
            if floor.ordinal > 0 || self.record.identity.cluster.is_some() {
                self.found.hole = Some(Hole::missing(floor.ordinal));
                return Ok(Err(self.missing(floor.ordinal, None)));
            }
            return Ok(Ok(()));
        };
        for (at, segment) in segments.iter().enumerate() {
            let next = segments.get(at + 1);
            let head = match self.check_head(segment, at == 0) {
                Ok(head) => head,
                Err(damage) => {
                    // One that is whole and not of this log is no work of the disk.
                    self.found.hole = segment.hole().filter(|hole| hole.head.is_none());
                    return Ok(Err(damage));
                }
            };
            let next_head = next.and_then(|next| next.head.ok());
            let skipped = next.filter(|next| next.ordinal != segment.ordinal + 1);
            // Behind a gap the next head says nothing about this segment.
            let reaches = if skipped.is_none() { next_head.map(|head| head.before) } else { None };
            if let Err(damage) = self.segment(segment, head, reaches, next.is_none())? {
                return Ok(Err(damage));
            }
            if skipped.is_some() {
                let until = next_head.map(|head| head.before.index);
                self.found.hole = Some(Hole::missing(segment.ordinal + 1));
                return Ok(Err(self.missing(segment.ordinal + 1, until)));
            }
        }
        if floor.ordinal > last.ordinal {
            self.found.hole = Some(Hole::missing(last.ordinal + 1));
            return Ok(Err(self.missing(last.ordinal + 1, None)));
        }
        Ok(Ok(()))
    }

    /// The head of a segment, if it is one of this log.
    fn check_head(&mut self, segment: &Headed, first: bool) -> Result<SegmentHead, Corruption> {
        let file = Path::new("log").join(&segment.name);
        let entries = Some((self.found.map.last().index + 1, None));
        let damage = |what: String| Corruption {
            directory: self.layout.root.clone(),
            file: file.clone(),
            offset: 0,
            what,
            entries,
        };
        let head = match segment.head {
            Ok(head) => head,
            Err(fault) => return Err(damage(format!("the segment's head is bad: {fault}"))),
        };
        let own = &self.record.identity;
        if (head.identity.node, head.identity.incarnation) != (own.node, own.incarnation) {
            let node = head.identity.node;
            return Err(damage(format!("the segment is one of another life or node ({node})")));
        }
        let map = &mut self.found.map;
        if first {
            *map = LogMap::new(head.before);
        } else if map.segments().back().is_some_and(|last| !goes_on(&last.head, &head)) {
            return Err(damage("the segment is one of another cluster or epoch".to_owned()));
        }
        map.add_segment(head);
        Ok(head)
    }

    /// Reads one segment. `reaches` is the entry that the next one's head names.
    fn segment(
        &mut self,
        segment: &Headed,
        head: SegmentHead,
        reaches: Option<LogId>,
        is_last: bool,
    ) -> Outcome<()> {
        let (file, path) = self.open(&segment.name)?;
        let mut window = Window::new(&file, path)?.with(self.meanwhile);
        let mut scan = scan(&mut window, &head)?;
        let counting = match reaches {
            None => Some(scan.blocks.len()),
            Some(id) => self.position_of(id, &scan.blocks),
        };
        if is_last || counting.is_none() {
            look_behind(&mut window, &head, &mut scan)?;
        }
        self.found.bytes_read += window.read;
        let blocks: Vec<BlockFound> =
            scan.blocks.drain(..counting.unwrap_or(scan.blocks.len())).collect();
        let file_bytes = window.length();
        self.found.hole = None;
        if let Err(damage) = self.apply(segment, head, file_bytes, blocks) {
            return Ok(Err(damage));
        }
        self.found.hole = segment.hole();
        if counting.is_none() {
            let last = reaches.map(|id| id.index);
            return Ok(Err(self.damage_behind(segment, &head, &scan, last)));
        }
        if is_last {
            return Ok(self.judge_end(segment, &head, file_bytes, &scan));
        }
        Ok(Ok(()))
    }

    /// After how many blocks the last entry of the log is `id` for the last time.
    fn position_of(&self, id: LogId, blocks: &[BlockFound]) -> Option<usize> {
        let behind = blocks.iter().rposition(|block| block.place.last == id);
        match behind {
            Some(at) => Some(at + 1),
            None => (self.found.map.last() == id).then_some(0),
        }
    }

    /// Adds the blocks that count to the log.
    fn apply(
        &mut self,
        segment: &Headed,
        head: SegmentHead,
        file_bytes: u64,
        blocks: Vec<BlockFound>,
    ) -> Result<(), Corruption> {
        let name = segment.name.clone();
        let (end, count) = (super::segment::FIRST_BLOCK, blocks.len() as u64);
        let mut read = SegmentRead {
            name,
            head,
            file_bytes,
            end,
            blocks: count,
            entry_count: 0,
            entries: None,
        };
        for block in blocks {
            let block_head = block.place.head;
            if let Err(what) = self.add(block) {
                self.found.segments.push(read);
                let entries = Some((block_head.before.index + 1, Some(block_head.last_index())));
                return Err(self.damage(&segment.name, block_head.offset, what, entries));
            }
            read.end = block_head.end();
            read.entry_count += u64::from(block_head.count);
            if block_head.count > 0 {
                let (first, last) = (block_head.before.index + 1, block_head.last_index());
                let (lowest, highest) = read.entries.unwrap_or((first, last));
                read.entries = Some((lowest.min(first), highest.max(last)));
            }
        }
        self.found.segments.push(read);
        Ok(())
    }

    fn add(&mut self, block: BlockFound) -> Result<(), String> {
        let before = block.place.head.before;
        let last = self.found.map.last();
        let term = self.record.hard_state.term;
        if block.term() > term {
            let found = block.term();
            return Err(format!("the block reaches term {found}, above the hard state's {term}"));
        }
        if !self.found.map.add_block(&block.place) {
            return Err(format!("the block builds on {before}, which the log doesn't hold"));
        }
        if block.last_time.is_some() || last != before {
            self.found.last_time = block.last_time;
        }
        self.found.configurations.retain(|(index, _)| *index <= before.index);
        self.found.configurations.extend(block.configurations);
        if block.founding.is_some() {
            self.found.founding = block.founding;
        }
        Ok(())
    }

    /// Tells a torn end from damage.
    fn judge_end(
        &mut self,
        segment: &Headed,
        head: &SegmentHead,
        file_bytes: u64,
        scan: &SegmentScan,
    ) -> Result<(), Corruption> {
        let at = head.aligned(scan.end);
        let floor = self.record.floor;
        let below_floor = floor.ordinal == head.ordinal && floor.offset > at;
        let certain = matches!(scan.fault, Fault::Entries { certain: true, .. });
        if file_bytes < head.file_bytes {
            let what = format!("the file was {} bytes long and was cut", head.file_bytes);
            let entries = Some((self.found.map.last().index + 1, None));
            return Err(self.damage(&segment.name, file_bytes, what, entries));
        }
        if below_floor || scan.watermark > at || certain {
            return Err(self.damage_behind(segment, head, scan, None));
        }
        if scan.written_to > scan.end {
            let entries = match scan.fault {
                Fault::Entries { entries, .. } => entries,
                Fault::NoHead => None,
            };
            self.found.torn = Some(TornTail {
                segment: segment.name.clone(),
                offset: scan.end,
                bytes: scan.written_to - scan.end,
                entries,
            });
        }
        Ok(())
    }

    /// The damage that stands where the whole blocks end, with `last` the last entry that is
    /// known to have been there.
    fn damage_behind(
        &self,
        segment: &Headed,
        head: &SegmentHead,
        scan: &SegmentScan,
        last: Option<Index>,
    ) -> Corruption {
        let first = self.found.map.last().index + 1;
        let (offset, mut what, block_last) = match &scan.fault {
            Fault::NoHead => {
                (head.aligned(scan.end), "there is no block where one was".to_owned(), None)
            }
            Fault::Entries { entries, offset, what, .. } => {
                (*offset, what.clone(), entries.map(|(_, last)| last))
            }
        };
        if scan.watermark > head.aligned(scan.end) {
            what.push_str(&format!("; durable up to {:#x}", scan.watermark));
        }
        let last = scan.resumes_behind.map(|id| id.index).or(last).or(block_last);
        let last = last.filter(|last| *last >= first);
        self.damage(&segment.name, offset, what, Some((first, last)))
    }

    fn missing(&self, ordinal: u64, until: Option<Index>) -> Corruption {
        let what = format!("the segment with the number {ordinal:016x} is missing");
        let first = self.found.map.last().index + 1;
        let file = PathBuf::from("log");
        let entries = Some((first, until.filter(|last| *last >= first)));
        Corruption { directory: self.layout.root.clone(), file, offset: 0, what, entries }
    }

    fn damage(
        &self,
        name: &str,
        offset: u64,
        what: String,
        entries: Option<(Index, Option<Index>)>,
    ) -> Corruption {
        let file = Path::new("log").join(name);
        Corruption { directory: self.layout.root.clone(), file, offset, what, entries }
    }
}
