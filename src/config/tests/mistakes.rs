//! Files that are wrong, with the exact words for each.

use super::*;

/// One mistake in `[Cluster]` (or wherever `head` leads) gives exactly this text.
#[track_caller]
fn one(head: &str, expected: &str) {
    let text = three_nodes(head);
    assert_eq!(mistakes(&text), format!("{expected}\n1 error; nothing was started"), "{text}");
}

/// Replacing `from` by `to` in a file of three nodes gives exactly these findings.
#[track_caller]
fn replaced(from: &str, to: &str, expected: &[&str]) {
    let text = three_nodes("");
    assert!(text.contains(from), "{from}");
    let found = mistakes(&text.replacen(from, to, 1));
    let lines: Vec<&str> = found.lines().filter(|line| line.starts_with("raft.ini")).collect();
    assert_eq!(lines, expected);
}

#[test]
fn all_mistakes_of_a_file_are_told_in_one_run() {
    let text = "\
[Cluster]
ElectionTimeout = soon
HeartBeatIntervall = 50
Name = one
name = two

[Storge]
SegmentSize = 64MiB

[Nodes]
Node1 = A
Node2 = B
Node4 = D
Server = X

[Node.A]
Host = 127.0.0.1
Port = 99999

[Node.B]
Id = 3
Port = 3112 ; the second one
";
    assert_eq!(
        mistakes(text),
        r#"raft.ini:2:19: error: ElectionTimeout = soon: must be a duration of 10ms..1h, such as 150ms, 2s or 5m; a bare number is milliseconds
    2 | ElectionTimeout = soon
raft.ini:3:1: error: unknown key "HeartBeatIntervall" in [Cluster]; did you mean "HeartbeatInterval"?
    3 | HeartBeatIntervall = 50
raft.ini:5:1: error: key "name" appears twice; the first is on line 4
    5 | name = two
raft.ini:7:1: error: unknown section [Storge]; did you mean [Storage]?
    7 | [Storge]
raft.ini:13:1: error: Node4 = D, but there is no section [Node.D]
   13 | Node4 = D
raft.ini:14:1: error: unknown key "Server" in [Nodes]; nodes are Node1, Node2, ...
   14 | Server = X
raft.ini:18:8: error: Port = 99999: must be 1..65535
   18 | Port = 99999
raft.ini:20:1: error: [Node.B] has no Host
   20 | [Node.B]
raft.ini:21:6: error: Id = 3: must be 2, as in Node2 = B
   21 | Id = 3
raft.ini:22:8: error: Port = 3112 ; the second one: must be 1..65535; a comment needs a line of its own
   22 | Port = 3112 ; the second one
10 errors; nothing was started"#
    );
}

#[test]
fn values_say_what_is_allowed() {
    let cases = [
        ("Debug = maybe", 9, "Debug = maybe: must be True or False (or yes, no, on, off, 1, 0)"),
        ("Name =", 7, "Name is empty: must be 1..64 bytes of text"),
        (
            "ElectionTimeout: 1ms",
            18,
            "ElectionTimeout = 1ms: must be a duration of 10ms..1h, such as 150ms, 2s or 5m; a \
             bare number is milliseconds",
        ),
        ("ClusterId = 6f1d2c", 13, "ClusterId = 6f1d2c: must be 32 hexadecimal digits, not all 0"),
        (
            "StorageClass = FileStore",
            16,
            "StorageClass = FileStore: must be FileStorage or InMemoryStorage; did you mean \
             \"FileStorage\"?",
        ),
        (
            "StorageClass = SQLite",
            16,
            "StorageClass = SQLite: must be FileStorage or InMemoryStorage",
        ),
        (
            "RecentBytes = 64M",
            15,
            "RecentBytes = 64M: must be a size of 1MiB..64GiB, such as 64MiB; a bare number is \
             bytes",
        ),
        (
            "DataDirectory = ~/raft",
            17,
            "DataDirectory = ~/raft: \"~\" isn't expanded here; write the whole path",
        ),
        ("NodeCount = few", 13, "NodeCount = few: must be the number of nodes in [Nodes]"),
        ("NodeCount = 5", 13, "NodeCount = 5: must be 3, as [Nodes] lists"),
    ];
    for (line, column, message) in cases {
        let expected = format!("raft.ini:2:{column}: error: {message}\n    2 | {line}");
        one(&format!("[Cluster]\n{line}"), &expected);
    }
    one(
        "[Storage]\nSegmentSize = 17000000",
        "raft.ini:2:15: error: SegmentSize = 17000000: must be a size of 16MiB..1GiB, a multiple \
         of 4KiB, such as 64MiB; a bare number is bytes\n    2 | SegmentSize = 17000000",
    );
    one(
        "[Snapshot]\nLogRatio = 0",
        "raft.ini:2:12: error: LogRatio = 0: must be 1..1000\n    2 | LogRatio = 0",
    );
    one(
        "[Client]\nMaxValueSize = 5MiB",
        "raft.ini:2:16: error: MaxValueSize = 5MiB: must be a size of 1KiB..4MiB, such as 64MiB; \
         a bare number is bytes\n    2 | MaxValueSize = 5MiB",
    );
}

