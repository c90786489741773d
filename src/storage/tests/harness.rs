//! A directory on a losable disk, a script of work, and what must be found afterwards.

use std::path::{Path, PathBuf};

use super::images::sink;
use super::losable::LosableDisk;
use crate::model::{
    Batch, BatchBuilder, Boot, ClusterId, Configuration, EntryHeader, EntryKind, Epoch, Founding,
    FoundingEntry, HardState, Incarnation, Index, LogId, LogTime, Member, NodeId, Seat, SnapshotId,
    Standing, Term, WriteSeq,
};
use crate::storage::{
    Directory, Disk, FileReport, FileWork, FileWorker, LogDone, LogWork, LogWriter, OpenOptions,
    Opened, Recovered, StorageError, SyncMode,
};

pub(super) const ROOT: &str = "/data/1";

pub(super) fn root() -> PathBuf {
    PathBuf::from(ROOT)
}

pub(super) fn node(number: u16) -> NodeId {
    NodeId::new(number).unwrap()
}

pub(super) fn options() -> OpenOptions {
    OpenOptions {
        node: node(1),
        incarnation: Incarnation(0xabcd),
        seed: 77,
        segment_bytes: 16_384,
        sync: SyncMode::Always,
        min_free_bytes: 0,
    }
}

pub(super) fn id(term: u64, index: u64) -> LogId {
    LogId::new(Term(term), Index(index))
}

pub(super) fn configuration(address: &str) -> Configuration {
    Configuration::new(vec![Seat {
        id: node(1),
        incarnation: Some(Incarnation(0xabcd)),
        standing: Standing::Voter,
        address: address.to_owned(),
    }])
}

/// The founding entry of a cluster.
pub(super) fn founding(cluster: u128) -> FoundingEntry {
    founding_that(cluster, None)
}

/// That of a cluster which begins with the state of this snapshot.
pub(super) fn founding_that(cluster: u128, restored: Option<SnapshotId>) -> FoundingEntry {
    let founding = Founding {
        cluster: ClusterId(cluster),
        epoch: Epoch(0),
        founder: node(1),
        name: "test".to_owned(),
        configuration: configuration("127.0.0.1:3111"),
        settings: vec![9; 20],
        restored,
    };
    FoundingEntry::make(founding, LogTime(1000))
}

/// Commands of one term, with payloads of `bytes` bytes that tell them apart.
pub(super) fn commands(term: u64, first: u64, count: u64, bytes: usize) -> Batch {
    let mut builder = BatchBuilder::default();
    for index in first..first + count {
        let payload: Vec<u8> =
            (0..bytes).map(|at| (at as u64 * 7 + index + term * 31) as u8).collect();
        let (kind, time) = (EntryKind::COMMAND, LogTime(1000 + index));
        builder.push(EntryHeader { kind, id: id(term, index), time }, &payload);
    }
    builder.take().unwrap()
}

pub(super) fn vote(term: u64, who: u16) -> HardState {
    let member = Member { id: node(who), incarnation: Incarnation(u128::from(who)) };
    HardState { term: Term(term), vote: Some(member) }
}

/// Opens the directory, which must be one of a formed node.
pub(super) fn start<D: Disk>(disk: &D) -> Result<Recovered<D>, StorageError> {
    start_with(disk, options())
}

pub(super) fn start_with<D: Disk>(
    disk: &D,
    options: OpenOptions,
) -> Result<Recovered<D>, StorageError> {
    match Directory::open(disk.clone(), Path::new(ROOT), options, &mut sink)? {
        Opened::Formed(recovered) => Ok(*recovered),
        Opened::Unformed(_) => panic!("the directory has no log"),
    }
}

/// A fresh directory with a founded log.
pub(super) fn founded<D: Disk>(disk: &D, options: OpenOptions) -> Recovered<D> {
    match Directory::open(disk.clone(), Path::new(ROOT), options, &mut sink).unwrap() {
        Opened::Unformed(unformed) => unformed.found(&founding(5)).unwrap(),
        Opened::Formed(_) => panic!("the directory has a log"),
    }
}

pub(super) fn append<D: Disk>(writer: &mut LogWriter<D>, keep: LogId, batch: Batch) {
    let term = batch.last().term;
    let hard_state = (term > keep.term).then_some(HardState { term, vote: None });
    let work = LogWork::Write { seq: WriteSeq(1), hard_state, keep, batches: vec![batch] };
    let report = writer.perform(work).unwrap();
    assert!(matches!(report.done, LogDone::Written { .. }));
}

/// Appends in the term and with the vote that the hard state has.
pub(super) fn append_in_term<D: Disk>(writer: &mut LogWriter<D>, keep: LogId, batch: Batch) {
    let work = LogWork::Write { seq: WriteSeq(1), hard_state: None, keep, batches: vec![batch] };
    let report = writer.perform(work).unwrap();
    assert!(matches!(report.done, LogDone::Written { .. }));
}

