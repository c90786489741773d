//! Clusters in which everything goes wrong that may: messages are lost, doubled and reordered,
//! disks are late, nodes die and forget what wasn't durable, logs are compacted and snapshots sent
//! in their place. After each step all of it is looked at from outside.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use raft_node::model::{
    Boot, Configuration, Incarnation, Index, LogId, Member, Message, Seat, Standing, Term,
};
use raft_node::raft::{Config, Input, RoleKind, Token};

use super::facts::Facts;
use super::host::{Disk, Host, config, empty, founded, member, seat};

/// Splitmix64.
pub(super) struct Chance(pub(super) u64);

impl Chance {
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    pub(super) fn one_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }

    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }
}

/// How often things go wrong, drawn for each run.
struct Weather {
    loses_one_in: u64,
    doubles_one_in: u64,
    crashes_one_in: u64,
    cuts_one_in: u64,
    disk_waits: u64,
    campaigns_one_in: u64,
    snapshots_one_in: u64,
    /// How often the log is compacted beyond what a member still needs.
    goes_beyond_one_in: u64,
    /// Whether one node is away for long, so that the others go on without it.
    leaves_one_behind: bool,
}

impl Weather {
    fn new(chance: &mut Chance, nodes: u16) -> Weather {
        let leaves_one_behind = nodes > 2 && chance.one_in(2);
        // What is left behind must be worth a snapshot.
        let mut among = |values: &[u64]| {
            let calmest = values.len() - 1;
            if leaves_one_behind { values[calmest] } else { chance.pick(values) }
        };
        Weather {
            loses_one_in: among(&[5, 20, 1000]),
            doubles_one_in: among(&[5, 20, 1000]),
            crashes_one_in: among(&[60, 200, 1000]),
            cuts_one_in: among(&[50, 300]),
            disk_waits: among(&[30, 10, 3, 1]),
            campaigns_one_in: among(&[1, 5, 20]),
            snapshots_one_in: chance.pick(&[1, 4, 50]),
            goes_beyond_one_in: chance.pick(&[1, 1, 3, 50]),
            leaves_one_behind,
        }
    }
}

struct Cluster {
    seed: u64,
    chance: Chance,
    weather: Weather,
    hosts: Vec<Host>,
    /// A node that stays away for a while.
    away: Option<usize>,
    network: Vec<Message>,
    cut: BTreeSet<(Member, Member)>,
    facts: Facts,
    next_token: u64,
    /// The last incarnation that a node got whose disk was emptied.
    lives: u128,
}

impl Cluster {
    fn new(seed: u64) -> Cluster {
        let mut chance = Chance(seed);
        let count = chance.pick(&[1, 2, 3, 3, 3, 4, 5, 5]);
        let joint = count == 5 && chance.one_in(2);
        let vacant = if count == 3 && chance.one_in(3) { 3 } else { 0 };
        let standing = |id| match (joint, id) {
            (true, 1) => Standing::Outgoing,
            (true, 2) => Standing::Demoted,
            (true, 5) => Standing::Incoming,
            _ => Standing::Voter,
        };
        let seats = (1..=count).map(|id| {
            let seat = seat(id, standing(id));
            if id == vacant { Seat { incarnation: None, ..seat } } else { seat }
        });
        let configuration = Configuration::new(seats.collect());
        let base = if chance.one_in(4) { LogId::new(Term(2), Index(7)) } else { LogId::ORIGIN };
        let (pre_vote, check_quorum) = (chance.one_in(2), !chance.one_in(4));
        let spares = if chance.one_in(2) { chance.below(4) as u16 } else { 0 };
        let hosts = (1..=count + spares).map(|id| {
            let mut config = config(member(id));
            (config.pre_vote, config.check_quorum) = (pre_vote, check_quorum);
            config.max_batch_bytes = 200;
            config.max_inflight_bytes = chance.pick(&[100, 500, 1 << 20]);
            config.max_inflight_messages = chance.pick(&[1, 3, 16]);
            config.max_unpersisted_bytes = chance.pick(&[150, 1000, 1 << 20]);
            config.recent_bytes = chance.pick(&[100, 1000, 1 << 20]);
            config.max_waiting_reads = 8;
            config.keep_entries = chance.pick(&[0, 0, 4]);
            if id > count {
                return Host::new(config, empty());
            }
            let mut disk = founded(&configuration);
            if base != LogId::ORIGIN {
                disk.hard_state.term = base.term;
                disk.begin_behind(base, configuration.clone());
            }
            Host::new(config, disk)
        });
        let hosts = hosts.collect();
        let weather = Weather::new(&mut chance, count);
        let facts = Facts { seed, base, ..Facts::default() };
        let (network, cut) = (Vec::new(), BTreeSet::new());
        let mut cluster = Cluster {
            seed,
            chance,
            weather,
            hosts,
            away: None,
            network,
            cut,
            facts,
            next_token: 0,
            lives: 100,
        };
        for at in 0..cluster.hosts.len() {
            cluster.start(at);
        }
        cluster
    }

