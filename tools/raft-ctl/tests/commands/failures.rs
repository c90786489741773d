//! How commands fail: the exit code, the object for programs, the words for people.

use crate::support::{FakeCluster, Mood, Ran, raft_ctl};
use raft_node::wire::{HelloRefusal, RefusalCode};

/// Fails with this exit code and error code, in both forms.
#[track_caller]
fn check(ran: &Ran, exit: i32, code: &str, outcome: &str) {
    assert_eq!(ran.code, exit, "{ran:?}");
    let head = format!(
        "{{\"v\":1,\"outcome\":\"{outcome}\",\"exit\":{exit},\"error\":{{\"code\":\"{code}\","
    );
    assert!(ran.out.starts_with(&head), "{}", ran.out);
    assert_eq!(ran.out.lines().count(), 1, "one object: {}", ran.out);
    assert!(ran.err.starts_with("error: "), "{}", ran.err);
}

#[test]
fn the_command_line_is_wrong() {
    for arguments in [
        &["put", "--json"][..],
        &["get", "--json"],
        &["put", "k", "v", "--nope", "--json"],
        &["nonsense", "--json"],
        &["-t", "5", "get", "k", "--json"],
        &["-o", "json", "get", "k", "--client-id", "a"],
        &["-e", "nowhere", "get", "k", "--json"],
        &["-e", "127.0.0.1:1", "cas", "k", "--json", "one"],
        &["-e", "127.0.0.1:1", "cas", "k", "a", "b", "--absent", "--json"],
        &["-e", "127.0.0.1:1", "put", "", "v", "--json"],
        &["-e", "127.0.0.1:1", "put", "k", "v", "--client-id", "", "--seq", "1", "--json"],
        &["-e", "127.0.0.1:1", "bench", "put", "--key-size", "7", "--json"],
    ] {
        check(&raft_ctl(arguments, b""), 2, "usage", "error");
    }
}

#[test]
fn a_configuration_is_missing_or_wrong() {
    let ran = raft_ctl(&["get", "k", "--json"], b"");
    check(&ran, 2, "configuration", "error");
    assert!(ran.err.contains("hint: name one with --config FILE"), "{}", ran.err);
    let ran = raft_ctl(&["-c", "/nowhere.ini", "get", "k", "--json"], b"");
    check(&ran, 2, "configuration", "error");
}

#[test]
fn nobody_listens() {
    let ran = raft_ctl(&["-e", "127.0.0.1:1,127.0.0.1:2", "-t", "200ms", "put", "k", "v"], b"");
    assert_eq!(ran.code, 3);
    assert_eq!(
        ran.err,
        "error: none of 2 nodes can be reached\n\
         \x20 127.0.0.1:1  connection refused\n\
         \x20 127.0.0.1:2  connection refused\n\
         \x20 hint: start raft on them, or see --config and --endpoints; nothing was written\n"
    );
    for command in ["status", "health", "ping", "hash"] {
        let ran = raft_ctl(&["-e", "127.0.0.1:1", "-t", "200ms", command, "--json"], b"");
        assert_eq!(ran.code, 3, "{command}: {ran:?}");
    }
}

#[test]
fn nobody_leads() {
    let cluster = FakeCluster::start(Mood::Refusing(RefusalCode::NoLeader));
    let ran = cluster.run(&["-t", "300ms", "put", "k", "v", "--json"]);
    check(&ran, 4, "no_leader", "refused");
    assert!(
        ran.err.starts_with(
            "error: no leader: 1 of 1 voters answered (node 1, candidate, term 7); 1 are needed\n"
        ),
        "{}",
        ran.err
    );
    assert!(ran.out.contains("\"retry_safe\":true"), "{}", ran.out);
    let ran = cluster.run(&["-t", "300ms", "wait", "--leader", "--json"]);
    check(&ran, 4, "timed_out", "refused");
}

#[test]
fn the_cluster_has_not_formed() {
    let cluster = FakeCluster::start(Mood::Forming);
    let ran = cluster.run(&["-t", "300ms", "put", "k", "v", "--json"]);
    check(&ran, 4, "not_formed", "refused");
}

#[test]
fn the_leader_is_busy_or_full_until_the_time_is_over() {
    for (code, name) in [(RefusalCode::Busy, "busy"), (RefusalCode::DiskFull, "disk_full")] {
        let cluster = FakeCluster::start(Mood::Refusing(code));
        let ran = cluster.run(&["-t", "300ms", "put", "k", "v", "--json"]);
        check(&ran, 4, name, "refused");
        assert!(ran.err.contains("nothing was written"), "{}", ran.err);
    }
}

#[test]
fn the_outcome_is_not_known() {
    let cluster = FakeCluster::start(Mood::Cutting);
    let ran = cluster.run(&["put", "k", "v", "--json"]);
    check(&ran, 5, "unknown", "unknown");
    assert!(ran.out.contains("\"retry_safe\":false"), "{}", ran.out);
    let numbered = ["put", "k", "v", "--client-id", "job 1", "--seq", "1", "-t", "300ms"];
    let ran = cluster.run(&numbered);
    assert_eq!(ran.code, 5);
    assert!(ran.err.contains("--client-id 'job 1' --seq 1 again"), "{}", ran.err);
}

