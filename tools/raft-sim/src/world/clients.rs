//! The clients: each has one call under way, by the client library's own rules, and writes down
//! what it asked and was told.

use std::io::ErrorKind;
use std::time::Duration;

use raft_node::client::{
    Ask, Call, Channel, ChannelEvent, Endpoint, Event, Failure, Finder, Greeting, Lost, Next,
    Numbering, Options, Reason, Session, Unopened,
};
use raft_node::config::Address;
use raft_node::kv::{Answer, Expected, Operation, Query, Scan, SessionId};
use raft_node::model::{LogTime, Member, NodeId, StartNumber, Time};
use raft_node::wire::{Consistency, FillEnd, ReplyBody, Verdict};

use super::journal;
use super::moves::FREE_PLACES;
use super::network::{Party, place_of};
use super::operator::Operator;
use super::outside::{SharedNetwork, Stream};
use super::random::Random;
use super::scenario::{Fault, Scenario};
use crate::check::{self, Freshness, History, Number, Request};

/// How long what a client sent may stay unacknowledged.
const PATIENCE: u64 = 5_000_000_000;

/// How much one read takes.
const READ_BYTES: usize = 64 << 10;

/// What a client's call is for.
#[derive(Debug)]
enum Purpose {
    /// The log time at which its session may begin.
    Opening,
    /// A call of the history.
    Recorded(check::Call),
    /// Leadership is to be handed over.
    Transfer,
    /// It looks at the members, or changes them.
    Members,
}

/// A connection and what is known of it.
#[derive(Debug)]
struct Line {
    stream: Stream,
    channel: Channel,
    endpoint: Endpoint,
    is_connected: bool,
    is_greeted: bool,
    /// Who has answered.
    node: Option<NodeId>,
}

/// What a call waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Waits {
    Connecting,
    Answering,
    Pausing,
}

/// A client.
pub(crate) struct Client {
    index: usize,
    options: Options,
    finder: Finder,
    numbering: Numbering,
    session: Option<(Vec<u8>, LogTime)>,
    /// How many sessions it has had.
    sessions: u64,
    /// The number of its next change.
    number: u64,
    uses_sessions: bool,
    call: Option<(Call, Purpose, Waits)>,
    line: Option<Line>,
    request: u64,
    greeting: Greeting,
    random: Random,
    values: u64,
    keys: u64,
    value_bytes: u64,
    think: u64,
    hands_over: bool,
    /// All nodes that there are.
    nodes: Vec<NodeId>,
    operator: Option<Operator>,
    /// When it is to be looked after, and the number of that look.
    pub(crate) look_at: Option<u64>,
    pub(crate) look: u64,
    /// No new calls are begun.
    pub(crate) is_done: bool,
    /// Calls that were answered, and when the last one was.
    pub(crate) answered: u64,
    pub(crate) answered_at: u64,
}

impl Client {
    pub(crate) fn new(scenario: &Scenario, index: usize) -> Client {
        let mut random = Random::stream(scenario.seed, &format!("client {index}"));
        let moves = scenario.has(Fault::Moves);
        let endpoint = |number: usize| Endpoint {
            // Where nodes move anybody may answer.
            node: NodeId::new(number as u16).filter(|_| !moves),
            label: None,
            address: Address { host: format!("10.0.0.{number}"), port: 3111 },
        };
        let machines = scenario.nodes + scenario.spares;
        let copies = usize::from(scenario.has(Fault::Clones));
        let places = machines + if moves { copies + FREE_PLACES } else { 0 };
        let endpoints: Vec<Endpoint> = (1..=places).map(endpoint).collect();
        let timeout = Duration::from_millis(random.spread(500, 10_000));
        let options = Options { timeout, ..Options::new(endpoints.clone()) };
        // Who calls now and then still takes for the leader who was it long ago.
        let slowness = if random.permille(300) { random.between(2, 20) } else { 1 };
        Client {
            index,
            options,
            finder: Finder::new(endpoints, false, random.next()),
            numbering: Numbering::default(),
            session: None,
            sessions: 0,
            number: 0,
            uses_sessions: random.permille(750),
            call: None,
            line: None,
            request: 0,
            greeting: Greeting::new(Some("simulated"), StartNumber(random.next())),
            values: 0,
            keys: scenario.keys,
            value_bytes: scenario.value_bytes,
            think: scenario.think * slowness,
            hands_over: index == 0 && scenario.has(Fault::Stops),
            nodes: (1..=machines).filter_map(|number| NodeId::new(number as u16)).collect(),
            // Two of them: they get in each other's way.
            operator: (index < 2 && scenario.has(Fault::Changes))
                .then(|| Operator::new(if scenario.has(Fault::Wipes) { 3 } else { 1 })),
            random,
            look_at: Some(0),
            look: 0,
            is_done: false,
            answered: 0,
            answered_at: 0,
        }
    }

