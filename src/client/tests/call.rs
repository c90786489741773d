//! The rules of one request, told what happens without any socket.

use std::io;
use std::time::Duration;

use super::fake::{encoded, endpoint};
use crate::client::{
    Ask, AttemptResult, Call, Channel, Doubt, Event, Failure, Finder, Greeting, Lost, Next,
    Numbering, Options, Reason, Seen, Session, Unopened,
};
use crate::kv::{Answer, Command, Operation, Query, Refusal, SessionState};
use crate::model::{Index, LogId, LogTime, NodeId, StartNumber, Term, Time};
use crate::wire::{
    Consistency, FrameReader, HelloRefusal, Incoming, LeaderHint, RefusalCode, ReplyBody, Request,
    RequestBody,
};

const PUT: Operation<'static> = Operation::Put { key: b"k", value: b"v" };
const TIMEOUT: Duration = Duration::from_secs(6);
const SHARE: Duration = Duration::from_secs(2);

/// Nodes at the ports 1 to 3, asked in this order, and a request to them.
struct Asked {
    options: Options,
    finder: Finder,
    now: Time,
    deadline: Time,
    call: Call,
    next: Next,
}

fn asked(ask: Ask) -> Asked {
    asked_with(ask, |_| {})
}

fn asked_with(ask: Ask, change: impl FnOnce(&mut Options)) -> Asked {
    let mut options = Options { timeout: TIMEOUT, ..Options::new((1..=3).map(endpoint).collect()) };
    change(&mut options);
    let mut finder = Finder::new(options.endpoints.clone(), options.fixed, 0);
    let now = Time::from_nanos(1_000_000);
    let (call, next) = Call::begin(ask, &options, &mut finder, now);
    Asked { deadline: now + options.timeout, options, finder, now, call, next }
}

impl Asked {
    fn happens(&mut self, event: Event) {
        self.next = self.call.handle(&mut self.finder, self.now, event);
    }

    /// The node that is to be connected to now.
    #[track_caller]
    fn connects_to(&self) -> u16 {
        match &self.next {
            Next::Connect { endpoint, .. } => endpoint.address.port,
            other => panic!("no connection, but {other:?}"),
        }
    }

    /// Sends it to the node whose turn it is. Gives its port.
    #[track_caller]
    fn sends_to(&mut self) -> u16 {
        let port = self.connects_to();
        self.happens(Event::Connected);
        assert!(matches!(self.next, Next::Send { .. }), "{:?}", self.next);
        port
    }

    fn is_refused(&mut self, code: RefusalCode) {
        self.is_referred(code, None);
    }

    /// Refused by a node that names the leader of a term.
    fn is_referred(&mut self, code: RefusalCode, leader: Option<(u64, u16)>) {
        let leader = leader.map(|(term, port)| LeaderHint {
            id: NodeId::new(2).unwrap(),
            term: Term(term),
            address: format!("127.0.0.1:{port}"),
        });
        let text = code.meaning().to_owned();
        self.happens(Event::Replied(ReplyBody::Refused { code, leader, text }));
    }

    fn is_answered(&mut self, answer: &Answer<'_>) {
        let at = LogId::new(Term(3), Index(5));
        self.happens(Event::Replied(ReplyBody::Done { at, answer: encoded(answer) }));
    }

    fn until(&self) -> Option<Time> {
        match self.next {
            Next::Connect { until, .. } | Next::Send { until } | Next::Pause { until } => {
                Some(until)
            }
            Next::End(_) => None,
        }
    }

    /// Lets the time pass until something is due. Gives how long that is.
    #[track_caller]
    fn waits(&mut self) -> Duration {
        let until = self.until().expect("it goes on");
        let waited = until.since(self.now);
        self.now = until;
        self.happens(Event::TimePassed);
        waited
    }

    #[track_caller]
    fn is_done(self) -> ReplyBody {
        match self.next {
            Next::End(Ok(body)) => body,
            other => panic!("not done: {other:?}"),
        }
    }

