//! Each fault does what its name says.

use std::io::ErrorKind;

use raft_node::storage::{Access, Disk, DiskFile, Region};

use super::super::{DamageKind, DiskMark};
use super::{DiskFaults, SimulatedDisk, disk, path};

const ALWAYS: u32 = 1_000_000;

fn quiet() -> DiskFaults {
    DiskFaults { writeback: 0, ..DiskFaults::default() }
}

/// A disk with a durable file of two pages of ones.
fn with_ones(seed: u64) -> SimulatedDisk {
    let disk = disk(seed, quiet());
    let file = disk.open(&path("a"), Access::Create).unwrap();
    file.write_at(0, &[1; 8192]).unwrap();
    file.sync().unwrap();
    disk.sync_directory(&path("")).unwrap();
    drop(file);
    disk
}

fn first_byte(disk: &SimulatedDisk, access: Access) -> u8 {
    let mut byte = [0];
    disk.open(&path("a"), access).unwrap().read_at(0, &mut byte).unwrap();
    byte[0]
}

#[test]
fn a_failed_sync_leaves_the_new_bytes_in_the_cache_until_it_is_dropped() {
    let kept = (0..20).any(|seed| {
        let disk = with_ones(seed);
        let file = disk.open(&path("a"), Access::Write).unwrap();
        file.write_at(0, &[2; 512]).unwrap();
        disk.set_faults(DiskFaults { sync_keeps_cache: ALWAYS, ..quiet() });
        assert_eq!(file.sync().unwrap_err().raw_os_error(), Some(5));
        disk.set_faults(quiet());
        file.sync().unwrap();
        assert_eq!(first_byte(&disk, Access::Read), 2);
        let device = first_byte(&disk, Access::ReadDevice);
        file.drop_cache().unwrap();
        assert_eq!(first_byte(&disk, Access::Read), device);
        device == 1
    });
    assert!(kept);
}

#[test]
fn a_failed_sync_can_take_the_new_bytes_out_of_the_cache() {
    let reverted = (0..20).any(|seed| {
        let disk = with_ones(seed);
        let file = disk.open(&path("a"), Access::Write).unwrap();
        file.write_at(0, &[2; 512]).unwrap();
        disk.set_faults(DiskFaults { sync_reverts_cache: ALWAYS, ..quiet() });
        assert!(file.sync().is_err());
        first_byte(&disk, Access::Read) == 1
    });
    assert!(reverted);
}

#[test]
fn a_failed_writeback_is_reported_by_the_next_sync_and_once() {
    let disk = with_ones(1);
    let file = disk.open(&path("a"), Access::Write).unwrap();
    disk.set_faults(DiskFaults { late_error: ALWAYS, ..quiet() });
    file.write_at(0, &[2; 512]).unwrap();
    assert!(file.sync().is_err());
    file.sync().unwrap();
    assert_eq!(first_byte(&disk, Access::Read), 2);
    drop(file);
    disk.power_cut(disk.end());
    assert_eq!(first_byte(&disk, Access::Read), 1);
}

#[test]
fn there_is_no_more_room_than_the_capacity() {
    let disk = disk(1, DiskFaults { capacity_bytes: 20_000, ..quiet() });
    let file = disk.open(&path("a"), Access::Create).unwrap();
    file.allocate(16_384).unwrap();
    assert_eq!(disk.free_bytes(&path("")).unwrap(), 20_000 - 16_384);
    let other = disk.open(&path("b"), Access::Create).unwrap();
    assert_eq!(other.allocate(8192).unwrap_err().kind(), ErrorKind::StorageFull);
    file.write_at(0, &[1; 16_384]).unwrap();
    file.sync().unwrap();
    drop(file);
    disk.remove(&path("a")).unwrap();
    disk.sync_directory(&path("")).unwrap();
    disk.begin(disk.end());
    other.allocate(8192).unwrap();
}