#[test]
fn values_that_do_not_fit_each_other_are_mistakes() {
    one(
        "[Cluster]\nElectionTimeout = 100\nHeartbeatInterval = 50",
        "raft.ini:2:19: error: ElectionTimeout = 100ms with HeartbeatInterval = 50ms: must be at \
         least 3 heartbeats, 150ms\n    2 | ElectionTimeout = 100",
    );
    one(
        "[Cluster]\nLeaseReads = yes\nCheckQuorum = no",
        "raft.ini:2:14: error: LeaseReads = True: needs CheckQuorum = True, without which a \
         leader that was cut off holds its lease for ever\n    2 | LeaseReads = yes",
    );
    one(
        "[Cluster]\nMaxBatchBytes = 60MiB",
        "raft.ini:2:17: error: SegmentSize = 64MiB with MaxBatchBytes = 60MiB: must be at least \
         69MiB, a batch and 9MiB\n    2 | MaxBatchBytes = 60MiB",
    );
    one(
        "[Cluster]\nMaxUnpersistedBytes = 8MiB\nMaxBatchBytes = 16MiB",
        "raft.ini:2:23: error: MaxUnpersistedBytes = 8MiB: must be at least MaxBatchBytes = \
         16MiB\n    2 | MaxUnpersistedBytes = 8MiB",
    );
}

#[test]
fn names_that_are_not_known_find_the_one_that_was_meant() {
    one(
        "[Cluster]\nHeartBeatIntervall = 5",
        "raft.ini:2:1: error: unknown key \"HeartBeatIntervall\" in [Cluster]; did you mean \
         \"HeartbeatInterval\"?\n    2 | HeartBeatIntervall = 5",
    );
    one(
        "[Cluster]\nsegmentsize = 64MiB",
        "raft.ini:2:1: error: unknown key \"segmentsize\" in [Cluster]; it belongs in [Storage]\n    \
         2 | segmentsize = 64MiB",
    );
    one(
        "[Snapshot]\nColour = red",
        "raft.ini:2:1: error: unknown key \"Colour\" in [Snapshot]; known are MinLogSize, \
         LogRatio, KeepEntries, MaxLagSize, MaxAge\n    2 | Colour = red",
    );
    one(
        "[cluster]",
        "raft.ini:1:1: error: unknown section [cluster]; did you mean [Cluster]?\n    1 | [cluster]",
    );
    one(
        "[Logging]",
        "raft.ini:1:1: error: unknown section [Logging]; known are [Cluster], [Storage], \
         [Snapshot], [Client], [Nodes] and [Node.X]\n    1 | [Logging]",
    );
}

#[test]
fn nodes_that_do_not_fit_their_list_are_mistakes() {
    replaced(
        "Node3 = C",
        "Node3 = c",
        &[
            "raft.ini:5:1: error: Node3 = c, but there is no section [Node.c]",
            "raft.ini:12:1: error: [Node.C] isn't listed in [Nodes]; add \"Node4 = C\" there, or \
             take the section away",
        ],
    );
    replaced(
        "Node3 = C",
        "Node3 = A",
        &[
            "raft.ini:5:1: error: Node3 = A: line 3 has this label already",
            "raft.ini:12:1: error: [Node.C] isn't listed in [Nodes]; add \"Node3 = C\" there, or \
             take the section away",
        ],
    );
    replaced(
        "Node3 = C",
        "Node3 = a",
        &[
            "raft.ini:5:1: error: Node3 = a: differs only in case or punctuation from A on line 3",
            "raft.ini:12:1: error: [Node.C] isn't listed in [Nodes]; add \"Node3 = C\" there, or \
             take the section away",
        ],
    );
    let text = three_nodes("").replace("= C", "= 33").replace("Node.C", "Node.33");
    assert!(mistakes(&text).starts_with(
        "raft.ini:5:9: error: Node3 = 33: a label must not be all digits; it would be taken for a \
         number\n"
    ));
    replaced(
        "Node3 = C",
        "Node0 = C\nNode65536 = D\nNode03 = E\nNode = F\nNode3 = C",
        &[
            "raft.ini:5:1: error: unknown key \"Node0\" in [Nodes]; nodes are Node1, Node2, ...",
            "raft.ini:6:1: error: \"Node65536\" in [Nodes]: the number behind Node must be \
             1..65535",
            "raft.ini:7:1: error: unknown key \"Node03\" in [Nodes]; nodes are Node1, Node2, ...",
            "raft.ini:8:1: error: unknown key \"Node\" in [Nodes]; nodes are Node1, Node2, ...",
        ],
    );
}

