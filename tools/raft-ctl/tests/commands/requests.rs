//! The key-value commands: what they print, for people and for programs, and how they exit.

use crate::support::{FakeCluster, Mood};

fn cluster() -> FakeCluster {
    FakeCluster::start(Mood::Good)
}

/// Runs the command, which must exit with `code`, and gives what it printed.
fn out(cluster: &FakeCluster, arguments: &str, code: i32) -> String {
    let arguments: Vec<&str> = arguments.split(' ').collect();
    let ran = cluster.run(&arguments);
    assert_eq!(ran.code, code, "{arguments:?}: {ran:?}");
    ran.out
}

#[test]
fn changes_print_one_object_with_the_promised_keys() {
    let cluster = cluster();
    for (arguments, code, expected) in [
        ("put user:1 ann", 0, r#""key":"user:1","index":1,"term":7,"version":1"#),
        ("put user:1 ben", 0, r#""key":"user:1","index":2,"term":7,"version":2"#),
        (
            "cas user:1 ben eve",
            0,
            r#""key":"user:1","index":3,"term":7,"swapped":true,"version":3,"value":"eve""#,
        ),
        (
            "cas user:1 ben eve",
            1,
            r#""key":"user:1","index":4,"term":7,"swapped":false,"version":3,"value":"eve","mod_index":3"#,
        ),
        (
            "cas user:1 x --absent",
            1,
            r#""key":"user:1","index":5,"term":7,"swapped":false,"version":3,"value":"eve","mod_index":3"#,
        ),
        (
            "cas user:1 x --version 3",
            0,
            r#""key":"user:1","index":6,"term":7,"swapped":true,"version":4,"value":"x""#,
        ),
        (
            "cas nobody old new",
            1,
            r#""key":"nobody","index":7,"term":7,"swapped":false,"version":null,"value":null"#,
        ),
        ("incr n", 0, r#""key":"n","index":8,"term":7,"value":1,"version":1"#),
        ("incr n -5", 0, r#""key":"n","index":9,"term":7,"value":-4,"version":2"#),
        ("del user:1", 0, r#""key":"user:1","index":10,"term":7,"deleted":true"#),
        ("del user:1", 0, r#""key":"user:1","index":11,"term":7,"deleted":false"#),
    ] {
        let expected = format!("{{\"v\":1,\"outcome\":\"ok\",{expected}}}\n");
        assert_eq!(out(&cluster, &format!("{arguments} --json"), code), expected, "{arguments}");
    }
}

#[test]
fn reads_print_one_object_for_each_key() {
    let cluster = cluster();
    out(&cluster, "put user:1 ann", 0);
    assert_eq!(
        out(&cluster, "get user:1 --json", 0),
        "{\"v\":1,\"key\":\"user:1\",\"value\":\"ann\",\"version\":1,\"mod_index\":1,\
         \"read_index\":1}\n"
    );
    assert_eq!(
        out(&cluster, "get user:1 user:2 --json", 1),
        "{\"v\":1,\"key\":\"user:1\",\"value\":\"ann\",\"version\":1,\"mod_index\":1,\
         \"read_index\":1}\n\
         {\"v\":1,\"key\":\"user:2\",\"value\":null,\"version\":null,\"mod_index\":null,\
         \"read_index\":1}\n"
    );
}

#[test]
fn text_is_for_people() {
    let cluster = cluster();
    assert_eq!(out(&cluster, "put user:1 ann", 0), "version 1  entry 1, term 7\n");
    assert_eq!(out(&cluster, "get user:1", 0), "ann\n");
    assert_eq!(out(&cluster, "get user:1 --raw", 0), "ann");
    assert_eq!(out(&cluster, "incr n 7", 0), "7\n");
    assert_eq!(
        out(&cluster, "cas user:1 x y", 1),
        "not swapped: it is \"ann\"  version 1  entry 3, term 7\n"
    );
    assert_eq!(out(&cluster, "get n user:1", 0), "\"n\" = \"7\"\n\"user:1\" = \"ann\"\n");
    assert_eq!(out(&cluster, "scan", 0), "\"n\" = \"7\"\n\"user:1\" = \"ann\"\n");
    assert_eq!(out(&cluster, "scan --keys-only user", 0), "\"user:1\"\n");
    assert_eq!(out(&cluster, "del user:1", 0), "deleted  entry 4, term 7\n");
    let ran = cluster.run(&["get", "user:1"]);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
    assert_eq!(ran.err, "no such key: \"user:1\"\n");
}

#[test]
fn bytes_survive_in_both_directions() {
    let cluster = cluster();
    let bytes = b"\x00\xff\xfe\n\x1b[2J";
    assert_eq!(cluster.run_with_input(&["put", "bytes"], bytes).code, 0);
    assert_eq!(cluster.run(&["get", "bytes", "--raw"]).raw, bytes);
    assert_eq!(
        out(&cluster, "get bytes --json", 0),
        "{\"v\":1,\"key\":\"bytes\",\"value\":{\"b64\":\"AP/+ChtbMko=\"},\"version\":1,\
         \"mod_index\":1,\"read_index\":1}\n"
    );
    assert_eq!(out(&cluster, "scan", 0), "\"bytes\" = \"\\u{0}\\xff\\xfe\\n\\u{1b}[2J\"\n");
}

#[test]
fn a_scan_goes_through_pages_and_ends_with_where_it_could_go_on() {
    let cluster = cluster();
    for key in ["a:1", "a:2", "a:3", "b:1"] {
        out(&cluster, &format!("put {key} v"), 0);
    }
    assert_eq!(
        out(&cluster, "scan a: --limit 2 --json", 0),
        "{\"key\":\"a:1\",\"value\":\"v\",\"version\":1,\"mod_index\":1}\n\
         {\"key\":\"a:2\",\"value\":\"v\",\"version\":1,\"mod_index\":2}\n\
         {\"v\":1,\"end\":true,\"keys\":2,\"read_index\":4,\"cursor\":\"a:3\"}\n"
    );
    assert_eq!(
        out(&cluster, "scan a: --from a:3 --keys-only --json", 0),
        "{\"key\":\"a:3\",\"version\":1,\"mod_index\":3}\n\
         {\"v\":1,\"end\":true,\"keys\":1,\"read_index\":4,\"cursor\":null}\n"
    );
    assert_eq!(
        out(&cluster, "scan nothing --json", 0),
        "{\"v\":1,\"end\":true,\"keys\":0,\"read_index\":4,\"cursor\":null}\n"
    );
}

#[test]
fn what_is_exported_can_be_imported() {
    let cluster = cluster();
    let mut input = String::new();
    for number in 0..500 {
        // Every key twice: the later line is the one that stays.
        for value in ["old", "new"] {
            input
                .push_str(&format!("{{\"key\":\"k{number:03}\",\"value\":\"{value}{number}\"}}\n"));
        }
    }
    input.push_str("{\"key\":{\"b64\":\"/w==\"},\"value\":\"bytes\"}\n");
    let ran =
        cluster.run_with_input(&["import", "-", "--json", "--clients", "3"], input.as_bytes());
    assert_eq!(ran.code, 0, "{ran:?}");
    let head = "{\"v\":1,\"outcome\":\"ok\",\"dry_run\":false,\"lines\":1001,\"imported\":1001,";
    assert!(ran.out.starts_with(head), "{}", ran.out);
    let exported = out(&cluster, "export", 0);
    let lines: Vec<&str> = exported.lines().collect();
    assert_eq!(lines.len(), 501);
    for (number, line) in lines[..500].iter().enumerate() {
        let key_and_value = format!("{{\"key\":\"k{number:03}\",\"value\":\"new{number}\",");
        assert!(line.starts_with(&key_and_value), "{line}");
    }
    assert!(lines[500].starts_with("{\"key\":{\"b64\":\"/w==\"},\"value\":\"bytes\","));

    let other = FakeCluster::start(Mood::Good);
    let ran = other.run_with_input(&["import", "-"], exported.as_bytes());
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.out.starts_with("imported 501 lines, "), "{}", ran.out);
    let again = out(&other, "export k", 0);
    assert_eq!(again.lines().count(), 500);
}

#[test]
fn wrong_lines_are_named_and_the_others_imported() {
    let cluster = cluster();
    let input = "{\"key\":\"a\",\"value\":\"1\"}\nnonsense\n{\"key\":\"b\"}\n\
                 {\"key\":\"c\",\"value\":\"3\"}\n";
    let ran = cluster.run_with_input(&["import", "-"], input.as_bytes());
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.err.starts_with("error: 2 of 4 lines can't be imported; the other 2 are done\n"));
    assert!(ran.err.contains("line 2: expected"), "{}", ran.err);
    assert!(ran.err.contains("line 3: missing field `value`"), "{}", ran.err);
    assert_eq!(out(&cluster, "scan", 0), "\"a\" = \"1\"\n\"c\" = \"3\"\n");

    let checked = cluster.run_with_input(&["import", "-", "--dry-run"], input.as_bytes());
    assert_eq!(checked.code, 2);
    assert!(checked.err.contains("nothing was sent"), "{}", checked.err);
}

#[test]
fn a_numbered_request_is_carried_out_once_however_often_it_is_given() {
    let cluster = cluster();
    let once = "incr n 5 --client-id job --seq 1 --json";
    let first = out(&cluster, once, 0);
    assert_eq!(out(&cluster, once, 0), first);
    assert_eq!(out(&cluster, "incr n 5 --client-id job --seq 2", 0), "10\n");
    let ran = cluster.run(&["incr", "n", "--client-id", "other", "--seq", "9", "--json"]);
    assert_eq!(ran.code, 5, "{ran:?}");
    assert!(ran.out.contains("\"code\":\"session_forgotten\""), "{}", ran.out);
    assert_eq!(out(&cluster, "get n", 0), "10\n");
}

#[test]
fn a_dry_run_sends_nothing() {
    let cluster = cluster();
    assert_eq!(out(&cluster, "put k v --dry-run", 0), "would send put \"k\" 1 bytes\n");
    assert_eq!(
        out(&cluster, "del k --dry-run --json", 0),
        "{\"v\":1,\"outcome\":\"ok\",\"dry_run\":true,\"op\":\"del\",\"key\":\"k\"}\n"
    );
    assert_eq!(out(&cluster, "scan", 0), "");
}