    #[track_caller]
    fn is_failed(self) -> Failure {
        match self.next {
            Next::End(Err(failure)) => failure,
            other => panic!("no failure: {other:?}"),
        }
    }

    #[track_caller]
    fn reason(self) -> Reason {
        match self.is_failed() {
            Failure::Refused(refused) => refused.reason,
            Failure::Unknown(unknown) => panic!("not known: {unknown}"),
        }
    }

    #[track_caller]
    fn doubt(self) -> Doubt {
        match self.is_failed() {
            Failure::Unknown(unknown) => unknown.doubt,
            Failure::Refused(refused) => panic!("refused: {refused}"),
        }
    }
}

fn write() -> Ask {
    Numbering::default().change(PUT).unwrap()
}

fn numbered_write() -> Ask {
    let mut numbering = Numbering::default();
    numbering.begin(Session::new(b"s", LogTime(77)));
    numbering.change(PUT).unwrap()
}

fn read() -> Ask {
    Ask::query(&Query::Get { keys: vec![b"k"] }, Consistency::Linearizable).unwrap()
}

fn cut() -> Event {
    Event::Lost(Lost::Cut)
}

fn nobody_listens() -> Event {
    Event::Unopened(Unopened::Unreachable(io::Error::from(io::ErrorKind::ConnectionRefused)))
}

/// What the call sends, as a node reads it.
fn sent(call: &Call) -> Request {
    let mut channel = Channel::new(&Greeting::new(None, StartNumber(1)), None);
    call.gather(&mut channel, 9);
    let mut bytes = Vec::new();
    channel.write_to(&mut bytes).unwrap();
    let mut reader = FrameReader::accepting();
    reader.fill(&mut &bytes[..], bytes.len()).unwrap();
    reader.hello().unwrap().unwrap();
    match reader.frame().unwrap().unwrap().decode().unwrap() {
        Incoming::Request(request) => request,
        other => panic!("no request: {other:?}"),
    }
}

/// What a change says of its session: number, lowest, when it was opened.
fn session_of(ask: Ask) -> Option<(u64, u64, LogTime)> {
    let mut asked = asked(ask);
    asked.sends_to();
    let RequestBody::Write(command) = sent(&asked.call).body else { panic!() };
    match Command::decode(&command).unwrap() {
        Command::Change { session, .. } => {
            session.map(|part| (part.number, part.lowest, part.id.opened_at))
        }
        other => panic!("no change: {other:?}"),
    }
}

#[test]
fn the_first_answer_ends_it() {
    let mut write = asked(write());
    assert_eq!(write.sends_to(), 1);
    write.is_answered(&Answer::Put { version: 1 });
    assert!(matches!(write.is_done(), ReplyBody::Done { .. }));
}

#[test]
fn a_request_goes_out_with_its_number_and_the_time_that_is_left() {
    let mut write = asked(write());
    write.now = write.now + Duration::from_secs(1);
    write.happens(nobody_listens());
    write.sends_to();
    let request = sent(&write.call);
    assert_eq!((request.id, request.timeout_ms), (9, 5000));
}

#[test]
fn the_leader_that_a_node_names_is_asked_next_and_stays_the_first_choice() {
    let mut write = asked(write());
    write.sends_to();
    write.is_referred(RefusalCode::NotLeader, Some((5, 9)));
    assert_eq!(write.sends_to(), 9);
    write.is_answered(&Answer::Put { version: 1 });
    let (_, next) = Call::begin(read(), &write.options, &mut write.finder, write.now);
    assert!(matches!(next, Next::Connect { endpoint, .. } if endpoint.address.port == 9));
}

#[test]
fn a_hint_is_followed_once_for_each_term() {
    let mut write = asked(write());
    let mut order = Vec::new();
    for (term, port) in [(5, 3), (5, 1), (4, 1), (6, 8)] {
        order.push(write.sends_to());
        write.is_referred(RefusalCode::NotLeader, Some((term, port)));
    }
    order.push(write.connects_to());
    assert_eq!(order, [1, 3, 2, 3, 8]);
}

