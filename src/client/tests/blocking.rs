use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::fake::{FakeNode, Reaction};
use super::parts::{done, encoded, endpoint, options, refused, seen};
use crate::client::finder::Step;
use crate::client::{AttemptResult, Client, Doubt, Failure, Options, Reason, Swap, Value, survey};
use crate::kv::{Answer, Command, Expected, Found, Item, Query, Refusal, Scan, SessionState};
use crate::model::{Configuration, Index, LogId, LogTime, SnapshotId, Term};
use crate::wire::{Consistency, HelloRefusal, KeptSnapshot, RefusalCode, ReplyBody, RequestBody};

const PUT: Answer<'static> = Answer::Put { version: 1 };

fn short() -> Duration {
    Duration::from_millis(400)
}

fn reason(failure: Failure) -> Reason {
    match failure {
        Failure::Refused(refused) => refused.reason,
        Failure::Unknown(unknown) => panic!("not known: {unknown}"),
    }
}

fn doubt(failure: Failure) -> Doubt {
    match failure {
        Failure::Unknown(unknown) => unknown.doubt,
        Failure::Refused(refused) => panic!("refused: {refused}"),
    }
}

/// A client whose first choice is the first of the nodes.
fn client(nodes: &[&FakeNode], timeout: Duration) -> Client {
    // Where the search begins is drawn by lot, so that many clients begin at different nodes.
    loop {
        let client = Client::new(options(nodes, timeout));
        if client.finder.clone().step() == Step::Ask(nodes[0].endpoint()) {
            return client;
        }
    }
}

#[test]
fn a_hint_leads_to_the_leader_and_the_leader_is_asked_first_from_then_on() {
    let leader = FakeNode::start(|_| done(5, &PUT));
    let port = leader.port();
    let follower = FakeNode::start(move |_| refused(RefusalCode::NotLeader, Some((3, port))));
    let mut client = client(&[&follower], Duration::from_secs(5));
    for _ in 0..3 {
        let done = client.put(b"k", b"v").unwrap();
        assert_eq!(done.id, LogId::new(Term(3), Index(5)));
        assert_eq!(done.answer, 1);
    }
    assert_eq!((follower.count(), leader.count()), (1, 3));
}

#[test]
fn nodes_that_name_each_other_are_asked_a_bounded_number_of_times() {
    let spare = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let second_port = spare.local_addr().unwrap().port();
    drop(spare);
    let first = FakeNode::start(move |_| refused(RefusalCode::NotLeader, Some((3, second_port))));
    let first_port = first.port();
    let second = FakeNode::start_at(second_port, None, move |_| {
        refused(RefusalCode::NotLeader, Some((3, first_port)))
    });
    let mut client = client(&[&first, &second], Duration::from_secs(1));
    let begun = Instant::now();
    let failure = client.put(b"k", b"v").unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert_eq!(failure.tried().len(), 2);
    assert_eq!(reason(failure), Reason::NoLeader);
    let asked = first.count() + second.count();
    assert!((4..40).contains(&asked), "{asked} requests");
}

#[test]
fn a_write_that_was_cut_in_its_reply_is_unknown_and_sent_once() {
    let node = FakeNode::start(|_| {
        let at = LogId::new(Term(3), Index(5));
        Reaction::CutIn(ReplyBody::Done { at, answer: encoded(&PUT) })
    });
    let mut client = client(&[&node], Duration::from_secs(5));
    let begun = Instant::now();
    let failure = client.put(b"k", b"v").unwrap_err();
    assert_eq!(doubt(failure), Doubt::Cut(node.endpoint()));
    assert_eq!(node.count(), 1);
    assert!(begun.elapsed() < Duration::from_secs(4), "nothing is waited for");
}

