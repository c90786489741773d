//! The cases of exactly-once, each as the entries of a log and what they come to.
//!
//! Times are seconds of log time; the sessions time out after 60.

use std::time::Duration;

use super::*;

/// What is applied next. The command of each number adds 1 to a counter.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// It is so late now.
    At(u64),
    /// `Incr(name, opened at, number, lowest)`.
    Incr(&'static str, u64, u64, u64, Comes),
    Open(&'static str, u64, Comes),
    Close(&'static str, u64, Comes),
    /// From now on so many sessions are remembered.
    Sessions(u32),
}

/// What comes of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Comes {
    /// It is carried out: the counter has this value.
    Runs(i64),
    /// It isn't carried out again: the answer is that of the run to this value.
    Again(i64),
    /// The session was opened or closed.
    Done,
    Refused(Refusal),
}

use Comes::{Again, Done, Refused, Runs};
use Step::{At, Close, Incr, Open, Sessions};

const FORGOTTEN: Comes = Refused(Refusal::SessionForgotten);

const fn below(lowest: u64) -> Comes {
    Refused(Refusal::NumberForgotten { lowest })
}

const fn above(lowest: u64) -> Comes {
    Refused(Refusal::AboveWindow { lowest })
}

const fn in_use(seconds: u64) -> Comes {
    Refused(Refusal::SessionInUse { opened_at: LogTime(seconds * SECOND) })
}

const fn ahead(seconds: u64) -> Comes {
    Refused(Refusal::OpeningAhead { now: LogTime(seconds * SECOND) })
}

const NUMBERS: &[(&str, &[Step])] = &[
    (
        "a retry is answered, not carried out",
        &[Incr("s", 5, 1, 1, Runs(1)), Incr("s", 5, 1, 1, Again(1)), Incr("s", 5, 1, 1, Again(1))],
    ),
    (
        "numbers run in any order and each is answered again in any order",
        &[
            Incr("s", 5, 1, 1, Runs(1)),
            Incr("s", 5, 4, 1, Runs(2)),
            Incr("s", 5, 2, 1, Runs(3)),
            Incr("s", 5, 2, 1, Again(3)),
            Incr("s", 5, 4, 1, Again(2)),
            Incr("s", 5, 3, 1, Runs(4)),
            Incr("s", 5, 1, 1, Again(1)),
        ],
    ),
    (
        "numbers below the lowest are forgotten, done or not, and the lowest itself is not",
        &[
            Incr("s", 5, 1, 1, Runs(1)),
            Incr("s", 5, 4, 3, Runs(2)),
            Incr("s", 5, 1, 1, below(3)),
            Incr("s", 5, 2, 1, below(3)),
            Incr("s", 5, 3, 1, Runs(3)),
        ],
    ),
    (
        "a late retry with an old lowest does not bring the lowest back",
        &[
            Incr("s", 5, 1, 1, Runs(1)),
            Incr("s", 5, 5, 5, Runs(2)),
            Incr("s", 5, 6, 1, Runs(3)),
            Incr("s", 5, 4, 1, below(5)),
        ],
    ),
    (
        "a retry may raise the lowest",
        &[
            Incr("s", 5, 1, 1, Runs(1)),
            Incr("s", 5, 2, 1, Runs(2)),
            Incr("s", 5, 2, 2, Again(2)),
            Incr("s", 5, 1, 1, below(2)),
        ],
    ),
    (
        "the window is 1,024 numbers wide from the lowest",
        &[
            Incr("s", 5, 1, 1, Runs(1)),
            Incr("s", 5, 1024, 1, Runs(2)),
            Incr("s", 5, 1025, 1, above(1)),
            Incr("s", 5, 1025, 2, Runs(3)),
            Incr("s", 5, 1, 1, below(2)),
        ],
    ),
    (
        "a number above the window leaves the lowest where it is",
        &[
            Incr("s", 5, 1, 1, Runs(1)),
            Incr("s", 5, 5000, 3, above(3)),
            Incr("s", 5, 1, 1, Again(1)),
            Incr("s", 5, 2, 1, Runs(2)),
        ],
    ),
    (
        "a number far above runs when all below it are given up",
        &[
            Incr("s", 5, 1, 1, Runs(1)),
            Incr("s", 5, 1 << 60, 1 << 60, Runs(2)),
            Incr("s", 5, u64::MAX - 1, u64::MAX - 1, Runs(3)),
            Incr("s", 5, u64::MAX - 1, 1, Again(3)),
            Incr("s", 5, 1, 1, below(u64::MAX - 1)),
        ],
    ),
];

const OPENINGS: &[(&str, &[Step])] = &[
    (
        "only number 1 or an explicit opening opens",
        &[
            Incr("s", 5, 2, 1, FORGOTTEN),
            Incr("s", 5, 1, 1, Runs(1)),
            Incr("s", 5, 2, 1, Runs(2)),
            Open("t", 5, Done),
            Incr("t", 5, 3, 1, Runs(3)),
            Incr("t", 5, 1, 1, Runs(4)),
            Incr("t", 5, 1, 1, Again(4)),
        ],
    ),
    (
        "an opening that is repeated takes nothing away",
        &[
            Open("s", 5, Done),
            Incr("s", 5, 2, 2, Runs(1)),
            Open("s", 5, Done),
            Incr("s", 5, 2, 1, Again(1)),
            Incr("s", 5, 1, 1, below(2)),
        ],
    ),
    (
        "an opening time in the future is refused and may come true",
        &[
            Incr("s", 11, 1, 1, ahead(10)),
            Open("s", 11, ahead(10)),
            Close("s", 11, ahead(10)),
            Incr("s", 11, 2, 1, FORGOTTEN),
            At(11),
            Incr("s", 11, 1, 1, Runs(1)),
        ],
    ),
    (
        "number 1 takes no living session's name, an explicit opening does",
        &[
            Incr("s", 5, 1, 1, Runs(1)),
            Incr("s", 6, 1, 1, in_use(5)),
            Incr("s", 6, 2, 1, FORGOTTEN),
            Incr("s", 5, 1, 1, Again(1)),
            Open("s", 6, Done),
            Incr("s", 6, 1, 1, Runs(2)),
            Incr("s", 5, 1, 1, FORGOTTEN),
            Incr("s", 5, 2, 1, FORGOTTEN),
            Open("s", 5, FORGOTTEN),
            Incr("s", 6, 1, 1, Again(2)),
        ],
    ),
    (
        "a later opening of the name covers the earlier one, also when it is forgotten itself",
        &[
            Incr("s", 5, 1, 1, Runs(1)),
            Open("s", 6, Done),
            At(66),
            Incr("s", 5, 1, 1, FORGOTTEN),
            At(70),
            Incr("s", 5, 1, 1, FORGOTTEN),
            Incr("s", 6, 1, 1, FORGOTTEN),
            Incr("s", 7, 1, 1, Runs(2)),
        ],
    ),
    (
        "a replaced session alone forbids no other opening",
        &[
            Incr("s", 8, 1, 1, Runs(1)),
            Open("s", 9, Done),
            Incr("t", 8, 1, 1, Runs(2)),
            Incr("u", 7, 1, 1, Runs(3)),
        ],
    ),
];

const CLOSINGS: &[(&str, &[Step])] = &[
    (
        "nothing of a closed session takes effect",
        &[
            Incr("s", 5, 1, 1, Runs(1)),
            Close("s", 5, Done),
            Incr("s", 5, 1, 1, FORGOTTEN),
            Incr("s", 5, 2, 2, FORGOTTEN),
            Open("s", 5, FORGOTTEN),
            Close("s", 5, Done),
        ],
    ),
    (
        "a closing that comes before the opening wins",
        &[Close("s", 5, Done), Incr("s", 5, 1, 1, FORGOTTEN), Open("s", 5, FORGOTTEN)],
    ),
    (
        "a closed session's name can be opened by number 1 at a later time",
        &[
            Incr("s", 5, 1, 1, Runs(1)),
            Close("s", 5, Done),
            Incr("s", 6, 1, 1, Runs(2)),
            Incr("s", 5, 1, 1, FORGOTTEN),
            Close("s", 5, Done),
            Incr("s", 6, 1, 1, Again(2)),
        ],
    ),
    (
        "closing does not forbid the opening of others that began earlier",
        &[
            Incr("s", 8, 1, 1, Runs(1)),
            Close("s", 8, Done),
            Incr("t", 7, 1, 1, Runs(2)),
            Incr("u", 8, 1, 1, Runs(3)),
        ],
    ),
    (
        "a session that is not the living one cannot be closed in its place",
        &[
            Incr("s", 5, 1, 1, Runs(1)),
            Close("s", 6, in_use(5)),
            Close("s", 4, Done),
            Incr("s", 5, 1, 1, Again(1)),
        ],
    ),
];

const EVICTIONS: &[(&str, &[Step])] = &[
    (
        "number 1 of an evicted session does not run again",
        &[
            Sessions(1),
            Incr("s", 5, 1, 1, Runs(1)),
            Incr("t", 6, 1, 1, Runs(2)),
            Incr("s", 5, 1, 1, FORGOTTEN),
            Incr("s", 5, 2, 1, FORGOTTEN),
            Open("s", 5, FORGOTTEN),
            Incr("t", 6, 1, 1, Again(2)),
        ],
    ),
    (
        "an opening equal to or earlier than the latest forgotten one is refused, of any name",
        &[
            Sessions(1),
            Incr("s", 5, 1, 1, Runs(1)),
            Incr("t", 6, 1, 1, Runs(2)),
            Incr("u", 5, 1, 1, FORGOTTEN),
            Incr("u", 4, 1, 1, FORGOTTEN),
            Open("u", 5, FORGOTTEN),
            Close("u", 5, Done),
            Incr("u", 6, 1, 1, Runs(3)),
            Incr("v", 6, 1, 1, FORGOTTEN),
            Incr("v", 7, 1, 1, Runs(4)),
        ],
    ),
    (
        "a session opened again at a later time is a new one",
        &[
            Sessions(1),
            Incr("s", 5, 1, 1, Runs(1)),
            Incr("t", 6, 1, 1, Runs(2)),
            Incr("s", 7, 1, 1, Runs(3)),
            Incr("s", 5, 1, 1, FORGOTTEN),
            Incr("s", 7, 1, 1, Again(3)),
            Incr("t", 6, 1, 1, FORGOTTEN),
        ],
    ),
    (
        "what is longest inactive goes first, and a retry counts as activity",
        &[
            Sessions(2),
            Incr("s", 5, 1, 1, Runs(1)),
            Incr("t", 6, 1, 1, Runs(2)),
            Incr("s", 5, 1, 1, Again(1)),
            Incr("u", 7, 1, 1, Runs(3)),
            Incr("t", 6, 1, 1, FORGOTTEN),
            Incr("s", 5, 1, 1, Again(1)),
            Incr("u", 7, 1, 1, Again(3)),
        ],
    ),
    (
        "a refusal does not count as activity",
        &[
            Sessions(2),
            Incr("s", 5, 2, 1, FORGOTTEN),
            Incr("s", 5, 1, 1, Runs(1)),
            Incr("t", 6, 1, 1, Runs(2)),
            Incr("s", 5, 2000, 1, above(1)),
            Incr("u", 7, 1, 1, Runs(3)),
            Incr("s", 5, 1, 1, FORGOTTEN),
            Incr("t", 6, 1, 1, Again(2)),
        ],
    ),
    (
        "a living session may have opened earlier than the latest forgotten one",
        &[
            Sessions(2),
            Incr("s", 9, 1, 1, Runs(1)),
            Incr("t", 5, 1, 1, Runs(2)),
            Incr("u", 10, 1, 1, Runs(3)),
            Incr("t", 5, 1, 1, Again(2)),
            Incr("t", 5, 2, 2, Runs(4)),
            Incr("s", 9, 1, 1, FORGOTTEN),
        ],
    ),
    (
        "fewer sessions from now on: the rest is forgotten at once",
        &[
            Incr("s", 5, 1, 1, Runs(1)),
            Incr("t", 6, 1, 1, Runs(2)),
            Incr("u", 7, 1, 1, Runs(3)),
            Sessions(1),
            Incr("t", 6, 1, 1, FORGOTTEN),
            Incr("s", 5, 1, 1, FORGOTTEN),
            Incr("u", 7, 1, 1, Again(3)),
        ],
    ),
];

const EXPIRIES: &[(&str, &[Step])] = &[
    (
        "a session expires when its time has passed since its last command, not before",
        &[
            Incr("s", 5, 1, 1, Runs(1)),
            At(69),
            Incr("s", 5, 1, 1, Again(1)),
            At(128),
            Incr("s", 5, 2, 1, Runs(2)),
            At(188),
            Incr("s", 5, 2, 1, FORGOTTEN),
            Incr("s", 5, 1, 1, FORGOTTEN),
            Incr("s", 6, 1, 1, Runs(3)),
        ],
    ),
    (
        "an explicit opening that is repeated keeps a session alive",
        &[Open("s", 5, Done), At(60), Open("s", 5, Done), At(110), Incr("s", 5, 1, 1, Runs(1))],
    ),
    (
        "a closed session expires like any other, and its opening stays refused",
        &[
            Incr("s", 5, 1, 1, Runs(1)),
            Close("s", 5, Done),
            At(100),
            Incr("s", 5, 1, 1, FORGOTTEN),
            Open("s", 5, FORGOTTEN),
            Incr("t", 5, 1, 1, FORGOTTEN),
            Incr("t", 6, 1, 1, Runs(2)),
        ],
    ),
];

#[test]
fn retries_and_numbers() {
    NUMBERS.iter().for_each(run);
}

#[test]
fn openings() {
    OPENINGS.iter().for_each(run);
}

#[test]
fn closings() {
    CLOSINGS.iter().for_each(run);
}

#[test]
fn evictions() {
    EVICTIONS.iter().for_each(run);
}

#[test]
fn expiries() {
    EXPIRIES.iter().for_each(run);
}

const fn session(name: &str, seconds: u64) -> SessionId<'_> {
    SessionId { name: name.as_bytes(), opened_at: LogTime(seconds * SECOND) }
}

