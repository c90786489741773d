//! Damaged logs that are made good out of what others hold.

use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::crash::outcomes;
use super::harness::{
    ROOT, all_entries, append, append_in_term, commands, entry_id, founded, id, options, start,
    start_with, vote,
};
use super::images;
use super::losable::{LosableDisk, Trouble};
use crate::model::{Batch, HardState, Index, LogId, SnapshotId, Term, WriteSeq};
use crate::storage::{
    Attempt, Directory, ErrorClass, FileWork, HeldLog, Holder, Lack, LogWork, OpenOptions,
    Recovered, Repair, StorageError,
};

/// Segments as short as they can be, so that every byte can have its turn.
fn small() -> OpenOptions {
    OpenOptions { segment_bytes: 8192, ..options() }
}

/// What the directory holds: term and vote, and the log, by which others hold it as well.
type Held = (HardState, Vec<Vec<u8>>);

/// Segments of three starts, with a suffix that was replaced, up to a mark.
fn directory() -> (LosableDisk, Held) {
    let disk = LosableDisk::new();
    let mut node = founded(&disk, small());
    append(&mut node.writer, id(0, 1), commands(1, 2, 3, 500));
    append(&mut node.writer, id(1, 4), commands(1, 5, 2, 800));
    append(&mut node.writer, id(1, 3), commands(2, 4, 2, 600));
    let hard_state = vote(3, 2);
    let (seq, keep) = (WriteSeq(9), id(2, 5));
    let work = LogWork::Write { seq, hard_state: Some(hard_state), keep, batches: Vec::new() };
    node.writer.perform(work).unwrap();
    drop(node);
    let disk = disk.after_process_end();
    let mut node = start_with(&disk, small()).unwrap();
    append_in_term(&mut node.writer, id(2, 5), commands(3, 6, 2, 300));
    append(&mut node.writer, id(3, 7), commands(3, 8, 2, 300));
    append(&mut node.writer, id(3, 9), commands(3, 10, 2, 2500));
    append(&mut node.writer, id(3, 11), commands(3, 12, 3, 400));
    node.writer.perform(LogWork::Mark).unwrap();
    append(&mut node.writer, id(3, 14), commands(3, 15, 1, 100));
    let log = all_entries(&mut node.files, 1, Index(15));
    node.writer.perform(LogWork::Stop).unwrap();
    drop(node);
    (disk.after_process_end(), (hard_state, log))
}

fn outcome(disk: &LosableDisk) -> Result<Held, ErrorClass> {
    match start_with(disk, small()) {
        Ok(Recovered { mut files, last, hard_state, .. }) => {
            Ok((hard_state, all_entries(&mut files, 1, last)))
        }
        Err(error) => Err(error.class()),
    }
}

/// A start finds all that the directory held before.
fn assert_holds(disk: &LosableDisk, held: &Held, what: &str) {
    let found = outcome(disk).unwrap_or_else(|class| panic!("{what}: refused as {class:?}"));
    let ids = |log: &[Vec<u8>]| log.iter().map(|entry| entry_id(entry)).collect::<Vec<_>>();
    assert_eq!((found.0, ids(&found.1)), (held.0, ids(&held.1)), "{what}");
    assert!(found.1 == held.1, "{what}: the same ids, and other entries");
}

fn holds(log: &[Vec<u8>], id: LogId) -> bool {
    match id.index.0.checked_sub(1) {
        None => id == LogId::ORIGIN,
        Some(at) => log.get(at as usize).is_some_and(|entry| entry_id(entry) == id),
    }
}

/// The entries behind `behind` up to `until`, in batches of a few.
fn entries(log: &[Vec<u8>], behind: LogId, until: LogId) -> Vec<Batch> {
    let wanted = &log[behind.index.0 as usize..until.index.0 as usize];
    wanted.chunks(2).map(|few| Batch::parse(Bytes::from(few.concat())).unwrap()).collect()
}

