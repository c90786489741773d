//! What a person sees on a terminal, and what ends when nobody looks any more.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::offline::directory;
use crate::support::{FakeCluster, Mood, on_terminal, raft_ctl};

/// Bytes that are no text and would do something to a terminal.
const BYTES: &[u8] = b"\x1b[2J\x07\xff\x80\x00";

fn cluster() -> FakeCluster {
    let cluster = FakeCluster::start(Mood::Good);
    assert_eq!(cluster.run_with_input(&["put", "bytes"], &BYTES.repeat(500)).code, 0);
    assert_eq!(cluster.run_with_input(&["put", "text"], &b"a word, ".repeat(100)).code, 0);
    cluster
}

/// No line is longer than the terminal is wide, and nothing in it steers the terminal.
#[track_caller]
fn check(shown: &str, columns: usize) {
    for line in shown.lines() {
        assert!(line.chars().count() <= columns, "{line}");
        assert!(!line.contains(char::is_control), "{line:?}");
    }
}

#[test]
fn long_values_are_cut_to_the_terminal_and_whole_everywhere_else() {
    let cluster = cluster();
    let endpoint = format!("127.0.0.1:{}", cluster.port);
    for columns in [60, 80, 200] {
        let shown = on_terminal(columns, &["-e", &endpoint, "scan"]);
        check(&shown, usize::from(columns));
        assert!(shown.contains("\"... (4,000 bytes)\n"), "{shown}");
        assert!(shown.contains("\"... (800 bytes)\n"), "{shown}");
    }
    let shown = on_terminal(80, &["-e", &endpoint, "get", "bytes"]);
    check(&shown, 80);
    assert!(shown.starts_with("\"\\u{1b}[2J\\u{7}\\xff\\x80\\u{0}"), "{shown}");
    assert!(shown.ends_with("\"... (4,000 bytes)\n"), "{shown}");

    let whole = on_terminal(80, &["-e", &endpoint, "get", "bytes", "--full"]);
    assert_eq!(whole.matches("\\u{1b}[2J").count(), 500);
    let whole = on_terminal(80, &["-e", &endpoint, "scan", "--full"]);
    assert_eq!(whole.matches("\\u{1b}[2J").count(), 500);
    assert_eq!(cluster.run(&["get", "bytes", "--raw"]).raw, BYTES.repeat(500));
    let json = cluster.run(&["scan", "--json"]).out;
    assert!(json.contains(&"a word, ".repeat(100)), "{json}");
}

#[test]
fn entries_of_a_log_fit_the_terminal() {
    let (_parent, path) = directory();
    let path = path.display().to_string();
    let shown = on_terminal(80, &["log", "dump", &path]);
    check(&shown, 80);
    assert!(shown.contains("index    term  time                     type  data\n"), "{shown}");
    assert!(shown.contains("put   \"user:1\" = \"ann\"\n"), "{shown}");
    let wide = on_terminal(140, &["log", "tail", &path]);
    assert!(wide.contains("segment:offset") && wide.contains("crc"), "{wide}");
    for full in [
        on_terminal(80, &["log", "dump", "--full", &path]),
        raft_ctl(&["log", "dump", &path], b"").out,
    ] {
        assert!(full.contains("segment:offset"), "{full}");
        assert!(full.contains("1 10.0.0.1:3111, 2 10.0.0.2:3111"), "{full}");
    }
    for index in ["1", "2"] {
        check(&on_terminal(80, &["log", "show", &path, index]), 80);
    }
}

#[test]
fn what_goes_on_until_interrupted_ends_with_its_reader() {
    let cluster = FakeCluster::start(Mood::Good);
    let endpoint = format!("127.0.0.1:{}", cluster.port);
    let (_parent, path) = directory();
    let path = path.display().to_string();
    for arguments in [
        &["log", "tail", "--follow", path.as_str()][..],
        &["-e", endpoint.as_str(), "status", "--watch", "1h"],
    ] {
        let mut process = Command::new(env!("CARGO_BIN_EXE_raft-ctl"))
            .args(arguments)
            .env_clear()
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut reader = BufReader::new(process.stdout.take().unwrap());
        reader.read_line(&mut line).unwrap();
        assert!(!line.is_empty());
        drop(reader);
        let deadline = Instant::now() + Duration::from_secs(60);
        let status = loop {
            if let Some(status) = process.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "{arguments:?} goes on");
            thread::sleep(Duration::from_millis(10)); // polls
        };
        assert_eq!(status.code(), Some(0), "{arguments:?}");
    }
}

#[test]
fn a_shell_and_the_manual_are_told_of_every_command() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let ran = raft_ctl(&["completions", shell], b"");
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(ran.out.contains("transfer-leader"), "{shell}");
    }
    let ran = raft_ctl(&["man"], b"");
    assert!(ran.out.contains(".TH raft-ctl 1"), "{}", ran.out);
    let directory = tempfile::tempdir().unwrap();
    let ran = raft_ctl(&["man", &directory.path().display().to_string()], b"");
    assert_eq!(ran.code, 0, "{ran:?}");
    for page in ["raft-ctl.1", "raft-ctl-log-verify.1", "raft-ctl-bench.1"] {
        assert!(directory.path().join(page).exists(), "{page}");
    }
}
