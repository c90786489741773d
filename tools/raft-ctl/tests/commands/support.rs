//! A cluster of one node in this process, with the real store behind it, and the program run
//! against it.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Command as Process, Stdio};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use raft_node::kv::{Applied, Machine, check_command};
use raft_node::model::{
    Boot, ClusterId, Configuration, EntryHeader, EntryKind, EntryRef, Epoch, Incarnation, Index,
    LogId, LogTime, MAX_PIECE_BYTES, Member, NodeId, Seat, SnapshotId, Standing, Term,
};
use raft_node::wire::{
    HelloRefusal, KeptSnapshot, PeerReport, RefusalCode, ReplyBody, Request, RequestBody,
    StatusReply, StatusRole, StorageKind,
};
use raft_node::{model, wire};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

#[expect(dead_code, reason = "the client's own tests need more of it")]
#[path = "../../../../src/client/tests/fake.rs"]
mod fake;

use fake::{FakeNode, Reaction};

/// What the node does instead of what it should.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mood {
    Good,
    /// Refuses every connection.
    Unwelcoming(HelloRefusal),
    /// Refuses every request but for its status.
    Refusing(RefusalCode),
    /// Closes the connection at every change.
    Cutting,
    /// Answers so many requests and closes every connection from then on.
    Dying(u64),
    /// Waits for others to form a cluster.
    Forming,
    /// Knows no leader.
    Leaderless,
    /// Follows node 9.
    Following,
    /// Answers how it stands and nothing else.
    Silent,
}

/// How a node gives the bytes of its snapshots away.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Giving {
    Whole,
    /// Closes the connection once where this byte is wanted.
    CutAt(u64),
    /// Closes the connection whenever this byte or one behind it is wanted.
    DeadFrom(u64),
    /// Doesn't answer where this byte or one behind it is wanted.
    SilentFrom(u64),
    /// Has let the snapshot go when this byte is wanted.
    GoneFrom(u64),
    /// Lists the snapshot only from the second time on.
    Late,
    /// Gives another byte in the place of this one.
    WrongAt(u64),
    /// Gives more than there is.
    TooMuch,
}

/// A cluster of one node.
pub(crate) struct FakeCluster {
    pub(crate) port: u16,
    node: FakeNode,
}

struct State {
    id: u16,
    mood: Mood,
    /// The newest first.
    kept: Vec<KeptSnapshot>,
    /// The bytes of each of them.
    files: Vec<Bytes>,
    giving: Giving,
    /// Known once the node listens.
    port: Arc<OnceLock<u16>>,
    machine: Machine,
    index: u64,
}

impl FakeCluster {
    pub(crate) fn start(mood: Mood) -> FakeCluster {
        FakeCluster::keeping(1, mood, Vec::new())
    }

    /// A node that gives away the bytes of the snapshots that it keeps.
    pub(crate) fn giving(
        id: u16,
        mood: Mood,
        files: &[(KeptSnapshot, Bytes)],
        giving: Giving,
    ) -> FakeCluster {
        let (kept, files) = files.iter().cloned().unzip();
        FakeCluster::with(id, mood, kept, files, giving)
    }

    /// The node of this number, which keeps these snapshots, the newest first.
    pub(crate) fn keeping(id: u16, mood: Mood, kept: Vec<KeptSnapshot>) -> FakeCluster {
        FakeCluster::with(id, mood, kept, Vec::new(), Giving::Whole)
    }

    fn with(
        id: u16,
        mood: Mood,
        kept: Vec<KeptSnapshot>,
        files: Vec<Bytes>,
        giving: Giving,
    ) -> FakeCluster {
        let port: Arc<OnceLock<u16>> = Arc::default();
        let machine = Machine::new();
        let mut state =
            State { id, mood, kept, files, giving, port: Arc::clone(&port), machine, index: 0 };
        let node = match mood {
            Mood::Unwelcoming(code) => FakeNode::refusing(code),
            _ => FakeNode::start(move |request| state.answer(request)),
        };
        FakeCluster { port: *port.get_or_init(|| node.port()), node }
    }

    /// From where on bytes of snapshots were asked for, in this order.
    pub(crate) fn offsets(&self) -> Vec<u64> {
        let offset = |request: &Request| match request.body {
            RequestBody::SnapshotPiece { offset, .. } => Some(offset),
            _ => None,
        };
        self.node.requests().iter().filter_map(offset).collect()
    }

    /// Runs the program against this cluster.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with_input(arguments, b"")
    }

    pub(crate) fn run_with_input(&self, arguments: &[&str], input: &[u8]) -> Ran {
        let endpoint = format!("127.0.0.1:{}", self.port);
        let mut all = vec!["-e", &endpoint];
        all.extend(arguments);
        let mut ran = raft_ctl(&all, input);
        // What differs from run to run.
        let port = self.port.to_string();
        ran.out = ran.out.replace(&port, "PORT");
        ran.err = ran.err.replace(&port, "PORT");
        ran
    }
}

