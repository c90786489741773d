//! A majority that is lost for good: the procedure of docs/operations.md, as it is written there.

use std::fs;
use std::path::{Path, PathBuf};

use raft_node::model::{Epoch, Index, Standing};
use raft_node::wire::StatusReply;
use rustix::process::Signal;

use crate::bench::{Cluster, Outcome, Shape, wait_for};
use crate::doors::copy;
use crate::snapshots::{KEYS, NOTHING_STAYS, ctl, put_many};

const FIVE: Shape = Shape { nodes: 5, name: "test", cluster: "" };

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// The hash of a plan, as `--json` tells it.
fn hash(plan: &str) -> String {
    let (_, rest) = plan.split_once("\"hash\":\"").expect("a plan has a hash");
    rest.split('"').next().expect("it ends").to_owned()
}

/// All files of a directory and their bytes.
fn bytes_of(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).expect("it is a directory") {
        let path = entry.expect("it is readable").path();
        match path.is_dir() {
            true => found.extend(bytes_of(&path)),
            false => found.push((path.clone(), fs::read(&path).expect("it can be read"))),
        }
    }
    found.sort();
    found
}

/// Kills nodes for good: what they had is gone, but for a copy of each directory.
fn lose(cluster: &mut Cluster, ids: &[u16]) {
    for id in ids {
        cluster.node(*id).kill();
    }
    for id in ids {
        let directory = cluster.data_directory(*id);
        copy(&directory, &cluster.directory().join(format!("copy-{id}")));
        fs::remove_dir_all(directory).expect("it can be removed");
    }
}

/// What the nodes say when they have all carried out the same entries.
#[track_caller]
fn settled(cluster: &Cluster, ids: &[u16]) -> Vec<StatusReply> {
    wait_for("the nodes to have the same entries", || {
        let all: Vec<StatusReply> = ids.iter().filter_map(|id| cluster.status(*id)).collect();
        let is_settled = all.len() == ids.len()
            && all.iter().all(|one| one.commit == one.applied)
            && all.iter().all(|one| (one.applied, one.last) == (all[0].applied, all[0].last));
        is_settled.then_some(all)
    })
}

