//! What clients asked and were told, and when.

use std::collections::BTreeMap;

use raft_node::kv::{self, Answer, Item, Refusal, Scan, SessionId};
use raft_node::model::{Index, LogId, LogTime};

use super::changes::{changes, reads};
use super::values::{Content, Key, Names, Sight};
use super::{Check, Verdict, indexes, real_time, sums};

/// What the clients of a cluster asked and were told.
///
/// All times are in microseconds of simulated time. A call and a return at the same time
/// overlap. What hasn't returned when the history is checked counts as unknown.
///
/// ```
/// use raft_node::kv::{Answer, Operation};
/// use raft_node::model::{Index, LogId, Term};
/// use raft_sim::check::{Freshness, History, Request};
///
/// let mut history = History::new();
/// let operation = Operation::Put { key: b"k", value: b"v" };
/// let put = history.call(10, 1, Request::Change { operation, number: None });
/// history.done(put, 20, LogId::new(Term(1), Index(2)), &Answer::Put { version: 1 });
///
/// let get = history.call(30, 2, Request::Get { keys: &[b"k"], freshness: Freshness::Fresh });
/// history.seen(get, 40, Index(2), &Answer::Values(vec![None]));
/// let verdict = history.check();
/// println!("{verdict}");
/// ```
#[derive(Clone, Debug, Default)]
pub struct History {
    pub(super) operations: Vec<Operation>,
    pub(super) keys: Names,
    pub(super) texts: Names,
    numbers: BTreeMap<(Vec<u8>, LogTime, u64), u32>,
}

/// One call of a history.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Call(pub(super) u32);

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub enum Request<'a> {
    /// A change of a key.
    Change {
        /// The change.
        operation: kv::Operation<'a>,
        /// What makes it take effect once. Calls with the same number are the same change.
        number: Option<Number<'a>>,
    },
    /// The values of these keys.
    Get {
        /// The keys.
        keys: &'a [&'a [u8]],
        /// How fresh they must be.
        freshness: Freshness,
    },
    /// A page of keys.
    Scan {
        /// Which page.
        scan: Scan<'a>,
        /// How fresh it must be.
        freshness: Freshness,
    },
}

/// The number of a change in a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Number<'a> {
    /// The session.
    pub session: SessionId<'a>,
    /// The number.
    pub number: u64,
}

/// How fresh what is read must be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Freshness {
    /// It shows everything that was done before the read was called.
    Fresh,
    /// It shows the state at one index, however old.
    Stale,
}

/// A call and what came of it.
#[derive(Clone, Debug)]
pub(super) struct Operation {
    pub(super) client: u32,
    pub(super) called_us: u64,
    /// When it returned, if it has.
    pub(super) ended_us: Option<u64>,
    pub(super) asked: Asked,
    pub(super) outcome: Outcome,
}

#[derive(Clone, Debug)]
pub(super) enum Asked {
    Change { key: Key, change: Change, number: Option<u32> },
    Get { keys: Vec<Key>, freshness: Freshness },
    Scan { page: Page, freshness: Freshness },
    Contents,
}

#[derive(Clone, Debug)]
pub(super) struct Page {
    pub(super) prefix: Vec<u8>,
    pub(super) from: Vec<u8>,
    pub(super) limit: u32,
}

/// A change of one key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Change {
    Put(Content),
    Delete,
    Swap { expected: Expected, value: Content },
    Increment(i64),
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Expected {
    Absent,
    Value(Content),
    Version(u64),
}

#[derive(Clone, Debug)]
pub(super) enum Outcome {
    /// It hasn't returned, or nobody knows what came of it.
    Unknown,
    /// It had no effect.
    Refused,
    /// A change came to this; `at` is absent where the state refused it, which tells no entry.
    Done { at: Option<LogId>, told: Told },
    /// A read showed the state at this index.
    Seen { index: Index, sights: Vec<(Key, Sight)>, end: End },
    /// The answer isn't one to what was asked.
    Absurd(String),
}

/// What a change was told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Told {
    Put { version: u64 },
    Deleted { existed: bool },
    Swapped { version: u64 },
    NotSwapped(Sight),
    Incremented { value: i64, version: u64 },
    NotANumber,
    Overflow,
}

