//! `--all`: the nodes of this host, started and stopped together.

use std::fs;

use rustix::process::{Pid, Signal, kill_process};

use crate::bench::{Cluster, Process, Shape, raft, wait_for};

/// Starts all nodes of the cluster under one supervisor and waits until a leader is there.
fn start_all(cluster: &Cluster, flags: &[&str]) -> Process {
    let mut command = raft();
    command.current_dir(cluster.directory()).args(["-c", "raft.ini", "--all"]).args(flags);
    let output = cluster.directory().join("output-all");
    let supervisor = Process::start(command, "all nodes", output);
    cluster.wait_for_leader();
    supervisor
}

/// The process of a node, as the supervisor tells it.
fn process_of(supervisor: &Process, id: u16) -> Pid {
    let output = supervisor.output();
    let line = output.lines().find(|line| line.contains(&format!("started node={id} ")));
    let line = line.unwrap_or_else(|| panic!("node {id} was started: {output}"));
    let (_, number) = line.rsplit_once("process=").expect("the line names the process");
    Pid::from_raw(number.trim().parse().expect("a number")).expect("a process id")
}

/// Whether the process has ended; one that nobody has waited for yet has, too.
fn is_gone(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_pid()));
    stat.map_or(true, |stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z')))
}

#[track_caller]
fn wait_until_gone(processes: &[Pid]) {
    wait_for("all nodes to be gone", || processes.iter().all(|pid| is_gone(*pid)).then_some(()));
}

fn kill(pid: Pid, signal: Signal) {
    kill_process(pid, signal).expect("the process takes signals");
}

#[test]
fn all_nodes_start_together_and_one_signal_stops_all() {
    let cluster = Cluster::new(&Shape::default());
    let mut supervisor = start_all(&cluster, &[]);
    let processes: Vec<Pid> = cluster.ids().map(|id| process_of(&supervisor, id)).collect();
    supervisor.signal(Signal::INT);
    assert_eq!(supervisor.wait(), 0);
    wait_until_gone(&processes);
    let output = supervisor.output();
    for label in ["A | ", "B | ", "C | "] {
        assert!(output.lines().any(|line| line.starts_with(label)), "no line of {label}");
    }
}

#[test]
fn a_node_that_dies_is_reported_and_the_others_go_on() {
    let cluster = Cluster::new(&Shape::default());
    let mut supervisor = start_all(&cluster, &[]);
    kill(process_of(&supervisor, 2), Signal::KILL);
    supervisor.wait_for_output("ended node=2 label=B how=\"killed by signal 9\" left=2");
    cluster.wait_for_leader();
    supervisor.signal(Signal::TERM);
    assert_eq!(supervisor.wait(), 0);
}

#[test]
fn a_second_signal_stops_even_a_node_that_stands_still() {
    let cluster = Cluster::new(&Shape::default());
    let mut supervisor = start_all(&cluster, &["--set", "Cluster.ShutdownTimeout=10m"]);
    let processes: Vec<Pid> = cluster.ids().map(|id| process_of(&supervisor, id)).collect();
    kill(process_of(&supervisor, 3), Signal::STOP);
    supervisor.signal(Signal::INT);
    supervisor.wait_for_output("left=1");
    // What comes a moment after the first is the same request, so it is said again and again.
    wait_for("the supervisor to end", || {
        let runs = supervisor.runs();
        if runs {
            supervisor.signal(Signal::INT);
        }
        (!runs).then_some(())
    });
    assert_eq!(supervisor.wait(), 128 + 9);
    wait_until_gone(&processes);
}

#[test]
fn nodes_end_when_their_supervisor_does() {
    let cluster = Cluster::new(&Shape::default());
    let mut supervisor = start_all(&cluster, &[]);
    let processes: Vec<Pid> = cluster.ids().map(|id| process_of(&supervisor, id)).collect();
    supervisor.kill();
    wait_until_gone(&processes);
}

#[test]
fn every_line_is_json_where_programs_read_the_log() {
    let cluster = Cluster::new(&Shape::default());
    let mut supervisor = start_all(&cluster, &["--log-format", "json"]);
    supervisor.signal(Signal::TERM);
    assert_eq!(supervisor.wait(), 0);
    for line in supervisor.output().lines() {
        assert!(line.starts_with("{\"v\":1,") && line.ends_with('}'), "{line}");
    }
}

#[test]
fn nodes_of_other_hosts_are_not_started() {
    let cluster = Cluster::new(&Shape::default());
    let text = fs::read_to_string(cluster.config_path()).expect("the file is there");
    let (first, rest) = text.split_once("[Node.B]\nHost = ").expect("node B has a host");
    let (_, rest) = rest.split_once('\n').expect("the line ends");
    let text = format!("{first}[Node.B]\nHost = 192.0.2.7\n{rest}");
    fs::write(cluster.config_path(), text).expect("the file can be written");
    let mut command = raft();
    command.current_dir(cluster.directory()).args(["-c", "raft.ini", "--all"]);
    let output = cluster.directory().join("output-all");
    let mut supervisor = Process::start(command, "all nodes", output);
    supervisor.wait_for_output("not_started node=2 label=B host=192.0.2.7");
    supervisor.wait_for_output("started node=3");
    supervisor.signal(Signal::TERM);
    assert_eq!(supervisor.wait(), 0);
    assert!(!supervisor.output().contains(" started node=2"));
}