/// The encodings of all entries of the log, in order, read back by the file thread.
pub(super) fn all_entries<D: Disk>(
    files: &mut FileWorker<D>,
    first: u64,
    last: Index,
) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let mut next = Index(first);
    while next <= last {
        let work = FileWork::Read { ticket: 4, first: next, last, max_bytes: 700 };
        match files.perform(work).unwrap() {
            FileReport::Entries { ticket: 4, batch } => {
                assert_eq!(batch.first().index, next);
                found.extend(batch.iter().map(|entry| entry.bytes().to_vec()));
                next = batch.last().index + 1;
            }
            other => panic!("{other:?} for {next} of {last}"),
        }
    }
    found
}

/// What a directory must hold.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(super) struct Known {
    pub(super) hard_state: HardState,
    pub(super) cluster: Option<ClusterId>,
    pub(super) log: Vec<Vec<u8>>,
}

/// One thing that is done with a directory.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// The process starts (again).
    Start,
    /// The log is founded, or founded anew.
    Found(u128),
    /// Entries of a term, so many, with so long payloads, behind a kept index.
    Write {
        term: u64,
        keep: u64,
        count: u64,
        bytes: usize,
    },
    /// A vote.
    Vote(u64, u16),
    Mark,
    Spare,
    Stop,
}

/// A node that goes through a script.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) disk: LosableDisk,
    pub(super) options: OpenOptions,
    /// What was reported as done.
    pub(super) acknowledged: Known,
    /// What it is if what was under way was done as well.
    pub(super) under_way: Option<Known>,
    pub(super) boot: Boot,
    seq: u64,
    workers: Workers,
}

#[derive(Debug)]
enum Workers {
    None,
    Unformed(Box<crate::storage::Unformed<LosableDisk>>),
    Formed(Box<(LogWriter<LosableDisk>, FileWorker<LosableDisk>)>),
}

impl Run {
    pub(super) fn new(disk: LosableDisk) -> Run {
        Run {
            disk,
            options: options(),
            acknowledged: Known::default(),
            under_way: None,
            boot: Boot(0),
            seq: 0,
            workers: Workers::None,
        }
    }

    /// Goes through the script until it ends or something fails.
    pub(super) fn go(&mut self, script: &[Step]) -> Result<(), StorageError> {
        for step in script {
            self.step(step)?;
            if let Some(done) = self.under_way.take() {
                self.acknowledged = done;
            }
        }
        Ok(())
    }

    fn step(&mut self, step: &Step) -> Result<(), StorageError> {
        match *step {
            Step::Start => return self.start(),
            Step::Found(cluster) => return self.found(cluster),
            _ => {}
        }
        let work = match *step {
            Step::Write { term, keep, count, bytes } => self.write(term, keep, count, bytes),
            Step::Vote(term, who) => {
                let mut next = self.acknowledged.clone();
                next.hard_state = vote(term, who);
                self.under_way = Some(next);
                self.seq += 1;
                let keep = self.last();
                let (seq, hard_state) = (WriteSeq(self.seq), Some(vote(term, who)));
                LogWork::Write { seq, hard_state, keep, batches: Vec::new() }
            }
            Step::Mark => LogWork::Mark,
            Step::Stop => LogWork::Stop,
            Step::Spare => {
                let Workers::Formed(workers) = &mut self.workers else { panic!("no workers") };
                return workers.1.perform(FileWork::MakeSpare).map(|_| ());
            }
            Step::Start | Step::Found(_) => unreachable!("done above"),
        };
        let Workers::Formed(workers) = &mut self.workers else { panic!("no workers") };
        let done = workers.0.perform(work);
        if done.is_err() {
            let again = workers.0.perform(LogWork::Mark);
            assert!(matches!(again, Err(StorageError::Poisoned)), "{again:?} after {done:?}");
        }
        done.map(|_| ())
    }

    fn write(&mut self, term: u64, keep: u64, count: u64, bytes: usize) -> LogWork {
        let batch = commands(term, keep + 1, count, bytes);
        let mut next = self.acknowledged.clone();
        let keep_id = entry_id(&next.log[keep as usize - 1]);
        next.log.truncate(keep as usize);
        next.log.extend(batch.iter().map(|entry| entry.bytes().to_vec()));
        let mut hard_state = None;
        if next.hard_state.term < Term(term) {
            next.hard_state = HardState { term: Term(term), vote: None };
            hard_state = Some(next.hard_state);
        }
        self.under_way = Some(next);
        self.seq += 1;
        // Several batches make one block.
        let middle = Index(keep + 1 + count / 2);
        let parts =
            [batch.slice(Index(0), middle.previous()), batch.slice(middle, Index(u64::MAX))];
        let batches = parts.into_iter().flatten().collect();
        LogWork::Write { seq: WriteSeq(self.seq), hard_state, keep: keep_id, batches }
    }

    fn last(&self) -> LogId {
        self.acknowledged.log.last().map_or(LogId::ORIGIN, |entry| entry_id(entry))
    }