#[test]
fn nodes_that_name_each_other_end_in_pauses_and_then_in_no_leader() {
    let mut write = asked(write());
    let mut pauses = 0;
    let mut sent = 0;
    loop {
        match write.next {
            Next::Connect { .. } => {
                let other = if write.sends_to() == 1 { 2 } else { 1 };
                sent += 1;
                write.is_referred(RefusalCode::NotLeader, Some((7, other)));
            }
            Next::Pause { .. } => {
                write.waits();
                pauses += 1;
            }
            _ => break,
        }
    }
    assert!(write.now <= write.deadline);
    assert!(sent <= (pauses + 1) * 4, "{sent} requests, {pauses} pauses");
    assert!((12..40).contains(&pauses), "{pauses} pauses");
    assert_eq!(write.reason(), Reason::NoLeader);
}

#[test]
fn a_busy_node_is_asked_again_after_pauses_that_grow() {
    for code in [
        RefusalCode::Busy,
        RefusalCode::DiskFull,
        RefusalCode::NotYet,
        RefusalCode::NoTarget,
        RefusalCode::Transferring,
    ] {
        let mut write = asked(write());
        let mut longest = Duration::from_millis(10);
        for _ in 0..4 {
            assert_eq!(write.sends_to(), 1);
            write.is_refused(code);
            let waited = write.waits();
            assert!((longest / 2..=longest).contains(&waited), "{waited:?} of {longest:?}");
            longest *= 2;
        }
        assert_eq!(write.sends_to(), 1);
        write.is_answered(&Answer::Put { version: 1 });
        write.is_done();
    }
}

#[test]
fn where_there_is_no_patience_a_busy_node_ends_it() {
    let mut write = asked_with(write(), |options| options.patient = false);
    write.sends_to();
    write.is_refused(RefusalCode::Busy);
    assert!(matches!(write.reason(), Reason::Node { code: RefusalCode::Busy, .. }));
}

#[test]
fn where_there_is_no_patience_each_node_is_asked_once() {
    let mut write = asked_with(write(), |options| options.patient = false);
    for _ in 0..3 {
        write.happens(nobody_listens());
    }
    assert_eq!(write.reason(), Reason::CannotConnect);
}

#[test]
fn a_write_whose_connection_is_lost_is_unknown_and_never_sent_again() {
    let mut write = asked(write());
    write.sends_to();
    write.happens(cut());
    assert_eq!(write.doubt(), Doubt::Cut(endpoint(1)));
}

#[test]
fn a_write_that_was_never_sent_goes_to_the_next_node() {
    let mut write = asked(write());
    assert_eq!(write.connects_to(), 1);
    write.happens(nobody_listens());
    assert_eq!(write.connects_to(), 2);
    write.waits();
    assert_eq!(write.sends_to(), 3);
    write.is_answered(&Answer::Put { version: 1 });
    write.is_done();
}

#[test]
fn a_write_gets_all_of_the_time_and_is_unknown_at_the_deadline() {
    let mut write = asked(write());
    write.sends_to();
    assert_eq!(write.waits(), TIMEOUT);
    assert_eq!(write.doubt(), Doubt::TimedOut(TIMEOUT));
}

#[test]
fn a_write_of_which_the_node_does_not_know_is_unknown() {
    let mut write = asked(write());
    write.sends_to();
    write.happens(Event::Replied(ReplyBody::Unknown { text: "stepped down".to_owned() }));
    assert_eq!(write.doubt(), Doubt::Node("stepped down".to_owned()));
}

#[test]
fn a_node_that_says_goodbye_to_a_write_leaves_it_unknown() {
    let mut write = asked(write());
    write.sends_to();
    write.happens(Event::Lost(Lost::Goodbye("stopping".to_owned())));
    assert_eq!(write.doubt(), Doubt::Closed(endpoint(1), "stopping".to_owned()));
}