#[test]
fn it_is_the_wrong_cluster() {
    let cluster = FakeCluster::start(Mood::Unwelcoming(HelloRefusal::WRONG_NAME));
    let ran = cluster.run(&["-t", "300ms", "put", "k", "v", "--json"]);
    check(&ran, 6, "wrong_cluster", "refused");
    let cluster = FakeCluster::start(Mood::Unwelcoming(HelloRefusal::PROTOCOL));
    let ran = cluster.run(&["-t", "300ms", "put", "k", "v", "--json"]);
    check(&ran, 3, "incompatible", "refused");
}

#[test]
fn the_request_can_never_be_done() {
    let cluster = FakeCluster::start(Mood::Good);
    let large = vec![b'x'; 2 << 20];
    let ran = cluster.run_with_input(&["put", "k", "--json"], &large);
    check(&ran, 2, "too_large", "refused");
    let long = "k".repeat(5000);
    check(&cluster.run(&["put", &long, "v", "--json"]), 2, "too_large", "refused");
    assert_eq!(cluster.run(&["put", "word", "five"]).code, 0);
    check(&cluster.run(&["incr", "word", "--json"]), 2, "not_a_number", "refused");
    assert_eq!(cluster.run(&["put", "n", "9223372036854775807"]).code, 0);
    check(&cluster.run(&["incr", "n", "--json"]), 2, "overflow", "refused");
}

#[test]
fn a_file_cannot_be_read() {
    let cluster = FakeCluster::start(Mood::Good);
    let ran = cluster.run(&["put", "k", "@/nowhere/at/all", "--json"]);
    check(&ran, 8, "local_io", "error");
    assert!(ran.err.contains("/nowhere/at/all can't be read"), "{}", ran.err);
    check(&cluster.run(&["import", "/nowhere", "--json"]), 8, "local_io", "error");
}

#[test]
fn a_benchmark_whose_cluster_goes_away_has_no_result() {
    let cluster = FakeCluster::start(Mood::Dying(5000));
    let arguments = ["bench", "put", "--clients", "2", "--depth", "4", "--no-limits"];
    let arguments = [&arguments[..], &["--seconds", "600", "-t", "500ms", "--json"]].concat();
    let ran = cluster.run(&arguments);
    check(&ran, 4, "timed_out", "refused");
    assert!(ran.err.contains("the cluster stopped answering"), "{}", ran.err);
    assert!(ran.err.contains("requests were answered until then"), "{}", ran.err);
}

#[test]
fn a_benchmark_that_can_never_be_carried_out_says_why() {
    let cluster = FakeCluster::start(Mood::Good);
    let ran = cluster.run(&[
        "bench",
        "put",
        "--value-size",
        "2MiB",
        "--clients",
        "1",
        "--depth",
        "1",
        "--seconds",
        "1",
        "--warm-up",
        "0",
        "--no-limits",
        "--json",
    ]);
    check(&ran, 2, "too_large", "refused");
    assert!(ran.err.contains("--value-size"), "{}", ran.err);
}

#[test]
fn a_node_outside_the_cluster_cannot_be_given_leadership() {
    let cluster = FakeCluster::start(Mood::Refusing(RefusalCode::NoTarget));
    let ran = cluster.run(&["transfer-leader", "9", "--json"]);
    check(&ran, 2, "usage", "error");
    assert!(ran.err.contains("node 9 isn't a member"), "{}", ran.err);
    check(&cluster.run(&["transfer-leader", "--json"]), 4, "no_target", "refused");
}

#[test]
fn numbers_that_are_none_are_named() {
    let endpoint = ["-e", "127.0.0.1:1"];
    for (arguments, said) in [
        (&["incr", "k", "many"][..], "'[BY]': not a whole number from -9223372036854775808"),
        (&["wait", "--applied", "x"], "'--applied <INDEX>': not a whole number"),
        (&["log", "show", "/nowhere", "x"], "'<INDEX>': not a whole number"),
    ] {
        let ran = raft_ctl(&[&endpoint, arguments].concat(), b"");
        assert_eq!(ran.code, 2, "{ran:?}");
        assert!(ran.err.contains(said), "{}", ran.err);
    }
}

#[test]
fn an_import_that_stops_says_from_where_it_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("it's all.jsonl");
    let lines = "{\"key\":\"k\",\"value\":\"v\"}\n".repeat(3);
    std::fs::write(&file, &lines).unwrap();
    let file = file.display().to_string();
    let cluster = FakeCluster::start(Mood::Dying(3));
    let ran = cluster.run(&["-t", "300ms", "import", "--clients", "1", &file, "--json"]);
    assert!([4, 5].contains(&ran.code), "{ran:?}");
    let quoted = format!("'{}' | raft-ctl import -", file.replace('\'', "'\\''"));
    assert!(ran.err.contains(&quoted), "{}", ran.err);
    assert!(ran.err.contains("lines are done, all before line "), "{}", ran.err);
    let cluster = FakeCluster::start(Mood::Dying(3));
    let arguments = ["-t", "300ms", "import", "--clients", "1", "-"];
    let ran = cluster.run_with_input(&arguments, lines.as_bytes());
    assert!(ran.err.contains("run it again from the start, or from line "), "{}", ran.err);
}