/// Another node, which leads in a term. Its log begins behind `base`, where its snapshot ends if it
/// has one.
struct Peer<'a> {
    term: Term,
    log: &'a [Vec<u8>],
    base: LogId,
    snapshot: Option<(SnapshotId, Vec<u8>)>,
}

impl Holder for Peer<'_> {
    fn name(&self) -> String {
        "peer".to_owned()
    }

    fn log(&mut self, behind: &[LogId], until: Option<LogId>) -> Result<HeldLog, String> {
        let last = entry_id(self.log.last().unwrap());
        let is_held = until.is_none_or(|until| holds(self.log, until));
        let is_there = |id: &LogId| id.index >= self.base.index && holds(self.log, *id);
        let behind = behind.iter().copied().find(|id| is_held && is_there(id));
        // A few at a time.
        let given = behind.and_then(|behind| {
            entries(self.log, behind, until.unwrap_or(last)).first().map(Batch::bytes)
        });
        Ok(HeldLog {
            term: self.term,
            leads: true,
            last,
            behind,
            entries: given.unwrap_or_default(),
        })
    }

    fn newest_snapshot(&mut self) -> Result<Option<SnapshotId>, String> {
        Ok(self.snapshot.as_ref().map(|(id, _)| *id))
    }

    fn piece(&mut self, id: SnapshotId, offset: u64) -> Result<Bytes, String> {
        let (known, bytes) = self.snapshot.as_ref().ok_or("there is none")?;
        assert_eq!(*known, id);
        let from = offset as usize;
        Ok(Bytes::copy_from_slice(&bytes[from..bytes.len().min(from + 3000)]))
    }

    fn wait(&mut self) {
        panic!("all is on disk");
    }
}

fn whole(term: Term, log: &[Vec<u8>]) -> Peer<'_> {
    Peer { term, log, base: LogId::ORIGIN, snapshot: None }
}

/// Repairs the log out of that of another node, which leads in the term of the hard state; tells
/// how often a segment was made anew, and how often all of the log. `None`: there is nothing that
/// could be repaired.
fn repair(disk: &LosableDisk, log: &[Vec<u8>]) -> Result<Option<[u64; 2]>, StorageError> {
    let mut made = [0, 0];
    while let Some(mut repair) = Repair::look(disk.clone(), Path::new(ROOT), &small())? {
        let term = repair.term();
        let is_known = match repair.lack() {
            Lack::Entries(lost) => holds(log, lost.until),
            Lack::Nothing => true,
            Lack::Everything => false,
        };
        let mut said = Vec::new();
        match repair.attempt(&mut [whole(term, log)], &mut said)? {
            Attempt::Done(_) => made[usize::from(!is_known)] += 1,
            Attempt::Waits(_) => panic!("{said:?}"),
        }
        assert!(made[0] + made[1] < 10, "it isn't repaired by being repaired");
    }
    Ok((made != [0, 0]).then_some(made))
}

fn segments(disk: &LosableDisk) -> Vec<PathBuf> {
    let is_segment = |path: &PathBuf| path.extension().is_some_and(|end| end == "seg");
    disk.files().into_iter().filter(is_segment).collect()
}

fn kept(disk: &LosableDisk) -> Vec<PathBuf> {
    disk.files()
        .into_iter()
        .filter(|path| path.extension().is_some_and(|end| end == "bad"))
        .collect()
}

/// Damages a copy of a directory, repairs it, and looks at what came of it.
fn damage_and_repair(
    (disk, held): &(LosableDisk, Held),
    what: &str,
    damage: &dyn Fn(&LosableDisk),
) -> Option<[u64; 2]> {
    let damaged = disk.copy();
    damage(&damaged);
    let made = repair(&damaged, &held.1).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_holds(&damaged, held, what);
    made
}

