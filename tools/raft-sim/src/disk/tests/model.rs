//! Random work against a plain model: what was synced survives, what was written is read back,
//! and nothing but a lawful outcome follows a crash.

use std::collections::{BTreeMap, BTreeSet};

use raft_node::storage::{Access, Disk, DiskFile};

use super::{Chance, DiskFaults, SimulatedDisk, disk, path};

const SECTORS: usize = 20;
const SECTOR: usize = 512;

/// One file of fixed length, each sector filled with one byte.
struct Model {
    /// What was written when, in order.
    versions: Vec<Vec<(u64, u8)>>,
    /// Up to when each sector's last version before a finished sync was written.
    synced: Vec<usize>,
}

impl Model {
    fn new() -> Model {
        Model { versions: vec![vec![(0, 0)]; SECTORS], synced: vec![0; SECTORS] }
    }

    /// What the sector may hold after a power cut: the synced version, or any later one.
    fn lawful(&self, sector: usize, now: u64) -> BTreeSet<u8> {
        let later = self.versions[sector][self.synced[sector]..].iter();
        // A write that was under way counts: a part of it may have been done.
        later.filter(|(begun, _)| *begun <= now).map(|(_, byte)| *byte).collect()
    }

    fn reset(&mut self, bytes: &[u8]) {
        for sector in 0..SECTORS {
            self.versions[sector] = vec![(0, bytes[sector * SECTOR])];
            self.synced[sector] = 0;
        }
    }
}

fn prepared(seed: u64) -> SimulatedDisk {
    let faults = DiskFaults { writeback: 200_000, ..DiskFaults::default() };
    let disk = disk(seed, faults);
    let file = disk.open(&path("a"), Access::Create).unwrap();
    file.allocate((SECTORS * SECTOR) as u64).unwrap();
    file.sync().unwrap();
    disk.sync_directory(&path("")).unwrap();
    drop(file);
    disk
}

#[test]
fn what_was_synced_survives_and_only_lawful_bytes_follow_a_power_cut() {
    for seed in 0..400 {
        let mut chance = Chance::new(seed);
        let disk = prepared(seed);
        let mut model = Model::new();
        let mut now = disk.end();
        for _ in 0..6 {
            let file = disk.open(&path("a"), Access::Write).unwrap();
            let mut syncs: Vec<(u64, Vec<usize>)> = Vec::new();
            let begun = disk.end();
            for _ in 0..1 + chance.below(12) {
                let start = disk.end();
                if chance.below(4) == 0 {
                    file.sync().unwrap();
                    let upto = model.versions.iter().map(|all| all.len() - 1).collect();
                    syncs.push((disk.end(), upto));
                } else {
                    let sector = chance.below(SECTORS as u64) as usize;
                    let byte = chance.bits() as u8;
                    file.write_at((sector * SECTOR) as u64, &[byte; SECTOR]).unwrap();
                    model.versions[sector].push((start, byte));
                }
                let sector = chance.below(SECTORS as u64) as usize;
                let mut read = [0; SECTOR];
                file.read_at((sector * SECTOR) as u64, &mut read).unwrap();
                assert_eq!(read, [model.versions[sector].last().unwrap().1; SECTOR]);
            }
            now = begun + chance.below(disk.end() - begun + 50);
            for (_, upto) in syncs.into_iter().filter(|(end, _)| *end <= now) {
                model.synced = upto;
            }
            disk.power_cut(now);
            let found = disk.contents(&path("a"), false).unwrap();
            assert_eq!(found, disk.contents(&path("a"), true).unwrap());
            for sector in 0..SECTORS {
                let bytes = &found[sector * SECTOR..][..SECTOR];
                let lawful = model.lawful(sector, now);
                // A store that was cut short leaves a mix of two versions in the cache.
                assert!(
                    bytes.iter().all(|byte| lawful.contains(byte)),
                    "seed {seed}, sector {sector}: {:?}, lawful {lawful:?}",
                    bytes[0]
                );
            }
            model.reset(&found);
            if (0..SECTORS).any(|at| found[at * SECTOR..][..SECTOR] != [found[at * SECTOR]; SECTOR])
            {
                break;
            }
            disk.begin(now);
        }
        assert!(now > 0);
    }
}

