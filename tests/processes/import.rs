//! Data goes in by `raft-ctl import` and comes out by `raft-ctl export`, whatever happens to the
//! leader meanwhile.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::process::Stdio;

use crate::bench::{Cluster, PATIENCE, Shape, raft_ctl, wait_for};

/// Records as import reads them, and what they say.
struct Records {
    lines: Vec<String>,
    meaning: BTreeMap<String, String>,
}

/// Records like those of a package index: names and stanzas of very different length, with
/// everything in them that JSON needs to escape.
fn records(count: usize) -> Records {
    let mut records = Records { lines: Vec::new(), meaning: BTreeMap::new() };
    for number in 0..count {
        let key = format!("package-{:05}", number * 7919 % count);
        let description = "\u{fc}ber \"quoted\" \\ and\ttabbed \u{1f980}\n ".repeat(number % 40);
        let value = format!("Package: {key}\nSize: {number}\nDescription: {description}");
        let escaped = value
            .replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('\n', "\\n")
            .replace('\t', "\\t")
            .replace('\u{1f980}', "\\ud83e\\udd80");
        records.lines.push(format!("{{\"key\": \"{key}\", \"value\": \"{escaped}\"}}\n"));
        records.meaning.insert(key, value);
    }
    records
}

#[test]
fn an_import_outlives_two_leaders_and_comes_out_as_it_went_in() {
    let mut cluster = Cluster::start(&Shape::default());
    cluster.wait_for_leader();
    let records = records(3000);
    let output = cluster.directory().join("import");
    let mut import = raft_ctl(&cluster);
    import.args(["--timeout", &format!("{}s", PATIENCE.as_secs()), "import", "-"]);
    let file = File::create(&output).expect("a file can be made");
    import.stdin(Stdio::piped()).stdout(file.try_clone().expect("a descriptor")).stderr(file);
    let mut import = import.spawn().expect("raft-ctl starts");
    let mut input = import.stdin.take().expect("it is piped");
    for (part, lines) in records.lines.chunks(1000).enumerate() {
        for line in lines {
            input.write_all(line.as_bytes()).expect("the import reads on");
        }
        if part < 2 {
            // A part of this part has arrived, and the rest is on its way.
            let goal = part * 1000 + 100;
            let mut client = cluster.client();
            wait_for("records to arrive", || (client.scan().len() >= goal).then_some(()));
            let leader = cluster.wait_for_leader();
            cluster.node(leader).kill();
            cluster.start_node(leader);
        }
    }
    drop(input);
    let status = import.wait().expect("the import ends");
    let said = std::fs::read_to_string(&output).expect("it can be read");
    assert!(status.success(), "{status}: {said}");
    assert!(cluster.client().scan() == records.meaning, "what is stored isn't what was imported");

    let exported = raft_ctl(&cluster).arg("export").output().expect("raft-ctl starts");
    assert!(exported.status.success(), "{}", String::from_utf8_lossy(&exported.stderr));
    let other = Cluster::start(&Shape { nodes: 1, ..Shape::default() });
    let file = other.directory().join("exported.jsonl");
    std::fs::write(&file, &exported.stdout).expect("a file can be written");
    other.wait_for_leader();
    let imported = raft_ctl(&other).arg("import").arg(&file).output().expect("raft-ctl starts");
    assert!(imported.status.success(), "{}", String::from_utf8_lossy(&imported.stderr));
    assert!(other.client().scan() == records.meaning, "what was exported isn't what was stored");
}
