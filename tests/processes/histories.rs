//! The check of what clients were told finds what it is for.

use raft_node::client::Client;
use raft_node::kv::Operation;
use raft_sim::check::{Check, Freshness, Verdict};

use crate::bench::{Cluster, Recorder, Shape, wait_for};

const KEY: &[u8] = b"key";

/// A node misses a write that is acknowledged and, left alone, is asked what it holds. The answer
/// is held to be as fresh as this.
fn answered_by_one_that_was_left_behind(freshness: Freshness) -> Verdict {
    let mut cluster = Cluster::start(&Shape::default());
    let recorder = Recorder::new();
    let mut client = cluster.library_client();
    put(&recorder, &mut client, b"old");
    cluster.wait_until_all_have_caught_up();
    cluster.node(3).kill();
    put(&recorder, &mut client, b"new");
    cluster.node(1).kill();
    cluster.node(2).kill();
    cluster.start_node(3);
    let mut stale = cluster.stale_client_of([3]);
    wait_for("node 3 to answer", || {
        recorder.get_as(&mut stale, 2, &[KEY], freshness).then_some(())
    });
    cluster.start_all();
    recorder.check(&mut client, KEY)
}

fn put(recorder: &Recorder, client: &mut Client, value: &[u8]) {
    let put = Operation::Put { key: KEY, value };
    wait_for("a put to be done", || recorder.change(client, 1, put).then_some(()));
}

#[test]
fn an_old_answer_is_right_where_an_old_one_was_asked_for() {
    let verdict = answered_by_one_that_was_left_behind(Freshness::Stale);
    assert!(verdict.is_legal(), "{verdict}");
}

#[test]
fn an_old_answer_that_is_held_to_be_a_fresh_one_is_found() {
    let verdict = answered_by_one_that_was_left_behind(Freshness::Fresh);
    let checks: Vec<Check> = verdict.findings.iter().map(|finding| finding.check).collect();
    assert!(checks.contains(&Check::RealTime), "{verdict}");
}