/// What the program did.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) raw: Vec<u8>,
}

/// Runs the program.
pub(crate) fn raft_ctl(arguments: &[&str], input: &[u8]) -> Ran {
    let mut process = Process::new(env!("CARGO_BIN_EXE_raft-ctl"))
        .args(arguments)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = process.stdin.take().unwrap();
    let input = input.to_vec();
    let feeder = thread::spawn(move || {
        // The program may have ended without reading it.
        let _ = stdin.write_all(&input);
    });
    let output = process.wait_with_output().unwrap();
    feeder.join().unwrap();
    Ran {
        code: output.status.code().unwrap(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
        raw: output.stdout,
    }
}

/// What the program shows on a terminal of so many columns, styles taken out.
pub(crate) fn on_terminal(columns: u16, arguments: &[&str]) -> String {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    let name = ptsname(&terminal, Vec::new()).unwrap();
    let size = Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    let end = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
    tcsetwinsize(&end, size).unwrap();
    let mut process = Process::new(env!("CARGO_BIN_EXE_raft-ctl"))
        .args(arguments)
        .env_clear()
        .env("TERM", "xterm")
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(end.try_clone().unwrap())
        .stderr(end)
        .spawn()
        .unwrap();
    let mut shown = Vec::new();
    // When nobody holds the other end any more, reading fails.
    let _ = File::from(terminal).read_to_end(&mut shown);
    process.wait().unwrap();
    without_styles(&String::from_utf8(shown).unwrap()).replace("\r\n", "\n")
}

fn without_styles(text: &str) -> String {
    let mut parts = text.split("\x1b[");
    let first = parts.next().unwrap().to_owned();
    parts.fold(first, |plain, part| plain + part.split_once('m').unwrap().1)
}

pub(crate) fn member(id: u16) -> Member {
    Member { id: NodeId::new(id).unwrap(), incarnation: Incarnation(u128::from(id)) }
}

/// A snapshot behind an entry of term 4, two hours before the first entry of the node.
pub(crate) fn kept(index: u64, bytes: u64, hash: u128) -> KeptSnapshot {
    let id = SnapshotId { last: LogId::new(Term(4), Index(index)), bytes, hash };
    KeptSnapshot { id, log_time: LogTime(time(0).0 - 7_200_000_000_000) }
}

/// The log time of an entry: a second apart, from a Monday on.
fn time(index: u64) -> LogTime {
    LogTime((1_795_439_117 + index) * 1_000_000_000)
}

impl State {
    fn answer(&mut self, request: &Request) -> Reaction {
        let mood = self.mood;
        if let (Mood::Dying(left @ 1..), false) = (mood, request.body == RequestBody::Status) {
            self.mood = Mood::Dying(left - 1);
        }
        Reaction::Reply(match (mood, &request.body) {
            (_, RequestBody::Status) => ReplyBody::Status(Box::new(self.status())),
            (Mood::Dying(0), _) => return Reaction::Cut,
            (Mood::Silent, _) => return Reaction::Silence,
            (Mood::Refusing(code), _) => refusal(code),
            (Mood::Forming, _) => refusal(RefusalCode::NotFormed),
            (Mood::Cutting, RequestBody::Write(_)) => return Reaction::Cut,
            (_, RequestBody::Write(command)) => self.write(command),
            (_, RequestBody::Read { query, .. }) => {
                let mut out = BytesMut::new();
                self.machine.query(query, &mut out).unwrap();
                ReplyBody::Answer {
                    read_index: Index(self.index),
                    log_time: time(self.index + 1),
                    heard_ago: Some(Duration::ZERO),
                    answer: out.freeze(),
                }
            }
            (_, RequestBody::Transfer(to)) => ReplyBody::Transferred {
                leader: to.unwrap_or(NodeId::new(2).unwrap()),
                term: Term(8),
            },
            (_, RequestBody::ChangeMembers { expected, .. }) => {
                ReplyBody::Members { index: expected.next() }
            }
            (_, RequestBody::Ping) => ReplyBody::Pong,
            (_, RequestBody::TakeSnapshot) => ReplyBody::Snapshots(self.kept[..1].to_vec()),
            (_, RequestBody::Snapshots) if self.giving == Giving::Late => {
                self.giving = Giving::Whole;
                ReplyBody::Snapshots(Vec::new())
            }
            (_, RequestBody::Snapshots) => ReplyBody::Snapshots(self.kept.clone()),
            (_, RequestBody::Log(_)) => unreachable!("raft-ctl asks for no entries"),
            (_, RequestBody::SnapshotPiece { snapshot, offset }) => {
                return self.give(*snapshot, *offset);
            }
        })
    }

    fn give(&mut self, snapshot: SnapshotId, offset: u64) -> Reaction {
        let gone = || Reaction::Reply(refusal(RefusalCode::SnapshotGone));
        let Some(place) = self.kept.iter().position(|kept| kept.id == snapshot) else {
            return gone();
        };
        let file = &self.files[place];
        let end = file.len().min(offset as usize + MAX_PIECE_BYTES);
        let mut piece = file[offset as usize..end].to_vec();
        match self.giving {
            Giving::CutAt(at) if at < end as u64 => {
                self.giving = Giving::Whole;
                let body = ReplyBody::Piece(piece.into());
                return Reaction::CutIn(body);
            }
            Giving::DeadFrom(at) if at < end as u64 => return Reaction::Cut,
            Giving::SilentFrom(at) if at < end as u64 => return Reaction::Silence,
            Giving::GoneFrom(at) if at < end as u64 => return gone(),
            Giving::WrongAt(at) if (offset..end as u64).contains(&at) => {
                piece[(at - offset) as usize] ^= 1;
            }
            Giving::TooMuch => piece.resize(MAX_PIECE_BYTES, 0),
            _ => {}
        }
        Reaction::Reply(ReplyBody::Piece(piece.into()))
    }

    fn write(&mut self, command: &Bytes) -> ReplyBody {
        if let Err(rejected) = check_command(command, 1 << 20) {
            let code = match rejected.is_too_large() {
                true => RefusalCode::TooLarge,
                false => RefusalCode::BadRequest,
            };
            return ReplyBody::Refused { code, leader: None, text: rejected.to_string() };
        }
        self.index += 1;
        let id = LogId::new(Term(7), Index(self.index));
        let header = EntryHeader { kind: EntryKind::COMMAND, id, time: time(self.index) };
        let mut entry = BytesMut::new();
        header.encode(command, &mut entry);
        let mut answer = BytesMut::new();
        let applied = self.machine.apply(EntryRef::read(&entry).unwrap(), &mut answer).unwrap();
        let Applied::Answered { id } = applied else { panic!("a command is answered") };
        ReplyBody::Done { at: id, answer: answer.freeze() }
    }

    fn status(&self) -> StatusReply {
        let address = format!("127.0.0.1:{}", self.port.get().unwrap());
        let forming = self.mood == Mood::Forming;
        let leads = matches!(self.mood, Mood::Good | Mood::Cutting | Mood::Dying(_) | Mood::Silent);
        let index = Index(self.index);
        let node = member(self.id);
        let seat = Seat {
            id: node.id,
            incarnation: Some(node.incarnation),
            standing: Standing::Voter,
            address: address.clone(),
        };
        let seats = if forming { Vec::new() } else { vec![seat] };
        StatusReply {
            node,
            label: char::from(b'@' + self.id as u8).to_string(),
            address,
            version: "0.1.0".to_owned(),
            boot: Boot(3),
            uptime: Duration::from_secs(3600),
            cluster_name: "raft".to_owned(),
            cluster: (!forming).then_some(ClusterId(0x6f1d_2c00 << 96)),
            epoch: Epoch(1),
            role: match (forming, leads) {
                (true, _) => StatusRole::Forming,
                (false, true) => StatusRole::Leader,
                (false, false) => StatusRole::Candidate,
            },
            role_for: Duration::from_secs(76 * 3600),
            term: Term(7),
            leader: match self.mood {
                Mood::Following => NodeId::new(9),
                _ => leads.then_some(node.id),
            },
            heard_ago: Some(Duration::ZERO),
            voter: true,
            first: Index(1),
            last: index,
            durable: index,
            commit: index,
            applied: index,
            applied_time: time(self.index),
            log_time: time(self.index),
            snapshot: Index(0),
            snapshot_time: LogTime(0),
            log_bytes: 16 << 20,
            segments: 1,
            writes: 2,
            storage: StorageKind::Synced,
            disk_ok: true,
            sync_p99: Some(Duration::from_micros(250)),
            feature_level: 1,
            state_hash: 0x1234,
            state_hash_index: index,
            keys: self.machine.keys(),
            state_bytes: 0,
            clients: 1,
            configuration_index: Index(1),
            configuration: Configuration::new(seats),
            peers: Vec::<PeerReport>::new(),
            waits_for: Vec::new(),
            reasons: Vec::new(),
        }
    }
}

fn refusal(code: RefusalCode) -> ReplyBody {
    ReplyBody::Refused { code, leader: None, text: code.meaning().to_owned() }
}
