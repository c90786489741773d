//! One thread of the load generator: many connections in one loop.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use mio::{Events, Poll, Token};
use raft_node::client::Greeting;
use raft_node::model::StartNumber;
use rustix::time::{ClockId, clock_gettime};

use super::connection::{Connection, Happened};
use super::limits::{microseconds, record};
use super::plan::{Maker, Plan};
use super::targets::Targets;

/// How long what is under way at the end may take to be counted.
const DRAIN_TIME: Duration = Duration::from_secs(1);

/// How long the loop waits at most.
const LONGEST_WAIT: Duration = Duration::from_millis(20);

/// Which keys the requests are about.
pub(super) enum Keys {
    /// Any of them.
    Random,
    /// Each of them once.
    Each(Arc<AtomicU64>),
}

/// When what counts.
#[derive(Clone, Copy)]
pub(super) struct Window {
    /// Requests begin.
    pub(super) start: Instant,
    /// What is done from here on counts.
    pub(super) measured_from: Instant,
    /// Requests no longer begin.
    pub(super) end: Instant,
}

/// What threads and whoever watches them tell each other.
#[derive(Default)]
pub(super) struct Watch {
    /// Requests done so far.
    pub(super) done: AtomicU64,
    /// The threads are to end.
    pub(super) stop: AtomicBool,
}

/// What a thread has seen.
pub(super) struct Seen {
    pub(super) reads: Histogram<u64>,
    pub(super) writes: Histogram<u64>,
    /// Requests done within the window.
    pub(super) done: u64,
    pub(super) errors: BTreeMap<&'static str, u64>,
    pub(super) reconnects: u64,
    pub(super) unsent: u64,
    /// The share of the window in which the thread was running.
    pub(super) busy_share: f64,
}

impl Default for Seen {
    fn default() -> Seen {
        Seen {
            reads: microseconds(),
            writes: microseconds(),
            done: 0,
            errors: BTreeMap::new(),
            reconnects: 0,
            unsent: 0,
            busy_share: 0.0,
        }
    }
}

impl Seen {
    /// What another thread has seen.
    pub(super) fn add(&mut self, other: Seen) {
        self.reads += other.reads;
        self.writes += other.writes;
        self.done += other.done;
        for (code, count) in other.errors {
            *self.errors.entry(code).or_default() += count;
        }
        self.reconnects += other.reconnects;
        self.unsent += other.unsent;
        self.busy_share = self.busy_share.max(other.busy_share);
    }

    /// The latencies of reads and writes together.
    pub(super) fn both(&self) -> Histogram<u64> {
        let mut both = self.reads.clone();
        both += &self.writes;
        both
    }
}

/// One thread of the load generator.
pub(super) struct Load {
    plan: Plan,
    window: Window,
    keys: Keys,
    greeting: Greeting,
    targets: Targets,
    connections: Vec<Connection>,
    maker: Maker,
    poll: Poll,
    seen: Seen,
    /// Requests of an open loop that have begun.
    issued: u64,
    /// How many a second this thread is to begin.
    rate: Option<f64>,
    /// Which connection has the next request of an open loop.
    turn: usize,
    watch: Arc<Watch>,
    /// All keys of [`Keys::Each`] are begun.
    exhausted: bool,
}

impl Load {
    /// A thread with this many of the connections.
    pub(super) fn new(
        plan: &Plan,
        window: Window,
        keys: Keys,
        targets: Targets,
        connections: u16,
        watch: Arc<Watch>,
    ) -> io::Result<Load> {
        let greeting = Greeting::new(None, StartNumber(rand::random()));
        let connections = (0..connections)
            .map(|number| Connection::new(Token(usize::from(number)), plan.depth, &greeting))
            .collect::<Vec<_>>();
        let rate = plan.rate.map(|rate| rate * connections.len() as f64 / f64::from(plan.clients));
        Ok(Load {
            plan: plan.clone(),
            window,
            keys,
            greeting,
            targets,
            connections,
            maker: Maker::new(plan, rand::random()),
            poll: Poll::new()?,
            seen: Seen::default(),
            issued: 0,
            rate,
            turn: 0,
            watch,
            exhausted: false,
        })
    }

    pub(super) fn run(mut self) -> io::Result<Seen> {
        let mut events = Events::with_capacity(1024);
        let mut cpu_before = None;
        loop {
            let now = Instant::now();
            if cpu_before.is_none() && now >= self.window.measured_from {
                cpu_before = Some((cpu_time(), now));
            }
            if now >= self.window.end || self.is_finished() {
                break;
            }
            self.connect(now);
            self.issue_due(now);
            self.turn_once(&mut events, self.wait(now))?;
        }
        if let Some((cpu, at)) = cpu_before {
            let wall = at.elapsed().as_secs_f64().max(1e-9);
            self.seen.busy_share = cpu_time().saturating_sub(cpu).as_secs_f64() / wall;
        }
        // What became due since the last turn is not late.
        self.issue_due(Instant::now());
        self.seen.unsent = self.due(self.window.end).saturating_sub(self.issued);
        self.exhausted = true;
        let deadline = Instant::now() + DRAIN_TIME;
        while self.under_way() > 0 && Instant::now() < deadline {
            self.turn_once(&mut events, LONGEST_WAIT)?;
        }
        Ok(self.seen)
    }

    fn is_finished(&self) -> bool {
        let told = self.watch.stop.load(Ordering::Relaxed);
        told || (self.exhausted && self.under_way() == 0)
    }

