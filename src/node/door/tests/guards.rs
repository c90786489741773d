//! Who has lost state, who runs twice, and who is held back for it.

use crate::model::{Incarnation, Seat, Standing};
use crate::node::door::*;

fn member(number: u16) -> Member {
    let id = NodeId::new(number).unwrap();
    Member { id, incarnation: Incarnation(100 + u128::from(number)) }
}

fn door(number: u16, boot: u64) -> Door {
    Door::new(Myself {
        member: member(number),
        boot: Boot(boot),
        start: StartNumber(1000 * u64::from(number) + boot),
        cluster_name: "raft".to_owned(),
        nodes_hash: 1,
        restores: None,
        address: format!("host{number}:3111"),
        keeps_nothing: false,
    })
}

fn standpoint(term: u64, last: u64) -> Standpoint<'static> {
    Standpoint {
        cluster: Some((ClusterId(7), Epoch(1))),
        term: Term(term),
        last: LogId::new(Term(term), Index(last)),
        members: None,
        settled: None,
        feature_level: 0,
        is_stopping: false,
    }
}

fn learn(door: &mut Door, term: u64, commit: u64, matched: u64) {
    let level = PeerLevel { member: member(2), matched: Index(matched), boot: Boot(1) };
    door.learn((Term(term), Index(commit)), &[level], &Configuration::default());
}

fn verdict(door: &mut Door, term: u64, last: u64) -> Option<HelloRefusal> {
    verdict_of_start(door, 2, &standpoint(term, last))
}

fn verdict_of_start(door: &mut Door, boot: u64, theirs: &Standpoint<'_>) -> Option<HelloRefusal> {
    let hello = self::door(2, boot).hello(Some(member(1).id), theirs);
    door.judge(&hello, &standpoint(9, 50)).err().map(|refused| refused.code)
}

#[test]
fn what_was_replaced_lawfully_is_not_lost_though_others_commit_there_again() {
    let mut door = door(1, 1);
    learn(&mut door, 3, 5, 10);
    assert_eq!(verdict(&mut door, 4, 6), None);
    assert_eq!(verdict(&mut door, 4, 4), Some(HelloRefusal::REGRESSED));
    assert_eq!(verdict(&mut door, 3, 9), Some(HelloRefusal::REGRESSED));
    assert_eq!(verdict(&mut door, 2, 10), Some(HelloRefusal::REGRESSED));
}

#[test]
fn a_new_leader_that_has_not_heard_a_member_takes_nothing_from_what_is_known() {
    let mut door = door(1, 1);
    learn(&mut door, 3, 8, 10);
    learn(&mut door, 4, 8, 0);
    assert_eq!(verdict(&mut door, 3, 9), Some(HelloRefusal::REGRESSED));
    learn(&mut door, 5, 3, 3);
    assert_eq!(verdict(&mut door, 5, 7), Some(HelloRefusal::REGRESSED));
    assert_eq!(verdict(&mut door, 5, 8), None);
}

#[test]
fn a_hello_that_was_overtaken_by_news_of_its_start_is_said_again() {
    let mut door = door(1, 1);
    learn(&mut door, 3, 10, 10);
    let says = |door: &mut Door, last| verdict_of_start(door, 1, &standpoint(3, last));
    assert_eq!(says(&mut door, 9), Some(HelloRefusal::OUTDATED));
    learn(&mut door, 3, 12, 12);
    assert_eq!(says(&mut door, 10), None, "all that was known when it was told to say it again");
    learn(&mut door, 3, 15, 15);
    assert_eq!(says(&mut door, 12), None, "a start that was let in can't lose anything");
}

#[test]
fn who_says_too_little_again_has_lost_it() {
    let mut door = door(1, 1);
    learn(&mut door, 3, 10, 10);
    let says = |door: &mut Door, last| verdict_of_start(door, 1, &standpoint(3, last));
    assert_eq!(says(&mut door, 9), Some(HelloRefusal::OUTDATED));
    assert_eq!(says(&mut door, 9), Some(HelloRefusal::OUTDATED), "it may have been said before");
    door.pass(Time::ZERO + OVERTAKEN);
    assert_eq!(says(&mut door, 9), Some(HelloRefusal::REGRESSED));
    assert_eq!(says(&mut door, 9), Some(HelloRefusal::REGRESSED));
}

