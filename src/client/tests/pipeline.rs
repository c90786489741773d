use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::fake::{FakeNode, Reaction};
use super::parts::{done, options, refused, seen};
use crate::client::{Failure, Pipeline, Ticket};
use crate::kv::{Answer, Command, Operation, Refusal, SESSION_WINDOW};
use crate::wire::{RefusalCode, ReplyBody, Request, RequestBody};

/// The number of a change in its session.
fn number(request: &Request) -> Option<u64> {
    let RequestBody::Write(command) = &request.body else { return None };
    match Command::decode(command).unwrap() {
        Command::Change { session, .. } => session.map(|part| part.number),
        _ => None,
    }
}

/// What every node answers to what isn't a change.
fn session_reaction(request: &Request) -> Reaction {
    let RequestBody::Write(command) = &request.body else {
        return seen(77, &Answer::Session(None));
    };
    match Command::decode(command).unwrap() {
        Command::CloseSession(_) => done(9, &Answer::SessionClosed),
        _ => done(4, &Answer::SessionOpened),
    }
}

fn put(pipeline: &mut Pipeline, key: u64) -> Option<Ticket> {
    let (key, value) = (key.to_be_bytes(), [1; 100]);
    pipeline.submit(&Operation::Put { key: &key, value: &value })
}

/// Submits so many changes and receives all of their outcomes.
fn run(pipeline: &mut Pipeline, count: u64) -> BTreeMap<Ticket, bool> {
    let mut outcomes = BTreeMap::new();
    let mut submitted = 0;
    loop {
        while submitted < count && put(pipeline, submitted).is_some() {
            submitted += 1;
        }
        match pipeline.receive().unwrap() {
            Some((ticket, result)) => {
                assert!(outcomes.insert(ticket, result.is_ok()).is_none(), "{ticket:?} twice");
            }
            None if submitted == count => return outcomes,
            None => {}
        }
    }
}

#[test]
fn many_changes_are_under_way_at_once_and_answers_come_in_any_order() {
    let node = FakeNode::start(|request| match number(request) {
        Some(number) if number % 3 == 1 => match done(number, &Answer::Put { version: 1 }) {
            Reaction::Reply(body) => Reaction::ReplyLater(body),
            other => other,
        },
        Some(number) => done(number, &Answer::Put { version: 1 }),
        None => session_reaction(request),
    });
    let mut pipeline = Pipeline::open(options(&[&node], Duration::from_secs(5)), b"p").unwrap();
    let outcomes = run(&mut pipeline, 3000);
    assert_eq!(outcomes.len(), 3000);
    assert!(outcomes.values().all(|done| *done));
    pipeline.close().unwrap();
    let names: Vec<&str> = node
        .requests()
        .iter()
        .filter_map(|request| match &request.body {
            RequestBody::Write(command) => Some(Command::decode(command).unwrap().name()),
            _ => None,
        })
        .collect();
    assert_eq!((names[0], names[names.len() - 1]), ("session_open", "session_close"));
}

#[test]
fn what_a_failing_leader_left_unanswered_is_sent_to_the_next_one_with_the_same_numbers() {
    let applied: Arc<Mutex<BTreeSet<u64>>> = Arc::default();
    let sent: Arc<Mutex<BTreeMap<u64, usize>>> = Arc::default();
    let mut cuts = 5;
    let (applied_there, sent_there) = (Arc::clone(&applied), Arc::clone(&sent));
    let node = FakeNode::start(move |request| {
        let Some(number) = number(request) else { return session_reaction(request) };
        *sent_there.lock().unwrap().entry(number).or_default() += 1;
        // It is carried out, and yet no answer comes.
        applied_there.lock().unwrap().insert(number);
        if number % 400 == 399 && cuts > 0 {
            cuts -= 1;
            return Reaction::Cut;
        }
        done(number, &Answer::Put { version: 1 })
    });
    let mut pipeline = Pipeline::open(options(&[&node], Duration::from_secs(10)), b"p").unwrap();
    let outcomes = run(&mut pipeline, 2000);
    assert_eq!(outcomes.len(), 2000);
    assert!(outcomes.values().all(|done| *done));
    assert_eq!(applied.lock().unwrap().len(), 2000);
    assert!(sent.lock().unwrap().values().any(|count| *count > 1));
}

#[test]
fn what_was_refused_for_a_moment_is_sent_again_and_the_rest_goes_on() {
    let mut refusals = BTreeSet::new();
    let node = FakeNode::start(move |request| match number(request) {
        Some(number) if number % 7 == 0 && refusals.insert(number) => {
            refused(RefusalCode::Busy, None)
        }
        Some(number) => done(number, &Answer::Put { version: 1 }),
        None => session_reaction(request),
    });
    let mut pipeline = Pipeline::open(options(&[&node], Duration::from_secs(10)), b"p").unwrap();
    let outcomes = run(&mut pipeline, 500);
    assert_eq!(outcomes.len(), 500);
    assert!(outcomes.values().all(|done| *done));
}

