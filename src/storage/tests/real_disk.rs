//! The machine's own file system.

use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use super::harness::{append, commands, founding, id, options};
use super::images::sink;
use crate::model::Index;
use crate::storage::{
    Access, Directory, Disk, DiskFile, ErrorClass, FileReport, FileWork, Inspection, LogWork,
    Opened, RealDisk, Recovered, Region, Verdict, end_on_bus_error,
};

fn open(path: &std::path::Path) -> Recovered<RealDisk> {
    match Directory::open(RealDisk, path, options(), &mut sink).unwrap() {
        Opened::Formed(recovered) => *recovered,
        Opened::Unformed(unformed) => unformed.found(&founding(5)).unwrap(),
    }
}

#[test]
fn a_log_on_the_real_disk_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("some/where/1");
    let mut node = open(&path);
    append(&mut node.writer, id(0, 1), commands(1, 2, 20, 300));
    assert!(matches!(node.files.perform(FileWork::MakeSpare).unwrap(), FileReport::SpareReady));
    append(&mut node.writer, id(1, 21), commands(1, 22, 3, 4000));
    append(&mut node.writer, id(1, 24), commands(1, 25, 2, 30_000));
    append(&mut node.writer, id(1, 20), commands(2, 21, 1, 17));
    drop(node);
    let mut node = open(&path);
    assert_eq!(node.last, Index(21));
    let read = FileWork::Read { ticket: 1, first: Index(2), last: Index(21), max_bytes: 1 << 20 };
    let FileReport::Entries { batch, .. } = node.files.perform(read).unwrap() else { panic!() };
    let mut expected = commands(1, 2, 19, 300).bytes().to_vec();
    expected.extend_from_slice(&commands(2, 21, 1, 17).bytes());
    assert_eq!(batch.bytes(), expected);
    node.writer.perform(LogWork::Stop).unwrap();
    drop(node);
    let inspection = Inspection::open(RealDisk, &path).unwrap();
    assert_eq!(inspection.verify().unwrap().verdict, Verdict::Ok);
    assert!(!inspection.is_live());
}

#[test]
fn two_openers_of_one_directory_do_not_get_along() {
    let folder = tempfile::tempdir().unwrap();
    let node = open(folder.path());
    let error = Directory::open(RealDisk, folder.path(), options(), &mut sink).unwrap_err();
    assert_eq!(error.class(), ErrorClass::InUse);
    assert!(Inspection::open(RealDisk, folder.path()).unwrap().is_live());
    drop(node);
    drop(open(folder.path()));
}

#[test]
fn the_workers_can_go_to_threads_of_their_own() {
    fn can_be_sent<T: Send + 'static>(_: &T) {}
    let folder = tempfile::tempdir().unwrap();
    let node = open(folder.path());
    can_be_sent(&node.writer);
    can_be_sent(&node.files);
}

#[test]
fn a_log_that_is_being_written_is_never_taken_for_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let Recovered { mut writer, mut files, .. } = open(folder.path());
    let path = folder.path().to_owned();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut keep = id(0, 1);
            for write in 0..400 {
                let batch = commands(1, keep.index.0 + 1, 1 + write % 7, 90);
                let last = batch.last();
                append(&mut writer, keep, batch);
                if write % 50 == 7 {
                    files.perform(FileWork::MakeSpare).unwrap();
                    writer.perform(LogWork::Mark).unwrap();
                }
                keep = last;
            }
            done.store(true, Ordering::Release);
        });
        let mut seen = 0;
        while !done.load(Ordering::Acquire) {
            let inspection = Inspection::open(RealDisk, &path).unwrap();
            assert!(inspection.is_live());
            let verification = inspection.verify().unwrap();
            assert_eq!(verification.verdict, Verdict::Ok, "{:?}", verification.findings);
            let (_, last) = verification.entries.unwrap();
            assert!(last.0 >= seen, "{last} after {seen}");
            seen = last.0;
        }
    });
    let inspection = Inspection::open(RealDisk, &path).unwrap();
    assert_eq!(inspection.range().unwrap(), Some((Index(1), Index(1598))));
}

#[test]
fn what_is_stored_through_a_mapping_or_a_write_is_read_back_past_the_cache() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let file = RealDisk.open(&path, Access::Create).unwrap();
    file.allocate(65_536).unwrap();
    let mut region = file.map(65_536).unwrap();
    region.store(700, &[7; 100]).unwrap();
    region.store(1000, &[8; 40_000]).unwrap();
    region.store(41_000, &[9; 10]).unwrap();
    region.sync(700, 40_310).unwrap();
    for access in [Access::Read, Access::ReadDevice] {
        let mut bytes = vec![0; 41_000];
        let file = RealDisk.open(&path, access).unwrap();
        file.read_at(600, &mut bytes).unwrap();
        let mut expected = vec![0; 41_000];
        expected[100..200].fill(7);
        expected[400..40_400].fill(8);
        expected[40_400..40_410].fill(9);
        assert!(bytes == expected, "{access:?}");
        let mut bytes = [1; 20];
        file.read_at(40_995, &mut bytes).unwrap();
        let expected = [[8; 5].as_slice(), &[9; 10], &[0; 5]].concat();
        assert_eq!(bytes, *expected, "shorter, and elsewhere, {access:?}");
    }
    let end = RealDisk.open(&path, Access::ReadDevice).unwrap().read_at(65_530, &mut [0; 10]);
    assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::UnexpectedEof);
}

/// Set for the child that is to get a bus error.
const CHILD: &str = "RAFT_TEST_BUS_ERROR_FILE";

#[test]
fn a_bus_error_ends_the_process_with_one_line_and_the_exit_code_of_the_disk() {
    if let Some(path) = std::env::var_os(CHILD) {
        end_on_bus_error().unwrap();
        let file = RealDisk.open(path.as_ref(), Access::Create).unwrap();
        file.allocate(8192).unwrap();
        let mut region = file.map(8192).unwrap();
        // What the storage never does: the file is cut under its mapping.
        file.cut(0).unwrap();
        region.store(5000, &[1; 10]).unwrap();
        unreachable!("the store has no page to go to");
    }
    let folder = tempfile::tempdir().unwrap();
    let name = "storage::tests::real_disk::a_bus_error_ends_the_process_with_one_line_and_the_exit_code_of_the_disk";
    let output = Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, folder.path().join("file"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.status.code(), output.status.signal()), (Some(74), None), "{text}");
    assert_eq!(text.matches("SIGBUS").count(), 1, "{text}");
}
