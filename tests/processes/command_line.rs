//! What `raft` answers to its command line before a node starts.

use std::process::Output;

use crate::bench::{Cluster, Shape, raft};

fn run(flags: &[&str]) -> Output {
    raft().args(flags).output().expect("raft starts")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

#[test]
fn a_wrong_command_line_exits_with_2() {
    for flags in [&["--all", "-n", "1"][..], &["--no-such-flag"], &[], &["-n"]] {
        let output = run(flags);
        assert_eq!(output.status.code(), Some(2), "{flags:?}");
        assert!(text(&output.stderr).contains("--help"), "{flags:?}");
    }
}

#[test]
fn the_effective_configuration_is_printed_and_reads_back_the_same() {
    let cluster = Cluster::new(&Shape::default());
    let path = cluster.config_path().display().to_string();
    let first = run(&["-c", &path, "--check-config", "--set", "Cluster.PreVote=False"]);
    assert_eq!(first.status.code(), Some(0));
    let values = |text: &str| -> Vec<String> {
        text.lines().filter(|line| !line.starts_with(';')).map(str::to_owned).collect()
    };
    let printed = text(&first.stdout).to_owned();
    assert!(printed.contains("PreVote = False"), "{printed}");
    let again = cluster.directory().join("effective.ini");
    std::fs::write(&again, &printed).expect("a file can be written");
    let second = run(&["-c", &again.display().to_string(), "--check-config"]);
    assert_eq!(values(&printed), values(text(&second.stdout)));
}

#[test]
fn the_environment_stands_above_the_file_and_below_the_flag() {
    let cluster = Cluster::new(&Shape::default());
    let mut command = raft();
    command.arg("-c").arg(cluster.config_path()).arg("--check-config");
    command.env("RAFT_CLUSTER_ELECTIONTIMEOUT", "3s").env("RAFT_CLUSTER_NAME", "from outside");
    command.args(["--set", "Cluster.Name=from the flag"]);
    let output = command.output().expect("raft starts");
    let printed = text(&output.stdout);
    assert!(printed.contains("ElectionTimeout = 3s"), "{printed}");
    assert!(printed.contains("Name = from the flag"), "{printed}");
}

#[test]
fn all_mistakes_of_a_file_are_reported_in_one_run_and_nothing_is_started() {
    let cluster = Cluster::new(&Shape::default());
    let path = cluster.config_path();
    let wrong = "[Cluster]\nHeartBeatIntervall = 5\n[Nodes]\nNode1 = A\nNode4 = D\n\
                 [Node.A]\nHost = 127.0.0.1\nPort = 99999\n";
    std::fs::write(&path, wrong).expect("a file can be written");
    for flags in [&["--check-config"][..], &["-n", "1"], &["--all"]] {
        let output = raft().arg("-c").arg(&path).args(flags).output().expect("raft starts");
        assert_eq!(output.status.code(), Some(78), "{flags:?}");
        let errors = text(&output.stderr);
        assert!(errors.contains("raft.ini:8:8: error: Port = 99999"), "{errors}");
        assert!(errors.contains("did you mean \"HeartbeatInterval\"?"), "{errors}");
        assert!(errors.contains("Node4 = D, but there is no section [Node.D]"), "{errors}");
        assert!(errors.ends_with("3 errors; nothing was started\n"), "{errors}");
    }
    assert!(!cluster.directory().join("data").exists());
}

#[test]
fn a_node_that_the_file_does_not_have_is_refused_with_those_that_it_has() {
    let cluster = Cluster::new(&Shape::default());
    let output = raft().arg("-c").arg(cluster.config_path()).args(["-n", "Z"]).output();
    let output = output.expect("raft starts");
    assert_eq!(output.status.code(), Some(78));
    let errors = text(&output.stderr);
    assert!(errors.contains("there is no node \"Z\"; there are 1 (A), 2 (B), 3 (C)"), "{errors}");
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let output = run(&["-c", "/no/such/raft.ini", "--all"]);
    assert_eq!(output.status.code(), Some(78));
    let errors = text(&output.stderr);
    assert!(errors.contains("/no/such/raft.ini: error: can't be read: No such file"), "{errors}");
}

#[test]
fn the_page_of_operations_lists_the_exit_codes_that_there_are() {
    let help = run(&["--help"]);
    let (_, codes) = text(&help.stdout).split_once("Exit codes:\n").expect("help lists them");
    let codes: Vec<(&str, &str)> =
        codes.lines().filter_map(|line| line.trim().split_once("  ")).collect();
    assert!(codes.len() >= 10, "{codes:?}");
    let page = include_str!("../../docs/operations.md");
    let (_, rest) = page.split_once("## Exit codes").expect("the page has the section");
    let (table, _) = rest.split_once("\n## ").expect("another section follows");
    let rows: Vec<(&str, &str)> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split_once(" | "))
        .filter(|(code, _)| code.parse::<u8>().is_ok())
        .filter_map(|(code, rest)| Some((code, rest.split_once(" |")?.0)))
        .collect();
    assert_eq!(rows, codes);
}
