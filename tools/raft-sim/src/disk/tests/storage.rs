//! The product's storage over the disk, through many crashes: what a finished report covered is
//! there again.

use std::path::Path;

use raft_node::model::{
    Batch, BatchBuilder, ClusterId, Configuration, EntryHeader, EntryKind, Epoch, Founding,
    FoundingEntry, HardState, Incarnation, Index, LogId, LogTime, NodeId, Seat, Standing, Term,
    WriteSeq,
};
use raft_node::storage::{
    Directory, FileWork, LogWork, OpenOptions, Opened, Recovered, SnapshotSink, SyncMode,
};

use super::super::SimulatedDisk;
use super::{Chance, DiskFaults};

fn options(seed: u64) -> OpenOptions {
    OpenOptions {
        node: NodeId::new(1).unwrap(),
        incarnation: Incarnation(7),
        seed,
        segment_bytes: 16_384,
        sync: SyncMode::Always,
        min_free_bytes: 0,
    }
}

fn batch(kind: EntryKind, id: LogId, payload: &[u8]) -> Batch {
    let mut builder = BatchBuilder::default();
    builder.push(EntryHeader { kind, id, time: LogTime(1000) }, payload);
    builder.take().unwrap()
}

fn founding() -> FoundingEntry {
    let configuration = Configuration::new(vec![Seat {
        id: NodeId::new(1).unwrap(),
        incarnation: Some(Incarnation(7)),
        standing: Standing::Voter,
        address: "127.0.0.1:3111".to_owned(),
    }]);
    let founding = Founding {
        cluster: ClusterId(5),
        epoch: Epoch(0),
        founder: NodeId::new(1).unwrap(),
        name: "test".to_owned(),
        configuration,
        settings: vec![9; 20],
        restored: None,
    };
    FoundingEntry::make(founding, LogTime(5))
}

fn start(disk: &SimulatedDisk, seed: u64) -> Box<Recovered<SimulatedDisk>> {
    let mut sinks = || -> Box<dyn SnapshotSink> { unreachable!("there is no snapshot") };
    let path = Path::new("/data/1");
    match Directory::open(disk.clone(), path, options(seed), &mut sinks).unwrap() {
        Opened::Formed(recovered) => recovered,
        Opened::Unformed(unformed) => Box::new(unformed.found(&founding()).unwrap()),
    }
}

#[test]
fn nothing_that_a_finished_report_covered_is_lost_by_any_crash() {
    for seed in 0..60 {
        let mut chance = Chance::new(seed);
        let faults = DiskFaults { writeback: 200_000, ..DiskFaults::default() };
        let disk = SimulatedDisk::new(seed, faults);
        let mut acknowledged = Index(0);
        let mut now = 0;
        for life in 0..8 {
            disk.begin(now);
            let mut node = start(&disk, seed * 100 + life);
            assert!(node.last >= acknowledged, "seed {seed}: {} of {acknowledged}", node.last);
            acknowledged = node.last;
            now = disk.end();
            let mut last = LogId::new(node.runs.last().unwrap().term, node.last);
            let mut reports = Vec::new();
            let mut files_free = now;
            for _ in 0..1 + chance.below(20) {
                disk.begin(now);
                let id = LogId::new(Term(1), last.index + 1);
                let hard_state =
                    (last.term < Term(1)).then_some(HardState { term: Term(1), vote: None });
                let payload = vec![3; chance.below(4000) as usize];
                let batches = vec![batch(EntryKind::COMMAND, id, &payload)];
                let work = LogWork::Write { seq: WriteSeq(1), hard_state, keep: last, batches };
                node.writer.perform(work).unwrap();
                if files_free <= now && chance.coin() {
                    let log_ends = disk.end();
                    disk.begin(now);
                    node.files.perform(FileWork::MakeSpare).unwrap();
                    files_free = disk.end();
                    now = log_ends;
                } else {
                    now = disk.end();
                }
                last = id;
                reports.push((now, id.index));
            }
            let begun = reports.len().checked_sub(2).map_or(0, |at| reports[at].0);
            let crash = begun + chance.below(now.saturating_sub(begun) + 50);
            let crash = crash.max(reports.iter().rev().nth(1).map_or(now, |report| report.0));
            for (end, index) in reports {
                if end <= crash {
                    acknowledged = acknowledged.max(index);
                }
            }
            now = crash;
            match chance.below(3) {
                0 => disk.process_crash(now),
                _ => disk.power_cut(now),
            }
        }
    }
}
