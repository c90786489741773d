//! Who isn't let in: the wrong node, the wrong cluster, the wrong protocol.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;

use raft_node::wire::{Request, RequestBody, VersionRange};

use crate::bench::raw::{self, client_hello};
use crate::bench::{Cluster, Outcome, PATIENCE, Shape};

#[test]
fn a_second_process_on_one_directory_is_refused() {
    let mut cluster = Cluster::start(&Shape::default());
    cluster.wait_for_leader();
    let (host, _) = cluster.address(1);
    let port = TcpListener::bind((host, 0)).and_then(|free| free.local_addr()).expect("a port");
    let mut second = cluster.spawn_node(1, &["--port", &port.port().to_string()]);
    assert_eq!(second.wait(), 75);
    let output = second.output();
    assert!(output.contains("another process uses this directory"), "{output}");
    let mut client = cluster.client();
    assert_eq!(client.put("greeting", "hello"), Outcome::Done);
    assert!(cluster.runs(1));
}

#[test]
fn a_port_that_is_taken_is_named() {
    let mut cluster = Cluster::new(&Shape::default());
    let taken = TcpListener::bind(cluster.address(1)).expect("the port is free");
    cluster.start_node(1);
    assert_eq!(cluster.node(1).wait(), 75);
    let address = taken.local_addr().expect("it is bound").to_string();
    let output = cluster.node(1).output();
    assert!(output.contains(&address), "{output}");
}

#[test]
fn a_node_of_another_cluster_is_refused_and_the_cluster_goes_on() {
    let mut cluster = Cluster::start(&Shape::default());
    let mut client = cluster.client();
    assert_eq!(client.put("greeting", "hello"), Outcome::Done);
    // The same addresses under another name, and a directory of its own.
    let mut stranger = Cluster::new(&Shape { name: "another", ..Shape::default() });
    let text = fs::read_to_string(cluster.config_path()).expect("the file is there");
    let text = text.replace("Name = test", "Name = another");
    fs::write(stranger.config_path(), text).expect("the file can be written");
    cluster.node(3).kill();
    let elsewhere = stranger.data_directory(3).display().to_string();
    stranger.start_node_with(3, &["--data", &elsewhere]);
    stranger.node(3).wait_for_output("another");
    // The node that was killed may have led.
    client.put_until_done("greeting", "hello again");
    stranger.node(3).kill();
    cluster.start_node(3);
    cluster.wait_until_all_have_caught_up();
}

#[test]
fn a_node_whose_directory_was_wiped_is_refused_and_told_how_to_come_back() {
    let mut cluster = Cluster::start(&Shape::default());
    let mut client = cluster.client();
    assert_eq!(client.put("greeting", "hello"), Outcome::Done);
    cluster.wait_until_all_have_caught_up();
    cluster.node(2).kill();
    let kept = cluster.directory().join("kept");
    fs::rename(cluster.data_directory(2), &kept).expect("the directory can be moved");
    cluster.start_node(2);
    assert_eq!(cluster.node(2).wait(), 6, "{}", cluster.node(2).output());
    let output = cluster.node(2).output();
    for text in ["refuses this node", "its data directory was lost or replaced", "Put the data"] {
        assert!(output.contains(text), "{output}");
    }
    client.put_until_done("greeting", "hello again");
    fs::remove_dir_all(cluster.data_directory(2)).expect("the new directory can be removed");
    fs::rename(&kept, cluster.data_directory(2)).expect("the directory can be put back");
    cluster.start_node(2);
    cluster.wait_until_all_have_caught_up();
}

pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory can be made");
    for entry in fs::read_dir(from).expect("it is a directory") {
        let path = entry.expect("it is readable").path();
        let to = to.join(path.file_name().expect("it has a name"));
        match path.is_dir() {
            true => copy(&path, &to),
            false => fs::copy(&path, &to).map(drop).expect("a file can be copied"),
        }
    }
}

#[test]
fn a_copy_of_a_directory_that_runs_beside_the_original_is_noticed() {
    let mut cluster = Cluster::start(&Shape::default());
    let mut client = cluster.client();
    assert_eq!(client.put("greeting", "hello"), Outcome::Done);
    cluster.wait_until_all_have_caught_up();
    cluster.node(3).kill();
    let elsewhere = cluster.directory().join("copy");
    copy(&cluster.data_directory(3), &elsewhere);
    cluster.start_node(3);
    cluster.wait_until_all_have_caught_up();
    let (host, _) = cluster.address(3);
    let port = TcpListener::bind((host, 0)).and_then(|free| free.local_addr()).expect("a port");
    let (port, data) = (port.port().to_string(), elsewhere.display().to_string());
    let mut second = cluster.spawn_node(3, &["--port", &port, "--data", &data]);
    assert_eq!(second.wait(), 6, "{}", second.output());
    let output = second.output();
    // As new as the original it is a clone, else an older copy.
    assert!(output.contains("copy of its directory"), "{output}");
    client.put_until_done("greeting", "hello again");
    assert!(cluster.runs(3), "the original goes on");
    cluster.wait_until_all_have_caught_up();
}

/// Sends bytes to a node and waits until it closes the connection. Gives what it answered.
fn speak(cluster: &Cluster, id: u16, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(cluster.address(id)).expect("the node listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    // The node may close before it has read everything.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "not closed: {error}"),
    }
    answer
}

#[test]
fn what_is_not_our_protocol_closes_its_own_connection_and_nothing_else() {
    let mut cluster = Cluster::start(&Shape::default());
    let leader = cluster.wait_for_leader();
    let mut client = cluster.client();
    assert_eq!(client.put("greeting", "hello"), Outcome::Done);
    let garbage: Vec<u8> = (0..100_000_u32).map(|n| n.wrapping_mul(2_654_435_761) as u8).collect();
    let http = b"GET / HTTP/1.1\r\nHost: raft\r\n\r\n";
    let tls = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    // A magic, then a length that would take all memory.
    let long = [&[0xf7][..], &[0xff; 64]].concat();
    for bytes in [&garbage[..], http, tls, &long, &[0; 4096]] {
        for id in cluster.ids() {
            speak(&cluster, id, bytes);
        }
    }
    // A connection that says nothing is closed, too.
    speak(&cluster, leader, b"");
    assert_eq!(client.get("greeting").as_deref(), Some("hello"));
    assert_eq!(client.put("greeting", "hello again"), Outcome::Done);
    assert!(cluster.ids().all(|id| cluster.runs(id)));
    assert_eq!(cluster.wait_for_leader(), leader, "nobody else was elected meanwhile");
}

#[test]
fn who_is_refused_and_goes_on_talking_holds_nobody_up() {
    let cluster = Cluster::start(&Shape::default());
    let leader = cluster.wait_for_leader();
    let mut client = cluster.client();
    assert_eq!(client.put("greeting", "hello"), Outcome::Done);
    let another_version = VersionRange { lowest: 999, highest: 999 };
    let mut requests = client_hello(another_version);
    for id in 0..20_000 {
        Request { id, timeout_ms: 0, body: RequestBody::Ping }.encode(&mut requests);
    }
    for id in cluster.ids() {
        // Whatever is sent behind the hello, its answer arrives.
        let mut stream = raw::connect(&cluster, id);
        stream.write_all(&requests).expect("the node goes on reading");
        let text = raw::answer(&mut stream).expect_err("it is refused");
        assert!(text.contains("versions"), "{text}");
    }
    assert_eq!(client.get("greeting").as_deref(), Some("hello"));
    assert_eq!(cluster.wait_for_leader(), leader, "nobody else was elected meanwhile");
}