    fn found(&mut self, cluster: u128) -> Result<(), StorageError> {
        let founding = founding(cluster);
        let mut next = self.acknowledged.clone();
        next.cluster = Some(ClusterId(cluster));
        next.log = vec![founding.batch().bytes().to_vec()];
        self.under_way = Some(next);
        match std::mem::replace(&mut self.workers, Workers::None) {
            Workers::Unformed(unformed) => {
                let recovered = unformed.found(&founding)?;
                self.workers = Workers::Formed(Box::new((recovered.writer, recovered.files)));
            }
            Workers::Formed(mut workers) => {
                workers.0.perform(LogWork::Refound { founding })?;
                self.workers = Workers::Formed(workers);
            }
            Workers::None => panic!("no workers"),
        }
        Ok(())
    }

    /// Starts, and checks that what is found is what was acknowledged, perhaps with what was
    /// under way.
    pub(super) fn start(&mut self) -> Result<(), StorageError> {
        self.workers = Workers::None;
        let (disk, options) = (self.disk.clone(), self.options.clone());
        let opened = Directory::open(disk, Path::new(ROOT), options, &mut sink)?;
        let found = match opened {
            Opened::Unformed(unformed) => {
                assert!(unformed.boot() > self.boot, "{:?}", unformed.boot());
                self.boot = unformed.boot();
                self.workers = Workers::Unformed(unformed);
                Known::default()
            }
            Opened::Formed(mut recovered) => {
                assert!(recovered.boot > self.boot, "{:?} after {:?}", recovered.boot, self.boot);
                self.boot = recovered.boot;
                let log = all_entries(&mut recovered.files, 1, recovered.last);
                check_recovered(&recovered, &log);
                let known = Known {
                    hard_state: recovered.hard_state,
                    cluster: Some(recovered.cluster),
                    log,
                };
                self.workers = Workers::Formed(Box::new((recovered.writer, recovered.files)));
                known
            }
        };
        self.check(found);
        Ok(())
    }

    fn check(&mut self, found: Known) {
        let under_way = self.under_way.take();
        let mut lawful = vec![self.acknowledged.clone()];
        if let Some(next) = under_way {
            // The hard state of a write comes before its entries.
            let hard_state = next.hard_state;
            lawful.push(Known { hard_state, ..self.acknowledged.clone() });
            lawful.push(next);
        }
        let show = |known: &Known| {
            let ids: Vec<LogId> = known.log.iter().map(|entry| entry_id(entry)).collect();
            format!("{:?} {:?} {ids:?}", known.cluster, known.hard_state)
        };
        assert!(
            lawful.contains(&found),
            "found {}\nlawful {:#?}",
            show(&found),
            lawful.iter().map(show).collect::<Vec<_>>()
        );
        self.acknowledged = found;
    }
}

/// What a recovery says of the log must be what the log says.
fn check_recovered(recovered: &Recovered<LosableDisk>, log: &[Vec<u8>]) {
    let entries: Vec<_> =
        log.iter().map(|bytes| crate::model::EntryRef::read(bytes).unwrap()).collect();
    let mut runs: Vec<crate::model::TermRun> = Vec::new();
    for entry in &entries {
        let (term, first) = (entry.id().term, entry.id().index);
        if runs.last().is_none_or(|run| run.term != term) {
            runs.push(crate::model::TermRun { term, first });
        }
    }
    assert_eq!(recovered.runs, runs);
    assert_eq!(recovered.base, LogId::ORIGIN);
    assert_eq!(recovered.last_time, entries.last().unwrap().time());
    assert_eq!(recovered.configurations.len(), 1);
    assert_eq!(recovered.identity.cluster, Some((recovered.cluster, recovered.epoch)));
}

pub(super) fn entry_id(bytes: &[u8]) -> LogId {
    crate::model::EntryRef::read(bytes).unwrap().id()
}

/// Goes through everything that changes a directory: format, founding, founding anew, blocks
/// small and large, votes, marks, rotation onto a spare and without one, a suffix that is
/// replaced within a segment and across segments, clean stops, starts.
pub(super) fn whole_script() -> Vec<Step> {
    let write = |term, keep, count, bytes| Step::Write { term, keep, count, bytes };
    vec![
        Step::Start,
        Step::Found(5),
        Step::Found(3),
        Step::Vote(1, 2),
        write(1, 1, 1, 10),
        Step::Found(4),
        write(1, 1, 1, 10),
        write(1, 2, 3, 700),
        Step::Mark,
        write(2, 3, 2, 100),
        Step::Spare,
        write(2, 5, 4, 1900),
        write(2, 9, 3, 1800),
        write(3, 8, 1, 40),
        Step::Stop,
        Step::Start,
        Step::Start,
        write(3, 9, 2, 3000),
        write(4, 7, 6, 1500),
        Step::Mark,
        Step::Vote(5, 3),
        Step::Start,
        write(5, 13, 1, 20_000),
        write(6, 13, 1, 5),
    ]
}