    /// The longest pause between two of its calls.
    pub(crate) const fn longest_pause(&self) -> Duration {
        Duration::from_nanos(2 * self.think)
    }

    /// It sees a node start.
    pub(crate) fn sees(&mut self, member: Member, address: &str) {
        if let Some(operator) = &mut self.operator {
            operator.sees(member, address);
        }
    }

    /// All is well from now on, but for what people have to mend.
    pub(crate) const fn be_careful(&mut self) {
        if let Some(operator) = &mut self.operator {
            operator.be_careful();
        }
    }

    /// Whether nothing is under way.
    pub(crate) const fn is_idle(&self) -> bool {
        self.call.is_none()
    }

    /// Whether it asks nothing now, and has a connection to this node.
    pub(crate) fn may_ask(&self, node: NodeId) -> bool {
        let line = self.line.as_ref().filter(|line| line.is_greeted);
        self.is_idle() && line.is_some_and(|line| line.node == Some(node))
    }

    /// Its time has come: a call is begun, or one that waits is told.
    pub(crate) fn time_passes(&mut self, network: &SharedNetwork, history: &mut History) {
        let now = network.borrow().now;
        self.look_at = None;
        if self.call.is_some() {
            if self.waits() == Some(Waits::Answering) {
                // Nobody will read what comes for it.
                self.line = None;
            }
            self.tell(network, history, Event::TimePassed);
        } else if !self.is_done {
            let (ask, purpose) = self.draw(now, history);
            let (call, next) =
                Call::begin(ask, &self.options, &mut self.finder, Time::from_nanos(now));
            self.call = Some((call, purpose, Waits::Pausing));
            self.follow(network, history, next);
        }
    }

    /// Something has happened to its connection.
    pub(crate) fn wakes(&mut self, network: &SharedNetwork, history: &mut History, number: usize) {
        let Some(line) = self.line.as_mut().filter(|line| line.stream.connection == number) else {
            return;
        };
        if !line.is_connected {
            match line.stream.has_connected() {
                Ok(true) => line.is_connected = true,
                Ok(false) => return,
                Err(error) => {
                    self.line = None;
                    return self.unopened(network, history, Unopened::Unreachable(error));
                }
            }
        }
        if let Err(error) = line.channel.write_to(&mut line.stream) {
            return self.broken(network, history, error.kind());
        }
        loop {
            let Some(line) = self.line.as_mut().filter(|line| line.stream.connection == number)
            else {
                return;
            };
            let end = match line.channel.read_from(&mut line.stream, READ_BYTES) {
                Ok(end) => end,
                Err(error) => return self.broken(network, history, error.kind()),
            };
            if !self.take(network, history, number) {
                return;
            }
            match end {
                FillEnd::Budget => {}
                FillEnd::Blocked => return,
                FillEnd::Closed => return self.broken(network, history, ErrorKind::UnexpectedEof),
            }
        }
    }

    /// Takes what has come. Says whether the connection still stands.
    fn take(&mut self, network: &SharedNetwork, history: &mut History, number: usize) -> bool {
        loop {
            let Some(line) = self.line.as_mut().filter(|line| line.stream.connection == number)
            else {
                return false;
            };
            match line.channel.next_event() {
                Ok(None) => return true,
                Ok(Some(ChannelEvent::Greeted(answer))) => match answer.verdict {
                    Verdict::Accepted { .. } => {
                        line.is_greeted = true;
                        line.node = answer.party.member.map(|member| member.id);
                        if self.waits() == Some(Waits::Connecting) {
                            self.tell(network, history, Event::Connected);
                        }
                    }
                    Verdict::Refused { code, text, .. } => {
                        self.line = None;
                        self.unopened(network, history, Unopened::Refused { code, text });
                        return false;
                    }
                },
                Ok(Some(ChannelEvent::Reply(reply))) => {
                    if reply.id == self.request && self.waits() == Some(Waits::Answering) {
                        self.tell(network, history, Event::Replied(reply.body));
                    }
                }
                Ok(Some(ChannelEvent::Goodbye(text))) => {
                    self.lost(network, history, Lost::Goodbye(text));
                    return false;
                }
                Err(error) => {
                    self.lost(network, history, Lost::Malformed(error));
                    return false;
                }
            }
        }
    }

    fn waits(&self) -> Option<Waits> {
        self.call.as_ref().map(|(_, _, waits)| *waits)
    }