#[test]
fn nodes_that_contradict_themselves_or_each_other_are_mistakes() {
    let port = "Port = 3112";
    replaced(
        port,
        "Port = 3112\nId = 1",
        &["raft.ini:12:6: error: Id = 1: must be 2, as in Node2 = B"],
    );
    replaced(
        port,
        "Port = 3112\nLabel = A",
        &["raft.ini:12:9: error: Label = A: must be B, as in the section's name"],
    );
    replaced(
        port,
        "Port = 3111",
        &["raft.ini:11:8: error: nodes A and B have the same address, 127.0.0.1:3111"],
    );
    replaced(port, "Port = 0", &["raft.ini:11:8: error: Port = 0: must be 1..65535"]);
    replaced(port, "", &["raft.ini:9:1: error: [Node.B] has no Port"]);
    replaced(
        port,
        "Port = 3112\nRole = voyer",
        &["raft.ini:12:8: error: Role = voyer: must be voter or learner; did you mean \"voter\"?"],
    );
    replaced(
        port,
        "Port = 3112\nDataDirectory = ./datasets/raft/1",
        &["raft.ini:12:17: error: nodes A and B on 127.0.0.1 have the same data directory, \
           ./datasets/raft/1"],
    );
    replaced(
        "Host = 127.0.0.1",
        "Host = 127.0.0.1:3111",
        &["raft.ini:7:8: error: Host = 127.0.0.1:3111: must be a host alone; the port has a key \
           of its own"],
    );
    let learners = three_nodes("").replace("Host", "Role = learner\nHost");
    assert_eq!(
        mistakes(&learners),
        "raft.ini: error: there are no voters; one node at least needs Role = voter\n1 error; \
         nothing was started"
    );
}

#[test]
fn a_file_without_nodes_is_a_mistake() {
    assert_eq!(
        mistakes("[Cluster]\n"),
        "raft.ini: error: there are no nodes; [Nodes] must list one at least, as \"Node1 = A\"\n1 \
         error; nothing was started"
    );
    let mut many = String::from("[Nodes]\n");
    for number in 1..=65 {
        many.push_str(&format!("Node{number} = n{number}\n"));
    }
    for number in 1..=65 {
        many.push_str(&format!("[Node.n{number}]\nHost = h{number}\nPort = 1\n"));
    }
    assert!(mistakes(&many).starts_with("raft.ini: error: there are 65 nodes; at most 64 are"));
}

#[test]
fn sections_that_do_not_count_are_looked_at_all_the_same() {
    let text = three_nodes("") + "[Node.A]\nPort = x\n[Node.Z]\nPort = y\nPrt = 1\n";
    let found = mistakes(&text);
    for expected in [
        "section [Node.A] appears twice; the first is on line 6",
        "Port = x: must be",
        "[Node.Z] isn't listed in [Nodes]; add \"Node4 = Z\" there",
        "Port = y: must be",
        "unknown key \"Prt\" in [Node.Z]; did you mean \"Port\"?",
    ] {
        assert!(found.contains(expected), "{expected}\nisn't in\n{found}");
    }
    assert!(found.ends_with("\n5 errors; nothing was started"));
}

#[test]
fn foreign_text_can_not_drive_the_terminal_or_fill_it() {
    let long = "x".repeat(100_000);
    let found = mistakes(&three_nodes(&format!("[Cluster]\nA\u{1b}[2J = 1\n{long} = 1")));
    assert!(!found.contains('\u{1b}'));
    assert!(found.contains("raft.ini:2:2: error: control character U+001B; a value is plain text"));
    assert!(found.len() < 2_000, "{}", found.len());
    let found = mistakes(&"[x\n".repeat(10_000));
    assert!(found.contains("\n... and 9901 more\n10001 errors; nothing was started"), "{found}");
}

#[test]
fn a_file_of_another_kind_is_told_apart() {
    let none = Overrides::default();
    let text = |bytes: &[u8]| {
        parse("raft.ini", bytes, &none, NO_VARIABLES).map(|_| ()).unwrap_err().to_string()
    };
    assert!(text(b"\xff\xfe[\0").starts_with("raft.ini: error: is UTF-16; save it as UTF-8"));
    assert!(text(b"[Cluster]\nName = K\xf6ln\n").contains(
        "raft.ini:2:9: error: byte 0xf6 isn't UTF-8; save the file as UTF-8\n    2 | Name = K"
    ));
    assert!(text(&vec![b'\n'; (256 << 10) + 1]).contains("is longer than 256KiB; no raft.ini is"));
    let json = text(b"{\n  \"nodes\": 3,\n  \"x\": 1\n}\n");
    let expected = "raft.ini:1:1: error: this stands before the first section, such as [Cluster]";
    assert!(json.contains(expected), "{json}");
    assert!(json.ends_with("2 errors; nothing was started"), "{json}");
}