    fn token(&mut self) -> Token {
        self.next_token += 1;
        Token(self.next_token)
    }

    fn start(&mut self, at: usize) {
        let seed = self.chance.below(u64::MAX);
        self.hosts[at].start(seed);
        self.drain(at);
        let peer = self.hosts[at].me();
        let boot = self.hosts[at].disk.boot;
        for other in 0..self.hosts.len() {
            self.input(other, Input::Connected { peer, boot });
        }
    }

    fn input(&mut self, at: usize, input: Input) {
        if self.hosts[at].raft.is_some() {
            self.hosts[at].handle(input);
            self.drain(at);
        }
    }

    fn drain(&mut self, at: usize) {
        let disks: BTreeMap<Member, Disk> =
            self.hosts.iter().map(|host| (host.me(), host.disk.clone())).collect();
        let facts = &mut self.facts;
        self.hosts[at].drain(|host, output| facts.look(host, &disks, output));
        let host = &mut self.hosts[at];
        self.network.extend(host.outbox.drain(..));
        let status = host.raft().status();
        if status.role == RoleKind::Leader {
            self.facts.look_at_leader(host, status.term);
        }
        self.facts.highest_commit = self.facts.highest_commit.max(status.commit);
    }

    fn step(&mut self) {
        let at = self.chance.below(self.hosts.len() as u64) as usize;
        if self.chance.one_in(20) {
            self.renew(at);
        }
        if self.hosts[at].raft.is_none() {
            if self.chance.one_in(10) && self.away != Some(at) {
                self.start(at);
            }
            return;
        }
        match self.chance.below(26) {
            0..=8 => self.deliver(),
            9..=11 => self.disk(at),
            12..=13 => self.time(at),
            14..=15 => self.client(at),
            16 if self.chance.one_in(2) => self.hosts[at].read_log(),
            16 => self.change_members(at),
            17 if self.chance.one_in(self.weather.crashes_one_in / 10) => self.crash(at),
            18 if self.chance.one_in(self.weather.cuts_one_in / 10) => self.change_links(),
            19 => self.unusual(at),
            20..=24 => self.files(at),
            25 if self.chance.one_in(self.weather.snapshots_one_in) => self.snapshot(at),
            _ => {}
        }
        if self.hosts[at].raft.is_some() {
            self.drain(at);
        }
    }

    fn deliver(&mut self) {
        if self.network.is_empty() {
            return;
        }
        // Mostly in order, sometimes any.
        let place =
            if self.chance.one_in(3) { self.chance.below(self.network.len() as u64) } else { 0 };
        let message = if self.chance.one_in(self.weather.doubles_one_in) {
            self.network[place as usize].clone()
        } else {
            self.network.remove(place as usize)
        };
        let lost = self.chance.one_in(self.weather.loses_one_in);
        if lost || self.cut.contains(&(message.from, message.to)) {
            return;
        }
        if let Some(to) = self.hosts.iter().position(|host| host.me() == message.to) {
            self.input(to, Input::Message(message));
        }
    }

    fn disk(&mut self, at: usize) {
        let waiting = self.hosts[at].writes.len() as u64;
        if waiting > 0 && self.chance.one_in(self.weather.disk_waits) {
            let count = 1 + self.chance.below(waiting);
            self.hosts[at].persist(count as usize);
        }
    }

    fn files(&mut self, at: usize) {
        let host = &mut self.hosts[at];
        let is_not_the_only_one = host.raft().status().snapshots.len() > 1;
        match self.chance.below(8) {
            0..=2 => host.read_piece(is_not_the_only_one && self.chance.one_in(100)),
            3..=5 => host.store_piece(),
            6 => {
                let bad = self.chance.one_in(8).then(|| self.chance.below(100));
                host.load(bad);
            }
            _ => {
                let beyond = self.chance.one_in(self.weather.goes_beyond_one_in);
                host.compact(beyond.then_some(Index(u64::MAX)));
            }
        }
    }

    fn snapshot(&mut self, at: usize) {
        if let Some(snapshot) = self.hosts[at].take_snapshot() {
            self.facts.look_at_snapshot(snapshot);
        }
    }

    fn time(&mut self, at: usize) {
        let by = if self.chance.one_in(4) { self.chance.below(120) } else { self.chance.below(15) };
        self.hosts[at].advance(Duration::from_millis(by));
    }