#[test]
fn a_write_in_a_session_is_sent_again_with_its_number_until_it_is_done() {
    let mut cuts = 2;
    let node = FakeNode::start(move |request| match &request.body {
        RequestBody::Read { .. } => seen(77, &Answer::Session(None)),
        RequestBody::Write(command) => match Command::decode(command).unwrap() {
            Command::OpenSession(_) => done(4, &Answer::SessionOpened),
            Command::CloseSession(_) => done(9, &Answer::SessionClosed),
            Command::Change { .. } if cuts > 0 => {
                cuts -= 1;
                Reaction::Cut
            }
            Command::Change { .. } => done(5, &PUT),
        },
        _ => Reaction::Silence,
    });
    let mut client = client(&[&node], Duration::from_secs(5));
    client.open_session(b"s").unwrap();
    client.put(b"a", b"1").unwrap();
    client.put(b"b", b"2").unwrap();
    client.close_session().unwrap();
    let requests = node.requests();
    let numbers: Vec<(u64, u64, LogTime)> = requests
        .iter()
        .filter_map(|request| match &request.body {
            RequestBody::Write(command) => match Command::decode(command).unwrap() {
                Command::Change { session, .. } => {
                    session.map(|part| (part.number, part.lowest, part.id.opened_at))
                }
                _ => None,
            },
            _ => None,
        })
        .collect();
    let time = LogTime(77);
    assert_eq!(numbers, [(1, 1, time), (1, 1, time), (1, 1, time), (2, 2, time)]);
}

#[test]
fn a_busy_leader_is_asked_again() {
    let mut refusals = 3;
    let node = FakeNode::start(move |_| {
        refusals -= 1;
        if refusals >= 0 { refused(RefusalCode::Busy, None) } else { done(5, &PUT) }
    });
    let mut client = client(&[&node], Duration::from_secs(5));
    client.put(b"k", b"v").unwrap();
    assert_eq!(node.count(), 4);
}

#[test]
fn what_can_never_be_done_is_not_sent_again() {
    let node = FakeNode::start(|_| refused(RefusalCode::TooLarge, None));
    let mut client = client(&[&node], Duration::from_secs(5));
    let failure = client.put(b"k", b"v").unwrap_err();
    assert!(matches!(reason(failure), Reason::Node { code: RefusalCode::TooLarge, .. }));
    assert_eq!(node.count(), 1);
}

#[test]
fn a_write_without_an_answer_is_unknown_at_the_deadline() {
    let node = FakeNode::start(|_| Reaction::Silence);
    let mut client = client(&[&node], short());
    let begun = Instant::now();
    assert_eq!(doubt(client.put(b"k", b"v").unwrap_err()), Doubt::TimedOut(short()));
    assert!(begun.elapsed() >= short() && begun.elapsed() < short() * 4);
    assert_eq!(node.count(), 1);
}

#[test]
fn a_node_that_does_not_know_leaves_a_write_unknown() {
    let text = "lost its leadership".to_owned();
    let node = FakeNode::start(move |_| Reaction::Reply(ReplyBody::Unknown { text: text.clone() }));
    let mut client = client(&[&node], Duration::from_secs(5));
    let failure = client.increment(b"n", 1).unwrap_err();
    assert_eq!(doubt(failure), Doubt::Node("lost its leadership".to_owned()));
    assert_eq!(node.count(), 1);
}

#[test]
fn a_read_goes_on_to_the_next_node_when_one_is_silent() {
    let silent = FakeNode::start(|_| Reaction::Silence);
    let other = FakeNode::start(|_| seen(1, &Answer::Values(vec![None])));
    let mut client = client(&[&silent, &other], Duration::from_secs(4));
    let seen = client.get(&[b"k"]).unwrap();
    assert_eq!(seen.answer, [None]);
    assert_eq!(seen.read_index, Index(9));
    assert_eq!(silent.count(), 1);
}

#[test]
fn a_read_without_an_answer_is_refused_since_it_changes_nothing() {
    let node = FakeNode::start(|_| Reaction::Silence);
    let mut client = client(&[&node], short());
    assert_eq!(reason(client.get(&[b"k"]).unwrap_err()), Reason::TimedOut(short()));
}

#[test]
fn where_nobody_listens_nothing_was_changed_and_every_node_is_named() {
    let mut ports = Vec::new();
    for _ in 0..2 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        ports.push(listener.local_addr().unwrap().port());
    }
    let endpoints = ports.iter().map(|port| endpoint(*port)).collect();
    let mut client = Client::new(Options { timeout: short(), ..Options::new(endpoints) });
    let failure = client.put(b"k", b"v").unwrap_err();
    assert_eq!(failure.tried().len(), 2);
    for attempt in failure.tried() {
        assert_eq!(attempt.result.to_string(), "connection refused");
    }
    assert_eq!(reason(failure), Reason::CannotConnect);
}

