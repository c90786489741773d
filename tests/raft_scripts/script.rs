//! The commands of the scripts.
//!
//! A script is a sequence of commands, each followed by `----`, what it printed, and an empty
//! line. Lines that begin with `#` are comments. All outputs of a node are carried out and
//! printed after each command that gives it inputs; its disk, its clock and the network only
//! move when told.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::time::Duration;

use raft_node::model::{
    AppendReply, Body, Boot, Configuration, EntryHeader, EntryKind, HardState, Incarnation, Index,
    LogId, LogTime, Member, Message, NodeId, Round, Seat, Standing, Term,
};
use raft_node::raft::{Input, Token};

use super::host::{Disk, Host, Stored, batch_of, config, empty, founded, member, seat};
use super::show;

/// Runs a script and gives it back with what its commands printed.
pub(super) fn run(text: &str) -> String {
    let mut world = World::default();
    let mut result = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if line.is_empty() || line.starts_with('#') {
            writeln!(result, "{line}").expect("into a string");
            continue;
        }
        while lines.next_if(|next| !next.is_empty()).is_some() {}
        let printed = world.command(line);
        let printed = if printed.is_empty() { "ok\n".to_owned() } else { printed };
        write!(result, "{line}\n----\n{printed}").expect("into a string");
    }
    result
}

#[derive(Default)]
struct World {
    hosts: BTreeMap<u16, Host>,
    /// What is on its way, in order for each pair.
    network: Vec<Message>,
    /// Links that lose everything.
    cut: BTreeSet<(u16, u16)>,
    next_token: u64,
    printed: String,
    quiet: bool,
}

/// `name=value` arguments and the others, in order.
struct Arguments<'a> {
    plain: Vec<&'a str>,
    named: BTreeMap<&'a str, &'a str>,
}

