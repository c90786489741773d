//! What a handing-over of leadership costs the clients that write meanwhile: how long they wait.
//!
//! `cargo bench --bench transfers` starts three nodes of `raft` on the loopback network, with the
//! timings of raft.ini and their data in the build directory, has 16 clients raise numbers, one
//! request at a time each, and hands leadership over 50 times. Another first number is how many
//! clients, a second one how many times.
//!
//! Then it hands leadership over to a node that stands still, ten times, so that it is taken back.
//!
//! Each client has a session, so each addition must be done exactly once: that is checked in the end.
//! For as many stretches of time without a hand-over the same figures are taken before, since they
//! say how long the machine itself holds a client up.

use std::env;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use raft_node::client::{Client, Endpoint, Failure, Options};
use raft_node::model::NodeId;
use rustix::process::{Pid, Signal, kill_process};

const NODES: u16 = 3;

/// The ElectionTimeout of raft.ini.
const ELECTION_TIMEOUT: Duration = Duration::from_millis(500);

/// How long a stretch of time is in which one hand-over takes place, and in which one fails.
const STRETCH: Duration = Duration::from_millis(300);
const STRETCH_OF_FAILURE: Duration = Duration::from_millis(1500);

/// How many hand-overs fail.
const FAILURES: usize = 10;

/// The goals: of the median of the pauses, and of the longest one.
const MEDIAN: Duration = Duration::from_millis(50);
const LONGEST: Duration = ELECTION_TIMEOUT.saturating_mul(2);

/// The nodes, which end when this is dropped.
struct Nodes {
    processes: Vec<Child>,
    endpoints: Vec<Endpoint>,
}