#[test]
fn a_handover_of_leadership_is_asked_for_once() {
    let mut transfer = asked(Ask::transfer(None));
    transfer.sends_to();
    transfer.happens(cut());
    assert_eq!(transfer.doubt(), Doubt::Cut(endpoint(1)));
    let mut transfer = asked(Ask::transfer(None));
    transfer.sends_to();
    transfer.is_refused(RefusalCode::TransferFailed);
    assert!(matches!(transfer.reason(), Reason::Node { code: RefusalCode::TransferFailed, .. }));
}

#[test]
fn a_numbered_write_is_sent_again_whatever_became_of_it() {
    let mut write = asked(numbered_write());
    assert_eq!(write.sends_to(), 1);
    let first = sent(&write.call).body;
    write.happens(cut());
    assert_eq!(write.sends_to(), 2);
    assert_eq!(write.waits(), SHARE);
    assert_eq!(write.sends_to(), 3);
    write.happens(Event::Replied(ReplyBody::Unknown { text: String::new() }));
    write.waits();
    assert_eq!(write.sends_to(), 1);
    assert_eq!(sent(&write.call).body, first, "the same bytes each time");
    write.is_answered(&Answer::Put { version: 1 });
    write.is_done();
}

#[test]
fn a_numbered_write_that_may_have_arrived_is_unknown_however_it_ends() {
    let end = |happens: &dyn Fn(&mut Asked)| {
        let mut write = asked(numbered_write());
        write.sends_to();
        write.happens(cut());
        write.sends_to();
        happens(&mut write);
        write.doubt()
    };
    let lost = Doubt::Cut(endpoint(1));
    assert_eq!(end(&|write| write.is_refused(RefusalCode::TooLarge)), lost);
    let in_use = Answer::Refused(Refusal::SessionInUse { opened_at: LogTime(5) });
    assert_eq!(end(&|write| write.is_answered(&in_use)), lost);
    let ahead = Answer::Refused(Refusal::AboveWindow { lowest: 5 });
    assert_eq!(end(&|write| write.is_answered(&ahead)), lost);
    let forever_refused = |write: &mut Asked| {
        while write.until().is_some() {
            match write.next {
                Next::Send { .. } => write.is_refused(RefusalCode::NoLeader),
                Next::Connect { .. } => write.happens(Event::Connected),
                _ => drop(write.waits()),
            }
        }
    };
    assert_eq!(end(&forever_refused), lost);
}

#[test]
fn a_numbered_write_that_was_refused_each_time_is_refused() {
    let mut write = asked(numbered_write());
    write.sends_to();
    write.is_refused(RefusalCode::Busy);
    write.waits();
    write.sends_to();
    write.is_answered(&Answer::Refused(Refusal::AboveWindow { lowest: 5 }));
    assert_eq!(write.reason(), Reason::Store(Refusal::AboveWindow { lowest: 5 }));
}

#[test]
fn what_the_store_decided_is_the_answer_of_every_attempt() {
    for refusal in [Refusal::NotANumber, Refusal::Overflow] {
        let mut write = asked(numbered_write());
        write.sends_to();
        write.happens(cut());
        write.sends_to();
        write.is_answered(&Answer::Refused(refusal));
        assert_eq!(write.reason(), Reason::Store(refusal));
    }
}

#[test]
fn a_forgotten_session_or_number_leaves_it_unknown() {
    for refusal in [Refusal::SessionForgotten, Refusal::NumberForgotten { lowest: 9 }] {
        let mut write = asked(numbered_write());
        write.sends_to();
        write.is_answered(&Answer::Refused(refusal));
        assert_eq!(write.doubt(), Doubt::Forgotten(refusal));
    }
}