#[test]
fn a_lower_boot_is_lost_state_and_a_second_start_is_a_clone() {
    let mut door = door(1, 1);
    let theirs = standpoint(3, 10);
    assert_eq!(verdict_of_start(&mut door, 5, &theirs), None);
    assert_eq!(verdict_of_start(&mut door, 4, &theirs), Some(HelloRefusal::REGRESSED));
    let mut copy = self::door(2, 5);
    copy.me.start = StartNumber(1);
    let hello = copy.hello(Some(member(1).id), &theirs);
    let refused = door.judge(&hello, &theirs).unwrap_err();
    assert_eq!(refused.code, HelloRefusal::CLONE);
}

#[test]
fn a_node_that_meets_itself_is_told_so_and_not_held_back() {
    let mut door = door(1, 1);
    let hello = door.hello(Some(member(2).id), &standpoint(3, 10));
    let refused = door.judge(&hello, &standpoint(3, 10)).unwrap_err();
    assert_eq!(refused.code, HelloRefusal::SAME_NODE);
    assert!(refused.text.contains("itself"), "{}", refused.text);
    let clone = refuse(HelloRefusal::CLONE, String::new());
    let answer = door.answer(&hello, &standpoint(3, 10), Some(&clone));
    assert!(!door.is_held_back(Some(member(2).id), &answer));
}

#[test]
fn of_strangers_those_are_remembered_that_were_heard_last() {
    let mut door = door(1, 1);
    let mut hear = |number| {
        let hello = self::door(number, 1).hello(Some(member(1).id), &standpoint(3, 10));
        assert!(door.judge(&hello, &standpoint(3, 10)).is_ok());
    };
    (2..100).for_each(&mut hear);
    (3..2 + STRANGERS as u16).rev().for_each(&mut hear);
    let known: Vec<Member> = door.starts.keys().copied().collect();
    let mut expected: Vec<Member> = (3..2 + STRANGERS as u16).map(member).collect();
    expected.push(member(99));
    assert_eq!(known, expected);
}

#[test]
fn levels_are_kept_of_members_and_of_whom_the_leader_tells_now() {
    let mut door = door(1, 1);
    let seat = Seat {
        id: member(2).id,
        incarnation: Some(member(2).incarnation),
        standing: Standing::Voter,
        address: String::new(),
    };
    let members = Configuration::new(vec![seat]);
    for number in 2..100 {
        let level = PeerLevel { member: member(number), matched: Index(5), boot: Boot(1) };
        door.learn((Term(3), Index(5)), &[level], &members);
    }
    let known: Vec<Member> = door.levels.keys().copied().collect();
    assert_eq!(known, [member(2), member(99)]);
    // A heartbeat that tells of nobody takes nothing away.
    door.learn((Term(3), Index(6)), &[], &members);
    let known: Vec<Member> = door.levels.keys().copied().collect();
    assert_eq!(known, [member(2), member(99)]);
}

#[test]
fn what_was_acknowledged_before_anything_was_committed_may_be_given_up() {
    let mut door = door(1, 1);
    learn(&mut door, 3, 1, 2);
    assert_eq!(verdict(&mut door, 3, 1), None);
    learn(&mut door, 3, 2, 2);
    assert_eq!(verdict(&mut door, 3, 1), Some(HelloRefusal::REGRESSED));
}

#[test]
fn only_a_node_of_a_cluster_holds_another_back() {
    let (me, other) = (door(1, 1), door(2, 1));
    let unformed = Standpoint { cluster: None, ..standpoint(0, 0) };
    let hello = me.hello(Some(member(2).id), &unformed);
    let wiped = refuse(HelloRefusal::WIPED, String::new());
    let from_unformed = other.answer(&hello, &unformed, Some(&wiped));
    assert!(!me.is_held_back(Some(member(2).id), &from_unformed));
    let from_formed = other.answer(&hello, &standpoint(3, 10), Some(&wiped));
    assert!(me.is_held_back(Some(member(2).id), &from_formed));
}