    fn unopened(&mut self, network: &SharedNetwork, history: &mut History, unopened: Unopened) {
        if self.waits() == Some(Waits::Connecting) {
            self.tell(network, history, Event::Unopened(unopened));
        }
    }

    fn broken(&mut self, network: &SharedNetwork, history: &mut History, kind: ErrorKind) {
        let was_greeted = self.line.take().is_some_and(|line| line.is_greeted);
        if was_greeted {
            self.lost(network, history, Lost::Cut);
        } else {
            self.unopened(network, history, Unopened::Unreachable(kind.into()));
        }
    }

    fn lost(&mut self, network: &SharedNetwork, history: &mut History, lost: Lost) {
        self.line = None;
        if self.waits() == Some(Waits::Answering) {
            self.tell(network, history, Event::Lost(lost));
        }
    }

    fn tell(&mut self, network: &SharedNetwork, history: &mut History, event: Event) {
        let now = Time::from_nanos(network.borrow().now);
        let Some((call, _, _)) = &mut self.call else { return };
        let next = call.handle(&mut self.finder, now, event);
        self.follow(network, history, next);
    }

    fn follow(&mut self, network: &SharedNetwork, history: &mut History, next: Next) {
        match next {
            Next::Connect { endpoint, until } => {
                self.wait(Waits::Connecting, until);
                self.connect(network, history, endpoint);
            }
            Next::Send { until } => {
                self.wait(Waits::Answering, until);
                self.request += 1;
                let (Some((call, _, _)), Some(line)) = (&self.call, &mut self.line) else { return };
                call.gather(&mut line.channel, self.request);
                if let Err(error) = line.channel.write_to(&mut line.stream) {
                    self.broken(network, history, error.kind());
                }
            }
            Next::Pause { until } => self.wait(Waits::Pausing, until),
            Next::End(result) => self.ended(network, history, result),
        }
    }

    fn wait(&mut self, waits: Waits, until: Time) {
        if let Some((_, _, what)) = &mut self.call {
            *what = waits;
        }
        self.look_later(until.as_nanos());
    }

    pub(crate) fn look_later(&mut self, at: u64) {
        self.look_at = Some(at);
        self.look += 1;
    }

    fn connect(&mut self, network: &SharedNetwork, history: &mut History, endpoint: Endpoint) {
        let is_there = self
            .line
            .as_ref()
            .is_some_and(|line| line.is_greeted && line.endpoint.address == endpoint.address);
        if is_there {
            return self.tell(network, history, Event::Connected);
        }
        let host = endpoint.address.host.parse().unwrap_or([0, 0, 0, 0].into());
        let place = place_of(std::net::SocketAddr::new(host, endpoint.address.port));
        self.line = None;
        let stream = Stream::call(network, Party::Client(self.index), place, PATIENCE);
        let Some(stream) = stream else {
            let nobody = ErrorKind::HostUnreachable;
            return self.unopened(network, history, Unopened::Unreachable(nobody.into()));
        };
        let channel = Channel::new(&self.greeting, endpoint.node);
        self.line = Some(Line {
            stream,
            channel,
            endpoint,
            is_connected: false,
            is_greeted: false,
            node: None,
        });
    }

    fn ended(
        &mut self,
        network: &SharedNetwork,
        history: &mut History,
        result: Result<ReplyBody, Failure>,
    ) {
        let Some((_, purpose, _)) = self.call.take() else { return };
        let now = network.borrow().now;
        let pause = self.random.below(2 * self.think) + 1;
        self.look_later(now + pause);
        if result.as_ref().is_err_and(Failure::is_unreadable) {
            self.line = None;
        }
        match (purpose, result) {
            (Purpose::Opening, Ok(ReplyBody::Answer { log_time, .. })) => self.begin(log_time),
            (Purpose::Recorded(call), result) => self.record(history, now / 1000, call, result),
            (Purpose::Members, Ok(body)) => {
                if let Some(operator) = &mut self.operator {
                    operator.told(&body);
                }
            }
            _ => {}
        }
    }

    fn begin(&mut self, log_time: LogTime) {
        self.sessions += 1;
        let name = format!("client {} {}", self.index, self.sessions).into_bytes();
        self.numbering.begin(Session::new(&name, log_time));
        self.session = Some((name, log_time));
        self.number = 1;
    }