fn run((case, steps): &(&str, &[Step])) {
    let mut fed = Fed { time: 10 * SECOND, ..Fed::default() };
    let mut settings = Settings { session_timeout: Duration::from_secs(60), ..Settings::default() };
    fed.set(settings);
    let mut ran_at = vec![Index(0)];
    for (at, step) in steps.iter().enumerate() {
        let before = fed.value(b"counter");
        let (command, expected) = match *step {
            At(seconds) => {
                fed.time = seconds * SECOND;
                continue;
            }
            Sessions(max_sessions) => {
                settings.max_sessions = max_sessions;
                fed.set(settings);
                continue;
            }
            Incr(name, opened_at, number, lowest, expected) => {
                let part = SessionPart { id: session(name, opened_at), number, lowest };
                let operation = Operation::Increment { key: b"counter", by: 1 };
                (Command::Change { session: Some(part), operation }, expected)
            }
            Open(name, opened_at, expected) => {
                (Command::OpenSession(session(name, opened_at)), expected)
            }
            Close(name, opened_at, expected) => {
                (Command::CloseSession(session(name, opened_at)), expected)
            }
        };
        let (index, answer) = fed.command(&command);
        let answer = Answer::decode(&answer).unwrap();
        let here = fed.machine.applied().index;
        let place = format!("{case}: step {at}, {step:?}");
        let (expected_index, expected_answer) = match expected {
            Runs(value) => {
                ran_at.push(here);
                (here, Answer::Incremented { value, version: value as u64 })
            }
            Again(value) => {
                (ran_at[value as usize], Answer::Incremented { value, version: value as u64 })
            }
            Done if matches!(command, Command::OpenSession(_)) => (here, Answer::SessionOpened),
            Done => (here, Answer::SessionClosed),
            Refused(refusal) => (here, Answer::Refused(refusal)),
        };
        assert_eq!((index, answer), (expected_index, expected_answer), "{place}");
        let ran = matches!(expected, Runs(_));
        assert_eq!(fed.value(b"counter") != before, ran, "{place}");
    }
}

