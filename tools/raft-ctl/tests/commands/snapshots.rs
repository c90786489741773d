//! Snapshots: taken and listed.

use crate::support::{FakeCluster, Mood, Ran, kept, on_terminal, raft_ctl};
use raft_node::wire::RefusalCode;

const HASH: u128 = 0x0011_2233_4455_6677_8899_aabb_ccdd_eeff;

/// Runs the program against several nodes.
fn run(nodes: &[&FakeCluster], arguments: &[&str]) -> Ran {
    let endpoints = endpoints(nodes);
    raft_ctl(&[&["-e", &endpoints][..], arguments].concat(), b"")
}

fn endpoints(nodes: &[&FakeCluster]) -> String {
    let endpoints: Vec<String> =
        nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
    endpoints.join(",")
}

/// The figure behind this key taken out: it differs from run to run.
fn without(key: &str, object: &str) -> String {
    let (before, rest) = object.split_once(&format!(",\"{key}\":")).unwrap();
    let end = rest.find([',', '}']).unwrap();
    format!("{before}{}", &rest[end..])
}

#[test]
fn the_leader_is_asked_to_have_a_snapshot_taken() {
    let leader = FakeCluster::keeping(2, Mood::Good, vec![kept(120_000, 1_300_000_000, HASH)]);
    let ran = leader.run(&["snapshot", "trigger", "--json"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(
        without("seconds", &ran.out),
        "{\"v\":1,\"outcome\":\"ok\",\"dry_run\":false,\"index\":120000,\"term\":4,\
         \"time\":\"2026-11-23T11:05:17.000Z\",\"time_nanoseconds\":1795431917000000000,\
         \"bytes\":1300000000,\"hash\":\"00112233445566778899aabbccddeeff\"}\n"
    );
    let ran = leader.run(&["snapshot", "trigger"]);
    assert!(ran.out.starts_with("taken 120,000@4  1.2 GiB  in "), "{}", ran.out);
    assert!(ran.out.ends_with("\nhash 00112233445566778899aabbccddeeff\n"), "{}", ran.out);
    let ran = leader.run(&["snapshot", "trigger", "--dry-run"]);
    assert_eq!(ran.out, "would ask node 2 to have every node take a snapshot\n");
    let ran = leader.run(&["snapshot", "trigger", "--dry-run", "--json"]);
    assert_eq!(ran.out, "{\"v\":1,\"outcome\":\"ok\",\"dry_run\":true,\"leader\":2}\n");
}

#[test]
fn without_a_leader_no_snapshot_is_taken_and_none_is_waited_for() {
    let node = FakeCluster::start(Mood::Refusing(RefusalCode::NoLeader));
    for more in [&[][..], &["--dry-run"]] {
        let arguments = [&["snapshot", "trigger", "--json", "-t", "200ms"][..], more].concat();
        let ran = node.run(&arguments);
        assert_eq!(ran.code, 4, "{ran:?}");
        assert!(ran.out.contains("\"code\":\"no_leader\""), "{}", ran.out);
    }
    let ran = raft_ctl(&["-e", "127.0.0.1:1", "snapshot", "trigger", "-t", "200ms"], b"");
    assert_eq!(ran.code, 3, "{ran:?}");
}

#[test]
fn a_node_that_does_not_lead_takes_no_snapshot() {
    let node = FakeCluster::keeping(2, Mood::Following, Vec::new());
    for more in [&[][..], &["--dry-run"]] {
        let ran = node.run(&[&["-n", "2", "snapshot", "trigger", "--json"][..], more].concat());
        assert_eq!(ran.code, 4, "{ran:?}");
        assert!(ran.out.contains("\"code\":\"not_leader\""), "{}", ran.out);
        assert!(ran.err.contains("node 2 doesn't lead: node 9 does"), "{}", ran.err);
    }
}

#[test]
fn a_snapshot_that_takes_longer_than_the_timeout_may_come_yet() {
    let leader = FakeCluster::start(Mood::Silent);
    let ran = leader.run(&["snapshot", "trigger", "-t", "200ms", "--json"]);
    assert_eq!(ran.code, 4, "{ran:?}");
    assert!(ran.out.contains("\"code\":\"timed_out\""), "{}", ran.out);
    assert!(ran.err.contains("hint: it may be taken yet: `raft-ctl snapshot ls`"), "{}", ran.err);
}

#[test]
fn what_every_node_keeps_is_listed() {
    let both = vec![kept(120_000, 4096, HASH), kept(60_000, 4096, 7)];
    let leader = FakeCluster::keeping(1, Mood::Good, both.clone());
    let other = FakeCluster::keeping(2, Mood::Good, both[1..].to_vec());
    let none = FakeCluster::keeping(3, Mood::Good, Vec::new());
    let ran = run(&[&other, &leader, &none], &["snapshot", "ls"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(
        ran.out,
        "NODE    INDEX  TERM     AGE     SIZE  HASH\n\
         1     120,000     4  2h ago  4.0 KiB  001122334455\n\
         1      60,000     4  2h ago  4.0 KiB  000000000000\n\
         2      60,000     4  2h ago  4.0 KiB  000000000000\n\
         3           -     -       -        -  -             keeps none\n"
    );
    let ran = run(&[&other], &["snapshot", "ls", "--json"]);
    let object = format!(
        "{{\"v\":1,\"agree\":null,\"nodes\":[{{\"id\":2,\"label\":\"B\",\
         \"address\":\"127.0.0.1:{}\",\"up\":true,\"snapshots\":[{{\"index\":60000,\"term\":4,\
         \"time\":\"2026-11-23T11:05:17.000Z\",\"time_nanoseconds\":1795431917000000000,\
         \"bytes\":4096,\"hash\":\"00000000000000000000000000000007\",\
         \"age_seconds\":7200.0,\"differs\":false}}]}}]}}\n",
        other.port
    );
    assert_eq!(ran.out, object);
    let ran = run(&[&other, &leader], &["snapshot", "ls", "--json"]);
    assert!(ran.out.starts_with("{\"v\":1,\"agree\":true,\"nodes\":["), "{}", ran.out);
}

#[test]
fn a_list_needs_no_leader_and_names_the_nodes_that_are_down() {
    let node = FakeCluster::keeping(
        3,
        Mood::Refusing(RefusalCode::NotFormed),
        vec![kept(120_000, 4096, HASH)],
    );
    let up = FakeCluster::keeping(1, Mood::Leaderless, vec![kept(120_000, 4096, HASH)]);
    let endpoints = format!("{},127.0.0.1:1", endpoints(&[&node, &up]));
    let ran = raft_ctl(&["-e", &endpoints, "snapshot", "ls"], b"");
    assert_eq!(ran.code, 0, "{ran:?}");
    let lines: Vec<&str> = ran.out.lines().collect();
    assert!(lines[1].starts_with("1            120,000     4  2h ago"), "{}", ran.out);
    assert!(lines.iter().any(|line| line.ends_with("connection refused")), "{}", ran.out);
    assert!(lines.iter().any(|line| line.starts_with("3  ")), "{}", ran.out);
    let ran = raft_ctl(&["-e", &endpoints, "snapshot", "ls", "--json"], b"");
    let down = "{\"id\":null,\"label\":null,\"address\":\"127.0.0.1:1\",\"up\":false,\
                \"error\":\"connection refused\",\"snapshots\":null}";
    assert!(ran.out.contains(down), "{}", ran.out);
    let ran = raft_ctl(&["-e", "127.0.0.1:1", "snapshot", "ls", "--json"], b"");
    assert_eq!(ran.code, 3, "{ran:?}");
}

#[test]
fn different_snapshots_of_one_entry_are_a_negative_answer() {
    let kept_by =
        |id, hash| FakeCluster::keeping(id, Mood::Good, vec![kept(120_000, 1_300_000_000, hash)]);
    let (first, second) = (kept_by(1, HASH), kept_by(2, HASH + 1));
    let ran = run(&[&first, &second], &["snapshot", "ls"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert_eq!(ran.out.matches("  DIFFERENT\n").count(), 2, "{}", ran.out);
    assert!(ran.out.contains("\nDIFFERENT snapshots of entry 120,000: keep all"), "{}", ran.out);
    let ran = run(&[&first, &second], &["snapshot", "ls", "--json"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.out.starts_with("{\"v\":1,\"agree\":false,"), "{}", ran.out);
    assert_eq!(ran.out.matches("\"differs\":true").count(), 2, "{}", ran.out);
    let shown = on_terminal(80, &["-e", &endpoints(&[&first, &second]), "snapshot", "ls"]);
    assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
}