/// How far a read has seen.
#[derive(Clone, Debug)]
pub(super) enum End {
    /// Only the keys that it names.
    Named,
    /// All keys of the page up to its end.
    Last,
    /// All keys of the page below this one.
    Below(Vec<u8>),
}

impl Call {
    /// Its place among the calls of its history, from 0.
    #[must_use]
    pub const fn place(self) -> usize {
        self.0 as usize
    }
}

impl History {
    /// The history in which nothing has happened.
    #[must_use]
    pub fn new() -> History {
        History::default()
    }

    /// How many calls it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.operations.len()
    }

    /// Whether nothing has happened.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// A client calls.
    pub fn call(&mut self, time_us: u64, client: u32, request: Request<'_>) -> Call {
        let asked = match request {
            Request::Change { operation, number } => Asked::Change {
                key: self.key(operation.key()),
                change: self.change(&operation),
                number: number.map(|number| self.number(&number)),
            },
            Request::Get { keys, freshness } => {
                let keys = keys.iter().map(|key| self.key(key)).collect();
                Asked::Get { keys, freshness }
            }
            Request::Scan { scan, freshness } => {
                let (prefix, from) = (scan.prefix.to_vec(), scan.from.to_vec());
                Asked::Scan { page: Page { prefix, from, limit: scan.limit }, freshness }
            }
        };
        let outcome = Outcome::Unknown;
        let operation = Operation { client, called_us: time_us, ended_us: None, asked, outcome };
        self.operations.push(operation);
        let number = self.operations.len() - 1;
        Call(u32::try_from(number).expect("a history has less than 2^32 calls"))
    }

    /// A change was carried out by the entry `at`.
    pub fn done(&mut self, call: Call, time_us: u64, at: LogId, answer: &Answer<'_>) {
        let asked = &self.operations[call.place()].asked;
        let outcome = match self.told(asked.clone(), answer) {
            Some(told) => Outcome::Done { at: Some(at), told },
            None => Outcome::Absurd(format!("{answer:?}")),
        };
        self.end(call, time_us, outcome);
    }

    /// A read was answered from the state at `index`.
    pub fn seen(&mut self, call: Call, time_us: u64, index: Index, answer: &Answer<'_>) {
        let asked = self.operations[call.place()].asked.clone();
        let outcome = match (&asked, answer) {
            (Asked::Get { keys, .. }, Answer::Values(items))
                if (1..=keys.len()).contains(&items.len()) =>
            {
                let sight = |(key, item): (&Key, &Option<Item<'_>>)| {
                    (*key, Sight::of_item(*item, &mut self.texts))
                };
                let sights = keys.iter().zip(items).map(sight).collect();
                Outcome::Seen { index, sights, end: End::Named }
            }
            (Asked::Scan { page, .. }, Answer::Page { items, cursor })
                if page.allows(items, *cursor) =>
            {
                let mut sights = Vec::with_capacity(items.len());
                for item in items {
                    let sight = Sight::of_page_item(item, &mut self.texts);
                    sights.push((self.key(item.key), sight));
                }
                let end = cursor.map_or(End::Last, |cursor| End::Below(cursor.to_vec()));
                Outcome::Seen { index, sights, end }
            }
            _ => Outcome::Absurd(format!("{answer:?}")),
        };
        self.end(call, time_us, outcome);
    }

    /// A call had no effect and never will. `why` is what the store says, where it refused when
    /// the change's turn came.
    pub fn refused(&mut self, call: Call, time_us: u64, why: Option<Refusal>) {
        let outcome = match why {
            Some(Refusal::NotANumber) => Outcome::Done { at: None, told: Told::NotANumber },
            Some(Refusal::Overflow) => Outcome::Done { at: None, told: Told::Overflow },
            _ => Outcome::Refused,
        };
        self.end(call, time_us, outcome);
    }

    /// Nobody knows what came of a call: it may be done at any time from the call on, or never.
    pub fn unknown(&mut self, call: Call, time_us: u64) {
        self.end(call, time_us, Outcome::Unknown);
    }

    /// All that a node holds at `index`, seen when all clients were done. It must show everything
    /// that was acknowledged until then.
    pub fn contents<'a>(
        &mut self,
        time_us: u64,
        index: Index,
        items: impl IntoIterator<Item = (&'a [u8], Item<'a>)>,
    ) {
        let mut sights = Vec::new();
        for (key, item) in items {
            sights.push((self.key(key), Sight::of_item(Some(item), &mut self.texts)));
        }
        self.operations.push(Operation {
            client: 0,
            called_us: time_us,
            ended_us: Some(time_us),
            asked: Asked::Contents,
            outcome: Outcome::Seen { index, sights, end: End::Last },
        });
    }

    /// Whether a correct store could have given it.
    pub fn check(&self) -> Verdict {
        let mut verdict = Verdict::default();
        self.check_form(&mut verdict);
        let changes = changes(self, &mut verdict);
        let reads = reads(self);
        let order = indexes::check(self, &changes, &reads, &mut verdict);
        sums::check(self, &changes, &reads, &mut verdict);
        real_time::check(self, &changes, &reads, &order, &mut verdict);
        verdict
    }

    fn check_form(&self, verdict: &mut Verdict) {
        for (place, operation) in self.operations.iter().enumerate() {
            if let Outcome::Absurd(_) = operation.outcome {
                let text = "the answer isn't one to what was asked";
                verdict.found(self, Check::Form, None, text, &[place]);
            }
        }
    }

    fn end(&mut self, call: Call, time_us: u64, outcome: Outcome) {
        let operation = &mut self.operations[call.place()];
        assert!(operation.ended_us.is_none(), "a call returns once");
        assert!(operation.called_us <= time_us, "a call returns after it was called");
        operation.ended_us = Some(time_us);
        operation.outcome = outcome;
    }

    fn key(&mut self, key: &[u8]) -> Key {
        Key(self.keys.number(key))
    }

    fn number(&mut self, number: &Number<'_>) -> u32 {
        let SessionId { name, opened_at } = number.session;
        let next = u32::try_from(self.numbers.len()).expect("a history has less than 2^32 calls");
        *self.numbers.entry((name.to_vec(), opened_at, number.number)).or_insert(next)
    }

    fn change(&mut self, operation: &kv::Operation<'_>) -> Change {
        match operation {
            kv::Operation::Put { value, .. } => Change::Put(Content::of(value, &mut self.texts)),
            kv::Operation::Delete { .. } => Change::Delete,
            kv::Operation::CompareAndSwap { expected, value, .. } => {
                let expected = match expected {
                    kv::Expected::Absent => Expected::Absent,
                    kv::Expected::Value(value) => {
                        Expected::Value(Content::of(value, &mut self.texts))
                    }
                    kv::Expected::Version(version) => Expected::Version(*version),
                };
                Change::Swap { expected, value: Content::of(value, &mut self.texts) }
            }
            kv::Operation::Increment { by, .. } => Change::Increment(*by),
        }
    }

    fn told(&mut self, asked: Asked, answer: &Answer<'_>) -> Option<Told> {
        let Asked::Change { change, .. } = asked else { return None };
        Some(match (change, answer) {
            (Change::Put(_), Answer::Put { version }) => Told::Put { version: *version },
            (Change::Delete, Answer::Deleted { existed }) => Told::Deleted { existed: *existed },
            (Change::Swap { .. }, Answer::Swapped { version }) => {
                Told::Swapped { version: *version }
            }
            (Change::Swap { .. }, Answer::NotSwapped(found)) => {
                Told::NotSwapped(Sight::of_found(found, &mut self.texts))
            }
            (Change::Increment(_), Answer::Incremented { value, version }) => {
                Told::Incremented { value: *value, version: *version }
            }
            (Change::Increment(_), Answer::Refused(Refusal::NotANumber)) => Told::NotANumber,
            (Change::Increment(_), Answer::Refused(Refusal::Overflow)) => Told::Overflow,
            _ => return None,
        })
    }
}

impl Page {
    /// Whether keys and cursor are in order, within the page and no more than were asked for.
    fn allows(&self, items: &[kv::PageItem<'_>], cursor: Option<&[u8]>) -> bool {
        let keys: Vec<&[u8]> = items.iter().map(|item| item.key).chain(cursor).collect();
        let is_within = |key: &&[u8]| key.starts_with(&self.prefix) && **key >= *self.from;
        items.len() <= self.limit as usize
            && keys.iter().all(is_within)
            && keys.windows(2).all(|pair| pair[0] < pair[1])
    }
}