#[test]
fn two_of_five_go_on_without_the_others_and_what_they_held_is_there() {
    let mut cluster = Cluster::start(&FIVE);
    let mut client = cluster.client();
    for number in 0..50 {
        client.put_until_done(&format!("key-{number}"), "old");
    }
    cluster.wait_until_all_have_caught_up();
    cluster.node(2).kill();
    // Node 2 misses these.
    for number in 0..20 {
        client.put_until_done(&format!("key-{number}"), "new");
    }
    let all = settled(&cluster, &[1, 3, 4, 5]);
    lose(&mut cluster, &[3, 4, 5]);
    let directories = [1, 2].map(|id| text(&cluster.data_directory(id)));
    let [one, two] = &directories;

    // One that runs is in the way.
    let refused = ctl(&cluster, &["recover", "plan", "--json", one, two], 6);
    assert!(refused.contains("\"code\":\"in_use\""), "{refused}");
    cluster.node(1).signal(Signal::TERM);
    assert_eq!(cluster.node(1).wait(), 0);
    let before = [1, 2].map(|id| bytes_of(&cluster.data_directory(id)));
    let shown = ctl(&cluster, &["recover", "plan", one, two], 0);
    let plan = ctl(&cluster, &["recover", "plan", "--json", one, two], 0);
    let hash = hash(&plan);
    for part in [&hash[..], "epoch 1 ends, epoch 2 begins", "given up for good", "lost"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    for part in ["\"base\":1,", "\"may_lose\":true", "\"epoch\":2,"] {
        assert!(plan.contains(part), "{part}: {plan}");
    }
    let refused = ctl(&cluster, &["recover", "apply", "--plan", "0123", one, two, "--json"], 6);
    assert!(refused.contains("\"code\":\"plan_changed\""), "{refused}");
    let apply = ["recover", "apply", "--plan", &hash, one, two];
    ctl(&cluster, &[&apply[..], &["--dry-run"]].concat(), 0);
    assert!([1, 2].map(|id| bytes_of(&cluster.data_directory(id))) == before, "it was changed");

    let applied = ctl(&cluster, &apply, 0);
    assert!(applied.contains("start raft on nodes 1 and 2"), "{applied}");
    // Doing it again does no harm.
    let again = ctl(&cluster, &apply, 0);
    assert!(again.contains("was begun before"), "{again}");
    cluster.start_node(1);
    cluster.start_node(2);
    for status in settled(&cluster, &[1, 2]) {
        assert_eq!(status.epoch, Epoch(2));
        assert!(status.last > all[0].last);
    }
    let stored = client.scan();
    for number in 0..50 {
        let value = if number < 20 { "new" } else { "old" };
        assert_eq!(stored.get(&format!("key-{number}")).map(String::as_str), Some(value));
    }
    client.put_until_done("greeting", "hello");

    let status = ctl(&cluster, &["status"], 0);
    assert!(status.contains(" epoch 2  leader "), "{status}");

    // Who comes back as it was is refused, says why, and stops.
    copy(&cluster.directory().join("copy-4"), &cluster.data_directory(4));
    cluster.start_node(4);
    assert_eq!(cluster.node(4).wait(), 6);
    let output = cluster.node(4).output();
    for part in ["epoch 2 of this cluster was begun without this node", "come in anew"] {
        assert!(output.contains(part), "{part}: {output}");
    }
    assert_eq!(client.put("greeting", "hello again"), Outcome::Done);
    let statuses = settled(&cluster, &[1, 2]);
    let voters = statuses[0].configuration.seats();
    assert!(voters.len() == 2 && voters.iter().all(|seat| seat.standing == Standing::Voter));

    // The new epoch outlives restarts and snapshots.
    ctl(&cluster, &["snapshot", "trigger"], 0);
    for id in [1, 2] {
        cluster.node(id).kill();
        cluster.start_node(id);
    }
    assert_eq!(client.get("greeting").as_deref(), Some("hello again"));
    settled(&cluster, &[1, 2]);
}

#[test]
fn hosts_that_share_nothing_but_a_plan_go_on_and_who_was_far_behind_is_sent_the_state() {
    let mut cluster = Cluster::new(&FIVE);
    cluster.configure(NOTHING_STAYS);
    cluster.start_all();
    cluster.client().put_until_done("greeting", "hello");
    cluster.wait_until_all_have_caught_up();
    cluster.node(2).kill();
    let mut pipeline = cluster.pipeline("loader");
    for _ in 0..2 {
        put_many(&mut pipeline, KEYS, 20_000);
        ctl(&cluster, &["snapshot", "trigger"], 0);
    }
    wait_for("node 1 to have let go what node 2 needs", || {
        let had = cluster.status(1)?;
        (had.first > Index(100)).then_some(())
    });
    settled(&cluster, &[1, 3, 4, 5]);
    let expected = cluster.client().scan();
    lose(&mut cluster, &[3, 4, 5]);
    cluster.node(1).kill();

    // On each host.
    let file = |name: &str| text(&cluster.directory().join(name));
    let surveys = [1, 2].map(|id| file(&format!("node-{id}.json")));
    let directories = [1, 2].map(|id| text(&cluster.data_directory(id)));
    for (directory, survey) in directories.iter().zip(&surveys) {
        ctl(&cluster, &["recover", "survey", directory, "--save", survey], 0);
    }
    // On one of them.
    let saved = file("plan.json");
    let [one, two] = &surveys;
    let plan = ctl(&cluster, &["recover", "plan", one, two, "--save", &saved, "--json"], 0);
    let hash = hash(&plan);
    // On each of them.
    for directory in &directories {
        let command = ["recover", "apply", "--plan", &hash, "--from", &saved, directory];
        let applied = ctl(&cluster, &command, 0);
        assert!(applied.contains("the same with --from, on node"), "{applied}");
    }
    cluster.start_node(1);
    cluster.start_node(2);
    cluster.node(2).wait_for_output("snapshot_installed");
    assert!(settled(&cluster, &[1, 2]).iter().all(|status| status.epoch == Epoch(2)));
    assert!(cluster.client().scan() == expected, "what node 1 held is there");
    cluster.client().put_until_done("greeting", "hello");
    // The state that came in is begun with again.
    cluster.node(2).kill();
    cluster.start_node(2);
    cluster.client().put_until_done("greeting", "hello again");
    settled(&cluster, &[1, 2]);
}

#[test]
fn nothing_is_given_up_while_a_majority_is_left_or_one_of_the_lost_answers() {
    let mut cluster = Cluster::start(&Shape::default());
    cluster.client().put_until_done("greeting", "hello");
    cluster.wait_until_all_have_caught_up();
    for id in [1, 2] {
        cluster.node(id).kill();
    }
    let [one, two] = [1, 2].map(|id| text(&cluster.data_directory(id)));
    let refused = ctl(&cluster, &["recover", "plan", &one, &two, "--json"], 6);
    assert!(refused.contains("\"code\":\"not_lost\""), "{refused}");
    assert!(refused.contains("2 of 3 voters are left"), "{refused}");
    let refused = ctl(&cluster, &["recover", "plan", &one, "--json"], 6);
    assert!(refused.contains("something listens"), "{refused}");
    assert!(refused.contains("node 3"), "{refused}");
    cluster.start_node(1);
    cluster.start_node(2);
    cluster.wait_until_all_have_caught_up();
}

#[test]
fn one_of_the_planned_for_that_was_forgotten_stops_and_comes_in_when_the_plan_is_applied() {
    let mut cluster = Cluster::start(&FIVE);
    cluster.client().put_until_done("greeting", "hello");
    cluster.wait_until_all_have_caught_up();
    lose(&mut cluster, &[3, 4, 5]);
    for id in [1, 2] {
        cluster.node(id).kill();
    }
    let [one, two] = [1, 2].map(|id| text(&cluster.data_directory(id)));
    let saved = text(&cluster.directory().join("plan.json"));
    let plan = ctl(&cluster, &["recover", "plan", &one, &two, "--save", &saved, "--json"], 0);
    let hash = hash(&plan);
    ctl(&cluster, &["recover", "apply", "--plan", &hash, "--from", &saved, &one], 0);
    cluster.start_node(1);
    cluster.start_node(2);
    assert_eq!(cluster.node(2).wait(), 6);
    let output = cluster.node(2).output();
    assert!(output.contains("run `raft-ctl recover apply`"), "{output}");
    // It has run since the plan was made, and holds the same entries.
    ctl(&cluster, &["recover", "apply", "--plan", &hash, "--from", &saved, &two], 0);
    cluster.start_node(2);
    cluster.client().put_until_done("greeting", "hello again");
    settled(&cluster, &[1, 2]);
}
