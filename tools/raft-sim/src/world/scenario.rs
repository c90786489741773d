//! What a seed draws: how large the world is, what goes wrong in it, and how often.

use std::fmt;
use std::time::Duration;

use super::network::Weather;
use super::random::Random;

/// Kinds of faults, each of which a seed has or hasn't.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Fault {
    /// Long delays, narrow links, writes that arrive in pieces.
    Delays,
    /// Connections that break, at both ends or at one.
    Breaks,
    /// Links that are cut, in one or both directions.
    Cuts,
    /// Processes that are killed and started again.
    Crashes,
    /// Machines that lose their power.
    PowerCuts,
    /// Processes that stand still for a while.
    Pauses,
    /// Clocks that run fast or slow, and wall time that jumps.
    Clocks,
    /// Syncs that take long, and disks that stand still.
    SlowDisks,
    /// Disk operations that fail.
    DiskErrors,
    /// Disks that fill up.
    FullDisks,
    /// Bytes that rot.
    Rot,
    /// Writes that land at another page of their file.
    Misdirects,
    /// Files that vanish while the node is down.
    LostFiles,
    /// A node that loses its directory.
    Wipes,
    /// An older copy of a node's directory that is put back.
    Backups,
    /// A copy of a node's directory that runs as a second process.
    Clones,
    /// Processes that are asked to stop in good order, and hand-overs of leadership.
    Stops,
    /// Changes of the members: others vote, nodes come and go. Then no disk loses what is durable,
    /// but by [`Fault::Wipes`], which then hit any one member at a time: of the machines that vote
    /// at a time all others may be needed.
    Changes,
    /// Nodes that come back at another address, or exchange theirs.
    Moves,
    /// A node that the others can't call, to the end: all that it hears comes by its own calls.
    Walls,
    /// Machines that never come back once all is well: a minority, some of those that may lose
    /// what is durable.
    Losses,
    /// A founder that crashes before it has stored the founding entry, and comes back much later.
    Latecomers,
    /// Nodes that form a cluster as soon as a quorum is there, while links are cut and founders
    /// crash. Then no disk loses what is durable: nobody founds beside nodes that have data.
    Foundings,
}

impl Fault {
    /// All kinds.
    pub const ALL: [Fault; 23] = [
        Fault::Delays,
        Fault::Breaks,
        Fault::Cuts,
        Fault::Crashes,
        Fault::PowerCuts,
        Fault::Pauses,
        Fault::Clocks,
        Fault::SlowDisks,
        Fault::DiskErrors,
        Fault::FullDisks,
        Fault::Rot,
        Fault::Misdirects,
        Fault::LostFiles,
        Fault::Wipes,
        Fault::Backups,
        Fault::Clones,
        Fault::Stops,
        Fault::Changes,
        Fault::Moves,
        Fault::Walls,
        Fault::Losses,
        Fault::Latecomers,
        Fault::Foundings,
    ];

    /// The name by which it is chosen.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Fault::Delays => "delays",
            Fault::Breaks => "breaks",
            Fault::Cuts => "cuts",
            Fault::Crashes => "crashes",
            Fault::PowerCuts => "power-cuts",
            Fault::Pauses => "pauses",
            Fault::Clocks => "clocks",
            Fault::SlowDisks => "slow-disks",
            Fault::DiskErrors => "disk-errors",
            Fault::FullDisks => "full-disks",
            Fault::Rot => "rot",
            Fault::Misdirects => "misdirects",
            Fault::LostFiles => "lost-files",
            Fault::Wipes => "wipes",
            Fault::Backups => "backups",
            Fault::Clones => "clones",
            Fault::Stops => "stops",
            Fault::Changes => "changes",
            Fault::Moves => "moves",
            Fault::Walls => "walls",
            Fault::Losses => "losses",
            Fault::Latecomers => "latecomers",
            Fault::Foundings => "foundings",
        }
    }

    /// In how many of a thousand worlds it happens.
    const fn permille(self) -> u64 {
        match self {
            // The others have to do without a node for long.
            Fault::Latecomers => 150,
            // So do nodes that found by a quorum without disks that lose anything.
            Fault::Foundings => 100,
            _ => 500,
        }
    }

    /// The kind of this name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Fault> {
        Fault::ALL.into_iter().find(|fault| fault.name() == name)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What is chosen instead of drawn.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Choices {
    /// How many nodes.
    pub nodes: Option<usize>,
    /// How many clients.
    pub clients: Option<usize>,
    /// How long faults happen, in simulated time.
    pub time: Option<Duration>,
    /// The faults that may be drawn. Those that a seed has are drawn as without it.
    pub faults: Option<Vec<Fault>>,
    /// Without the atlas more may break than a cluster can survive: then nodes must refuse, and
    /// nothing is demanded of the end.
    pub no_atlas: bool,
}