#[test]
fn a_stall_holds_up_what_begins_before_its_end() {
    let disk = with_ones(1);
    let file = disk.open(&path("a"), Access::Write).unwrap();
    let begun = disk.end();
    disk.stall_until(begun + 30_000_000);
    file.sync().unwrap();
    assert!(disk.end() > begun + 30_000_000);
    disk.set_faults(DiskFaults { stall: ALWAYS, ..quiet() });
    let begun = disk.end();
    file.sync().unwrap();
    assert!((100_000..60_100_000).contains(&(disk.end() - begun)));
}

#[test]
fn rot_is_hidden_by_the_cache_until_that_is_dropped() {
    let disk = with_ones(1);
    assert!(disk.is_intact(&path("a"), 0..8192));
    disk.rot(&path("a"), disk.end(), 4196, 1).unwrap();
    assert!(!disk.is_intact(&path("a"), 4096..8192));
    assert!(disk.is_intact(&path("a"), 0..4096));
    let damage = disk.take_damage();
    assert_eq!((damage[0].kind, damage[0].offset), (DamageKind::Rot, 4096));
    assert_eq!(damage[0].path, Some(path("a")));
    assert_eq!(disk.contents(&path("a"), false).unwrap(), [1; 8192]);
    disk.power_cut(disk.end());
    assert_eq!(disk.contents(&path("a"), false).unwrap()[4196], 3);
    let file = disk.open(&path("a"), Access::Write).unwrap();
    file.write_at(4096, &[1; 512]).unwrap();
    file.sync().unwrap();
    assert!(disk.is_intact(&path("a"), 0..8192));
    assert_eq!(disk.marks().count(DiskMark::RotHidden), 1);
}

#[test]
fn what_was_written_last_can_be_lost_by_the_device() {
    let disk = with_ones(1);
    disk.lose_written(&path("a"), disk.end(), 3584..8192).unwrap();
    assert!(disk.is_intact(&path("a"), 0..3584) && !disk.is_intact(&path("a"), 3584..4096));
    assert_eq!(disk.contents(&path("a"), false).unwrap(), [1; 8192], "the cache still has it");
    disk.power_cut(disk.end());
    let bytes = disk.contents(&path("a"), false).unwrap();
    assert_eq!((&bytes[..3584], &bytes[3584..]), (&[1; 3584][..], &[0; 4608][..]));
    assert_eq!(disk.marks().count(DiskMark::WriteLost), 1);
}

#[test]
fn a_misdirected_write_damages_two_pages() {
    let misdirected = (0..20).any(|seed| {
        let disk = with_ones(seed);
        let file = disk.open(&path("a"), Access::Write).unwrap();
        disk.misdirect_next(&path("a")).unwrap();
        file.write_at(0, &[2; 512]).unwrap();
        file.sync().unwrap();
        drop(file);
        let damage = disk.take_damage();
        disk.power_cut(disk.end());
        let bytes = disk.contents(&path("a"), false).unwrap();
        if damage.is_empty() {
            assert_eq!((bytes[0], bytes[4096]), (2, 1));
            return false;
        }
        assert_eq!((bytes[0], bytes[4096]), (1, 2));
        assert!(!disk.is_intact(&path("a"), 0..512) && !disk.is_intact(&path("a"), 4096..4608));
        true
    });
    assert!(misdirected);
}

#[test]
fn an_unreadable_sector_fails_until_it_is_written() {
    let disk = with_ones(1);
    disk.power_cut(disk.end());
    disk.make_unreadable(&path("a"), 0).unwrap();
    let file = disk.open(&path("a"), Access::Write).unwrap();
    assert!(file.read_at(0, &mut [0; 8]).is_err());
    file.write_at(0, &[1; 512]).unwrap();
    file.sync().unwrap();
    file.read_at(0, &mut [0; 8]).unwrap();
}

#[test]
fn a_mapped_file_keeps_its_cache_and_a_sync_takes_its_range_only() {
    let disk = with_ones(1);
    let file = disk.open(&path("a"), Access::Write).unwrap();
    let mut region = file.map(8192).unwrap();
    region.store(0, &[2; 512]).unwrap();
    region.store(4096, &[2; 512]).unwrap();
    region.sync(4096, 10).unwrap();
    let device = disk.contents(&path("a"), true).unwrap();
    assert_eq!((device[0], device[4096]), (1, 2));
    disk.rot(&path("a"), disk.end(), 4096, 0).unwrap();
    file.drop_cache().unwrap();
    assert_eq!(disk.contents(&path("a"), false).unwrap()[4096], 2);
}