#[test]
fn a_refusal_that_the_state_decided_is_remembered() {
    let mut fed = Fed { time: 10 * SECOND, ..Fed::default() };
    fed.put(b"counter", b"9223372036854775807");
    let increment = |number| Command::Change {
        session: Some(SessionPart { id: session("s", 5), number, lowest: 1 }),
        operation: Operation::Increment { key: b"counter", by: 1 },
    };
    let (first, answer) = fed.command(&increment(1));
    assert_eq!(Answer::decode(&answer), Ok(Answer::Refused(Refusal::Overflow)));
    fed.put(b"counter", b"1");
    assert_eq!(fed.command(&increment(1)), (first, answer));
    assert_eq!(fed.value(b"counter").unwrap(), b"1");
    let (_, answer) = fed.command(&increment(2));
    assert_eq!(Answer::decode(&answer), Ok(Answer::Incremented { value: 2, version: 3 }));
}

#[test]
fn the_answers_of_all_sessions_keep_to_their_bound_of_bytes() {
    let mut fed = Fed { time: 10 * SECOND, ..Fed::default() };
    fed.set(Settings { max_answer_bytes: 8 << 20, ..Settings::default() });
    fed.put(b"k", &[b'x'; TOLD_VALUE_BYTES as usize]);
    let fails = Operation::CompareAndSwap { key: b"k", expected: Expected::Absent, value: b"" };
    let mut fill = |name, number| {
        let part = SessionPart { id: session(name, 5), number, lowest: 1 };
        let (_, answer) = fed.command(&Command::Change { session: Some(part), operation: fails });
        let refused = matches!(Answer::decode(&answer).unwrap(), Answer::Refused(_));
        (refused, fed.machine.sessions())
    };
    for number in 1..=1000 {
        assert_eq!(fill("s", number), (false, 1));
    }
    let evicted_at = (1..=1024).find(|&number| fill("t", number).1 == 1).unwrap();
    assert!((900..1024).contains(&evicted_at), "{evicted_at}");
    assert_eq!(fill("s", 1), (true, 1), "its first number was evicted with it");
    assert_eq!(fill("t", 1), (false, 1));
}