/// A world, as its seed draws it.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The seed.
    pub seed: u64,
    /// How many nodes found the cluster.
    pub nodes: usize,
    /// How many more wait to be taken in.
    pub spares: usize,
    /// How many clients.
    pub clients: usize,
    /// How long faults happen.
    pub time: Duration,
    /// What goes wrong.
    pub faults: Vec<Fault>,
    /// Whether a good copy of all that is committed is kept.
    pub has_atlas: bool,
    pub(crate) election_timeout: Duration,
    pub(crate) heartbeat_interval: Duration,
    pub(crate) segment_bytes: u64,
    pub(crate) max_batch_bytes: u64,
    pub(crate) max_inflight_bytes: u64,
    pub(crate) max_unpersisted_bytes: u64,
    pub(crate) recent_bytes: u64,
    pub(crate) snapshots: Snapshots,
    pub(crate) weather: Weather,
    /// The pause between two faults, on average, in nanoseconds.
    pub(crate) fault_pause: u64,
    /// Whether logs are short: who was away for a while is to be sent a snapshot.
    pub(crate) has_short_logs: bool,
    pub(crate) keys: u64,
    pub(crate) value_bytes: u64,
    /// The pause of a client between two operations, on average, in nanoseconds.
    pub(crate) think: u64,
    /// How fast a sync is, at best and as a rule at most, in microseconds.
    pub(crate) sync_us: (u64, u64),
}

/// When snapshots are taken, and what stays of the log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Snapshots {
    pub(crate) min_log_bytes: u64,
    pub(crate) log_ratio: u64,
    pub(crate) max_age: Duration,
    pub(crate) keep_entries: u64,
    pub(crate) max_lag_bytes: u64,
}

impl Scenario {
    /// The world of a seed.
    #[must_use]
    pub fn draw(seed: u64, choices: &Choices) -> Scenario {
        let mut random = Random::stream(seed, "scenario");
        let nodes = if random.permille(500) { 3 } else { 5 };
        // Each by a stream of its own, so that a new kind leaves the others as they are.
        let has = |fault: &Fault| Random::stream(seed, fault.name()).permille(fault.permille());
        let drawn: Vec<Fault> = Fault::ALL.into_iter().filter(has).collect();
        let is_quiet = random.permille(50);
        let allowed =
            |fault: &Fault| choices.faults.as_ref().is_none_or(|faults| faults.contains(fault));
        let mut faults: Vec<Fault> = drawn.into_iter().filter(allowed).collect();
        // In some, logs are short: who was away is sent a snapshot, again and again. Less else goes
        // wrong there, so that much is written meanwhile.
        let mut lags = Random::stream(seed, "lags");
        let is_short = lags.permille(300);
        if is_short {
            faults.retain(|_| lags.permille(500));
        }
        let election_ms = random.spread(100, 800);
        let seconds = if is_quiet { random.between(60, 300) } else { random.between(3, 20) };
        let delays = faults.contains(&Fault::Delays);
        let weather = draw_weather(&mut random, election_ms, delays);
        let segment_bytes = random.spread(8 << 10, 256 << 10) & !4095;
        let segment_bytes = if is_short { 8 << 10 } else { segment_bytes };
        // Some write so much that who was away for a while is to be sent a snapshot.
        let writes_much = Random::stream(seed, "values").permille(250);
        let spares = match faults.contains(&Fault::Changes) {
            // Of three no more than one may be lost, so that nobody can leave.
            true => {
                let least = u64::from(faults.contains(&Fault::Wipes));
                Random::stream(seed, "spares").between(least, 2) as usize
            }
            false => 0,
        };
        let most_value_bytes = if writes_much { segment_bytes / 4 } else { 2048 };
        Scenario {
            seed,
            nodes: choices.nodes.unwrap_or(nodes),
            spares,
            clients: choices.clients.unwrap_or(random.between(2, 8) as usize),
            time: choices.time.unwrap_or(Duration::from_secs(seconds)),
            faults,
            has_atlas: !choices.no_atlas,
            election_timeout: Duration::from_millis(election_ms),
            heartbeat_interval: Duration::from_millis(
                (election_ms / random.between(5, 10)).max(10),
            ),
            segment_bytes,
            max_batch_bytes: random.spread(1 << 10, 256 << 10),
            max_inflight_bytes: match is_short {
                // A snapshot goes in many pieces.
                true => lags.spread(4 << 10, 32 << 10),
                false => random.spread(4 << 10, 1 << 20),
            },
            max_unpersisted_bytes: random.spread(4 << 10, 1 << 20),
            recent_bytes: random.spread(1 << 10, 1 << 20),
            snapshots: match is_short {
                true => draw_short(&mut lags),
                false => draw_snapshots(&mut Random::stream(seed, "snapshots")),
            },
            weather,
            fault_pause: random
                .spread(election_ms / 2, election_ms * if is_short { 5 } else { 10 })
                * 1_000_000
                * if is_quiet { 20 } else { 1 },
            has_short_logs: is_short,
            keys: random.spread(2, 64),
            value_bytes: match is_short {
                true => most_value_bytes,
                false => random.spread(8, most_value_bytes),
            },
            think: match is_short && !is_quiet {
                true => lags.spread(3_000_000, 40_000_000),
                false => random.spread(3_000_000, 200_000_000) * if is_quiet { 10 } else { 1 },
            },
            sync_us: (random.spread(50, 400), random.spread(400, 4000)),
        }
    }

