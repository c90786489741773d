//! The rules of one request, whatever happens, in whatever order.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use super::asked::{Asked, cut, nobody_listens, numbered_write, read, write};
use super::parts::{encoded, endpoint};
use crate::client::{Ask, Call, Event, Failure, Finder, Lost, Next, Options, Unopened};
use crate::kv::{Answer, Refusal};
use crate::model::{Index, LogId, LogTime, NodeId, Term, Time};
use crate::wire::{HelloRefusal, LeaderHint, RefusalCode, ReplyBody};

#[derive(Clone, Copy, Debug)]
struct Whim {
    what: u8,
    code: u8,
    port: u16,
    term: u64,
    /// How much of the time that is given passes before.
    after: u8,
}

fn whims() -> impl Strategy<Value = Vec<Whim>> {
    let whim = (any::<u8>(), any::<u8>(), 1..6_u16, 0..5_u64, any::<u8>())
        .prop_map(|(what, code, port, term, after)| Whim { what, code, port, term, after });
    vec(whim, 1..60)
}

/// What is asked, whether it may be repeated, and whether it changes anything.
fn asks() -> impl Strategy<Value = (Ask, bool, bool)> {
    prop_oneof![
        3 => Just((write(), false, true)),
        3 => Just((numbered_write(), true, true)),
        1 => Just((read(), true, false)),
        1 => Just((Ask::transfer(None), false, true)),
        1 => Just((Ask::status(), true, false)),
    ]
}

fn answers(whim: Whim) -> Answer<'static> {
    let refusals = [
        Refusal::NotANumber,
        Refusal::SessionForgotten,
        Refusal::AboveWindow { lowest: 1 },
        Refusal::SessionInUse { opened_at: LogTime(1) },
    ];
    match refusals.get(usize::from(whim.code % 8)) {
        Some(refusal) => Answer::Refused(*refusal),
        None => Answer::Put { version: 1 },
    }
}

/// What has become of the attempts, seen from outside.
#[derive(Default, Debug)]
struct Truth {
    sent: usize,
    /// So many attempts may have taken effect, or may yet.
    may_have: usize,
    /// The store has decided.
    decided: bool,
    forgotten: bool,
}

impl Truth {
    /// An answer to what was sent.
    fn reply(&mut self, ask: &Ask, whim: Whim) -> Event {
        let refused = |code| {
            let leader = (whim.port < 5).then(|| LeaderHint {
                id: NodeId::new(2).unwrap(),
                term: Term(whim.term),
                address: format!("127.0.0.1:{}", whim.port),
            });
            Event::Replied(ReplyBody::Refused { code, leader, text: String::new() })
        };
        match whim.what % 16 {
            0..8 => {
                let codes = RefusalCode::ALL;
                return refused(codes[usize::from(whim.code) % codes.len()]);
            }
            8 => {
                let answer = answers(whim);
                let at = LogId::new(Term(1), Index(1));
                let body = ReplyBody::Done { at, answer: encoded(&answer) };
                match answer {
                    // Nobody knows what a node did that answers so.
                    _ if !ask.is_answered_by(&body) => self.may_have += 1,
                    Answer::Refused(Refusal::SessionForgotten) => self.forgotten = true,
                    Answer::Refused(Refusal::NotANumber) => self.decided = true,
                    Answer::Refused(_) => {}
                    _ => self.may_have += 1,
                }
                return Event::Replied(body);
            }
            _ => self.may_have += 1,
        }
        match whim.what % 16 {
            9 => Event::Replied(ReplyBody::Pong),
            10..12 => Event::Replied(ReplyBody::Unknown { text: String::new() }),
            12 => Event::Lost(Lost::Goodbye("stopping".to_owned())),
            13 => Event::TimePassed,
            _ => cut(),
        }
    }
}

fn at_the_door(whim: Whim) -> Event {
    match whim.what % 8 {
        0 => nobody_listens(),
        1 => Event::TimePassed,
        2 => Event::Unopened(Unopened::Refused {
            code: HelloRefusal::ALL[usize::from(whim.code) % HelloRefusal::ALL.len()],
            text: String::new(),
        }),
        _ => Event::Connected,
    }
}

fn run(ask: &(Ask, bool, bool), mut asked: Asked, whims: &[Whim]) {
    let (ask, is_repeatable, has_effect) = ask;
    let mut truth = Truth::default();
    for (step, whim) in whims.iter().cycle().enumerate() {
        assert!(step < 20_000, "it goes round in circles");
        let Some(until) = asked.until() else { break };
        assert!(asked.now <= until && until <= asked.deadline);
        let event = match asked.next {
            Next::Connect { .. } => at_the_door(*whim),
            Next::Send { .. } => {
                truth.sent += 1;
                assert!(*is_repeatable || truth.may_have == 0, "sent again: {truth:?}");
                truth.reply(ask, *whim)
            }
            _ => Event::TimePassed,
        };
        asked.now = match event {
            Event::TimePassed => until,
            _ => asked.now + until.since(asked.now) * u32::from(whim.after) / 2550,
        };
        asked.happens(event);
    }
    match asked.next {
        Next::End(Err(Failure::Refused(refused))) => {
            let nothing = truth.may_have == 0 || truth.decided || !has_effect;
            assert!(nothing, "{} though {truth:?}", refused.reason);
        }
        Next::End(Err(Failure::Unknown(unknown))) => {
            let open = *has_effect && (truth.may_have > 0 || truth.forgotten);
            assert!(open, "{} though {truth:?}", unknown.doubt);
        }
        Next::End(Ok(_)) => assert!(truth.sent > 0),
        other => panic!("it hasn't ended: {other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn whatever_happens_it_ends_in_time_is_not_sent_twice_and_tells_the_truth(
        ask in asks(),
        timeout_ms in 1..8_000_u64,
        patient in any::<bool>(),
        fixed in any::<bool>(),
        nodes in 1..4_u16,
        seed in any::<u64>(),
        whims in whims(),
    ) {
        let options = Options {
            endpoints: (1..=nodes).map(endpoint).collect(),
            timeout: Duration::from_millis(timeout_ms),
            patient,
            fixed,
            ..Options::new(vec![endpoint(1)])
        };
        let mut finder = Finder::new(options.endpoints.clone(), fixed, seed);
        let now = Time::from_nanos(seed >> 8);
        let (call, next) = Call::begin(ask.0.clone(), &options, &mut finder, now);
        let deadline = now + options.timeout;
        run(&ask, Asked { deadline, options, finder, now, call, next }, &whims);
    }
}