#[test]
fn the_end_of_a_process_loses_only_what_had_not_happened() {
    for seed in 0..200 {
        let mut chance = Chance::new(seed);
        let disk = prepared(seed);
        let file = disk.open(&path("a"), Access::Write).unwrap();
        disk.begin(disk.end());
        let begun = disk.end();
        let mut writes = Vec::new();
        for byte in 1..=10 {
            let start = disk.end();
            file.write_at(0, &[byte; SECTOR]).unwrap();
            writes.push((start, disk.end(), byte));
            if byte % 3 == 0 {
                file.sync().unwrap();
            }
        }
        let now = begun + chance.below(disk.end() - begun + 5);
        disk.process_crash(now);
        let found = disk.contents(&path("a"), false).unwrap();
        let done = writes.iter().filter(|(_, end, _)| *end <= now).map(|write| write.2).max();
        let under_way = writes.iter().find(|(start, end, _)| *start <= now && *end > now);
        let lawful = [done.unwrap_or(0), under_way.map_or(0, |write| write.2)];
        let allowed = |byte: &u8| *byte == lawful[0] || (*byte == lawful[1] && lawful[1] > 0);
        assert!(found[..SECTOR].iter().all(allowed), "seed {seed}: {:?} {lawful:?}", found[0]);
        assert!(file.sync().is_err(), "the handle's process has ended");
    }
}

/// What names mean after a power cut, by the first byte of what they name.
fn names(disk: &SimulatedDisk) -> BTreeMap<String, u8> {
    let files = disk.files().into_iter();
    files
        .map(|(path, _)| {
            let byte = disk.contents(&path, false).unwrap().first().copied().unwrap_or(0);
            (path.file_name().unwrap().to_str().unwrap().to_owned(), byte)
        })
        .collect()
}

#[test]
fn a_power_cut_gives_every_lawful_subset_of_changes_of_names_and_no_other() {
    let mut found = BTreeSet::new();
    for seed in 0..600 {
        let disk = prepared(seed);
        for (name, byte) in [("x", 1), ("y", 2)] {
            let file = disk.open(&path(name), Access::Create).unwrap();
            file.write_at(0, &[byte; SECTOR]).unwrap();
            file.sync().unwrap();
        }
        disk.sync_directory(&path("")).unwrap();
        disk.rename(&path("x"), &path("y")).unwrap();
        disk.remove(&path("a")).unwrap();
        disk.rename(&path("y"), &path("z")).unwrap();
        disk.power_cut(disk.end());
        let names = names(&disk);
        let names: Vec<String> =
            names.into_iter().map(|(name, byte)| format!("{name}{byte}")).collect();
        found.insert(names.join(" "));
    }
    let lawful = ["a0 x1 y2", "x1 y2", "a0 y1", "y1", "a0 z1", "z1"];
    assert_eq!(found, lawful.iter().map(|names| (*names).to_owned()).collect());
}

#[test]
fn a_power_cut_gives_every_subset_of_unsynced_sectors() {
    let mut found = BTreeSet::new();
    for seed in 0..3000 {
        let disk = prepared(seed);
        let file = disk.open(&path("a"), Access::Write).unwrap();
        file.write_at(2 * SECTOR as u64, &[7; 2 * SECTOR]).unwrap();
        file.write_at(9 * SECTOR as u64, &[7; 2 * SECTOR]).unwrap();
        disk.power_cut(disk.end());
        let bytes = disk.contents(&path("a"), true).unwrap();
        found.insert([2, 3, 9, 10].map(|sector| bytes[sector * SECTOR] == 7));
    }
    assert_eq!(found.len(), 16);
}

#[test]
fn a_name_can_land_before_the_bytes_of_its_file() {
    let landed = (0..200).any(|seed| {
        let disk = prepared(seed);
        let file = disk.open(&path("new.tmp"), Access::Create).unwrap();
        file.write_at(0, &[5; SECTOR]).unwrap();
        disk.rename(&path("new.tmp"), &path("new")).unwrap();
        disk.power_cut(disk.end());
        names(&disk).get("new") == Some(&0)
    });
    assert!(landed);
}

#[test]
fn syncs_of_two_files_end_in_any_order() {
    let mut orders = BTreeSet::new();
    for seed in 0..50 {
        let disk = prepared(seed);
        let other = disk.open(&path("b"), Access::Create).unwrap();
        let file = disk.open(&path("a"), Access::Write).unwrap();
        let begun = disk.end();
        let ends = [&other, &file].map(|file| {
            disk.begin(begun);
            file.write_at(0, &[1]).unwrap();
            file.sync().unwrap();
            disk.end()
        });
        orders.insert(ends[0] < ends[1]);
    }
    assert_eq!(orders.len(), 2);
}

#[test]
fn the_same_seed_gives_the_same_trace_and_another_gives_another() {
    let trace = |seed| {
        let disk = prepared(seed);
        let file = disk.open(&path("a"), Access::Write).unwrap();
        for byte in 0..50 {
            file.write_at(u64::from(byte) * 90, &[byte; 300]).unwrap();
            file.sync().unwrap();
        }
        disk.power_cut(disk.end() - 90);
        (disk.trace(), disk.contents(&path("a"), true).unwrap())
    };
    assert_eq!(trace(5), trace(5));
    assert_ne!(trace(5).0, trace(6).0);
}