#[test]
fn a_read_is_asked_elsewhere_and_without_an_answer_nothing_was_changed() {
    let mut question = asked(read());
    assert_eq!(question.sends_to(), 1);
    question.happens(cut());
    assert_eq!(question.sends_to(), 2);
    assert_eq!(question.waits(), SHARE);
    assert_eq!(question.sends_to(), 3);
    assert_eq!(question.waits(), SHARE);
    question.waits();
    question.sends_to();
    question.waits();
    assert_eq!(question.now, question.deadline);
    let failure = question.is_failed();
    assert_eq!(failure.tried().len(), 3, "one line for each node");
    let Failure::Refused(refused) = failure else { panic!("it changes nothing") };
    assert_eq!(refused.reason, Reason::TimedOut(TIMEOUT));
}

#[test]
fn the_deadline_ends_it_while_it_connects() {
    let mut write = asked(write());
    while write.until().is_some() {
        write.waits();
    }
    assert!(write.now <= write.deadline);
    assert_eq!(write.reason(), Reason::CannotConnect);
}

#[test]
fn the_deadline_ends_it_before_a_pause_that_would_be_too_long() {
    let mut write = asked_with(write(), |options| options.timeout = Duration::from_millis(4));
    write.sends_to();
    write.is_refused(RefusalCode::Busy);
    assert!(write.now < write.deadline);
    assert!(matches!(write.reason(), Reason::Node { code: RefusalCode::Busy, .. }));
}

#[test]
fn nothing_is_sent_on_a_connection_that_comes_at_the_deadline() {
    let mut write = asked(write());
    write.now = write.deadline;
    write.happens(Event::Connected);
    assert_eq!(write.reason(), Reason::TimedOut(TIMEOUT));
}

#[test]
fn a_door_that_stays_shut_is_named() {
    let mut write = asked(write());
    while write.until().is_some() {
        let (code, text) = (HelloRefusal::WRONG_NAME, "another cluster".to_owned());
        match write.next {
            Next::Connect { .. } => {
                write.happens(Event::Unopened(Unopened::Refused { code, text }));
            }
            _ => drop(write.waits()),
        }
    }
    let failure = write.is_failed();
    assert!(failure.tried().iter().all(|attempt| {
        attempt.result == AttemptResult::Unwelcome("another cluster".to_owned())
    }));
    let Failure::Refused(refused) = failure else { panic!("nothing was sent") };
    assert!(matches!(refused.reason, Reason::Door { code: HelloRefusal::WRONG_NAME, .. }));
}

#[test]
fn an_answer_of_another_kind_is_unknown_for_a_write_and_refused_for_a_read() {
    let mut write = asked(write());
    write.sends_to();
    write.happens(Event::Replied(ReplyBody::Pong));
    assert!(matches!(write.doubt(), Doubt::Answer(_)));
    let mut question = asked(read());
    question.sends_to();
    question.is_answered(&Answer::Put { version: 1 });
    let failure = question.is_failed();
    assert!(failure.is_unreadable());
    assert!(matches!(failure, Failure::Refused(_)));
}

#[test]
fn a_fixed_node_that_does_not_lead_ends_it_and_a_stale_read_is_asked_again() {
    let fixed = |ask| asked_with(ask, |options| options.fixed = true);
    let mut question = fixed(read());
    question.sends_to();
    question.is_referred(RefusalCode::NotLeader, Some((5, 3)));
    assert!(matches!(question.reason(), Reason::Node { code: RefusalCode::NotLeader, .. }));
    let stale = Ask::query(&Query::Get { keys: vec![b"k"] }, Consistency::Stale).unwrap();
    let mut question = fixed(stale);
    question.sends_to();
    question.is_referred(RefusalCode::NotLeader, Some((5, 9)));
    assert_eq!(question.connects_to(), 2, "never the one that was named");
}

#[test]
fn numbers_of_a_session_count_up_and_only_the_present_one_is_waited_for() {
    let mut numbering = Numbering::default();
    numbering.begin(Session::new(b"s", LogTime(77)));
    for number in 1..=3 {
        let time = LogTime(77);
        assert_eq!(session_of(numbering.change(PUT).unwrap()), Some((number, number, time)));
    }
    assert!(numbering.end().is_some());
    assert_eq!(session_of(numbering.change(PUT).unwrap()), None);
}