#[test]
fn copied_files_are_durable_and_a_wiped_disk_is_empty() {
    let disk = with_ones(1);
    let file = disk.open(&path("a"), Access::Write).unwrap();
    file.write_at(0, &[9; 512]).unwrap();
    let copy = disk.clone_files(disk.end(), 7);
    disk.wipe();
    assert!(disk.files().is_empty());
    copy.power_cut(copy.end());
    assert_eq!(copy.contents(&path("a"), false).unwrap()[0], 9);
}

#[test]
fn a_copy_that_is_put_back_is_what_programs_saw_then_and_nothing_else() {
    let disk = with_ones(3);
    let file = disk.open(&path("a"), Access::Write).unwrap();
    file.write_at(0, &[2; 512]).unwrap();
    let copy = disk.clone_files(disk.end(), 1);
    file.write_at(0, &[3; 512]).unwrap();
    file.sync().unwrap();
    let later = disk.open(&path("b"), Access::Create).unwrap();
    drop((file, later));
    disk.process_crash(disk.end());
    disk.put_back(&copy);
    disk.power_cut(disk.end());
    assert_eq!(first_byte(&disk, Access::Read), 2);
    assert_eq!(disk.open(&path("b"), Access::Read).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn a_file_that_vanished_does_not_come_back() {
    let disk = with_ones(4);
    disk.process_crash(disk.end());
    disk.vanish(&path("a")).unwrap();
    assert_eq!(disk.vanish(&path("a")).unwrap_err().kind(), ErrorKind::NotFound);
    disk.power_cut(disk.end());
    assert_eq!(disk.open(&path("a"), Access::Read).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn a_file_with_bytes_that_were_not_synced_is_named() {
    let disk = with_ones(5);
    let file = disk.open(&path("a"), Access::Write).unwrap();
    assert_eq!(disk.unsynced(|_| true), None);
    file.write_at(0, &[2; 512]).unwrap();
    assert_eq!(disk.unsynced(|_| true), Some(path("a")));
    assert_eq!(disk.unsynced(|name| name != "a"), None);
    file.sync().unwrap();
    assert_eq!(disk.unsynced(|_| true), None);
}

#[test]
fn the_device_is_seen_as_it_is_at_a_time_whatever_is_run_to_end_later() {
    let disk = with_ones(1);
    let before = disk.end();
    let file = disk.open(&path("a"), Access::Write).unwrap();
    file.write_at(0, &[2; 512]).unwrap();
    let written = disk.end();
    file.sync().unwrap();
    let first = |now| disk.device_at(&path("a"), now).unwrap()[0];
    assert_eq!([before, written, disk.end()].map(first), [1, 1, 2]);
    assert_eq!(first_byte(&disk, Access::ReadDevice), 2, "looking changes nothing");
}

#[test]
fn bits_flip_only_in_files_that_the_device_has_under_that_name_then() {
    let disk = with_ones(1);
    let before = disk.end();
    let later = disk.open(&path("b"), Access::Create).unwrap();
    later.write_at(0, &[1; 512]).unwrap();
    later.sync().unwrap();
    let unnamed = disk.end();
    disk.sync_directory(&path("")).unwrap();
    let named = disk.end();
    let files = |now| disk.device_files(now).into_iter().map(|(path, _)| path).collect::<Vec<_>>();
    assert_eq!(
        [before, unnamed, named].map(files),
        [vec![path("a")], vec![path("a")], vec![path("a"), path("b")]]
    );
    let rot = |now| disk.rot(&path("b"), now, 0, 0).map_err(|error| error.kind());
    assert_eq!([unnamed, named].map(rot), [Err(ErrorKind::NotFound), Ok(())]);
}
