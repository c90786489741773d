//! Crashes and errors at every operation.

use super::harness::{Known, Run, Step, entry_id, whole_script};
use super::losable::{LosableDisk, Trouble};
use crate::model::Boot;

/// A source of bits from a seed.
pub(super) struct Bits(u64);

impl Bits {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Whether something survives, where seed 0 loses all, 1 keeps all, others choose.
    pub(super) fn keeper(seed: u64) -> impl FnMut() -> bool {
        let mut bits = Bits(seed);
        move || match seed {
            0 => false,
            1 => true,
            _ => bits.next() & 1 == 1,
        }
    }
}

/// What was reported up to some moment, without the workers.
#[derive(Clone)]
struct Reported {
    acknowledged: Known,
    under_way: Option<Known>,
    boot: Boot,
}

impl Reported {
    fn of(run: &Run) -> Reported {
        let (acknowledged, under_way) = (run.acknowledged.clone(), run.under_way.clone());
        Reported { acknowledged, under_way, boot: run.boot }
    }

    fn resume(&self, disk: LosableDisk) -> Run {
        let mut run = Run::new(disk);
        run.acknowledged = self.acknowledged.clone();
        run.under_way = self.under_way.clone();
        run.boot = self.boot;
        run
    }
}

/// Runs the script with trouble, and gives the disk and what was reported until then.
fn run_into(trouble: Trouble) -> (LosableDisk, Reported, bool) {
    let disk = LosableDisk::new();
    disk.set_trouble(Some(trouble));
    let mut run = Run::new(disk.clone());
    let failed = run.go(&whole_script()).is_err();
    let reported = Reported::of(&run);
    drop(run);
    (disk, reported, failed)
}

fn operations_of_the_script() -> u64 {
    let disk = LosableDisk::new();
    let mut run = Run::new(disk.clone());
    run.go(&whole_script()).unwrap();
    disk.operations()
}

/// What survives the end of a process, and what may survive a power cut.
pub(super) fn outcomes(disk: &LosableDisk, seeds: std::ops::Range<u64>) -> Vec<LosableDisk> {
    let mut found = vec![disk.after_process_end()];
    found.extend(seeds.map(|seed| disk.after_power_cut(&mut Bits::keeper(seed))));
    found
}

/// The directory goes on working after what happened.
fn go_on(run: &mut Run) {
    if run.acknowledged.cluster.is_none() {
        run.go(&[Step::Found(9)]).unwrap();
    }
    let last = run.acknowledged.log.len() as u64;
    let term = run.acknowledged.hard_state.term.0.max(8);
    run.go(&[Step::Write { term, keep: last, count: 2, bytes: 300 }, Step::Start, Step::Stop])
        .unwrap();
    run.go(&[Step::Start]).unwrap();
}

#[test]
fn whatever_was_reported_survives_a_crash_at_every_operation() {
    let operations = operations_of_the_script();
    assert!(operations > 150, "{operations}");
    for number in 1..=operations {
        let (disk, reported, failed) = run_into(Trouble::PowerGoes(number));
        assert!(failed, "operation {number}");
        for after in outcomes(&disk, 0..12) {
            let mut run = reported.resume(after);
            run.start().unwrap_or_else(|error| panic!("operation {number}: {error}"));
            go_on(&mut run);
        }
    }
}

#[test]
fn a_crash_at_every_operation_of_the_start_after_a_crash_loses_nothing() {
    for number in (1..=operations_of_the_script()).step_by(4) {
        let (disk, reported, _) = run_into(Trouble::PowerGoes(number));
        for first in outcomes(&disk, number % 5..number % 5 + 2) {
            for second in 1.. {
                let disk = first.copy();
                let before = disk.operations();
                disk.set_trouble(Some(Trouble::PowerGoes(before + second)));
                let mut run = reported.resume(disk.clone());
                let started = run.start().is_ok();
                let reported = Reported::of(&run);
                drop(run);
                if started {
                    break;
                }
                for third in outcomes(&disk, second % 7..second % 7 + 2) {
                    // Once more, cut short at another place, then for good.
                    third
                        .set_trouble(Some(Trouble::PowerGoes(third.operations() + second / 2 + 1)));
                    let mut run = reported.resume(third.clone());
                    let _ = run.start();
                    let reported = Reported::of(&run);
                    drop(run);
                    let last = third.after_power_cut(&mut Bits::keeper(number + second));
                    let mut run = reported.resume(last);
                    run.start().unwrap_or_else(|error| panic!("{number} {second}: {error}"));
                    go_on(&mut run);
                }
            }
        }
    }
}

#[test]
fn an_error_of_any_operation_is_reported_and_nothing_is_acknowledged_after_it() {
    for number in 1..=operations_of_the_script() {
        let (disk, reported, failed) = run_into(Trouble::Fails(number));
        assert!(failed, "operation {number} failed, and nobody noticed");
        for after in outcomes(&disk, 0..4) {
            let mut run = reported.resume(after);
            run.start().unwrap_or_else(|error| panic!("operation {number}: {error}"));
            go_on(&mut run);
        }
    }
}