    fn client(&mut self, at: usize) {
        if self.chance.one_in(3) {
            let token = self.token();
            self.facts.reads.insert(token, self.facts.highest_commit);
            self.hosts[at].handle(Input::Read(token));
            return;
        }
        for _ in 0..=self.chance.below(4) {
            let token = self.token();
            let length = self.chance.below(60) as usize;
            let payload = format!("{:0length$}", token.0);
            self.hosts[at].propose(token, payload.into_bytes());
        }
    }

    fn crash(&mut self, at: usize) {
        let survived = self.chance.below(3) as usize;
        let then_hard_state = self.chance.one_in(2);
        self.hosts[at].crash(survived, then_hard_state);
        if let Some(part) = &mut self.hosts[at].disk.part {
            let kept = self.chance.below(part.bytes.len() as u64 + 1);
            part.bytes.truncate(kept as usize);
        }
        let peer = self.hosts[at].me();
        for other in 0..self.hosts.len() {
            self.input(other, Input::Disconnected(peer));
        }
    }

    /// Somebody wants other members: any, or the first ones again.
    fn change_members(&mut self, at: usize) {
        if self.hosts[at].raft.is_none() {
            return;
        }
        let (found, configuration) = self.hosts[at].raft().status().configuration;
        let mut seats = Vec::new();
        for host in &self.hosts {
            let me = host.me();
            let now = configuration.seat(me).and_then(Seat::at_its_goal).map(|seat| seat.standing);
            let standing = match self.chance.below(6) {
                0 => Some(Standing::Voter),
                1 => Some(Standing::Learner),
                2 => None,
                _ => now,
            };
            let incarnation = Some(me.incarnation);
            seats.extend(standing.map(|it| Seat { incarnation, ..seat(me.id.number(), it) }));
        }
        let expected = if self.chance.one_in(20) { Index(found.0 / 2) } else { found };
        let token = self.token();
        self.hosts[at].handle(Input::ChangeMembers { token, expected, seats });
    }

    /// A node that was removed for good comes back with an empty disk, as another member.
    fn renew(&mut self, at: usize) {
        let me = self.hosts[at].me();
        let is_removed = self.hosts.iter().filter_map(|host| host.raft.as_ref()).any(|raft| {
            let (_, configuration) = raft.committed_configuration();
            configuration.was_removed(me)
        });
        if is_removed {
            self.lives += 1;
            let me = Member { incarnation: Incarnation(self.lives), ..me };
            let now = self.hosts[at].now;
            let config = Config { me, ..self.hosts[at].config.clone() };
            self.hosts[at] = Host { now, ..Host::new(config, empty()) };
            self.start(at);
        }
    }

    /// From one to five tenths of the run one node is away.
    fn leave_behind(&mut self, tenth: usize) {
        let at = (self.seed % self.hosts.len() as u64) as usize;
        self.away = (1..5).contains(&tenth).then_some(at);
        if self.away.is_some() && self.hosts[at].raft.is_some() {
            self.crash(at);
        }
    }

    fn change_links(&mut self) {
        if self.chance.one_in(2) {
            self.cut.clear();
            return;
        }
        let members: Vec<Member> = self.hosts.iter().map(Host::me).collect();
        let link = (self.chance.pick(&members), self.chance.pick(&members));
        self.cut.insert(link);
        if self.chance.one_in(2) {
            self.cut.insert((link.1, link.0));
        }
    }

    fn unusual(&mut self, at: usize) {
        let token = self.token();
        let members: Vec<Member> = self.hosts.iter().map(Host::me).collect();
        let peer = self.chance.pick(&members);
        let input = match self.chance.below(6) {
            0 if self.chance.one_in(self.weather.campaigns_one_in) => Input::Campaign,
            1 => Input::Transfer { token, to: self.chance.one_in(2).then_some(peer.id) },
            2 => Input::Disconnected(peer),
            3 => Input::Connected { peer, boot: Boot(1) },
            4 if !self.hosts[at].writes.is_empty() => {
                Input::DiskWaiting(Duration::from_millis(self.chance.below(300)))
            }
            5 => {
                let member = member(3);
                Input::Seat { token, member, address: "host3:3111".to_owned() }
            }
            _ => Input::Tick,
        };
        self.hosts[at].handle(input);
    }

    /// Log matching: where two logs hold the same entry, all before it are the same.
    fn compare_logs(&self) {
        for one in &self.hosts {
            let times = one.entries.iter().map(|entry| entry.header.time);
            assert!(times.is_sorted(), "seed {}: log time goes back", self.seed);
            for other in &self.hosts {
                let behind = one.base.index.max(other.base.index);
                let mine = one.entries.iter().skip((behind.0 - one.base.index.0) as usize);
                let others = other.entries.iter().skip((behind.0 - other.base.index.0) as usize);
                let pairs = mine.zip(others);
                let same: Vec<bool> =
                    pairs.clone().map(|(one, other)| one.header.id == other.header.id).collect();
                let meeting = same.iter().rposition(|same| *same).map_or(0, |last| last + 1);
                for (mine, others) in pairs.take(meeting) {
                    assert_eq!(mine, others, "seed {}: logs differ below a match", self.seed);
                }
            }
        }
    }