#[test]
fn a_port_that_speaks_something_else_is_told_from_a_node() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let _ = stream.unwrap().write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let options = Options { timeout: short(), ..Options::new(vec![endpoint(port)]) };
    let failure = Client::new(options).put(b"k", b"v").unwrap_err();
    let Reason::Door { code, text } = reason(failure) else { panic!("no reason of the door") };
    assert_eq!(code, HelloRefusal::PROTOCOL);
    assert!(text.contains("HTTP"), "{text}");
}

#[test]
fn a_node_of_another_cluster_says_so() {
    let node = FakeNode::refusing(HelloRefusal::WRONG_NAME);
    let mut client = client(&[&node], short());
    let failure = client.put(b"k", b"v").unwrap_err();
    assert!(matches!(failure.tried()[0].result, AttemptResult::Unwelcome(_)));
    assert!(matches!(reason(failure), Reason::Door { code: HelloRefusal::WRONG_NAME, .. }));
    assert_eq!(node.count(), 0);
}

#[test]
fn a_fixed_node_that_does_not_lead_is_not_left_for_another() {
    let node = FakeNode::start(|_| refused(RefusalCode::NotLeader, Some((3, 1))));
    let fixed = Options { fixed: true, ..options(&[&node], Duration::from_secs(5)) };
    let failure = Client::new(fixed).put(b"k", b"v").unwrap_err();
    assert!(matches!(reason(failure), Reason::Node { code: RefusalCode::NotLeader, .. }));
    assert_eq!(node.count(), 1);
}

#[test]
fn a_connection_that_was_closed_meanwhile_leaves_no_doubt() {
    let first = FakeNode::start(|_| done(5, &PUT));
    let port = first.port();
    let mut client = client(&[&first], Duration::from_secs(5));
    client.put(b"k", b"1").unwrap();
    first.stop();
    // The client looks before it sends only where the connection hasn't been used for a while.
    let idle = Instant::now() + Duration::from_millis(150);
    while Instant::now() < idle {
        thread::yield_now();
    }
    let again = FakeNode::start_at(port, None, |_| done(6, &PUT));
    assert_eq!(client.put(b"k", b"2").unwrap().id.index, Index(6));
    assert_eq!(again.count(), 1);
}

#[test]
fn a_number_of_another_process_is_sent_with_the_time_its_session_was_opened() {
    let node = FakeNode::start(|request| match &request.body {
        RequestBody::Read { .. } => {
            let state = SessionState {
                opened_at: LogTime(40),
                active_at: LogTime(50),
                lowest: 3,
                answers: 2,
            };
            seen(90, &Answer::Session(Some(state)))
        }
        _ => done(5, &PUT),
    });
    let mut client = client(&[&node], Duration::from_secs(5));
    client.number_next(b"job", 7).unwrap();
    client.put(b"k", b"v").unwrap();
    client.put(b"k", b"v").unwrap();
    let sessions: Vec<_> = node
        .requests()
        .iter()
        .filter_map(|request| match &request.body {
            RequestBody::Write(command) => match Command::decode(command).unwrap() {
                Command::Change { session, .. } => {
                    Some(session.map(|part| (part.number, part.lowest, part.id.opened_at)))
                }
                _ => None,
            },
            _ => None,
        })
        .collect();
    assert_eq!(sessions, [Some((7, 3, LogTime(40))), None]);
}

#[test]
fn number_one_opens_a_session_and_a_higher_one_of_none_is_unknown() {
    let node = FakeNode::start(|request| match &request.body {
        RequestBody::Read { .. } => seen(90, &Answer::Session(None)),
        _ => done(5, &PUT),
    });
    let mut client = client(&[&node], Duration::from_secs(5));
    client.number_next(b"job", 1).unwrap();
    client.put(b"k", b"v").unwrap();
    let failure = client.number_next(b"job", 2).unwrap_err();
    assert_eq!(doubt(failure), Doubt::Forgotten(Refusal::SessionForgotten));
}