/// A directory with a block that was stored and never synced, replacing a part of the log.
fn with_an_unsynced_block() -> (LosableDisk, Reported) {
    let disk = LosableDisk::new();
    let mut run = Run::new(disk.clone());
    run.go(&[
        Step::Start,
        Step::Found(5),
        Step::Write { term: 1, keep: 1, count: 3, bytes: 200 },
        Step::Vote(2, 1),
    ])
    .unwrap();
    // The block's head and its two batches are stored, and the power goes before the sync.
    disk.set_trouble(Some(Trouble::PowerGoes(disk.operations() + 4)));
    run.go(&[Step::Write { term: 2, keep: 2, count: 4, bytes: 1000 }]).unwrap_err();
    let reported = Reported::of(&run);
    drop(run);
    (disk, reported)
}

#[test]
fn a_block_is_there_whole_or_not_at_all_for_every_subset_of_its_sectors() {
    let (disk, reported) = with_an_unsynced_block();
    let sectors = disk.losable();
    assert!((9..=11).contains(&sectors), "{sectors}");
    let mut whole = 0;
    for subset in 0..1_u32 << sectors {
        let mut left = subset;
        let after = disk.after_power_cut(&mut || {
            let keep = left & 1 == 1;
            left >>= 1;
            keep
        });
        let mut run = reported.resume(after);
        run.start().unwrap();
        whole += u32::from(run.acknowledged.log.len() == 6);
        run.go(&[Step::Write { term: 2, keep: 2, count: 2, bytes: 9 }, Step::Start]).unwrap();
    }
    assert_eq!(whole, 1, "only all sectors together make the block");
}

#[test]
fn a_block_is_there_whole_or_not_at_all_for_every_prefix_of_its_bytes() {
    let (disk, reported) = with_an_unsynced_block();
    let path = disk.files().into_iter().rfind(|path| path.to_str().unwrap().ends_with(".seg"));
    let path = path.unwrap();
    let (old, new) = (disk.bytes(&path), disk.seen_bytes(&path));
    let differs: Vec<usize> = (0..old.len()).filter(|&at| old[at] != new[at]).collect();
    let last = *differs.last().unwrap();
    for length in differs[0]..=last + 1 {
        let after = disk.after_power_cut(&mut || false);
        after.damage(&path, |bytes| bytes[..length].copy_from_slice(&new[..length]));
        let mut run = reported.resume(after);
        run.start().unwrap();
        assert_eq!(run.acknowledged.log.len() == 6, length == last + 1, "{length} bytes");
    }
}

#[test]
fn what_a_killed_process_left_in_the_cache_is_durable_before_it_counts() {
    for only_cached_reads in [false, true] {
        let (disk, reported) = with_an_unsynced_block();
        let disk = disk.after_process_end();
        if only_cached_reads {
            disk.read_through_the_cache_only();
        }
        let mut run = reported.resume(disk.clone());
        run.start().unwrap();
        assert_eq!(run.acknowledged.log.len(), 6, "the cache has the whole block");
        let reported = Reported::of(&run);
        drop(run);
        let mut run = reported.resume(disk.after_power_cut(&mut || false));
        run.start().unwrap();
        assert_eq!(run.acknowledged.log.len(), 6);
    }
}

#[test]
fn random_work_with_random_crashes_loses_nothing_that_was_reported() {
    for seed in 0..150 {
        let mut bits = Bits(seed);
        let mut reported = Reported::of(&Run::new(LosableDisk::new()));
        let mut disk = LosableDisk::new();
        for _ in 0..6 {
            let trouble = match bits.next() % 3 {
                0 => Trouble::PowerGoes(disk.operations() + 1 + bits.next() % 120),
                1 => Trouble::Fails(disk.operations() + 1 + bits.next() % 120),
                _ => Trouble::PowerGoes(u64::MAX),
            };
            let mut run = reported.resume(disk.clone());
            disk.set_trouble(Some(trouble));
            let mut going = run.go(&[Step::Start]);
            while going.is_ok() && !bits.next().is_multiple_of(25) {
                going = run.go(&[random_step(&mut bits, &run.acknowledged)]);
            }
            reported = Reported::of(&run);
            drop(run);
            disk = match bits.next() % 3 {
                0 => disk.after_process_end(),
                _ => disk.after_power_cut(&mut Bits::keeper(2 + bits.next() % 1000)),
            };
        }
        let mut run = reported.resume(disk);
        run.start().unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        go_on(&mut run);
    }
}

fn random_step(bits: &mut Bits, known: &Known) -> Step {
    if known.cluster.is_none() {
        return Step::Found(u128::from(1 + bits.next() % 9));
    }
    let last = known.log.len() as u64;
    let term = known.hard_state.term.0.max(1);
    let terms: Vec<_> = known.log.iter().map(|entry| entry_id(entry).term).collect();
    let only_elections = terms.windows(2).all(|pair| pair[0] < pair[1]);
    match bits.next() % 12 {
        0 => Step::Vote(term + 1, 1 + (bits.next() % 3) as u16),
        1 => Step::Mark,
        2 | 3 => Step::Spare,
        4 => Step::Start,
        5 if only_elections => Step::Found(u128::from(10 + bits.next() % 9)),
        6 if last > 1 => {
            let keep = 1 + bits.next() % (last - 1);
            Step::Write { term: term + 1, keep, count: 1 + bits.next() % 4, bytes: 200 }
        }
        7 => Step::Write { term, keep: last, count: 1, bytes: (bits.next() % 18_000) as usize },
        _ => {
            let (count, bytes) = (1 + bits.next() % 5, (bits.next() % 900) as usize);
            Step::Write { term, keep: last, count, bytes }
        }
    }
}