    fn under_way(&self) -> usize {
        self.connections.iter().map(Connection::under_way).sum()
    }

    /// Polls once and serves every connection that has something.
    fn turn_once(&mut self, events: &mut Events, wait: Duration) -> io::Result<()> {
        match self.poll.poll(events, Some(wait)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            result => result?,
        }
        for event in events.iter() {
            self.serve(event.token().0);
        }
        Ok(())
    }

    /// Reads, begins what there is room for, and writes once.
    fn serve(&mut self, at: usize) {
        let mut moved = None;
        let mut refused = false;
        let connection = &mut self.connections[at];
        let (seen, window, watch) = (&mut self.seen, &self.window, &self.watch);
        if !connection.is_connected() {
            return;
        }
        let now = Instant::now();
        let mut done = 0;
        let alive = connection.read(|happened| match happened {
            Happened::Done(slot) => {
                if now >= window.measured_from {
                    let histogram = if slot.is_read { &mut seen.reads } else { &mut seen.writes };
                    record(histogram, now.saturating_duration_since(slot.start));
                    seen.done += u64::from(now <= window.end);
                }
                done += 1;
            }
            Happened::Failed(code) => {
                *seen.errors.entry(code).or_default() += 1;
                refused = true;
            }
            Happened::Moved(leader) => moved = Some(leader),
        });
        watch.done.fetch_add(done, Ordering::Relaxed);
        if let Some(leader) = moved {
            self.targets.told(&leader);
            self.lose(at);
            return;
        }
        if refused {
            self.connections[at].pause();
        }
        if !matches!(alive, Ok(true)) {
            self.targets.failed();
            self.lose(at);
            return;
        }
        self.refill(at, now);
        if self.connections[at].write().is_err() {
            self.targets.failed();
            self.lose(at);
        }
    }

    /// Gives a connection up; what was under way on it has failed.
    fn lose(&mut self, at: usize) {
        let lost = self.connections[at].drop_stream(self.poll.registry());
        if lost > 0 {
            *self.seen.errors.entry("cut").or_default() += lost as u64;
        }
        self.seen.reconnects += 1;
    }

    fn connect(&mut self, now: Instant) {
        for at in 0..self.connections.len() {
            if self.connections[at].is_overdue(now, self.plan.timeout) {
                self.targets.failed();
                self.lose(at);
            }
            let connection = &mut self.connections[at];
            if !connection.may_act(now) {
                continue;
            }
            if connection.is_connected() {
                // After a pause nothing else would wake it.
                if self.rate.is_none() && connection.is_ready() && connection.under_way() == 0 {
                    self.refill(at, now);
                    if self.connections[at].write().is_err() {
                        self.lose(at);
                    }
                }
                continue;
            }
            let target = self.targets.next();
            let registry = self.poll.registry();
            let connected =
                target.and_then(|target| connection.connect(target, &self.greeting, registry));
            if connected.is_err() {
                self.targets.failed();
                self.lose(at);
            }
        }
    }

    /// Begins as many requests of a closed loop as there is room for.
    fn refill(&mut self, at: usize, now: Instant) {
        if self.rate.is_some() || self.exhausted || now >= self.window.end {
            return;
        }
        if !self.connections[at].may_act(now) {
            return;
        }
        let start = Instant::now();
        while self.connections[at].has_room() {
            let Some(number) = self.next_key() else { return };
            self.connections[at].begin(number, start, &self.plan, &mut self.maker);
        }
    }

    fn next_key(&mut self) -> Option<u64> {
        match &self.keys {
            Keys::Random => Some(self.maker.below(self.plan.keys)),
            Keys::Each(next) => {
                let number = next.fetch_add(1, Ordering::Relaxed);
                self.exhausted = number >= self.plan.keys;
                (!self.exhausted).then_some(number)
            }
        }
    }

    /// How many requests of an open loop are due at `now`.
    fn due(&self, now: Instant) -> u64 {
        let Some(rate) = self.rate else { return 0 };
        (now.saturating_duration_since(self.window.start).as_secs_f64() * rate) as u64
    }

    /// Begins the requests of an open loop whose time has come, each counted from that time.
    fn issue_due(&mut self, now: Instant) {
        let Some(rate) = self.rate else { return };
        let due = self.due(now.min(self.window.end));
        let count = self.connections.len();
        'requests: while self.issued < due {
            let offset = Duration::from_secs_f64((self.issued + 1) as f64 / rate);
            for _ in 0..count {
                self.turn = (self.turn + 1) % count;
                let at = self.turn;
                if self.connections[at].has_room() && self.connections[at].may_act(now) {
                    let Some(number) = self.next_key() else { return };
                    let start = self.window.start + offset;
                    self.connections[at].begin(number, start, &self.plan, &mut self.maker);
                    self.issued += 1;
                    continue 'requests;
                }
            }
            // No room anywhere: they wait, and their latency grows.
            break;
        }
        for at in 0..count {
            if self.connections[at].write().is_err() {
                self.targets.failed();
                self.lose(at);
            }
        }
    }

    /// How long to wait for sockets.
    fn wait(&self, now: Instant) -> Duration {
        let left = self.window.end.saturating_duration_since(now).min(LONGEST_WAIT);
        match self.rate {
            // The poll's clock has milliseconds; what is due sooner is waited for by polling.
            Some(rate) => left.min(Duration::from_secs_f64(1.0 / rate)),
            None => left,
        }
    }
}

/// How long this thread has been running on a processor.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}