#[test]
fn a_number_that_was_given_is_used_once_and_keeps_what_the_session_remembers() {
    let state =
        SessionState { opened_at: LogTime(40), active_at: LogTime(50), lowest: 3, answers: 2 };
    let seen = |answer| Seen { read_index: Index(9), log_time: LogTime(90), answer };
    let mut numbering = Numbering::default();
    numbering.number_next(b"job", 7, &seen(Some(state))).unwrap();
    assert_eq!(session_of(numbering.change(PUT).unwrap()), Some((7, 3, LogTime(40))));
    assert_eq!(session_of(numbering.change(PUT).unwrap()), None);
    numbering.number_next(b"job", 1, &seen(None)).unwrap();
    assert_eq!(session_of(numbering.change(PUT).unwrap()), Some((1, 1, LogTime(90))));
    let failure = numbering.number_next(b"job", 2, &seen(None)).unwrap_err();
    assert!(matches!(failure, Failure::Unknown(_)), "{failure}");
}

#[test]
fn how_a_session_stands_is_always_asked_as_of_now() {
    assert!(!Session::ask(b"s").unwrap().is_for_any());
    assert!(Session::ask(b"").is_err());
}

mod adversary {
    //! Whatever happens, in whatever order.

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

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

    fn asks() -> impl Strategy<Value = Ask> {
        prop_oneof![
            3 => Just(write()),
            3 => Just(numbered_write()),
            1 => Just(read()),
            1 => Just(Ask::transfer(None)),
            1 => Just(Ask::status()),
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
        fn reply(&mut self, whim: Whim) -> Event {
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
                    match answer {
                        Answer::Refused(Refusal::SessionForgotten) => self.forgotten = true,
                        Answer::Refused(Refusal::NotANumber) => self.decided = true,
                        Answer::Refused(_) => {}
                        _ => self.may_have += 1,
                    }
                    let at = LogId::new(Term(1), Index(1));
                    return Event::Replied(ReplyBody::Done { at, answer: encoded(&answer) });
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

    fn run(ask: &Ask, mut asked: Asked, whims: &[Whim]) {
        let mut truth = Truth::default();
        let is_repeatable = ask.is_repeatable();
        for (step, whim) in whims.iter().cycle().enumerate() {
            assert!(step < 20_000, "it goes round in circles");
            let Some(until) = asked.until() else { break };
            assert!(asked.now <= until && until <= asked.deadline);
            let event = match asked.next {
                Next::Connect { .. } => at_the_door(*whim),
                Next::Send { .. } => {
                    truth.sent += 1;
                    assert!(is_repeatable || truth.may_have == 0, "sent again: {truth:?}");
                    truth.reply(*whim)
                }
                _ => Event::TimePassed,
            };
            asked.now = match event {
                Event::TimePassed => until,
                _ => asked.now + until.since(asked.now) * u32::from(whim.after) / 2550,
            };
            asked.happens(event);
        }
        let has_effect = ask.has_effect();
        match asked.next {
            Next::End(Err(Failure::Refused(refused))) => {
                let nothing = truth.may_have == 0 || truth.decided || !has_effect;
                assert!(nothing, "{} though {truth:?}", refused.reason);
            }
            Next::End(Err(Failure::Unknown(unknown))) => {
                let open = has_effect && (truth.may_have > 0 || truth.forgotten);
                assert!(open, "{} though {truth:?}", unknown.doubt);
            }
            Next::End(Ok(_)) => assert!(truth.sent > 0),
            other => panic!("it hasn't ended: {other:?}"),
        }
    }

    proptest! {
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
            let (call, next) = Call::begin(ask.clone(), &options, &mut finder, now);
            let deadline = now + options.timeout;
            run(&ask, Asked { deadline, options, finder, now, call, next }, &whims);
        }
    }
}