#[test]
fn wherever_a_bit_of_a_segment_is_flipped_the_log_is_as_it_was_after_a_repair() {
    let directory = directory();
    assert_holds(&directory.0.copy(), &directory.1, "untouched");
    let mut made = [0, 0];
    for path in segments(&directory.0) {
        for at in (0..directory.0.bytes(&path).len()).step_by(3) {
            let flip = |disk: &LosableDisk| disk.damage(&path, |bytes| bytes[at] ^= 1 << (at % 8));
            let what = format!("{} byte {at}", path.display());
            let times = damage_and_repair(&directory, &what, &flip).unwrap_or_default();
            made = [made[0] + times[0], made[1] + times[1]];
        }
    }
    let entry_bytes: usize = directory.1.1.iter().map(Vec::len).sum();
    assert!(made[0] > entry_bytes as u64 / 3, "{made:?}");
}

#[test]
fn a_segment_that_is_missing_is_made_anew() {
    let directory = directory();
    let segments = segments(&directory.0);
    assert!(segments.len() >= 4, "{segments:?}");
    for path in &segments {
        let take = |disk: &LosableDisk| disk.take_away(path);
        let made = damage_and_repair(&directory, &path.display().to_string(), &take);
        let is_middle = *path != segments[0] && path != segments.last().unwrap();
        assert_eq!(made, Some(if is_middle { [1, 0] } else { [0, 1] }), "{}", path.display());
    }
    let middle = [&segments[1], &segments[2]];
    let take = |disk: &LosableDisk| middle.iter().for_each(|path| disk.take_away(path));
    assert_eq!(damage_and_repair(&directory, "two of them", &take), Some([2, 0]));
}

#[test]
fn several_holes_in_one_segment_are_filled_at_once() {
    let directory = directory();
    let path = segments(&directory.0).pop().unwrap();
    let last = directory.0.bytes(&path);
    let flip = |disk: &LosableDisk| {
        disk.damage(&path, |bytes| {
            (4096 + 80..last.len()).step_by(1100).for_each(|at| bytes[at] ^= 1)
        });
    };
    let made = damage_and_repair(&directory, "many bytes", &flip).expect("there is damage");
    assert!(made[0] + made[1] == 1, "{made:?}");
}

#[test]
fn a_range_of_zeros_anywhere_is_repaired() {
    let directory = directory();
    for path in segments(&directory.0) {
        let length = directory.0.bytes(&path).len();
        for from in (0..length).step_by(512) {
            for sectors in [1, 3, 8] {
                let zero = |disk: &LosableDisk| {
                    let to = (from + sectors * 512).min(length);
                    disk.damage(&path, |bytes| bytes[from..to].fill(0));
                };
                let what = format!("{} from {from} on {sectors} sectors", path.display());
                damage_and_repair(&directory, &what, &zero);
            }
        }
    }
}

#[test]
fn the_damaged_segment_is_kept_and_so_is_one_of_that_name_from_before() {
    let (disk, held) = directory();
    let path = segments(&disk).pop().unwrap();
    for number in 1..=2 {
        disk.damage(&path, |bytes| bytes[4096 + 70] ^= 1);
        let damaged = disk.bytes(&path);
        assert!(repair(&disk, &held.1).unwrap().is_some());
        let kept = kept(&disk);
        assert_eq!(kept.len(), number);
        assert!(kept.iter().any(|kept| disk.bytes(kept) == damaged), "{kept:?}");
        assert_holds(&disk.copy(), &held, "after a repair");
    }
}

