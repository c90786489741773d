//! The rules of one request, told what happens without any socket.

use std::time::Duration;

use super::asked::{
    Asked, PUT, TIMEOUT, asked, asked_with, cut, nobody_listens, numbered_write, read, write,
};
use super::parts::endpoint;
use crate::client::{
    Ask, AttemptResult, Call, Channel, Doubt, Event, Failure, Greeting, Lost, Next, Numbering,
    Reason, Seen, Session, Unopened,
};
use crate::kv::{Answer, Command, Query, Refusal, SessionState};
use crate::model::{Index, LogTime, StartNumber};
use crate::wire::{
    Consistency, FrameReader, HelloRefusal, Incoming, RefusalCode, ReplyBody, Request, RequestBody,
};

/// What one node gets of the time, where others could be asked.
const SHARE: Duration = Duration::from_secs(2);

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
    assert!(matches!(write.done(), ReplyBody::Done { .. }));
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
        write.done();
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
    write.done();
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
    write.done();
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
    let failure = question.failure();
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
    let failure = write.failure();
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
    let failure = question.failure();
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