#[test]
fn a_leader_that_stepped_down_is_left_for_the_one_it_names() {
    let next = FakeNode::start(|request| match number(request) {
        Some(number) => done(number, &Answer::Put { version: 1 }),
        None => session_reaction(request),
    });
    let port = next.port();
    let first = FakeNode::start(move |request| match number(request) {
        Some(number) if number > 50 => refused(RefusalCode::NotLeader, Some((9, port))),
        Some(number) => done(number, &Answer::Put { version: 1 }),
        None => session_reaction(request),
    });
    let mut pipeline = Pipeline::open(options(&[&first], Duration::from_secs(10)), b"p").unwrap();
    let outcomes = run(&mut pipeline, 500);
    assert_eq!(outcomes.len(), 500);
    assert!(next.count() >= 450, "{}", next.count());
}

#[test]
fn what_can_never_be_done_is_refused_and_the_rest_is_done() {
    let node = FakeNode::start(|request| match number(request) {
        Some(3) => refused(RefusalCode::TooLarge, None),
        Some(4) => done(4, &Answer::Refused(Refusal::SessionForgotten)),
        Some(number) => done(number, &Answer::Put { version: 1 }),
        None => session_reaction(request),
    });
    let mut pipeline = Pipeline::open(options(&[&node], Duration::from_secs(5)), b"p").unwrap();
    for key in 0..5 {
        put(&mut pipeline, key).unwrap();
    }
    let mut kinds = BTreeMap::new();
    while let Some((ticket, result)) = pipeline.receive().unwrap() {
        let kind = match result {
            Ok(_) => "done",
            Err(Failure::Refused(_)) => "refused",
            Err(Failure::Unknown(_)) => "unknown",
        };
        kinds.insert(ticket.0, kind);
    }
    let kinds: Vec<&str> = kinds.into_values().collect();
    assert_eq!(kinds, ["done", "done", "refused", "unknown", "done"]);
}

#[test]
fn a_silent_cluster_ends_the_waiting_at_the_deadline() {
    let node = FakeNode::start(|request| match number(request) {
        Some(_) => Reaction::Silence,
        None => session_reaction(request),
    });
    let timeout = Duration::from_millis(600);
    let mut pipeline = Pipeline::open(options(&[&node], timeout), b"p").unwrap();
    put(&mut pipeline, 1).unwrap();
    let begun = Instant::now();
    assert!(matches!(pipeline.receive(), Err(Failure::Unknown(_))));
    assert!(begun.elapsed() < timeout * 4, "{:?}", begun.elapsed());
    assert_eq!(pipeline.under_way(), 1);
}

#[test]
fn no_more_is_under_way_than_the_session_remembers() {
    let node = FakeNode::start(|request| match number(request) {
        Some(_) => Reaction::Silence,
        None => session_reaction(request),
    });
    let mut pipeline = Pipeline::open(options(&[&node], Duration::from_secs(5)), b"p").unwrap();
    let submitted = (0..5000).take_while(|key| put(&mut pipeline, *key).is_some()).count();
    assert_eq!(submitted as u64, SESSION_WINDOW);
    assert!(!pipeline.has_room());
}

#[test]
fn a_change_that_no_frame_can_hold_is_refused_and_the_others_are_done() {
    let node = FakeNode::start(|request| match number(request) {
        Some(number) => done(number, &Answer::Put { version: 1 }),
        None => session_reaction(request),
    });
    let mut pipeline = Pipeline::open(options(&[&node], Duration::from_secs(5)), b"p").unwrap();
    let large = vec![0; 9 << 20];
    let refused = pipeline.submit(&Operation::Put { key: b"k", value: &large }).unwrap();
    let done = put(&mut pipeline, 1).unwrap();
    let mut outcomes = BTreeMap::new();
    while let Some((ticket, result)) = pipeline.receive().unwrap() {
        outcomes.insert(ticket, result.is_ok());
    }
    assert_eq!(outcomes, BTreeMap::from([(refused, false), (done, true)]));
}

#[test]
fn a_change_that_is_refused_after_it_may_have_arrived_is_unknown() {
    let mut seen_before = BTreeSet::new();
    let node = FakeNode::start(move |request| match number(request) {
        // Refused for a moment, and then for good: it certainly had no effect.
        Some(1) if seen_before.insert(1) => refused(RefusalCode::Busy, None),
        // Nobody knows, and then it is refused for good.
        Some(2) if seen_before.insert(2) => {
            Reaction::Reply(ReplyBody::Unknown { text: "stepped down".to_owned() })
        }
        Some(3) if seen_before.insert(3) => Reaction::Cut,
        Some(_) => refused(RefusalCode::TooLarge, None),
        None => session_reaction(request),
    });
    let mut pipeline = Pipeline::open(options(&[&node], Duration::from_secs(5)), b"p").unwrap();
    for is_unknown in [false, true, true] {
        put(&mut pipeline, 1).unwrap();
        let (ticket, result) = pipeline.receive().unwrap().unwrap();
        let failure = result.unwrap_err();
        assert_eq!(matches!(failure, Failure::Unknown(_)), is_unknown, "{ticket:?}: {failure}");
    }
}