#[test]
fn a_crash_at_every_step_of_a_repair_leaves_what_can_be_repaired_or_is() {
    let (disk, held) = directory();
    let paths = segments(&disk);
    let flip = |path: &PathBuf, at: usize| {
        let (path, damaged) = (path.clone(), disk.copy());
        damaged.damage(&path, |bytes| bytes[at] ^= 1);
        damaged
    };
    let missing = disk.copy();
    missing.take_away(&paths[1]);
    let end_is_lost = disk.copy();
    end_is_lost.take_away(paths.last().unwrap());
    let damaged = [flip(&paths[0], 4200), flip(paths.last().unwrap(), 4200), missing, end_is_lost];
    let mut steps = 0;
    for (case, damaged) in damaged.iter().enumerate() {
        for number in 1.. {
            let disk = damaged.copy();
            disk.set_trouble(Some(Trouble::PowerGoes(disk.operations() + number)));
            if repair(&disk, &held.1).is_ok() {
                break;
            }
            steps += 1;
            for after in outcomes(&disk, 0..8) {
                let what = format!("case {case}, step {number}");
                repair(&after, &held.1).unwrap_or_else(|error| panic!("{what}: {error}"));
                assert_holds(&after, &held, &what);
                assert_holds(&after.after_process_end(), &held, &what);
            }
        }
    }
    assert!(steps > 40, "{steps}");
}

#[test]
fn an_error_at_every_step_of_a_repair_is_reported_and_nothing_is_lost() {
    let (disk, held) = directory();
    let path = segments(&disk)[0].clone();
    disk.damage(&path, |bytes| bytes[4200] ^= 1);
    for number in 1.. {
        let disk = disk.copy();
        disk.set_trouble(Some(Trouble::Fails(disk.operations() + number)));
        match repair(&disk, &held.1) {
            Ok(_) => break,
            Err(error) => assert_eq!(error.class(), ErrorClass::Disk, "step {number}: {error}"),
        }
        let disk = disk.after_process_end();
        repair(&disk, &held.1).unwrap();
        assert_holds(&disk, &held, &format!("step {number}"));
    }
}

#[test]
fn what_others_give_is_taken_only_if_it_leads_from_what_is_left_to_what_follows() {
    let (disk, (_, log)) = directory();
    let path = segments(&disk)[0].clone();
    disk.damage(&path, |bytes| bytes[4200] ^= 1);
    let look = || Repair::look(disk.copy(), Path::new(ROOT), &small()).unwrap().unwrap();
    let Lack::Entries(lost) = look().lack() else { panic!("entries are lacking") };
    let (behind, until) = (lost.behind[0], lost.until);
    let wrong = [
        (behind, entries(&log, behind, id(until.term.0, until.index.0 - 1))),
        (behind, entries(&log, id(behind.term.0, behind.index.0 + 1), until)),
        (id(9, behind.index.0), entries(&log, behind, until)),
        (behind, vec![commands(7, behind.index.0 + 1, until.index.0 - behind.index.0, 10)]),
        (behind, Vec::new()),
    ];
    for (behind, batches) in wrong {
        let mut repair = look();
        assert!(repair.fill(behind, batches).is_err());
        assert_eq!(repair.lack(), Lack::Entries(lost.clone()), "nothing was changed");
    }
}

#[test]
fn a_log_that_says_more_than_its_hard_state_is_not_repaired() {
    // It has forgotten a term, and with it perhaps a vote.
    let (disk, _) = directory();
    let older = LosableDisk::new();
    drop(founded(&older, small()));
    let forgotten = older.after_process_end();
    let path = PathBuf::from(ROOT).join("hardstate");
    let bytes = forgotten.bytes(&path);
    disk.damage(&path, |now| now.copy_from_slice(&bytes));
    assert_eq!(outcome(&disk.copy()).unwrap_err(), ErrorClass::Corrupt);
    assert!(Repair::look(disk, Path::new(ROOT), &small()).unwrap().is_none());
}

#[test]
fn a_leader_of_an_earlier_term_is_not_believed() {
    let (disk, (_, log)) = directory();
    disk.take_away(segments(&disk).last().unwrap());
    let repair = Repair::look(disk.copy(), Path::new(ROOT), &small()).unwrap().unwrap();
    let before = Term(repair.term().0 - 1);
    let (mut said, mut peer) = (Vec::new(), [whole(before, &log)]);
    let attempt = repair.attempt(&mut peer, &mut said).unwrap();
    assert!(matches!(attempt, Attempt::Waits(Some(_))), "{attempt:?}");
    assert_eq!(outcome(&disk).unwrap_err(), ErrorClass::Corrupt);
}