#[test]
fn answers_that_are_no_longer_waited_for_count_no_more() {
    let mut fed = Fed { time: 10 * SECOND, ..Fed::default() };
    fed.set(Settings { max_answer_bytes: 8 << 20, ..Settings::default() });
    fed.put(b"k", &[b'x'; TOLD_VALUE_BYTES as usize]);
    let fails = Operation::CompareAndSwap { key: b"k", expected: Expected::Absent, value: b"" };
    fed.command(&Command::OpenSession(session("idle", 5)));
    let forgotten_by = |fed: &mut Fed, name, opened_at, numbers: std::ops::Range<u64>| {
        for number in numbers {
            let id = session(name, opened_at);
            let part = SessionPart { id, number, lowest: number.saturating_sub(900).max(1) };
            fed.command(&Command::Change { session: Some(part), operation: fails });
        }
        fed.machine.view().session(b"idle").is_none()
    };
    assert!(!forgotten_by(&mut fed, "s", 5, 1..5000), "those below the lowest were given up");
    fed.command(&Command::CloseSession(session("s", 5)));
    assert!(!forgotten_by(&mut fed, "t", 5, 1..1000), "those of the closed session went with it");
    fed.command(&Command::OpenSession(session("t", 6)));
    assert!(!forgotten_by(&mut fed, "t", 6, 1..1000), "and those of the replaced one");
    assert!(!forgotten_by(&mut fed, "u", 5, 1..1000));
    assert!(forgotten_by(&mut fed, "v", 5, 1..1000), "three times 900 are too many");
}