    /// How many entries a machine keeps behind what its snapshots cover: their files may differ.
    pub(crate) fn keep_entries(&self, machine: usize) -> u64 {
        let mut random = Random::stream(self.seed, &format!("file {machine}"));
        // Where most logs are short, who has a long one sends entries in place of a snapshot.
        let own = if self.has_short_logs { (100, 1000) } else { (1, 500) };
        let own = random.spread(own.0, own.1) - 1;
        if random.permille(500) { own } else { self.snapshots.keep_entries }
    }

    /// Whether this kind of fault happens.
    #[must_use]
    pub fn has(&self, fault: Fault) -> bool {
        self.faults.contains(&fault)
    }
}

fn draw_snapshots(random: &mut Random) -> Snapshots {
    Snapshots {
        min_log_bytes: random.spread(500, 50_000),
        log_ratio: random.between(1, 4),
        max_age: Duration::from_millis(random.spread(500, 60_000)),
        keep_entries: random.spread(1, 500) - 1,
        max_lag_bytes: random.spread(1 << 8, 1 << 20),
    }
}

/// Snapshots follow each other closely, and little stays behind them: either for no member, or for
/// each that isn't sent a snapshot.
fn draw_short(random: &mut Random) -> Snapshots {
    Snapshots {
        min_log_bytes: random.spread(500, 4_000),
        log_ratio: 1,
        max_age: Duration::from_millis(random.spread(500, 4_000)),
        keep_entries: random.spread(1, 20) - 1,
        max_lag_bytes: match random.permille(500) {
            true => random.spread(1 << 8, 1 << 13),
            false => random.spread(1 << 18, 1 << 22),
        },
    }
}

fn draw_weather(random: &mut Random, election_ms: u64, delays: bool) -> Weather {
    let shortest = random.spread(20_000, 200_000);
    let longest = shortest + random.spread(20_000, election_ms * 50_000);
    let spikes = random.spread(1, 200);
    let spike = random.spread(1_000_000, election_ms * 4_000_000);
    let byte_time = random.spread(1, 2000);
    let window = random.spread(4 << 10, 256 << 10) as usize;
    let splits = random.spread(1, 500);
    match delays {
        true => Weather { delay: (shortest, longest), spikes, spike, byte_time, window, splits },
        false => Weather {
            delay: (50_000, 150_000),
            spikes: 0,
            spike: 1,
            byte_time: 1,
            window: 256 << 10,
            splits: 20,
        },
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.faults.iter().map(|fault| fault.name()).collect();
        let names = if names.is_empty() { "none".to_owned() } else { names.join(" ") };
        write!(
            f,
            "{} nodes and {} that wait, {} clients, {:?}, election timeout {:?}, segments of {} bytes, faults: {names}",
            self.nodes,
            self.spares,
            self.clients,
            self.time,
            self.election_timeout,
            self.segment_bytes
        )
    }
}