#[test]
fn where_the_log_of_the_leader_begins_later_its_snapshot_is_taken_and_its_term() {
    let (disk, (hard_state, log)) = directory();
    disk.take_away(segments(&disk).last().unwrap());
    let last = entry_id(&log[11]);
    let bytes = images::file(&images::head(last), &images::payload(last, 100_000));
    let id = images::id_of(&images::head(last), &bytes);
    let term = Term(hard_state.term.0 + 4);
    for number in 1.. {
        let disk = disk.copy();
        disk.set_trouble(Some(Trouble::PowerGoes(disk.operations() + number)));
        let peer = || [Peer { term, log: &log, base: last, snapshot: Some((id, bytes.clone())) }];
        let looked = Repair::look(disk.clone(), Path::new(ROOT), &small());
        let done = looked.and_then(|repair| {
            repair.expect("it is damaged").attempt(&mut peer(), &mut Vec::new())
        });
        for after in outcomes(&disk, 0..4) {
            if let Some(repair) = Repair::look(after.clone(), Path::new(ROOT), &small()).unwrap() {
                let again = repair.attempt(&mut peer(), &mut Vec::new()).unwrap();
                assert!(matches!(again, Attempt::Done(_)), "step {number}: {again:?}");
            }
            let mut node = start_with(&after, small()).unwrap();
            let loaded = node.snapshot.take().expect("there is one");
            assert_eq!((loaded.id, node.base, node.last), (id, last, Index(15)));
            assert_eq!(node.hard_state, HardState { term, vote: None });
            assert!(images::contents(loaded.sink) == images::payload(last, 100_000));
            assert!(all_entries(&mut node.files, 13, node.last) == log[12..]);
        }
        if done.is_ok() {
            break;
        }
    }
}

#[test]
fn whose_state_is_not_that_of_the_others_gets_it_from_them() {
    let disk = LosableDisk::new();
    let mut node = founded(&disk, options());
    append(&mut node.writer, id(0, 1), commands(1, 2, 10, 1000));
    append(&mut node.writer, id(1, 11), commands(1, 12, 9, 1000));
    append(&mut node.writer, id(1, 20), commands(1, 21, 10, 1000));
    append(&mut node.writer, id(1, 30), commands(1, 31, 10, 1000));
    let log = all_entries(&mut node.files, 1, Index(40));
    for last in [id(1, 19), id(1, 25)] {
        images::build(&mut node.files, last, 10).unwrap();
    }
    let (through, wanted) = (Index(19), Index(19));
    let work = FileWork::RemoveThrough { through, wanted, max_bytes: u64::MAX };
    node.files.perform(work).unwrap();
    assert_eq!(Directory::set_snapshots_aside(&disk, Path::new(ROOT)).unwrap(), 2);
    drop(node);
    let disk = disk.after_process_end();
    assert_eq!(kept(&disk).len(), 2);
    assert!(matches!(start(&disk), Err(StorageError::Corrupt(_))));
    let mut repair = Repair::look(disk.clone(), Path::new(ROOT), &options()).unwrap().unwrap();
    assert_eq!(repair.lack(), Lack::Everything);
    let term = repair.term();
    let last = id(1, 30);
    let bytes = images::file(&images::head(last), &images::payload(last, 500));
    let snapshot = Some((images::id_of(&images::head(last), &bytes), bytes));
    let mut peer = [Peer { term, log: &log, base: last, snapshot }];
    let attempt = repair.attempt(&mut peer, &mut Vec::new()).unwrap();
    assert!(matches!(attempt, Attempt::Done(_)), "{attempt:?}");
    let node = start(&disk).unwrap();
    assert_eq!((node.base, node.last, node.snapshots.len()), (last, Index(40), 1));
}