#[test]
fn answers_of_every_kind_are_read() {
    let last = LogId::new(Term(3), Index(7));
    let id = SnapshotId { last, bytes: 4096, hash: 9 };
    let kept = KeptSnapshot { id, log_time: LogTime(5) };
    let node = FakeNode::start(move |request| match &request.body {
        RequestBody::Read { query, .. } => match Query::decode(query).unwrap() {
            Query::Get { .. } => {
                let item = Item { value: b"v", version: 3, mod_index: Index(8) };
                seen(1, &Answer::Values(vec![Some(item), None]))
            }
            Query::Scan(_) => seen(1, &Answer::Page { items: vec![], cursor: Some(b"next") }),
            Query::Session { .. } => seen(1, &Answer::Session(None)),
        },
        RequestBody::Write(command) => match Command::decode(command).unwrap().name() {
            "del" => done(2, &Answer::Deleted { existed: true }),
            "cas" => done(3, &Answer::NotSwapped(Found::Absent)),
            "incr" => done(4, &Answer::Incremented { value: -7, version: 2 }),
            _ => done(5, &Answer::Refused(Refusal::NotANumber)),
        },
        RequestBody::Transfer(_) => refused(RefusalCode::NoTarget, None),
        RequestBody::Ping => Reaction::Reply(ReplyBody::Pong),
        RequestBody::TakeSnapshot | RequestBody::Snapshots => {
            Reaction::Reply(ReplyBody::Snapshots(vec![kept]))
        }
        RequestBody::SnapshotPiece { offset, .. } => {
            Reaction::Reply(ReplyBody::Piece(Bytes::copy_from_slice(&offset.to_le_bytes())))
        }
        RequestBody::ChangeMembers { expected, .. } => {
            Reaction::Reply(ReplyBody::Members { index: expected.next() })
        }
        RequestBody::Status | RequestBody::Log(_) => Reaction::Silence,
    });
    let mut client = client(&[&node], Duration::from_secs(5));
    let members = Configuration::default();
    assert_eq!(client.change_members(Index(7), members).unwrap(), Index(8));
    let values = client.get(&[b"a", b"b"]).unwrap().answer;
    let value = Value { value: b"v".to_vec(), version: 3, mod_index: Index(8) };
    assert_eq!(values, [Some(value), None]);
    let page = client.scan(&Scan::ALL).unwrap().answer;
    assert_eq!((page.records.len(), page.cursor.as_deref()), (0, Some(&b"next"[..])));
    assert!(client.delete(b"k").unwrap().answer);
    let swap = client.compare_and_swap(b"k", Expected::Absent, b"v").unwrap().answer;
    assert_eq!(swap, Swap::Absent);
    assert_eq!(client.increment(b"k", -7).unwrap().answer.value, -7);
    let failure = client.put(b"k", b"v").unwrap_err();
    assert_eq!(reason(failure), Reason::Store(Refusal::NotANumber));
    client.ping().unwrap();
    assert_eq!((client.take_snapshot().unwrap(), client.snapshots().unwrap()), (kept, vec![kept]));
    assert_eq!(client.snapshot_piece(id, 258).unwrap()[..], 258_u64.to_le_bytes());
}

#[test]
fn an_answer_to_another_question_is_no_answer() {
    let node = FakeNode::start(|_| done(5, &Answer::Deleted { existed: true }));
    let mut client = client(&[&node], Duration::from_secs(5));
    assert!(matches!(doubt(client.put(b"k", b"v").unwrap_err()), Doubt::Answer(_)));
    assert!(matches!(reason(client.get(&[b"k"]).unwrap_err()), Reason::Answer(_)));
}

#[test]
fn a_survey_asks_each_node_once_and_waits_for_none_that_is_down() {
    let up = FakeNode::start(|_| refused(RefusalCode::BadRequest, None));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let down = endpoint(listener.local_addr().unwrap().port());
    drop(listener);
    let mut options = options(&[&up], Duration::from_secs(5));
    options.endpoints.push(down);
    options.consistency = Consistency::Stale;
    let begun = Instant::now();
    let answers = survey(&options);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert_eq!(answers.len(), 2);
    assert!(answers.iter().all(|(_, answer)| answer.is_err()));
    assert_eq!(up.count(), 1);
}

#[test]
fn what_no_frame_can_hold_is_refused_before_anything_is_sent() {
    let node = FakeNode::start(|_| done(5, &PUT));
    let mut client = client(&[&node], Duration::from_secs(5));
    let large = vec![0; 6 << 20];
    let failure = client.compare_and_swap(b"k", Expected::Value(&large), &large).unwrap_err();
    assert!(matches!(reason(failure), Reason::TooLarge { .. }));
    for name in [&b""[..], &[b'x'; 300]] {
        assert_eq!(reason(client.open_session(name).unwrap_err()), Reason::SessionName);
        assert_eq!(reason(client.number_next(name, 1).unwrap_err()), Reason::SessionName);
    }
    assert_eq!(node.count(), 0);
}