impl Nodes {
    fn start(directory: &Path) -> Nodes {
        let listener = |_| TcpListener::bind("127.0.0.1:0").expect("a free port");
        let listeners: Vec<TcpListener> = (0..NODES).map(listener).collect();
        let port = |listener: &TcpListener| listener.local_addr().expect("it is bound").port();
        let ports: Vec<u16> = listeners.iter().map(port).collect();
        drop(listeners);
        let mut text = "[Cluster]\nName = transfers\nDataDirectory = data\n[Nodes]\n".to_owned();
        for id in 1..=NODES {
            text += &format!("Node{id} = N{id}\n");
        }
        for (id, port) in (1..).zip(&ports) {
            text += &format!("[Node.N{id}]\nHost = 127.0.0.1\nPort = {port}\n");
        }
        fs::write(directory.join("raft.ini"), text).expect("it can be written");
        let process = |id: u16| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_raft"));
            command.current_dir(directory).args(["-c", "raft.ini", "-n", &id.to_string()]);
            let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            command.spawn().expect("raft starts")
        };
        let endpoint = |port: &u16| Endpoint::parse(&format!("127.0.0.1:{port}")).expect("it is");
        let endpoints = ports.iter().map(endpoint).collect();
        Nodes { processes: (1..=NODES).map(process).collect(), endpoints }
    }

    fn client(&self) -> Client {
        let timeout = Duration::from_secs(30);
        Client::new(Options { timeout, ..Options::new(self.endpoints.clone()) })
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        for process in &mut self.processes {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// What a client has seen.
#[derive(Default)]
struct Seen {
    /// When each call began and was answered.
    calls: Vec<(Instant, Instant)>,
    refused: u64,
    unknown: u64,
}

fn key(number: usize) -> Vec<u8> {
    format!("number {number}").into_bytes()
}

/// Adds one after the other until it is told to stop.
fn adding(mut client: Client, number: usize, stop: Arc<AtomicBool>) -> JoinHandle<Seen> {
    thread::spawn(move || {
        client.open_session(format!("client {number}").as_bytes()).expect("the cluster serves");
        let (key, mut seen) = (key(number), Seen::default());
        while !stop.load(Ordering::Relaxed) {
            let called = Instant::now();
            match client.increment(&key, 1) {
                Ok(_) => seen.calls.push((called, Instant::now())),
                Err(Failure::Refused(_)) => seen.refused += 1,
                Err(Failure::Unknown(_)) => seen.unknown += 1,
            }
        }
        seen
    })
}

/// Hands leadership on, once in each stretch of time. Gives when each began, and for how long.
fn transfers(client: &mut Client, count: usize) -> Vec<(Instant, Duration)> {
    let mut begun = Vec::with_capacity(count);
    for _ in 0..count {
        let leader = client.status().ok().and_then(|status| status.leader);
        let next = leader.and_then(|leader| NodeId::new(leader.number() % NODES + 1));
        let start = Instant::now();
        if let Err(failure) = client.transfer_leadership(next) {
            println!("  a hand-over has failed: {failure}");
        }
        begun.push((start, start.elapsed()));
        thread::sleep(STRETCH.saturating_sub(start.elapsed()));
    }
    begun
}

/// Hands leadership to a node that stands still. Gives when each attempt began, and for how long.
fn failing(client: &mut Client, nodes: &Nodes) -> Vec<(Instant, Duration)> {
    let mut begun = Vec::with_capacity(FAILURES);
    while begun.len() < FAILURES {
        // What only a leader answers, so that it is the leader that is asked for the rest.
        client.increment(b"before a failure", 1).expect("the cluster serves");
        let leader = client.status().ok().and_then(|status| status.leader);
        let Some(next) = leader.and_then(|leader| NodeId::new(leader.number() % NODES + 1)) else {
            continue;
        };
        let still = Pid::from_child(&nodes.processes[usize::from(next.number()) - 1]);
        kill_process(still, Signal::STOP).expect("a child of ours takes signals");
        let start = Instant::now();
        let taken_over = client.transfer_leadership(Some(next)).is_ok();
        begun.push((start, start.elapsed()));
        assert!(!taken_over, "a node that stands still takes nothing over");
        kill_process(still, Signal::CONT).expect("a child of ours takes signals");
        thread::sleep(STRETCH_OF_FAILURE.saturating_sub(start.elapsed()));
    }
    begun
}

/// The longest time in each stretch in which nobody was answered, and the longest call that each
/// client had in it. A call belongs to the stretch in which it began, or that it outlasts.
fn pauses(all: &[Seen], stretches: &[Instant]) -> (Vec<Duration>, Vec<Duration>) {
    let mut answers: Vec<Instant> =
        all.iter().flat_map(|seen| &seen.calls).map(|(_, end)| *end).collect();
    answers.sort_unstable();
    let (mut of_all, mut of_each) = (Vec::new(), Vec::new());
    for pair in stretches.windows(2) {
        let (begin, end) = (pair[0], pair[1]);
        let first = answers.partition_point(|at| *at < begin);
        let last = answers.partition_point(|at| *at < end);
        // From the answer before to the one behind.
        let around = &answers[first.saturating_sub(1)..answers.len().min(last + 1)];
        of_all.extend(around.windows(2).map(|two| two[1] - two[0]).max());
        for seen in all {
            let first = seen.calls.partition_point(|(_, ended)| *ended < begin);
            let within = seen.calls[first..].iter().take_while(|(called, _)| *called < end);
            of_each.extend(within.map(|(called, ended)| *ended - *called).max());
        }
    }
    (of_all, of_each)
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Prints how these are spread; gives the median and the longest.
fn spread(name: &str, mut times: Vec<Duration>) -> (Duration, Duration) {
    times.sort_unstable();
    let at = |share: usize| times[(times.len() * share / 100).min(times.len() - 1)];
    let (median, longest) = (at(50), at(100));
    println!(
        "  {name:42} {:8.1} {:8.1} {:8.1} {:8.1}",
        milliseconds(at(0)),
        milliseconds(median),
        milliseconds(at(99)),
        milliseconds(longest)
    );
    (median, longest)
}

fn verdict(is_met: bool) -> &'static str {
    if is_met { "met" } else { "MISSED" }
}

fn main() {
    let numbers: Vec<usize> = env::args().skip(1).filter_map(|word| word.parse().ok()).collect();
    let number = |place: usize, default| numbers.get(place).copied().unwrap_or(default);
    let (clients, count) = (number(0, 16), number(1, 50));
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("there is room");
    let nodes = Nodes::start(directory.path());
    let mut operator = nodes.client();
    operator.increment(&key(clients), 0).expect("the cluster forms");

    let stop = Arc::new(AtomicBool::default());
    let adding = |number| adding(nodes.client(), number, Arc::clone(&stop));
    let threads: Vec<JoinHandle<Seen>> = (0..clients).map(adding).collect();
    thread::sleep(Duration::from_secs(1));
    let quiet: Vec<Instant> = (0..=count)
        .map(|_| {
            let begin = Instant::now();
            thread::sleep(STRETCH);
            begin
        })
        .collect();
    let handed = transfers(&mut operator, count);
    let failed = failing(&mut operator, &nodes);
    let end = Instant::now();
    stop.store(true, Ordering::Relaxed);
    let all: Vec<Seen> =
        threads.into_iter().map(|thread| thread.join().expect("it doesn't fail")).collect();

    let answered: usize = all.iter().map(|seen| seen.calls.len()).sum();
    println!("{clients} clients, {answered} additions, {count} hand-overs; in milliseconds:");
    println!("  {:42} {:>8} {:>8} {:>8} {:>8}", "", "least", "median", "99 %", "most");
    let (of_all, of_each) = pauses(&all, &quiet);
    spread("without: nobody is answered", of_all);
    spread("without: the longest call of a client", of_each);
    let begun = |of: &[(Instant, Duration)], end| {
        of.iter().map(|(begin, _)| *begin).chain([end]).collect::<Vec<Instant>>()
    };
    let (of_all, of_each) = pauses(&all, &begun(&handed, failed[0].0));
    spread("hand-over: nobody is answered", of_all);
    let (median, longest) = spread("hand-over: the longest call of a client", of_each);
    spread("hand-over: as its caller sees it", handed.into_iter().map(|(_, took)| took).collect());
    let (of_all, of_each) = pauses(&all, &begun(&failed, end));
    spread("failed: nobody is answered", of_all);
    let longest = spread("failed: the longest call of a client", of_each).1.max(longest);
    spread("failed: as its caller sees it", failed.into_iter().map(|(_, took)| took).collect());
    println!(
        "the goals for the longest call of a client: {} ms in the median {}, 2 election timeouts \
         ({} ms) always {}",
        MEDIAN.as_millis(),
        verdict(median < MEDIAN),
        LONGEST.as_millis(),
        verdict(longest < LONGEST)
    );
    check(&mut operator, &all);
}

/// Whether each addition that was answered was done once, and no other.
fn check(client: &mut Client, all: &[Seen]) {
    let (mut lost, mut doubled, mut unknown) = (0, 0, 0);
    for (number, seen) in all.iter().enumerate() {
        let found = client.get(&[&key(number)]).expect("the cluster serves").answer;
        let value = found.into_iter().next().flatten().map(|value| value.value);
        let text = String::from_utf8(value.unwrap_or_default()).expect("a number is text");
        let sum: u64 = text.parse().unwrap_or(0);
        let done = seen.calls.len() as u64;
        lost += done.saturating_sub(sum);
        doubled += sum.saturating_sub(done + seen.unknown);
        unknown += seen.unknown + seen.refused;
    }
    println!("lost {lost}, doubled {doubled}, refused or unknown to their clients {unknown}");
    assert!(lost == 0 && doubled == 0, "an addition wasn't done exactly once");
}
