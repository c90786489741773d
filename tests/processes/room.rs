//! A disk that fills up under a node and has room again.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use raft_node::wire::StatusRole;

use crate::bench::{Cluster, Outcome, Shape, raft_ctl, wait_for};

/// A file system of its own in memory.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts one at `path`, if that is permitted here.
    fn mount(path: &Path, mebibytes: u32) -> Option<SmallDisk> {
        fs::create_dir_all(path).expect("a directory can be made");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={mebibytes}m"), "raft-test"]).arg(path);
        let mounted = mount.stderr(Stdio::null()).status().is_ok_and(|status| status.success());
        mounted.then(|| SmallDisk(path.to_owned()))
    }

    /// Takes all the room that is left.
    fn fill(&self) {
        let mut file = File::create(self.filler()).expect("a file can be made");
        while file.write_all(&[0; 4096]).is_ok() {}
    }

    fn make_room(&self) {
        fs::remove_file(self.filler()).expect("the filler is there");
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_leader_whose_disk_is_full_hands_over_and_goes_on_without_a_restart_when_it_has_room() {
    let mut cluster = Cluster::new(&Shape::default());
    let Some(disk) = SmallDisk::mount(&cluster.data_directory(1), 96) else {
        println!(
            "not tested: no file system can be mounted here; driver/tests/room.rs has the logic"
        );
        return;
    };
    cluster.start_all();
    cluster.wait_for_leader();
    let lead = |cluster: &Cluster| {
        wait_for("node 1 to lead", || {
            raft_ctl(cluster).args(["transfer-leader", "1"]).output().expect("raft-ctl starts");
            (cluster.wait_for_leader() == 1).then_some(())
        });
    };
    lead(&cluster);
    disk.fill();
    let mut client = cluster.client();
    let value = "v".repeat(900_000);
    let mut number = 0;
    wait_for("the disk to be full", || {
        client.put_until_done(&format!("key-{number}"), &value);
        number += 1;
        cluster.node(1).output().contains("disk_full").then_some(())
    });
    wait_for("another leader", || (cluster.wait_for_leader() != 1).then_some(()));
    for number in 0..10 {
        client.put_until_done(&format!("key-{number}"), "small");
    }
    let status = cluster.status(1).expect("the full node answers");
    assert_eq!(status.role, StatusRole::Follower);
    assert!(status.leader.is_some(), "it follows the new leader");
    disk.make_room();
    cluster.node(1).wait_for_output("disk_has_room");
    cluster.wait_until_all_have_caught_up();
    lead(&cluster);
    assert_eq!(client.put("greeting", "hello"), Outcome::Done);
    assert!(cluster.runs(1));
    cluster.node(1).kill();
}

#[test]
fn a_cluster_without_any_room_refuses_writes_by_name_answers_reads_and_goes_on_with_room() {
    let mut cluster = Cluster::new(&Shape { nodes: 1, ..Shape::default() });
    let Some(disk) = SmallDisk::mount(&cluster.data_directory(1), 96) else {
        println!(
            "not tested: no file system can be mounted here; driver/tests/room.rs has the logic"
        );
        return;
    };
    cluster.start_all();
    let mut client = cluster.client();
    client.put_until_done("greeting", "hello");
    disk.fill();
    let value = "v".repeat(900_000);
    wait_for("the disk to be full", || {
        client.put("key", &value);
        cluster.node(1).output().contains("disk_full").then_some(())
    });
    let mut put = raft_ctl(&cluster);
    let refused = put.args(["--timeout", "1s", "put", "key", "v"]).output();
    let refused = refused.expect("raft-ctl starts");
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && text.contains("disk is full"), "{text}");
    assert_eq!(client.get("greeting").as_deref(), Some("hello"));
    disk.make_room();
    client.put_until_done("greeting", "hello again");
    assert_eq!(client.get("greeting").as_deref(), Some("hello again"));
    cluster.node(1).kill();
}