    /// Once everything works again, the cluster must elect, commit and answer.
    fn heal(&mut self) {
        self.cut.clear();
        for at in 0..self.hosts.len() {
            if self.hosts[at].raft.is_none() {
                self.start(at);
            }
        }
        let goal = self.facts.highest_commit.0 + 1;
        for _ in 0..3000 {
            for at in 0..self.hosts.len() {
                self.hosts[at].advance(Duration::from_millis(7));
                if !self.hosts[at].writes.is_empty() {
                    self.hosts[at].persist(usize::MAX);
                }
                self.hosts[at].read_log();
                self.hosts[at].work_on_files();
                self.drain(at);
            }
            for message in std::mem::take(&mut self.network) {
                if let Some(to) = self.hosts.iter().position(|host| host.me() == message.to) {
                    self.input(to, Input::Message(message));
                }
            }
            let leads = |host: &Host| host.raft().status().committed_in_term;
            if let Some(leader) = self.hosts.iter().position(leads) {
                let token = self.token();
                let (member, address) = (member(3), "host3:3111".to_owned());
                self.input(leader, Input::Seat { token, member, address });
                let status = self.hosts[leader].raft().status();
                let is_member = |host: &&Host| status.configuration.1.seat(host.me()).is_some();
                let settled = self.hosts.iter().filter(is_member).all(|host| {
                    let commit = host.raft().status().commit;
                    commit.0 >= goal && commit == host.last_index()
                });
                if settled && status.voter && status.change.is_none() {
                    return;
                }
                if self.hosts[leader].last_index().0 < goal {
                    let token = self.token();
                    self.hosts[leader].propose(token, b"healed".to_vec());
                    self.drain(leader);
                }
            }
        }
        let lines: Vec<String> = self
            .hosts
            .iter()
            .map(|host| host.raft().status())
            .map(|status| {
                format!("{}\n    {}", super::show::status(&status), super::show::change(&status))
            })
            .collect();
        panic!("seed {}: the cluster doesn't come back\n{}", self.seed, lines.join("\n"));
    }
}

fn run(seed: u64, steps: usize) -> Facts {
    let mut cluster = Cluster::new(seed);
    for step in 0..steps {
        if cluster.weather.leaves_one_behind {
            cluster.leave_behind(step * 10 / steps);
        }
        cluster.step();
        if step % 64 == 0 {
            cluster.compare_logs();
        }
    }
    cluster.compare_logs();
    cluster.heal();
    cluster.compare_logs();
    cluster.facts
}

#[test]
fn clusters_stay_right_whatever_goes_wrong_and_come_back() {
    let from = std::env::var("FUZZ_SEED").ok().map(|seed| seed.parse().expect("a number"));
    let runs = std::env::var("FUZZ_RUNS").map_or(120, |runs| runs.parse().expect("a number"));
    let seeds = from.map_or(1..runs + 1, |seed| seed..seed + 1);
    let all: Vec<Facts> = seeds.map(|seed| run(seed, 3000)).collect();
    if from.is_some() {
        return;
    }
    // The runs are worth something only if they get to the places that matter.
    let total = |count: fn(&Facts) -> usize| all.iter().map(count).sum::<usize>();
    assert!(total(|facts| facts.committed.len()) > 1000);
    assert!(total(|facts| facts.leaders.len()) > 120);
    for (name, count) in [
        ("reads answered", total(|facts| facts.answered_reads)),
        ("transfers", total(|facts| facts.transferred)),
        ("reads from disk", total(|facts| facts.read_from_disk)),
        ("busy", total(|facts| facts.busy)),
        ("replaced suffixes", total(|facts| facts.replaced)),
        ("seats filled", total(|facts| facts.seated)),
        ("snapshots taken", total(|facts| facts.snapshots.len())),
        ("snapshots sent", total(|facts| facts.sent)),
        ("transfers resumed", total(|facts| facts.resumed)),
        ("snapshots installed", total(|facts| facts.installed)),
        ("logs compacted", total(|facts| facts.compacted)),
        ("joint configurations", total(|facts| facts.joint)),
        ("changes that waited", total(|facts| facts.promoted)),
        ("changes refused", total(|facts| facts.refused_changes)),
        ("leaders removed", total(|facts| facts.removed_leaders)),
    ] {
        assert!(count > 10, "only {count} {name}");
    }
}