    fn record(
        &mut self,
        history: &mut History,
        time_us: u64,
        call: check::Call,
        result: Result<ReplyBody, Failure>,
    ) {
        match result {
            Ok(ReplyBody::Done { at, answer }) => {
                self.is_answered(time_us);
                match Answer::decode(&answer) {
                    Ok(answer) => history.done(call, time_us, at, &answer),
                    Err(_) => history.unknown(call, time_us),
                }
            }
            Ok(ReplyBody::Answer { read_index, answer, .. }) => {
                self.is_answered(time_us);
                match Answer::decode(&answer) {
                    Ok(answer) => history.seen(call, time_us, read_index, &answer),
                    Err(_) => history.unknown(call, time_us),
                }
            }
            Err(Failure::Refused(refused)) => {
                let why = match refused.reason {
                    Reason::Store(refusal) => Some(refusal),
                    _ => None,
                };
                history.refused(call, time_us, why);
                self.end_session();
            }
            Ok(_) | Err(Failure::Unknown(_)) => {
                journal::mark("world", "outcome unknown to a client");
                history.unknown(call, time_us);
                self.end_session();
            }
        }
    }

    const fn is_answered(&mut self, time_us: u64) {
        self.answered += 1;
        self.answered_at = time_us * 1000;
    }

    /// Another session is begun now and then, and always where one may have been forgotten.
    fn end_session(&mut self) {
        if self.random.permille(300) {
            self.numbering.end();
            self.session = None;
        }
    }

    fn draw(&mut self, now: u64, history: &mut History) -> (Ask, Purpose) {
        if self.hands_over && self.random.permille(40) {
            let to = self.random.pick(&self.nodes).copied().filter(|_| self.random.permille(500));
            return (Ask::transfer(to), Purpose::Transfer);
        }
        let eagerness = self.operator.as_ref().map_or(0, Operator::eagerness);
        if let Some(operator) = self.operator.as_mut().filter(|_| self.random.permille(eagerness)) {
            return (operator.draw(&mut self.random), Purpose::Members);
        }
        if self.uses_sessions && self.session.is_none() {
            let name = format!("client {} {}", self.index, self.sessions + 1);
            let ask = Session::ask(name.as_bytes()).expect("the name is short");
            return (ask, Purpose::Opening);
        }
        let time_us = now / 1000;
        let (kind, number) = (self.random.below(100), self.random.below(self.keys));
        let (key, counter) = (format!("k{number}"), format!("n{number}"));
        self.values += 1;
        let padding = self.random.spread(1, self.value_bytes) as usize;
        // Zeros look like what was never written.
        let filler = if self.random.permille(300) { "\0" } else { "v" };
        let value = format!("{}.{}.{}", self.index, self.values, filler.repeat(padding));
        let (key, counter, value) = (key.as_bytes(), counter.as_bytes(), value.as_bytes());
        let operation = match kind {
            0..25 => Operation::Put { key, value },
            25..45 => Operation::Increment { key: counter, by: self.random.between(1, 9) as i64 },
            45..50 => Operation::Delete { key },
            50..60 => {
                let expected = match self.random.below(2) {
                    0 => Expected::Absent,
                    _ => Expected::Version(self.random.between(1, 4)),
                };
                Operation::CompareAndSwap { key, expected, value }
            }
            _ => return self.question(kind, time_us, key, counter, history),
        };
        let session = self.session.clone();
        let number = session.as_ref().map(|(name, opened_at)| Number {
            session: SessionId { name, opened_at: *opened_at },
            number: self.number,
        });
        let call =
            history.call(time_us, self.index as u32 + 1, Request::Change { operation, number });
        self.number += u64::from(session.is_some());
        let ask = self.numbering.change(operation).expect("values are short");
        (ask, Purpose::Recorded(call))
    }

    fn question(
        &mut self,
        kind: u64,
        time_us: u64,
        key: &[u8],
        counter: &[u8],
        history: &mut History,
    ) -> (Ask, Purpose) {
        let client = self.index as u32 + 1;
        let (consistency, freshness) = match kind {
            90.. => (Consistency::Stale, Freshness::Stale),
            _ => (Consistency::Linearizable, Freshness::Fresh),
        };
        let (query, call) = if kind % 10 == 7 {
            let scan = Scan { prefix: &key[..1], from: b"", limit: 5, ..scan_of_all() };
            let call = history.call(time_us, client, Request::Scan { scan, freshness });
            (Query::Scan(scan), call)
        } else {
            let keys = [key, counter];
            let call = history.call(time_us, client, Request::Get { keys: &keys, freshness });
            (Query::Get { keys: keys.to_vec() }, call)
        };
        let ask = Ask::query(&query, consistency).expect("keys are short");
        (ask, Purpose::Recorded(call))
    }
}

const fn scan_of_all() -> Scan<'static> {
    Scan { prefix: b"", from: b"", limit: 5, max_bytes: 1 << 20, keys_only: false }
}
