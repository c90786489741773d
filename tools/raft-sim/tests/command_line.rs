//! The program as its user has it: what it refuses, what it prints, and its exit codes.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Output, Stdio};
use std::thread;

/// A world that is over soon.
const SHORT: [&str; 6] = ["--time", "200ms", "--clients", "1", "--faults", "none"];

fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_raft-sim"));
    command.args(arguments).stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> Output {
    program(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn short(command: &[&'static str]) -> Vec<&'static str> {
    [command, &SHORT].concat()
}

#[test]
fn a_command_line_that_makes_no_sense_is_refused_and_says_why() {
    let wrong: [(&[&str], &str); 9] = [
        (&["run", "--seed", "x"], "a seed is a number from 0 to 18446744073709551615"),
        (&["run", "--seed", "17@"], "no tag behind the @"),
        (&["run"], "--seed"),
        (&["sweep", "--seeds", "9..2"], "there is no seed from 9 up to 2"),
        (&["sweep", "--seeds", "17"], "isn't A..B"),
        (&["sweep", "--seeds", "0..5", "--jobs", "0"], "1..=256"),
        (&["run", "--seed", "1", "--faults", "earthquakes"], "there is no fault \"earthquakes\""),
        (&["run", "--seed", "1", "--nodes", "10"], "1..=9"),
        (&["run", "--seed", "1", "--time", "1h"], "isn't a time such as 20s or 500ms"),
    ];
    for (arguments, why) in wrong {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(text(&output.stderr).contains(why), "{arguments:?}: {}", text(&output.stderr));
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
fn a_world_in_which_nothing_is_found_ends_with_zero() {
    let output = run(&short(&["run", "--seed", "1"]));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    assert!(text(&output.stdout).ends_with("nothing was found\n"), "{}", text(&output.stdout));
    let output = run(&short(&["run", "--seed", "1", "--json"]));
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(told["finding"].is_null() && told["undecided"].as_array().unwrap().is_empty());
}

#[test]
fn a_seed_of_another_version_runs_with_a_warning() {
    let output = run(&short(&["run", "--seed", "1@another"]));
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stderr).contains("was printed by version another"));
}

#[test]
fn a_replay_whose_reader_has_gone_ends_without_a_word() {
    let mut command = program(&short(&["replay", "--seed", "1", "--verbose"]));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = String::new();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    reader.read_line(&mut first).unwrap();
    assert!(first.starts_with("seed 1@"), "{first}");
    drop(reader);
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
}

#[test]
fn a_sweep_tells_what_it_has_run_and_what_could_not_be_decided() {
    let output = run(&short(&["sweep", "--seeds", "0..4", "--jobs", "2", "--json"]));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["seeds"], 4);
    assert!(told["steps"].as_u64().unwrap() > 0);
    for list in ["undecided", "findings"] {
        assert!(told[list].as_array().unwrap().is_empty(), "{told}");
    }
}

/// Whether a process has something to do when it is interrupted.
fn waits_for_an_interruption(process: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
    u64::from_str_radix(caught.trim(), 16).unwrap() & 0b10 != 0
}

#[test]
fn a_sweep_that_is_interrupted_tells_what_it_has_run() {
    let arguments = short(&["sweep", "--seeds", "0..100000000", "--jobs", "1"]);
    let child = program(&arguments).stdout(Stdio::piped()).spawn().unwrap();
    while !waits_for_an_interruption(child.id()) {
        thread::yield_now();
    }
    let interrupted = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(interrupted.unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    assert!(text(&output.stdout).starts_with("interrupted before all seeds were run\n"));
}

#[test]
fn a_world_in_which_nothing_is_found_is_not_made_smaller() {
    let output = run(&short(&["shrink", "--seed", "1"]));
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).ends_with("nothing was found\n"));
    let output = run(&short(&["shrink", "--seed", "1", "--json"]));
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(told["finding"].is_null() && told["seed"] == 1);
}
