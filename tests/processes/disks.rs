//! Disks that fail, fill up and stand still, and power that goes.

use std::process::{Command, Stdio};

use rustix::process::Signal;

use crate::bench::{Cluster, Image, Load, Outcome, Shape, raft_ctl, wait_for};

/// How often the power goes in the test; by hand, `RAFT_POWER_CUTS=50` asks for more.
const POWER_CUTS: u32 = 3;

fn has_strace() -> bool {
    let version = Command::new("strace").arg("-V").stdout(Stdio::null()).status();
    let found = version.is_ok_and(|status| status.success());
    if !found {
        println!("not tested: strace isn't there; storage/tests/crash.rs has the logic");
    }
    found
}

/// A node whose sync number `k` fails, after which the kernel says that all is well.
fn start_with_failing_sync(cluster: &mut Cluster, id: u16, k: u32) {
    let inject = format!("inject=fsync,fdatasync,msync:error=EIO:when={k}");
    let strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync,fdatasync,msync"];
    let program: Vec<&str> = strace.into_iter().chain(["-e", &inject]).collect();
    cluster.start_node_under(id, &program);
}

#[test]
fn whichever_sync_fails_the_node_ends_at_once_and_loses_nothing() {
    if !has_strace() {
        return;
    }
    let mut cluster = Cluster::start(&Shape::default());
    cluster.wait_for_leader();
    let load = Load::start(&cluster, 2);
    load.wait_for_writes(20);
    for k in (1..=12).chain([15, 20, 30, 45, 70]) {
        if cluster.runs(2) {
            cluster.node(2).signal(Signal::TERM);
            cluster.node(2).wait();
        }
        start_with_failing_sync(&mut cluster, 2, k);
        assert_eq!(cluster.node(2).wait(), 74, "sync {k}");
        let output = cluster.node(2).output();
        assert!(output.contains("the disk failed"), "sync {k}: {output}");
        cluster.start_node(2);
        load.wait_for_writes(5);
    }
    cluster.wait_until_all_have_caught_up();
    load.stop_and_check(&cluster);
    cluster.wait_until_all_have_caught_up();
}

/// Each node on a file system of its own.
fn on_images(cluster: &Cluster, mebibytes: u64) -> Option<Vec<Image>> {
    cluster.ids().map(|id| Image::mount(&cluster.data_directory(id), mebibytes)).collect()
}

#[test]
fn the_power_goes_under_all_nodes_at_once_and_nothing_acknowledged_is_lost() {
    let mut cluster = Cluster::new(&Shape::default());
    let Some(images) = on_images(&cluster, 160) else { return };
    let cuts = std::env::var("RAFT_POWER_CUTS").ok().and_then(|cuts| cuts.parse().ok());
    cluster.start_all();
    cluster.wait_for_leader();
    let load = Load::start(&cluster, 4);
    for cut in 0..cuts.unwrap_or(POWER_CUTS) {
        load.wait_for_writes(40 + 17 * (cut as usize % 7));
        Image::cut_power(&images);
        for id in cluster.ids() {
            // Who has nothing to write isn't told.
            if cluster.runs(id) {
                cluster.node(id).kill();
            }
        }
        images.iter().for_each(Image::remount);
        cluster.start_all();
    }
    load.wait_for_writes(20);
    load.stop_and_check(&cluster);
    cluster.wait_until_all_have_caught_up();
    for id in cluster.ids() {
        cluster.node(id).kill();
    }
}

#[test]
fn a_full_ext4_refuses_by_name_hands_over_and_goes_on_with_room() {
    let mut cluster = Cluster::new(&Shape::default());
    let Some(image) = Image::mount(&cluster.data_directory(1), 96) else { return };
    cluster.start_all();
    let mut client = cluster.client();
    client.put_until_done("greeting", "hello");
    image.fill();
    let value = "v".repeat(900_000);
    let mut number = 0;
    wait_for("the disk to be full", || {
        client.put_until_done(&format!("key-{number}"), &value);
        number += 1;
        cluster.node(1).output().contains("disk_full").then_some(())
    });
    for number in 0..10 {
        client.put_until_done(&format!("key-{number}"), "small");
    }
    assert!(cluster.runs(1), "it waits for room");
    image.make_room();
    cluster.node(1).wait_for_output("disk_has_room");
    cluster.wait_until_all_have_caught_up();
    assert_eq!(client.put("greeting", "hello again"), Outcome::Done);
    cluster.node(1).kill();
}

fn lead(cluster: &Cluster, id: u16) {
    wait_for("the node to lead", || {
        let id = id.to_string();
        raft_ctl(cluster).args(["transfer-leader", &id]).output().expect("raft-ctl starts");
        (cluster.wait_for_leader().to_string() == id).then_some(())
    });
}

#[test]
fn a_disk_that_stands_still_under_a_leader_costs_the_leadership_and_under_a_follower_nothing() {
    let mut cluster = Cluster::new(&Shape::default());
    let Some(image) = Image::mount(&cluster.data_directory(1), 96) else { return };
    cluster.start_all();
    let mut client = cluster.client();
    client.put_until_done("greeting", "hello");
    let load = Load::start(&cluster, 2);
    for leads in [true, false] {
        lead(&cluster, if leads { 1 } else { 2 });
        load.wait_for_writes(10);
        image.freeze();
        if leads {
            wait_for("another leader", || {
                let others = [2, 3].into_iter().filter_map(|id| cluster.status(id));
                let leader = others.filter_map(|status| status.leader).max()?;
                (leader.number() != 1).then_some(())
            });
        }
        load.wait_for_writes(50);
        image.thaw();
        load.wait_for_writes(10);
        assert!(cluster.runs(1), "it goes on without a restart");
    }
    load.stop_and_check(&cluster);
    cluster.wait_until_all_have_caught_up();
    cluster.node(1).kill();
}

#[test]
fn a_disk_that_stands_still_for_too_long_ends_the_node_with_a_code_of_its_own() {
    let mut cluster = Cluster::new(&Shape::default());
    let Some(image) = Image::mount(&cluster.data_directory(1), 96) else { return };
    cluster.start_all();
    lead(&cluster, 2);
    let load = Load::start(&cluster, 2);
    load.wait_for_writes(10);
    image.freeze();
    cluster.node(1).wait_for_output("the disk has not finished an operation");
    // The process can't end while a thread of it waits for the disk.
    image.thaw();
    assert_eq!(cluster.node(1).wait(), 76);
    cluster.start_node(1);
    cluster.wait_until_all_have_caught_up();
    load.stop_and_check(&cluster);
    cluster.node(1).kill();
}
