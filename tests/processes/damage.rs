//! A file that isn't any more what was written.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::process::Signal;

use crate::bench::{Cluster, Outcome, Shape};

/// Somewhere in the entries that the first segment begins with.
const OFFSET: u64 = 4096 + 200;

fn first_segment(directory: &Path) -> PathBuf {
    let names = fs::read_dir(directory.join("log")).expect("the log is there");
    let paths = names.map(|name| name.expect("it can be read").path());
    let segments = paths.filter(|path| path.extension().is_some_and(|end| end == "seg"));
    segments.min().expect("the log has a segment")
}

fn flip(path: &Path) {
    let file = OpenOptions::new().read(true).write(true).open(path).expect("it can be opened");
    let mut byte = [0];
    file.read_exact_at(&mut byte, OFFSET).expect("it can be read");
    file.write_all_at(&[byte[0] ^ 1], OFFSET).expect("it can be written");
}

#[test]
fn a_damaged_file_is_named_with_its_place_nothing_is_changed_and_the_others_go_on() {
    let mut cluster = Cluster::start(&Shape::default());
    let mut client = cluster.client();
    for number in 0..20 {
        assert_eq!(client.put(&format!("key-{number}"), "value"), Outcome::Done);
    }
    cluster.wait_until_all_have_caught_up();
    cluster.node(2).signal(Signal::TERM);
    assert_eq!(cluster.node(2).wait(), 0);
    let segment = first_segment(&cluster.data_directory(2));
    flip(&segment);
    let damaged = fs::read(&segment).expect("it can be read");

    cluster.start_node(2);
    assert_eq!(cluster.node(2).wait(), 65);
    let output = cluster.node(2).output();
    let name = segment.file_name().expect("it has a name").to_string_lossy().into_owned();
    for part in [&name[..], "offset 0x1", "Nothing was changed", "raft-ctl log verify"] {
        assert!(output.contains(part), "{part}: {output}");
    }
    assert!(fs::read(&segment).expect("it can be read") == damaged, "the file was changed");
    client.put_until_done("greeting", "hello");

    flip(&segment);
    cluster.start_node(2);
    cluster.wait_until_all_have_caught_up();
}
