//! The commands that look at the cluster: what they print and how they exit.

use crate::support::{FakeCluster, Mood};
use raft_node::wire::RefusalCode;

#[test]
fn status_tells_of_every_node() {
    let cluster = FakeCluster::start(Mood::Good);
    assert_eq!(cluster.run(&["put", "k", "v"]).code, 0);
    let ran = cluster.run(&["status", "--json"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(
        ran.out,
        "{\"v\":1,\"cluster\":\"6f1d2c00000000000000000000000000\",\"cluster_name\":\"raft\",\
         \"epoch\":1,\"leader\":1,\"term\":7,\"commit\":1,\"healthy\":true,\"nodes\":[{\"id\":1,\
         \"label\":\"A\",\"address\":\"127.0.0.1:PORT\",\"up\":true,\"role\":\"leader\",\
         \"term\":7,\"commit\":1,\"applied\":1,\"last\":1,\"durable\":1,\"first\":1,\
         \"behind\":0,\"behind_seconds\":0.0,\"snapshot\":0,\"log_bytes\":16777216,\
         \"state_hash\":\"00000000000000000000000000001234\",\"state_hash_index\":1,\
         \"version\":\"0.1.0\",\"voter\":true,\
         \"incarnation\":\"00000000000000000000000000000001\",\"boot\":3,\"disk_ok\":true,\
         \"sync_p99_seconds\":0.00025,\"feature_level\":1,\"storage\":\"synced\",\
         \"uptime_seconds\":3600.0,\"keys\":1,\"state_bytes\":0,\"clients\":1,\"segments\":1,\"writes\":2,\
         \"matched\":null,\"round_trip_seconds\":null,\"waits_for\":[]}]}\n"
    );
    let text = cluster.run(&["status"]);
    let lines: Vec<&str> = text.out.lines().collect();
    assert!(
        lines[0].starts_with("cluster 6f1d2c  leader 1 \"A\" since 3d 4h (term 7)"),
        "{}",
        text.out
    );
    assert!(text.out.lines().all(|line| line.len() <= 80), "{}", text.out);
}

#[test]
fn a_node_that_is_down_has_no_figures() {
    let cluster = FakeCluster::start(Mood::Good);
    let both = format!("127.0.0.1:{},127.0.0.1:1", cluster.port);
    let ran = crate::support::raft_ctl(&["-e", &both, "status", "--json"], b"");
    assert_eq!(ran.code, 0, "{ran:?}");
    let down = "{\"id\":null,\"label\":null,\"address\":\"127.0.0.1:1\",\"up\":false,\
                \"error\":\"connection refused\",\"role\":null,\"term\":null,\"commit\":null,";
    assert!(ran.out.contains(down), "{}", ran.out);
}

#[test]
fn health_is_a_yes_or_a_list_of_reasons() {
    let cluster = FakeCluster::start(Mood::Good);
    let ran = cluster.run(&["health", "--json"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, "{\"v\":1,\"healthy\":true,\"reasons\":[]}\n"));
    let cluster = FakeCluster::start(Mood::Refusing(RefusalCode::NoLeader));
    let ran = cluster.run(&["health", "--json"]);
    assert_eq!(
        (ran.code, ran.out.as_str()),
        (
            1,
            "{\"v\":1,\"healthy\":false,\"reasons\":[{\"code\":\"no_leader\",\"node\":null,\
             \"message\":\"nobody leads; 1 of 1 voters answer\"}]}\n"
        )
    );
}

#[test]
fn waiting_ends_when_there_is_a_leader_or_the_entry_is_applied() {
    let cluster = FakeCluster::start(Mood::Good);
    let ran = cluster.run(&["wait", "--leader", "--json"]);
    assert_eq!(
        (ran.code, ran.out.as_str()),
        (0, "{\"v\":1,\"outcome\":\"ok\",\"leader\":1,\"term\":7,\"applied\":0}\n")
    );
    assert_eq!(cluster.run(&["put", "k", "v"]).code, 0);
    let ran = cluster.run(&["wait", "--applied", "1"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, "applied 1\n"));
    assert_eq!(cluster.run(&["wait", "--applied", "2", "-t", "200ms"]).code, 4);
}

#[test]
fn hashes_are_compared_and_leadership_is_handed_over() {
    let cluster = FakeCluster::start(Mood::Good);
    let ran = cluster.run(&["hash", "--json"]);
    assert_eq!(
        (ran.code, ran.out.as_str()),
        (
            0,
            "{\"v\":1,\"agree\":true,\"index\":0,\"nodes\":[{\"id\":1,\"up\":true,\
             \"state_hash\":\"00000000000000000000000000001234\",\"state_hash_index\":0}]}\n"
        )
    );
    let ran = cluster.run(&["transfer-leader", "3", "--json"]);
    assert_eq!(
        (ran.code, ran.out.as_str()),
        (0, "{\"v\":1,\"outcome\":\"ok\",\"dry_run\":false,\"leader\":3,\"term\":8,\"to\":3}\n")
    );
}

#[test]
fn a_ping_tells_the_round_trip() {
    let cluster = FakeCluster::start(Mood::Good);
    let ran = cluster.run(&["ping", "--count", "3", "--json"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let head = "{\"v\":1,\"count\":3,\"nodes\":[{\"id\":null,\"label\":null,\
                \"address\":\"127.0.0.1:PORT\",\"up\":true,\"min_seconds\":";
    assert!(ran.out.starts_with(head), "{}", ran.out);
}

#[test]
fn a_benchmark_prints_the_promised_keys() {
    let cluster = FakeCluster::start(Mood::Good);
    for operation in ["put", "get", "mixed"] {
        let ran = cluster.run(&[
            "bench",
            operation,
            "--clients",
            "4",
            "--depth",
            "4",
            "--keys",
            "100",
            "--seconds",
            "1",
            "--warm-up",
            "0",
            "--no-limits",
            "--json",
        ]);
        assert_eq!(ran.code, 0, "{ran:?}");
        let head = format!(
            "{{\"v\":1,\"system\":\"raft\",\"version\":\"0.1.0\",\"op\":\"{operation}\",\"nodes\":1,"
        );
        assert!(ran.out.starts_with(&head), "{}", ran.out);
        for key in [
            "clients",
            "depth",
            "key_size",
            "value_size",
            "keys",
            "seconds",
            "ops_per_second",
            "p50_us",
            "p90_us",
            "p99_us",
            "p999_us",
            "max_us",
            "errors",
            "limits",
            "generator",
        ] {
            assert!(ran.out.contains(&format!("\"{key}\":")), "{key}: {}", ran.out);
        }
        assert!(ran.out.contains("\"errors\":0,"), "{}", ran.out);
    }
}

#[test]
fn an_open_loop_keeps_to_its_rate() {
    let cluster = FakeCluster::start(Mood::Good);
    let ran = cluster.run(&[
        "bench",
        "put",
        "--clients",
        "2",
        "--depth",
        "8",
        "--rate",
        "500",
        "--seconds",
        "2",
        "--warm-up",
        "0",
        "--no-limits",
        "--json",
    ]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let rate = ran.out.split("\"ops_per_second\":").nth(1).unwrap();
    let rate: f64 = rate.split(',').next().unwrap().parse().unwrap();
    assert!((300.0..=510.0).contains(&rate), "{rate}");
}

#[test]
fn what_lease_reads_are_answered_with_is_said() {
    let cluster = FakeCluster::start(Mood::Good);
    assert_eq!(cluster.run(&["put", "k", "v"]).code, 0);
    let ran = cluster.run(&["get", "k", "--consistency", "lease"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, "v\n"));
    assert!(ran.err.contains("answer lease reads as linearizable ones"), "{}", ran.err);
    assert_eq!(cluster.run(&["get", "k"]).err, "");
}