impl<'a> Arguments<'a> {
    fn new(words: &[&'a str]) -> Arguments<'a> {
        let named = words.iter().filter_map(|word| word.split_once('=')).collect();
        let plain = words.iter().filter(|word| !word.contains('=')).copied().collect();
        Arguments { plain, named }
    }

    fn number<T: std::str::FromStr>(&self, name: &str, default: T) -> T {
        self.named.get(name).map_or(default, |value| number(value))
    }

    fn node(&self) -> u16 {
        number(self.plain[0])
    }

    fn nodes(&self) -> Vec<u16> {
        self.plain.iter().map(|word| number(word)).collect()
    }
}

fn number<T: std::str::FromStr>(text: &str) -> T {
    text.parse().unwrap_or_else(|_| panic!("{text:?} isn't a number"))
}

fn duration(text: &str) -> Duration {
    Duration::from_millis(number(text.strip_suffix("ms").expect("a time in ms")))
}

/// `index@term`.
fn log_id(text: &str) -> LogId {
    let (index, term) = text.split_once('@').expect("index@term");
    LogId::new(Term(number(term)), Index(number(index)))
}

impl World {
    fn command(&mut self, line: &str) -> String {
        let mut words: Vec<&str> = line.split_whitespace().collect();
        self.quiet = words[0] == "quietly";
        if self.quiet {
            words.remove(0);
        }
        let name = words.remove(0);
        let arguments = Arguments::new(&words);
        match name {
            "cluster" => self.cluster(&arguments),
            "node" => self.node(&arguments),
            "start" => self.each(&arguments, World::start),
            "crash" => self.crash(&arguments),
            "campaign" => self.each(&arguments, |world, id| world.input(id, Input::Campaign)),
            "timeout" => self.each(&arguments, World::timeout),
            "tick" => self.tick(&arguments),
            "propose" => self.propose(&arguments),
            "read" => self.read(&arguments),
            "transfer" => self.transfer(&arguments),
            "seat" => self.seat(&arguments),
            "members" => self.members(&arguments),
            "disk-waiting" => {
                let age = duration(arguments.plain[1]);
                self.input(arguments.node(), Input::DiskWaiting(age));
            }
            "connect" | "disconnect" => self.connection(name, &arguments),
            "persist" => self.persist(&arguments),
            "read-log" => self.on(arguments.node(), Host::read_log),
            "deliver" | "drop" | "double" => self.network(name, &arguments),
            "send" => self.send(&arguments),
            "cut" | "heal" => self.links(name, &arguments),
            "network" => self.show_network(),
            "stabilize" => self.stabilize(&arguments),
            "status" => self.show(&arguments, |host| match &host.raft {
                Some(raft) => show::status(&raft.status()),
                None => "down".to_owned(),
            }),
            "change" => self.show(&arguments, |host| show::change(&host.raft().status())),
            "log" => self.show(&arguments, show::log),
            "snapshots" => self.show(&arguments, show::snapshots),
            "snapshot" => self.each(&arguments, World::snapshot),
            "compact" => {
                let to = arguments.named.get("to").map(|to| Index(number(to)));
                self.on(arguments.node(), |host| host.compact(to));
            }
            "read-piece" => self.on(arguments.node(), |host| host.read_piece(false)),
            "lose-piece" => self.on(arguments.node(), |host| host.read_piece(true)),
            "store" => self.on(arguments.node(), Host::store_piece),
            "load" => {
                let bad = arguments.named.get("bad").map(|bad| number(bad));
                self.on(arguments.node(), |host| host.load(bad));
            }
            other => panic!("{other:?} isn't a command"),
        }
        let printed = std::mem::take(&mut self.printed);
        if self.quiet { String::new() } else { printed }
    }

    fn print(&mut self, line: &str) {
        writeln!(self.printed, "{line}").expect("into a string");
    }

    /// `cluster 3 [vacant=N] [learner=N] [spare=2] [option=value ...]`: a world of its own, with
    /// nodes 1 to 3 that hold the founding entry and run, and nodes 4 and 5 that hold nothing.
    fn cluster(&mut self, arguments: &Arguments<'_>) {
        *self = World::default();
        let count: u16 = arguments.node();
        let vacant = arguments.number("vacant", 0);
        let learner = arguments.number("learner", 0);
        let seats = (1..=count).map(|id| {
            let seat = seat(id, if id == learner { Standing::Learner } else { Standing::Voter });
            if id == vacant { Seat { incarnation: None, ..seat } } else { seat }
        });
        let configuration = Configuration::new(seats.collect());
        for id in 1..=count {
            self.add(id, founded(&configuration), arguments);
            self.start(id);
        }
        for id in count + 1..=count + arguments.number("spare", 0) {
            self.add(id, empty(), arguments);
            self.start(id);
        }
    }

    /// `node 2 terms=1,1,2 [term=3] [voters=5] [base=3@1] [option=value ...]`: a node whose log
    /// holds the founding entry, or what stands before the base, and entries of these terms.
    fn node(&mut self, arguments: &Arguments<'_>) {
        let id = arguments.node();
        let voters = (1..=arguments.number("voters", 3)).map(|id| seat(id, Standing::Voter));
        let configuration = Configuration::new(voters.collect());
        self.add(id, founded(&configuration), arguments);
        let disk = &mut self.hosts.get_mut(&id).expect("just added").disk;
        if let Some(base) = arguments.named.get("base") {
            disk.begin_behind(log_id(base), configuration);
        }
        let terms = arguments.named.get("terms").copied().unwrap_or_default();
        for run in terms.split(',').filter(|run| !run.is_empty()) {
            let (term, count) = run.split_once('x').unwrap_or((run, "1"));
            for _ in 0..number(count) {
                let id = LogId::new(Term(number(term)), disk.last().index.next());
                disk.entries.push(command_entry(id));
            }
        }
        let term = Term(arguments.number("term", disk.last().term.0));
        disk.hard_state = HardState { term, vote: None };
        self.start(id);
    }

    fn add(&mut self, id: u16, disk: Disk, arguments: &Arguments<'_>) {
        let mut config = config(member(id));
        let flag = |name| arguments.named.get(name).is_none_or(|value| *value == "on");
        config.pre_vote = flag("pre-vote");
        config.check_quorum = flag("check-quorum");
        config.max_inflight_bytes = arguments.number("inflight", config.max_inflight_bytes);
        config.max_inflight_messages = arguments.number("messages", config.max_inflight_messages);
        config.max_batch_bytes = arguments.number("batch", config.max_batch_bytes);
        config.max_unpersisted_bytes =
            arguments.number("unpersisted", config.max_unpersisted_bytes);
        config.recent_bytes = arguments.number("recent", config.recent_bytes);
        config.max_waiting_reads = arguments.number("reads", config.max_waiting_reads);
        config.keep_entries = arguments.number("keep", config.keep_entries);
        self.hosts.insert(id, Host::new(config, disk));
    }

    fn start(&mut self, id: u16) {
        let host = self.hosts.get_mut(&id).expect("a node");
        host.start(u64::from(id) * 1000 + host.disk.boot.0);
        self.drain(id);
    }

    /// `crash 2 [survived=1] [part=100]`: writes that weren't reported are lost, but for the first
    /// ones, and what was received of a snapshot, but for its first bytes.
    fn crash(&mut self, arguments: &Arguments<'_>) {
        let id = arguments.node();
        let host = self.hosts.get_mut(&id).expect("a node");
        host.crash(arguments.number("survived", 0), false);
        if let Some(part) = &mut host.disk.part {
            part.bytes.truncate(arguments.number("part", usize::MAX));
        }
        self.network.retain(|message| message.to != member(id));
    }

    fn each(&mut self, arguments: &Arguments<'_>, act: impl Fn(&mut World, u16)) {
        for id in arguments.nodes() {
            act(self, id);
        }
    }

    fn on(&mut self, id: u16, act: impl Fn(&mut Host)) {
        act(self.hosts.get_mut(&id).expect("a node"));
        self.drain(id);
    }

    fn input(&mut self, id: u16, input: Input) {
        self.hosts.get_mut(&id).expect("a node").handle(input);
        self.drain(id);
    }

    /// `snapshot 1`: node 1 takes a snapshot of what it has applied.
    fn snapshot(&mut self, id: u16) {
        let taken = self.hosts.get_mut(&id).expect("a node").take_snapshot();
        match taken {
            Some(snapshot) => {
                let (at, configuration) = &self.hosts[&id].disk.snapshots[0].configuration;
                let members = show::configuration(configuration);
                self.print(&format!("  {id}: snapshot {snapshot}, configuration {at}: {members}"));
            }
            None => self.print(&format!("  {id}: nothing to take a snapshot of")),
        }
        self.drain(id);
    }

    /// `timeout 1`: the clock of node 1 moves on to its next deadline.
    fn timeout(&mut self, id: u16) {
        let host = self.hosts.get_mut(&id).expect("a node");
        let deadline = host.raft().deadline().expect("a node always waits for something");
        host.advance(deadline.since(host.now));
        self.drain(id);
    }

    /// `tick 1 150ms`.
    fn tick(&mut self, arguments: &Arguments<'_>) {
        let (time, nodes) = arguments.plain.split_last().expect("a time");
        for id in nodes.iter().map(|word| number(word)) {
            self.hosts.get_mut(&id).expect("a node").advance(duration(time));
            self.drain(id);
        }
    }

    /// `propose 1 a b [bytes=100] [count=5]`: all in one turn.
    fn propose(&mut self, arguments: &Arguments<'_>) {
        let id = arguments.node();
        let bytes: usize = arguments.number("bytes", 0);
        for word in &arguments.plain[1..] {
            for number in 0..arguments.number("count", 1) {
                let name = if number == 0 { (*word).to_owned() } else { format!("{word}{number}") };
                let mut payload = name.into_bytes();
                payload.resize(payload.len().max(bytes), b'.');
                let token = self.token();
                self.hosts.get_mut(&id).expect("a node").propose(token, payload);
            }
        }
        self.drain(id);
    }

    fn token(&mut self) -> Token {
        self.next_token += 1;
        Token(self.next_token)
    }

    /// `read 1 [count=3]`.
    fn read(&mut self, arguments: &Arguments<'_>) {
        for _ in 0..arguments.number("count", 1) {
            let token = self.token();
            self.hosts.get_mut(&arguments.node()).expect("a node").handle(Input::Read(token));
        }
        self.drain(arguments.node());
    }

    /// `transfer 1 [3]`.
    fn transfer(&mut self, arguments: &Arguments<'_>) {
        let to = arguments.plain.get(1).map(|word| NodeId::new(number(word)).expect("not 0"));
        let token = self.token();
        self.input(arguments.node(), Input::Transfer { token, to });
    }

    /// `seat 1 3`: node 3 has come.
    fn seat(&mut self, arguments: &Arguments<'_>) {
        let who = number(arguments.plain[1]);
        let incarnation = Incarnation(arguments.number("incarnation", u128::from(who)));
        let who = Member { incarnation, ..member(who) };
        let token = self.token();
        let address = format!("host{who}:3111");
        self.input(arguments.node(), Input::Seat { token, member: who, address });
    }

    /// `members 1 voters=1,2,4 [learners=5] [expect=7] [life=3:13] [address=4:host4:9]`: node 1 is
    /// asked to make these the members; without `expect` by somebody who knows its configuration.
    fn members(&mut self, arguments: &Arguments<'_>) {
        let id = arguments.node();
        let named = |name| arguments.named.get(name).copied().unwrap_or_default();
        let ids = |name| named(name).split(',').filter(|word| !word.is_empty()).map(number);
        let voters = ids("voters").map(|id| seat(id, Standing::Voter));
        let learners = ids("learners").map(|id| seat(id, Standing::Learner));
        let mut seats: Vec<Seat> = voters.chain(learners).collect();
        for seat in &mut seats {
            match named("life").split_once(':') {
                Some((id, life)) if number::<u16>(id) == seat.id.number() => {
                    seat.incarnation = Some(Incarnation(number(life)));
                }
                _ => {}
            }
            match named("address").split_once(':') {
                Some((id, address)) if number::<u16>(id) == seat.id.number() => {
                    seat.address = address.to_owned();
                }
                _ => {}
            }
        }
        let expected = self.hosts[&id].raft().status().configuration.0;
        let expected = Index(arguments.number("expect", expected.0));
        let token = self.token();
        self.input(id, Input::ChangeMembers { token, expected, seats });
    }

    /// `connect 1 2 [boot=7]`: node 1 has a new connection to node 2.
    fn connection(&mut self, name: &str, arguments: &Arguments<'_>) {
        let peer = member(number(arguments.plain[1]));
        let boot = Boot(arguments.number("boot", self.hosts[&peer.id.number()].disk.boot.0));
        let input = match name {
            "connect" => Input::Connected { peer, boot: boot.max(Boot(1)) },
            _ => Input::Disconnected(peer),
        };
        self.input(arguments.node(), input);
    }

    /// `persist 1 [count=1]`.
    fn persist(&mut self, arguments: &Arguments<'_>) {
        for id in arguments.nodes() {
            let count = arguments.number("count", usize::MAX);
            self.hosts.get_mut(&id).expect("a node").persist(count);
            self.drain(id);
        }
    }

    /// `deliver 1->2 [at=2] [count=1]`, the same for drop and double; `deliver 2` for all to 2;
    /// `deliver 2 turn=one` for all in one turn.
    fn network(&mut self, name: &str, arguments: &Arguments<'_>) {
        for word in &arguments.plain {
            let (from, to) = match word.split_once("->") {
                Some((from, to)) => (Some(member(number(from))), member(number(to))),
                None => (None, member(number(word))),
            };
            let matching = |message: &Message| {
                message.to == to && from.is_none_or(|from| message.from == from)
            };
            let total = self.network.iter().filter(|message| matching(message)).count();
            let at: usize = arguments.number("at", 1) - 1;
            let count = arguments.number("count", usize::MAX).min(total.saturating_sub(at));
            for done in 0..count {
                let mut places = self.network.iter().enumerate();
                // What is delivered or lost makes way for the next.
                let at = if name == "double" { at + done } else { at };
                let place = places.by_ref().filter(|(_, message)| matching(message)).nth(at);
                let Some((place, _)) = place else { break };
                match name {
                    "deliver" => {
                        let message = self.network.remove(place);
                        let together = arguments.named.contains_key("turn");
                        self.deliver(message, !(together && done + 1 < count));
                    }
                    "drop" => {
                        let message = self.network.remove(place);
                        self.print(&format!("lost {}", show::message(&message)));
                    }
                    _ => {
                        let message = self.network[place].clone();
                        self.network.push(message);
                    }
                }
            }
        }
    }

    /// A message that no node of the script would send by itself.
    fn send(&mut self, arguments: &Arguments<'_>) {
        let (from, to) = arguments.plain[0].split_once("->").expect("from->to");
        let (from, mut to) = (member(number(from)), member(number(to)));
        if let Some(incarnation) = arguments.named.get("incarnation") {
            to.incarnation = Incarnation(number(incarnation));
        }
        let term = Term(arguments.number("term", 1));
        let id = |name: &str| arguments.named.get(name).map_or(LogId::ORIGIN, |text| log_id(text));
        let body = match arguments.plain[1] {
            "vote" => Body::Vote { last: id("last"), transfer: false },
            "vote-reply" => Body::VoteReply { granted: true },
            "refusal" => Body::VoteReply { granted: false },
            "pre-vote-reply" => {
                let candidate_term = Term(arguments.number("for", 0));
                Body::PreVoteReply { candidate_term, granted: true }
            }
            "accepted" => Body::AppendReply(AppendReply::Accepted {
                matched: Index(arguments.number("matched", 0)),
                durable: Index(arguments.number("durable", 0)),
            }),
            "heartbeat-reply" => Body::HeartbeatReply {
                round: Round(arguments.number("round", 0)),
                matched: Index::ZERO,
                durable: Index::ZERO,
            },
            "timeout-now" => Body::TimeoutNow,
            // Of the sender's newest snapshot.
            "piece" => {
                let snapshot = &self.hosts[&from.id.number()].disk.snapshots[0];
                let (at, bytes) = (arguments.number("at", 0), arguments.number("bytes", 0));
                Body::Piece(snapshot.piece(at, bytes))
            }
            "append" => {
                let prev = id("prev");
                let terms = arguments.named.get("terms").copied().unwrap_or_default();
                let entries: Vec<Stored> = terms
                    .split(',')
                    .filter(|term| !term.is_empty())
                    .zip(prev.index.0 + 1..)
                    .map(|(term, index)| LogId::new(Term(number(term)), Index(index)))
                    .map(command_entry)
                    .collect();
                let batch = (!entries.is_empty()).then(|| batch_of(&entries));
                let commit = Index(arguments.number("commit", 0));
                Body::Append(raft_node::model::Append { prev, commit, batch })
            }
            other => panic!("{other:?} isn't a message"),
        };
        self.deliver(Message { from, to, term, body }, true);
    }

    /// The outputs are carried out at the end of the node's turn.
    fn deliver(&mut self, message: Message, turn_ends: bool) {
        let link = (message.from.id.number(), message.to.id.number());
        let running = self.hosts.get(&link.1).is_some_and(|host| host.raft.is_some());
        if self.cut.contains(&link) || !running {
            return;
        }
        self.print(&show::message(&message));
        self.hosts.get_mut(&link.1).expect("a node").handle(Input::Message(message));
        if turn_ends {
            self.drain(link.1);
        }
    }

    /// `cut 1-2 1->3`, the same for heal; `cut 1` and `heal 1` for all links of node 1.
    fn links(&mut self, name: &str, arguments: &Arguments<'_>) {
        let everybody: Vec<u16> = self.hosts.keys().copied().collect();
        let mut links = Vec::new();
        for word in &arguments.plain {
            if let Some((from, to)) = word.split_once("->") {
                links.push((number(from), number(to)));
            } else if let Some((one, other)) = word.split_once('-') {
                links.extend([(number(one), number(other)), (number(other), number(one))]);
            } else {
                let one = number(word);
                links.extend(everybody.iter().flat_map(|other| [(one, *other), (*other, one)]));
            }
        }
        for link in links {
            if name == "cut" {
                self.cut.insert(link);
                self.network
                    .retain(|message| (message.from.id.number(), message.to.id.number()) != link);
            } else {
                self.cut.remove(&link);
            }
        }
    }

    fn show_network(&mut self) {
        let lines: Vec<String> = self.network.iter().map(show::message).collect();
        lines.iter().for_each(|line| self.print(line));
    }

    /// `stabilize [nodes] [files=off]`: messages between these nodes, their writes, their reads and
    /// what they do with the files of snapshots, until nothing is left.
    fn stabilize(&mut self, arguments: &Arguments<'_>) {
        let files = arguments.named.get("files") != Some(&"off");
        let mut nodes = arguments.nodes();
        if nodes.is_empty() {
            nodes = self.hosts.keys().copied().collect();
        }
        for _ in 0..1000 {
            let mut moved = false;
            for id in nodes.clone() {
                let among = |message: &Message| {
                    message.to == member(id) && nodes.contains(&message.from.id.number())
                };
                while let Some(place) = self.network.iter().position(among) {
                    let message = self.network.remove(place);
                    self.deliver(message, true);
                    moved = true;
                }
                let host = self.hosts.get_mut(&id).expect("a node");
                let has_files = files && host.files.has_work();
                let is_idle = host.writes.is_empty() && host.reads.is_empty() && !has_files;
                if host.raft.is_some() && !is_idle {
                    if !host.writes.is_empty() {
                        host.persist(usize::MAX);
                    }
                    host.read_log();
                    if has_files {
                        host.work_on_files();
                    }
                    self.drain(id);
                    moved = true;
                }
            }
            if !moved {
                return;
            }
        }
        self.print("it goes on for ever");
    }

    fn show(&mut self, arguments: &Arguments<'_>, line: impl Fn(&Host) -> String) {
        let mut nodes = arguments.nodes();
        if nodes.is_empty() {
            nodes = self.hosts.keys().copied().collect();
        }
        for id in nodes {
            let shown = format!("{id}: {}", line(&self.hosts[&id]));
            self.print(&shown);
        }
    }

    fn drain(&mut self, id: u16) {
        let mut lines = Vec::new();
        let host = self.hosts.get_mut(&id).expect("a node");
        host.drain(|host, output| lines.extend(show::output(host, output)));
        let sent: Vec<Message> = host.outbox.drain(..).collect();
        for line in lines {
            self.print(&format!("  {id}: {line}"));
        }
        let link = |message: &Message| (message.from.id.number(), message.to.id.number());
        self.network.extend(sent.into_iter().filter(|message| !self.cut.contains(&link(message))));
    }
}

fn command_entry(id: LogId) -> Stored {
    let header = EntryHeader { kind: EntryKind::COMMAND, id, time: LogTime(0) };
    Stored { header, payload: format!("{id}").into_bytes() }
}
